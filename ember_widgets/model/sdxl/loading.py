"""Loading a pipeline: from the hub, a folder or a single file, to fit the device."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ember_widgets.model.placement import free
from ember_widgets.model.sdxl.staged_unet import latent_side
from ember_widgets.util.hub import DOWNLOAD, Hub, Listing, repo_in

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
CONFIG_REPO = "stabilityai/sdxl-turbo"
COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
WITH_WEIGHTS = ("unet", "vae", "text_encoder", "text_encoder_2")
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
    if device.type == "cpu":
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older torch
        fast = any(capabilities.get(units) for units in ("amx_bf16", "avx512_bf16"))
        return torch.bfloat16 if fast else torch.float32
    # From compute capability 8 on (A100, RTX 30). A T4 only emulates bfloat16; a Mac is faster in float16.
    fast = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
    return torch.bfloat16 if fast else torch.float16


def memory_is_short(device: torch.device) -> bool:
    """Whether the GPU holds too little for text encoders, UNet and VAE at once."""
    if device.type != "cuda":
        return False
    return bool(torch.cuda.get_device_properties(device).total_memory / 2**30 < SHORT_GIB)


def pipeline_files(sizes: Mapping[str, int], variant: str | None) -> list[str]:
    """Which files of a repository in diffusers' layout make the pipeline; weights once, as safetensors.

    Args:
        sizes: The repository's files.
        variant: Such as "fp16": used for each part that has it; else the plain weights.
    """
    wanted = ["model_index.json"] if "model_index.json" in sizes else []
    for part in COMPONENTS:
        inside = [f for f in sizes if f.startswith(f"{part}/") and f.count("/") == 1]
        weights = [f for f in inside if f.endswith((".safetensors", ".safetensors.index.json"))]
        of_variant = [f for f in weights if variant and f".{variant}" in f]
        plain = [f for f in weights if f.split("/")[1].split(".")[0].split("-0")[0] in _PLAIN_NAMES]
        plain = [f for f in plain if not _variant_of(f)]
        wanted += of_variant or plain
        wanted += [f for f in inside if f.endswith((".json", ".txt")) and f not in weights]
    return [f for f in wanted if not f.endswith(".index.json") or f in wanted]


_PLAIN_NAMES = {"diffusion_pytorch_model", "model"}


def _variant_of(file: str) -> str:
    """ "fp16" in "model.fp16.safetensors" or "model.fp16-00001-of-00002.safetensors"; "" in plain ones."""
    inner = file.split("/")[-1].removesuffix(".index.json").removesuffix(".safetensors")
    return inner.split(".", 1)[1].split("-0")[0] if "." in inner else ""


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
        variant: "fp16" weights where the model has them; "auto" = for 16-bit dtypes; None = the plain ones.
        vae: Hub id or folder of another VAE.
        config: For a single file: hub id or folder with the configurations and tokenizers.
        move: Put it on the device; False leaves it in main memory.

    Raises:
        FileNotFoundError, PermissionError, ConnectionError: See `Hub`.
        ValueError: A wrong revision, damaged files, a model that is not of SDXL's family, or a size that the
            UNet cannot halve.
    """
    if variant == "auto":
        variant = None if dtype == torch.float32 else "fp16"
    path = Path(model)
    parts: dict[str, Any] = {}
    if vae is not None:
        parts["vae"] = load_vae(vae, dtype, hub)
    with _damage(str(model)):
        if path.is_file():
            pipeline = _single_file(path, config or CONFIG_REPO, dtype, hub, parts)
            commit = ""
        else:
            folder, commit, has_variant = _folder(model, hub, revision, variant)
            pipeline = _from_folder(folder, dtype, variant if has_variant else None, parts)
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
    with _damage(str(source)):
        name = json.loads((folder / "config.json").read_text("utf-8")).get("_class_name", "AutoencoderKL")
        if name not in ("AutoencoderKL", "AutoencoderTiny"):
            raise ValueError(f"{source} is a {name}; give an AutoencoderKL or AutoencoderTiny")
        return getattr(diffusers, name).from_pretrained(folder, torch_dtype=dtype, local_files_only=True)


def vae_files(sizes: Mapping[str, int]) -> list[str]:
    """The files of a VAE that has a repository of its own."""
    return [f for f in ("config.json", "diffusion_pytorch_model.safetensors") if f in sizes]


