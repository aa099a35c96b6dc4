"""Whether a loaded network has the weights that its files hold: all of them, and no others.

A library that does not know the names in a file leaves the network's weights as they were initialised, which
are random numbers, and at most logs it. So names are compared, and some values of each weight, which also
finds weights that a library dropped. Only a few memory pages of each weight are read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

N_COMPARED = 8
"""How many rows of a weight are looked at."""
PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": "conditioner.embedders.0.transformer.",
    "text_encoder_2": "conditioner.embedders.1.model.",
}
"""How the names of a part's weights begin in a single file."""
# Saved by older versions, or belonging to the parts of CLIP and of the VAE's training that SDXL does not use.
_UNUSED = re.compile(
    r"(.*\.)?position_ids|logit_scale|visual_projection\..*|vision_model\..*|text_projection\..*|loss\..*"
)
# What attention layers of a VAE were called before diffusers 0.17.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def check_part(
    source: str, part: str, module: Any, files: Sequence[Path], dtype: torch.dtype, again: str
) -> None:
    """Compare a network with its safetensors files, name by name.

    Args:
        source: What the model is called, for the message.
        part: What it is called, such as "unet".
        module: The network, in main memory.
        files: All files of its weights.
        dtype: What it was loaded as.
        again: What to do if the files lack weights, for the message.

    Raises:
        ValueError: Weights are missing in the files, are not part of the network, or were not loaded.
    """
    loaded = {_plain(name): tensor for name, tensor in module.state_dict().items()}
    missing = {name for name in loaded if not name.endswith("position_ids")}
    unknown, different = [], []
    for name, tensor in _tensors(files):
        own = loaded.get(_plain(name))
        missing.discard(_plain(name))
        if own is None:
            unknown += _used([name])
        elif own.shape != tensor.shape or _values(own, dtype) != _values(tensor, dtype):
            different.append(name)
    where = ", ".join(f"{file.parent.name}/{file.name}" for file in files)
    _refuse(f"{source}: {part} ({where})", sorted(missing), unknown, different, again)


def check_names(file: Path, parts: Iterable[str]) -> None:
    """Refuse a single file that has no weights of a part.

    Args:
        file: The file.
        parts: Such as "unet".

    Raises:
        ValueError: It lacks a part.
    """
    with safe_open(file, framework="pt") as opened:
        names = list(opened.keys())
    lacking = [part for part in parts if not any(name.startswith(PREFIXES[part]) for name in names)]
    if lacking:
        raise ValueError(
            f"{file} lacks {', '.join(lacking)} (no weight's name begins with "
            f"{' or '.join(PREFIXES[part] for part in lacking)}); "
            "give a file with the whole of an SDXL model"
        )


def check_single(file: Path, parts: Mapping[str, Any], dtype: torch.dtype) -> None:
    """Compare networks with the single file that all of them are from.

    Names and shapes differ there, so every weight is looked for by its values.

    Args:
        file: The file.
        parts: {"unet": network, ...}
        dtype: What they were loaded as.

    Raises:
        ValueError: As `check_part`.
    """
    held: dict[str, dict[bytes, list[str]]] = {part: defaultdict(list) for part in parts}
    for name, tensor in _tensors([file]):
        for part in parts:
            inner = name.removeprefix(PREFIXES[part])
            if inner != name:
                # One matrix there is queries, keys and values here.
                for piece in tensor.chunk(3) if ".in_proj_" in name else (tensor,):
                    held[part][_values(piece, dtype)].append(name)
    for part, module in parts.items():
        missing = []
        for name, tensor in module.state_dict().items():
            same = held[part].get(_values(tensor, dtype))
            if same:
                same.pop()
            elif not name.endswith("position_ids"):
                missing.append(name)
        unknown = _used({name for names in held[part].values() for name in names}, PREFIXES[part])
        _refuse(f"{file}: {part}", sorted(missing), unknown, [], "copy it again, or give another model")


def _tensors(files: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    for file in files:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (it cannot be iterated)
                yield name, opened.get_tensor(name)


def _used(names: Iterable[str], prefix: str = "") -> list[str]:
    """Those names that are not known to be of no use here."""
    return sorted(name for name in names if not _UNUSED.fullmatch(_plain(name.removeprefix(prefix))))


def _plain(name: str) -> str:
    """A weight's name as all versions of the libraries would write it."""
    name = name.removeprefix("text_model.")
    return ".".join(_OLD_ATTENTION.get(word, word) for word in name.split("."))


def _values(tensor: Tensor, dtype: torch.dtype) -> bytes:
    """The size of a weight and some of its values, the same if it is transposed or has axes of length 1."""
    if tensor.device.type == "meta":
        return b""  # never loaded
    first = torch.arange(min(N_COMPARED, *tensor.shape[:2])) if tensor.ndim else torch.arange(0)
    some = tensor[first, first] if tensor.ndim > 1 else tensor[first] if tensor.ndim else tensor
    # By way of its dtype, because libraries keep some weights in float32.
    return tensor.numel().to_bytes(8, "big") + some.detach().to(dtype).float().numpy().tobytes()


def _refuse(
    where: str, missing: Sequence[str], unknown: Sequence[str], different: Sequence[str], again: str
) -> None:
    found = [
        (missing, "are missing in the file"),
        (unknown, "of the file are unknown to its configuration"),
        (different, "of the file were not loaded"),
    ]
    faults = [f"{len(names)} weights {what} ({_few(names)})" for names, what in found if names]
    if not faults:
        return
    advice = again if missing or unknown else "upgrade diffusers and transformers, which do not read them"
    raise ValueError(f"{where}: {'; '.join(faults)}; {advice}")


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], "..."] if len(names) > 3 else names)
