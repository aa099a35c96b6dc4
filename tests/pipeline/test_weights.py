"""Every weight that a painter draws with was in the file, and every weight of the file is drawn with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import ember_widgets as ember
from ember_widgets import Painter
from ember_widgets.model.sdxl import weights_check
from ember_widgets.painter import open as opening
from tests.pipeline import ldm, tiny

State = dict[str, Tensor]
PARTS = ["unet", "vae", "text_encoder", "text_encoder_2"]
ASSETS = Path(ember.__file__).parent / "embedded" / "assets"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline as a folder, and as one file."""
    root = tmp_path_factory.mktemp("saved")
    pipe = tiny.pipeline(root)
    pipe.save_pretrained(root / "model", safe_serialization=True)
    ldm.save(pipe, root / "single.safetensors")
    tiny.preview_vae().save_pretrained(root / "vae")
    return root


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved / "model", tmp_path / "model")
    return tmp_path / "model"


def load(model: Path, **asked: Any) -> Painter:
    given: dict[str, Any] = {"sae": tiny.sae(), "device": "cpu", "dtype": "float32"}
    return Painter.from_pretrained(model, **(given | asked))


def change(file: Path, new: Callable[[State], State]) -> None:
    state = {name: tensor.clone() for name, tensor in load_file(file).items()}
    save_file(new(state), file, metadata={"format": "pt"})


def weights(folder: Path, part: str) -> Path:
    return next((folder / part).glob("*.safetensors"))


def without(name: str) -> Callable[[State], State]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def a_third_renamed(state: State) -> State:
    return {f"x.{name}" if i % 3 == 0 else name: tensor for i, (name, tensor) in enumerate(state.items())}


@pytest.mark.parametrize("part", PARTS)
def test_a_weight_that_the_folder_lacks_is_named(folder: Path, part: str) -> None:
    file = weights(folder, part)
    lost = sorted(load_file(file))[0]
    change(file, without(lost))
    with pytest.raises(ValueError) as caught:
        load(folder)
    name = lost.removeprefix("text_model.")
    assert str(caught.value) == (
        f"{folder}: {part} ({part}/{file.name}): 1 weights are missing in the file ({name}); copy it again"
    )


@pytest.mark.parametrize("part", PARTS)
def test_weights_under_other_names_are_named(folder: Path, part: str) -> None:
    file = weights(folder, part)
    change(file, a_third_renamed)
    lost = [name for name in load_file(file) if name.startswith("x.")]
    with pytest.raises(ValueError) as caught:
        load(folder)
    text = str(caught.value)
    assert text.startswith(f"{folder}: {part} ({part}/{file.name}): {len(lost)} weights are missing in the")
    assert f"; {len(lost)} weights of the file are unknown to its configuration (x." in text
    assert text.endswith(", ...); copy it again")


@pytest.mark.parametrize("part", PARTS)
def test_a_weight_too_many_is_named(folder: Path, part: str) -> None:
    file = weights(folder, part)
    change(file, lambda state: state | {"extra.weight": torch.ones(3)})
    with pytest.raises(ValueError, match=r"1 weights of the file are unknown .* \(extra.weight\)"):
        load(folder)


@pytest.mark.parametrize("part", PARTS)
def test_a_weight_of_another_shape_names_the_part(folder: Path, part: str) -> None:
    file = weights(folder, part)
    first = sorted(load_file(file))[0]
    change(file, lambda state: state | {first: torch.zeros(5, 7)})
    with pytest.raises(ValueError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder}: {part}: the weights have other shapes than the config")


@pytest.mark.parametrize("part", PARTS)
def test_a_weight_that_the_single_file_lacks_is_named(saved: Path, tmp_path: Path, part: str) -> None:
    file = tmp_path / "sd_xl.safetensors"
    shutil.copy(saved / "single.safetensors", file)
    ours = [name for name in load_file(file) if name.startswith(weights_check.PREFIXES[part])]
    change(file, without(ours[7]))
    with pytest.raises(ValueError) as caught:
        load(file, config=saved / "model")
    assert str(caught.value).startswith(f"{file}: {part}: ")
    assert " weights are missing in the file (" in str(caught.value)


@pytest.mark.parametrize("part", PARTS)
def test_a_weight_too_many_in_the_single_file_is_named(saved: Path, tmp_path: Path, part: str) -> None:
    file, extra = tmp_path / "sd_xl.safetensors", f"{weights_check.PREFIXES[part]}extra.weight"
    shutil.copy(saved / "single.safetensors", file)
    change(file, lambda state: state | {extra: torch.ones(3)})
    with pytest.raises(ValueError) as caught:
        load(file, config=saved / "model")
    assert str(caught.value) == (
        f"{file}: {part}: 1 weights of the file are unknown to its configuration ({extra}); "
        "copy it again, or give another model"
    )