def config_files(sizes: Mapping[str, int]) -> list[str]:
    """The small files of a pipeline: everything but weights."""
    return [f for f in pipeline_files(sizes, None) if not f.endswith((".safetensors", ".index.json"))]


def _vae_folder(source: str | os.PathLike[str], hub: Hub) -> Path:
    if Path(source).is_dir():
        return Path(source)
    named = repo_in(source) if isinstance(source, str) else None
    if named is None:
        raise FileNotFoundError(f"no VAE at {str(source)!r}; give a folder or a hub id 'owner/name'")
    listing = hub.listing(named[0])
    wanted = vae_files(listing.sizes)
    if len(wanted) < 2:
        raise ValueError(
            f"{source} is not a VAE (config.json and diffusion_pytorch_model.safetensors are needed)"
        )
    return hub.fetch(listing, wanted)


def _folder(
    model: str | os.PathLike[str], hub: Hub, revision: str | None, variant: str | None
) -> tuple[Path, str, bool]:
    """Where the pipeline's files lie, their commit, and whether some of them are of the variant."""
    path = Path(model)
    if path.is_dir():
        if not (path / "model_index.json").is_file():
            raise ValueError(
                f"{path} has no model_index.json; give a folder in diffusers' layout, or a .safetensors file"
            )
        sizes = {f.relative_to(path).as_posix(): f.stat().st_size for f in path.rglob("*") if f.is_file()}
        listing = Listing(str(path), sizes, "", folder=path)
    else:
        named = repo_in(model) if isinstance(model, str) else None
        if named is None or named[1]:
            raise FileNotFoundError(
                f"no model at {str(model)!r}; give a hub id 'owner/name', a folder in diffusers' layout, "
                "or a .safetensors file"
            )
        listing = hub.listing(named[0], revision)
    wanted = pipeline_files(listing.sizes, variant)
    missing = [
        p
        for p in WITH_WEIGHTS
        if not any(f.startswith(f"{p}/") and f.endswith(".safetensors") for f in wanted)
    ]
    if "model_index.json" not in wanted or missing:
        lacking = (
            "model_index.json" if "model_index.json" not in wanted else f"the weights of {', '.join(missing)}"
        )
        cached = " in the cache" if hub.offline or listing.folder not in (None, path) else ""
        how = f"run `{DOWNLOAD}` where there is a network" if cached else "give one in diffusers' layout"
        raise ValueError(f"{model} lacks {lacking}{cached} (as safetensors); {how}")
    folder = hub.fetch(listing, wanted, revision)
    return folder, listing.commit, any(variant and _variant_of(f) == variant for f in wanted)


def _from_folder(folder: Path, dtype: torch.dtype, variant: str | None, parts: dict[str, Any]) -> Any:
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline.from_pretrained(
        folder, torch_dtype=dtype, use_safetensors=True, variant=variant, local_files_only=True, **parts
    )


def _single_file(
    path: Path, config: str | os.PathLike[str], dtype: torch.dtype, hub: Hub, parts: dict[str, Any]
) -> Any:
    from diffusers import StableDiffusionXLPipeline

    if path.suffix != ".safetensors":
        raise ValueError(f"{path} is not a .safetensors file; other files can run code and are refused")
    folder = Path(config)
    if not folder.is_dir():
        named = repo_in(str(config))
        if named is None:
            raise FileNotFoundError(f"no configuration at {str(config)!r}; give a folder or a hub id")
        listing = hub.listing(named[0])
        folder = hub.fetch(listing, config_files(listing.sizes))
    return StableDiffusionXLPipeline.from_single_file(
        str(path), config=str(folder), torch_dtype=dtype, local_files_only=True, **parts
    )


@contextlib.contextmanager
def _damage(source: str) -> Iterator[None]:
    """Turn the errors of a damaged or foreign file into one error that says what to do."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{source}: a weights file is damaged ({error}); {_again(source)}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{source}: a configuration is damaged ({error}); {_again(source)}") from None
    except OSError as error:
        text = str(error)
        if any(
            word in text.lower() for word in ("deserializ", "corrupt", "incomplete", "unable to load weights")
        ):
            line = text.strip().splitlines()[0]
            raise ValueError(f"{source}: a weights file is damaged ({line}); {_again(source)}") from None
        raise


def _again(source: str) -> str:
    if Path(source).exists():
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
        text = (str(error).strip().splitlines() or ["out of memory"])[0][:160]
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
    before = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
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
