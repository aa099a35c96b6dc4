"""Diffusers' layout: which files of a folder or repository make a pipeline, and whether it is an SDXL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ember_widgets.util.hub import DOWNLOAD

COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
WITH_WEIGHTS = ("unet", "vae", "text_encoder", "text_encoder_2")
INDEX = "model_index.json"
FAMILY = "StableDiffusionXL"
"""How the names of the pipelines begin that have SDXL's parts."""
VAE_WEIGHTS = "diffusion_pytorch_model.safetensors"
_PLAIN_NAMES = {"diffusion_pytorch_model", "model"}


def pipeline_files(sizes: Mapping[str, int], variant: str | None) -> list[str]:
    """Which files of a repository make the pipeline; weights once, as safetensors.

    Args:
        sizes: The repository's files.
        variant: Such as "fp16": used for each part that has it; else the plain weights.
    """
    wanted = [INDEX] if INDEX in sizes else []
    for part in COMPONENTS:
        inside = [f for f in sizes if f.startswith(f"{part}/") and f.count("/") == 1]
        weights = [f for f in inside if f.endswith((".safetensors", ".safetensors.index.json"))]
        of_variant = [f for f in weights if variant and f".{variant}" in f]
        plain = [f for f in weights if f.split("/")[1].split(".")[0].split("-0")[0] in _PLAIN_NAMES]
        plain = [f for f in plain if not variant_of(f)]
        wanted += of_variant or plain
        wanted += [f for f in inside if f.endswith((".json", ".txt")) and f not in weights]
    return wanted


def vae_files(sizes: Mapping[str, int]) -> list[str]:
    """The files of a VAE that has a repository of its own."""
    return [f for f in ("config.json", VAE_WEIGHTS) if f in sizes]


def config_files(sizes: Mapping[str, int]) -> list[str]:
    """The small files of a pipeline: everything but weights."""
    return [f for f in pipeline_files(sizes, None) if not f.endswith((".safetensors", ".index.json"))]


def variant_of(file: str) -> str:
    """ "fp16" in "model.fp16.safetensors" or "model.fp16-00001-of-00002.safetensors"; "" in plain ones."""
    inner = file.split("/")[-1].removesuffix(".index.json").removesuffix(".safetensors")
    return inner.split(".", 1)[1].split("-0")[0] if "." in inner else ""


def weights_of(part: str, files: list[str] | Mapping[str, int]) -> list[str]:
    """The safetensors files among them that belong to a part."""
    return [f for f in files if f.startswith(f"{part}/") and f.endswith(".safetensors")]


def best_variant(sizes: Mapping[str, int], half: bool) -> str | None:
    """What "auto" stands for: float16 files for 16 bits, and where there are no others."""
    plain = pipeline_files(sizes, None)
    return None if not half and all(weights_of(part, plain) for part in WITH_WEIGHTS) else "fp16"


def check_files(source: str, sizes: Mapping[str, int], variant: str | None, cached: bool) -> None:
    """Refuse a folder or repository that lacks files.

    Args:
        source: What it is called.
        sizes: Its files.
        variant: Of the weights.
        cached: Whether the files are those that were downloaded before.

    Raises:
        ValueError: It lacks files.
    """
    wanted = pipeline_files(sizes, variant)
    without = [part for part in WITH_WEIGHTS if not weights_of(part, wanted)]
    others = {variant_of(file) for part in without for file in weights_of(part, sizes)} - {""}
    if others:
        one = min(others)
        raise ValueError(
            f"{source} has the weights of {', '.join(without)} only as variant={one!r}; give variant={one!r}"
        )
    needed = [f"{part}/config.json" for part in WITH_WEIGHTS] + ["scheduler/scheduler_config.json"]
    for part in ("tokenizer", "tokenizer_2"):
        if f"{part}/vocab.json" not in wanted:
            needed.append(f"{part}/tokenizer.json")
    lacking = [file for file in (INDEX, *needed) if file not in wanted]
    lacks = f"the weights of {', '.join(without)}" if without else ", ".join(lacking)
    if lacks:
        how = f"run `{DOWNLOAD}` where there is a network" if cached else "give one in diffusers' layout"
        where = " in the cache" if cached else ""
        raise ValueError(f"{source} lacks {lacks}{where}{' (as safetensors)' if without else ''}; {how}")


def read_json(source: str, folder: Path, name: str, again: str) -> dict[str, Any]:
    """The object in a configuration file.

    Args:
        source: What the folder is called in messages.
        folder: Where it lies.
        name: The file's name there.
        again: What to do if it is damaged.

    Raises:
        ValueError: It is not JSON, or something else than an object.
    """
    try:
        content = json.loads((folder / name).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: {name} is damaged ({error}); {again}") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{source}: {name} is damaged (a {type(content).__name__} instead of an object); {again}"
        )
    return content


def check_index(source: str, index: Mapping[str, Any], again: str) -> None:
    """Refuse what is not a pipeline of SDXL's family, by name.

    Raises:
        ValueError: It is another pipeline, or lacks a part.
    """
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise ValueError(f"{source}: {INDEX} names no pipeline (as _class_name); {again}")
    if not name.startswith(FAMILY):
        raise ValueError(
            f"{source} is a {name}; give a model of SDXL's family ({FAMILY}Pipeline), "
            "such as stabilityai/sdxl-turbo"
        )
    without = [part for part in COMPONENTS if not _is_class(index.get(part))]
    if without:
        raise ValueError(
            f"{source} is a {name} without {', '.join(without)}; give a whole model, "
            "such as stabilityai/sdxl-turbo"
        )


def _is_class(entry: object) -> bool:
    """Whether an entry of the index is a library and a class."""
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(word, str) for word in entry)
