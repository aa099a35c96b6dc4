"""Everything that can happen between here and the hub ends well, or with one error that names the knob."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ember_widgets import Painter, load_sae
from ember_widgets.dictionary.load import save_sae
from tests.pipeline import hub as stand_in
from tests.pipeline import tiny

MODEL, SAES, VAE = "stabilityai/sdxl-turbo", "surokpro2/sdxl-saes", "madebyollin/taesdxl"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model with weights in two precisions and more besides, SAEs of two sites, a small decoder."""
    root = tmp_path_factory.mktemp("repositories")
    pipe = tiny.pipeline(root)
    pipe.save_pretrained(root / "model", safe_serialization=True)
    pipe.save_pretrained(root / "model", safe_serialization=True, variant="fp16")
    (root / "model" / "sd_xl_turbo_1.0.safetensors").write_bytes(b"x" * 1000)
    (root / "model" / "unet" / "model.onnx").write_bytes(b"x" * 1000)
    for site in ("down.2.1", "up.0.1"):
        folder = root / "saes" / f"unet.{tiny.SITES[site]}_k8_hidden96" / "final"
        save_sae(tiny.sae(site), folder)
    tiny.preview_vae().save_pretrained(root / "vae")
    (root / "vae" / "config.json").write_text(
        json.dumps(
            {
                k: v
                for k, v in json.loads((root / "vae" / "config.json").read_text()).items()
                if k != "block_out_channels"
            }
        )
    )
    return {MODEL: root / "model", SAES: root / "saes", VAE: root / "vae"}


