"""The starts of the last runs: each further edit of a picture costs only what comes after the site.

They are kept only while the model stays as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from ember_widgets.model.backbone import Backbone
from ember_widgets.model.runs import Run, Start

N_KEPT = 8
"""How many starts there is room for at least, if no number of bytes is given."""


class Starts:
    """Starts runs, and keeps those that were used last, up to a number of bytes.

    Args:
        backbone: What runs are started on.

    Attributes:
        backbone: As given.
        memory: Bytes that kept starts may take; the newest one is kept whatever it takes. None = what 8
            starts take that are as large as the largest that is kept.
    """

    def __init__(self, backbone: Backbone[Any]) -> None:
        self.backbone = backbone
        self.memory: int | None = None
        self._kept: OrderedDict[tuple[Any, ...], Start] = OrderedDict()
        self._taken = Memory()
        self._last: tuple[tuple[Any, ...], Start] | None = None
        self._version: object = None

    @property
    def n_bytes(self) -> int:
        """What the kept starts take. A tensor that several of them hold counts once."""
        return self._taken.n_bytes

    def of(self, run: Run, *, keep: bool = True) -> Start:
        """The start of a run.

        Args:
            run: The run.
            keep: Keep it, and forget the oldest ones for it. False = only until the next that is not kept:
                many seeds that are drawn once would push out the picture that is being painted.
        """
        version = self.backbone.version()
        if version is None:
            start: Start = self.backbone.start(run)
            return start
        if version != self._version:
            self.clear()
            self._version = version
        key = run.key
        if not keep and key not in self._kept:
            last = self._last
            if last is None or last[0] != key:
                last = self._last = key, self.backbone.start(run)
                self._version = self.backbone.version()
            return last[1]
        if key not in self._kept:
            self._keep(key, self.backbone.start(run))
            self._version = self.backbone.version()  # a first run may leave traces in the model
        self._kept.move_to_end(key)
        return self._kept[key]

    def release(self) -> None:
        """Free the start that was not to be kept."""
        self._last = None

    def clear(self) -> None:
        """Free all that is kept."""
        self._kept.clear()
        self._taken = Memory()
        self._last = None

    def _keep(self, key: tuple[Any, ...], start: Start) -> None:
        self._kept[key] = start
        self._taken.add(start)
        while len(self._kept) > 1 and self._taken.n_bytes > self._allowed():
            self._taken.remove(self._kept.popitem(last=False)[1])

    def _allowed(self) -> int:
        if self.memory is not None:
            return self.memory
        return N_KEPT * max(map(n_bytes, self._kept.values()))


class Memory:
    """Counts the memory of the tensors in several values; what they share counts once.

    Attributes:
        n_bytes: What all of them take.
    """

    def __init__(self) -> None:
        self.n_bytes = 0
        self._holders: dict[tuple[str, int], int] = {}

    def add(self, value: Any) -> None:
        """Count a value."""
        for where, size in _storages(value).items():
            self.n_bytes += 0 if self._holders.get(where) else size
            self._holders[where] = self._holders.get(where, 0) + 1

    def remove(self, value: Any) -> None:
        """Count a value no more that was added before, and is still there."""
        for where, size in _storages(value).items():
            self._holders[where] -= 1
            if not self._holders[where]:
                del self._holders[where]
                self.n_bytes -= size


def n_bytes(value: Any) -> int:
    """How much memory the tensors in a value take, in bytes; what they share counts once."""
    return sum(_storages(value).values())


def _storages(value: Any) -> dict[tuple[str, int], int]:
    """{device and address of memory that tensors lie in: its bytes}."""
    found = {}
    for tensor in _tensors(value):
        storage = tensor.untyped_storage()
        found[str(tensor.device), storage.data_ptr()] = storage.nbytes()
    return found


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in dataclasses, mappings, tuples and lists, as backbones make their starts of."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _tensors(getattr(value, one.name))
