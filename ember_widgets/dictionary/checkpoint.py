"""A checkpoint: the tensors of an SAE file, and what lies in its header and beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.dictionary import tensor_files

UNIT_FILE = "unit.safetensors"
MEAN_FILE = "mean.pt"
CONFIG_FILES = ("cfg.json", "config.json")

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What a format reads an SAE from.

    Attributes:
        source: Its name in messages.
        tensors: By name, float32, on the CPU.
        sha256: Hash of the file, or of the tensors if there is no file.
        file: The file with the weights; None for a state dict in memory.
        header: The metadata in a safetensors file.
    """

    source: str
    tensors: dict[str, Tensor]
    sha256: str
    file: Path | None = None
    header: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_file(cls, file: Path, source: str) -> Checkpoint:
        """Read a file; nothing in it is run.

        Raises:
            ValueError: It is damaged or would run code.
        """
        header: dict[str, str] = {}
        content: Any
        if file.suffix == ".safetensors":
            content, header = tensor_files.load_safetensors(file)
        else:
            content = tensor_files.load_pickled(file)
            content = content.get("state_dict", content) if isinstance(content, Mapping) else {}
        return cls(source, _floats(content), tensor_files.sha256_of_file(file), file, header)

    @classmethod
    def of_state_dict(cls, state: Mapping[str, Any]) -> Checkpoint:
        """Take tensors that are in memory."""
        tensors = {name: torch.as_tensor(value).detach().cpu() for name, value in state.items()}
        return cls("a state dict", _floats(tensors), tensor_files.sha256_of_tensors(tensors))

    def has(self, *names: str) -> bool:
        """Whether there are tensors of all these names."""
        return set(names) <= self.tensors.keys()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration beside the weights, {} if there is none.

        Raises:
            ValueError: It is damaged.
        """
        for name in CONFIG_FILES:
            if self.file is not None and (path := self.file.parent / name).is_file():
                try:
                    content = json.loads(path.read_text("utf-8"))
                except (ValueError, RecursionError):
                    raise ValueError(f"{path} is not JSON, or cut off; download it again") from None
                return content if isinstance(content, dict) else {}
        return {}

    @cached_property
    def unit(self) -> Tensor | None:
        """Typical activations beside the weights, sdxl-unbox's or ours; None if there are none."""
        if self.file is None:
            return None
        ours, theirs = self.file.parent / UNIT_FILE, self.file.parent / MEAN_FILE
        if ours.is_file():
            return tensor_files.load_safetensors(ours)[0]["unit"].float()
        if theirs.is_file():
            mean = tensor_files.load_pickled(theirs)
            return mean.float() if isinstance(mean, Tensor) else None
        return None


def _floats(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in tensors.items() if isinstance(value, Tensor)}
