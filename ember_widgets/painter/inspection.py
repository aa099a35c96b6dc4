"""Inspection: what an SAE, and a scene's factors, make of every patch of one run at one site and step.

Shares are measured from the SAE's zero point: a patch without any feature decodes to b_dec, so all there is
to explain in a patch is ‖a − b_dec‖² (its *energy*). What the SAE leaves of it is ‖a − decode(encode(a))‖²,
and what the factors leave is ‖a − (S·H·W_dec + b_dec)‖². Over several patches the squares are added first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene.scene import GRID, Patches, Scene, patch_mask
from ember_widgets.util.checks import FloatArray

# Below this part of what one feature at its typical activation brings, all there is to explain is rounding.
NOTHING = 1e-3


class Inspecting(Protocol):
    """What plots and PatchInspector need of a painter; they use `labels`, `icon` and `saes` if there."""

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        """What the SAE and the factors make of every patch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """One run at one site and step, patch by patch.

    Attributes:
        site: Module path of the attention block.
        step: Sampling step, 0 is the first.
        begin: Where the site's features begin among the scene's; 0 at the first site.
        codes: (16, 16, n_features) float32 ≥ 0, the SAE's codes.
        energy: (16, 16) float64, ‖a − b_dec‖²: all there is to explain. 0 where it is only rounding.
        missed: (16, 16) float64, what the SAE leaves of it.
        missed_by_factors: (16, 16) float64, what the scene's factors leave of it; None at a site where they
            are none of its.
        unit: (n_features,) float32, each feature's typical activation.
        positional: Features that mark a place whatever the picture.
    """

    site: str
    step: int
    codes: FloatArray
    energy: NDArray[np.float64]
    missed: NDArray[np.float64]
    missed_by_factors: NDArray[np.float64] | None
    unit: FloatArray
    positional: tuple[int, ...] = ()
    begin: int = 0

    @classmethod
    def of(
        cls,
        sae: SAE,
        target: Tensor,
        *,
        site: str,
        step: int,
        begin: int = 0,
        scene: Scene | None = None,
    ) -> Inspection:
        """Inspect what an SAE encodes.

        Args:
            sae: The SAE of the site.
            target: (256, d_model) float32, the site's update or output, as the SAE has it.
            site: Module path of the site.
            step: Sampling step.
            begin: Where its features begin among the scene's.
            scene: Whose factors are to explain it too; None at a site that is not the scene's.
        """
        codes = sae.encode(target)
        active = (codes > 0).any(0).nonzero()[:, 0]  # a decoder of 10,240 rows is mostly not needed
        decoded = codes[:, active] @ sae.W_dec[active] + sae.b_dec
        energy = _squares(target - sae.b_dec)
        typical = float((sae.unit * sae.W_dec.norm(dim=1)).square().mean())
        missed_by_factors = None
        if scene is not None:
            strengths = torch.tensor(scene.strengths.reshape(GRID * GRID, -1), device=target.device)
            basis = torch.tensor(scene.basis[:, begin : begin + sae.n_features], device=target.device)
            made = strengths @ (basis @ sae.W_dec) + sae.b_dec
            missed_by_factors = _squares(target - made)
        return cls(
            site=site,
            step=step,
            codes=codes.reshape(GRID, GRID, -1).cpu().numpy(),
            energy=np.where(energy > NOTHING * typical, energy, 0.0),
            missed=_squares(target - decoded),
            missed_by_factors=missed_by_factors,
            unit=sae.unit.cpu().numpy(),
            positional=sae.positional,
            begin=begin,
        )

    @property
    def n_features(self) -> int:
        """How many features the SAE has."""
        return int(self.codes.shape[2])

    def labels(self, labels: Mapping[int, str]) -> dict[int, str]:
        """{feature of this site: text}, from {feature of the scene: text}."""
        here = range(self.begin, self.begin + self.n_features)
        return {feature - self.begin: text for feature, text in labels.items() if feature in here}

    @property
    def counts(self) -> NDArray[np.int64]:
        """(16, 16), how many features are active in each patch."""
        counts: NDArray[np.int64] = np.count_nonzero(self.codes, axis=2)
        return counts

    @property
    def strongest(self) -> NDArray[np.int64]:
        """(16, 16), the feature with the largest code in each patch; -1 where none is active."""
        return np.where(self.counts > 0, self.codes.argmax(axis=2), -1)

    def explained(self, patches: Patches = "everything", *, by_factors: bool = False) -> float:
        """The share of the energy that the SAE, or the scene's factors, explain.

        Args:
            patches: bool (16, 16), (row, col) pairs, or the name of an area.
            by_factors: The factors instead of the SAE.

        Returns:
            1.0 = all; below 0 where what was decoded is farther off than nothing at all; nan where there is
            nothing to explain.
        """
        missed = self._missed(by_factors)
        mask = patch_mask(patches)
        energy = self.energy[mask].sum()
        if not energy:
            return float("nan")
        mask = mask & (self.energy > 0)
        return float(1 - missed[mask].sum() / energy)

    def unexplained(self, *, by_factors: bool = False) -> NDArray[np.float64]:
        """(16, 16), the share of each patch's energy that is left, cut to 0..1; 0 where there is none."""
        missed = self._missed(by_factors)
        share = np.divide(missed, self.energy, out=np.zeros_like(missed), where=self.energy > 0)
        return share.clip(0, 1)

    def mean(self, patches: Patches) -> FloatArray:
        """(n_features,) mean codes of patches; zeros for no patch."""
        mask = patch_mask(patches)
        codes: FloatArray = self.codes[mask].sum(axis=0) / np.float32(max(1, mask.sum()))
        return codes

    def top(self, patches: Patches, n: int | None = None) -> dict[int, float]:
        """{feature: mean activation} of the features that are active in patches, strongest first."""
        codes = self.mean(patches)
        active = np.flatnonzero(codes)
        order = active[np.argsort(-codes[active], kind="stable")][:n]
        return {int(feature): float(codes[feature]) for feature in order}

    def similarity(self, patches: Patches) -> FloatArray:
        """(16, 16) cosine between the codes of each patch and the mean codes of ``patches``, 0..1."""
        codes = self.mean(patches)
        active = np.flatnonzero(codes)
        lengths = np.linalg.norm(self.codes, axis=2) * np.linalg.norm(codes)
        dots = self.codes[..., active] @ codes[active]
        cosine: FloatArray = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
        return cosine

    def change(self, before: Inspection) -> FloatArray:
        """(16, 16), how far the codes are from another run's: ‖codes − before‖ / the longer's length."""
        difference = np.linalg.norm(self.codes - before.codes, axis=2)
        lengths = np.maximum(np.linalg.norm(self.codes, axis=2), np.linalg.norm(before.codes, axis=2))
        share: FloatArray = np.divide(difference, lengths, out=np.zeros_like(difference), where=lengths > 0)
        return share

    def _missed(self, by_factors: bool) -> NDArray[np.float64]:
        if not by_factors:
            return self.missed
        if self.missed_by_factors is None:
            raise ValueError(
                f"the scene has no factors at {self.site}; ask for the SAE's share (by_factors=False), "
                "or inspect the site that the scene steers"
            )
        return self.missed_by_factors


def _squares(rows: Tensor) -> NDArray[np.float64]:
    """Squared length of each patch's vector, (16, 16)."""
    return rows.double().square().sum(1).reshape(GRID, GRID).cpu().numpy()