@pytest.fixture
def hub(
    repositories: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[stand_in.Hub]:
    with stand_in.serving() as hub:
        hub.repos = dict(repositories)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


def load(cache: Path, **asked: Any) -> Painter:
    given: dict[str, Any] = {"sae": SAES, "device": "cpu", "dtype": "float32", "cache_dir": cache}
    return Painter.from_pretrained(MODEL, **(given | asked))


def picture(painter: Painter) -> Any:
    return np.asarray(painter.render(painter.analyze("a lion", seed=1)))


def test_a_model_and_an_sae_are_fetched_once_and_only_what_is_needed(
    hub: stand_in.Hub, tmp_path: Path
) -> None:
    first = load(tmp_path, preview_vae=VAE)
    assert first.analyze().model["revision"] == stand_in.COMMIT
    fetched = {name.removeprefix(f"{MODEL}/") for name in hub.gets if name.startswith(MODEL)}
    assert "unet/diffusion_pytorch_model.safetensors" in fetched
    assert not [name for name in fetched if "fp16" in name or name.endswith((".onnx", "1.0.safetensors"))]
    saes = [name for name in hub.gets if name.startswith(SAES)]
    assert saes == [f"{SAES}/unet.down_blocks.2.attentions.1_k8_hidden96/final/sae.safetensors"]
    preview = first.render(first.analyze("a lion", seed=1), preview=True)
    assert not np.array_equal(np.asarray(preview), picture(first))
    hub.gets.clear()
    again = load(tmp_path, preview_vae=VAE)
    assert not hub.gets
    assert np.array_equal(picture(again), picture(first))


def test_half_precision_takes_the_weights_that_are_half_as_large(hub: stand_in.Hub, tmp_path: Path) -> None:
    painter = load(tmp_path, dtype="bfloat16")
    weights = sorted(
        name.split("/")[-1] for name in hub.gets if name.endswith(".safetensors") and MODEL in name
    )
    assert weights == [
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
        "model.fp16.safetensors",
        "model.fp16.safetensors",
    ]
    assert picture(painter).shape == (512, 512, 3)


def test_several_sites_from_one_repository(hub: stand_in.Hub, tmp_path: Path) -> None:
    painter = load(tmp_path, sae={"up.0.1": SAES, "down.2.1": SAES})
    assert list(painter.saes) == [tiny.SITES["down.2.1"], tiny.SITES["up.0.1"]]


WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def half(hub: stand_in.Hub, monkeypatch: pytest.MonkeyPatch) -> int:
    """The line breaks in the middle of the UNet; the client writes in pieces smaller than this tiny one."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1 << 16)
    half = (hub.repos[MODEL] / WEIGHTS).stat().st_size // 2
    hub.cuts[WEIGHTS] = half
    return half


def test_a_broken_line_is_taken_up_in_the_middle_of_the_file(
    hub: stand_in.Hub, tmp_path: Path, half: int
) -> None:
    assert picture(load(tmp_path)).shape == (512, 512, 3)
    assert hub.gets[f"{MODEL}/{WEIGHTS}"] == 2
    (asked,) = hub.ranges[WEIGHTS]
    begin = int(asked.removeprefix("bytes=").removesuffix("-"))
    assert half - (1 << 16) <= begin <= half


def test_after_a_line_that_stays_broken_only_what_is_missing_is_fetched(
    hub: stand_in.Hub, tmp_path: Path, half: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.dies = True
    with pytest.raises(ConnectionError, match="run it again: every file that has arrived is kept"):
        load(tmp_path)
    hub.down = False
    arrived = {
        f.relative_to(f.parents[len(f.relative_to(tmp_path).parts) - 4]).as_posix()
        for f in tmp_path.rglob("snapshots/*/**/*")
        if f.is_file()
    }
    hub.gets.clear()
    assert picture(load(tmp_path)).shape == (512, 512, 3)
    fetched = {name.removeprefix(f"{MODEL}/") for name in hub.gets}
    assert WEIGHTS in fetched
    assert not fetched & arrived


REFUSALS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    (
        "wrong revision",
        {"revision": "v9"},
        ValueError,
        f"revision='v9' is not in {MODEL}; give a branch, tag or commit of it, or leave revision out",
    ),
    (
        "no such model",
        {"model": "stabilityai/sdxl-tubro"},
        PermissionError,
        "the hub refuses stabilityai/sdxl-tubro: no repository has that name, or it is private; check the "
        "id, give token=, or run `hf auth login`",
    ),
    (
        "no such folder of SAEs",
        {"sae": f"{SAES}/mid"},
        FileNotFoundError,
        f"{SAES} has no 'mid'; give one of its folders, or the id alone",
    ),
    (
        "a VAE that is a pipeline",
        {"vae": MODEL},
        ValueError,
        f"{MODEL} is not a VAE (config.json and diffusion_pytorch_model.safetensors are needed)",
    ),
]


@pytest.mark.parametrize(
    ("asked", "error", "message"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_refusals_name_the_knob(
    hub: stand_in.Hub, tmp_path: Path, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    given: dict[str, Any] = {"model": MODEL, "sae": SAES, "device": "cpu", "cache_dir": tmp_path}
    with pytest.raises(error) as caught:
        Painter.from_pretrained(**(given | asked))
    assert str(caught.value) == message


def test_a_private_repository_asks_for_a_token_and_takes_it(hub: stand_in.Hub, tmp_path: Path) -> None:
    hub.private.add(SAES)
    with pytest.raises(
        PermissionError, match=f"the hub refuses {SAES}.* give token=, or run `hf auth login`"
    ):
        load_sae(SAES, cache_dir=tmp_path, token="wrong")
    assert load_sae(SAES, cache_dir=tmp_path, token="right").n_features == 96


def test_a_gated_repository_says_where_its_licence_is(hub: stand_in.Hub, tmp_path: Path) -> None:
    hub.gated.add(MODEL)
    with pytest.raises(PermissionError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{MODEL} is gated: accept its licence at https://huggingface.co/{MODEL}, then give token= "
        "or run `hf auth login`"
    )


def unplug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers any more."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")


@pytest.mark.parametrize("how", ["local_files_only", "HF_HUB_OFFLINE", "no network"])
def test_offline_with_a_cache_all_goes_on(
    hub: stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    before = picture(load(tmp_path, revision="v1"))
    unplug(monkeypatch)
    asked: dict[str, Any] = {"revision": "v1"}
    if how == "local_files_only":
        asked["local_files_only"] = True
    elif how == "HF_HUB_OFFLINE":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert np.array_equal(picture(load(tmp_path, **asked)), before)


@pytest.mark.parametrize(
    ("local", "why"), [(True, "the network was not used"), (False, "the hub cannot be reached")]
)
def test_offline_without_a_cache_says_what_to_run(
    hub: stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bool, why: str
) -> None:
    unplug(monkeypatch)
    with pytest.raises(FileNotFoundError) as caught:
        load(tmp_path, local_files_only=local)
    text = str(caught.value)
    assert text.startswith(f"{SAES} is not in the cache {tmp_path}, and {why}")
    assert text.endswith(
        "run `ember-widgets download` once where there is a network, or give cache_dir= where it is"
    )


def test_half_a_download_used_offline_says_so(hub: stand_in.Hub, tmp_path: Path) -> None:
    load(tmp_path)
    weights = next(tmp_path.rglob("snapshots/*/unet/*.safetensors"))
    weights.resolve().unlink()
    with pytest.raises(ValueError) as caught:
        load(tmp_path, local_files_only=True)
    assert str(caught.value) == (
        f"{MODEL} lacks the weights of unet in the cache (as safetensors); "
        "run `ember-widgets download` where there is a network"
    )


def test_a_damaged_weights_file_says_so_and_nothing_stays_broken(hub: stand_in.Hub, tmp_path: Path) -> None:
    load(tmp_path)
    weights = next(tmp_path.rglob("snapshots/*/unet/*.safetensors")).resolve()
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="a weights file is damaged .*delete it from the cache and run"):
        load(tmp_path)
    weights.write_bytes(data)
    assert picture(load(tmp_path)).shape == (512, 512, 3)


def test_labels_of_each_site_come_from_a_data_set(hub: stand_in.Hub, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for site in ("down.2.1", "up.0.1"):
        (tmp_path / "labels" / f"{site}.json").write_text(json.dumps([{"id": 3, "label": f"of {site}"}]))
    hub.repos["datasets/me/labels"] = tmp_path / "labels"
    saes = {"down.2.1": SAES, "up.0.1": SAES}
    painter = load(tmp_path / "cache", sae=saes, labels="me/labels")
    behind = painter.saes[tiny.SITES["down.2.1"]].n_features
    assert dict(painter.labels) == {3: "of down.2.1", 3 + behind: "of up.0.1"}
