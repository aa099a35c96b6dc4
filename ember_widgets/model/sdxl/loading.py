"""Loading a pipeline: from the hub, a folder or a single file, to fit the device."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ember_widgets.model.placement import computes_in_bfloat16, free
from ember_widgets.model.sdxl import layout, weights_check
from ember_widgets.model.sdxl.staged_unet import latent_side
from ember_widgets.util import quiet
from ember_widgets.util.hub import DOWNLOAD, Hub, Listing, repo_in
from ember_widgets.util.words import first_line

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
LIBRARIES = ("diffusers", "transformers")
"""Where the networks' code may come from."""
CONFIG_REPO = "stabilityai/sdxl-turbo"
TURBO_SIDE, BASE_SIDE = 64, 128
"""Height and width of the latents that SDXL-Turbo and SDXL base are made for."""
SHORT_GIB = 11.0
"""A GPU with less memory does not hold the text encoders together with the rest comfortably."""
ALIGNMENT = 64
"""Bytes that a processor's widest registers hold."""


@dataclass(frozen=True)
class Loaded:
    """A pipeline, and the commit of its weights, which scenes remember."""

    pipeline: Any
    revision: str


def pick_device(device: str | None) -> torch.device:
    """The device asked for, or the best there is.

    Raises:
        ValueError: The device is unknown or not there.
    """
    if device is None:
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r} is unknown; choose 'cuda', 'mps', 'cpu', or None") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r}, but PyTorch sees no CUDA GPU here; "
            "give device='cpu', or install PyTorch for CUDA"
        )
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={device!r}, but there is no Apple GPU here; give device='cpu'")
    return found


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The dtype asked for; "auto": bfloat16 where the device computes in it, else float16 on a GPU and
    float32 on a CPU.

    Raises:
        ValueError: An unknown dtype.
    """
    if dtype != "auto":
        if dtype not in DTYPES:
            raise ValueError(
                f"dtype={dtype!r} is unknown; choose one of {', '.join(sorted([*DTYPES, 'auto']))}"
            )
        return DTYPES[dtype]
    if computes_in_bfloat16(device):
        return torch.bfloat16
    # A T4 only emulates bfloat16; a Mac is faster in float16.
    return torch.float32 if device.type == "cpu" else torch.float16


def memory_is_short(device: torch.device) -> bool:
    """Whether the GPU holds too little for text encoders, UNet and VAE at once."""
    if device.type != "cuda":
        return False
    return bool(torch.cuda.get_device_properties(device).total_memory / 2**30 < SHORT_GIB)


def load_pipeline(
    model: str | os.PathLike[str],
    *,
    dtype: torch.dtype,
    device: torch.device,
    hub: Hub,
    revision: str | None = None,
    variant: str | None = "auto",
    vae: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    move: bool = True,
) -> Loaded:
    """Load a pipeline of SDXL's family.

    Args:
        model: Hub id, folder in diffusers' layout, or one .safetensors file with all of it.
        dtype: Type of the weights.
        device: Where to load it.
        hub: How to reach the hub.
        revision: Branch, tag or commit.
        variant: "fp16" weights where the model has them; "auto" = for 16-bit dtypes, and where there are no
            others; None = the plain ones.
        vae: Hub id or folder of another VAE.
        config: For a single file: hub id or folder with the configurations and tokenizers.
        move: Put it on the device; False leaves it in main memory.

    Raises:
        FileNotFoundError, PermissionError, ConnectionError: See `Hub`.
        ValueError: A wrong revision, damaged files, weights that are not in the files, a model that is not of
            SDXL's family, or a size that the UNet cannot halve.
    """
    path = Path(model)
    parts: dict[str, Any] = {}
    if vae is not None:
        parts["vae"] = load_vae(vae, dtype, hub)
    if os.path.isfile(model):
        pipeline, commit = _single_file(path, config or CONFIG_REPO, dtype, hub, parts), ""
    else:
        pipeline, commit = _from_folder(model, dtype, hub, revision, variant, parts)
    if pipeline.unet.config.sample_size == BASE_SIDE:
        # SDXL base is made for 1024 px but has SDXL-Turbo's layers; on 64×64 latents it draws 512 px.
        pipeline.unet.register_to_config(sample_size=TURBO_SIDE)
        pipeline.default_sample_size = TURBO_SIDE
    try:
        latent_side(pipeline.unet)
    except ValueError as error:
        raise ValueError(f"{model}: {error}") from None
    for part in (pipeline.unet, pipeline.vae):
        part.to(memory_format=torch.channels_last)  # what convolutions are fastest with
    if device.type == "cpu":
        _align(pipeline)
    if move:
        pipeline.to(device)
    return Loaded(pipeline, commit or revision or "")


def _align(pipeline: Any) -> None:
    """Copy weights to aligned addresses; in a memory-mapped file they may lie anywhere.

    Some CPUs add up unaligned values in another order: the same weights in another file would then draw a
    slightly different picture.
    """
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            for weight in (*part.parameters(), *part.buffers()):
                if weight.data_ptr() % ALIGNMENT:
                    weight.data = weight.data.clone()


def load_vae(source: str | os.PathLike[str], dtype: torch.dtype, hub: Hub) -> Any:
    """An `AutoencoderKL` or `AutoencoderTiny` from a folder or hub id; its config says which."""
    import diffusers

    folder = _vae_folder(source, hub)
    again = _again(str(source))
    name = layout.read_json(str(source), folder, "config.json", again).get("_class_name", "AutoencoderKL")
    if name not in ("AutoencoderKL", "AutoencoderTiny"):
        raise ValueError(f"{source} is a {name}; give an AutoencoderKL or AutoencoderTiny")
    with _damage(str(source)):
        vae = getattr(diffusers, name).from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
    weights_check.check_part(str(source), "vae", vae, [folder / layout.VAE_WEIGHTS], dtype, again)
    return vae


def _vae_folder(source: str | os.PathLike[str], hub: Hub) -> Path:
    folder = Path(source)
    if os.path.isdir(folder):
        listing = Listing(str(source), {file.name: 0 for file in folder.iterdir()}, "", folder=folder)
    else:
        named = repo_in(source) if isinstance(source, str) else None
        if named is None:
            raise FileNotFoundError(f"no VAE at {str(source)!r}; give a folder or a hub id 'owner/name'")
        listing = hub.listing(named[0])
    wanted = layout.vae_files(listing.sizes)
    if len(wanted) < 2:
        raise ValueError(f"{source} is not a VAE (config.json and {layout.VAE_WEIGHTS} are needed)")
    return hub.fetch(listing, wanted)


def _listing(model: str | os.PathLike[str], hub: Hub, revision: str | None) -> Listing:
    """The files of a folder or repository."""
    path = Path(model)
    if os.path.isdir(model):
        if not (path / layout.INDEX).is_file():
            raise ValueError(
                f"{path} has no {layout.INDEX}; give a folder in diffusers' layout, or a .safetensors file"
            )
        sizes = {f.relative_to(path).as_posix(): f.stat().st_size for f in path.rglob("*") if f.is_file()}
        return Listing(str(path), sizes, "", folder=path)
    named = repo_in(model) if isinstance(model, str) else None
    if named is None or named[1]:
        raise FileNotFoundError(
            f"no model at {str(model)!r}; give a hub id 'owner/name', a folder in diffusers' layout, "
            "or a .safetensors file"
        )
    return hub.listing(named[0], revision)


def _from_folder(
    model: str | os.PathLike[str],
    dtype: torch.dtype,
    hub: Hub,
    revision: str | None,
    variant: str | None,
    parts: dict[str, Any],
) -> tuple[Any, str]:
    """The pipeline, and the commit of its files."""
    from diffusers import StableDiffusionXLPipeline

    source, again = str(model), _again(str(model))
    listing = _listing(model, hub, revision)
    cached = hub.offline or listing.folder not in (None, Path(model))
    index: dict[str, Any] = {}
    if layout.INDEX in listing.sizes:  # first, because the rest may be many gigabytes of another model
        folder = hub.fetch(listing, [layout.INDEX], revision)
        index = layout.read_json(source, folder, layout.INDEX, again)
        layout.check_index(source, index, again)
    if variant == "auto":
        variant = layout.best_variant(listing.sizes, dtype != torch.float32)
    layout.check_files(source, listing.sizes, variant, cached)
    wanted = layout.pipeline_files(listing.sizes, variant)
    folder = hub.fetch(listing, wanted, revision)
    for file in wanted:
        if file.endswith("config.json"):
            layout.read_json(source, folder, file, again)
    for part in layout.WITH_WEIGHTS:
        if part not in parts:
            files = [folder / file for file in layout.weights_of(part, wanted)]
            parts[part] = _part(source, part, index[part], files, dtype)
    with _damage(source):
        pipeline = StableDiffusionXLPipeline.from_pretrained(folder, local_files_only=True, **parts)
    return pipeline, listing.commit


def _part(
    source: str, part: str, library_and_class: Sequence[str], files: Sequence[Path], dtype: torch.dtype
) -> Any:
    """One network, with all the weights of its files and no others."""
    from diffusers.utils import is_accelerate_available

    library, name = library_and_class
    kind = getattr(importlib.import_module(library), name, None) if library in LIBRARIES else None
    if kind is None:
        raise ValueError(
            f"{source}: {part} is a {name} of {library}, which {' and '.join(LIBRARIES)} do not have; "
            "code that comes with a model is not run"
        )
    options: dict[str, Any] = {"torch_dtype": dtype, "low_cpu_mem_usage": is_accelerate_available()}
    if library == "transformers":
        options = {"dtype": dtype}
    with _damage(source, part):
        module = kind.from_pretrained(
            files[0].parent,
            use_safetensors=True,
            variant=layout.variant_of(files[0].name) or None,
            local_files_only=True,
            **options,
        )
    weights_check.check_part(source, part, module, files, dtype, _again(source))
    return module


def _single_file(
    path: Path, config: str | os.PathLike[str], dtype: torch.dtype, hub: Hub, parts: dict[str, Any]
) -> Any:
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    if path.suffix != ".safetensors":
        raise ValueError(f"{path} is not a .safetensors file; other files can run code and are refused")
    folder = Path(config)
    if not os.path.isdir(folder):
        named = repo_in(str(config))
        if named is None:
            raise FileNotFoundError(f"no configuration at {str(config)!r}; give a folder or a hub id")
        listing = hub.listing(named[0])
        folder = hub.fetch(listing, layout.config_files(listing.sizes))
    own = [part for part in layout.WITH_WEIGHTS if part not in parts]
    options = {"config": str(folder), "local_files_only": True, "torch_dtype": dtype}
    with _damage(str(path)):
        weights_check.check_names(path, own)
        try:
            for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL)):
                if part in own:
                    with _unfinished(path, part, dtype):
                        parts[part] = kind.from_single_file(str(path), subfolder=part, **options)
                    weights_check.check_single(path, {part: parts[part]}, dtype)
            pipeline = StableDiffusionXLPipeline.from_single_file(str(path), **options, **parts)
        except (KeyError, SingleFileComponentError) as error:
            raise ValueError(
                f"{path} lacks weights of an SDXL model ({first_line(error)}); {_again(str(path))}"
            ) from None
    encoders = {part: getattr(pipeline, part) for part in ("text_encoder", "text_encoder_2")}
    weights_check.check_single(path, encoders, dtype)
    return pipeline


@contextlib.contextmanager
def _unfinished(path: Path, part: str, dtype: torch.dtype) -> Iterator[None]:
    """Name the weights that a file lacks where diffusers says only that it cannot copy what is not there."""
    try:
        yield
    except NotImplementedError as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            module = frame.f_locals.get("self")
            if isinstance(module, torch.nn.Module):
                weights_check.check_single(path, {part: module}, dtype)
        raise


@contextlib.contextmanager
def _damage(source: str, part: str = "") -> Iterator[None]:
    """Turn the errors of a damaged or foreign file into one error that says what to do."""
    from safetensors import SafetensorError

    where, again = f"{source}: {part}" if part else source, _again(source)
    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{where}: a weights file is damaged ({error}); {again}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: a configuration is damaged ({error}); {again}") from None
    except (ValueError, RuntimeError) as error:
        if "valid CLIP" in str(error):
            raise ValueError(f"{where}: a text encoder lacks weights; {again}") from None
        if not any(words in str(error) for words in _WRONG_SHAPE):
            raise
        raise ValueError(
            f"{where}: the weights have other shapes than the configuration states ({first_line(error)}); "
            f"{again}"
        ) from None
    except OSError as error:
        if any(word in str(error).lower() for word in _UNREADABLE):
            raise ValueError(f"{where}: a weights file is damaged ({first_line(error)}); {again}") from None
        raise


# What libraries say of files that are wrong.
_WRONG_SHAPE = ("expected shape", "size mismatch", "ignore_mismatched_sizes")
_UNREADABLE = ("deserializ", "corrupt", "incomplete", "unable to load weights")


def _again(source: str) -> str:
    if os.path.exists(source):
        return "copy it again"
    return f"delete it from the cache and run `{DOWNLOAD}` to fetch it again"


@contextlib.contextmanager
def memory(device: torch.device, doing: str, *caches: Any) -> Iterator[None]:
    """Turn an out-of-memory error into one that says what to do, and free memory.

    Args:
        device: Where memory may run out.
        doing: What the block does, for the message.
        caches: Called to free what can be made again.
    """
    try:
        yield
        return
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        text = first_line(error, "out of memory")
        # Its frames would keep every tensor in them alive for as long as anyone holds the error.
        traceback.clear_frames(error.__traceback__)
    for cache in caches:
        cache()
    free(device)
    raise MemoryError(
        f"{device} ran out of memory while {doing} ({text}). Everything painted is still there. "
        "Change one of these arguments of Painter.from_pretrained: dtype='auto' (16 bits on a GPU), "
        "release_text_encoders=True, cpu_offload=True (slow, but needs the least); "
        "or close other notebooks that use this device"
    )


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence what diffusers and transformers log while they load the embedded model."""
    import diffusers.utils.logging
    import transformers.utils.logging

    libraries = (diffusers.utils.logging, transformers.utils.logging)
    with quiet.ignoring(FutureWarning):  # one thread at a time, which these settings need too
        before = [library.get_verbosity() for library in libraries]
        for library in libraries:
            library.set_verbosity_error()
            library.disable_progress_bar()
        try:
            yield
        finally:
            for library, verbosity in zip(libraries, before, strict=True):
                library.set_verbosity(verbosity)
                library.enable_progress_bar()


def compile_blocks(unet: Any, **options: Any) -> None:
    """Compile the UNet's residual and transformer blocks in place.

    The pipeline's own pass and the staged one call the same modules, so both change in the same way.

    Args:
        unet: The UNet.
        options: As for `torch.compile`.
    """
    for module in unet.modules():
        if type(module).__name__ in ("ResnetBlock2D", "BasicTransformerBlock"):
            module.compile(**options)
