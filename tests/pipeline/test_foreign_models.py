"""What is not a model to paint with is called what it is, before anything large is read or downloaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)

from ember_widgets import Painter
from tests.pipeline import hub as stand_in
from tests.pipeline import tiny

PROMPT = "a lion in a meadow"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pipeline with plain weights, and with weights of the variant "fp16" alone."""
    root = tmp_path_factory.mktemp("saved")
    pipe = tiny.pipeline(root)
    pipe.save_pretrained(root / "plain", safe_serialization=True)
    pipe.save_pretrained(root / "fp16", safe_serialization=True, variant="fp16")
    return root


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved / "plain", tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    return tiny.pipeline(tmp_path)


def load(model: Any, **asked: Any) -> Painter:
    given: dict[str, Any] = {"sae": tiny.sae(), "device": "cpu", "dtype": "float32"}
    return Painter.from_pretrained(model, **(given | asked))


def picture(painter: Painter) -> Any:
    return np.asarray(painter.render(painter.analyze(PROMPT)))


def refused(model: Any, **asked: Any) -> str:
    with pytest.raises(ValueError) as caught:
        load(model, **asked)
    return str(caught.value)


def index_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "model_index.json").read_text())
    return content


# folders of other models

FOREIGN = {
    "StableDiffusionPipeline": ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
    "StableDiffusion3Pipeline": ("transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"),
    "FluxPipeline": ("transformer", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"),
    "KolorsPipeline": ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
}


def foreign(folder: Path, name: str) -> Path:
    parts = {part: ["diffusers", "Anything"] for part in FOREIGN[name]}
    for part in parts:
        (folder / part).mkdir(parents=True)
        (folder / part / "model.safetensors").write_bytes(b"x" * 1000)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": name} | parts))
    return folder


@pytest.mark.parametrize("name", FOREIGN)
def test_another_pipelines_folder_is_called_by_its_name(tmp_path: Path, name: str) -> None:
    assert refused(foreign(tmp_path, name)) == (
        f"{tmp_path} is a {name}; give a model of SDXL's family (StableDiffusionXLPipeline), "
        "such as stabilityai/sdxl-turbo"
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[stand_in.Hub]:
    with stand_in.serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield hub


def test_another_pipeline_on_the_hub_is_refused_before_its_weights_are_fetched(
    hub: stand_in.Hub, tmp_path: Path
) -> None:
    hub.repos = {"someone/flux": foreign(tmp_path / "flux", "FluxPipeline")}
    assert refused("someone/flux").startswith("someone/flux is a FluxPipeline; give a model of SDXL's family")
    assert list(hub.gets) == ["someone/flux/model_index.json"]


def test_the_refiner_is_said_to_lack_a_text_encoder(folder: Path) -> None:
    index = index_of(folder) | {
        "_class_name": "StableDiffusionXLImg2ImgPipeline",
        "text_encoder": [None, None],
        "tokenizer": [None, None],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    assert refused(folder) == (
        f"{folder} is a StableDiffusionXLImg2ImgPipeline without text_encoder, tokenizer; "
        "give a whole model, such as stabilityai/sdxl-turbo"
    )


def test_a_folder_of_an_image_to_image_pipeline_with_all_parts_is_painted_with(folder: Path) -> None:
    index = index_of(folder) | {"_class_name": "StableDiffusionXLImg2ImgPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))
    assert type(load(folder).pipeline) is StableDiffusionXLPipeline


def test_a_unet_for_inpainting_is_refused(pipe: Any) -> None:
    pipe.unet.register_to_config(in_channels=9)
    with pytest.raises(ValueError, match=r"this UNet is not of SDXL's family \(in_channels\)"):
        Painter(pipe, tiny.sae(), name="x")


# variants


def test_float16_weights_are_taken_where_there_are_no_others(saved: Path) -> None:
    one, other = load(saved / "fp16"), load(saved / "plain")
    assert one.pipeline.unet.dtype == torch.float32
    assert np.array_equal(picture(one), picture(other))


def test_a_variant_that_must_be_asked_for_is_named(saved: Path) -> None:
    parts = "unet, vae, text_encoder, text_encoder_2"
    assert refused(saved / "fp16", variant=None) == (
        f"{saved / 'fp16'} has the weights of {parts} only as variant='fp16'; give variant='fp16'"
    )


def test_a_variant_of_another_name_must_be_asked_for(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "fp16", tmp_path / "bf16")
    for file in list((tmp_path / "bf16").rglob("*.fp16.safetensors")):
        file.rename(file.with_name(file.name.replace("fp16", "bf16")))
    assert refused(tmp_path / "bf16").endswith(" only as variant='bf16'; give variant='bf16'")
    load(tmp_path / "bf16", variant="bf16")


# damaged and missing small files


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[]", "model_index.json is damaged (a list instead of an object)"),
        (b"3", "model_index.json is damaged (a int instead of an object)"),
        (b"{", "model_index.json is damaged (Expecting property name enclosed in double quotes: line 1"),
        (b"\xff\xfe", "model_index.json is damaged ('utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, "model_index.json is damaged ("),
        (b"{}", "model_index.json names no pipeline (as _class_name); copy it again"),
        (b'{"_class_name": 3}', "model_index.json names no pipeline (as _class_name); copy it again"),
    ],
)
def test_a_damaged_index_says_so(folder: Path, content: bytes, fault: str) -> None:
    (folder / "model_index.json").write_bytes(content)
    assert refused(folder).startswith(f"{folder}: {fault}")
    assert refused(folder).endswith("; copy it again")


@pytest.mark.parametrize("content", ["[]", "{", "3"])
@pytest.mark.parametrize(
    "file",
    [
        *("unet/config.json", "vae/config.json", "text_encoder_2/config.json"),
        *("tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json"),
    ],
)
def test_a_damaged_configuration_is_named(folder: Path, file: str, content: str) -> None:
    (folder / file).write_text(content)
    assert refused(folder).startswith(f"{folder}: {file} is damaged (")


@pytest.mark.parametrize(
    "file",
    [
        *("unet/config.json", "vae/config.json", "text_encoder/config.json", "text_encoder_2/config.json"),
        *("tokenizer/tokenizer.json", "tokenizer_2/tokenizer.json", "scheduler/scheduler_config.json"),
    ],
)
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert refused(folder) == f"{folder} lacks {file}; give one in diffusers' layout"


@pytest.mark.parametrize("entry", [["diffusers", "NoSuchNetwork"], ["my_code", "Network"]])
def test_a_part_whose_code_is_not_known_is_named(folder: Path, entry: list[str]) -> None:
    (folder / "model_index.json").write_text(json.dumps(index_of(folder) | {"unet": entry}))
    library, name = entry
    assert refused(folder) == (
        f"{folder}: unet is a {name} of {library}, which diffusers and transformers do not have; "
        "code that comes with a model is not run"
    )


@pytest.mark.parametrize("name", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_a_vae_that_lacks_a_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder / "vae", tmp_path / "vae")
    (tmp_path / "vae" / name).unlink()
    assert refused(folder, vae=tmp_path / "vae") == (
        f"{tmp_path / 'vae'} is not a VAE (config.json and diffusion_pytorch_model.safetensors are needed)"
    )


# objects


@pytest.mark.parametrize("kind", [StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline])
def test_a_pipeline_for_pictures_says_how_to_convert_it(pipe: Any, kind: Any) -> None:
    other = kind.from_pipe(pipe)
    with pytest.raises(TypeError) as caught:
        Painter(other, tiny.sae(), name="x")
    assert str(caught.value) == (
        f"the pipeline is a {kind.__name__}, but painting needs a StableDiffusionXLPipeline; give "
        "StableDiffusionXLPipeline.from_pipe(pipeline, torch_dtype=pipeline.dtype), which shares its weights "
        "(photographs are given to analyze as image=)"
    )
    ours = StableDiffusionXLPipeline.from_pipe(other, torch_dtype=other.dtype)
    one, another = Painter(ours, tiny.sae(), name="x"), Painter(pipe, tiny.sae(), name="x")
    assert np.array_equal(picture(one), picture(another))


@pytest.mark.parametrize("thing", [None, 3, object(), torch.nn.Linear(2, 2), StableDiffusionXLPipeline])
def test_what_is_not_a_pipeline_is_called_what_it_is(thing: Any) -> None:
    with pytest.raises(TypeError) as caught:
        Painter(thing, tiny.sae(), name="x")
    assert str(caught.value) == (
        f"the pipeline is a {type(thing).__name__}; give a StableDiffusionXLPipeline, or another model "
        "as a Backbone"
    )


def test_the_name_of_a_model_is_sent_to_from_pretrained() -> None:
    with pytest.raises(TypeError) as caught:
        Painter("stabilityai/sdxl-turbo", tiny.sae(), name="x")
    assert str(caught.value) == (
        "pipeline='stabilityai/sdxl-turbo' is not a pipeline; load one by its name, folder or file with "
        "Painter.from_pretrained"
    )
