"""Tensors in files: safetensors, pickled ones read without running code, and their hashes."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.util import files

MAX_REPEATED = 4
"""How many times as large as its file the tensors may be; tied weights count twice."""


def load_pickled(file: Path) -> Any:
    """What torch.save wrote, if it is nothing but tensors and plain containers.

    Raises:
        ValueError: The file is damaged, or would run code.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # it cannot be opened
        reason = _reason(error)
        raise ValueError(
            f"{file} cannot be read as plain tensors ({reason}); files that run code are refused. "
            "If it was cut off, download it again; if it is a whole pickled model, save its state_dict()"
        ) from None
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in _tensors_in(content))
    stored = file.stat().st_size
    # A view can repeat one number any number of times, and every copy of it would be as large as it claims.
    if claimed > MAX_REPEATED * stored:
        raise ValueError(
            f"{file} has {stored:,} bytes, but its tensors claim {claimed:,}: they repeat what is stored; "
            "save contiguous tensors (tensor.contiguous())"
        )
    return content


def _reason(error: Exception) -> str:
    """Why a pickled file was not read. PyTorch itself explains how to run the code in it all the same."""
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it calls {found[1]}"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _tensors_in(content: Any) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _tensors_in(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _tensors_in(value)


def load_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and its metadata.

    Raises:
        ValueError: It is damaged, or not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, f.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{file} is not a readable safetensors file ({error}); it was cut off or is something else: "
            "download it again, or write it with save_sae"
        ) from None


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a safetensors file, all or nothing."""
    from safetensors.torch import save_file

    with files.replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)
    return path


def sha256_of_file(file: Path) -> str:
    """Of all its bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Of names and values, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].float().contiguous().numpy().tobytes())
    return digest.hexdigest()
