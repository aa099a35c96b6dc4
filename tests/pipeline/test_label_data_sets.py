"""Labels come from data sets on the hub and go there; text embeddings are fetched only when asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ember_widgets.cli import main
from ember_widgets.features import label_file, meaning
from ember_widgets.features.labels import Label, Labels
from tests.pipeline import hub as stand_in
from tests.unit.features.embeddings import saved

REPO = "me/labels"
PUBLIC = "hammamiomar/sdxl-turbo-sae-labels"
GIVEN = {
    7: Label(
        "tabby | cat",
        scores={"detection": 0.9, "causal": 0.8},
        counts={"detection": 10, "causal": 10},
        category="object",
        model="/home/ada/models/Qwen2.5-VL",
        date="2026-11-29",
        prompt_hash="0a1b2c",
    ),
    2: Label("sand", "a friend"),
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[stand_in.Hub]:
    with stand_in.serving() as hub:
        hub.place = tmp_path / "repositories"
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield hub


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    label_file.write(tmp_path / "run.json", GIVEN)
    labels = Labels.load(tmp_path / "run.json")
    labels.set(4, "my sky")
    return labels


def test_labels_go_to_a_data_set_and_come_back(hub: stand_in.Hub, labels: Labels, tmp_path: Path) -> None:
    address = labels.push_to_hub(
        REPO,
        licence="cc-by-4.0",
        model="stabilityai/sdxl-turbo",
        sae="surokpro2/sdxl-saes",
        site="down.2.1",
        data="COCO captions",
        token="right",
    )
    assert address == f"{hub.url}/datasets/{REPO}"
    assert hub.private == {f"datasets/{REPO}"}
    assert hub.commits == [(f"datasets/{REPO}", "Labels of 3 features")]
    again = Labels.load(REPO, token="right", cache_dir=tmp_path / "c")
    assert {f: again[f] for f in again} == {2: "sand", 4: "my sky", 7: "tabby | cat"}
    assert dict(again.entry(7).counts) == {"detection": 10, "causal": 10}
    assert again.origin(4) == "labelled by a person"
    held = hub.repos[f"datasets/{REPO}"]
    assert {file.name for file in held.iterdir()} == {"README.md", "labels.json", "labels.jsonl"}
    rows = [json.loads(line) for line in (held / "labels.jsonl").read_text("utf-8").splitlines()]
    assert [row["feature"] for row in rows] == [2, 4, 7]
    assert rows[2] | {"detection": 0.9, "detection_n": 10, "category": "object"} == rows[2]
    card = (held / "README.md").read_text("utf-8")
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["license"] == "cc-by-4.0"
    assert header["configs"] == [{"config_name": "default", "data_files": "labels.jsonl"}]
    assert header["size_categories"] == ["n<1K"]
    for line in (
        "| labels | 3 |",
        "| labelled by Qwen2.5-VL | 1 |",
        "| labelled by a person | 1 |",
        "| category object | 1 |",
        "| detection | 0.9 \\(1 label\\) |",
        "Pictures, as the author says: COCO captions",
        'painter.labels.add("me/labels")',
    ):
        assert line in card.splitlines(), line
    told = card + "".join(file.read_text("utf-8") for file in held.iterdir())
    assert "ada" not in told
    labels.push_to_hub(REPO, licence="mit", token="right", message="Again")
    assert hub.commits[-1] == (f"datasets/{REPO}", "Again")


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"repo": "labels"}, ValueError, "repo='labels' is not an id of the hub; .* such as 'me/my-labels'"),
    (
        {"licence": None},
        ValueError,
        "licence is missing, .* Labels that a model wrote may be bound by its terms",
    ),
    (
        {"sae": "x"},
        ValueError,
        "sae='x' is not an id of the hub; give 'owner/name', such as 'surokpro2/sdxl-saes'",
    ),
    ({"private": 1}, TypeError, "private=1; give True or False"),
    ({"token": None}, PermissionError, "cannot upload to datasets/me/labels: the hub needs a token"),
    ({"token": "wrong"}, PermissionError, r"does not let this token write to datasets/me/labels \(401\)"),
]


@pytest.mark.parametrize(("asked", "error", "message"), WRONG, ids=[str(w[0]) for w in WRONG])
def test_mistakes_name_the_knob(
    hub: stand_in.Hub, labels: Labels, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    given: dict[str, Any] = {"repo": REPO, "licence": "mit", "token": "right"}
    with pytest.raises(error, match=message):
        labels.push_to_hub(**(given | asked))
    with pytest.raises(ValueError, match=r"there are no labels to upload; set some, or add some with"):
        Labels().push_to_hub(**given)
    assert not hub.repos


def test_a_public_data_set_is_not_written_to_unasked(hub: stand_in.Hub, labels: Labels) -> None:
    labels.push_to_hub(REPO, licence="mit", token="right", private=False)
    with pytest.raises(ValueError, match=f"datasets/{REPO} is public already; give private=False"):
        labels.push_to_hub(REPO, licence="mit", token="right")


def test_a_public_data_set_is_read_for_one_site_and_offline_from_then_on(
    hub: stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "public"
    for site in ("down.2.1", "up.0.1"):
        for kind in ("labels", "activations"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            rows = [{"id": 4, "label": f"{kind} of {site}", "category": "object", "confidence": "high"}]
            (folder / kind / f"{site}.json").write_text(json.dumps(rows))
    hub.repos[f"datasets/{PUBLIC}"] = folder
    labels = Labels({1: "sky"})
    labels.add(PUBLIC, site="up.0.1")
    assert dict(labels) == {4: "labels of up.0.1", 1: "sky"}
    assert set(hub.gets) == {f"datasets/{PUBLIC}/labels/up.0.1.json"}
    assert dict(Labels.load(f"{PUBLIC}/activations/down.2.1.json")) == {4: "activations of down.2.1"}
    with pytest.raises(
        ValueError, match=rf"datasets/{PUBLIC} holds labels of several sites \(down\.2\.1, up\.0"
    ):
        Labels.load(PUBLIC)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert dict(Labels.load(PUBLIC, site="up.0.1")) == {4: "labels of up.0.1"}
    with pytest.raises(
        FileNotFoundError, match=r"datasets/me/other is not in the cache .*; load it once where"
    ):
        Labels.load("me/other")


def test_a_file_that_is_not_there_is_not_looked_for_on_the_hub(
    hub: stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    hub.down = True
    for name in ("labels.json", "mine/labels.json", "runs/cat/labels.json", str(tmp_path / "x.tsv")):
        with pytest.raises(FileNotFoundError, match="no label file at"):
            Labels.load(name)


def test_a_text_embedding_is_fetched_by_its_command_and_never_else(
    hub: stand_in.Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repos[meaning.MODEL] = saved(tmp_path / "embedding")
    labels = Labels({3: "cat"})
    assert labels.search("kitten") == []
    assert not hub.gets
    assert main.main(["download", "--meaning"]) == 2  # nobody at a terminal
    assert "a text embedding for search by meaning; licence: mit" in capsys.readouterr().out
    assert not hub.gets
    assert main.main(["download", "--meaning", "--yes"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("Everything is downloaded. Searches of labels use it by themselves.\n")
    assert set(hub.gets) == {f"{meaning.MODEL}/{name}" for name in meaning.FILES}
    hub.down = True
    assert labels.search("kitten") == [3]


def test_a_text_embedding_is_fetched_by_its_call(hub: stand_in.Hub, tmp_path: Path) -> None:
    hub.repos["me/embedding"] = saved(tmp_path / "embedding")
    labels = Labels({3: "cat"})
    with pytest.raises(FileNotFoundError, match="me/embedding is not in the cache"):
        labels.load_meaning("me/embedding", local_files_only=True)
    labels.load_meaning("me/embedding")
    assert labels.search("kitten") == [3]
