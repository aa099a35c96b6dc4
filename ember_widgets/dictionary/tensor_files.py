"""Tensors in files: safetensors, pickled ones read without running code, and their hashes."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ember_widgets.util import files, user_folders

MAX_REPEATED = 4
"""How many times as large as its file the tensors may be; tied weights count twice."""


def load_pickled(file: Path) -> Any:
    """What torch.save wrote, if it is nothing but tensors and plain containers.

    Raises:
        ValueError: The file is damaged, or would run code.
    """
    stored = file.stat().st_size
    try:
        with files.opened(file) as stream:
            _check_unpacked(stream, stored)
            content = torch.load(stream, map_location="cpu", weights_only=True)
        tensors = list(_tensors_in(content))
    except Exception as error:  # damaged pickles raise anything
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise ValueError(
            f"{file} cannot be read as plain tensors ({_reason(error)}); files that run code are refused. "
            "If it was cut off, download it again; if it is a whole pickled model, save its state_dict()"
        ) from None
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
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


def _check_unpacked(stream: BinaryIO, stored: int) -> None:
    """Refuse an archive that unpacks to more than it has: torch packs nothing, and would unpack all of it."""
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > stored:
                raise ValueError("its archive is compressed, which torch.save does not do")
    stream.seek(0)


def _tensors_in(content: Any) -> Iterator[Tensor]:
    """Every tensor in nested containers; those that are held twice come once."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
                raise ValueError(f"it holds a tensor of another kind ({value.layout}, {value.device})")
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple)):
            waiting.extend(value)


def load_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and its metadata.

    Raises:
        ValueError: It is damaged, or not a safetensors file.
    """
    from safetensors import safe_open

    files.opened(file).close()  # not a pipe, and it can be read
    try:
        with safe_open(file, framework="pt") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, f.metadata() or {}  # noqa: SIM118
    except Exception as error:  # SafetensorError; an empty file gives others
        raise ValueError(
            f"{file} is not a readable safetensors file ({error}); it was cut off or is something else: "
            "download it again, or write it with save_sae"
        ) from None


def header_of(path: Path) -> dict[str, str]:
    """What the header of a safetensors file says besides tensors; {} if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (OSError, SafetensorError):
        return {}


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a safetensors file, all or nothing."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Copies, because safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    with files.replacing(path) as temporary:
        try:
            save_file(copies, temporary, metadata=metadata)
        except SafetensorError as error:  # a full disk, for instance
            raise OSError(f"cannot write {path}: {error}; {user_folders.advice(path)}") from error
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
