"""An SAE together with what its file left open."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from ember_widgets.dictionary.formats.format import Open
from ember_widgets.dictionary.sae import SAE


@dataclass(frozen=True, eq=False, repr=False)
class LoadedSAE(SAE):
    """An SAE as its file describes it, and what the file does not say.

    It can be used wherever an `SAE` can. A painter measures what is open, on one picture (`calibration`).

    Attributes:
        alternatives: The other ways to read the file, less likely than this one; () where it is not open.
        unit_known: Whether the file says what `unit` is; if not, each painter measures it.
        measured: Which reading a painter chose, and the figures that decided; "" if nothing was measured.
    """

    alternatives: tuple[SAE, ...] = ()
    unit_known: bool = True
    measured: str = ""

    @property
    def is_open(self) -> bool:
        """Whether anything is left to measure."""
        return bool(self.alternatives) or not self.unit_known

    @property
    def open(self) -> Open:
        """What is written with it, so that what its file left open stays open."""
        return Open(self.alternatives, self.unit_known, self.measured)

    def to(self, device: torch.device | str) -> LoadedSAE:
        """The same SAE, with its alternatives, on another device."""
        moved = super().to(device)
        assert isinstance(moved, LoadedSAE)  # tells the type checker what dataclasses.replace returns
        return dataclasses.replace(moved, alternatives=tuple(other.to(device) for other in self.alternatives))

    def at(self, site: str) -> LoadedSAE:
        """The same SAE, with its alternatives, for another site."""
        others = tuple(other.at(site) for other in self.alternatives)
        return dataclasses.replace(self, site=site, alternatives=others)

    def __repr__(self) -> str:
        text = super().__repr__()
        return f"{text[:-1]}, {self.measured})" if self.measured else text