@pytest.mark.parametrize("part", PARTS)
def test_a_single_file_without_a_part_says_which(saved: Path, tmp_path: Path, part: str) -> None:
    file, begin = tmp_path / "sd_xl.safetensors", weights_check.PREFIXES[part]
    shutil.copy(saved / "single.safetensors", file)
    change(file, lambda state: {name: v for name, v in state.items() if not name.startswith(begin)})
    with pytest.raises(ValueError) as caught:
        load(file, config=saved / "model")
    assert str(caught.value) == (
        f"{file} lacks {part} (no weight's name begins with {begin}); "
        "give a file with the whole of an SDXL model"
    )


def test_a_decoder_for_previews_is_checked_too(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "vae", tmp_path / "vae")
    change(weights(tmp_path, "vae"), a_third_renamed)
    with pytest.raises(ValueError, match="weights are missing in the file"):
        load(saved / "model", preview_vae=tmp_path / "vae")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_whole_models_load_in_every_dtype(saved: Path, dtype: str) -> None:
    for model in (saved / "model", saved / "single.safetensors"):
        load(model, dtype=dtype, config=saved / "model", preview_vae=saved / "vae")


@pytest.mark.parametrize(
    "name", ["text_model.embeddings.position_ids", "logit_scale", "visual_projection.weight"]
)
def test_what_older_versions_saved_besides_is_no_fault(folder: Path, name: str) -> None:
    change(weights(folder, "text_encoder"), lambda state: state | {name: torch.ones(3)})
    load(folder)


def test_attention_under_the_names_of_older_versions_is_read(tmp_path: Path) -> None:
    new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    vae = tiny.vae(mid_block_add_attention=True)
    vae.save_pretrained(tmp_path)

    def old(state: State) -> State:
        for now, then in new.items():
            state = {name.replace(f"0.{now}.", f"0.{then}."): tensor for name, tensor in state.items()}
        return state

    change(tmp_path / "diffusion_pytorch_model.safetensors", old)
    pipe = tiny.pipeline(tmp_path / "model")
    pipe.save_pretrained(tmp_path / "model", safe_serialization=True)
    painter = load(tmp_path / "model", vae=tmp_path)
    loaded = painter.pipeline.vae.state_dict()
    for name, tensor in vae.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2"])
def test_weights_that_a_library_silently_drops_are_noticed(
    folder: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As transformers 5.0 to 5.5 did with the embedded model's."""
    import transformers

    kind = {"text_encoder": "CLIPTextModel", "text_encoder_2": "CLIPTextModelWithProjection"}[part]
    network = getattr(transformers, kind)
    from_pretrained = network.from_pretrained

    def forgetful(folder: Path, **options: Any) -> Any:
        return network(from_pretrained(folder, **options).config)

    monkeypatch.setattr(f"transformers.{kind}.from_pretrained", forgetful)
    with pytest.raises(ValueError) as caught:
        load(folder)
    text = str(caught.value)
    assert text.startswith(f"{folder}: {part} ({part}/model.safetensors): ")
    assert "weights of the file were not loaded (" in text
    assert text.endswith("; upgrade diffusers and transformers, which do not read them")


@pytest.mark.parametrize("part", PARTS)
def test_the_embedded_model_is_checked_too(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ASSETS, tmp_path / "assets")
    monkeypatch.setattr(opening, "ASSETS", tmp_path / "assets")
    file = weights(tmp_path / "assets" / "pipeline", part)
    change(file, without(sorted(load_file(file))[-1]))
    with pytest.raises(ValueError, match=f"{part}.*1 weights are missing in the file"):
        Painter.embedded()


def test_shards_are_checked_together(saved: Path, tmp_path: Path) -> None:
    pipe = tiny.pipeline(tmp_path)
    pipe.save_pretrained(tmp_path / "model", safe_serialization=True, max_shard_size="100KB")
    index = tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    assert len(set(json.loads(index.read_text())["weight_map"].values())) > 1
    load(tmp_path / "model")
    shard = sorted((tmp_path / "model" / "unet").glob("*-00002-of-*.safetensors"))[0]
    change(shard, lambda state: state | {"extra.weight": torch.ones(3)})
    with pytest.raises(ValueError, match=r"unknown to its configuration \(extra.weight\)"):
        load(tmp_path / "model")
