"""SAEs and runs go to the hub with a card, by its real client, and come back; a failure is one error."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ember_widgets import load_sae
from ember_widgets.dictionary.sae import SAE
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import measure
from ember_widgets.training.run import Part, TrainingRun, train, train_sae
from ember_widgets.training.stream import TensorBatches
from ember_widgets.util.cards import escaped
from tests.pipeline import hub as stand_in
from tests.pipeline import tiny

# Said by the hub's client to its own library when it sends a large file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "me/my-sae"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[stand_in.Hub]:
    with stand_in.serving() as hub:
        hub.place = tmp_path / "repositories"
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        # Xet's storage is a protocol of its own; Git LFS is what the client speaks without it.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield hub


@pytest.fixture(scope="module")
def patches() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    basis = torch.randn(20, 16, generator=random)
    return [torch.rand(64, 20, generator=random).pow(8) @ basis for _ in range(40)]


CONFIG = TrainConfig(n_patches=2048, batch=64, expansion=2, k=4)


@pytest.fixture(scope="module")
def run(patches: list[torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("runs") / "one"
    made = train_sae(patches, CONFIG, site="up.0.1", folder=folder)
    made.quality = {"sae": measure(made.sae, torch.cat(patches))}
    made.n_skipped = 3
    return made


@pytest.fixture(scope="module")
def several(patches: list[torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    site = tiny.SITES["up.0.1"]
    parts = {
        "up.0.1-k4-x2": Part(site, CONFIG),
        "up.0.1-k2-x2": Part(site, TrainConfig(n_patches=2048, batch=64, expansion=2, k=2)),
    }
    folder = tmp_path_factory.mktemp("runs") / "several"
    return train(parts, TensorBatches(patches, site, 64), target="update", folder=folder)


def header_of(hub: stand_in.Hub, repo: str = REPO) -> dict[str, Any]:
    header = yaml.safe_load(card_of(hub, repo).split("---\n")[1])
    assert isinstance(header, dict)
    return header


def card_of(hub: stand_in.Hub, repo: str = REPO) -> str:
    return (hub.repos[repo] / "README.md").read_text("utf-8")


def same(a: SAE, b: SAE) -> bool:
    x = torch.randn(50, a.d_model, generator=torch.Generator().manual_seed(9))
    return torch.equal(a.encode(x), b.encode(x)) and (a.site, a.target) == (b.site, b.target)


@pytest.mark.parametrize("format", ["ember", "saelens"])
def test_an_sae_goes_there_and_comes_back(
    hub: stand_in.Hub, tmp_path: Path, format: str, run: TrainingRun
) -> None:
    address = run.sae.push_to_hub(REPO, licence="mit", token="right", format=format)
    assert address == f"{hub.url}/{REPO}"
    assert hub.private == {REPO}
    assert hub.commits == [(REPO, "SAE of up_blocks.0.attentions.1")]
    assert same(load_sae(REPO, token="right", cache_dir=tmp_path / "c"), run.sae)
    assert header_of(hub)["library_name"] == {"ember": "ember-widgets", "saelens": "saelens"}[format]


def test_another_format_replaces_the_one_that_was_there(
    hub: stand_in.Hub, tmp_path: Path, run: TrainingRun
) -> None:
    run.sae.push_to_hub(REPO, licence="mit", token="right", format="saelens")
    (hub.repos[REPO] / "notes.txt").write_text("mine")
    run.sae.push_to_hub(REPO, licence="mit", token="right", message="Again")
    assert hub.commits[-1] == (REPO, "Again")
    assert {f.name for f in hub.repos[REPO].iterdir()} == {"README.md", "notes.txt", "sae.safetensors"}
    assert same(load_sae(REPO, token="right", cache_dir=tmp_path / "c"), run.sae)


def test_the_card_of_a_run_says_how_it_was_trained(hub: stand_in.Hub, run: TrainingRun) -> None:
    run.push_to_hub(
        REPO, licence="cc-by-4.0", token="right", model="stabilityai/sdxl-turbo", data="COCO captions"
    )
    header, card = header_of(hub), card_of(hub)
    assert header == {
        "license": "cc-by-4.0",
        "library_name": "ember-widgets",
        "base_model": "stabilityai/sdxl-turbo",
        "tags": ["sparse-autoencoder", "interpretability", "diffusion", "ember-widgets"],
    }
    last, measured = run.history[-1], run.quality["sae"]
    for line in (
        "| site | up\\_blocks.0.attentions.1 |",
        "| target | update \\(output − input of the block\\) |",
        "| features | 32 |",
        "| channels | 16 |",
        "| k | 4 |",
        f"| threshold | {float(run.sae.threshold or 0):.6g} |",
        f"| FVU \\(pictures not trained on\\) | {measured.fvu:.4g} |",
        f"| redundancy, mean largest cosine similarity of decoder rows | {measured.redundancy:.4g} |",
        f"| FVU, fraction of variance unexplained \\(training, last batches\\) | {last.fvu:.4g} |",
        "| steps | 32 |",
        "| patches seen | 2,048 |",
        "Data, as the author says: COCO captions",
        "3 prompts could not be drawn and were left out.",
        "| sae.n\\_patches | 2,048 |",
        "| sae.seed | 0 |",
        'painter = ember.Painter.from_pretrained("stabilityai/sdxl-turbo", sae="me/my-sae")',
    ):
        assert line in card.splitlines(), line
    assert {"settings.json", "history.csv"} <= {f.name for f in hub.repos[REPO].iterdir()}


def test_folders_of_the_authors_machine_are_not_told(
    hub: stand_in.Hub, run: TrainingRun, tmp_path: Path
) -> None:
    assert run.folder is not None
    settings = run.folder / "settings.json"
    before = settings.read_text()
    settings.write_text(json.dumps(json.loads(before) | {"model": "/home/ada/secret/turbo"}))
    try:
        run.push_to_hub(REPO, licence="mit", token="right")
    finally:
        settings.write_text(before)
    told = card_of(hub) + (hub.repos[REPO] / "settings.json").read_text()
    assert "turbo" in told
    assert "ada" not in told


def test_several_dictionaries_lie_in_folders(hub: stand_in.Hub, tmp_path: Path, several: TrainingRun) -> None:
    several.push_to_hub(REPO, licence="mit", token="right")
    for name, sae in several.saes.items():
        assert same(load_sae(f"{REPO}/{name}", token="right", cache_dir=tmp_path / "c"), sae)
        assert f"## {escaped(name)}" in card_of(hub)
    with pytest.raises(ValueError, match=r"holds 2 SAEs \('up.0.1-k2-x2/sae.safetensors', 'up.0.1-k4-x2/"):
        load_sae(REPO, token="right", cache_dir=tmp_path / "c")


def test_an_interrupted_run_says_so(hub: stand_in.Hub, run: TrainingRun) -> None:
    cut = TrainingRun(None, run.saes, run.history, is_finished=False)
    cut.push_to_hub(REPO, licence="mit", token="right")
    assert "The training was interrupted after 2,048 patches; this is what it had until then." in card_of(hub)


HOSTILE = "---\nlicense: apache-2.0\n---\n# Big\n<script>alert(1)</script> | [a](javascript:b) `x` \u202e ![i](http://e)"


def test_texts_of_the_user_are_shown_as_they_stand(hub: stand_in.Hub, run: TrainingRun) -> None:
    run.sae.push_to_hub(
        REPO,
        licence="My Own: Licence\n---",
        licence_link="https://example.org/l?a=b",
        token="right",
        data=HOSTILE,
        evaluation="FVU 0.1\n```\n<b>out</b>",
    )
    assert header_of(hub) | {"tags": []} == {
        "license": "other",
        "license_name": "my-own-licence",
        "license_link": "https://example.org/l?a=b",
        "library_name": "ember-widgets",
        "tags": [],
    }
    card = card_of(hub)
    said = "Data, as the author says: --- license: apache-2.0 --- \\# Big "
    said += "\\<script\\>alert\\(1\\)\\</script\\> \\| "
    assert said + "\\[a\\]\\(javascript:b\\) \\`x\\` \\!\\[i\\]\\(http://e\\)" in card.splitlines()
    assert "````text\nFVU 0.1\n```\n<b>out</b>\n````" in card


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"repo": "my-sae"},
        ValueError,
        "repo='my-sae' is not an id of the hub; give 'owner/name', such as 'me/my-sae'",
    ),
    (
        {"licence": None},
        ValueError,
        r"licence is missing, and nobody but you can decide it; .* licence='mit'",
    ),
    (
        {"licence": "My licence"},
        ValueError,
        r"licence='My licence' is not a name that the hub uses .* licence_link=",
    ),
    ({"licence_link": "x"}, ValueError, "licence_link='x'; give an address that begins with https://"),
    ({"model": "/home/me/x"}, ValueError, "model='/home/me/x' is not an id of the hub; give 'owner/name'"),
    ({"format": "sae-lens"}, ValueError, "format='sae-lens' cannot be written; choose 'ember' or 'saelens'"),
    ({"private": "no"}, TypeError, "private='no'; give True or False"),
    (
        {"token": None},
        PermissionError,
        f"cannot upload to {REPO}: the hub needs a token .*; give token=, or run",
    ),
    ({"token": "wrong"}, PermissionError, rf"does not let this token write to {REPO} \(401\); give token="),
    ({"token": "reader"}, PermissionError, rf"does not let this token write to {REPO} \(403\); give token="),
]


@pytest.mark.parametrize(("asked", "error", "message"), WRONG, ids=[str(w[0]) for w in WRONG])
def test_mistakes_name_the_knob(
    hub: stand_in.Hub, run: TrainingRun, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    hub.read_only.add("reader")
    given: dict[str, Any] = {"repo": REPO, "licence": "mit", "token": "right"}
    with pytest.raises(error, match=message):
        run.sae.push_to_hub(**(given | asked))
    with pytest.raises(error, match=message):
        run.push_to_hub(**(given | asked))
    assert not hub.commits
    assert not hub.repos


def test_a_public_repository_is_not_written_to_unasked(hub: stand_in.Hub, run: TrainingRun) -> None:
    run.sae.push_to_hub(REPO, licence="mit", token="right", private=False)
    assert not hub.private
    with pytest.raises(
        ValueError, match=f"{REPO} is public already; give private=False to upload for all to see"
    ):
        run.sae.push_to_hub(REPO, licence="mit", token="right")
    assert len(hub.commits) == 1


def test_offline_says_so(hub: stand_in.Hub, run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        patch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(
            ConnectionError, match=f"connection to the hub broke while uploading to {REPO} .*run it again"
        ):
            run.sae.push_to_hub(REPO, licence="mit", token="right")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConnectionError, match=f"cannot upload to {REPO}: the network is not used"):
        run.sae.push_to_hub(REPO, licence="mit", token="right")


@pytest.mark.parametrize(
    ("part", "status", "error", "message"),
    [
        ("/commit/", 422, ValueError, f"the hub refuses the upload to {REPO}: "),
        ("/commit/", 507, ConnectionError, f"the hub answered 507 for {REPO}; try again later"),
        ("/preupload/", 403, PermissionError, f"does not let this token write to {REPO}"),
    ],
)
def test_what_the_hub_answers_is_told(
    hub: stand_in.Hub, run: TrainingRun, part: str, status: int, error: type[Exception], message: str
) -> None:
    hub.answers[part] = status
    with pytest.raises(error, match=message):
        run.sae.push_to_hub(REPO, licence="mit", token="right")
    assert not hub.commits


def test_a_folder_with_several_saes_names_them(several: TrainingRun) -> None:
    assert several.folder is not None
    with pytest.raises(ValueError) as caught:
        load_sae(several.folder)
    assert str(caught.value) == (
        f"{several.folder} holds 2 SAEs ('up.0.1-k2-x2/sae.safetensors', 'up.0.1-k4-x2/sae.safetensors'); "
        "add the folder of one to the source, or give site= if that identifies one"
    )
    assert same(load_sae(several.folder / "up.0.1-k2-x2"), several.saes["up.0.1-k2-x2"])
