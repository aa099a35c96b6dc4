"""A checkpoint: the tensors of an SAE file, and what lies in its header and beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.dictionary import tensor_files
from ember_widgets.dictionary.config import Config

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
        counters: Names of the tensors that were whole numbers, such as statistics of the training.
    """

    source: str
    tensors: dict[str, Tensor]
    sha256: str
    file: Path | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    counters: frozenset[str] = frozenset()

    @classmethod
    def of_file(cls, file: Path, source: str) -> Checkpoint:
        """Read a file; nothing in it is run.

        Raises:
            ValueError: It is damaged, would run code, or holds something else.
        """
        header: dict[str, str] = {}
        content: Any
        if file.suffix == ".safetensors":
            content, header = tensor_files.load_safetensors(file)
        else:
            content = tensor_files.load_pickled(file)
            content = content.get("state_dict", content) if isinstance(content, Mapping) else {}
            _check_names(content, str(file))
        digest = tensor_files.sha256_of_file(file)
        return cls(source, _floats(content), digest, file, header, _whole_numbers(content))

    @classmethod
    def of_state_dict(cls, state: Mapping[str, Any]) -> Checkpoint:
        """Take tensors that are in memory; as in a file, what else is there is left out.

        Raises:
            ValueError: They have no names.
        """
        inner = state.get("state_dict", state)
        _check_names(inner, "the state dict")
        tensors = {
            name: tensor.detach().cpu()
            for name, value in inner.items()
            if (tensor := _as_tensor(value)) is not None
        }
        digest = tensor_files.sha256_of_tensors(tensors)
        return cls("a state dict", _floats(tensors), digest, counters=_whole_numbers(tensors))

    def has(self, *names: str) -> bool:
        """Whether there are tensors of all these names."""
        return set(names) <= self.tensors.keys()

    @cached_property
    def config(self) -> Config:
        """The configuration beside the weights, an empty one if there is none.

        Raises:
            ValueError: It is damaged.
        """
        for name in CONFIG_FILES:
            if self.file is not None and (path := self.file.parent / name).is_file():
                return Config.of_file(path)
        return Config()

    @property
    def unit_file(self) -> Path | None:
        """The file with typical activations beside the weights, ours or sdxl-unbox's, or None."""
        if self.file is None:
            return None
        beside = (self.file.parent / name for name in (UNIT_FILE, MEAN_FILE))
        return next((path for path in beside if path.is_file()), None)

    @cached_property
    def unit(self) -> Tensor | None:
        """Typical activations beside the weights; None if there are none.

        Raises:
            ValueError: Their file is damaged, or holds something else.
        """
        path = self.unit_file
        if path is None:
            return None
        if path.name == UNIT_FILE:
            unit = tensor_files.load_safetensors(path)[0].get("unit")
        else:
            unit = tensor_files.load_pickled(path)
        if not isinstance(unit, Tensor) or unit.ndim != 1:
            raise ValueError(
                f"{path} does not hold one typical activation per feature; "
                "download it again, or delete it if it is something else"
            )
        return unit.float()


def _as_tensor(value: Any) -> Tensor | None:
    """A tensor, or what PyTorch makes one of, such as an array; None for anything else."""
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):  # which of them depends on what it is
        return None


def _check_names(content: Any, source: str) -> None:
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"{source} does not hold tensors by their names; give the state dict of an SAE")


def _whole_numbers(tensors: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        name for name, value in tensors.items() if isinstance(value, Tensor) and not value.is_floating_point()
    )


def _floats(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in tensors.items() if isinstance(value, Tensor)}
