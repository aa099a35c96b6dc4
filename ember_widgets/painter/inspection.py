"""Inspection: how an SAE, and a scene's factors, explain every patch of one run at one site and step.

Shares are measured from the SAE's zero point: a patch without any feature decodes to b_dec, so all there is
to explain in a patch is ‖a − b_dec‖² (its *energy*). What the SAE leaves of it is ‖a − decode(encode(a))‖²,
and what the factors leave is ‖a − (S·H·W_dec + b_dec)‖². Over several patches the squares are added first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid, Patches
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray, count, shown

if TYPE_CHECKING:  # an inspection that came from a server is read without torch
    from torch import Tensor

    from ember_widgets.dictionary.sae import SAE

ROUNDING_SHARE = 1e-3
"""Energy below this share of what one feature contributes at its typical activation is only rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """One run at one site and step, patch by patch.

    Attributes:
        site: Module path of the attention block.
        step: Sampling step, 0 is the first.
        space: Which features are the site's among all that have labels: those of the scene's sites, and the
            site's own after them if the scene does not steer it.
        codes: (rows, cols, n_features) float32 ≥ 0, the SAE's codes.
        energy: (rows, cols) float64, ‖a − b_dec‖²: all there is to explain. 0 where it is only rounding.
        missed: (rows, cols) float64, how much of it the SAE does not explain.
        missed_by_factors: (rows, cols) float64, how much of it the scene's factors do not explain;
            None at a site that they do not belong to.
        unit: (n_features,) float32, each feature's typical activation.
        positional: Features that mark a place whatever the picture shows.
    """

    site: str
    step: int
    codes: FloatArray
    energy: NDArray[np.float64]
    missed: NDArray[np.float64]
    missed_by_factors: NDArray[np.float64] | None
    unit: FloatArray
    space: FeatureSpace
    positional: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        sae: SAE,
        target: Tensor,
        *,
        site: str,
        step: int,
        space: FeatureSpace | None = None,
        scene: Scene | None = None,
        grid: Grid = Grid(),  # noqa: B008  (it is immutable)
    ) -> Inspection:
        """Inspect what an SAE encodes.

        Args:
            sae: The SAE of the site.
            target: (n_patches, d_model) float32, the site's update or output, as the SAE has it.
            site: Module path of the site.
            step: Sampling step.
            space: The feature space, see above; None = only this site's features.
            scene: The scene whose factors are to explain it too; None at a site that it does not steer.
            grid: Rows and columns of patches.
        """
        import torch

        space = FeatureSpace((site,), (sae.n_features,)) if space is None else space

        def squares(rows: Tensor) -> NDArray[np.float64]:
            """Squared length of each patch's vector."""
            return rows.double().square().sum(1).reshape(grid.shape).cpu().numpy()

        codes = sae.encode(target)
        active = (codes > 0).any(0).nonzero()[:, 0]  # most of the 10,240 rows of a decoder are not needed
        decoded = codes[:, active] @ sae.W_dec[active] + sae.b_dec
        energy = squares(target - sae.b_dec)
        typical = float((sae.unit * sae.W_dec.norm(dim=1)).square().mean())
        missed_by_factors = None
        if scene is not None:
            strengths = torch.tensor(scene.strengths.reshape(grid.n_patches, -1), device=target.device)
            basis = torch.tensor(scene.basis[:, space.columns(site)], device=target.device)
            made = strengths @ (basis @ sae.W_dec) + sae.b_dec
            missed_by_factors = squares(target - made)
        return cls(
            site=site,
            step=step,
            codes=codes.reshape(*grid.shape, -1).cpu().numpy(),
            energy=np.where(energy > ROUNDING_SHARE * typical, energy, 0.0),
            missed=squares(target - decoded),
            missed_by_factors=missed_by_factors,
            unit=sae.unit.cpu().numpy(),
            positional=sae.positional,
            space=space,
        )

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches."""
        return Grid(*self.energy.shape)

    @property
    def begin(self) -> int:
        """The scene's index of the site's first feature; 0 at the first site."""
        begin: int = self.space.columns(self.site).start
        return begin

    @property
    def n_features(self) -> int:
        """How many features the SAE has."""
        return int(self.codes.shape[2])

    def labels(self, labels: Mapping[int, str]) -> dict[int, str]:
        """{feature of this site: text}, from {feature of the scene: text}."""
        found = {}
        for feature, text in labels.items():
            if 0 <= feature < self.space.n_features:
                site, index = self.space.locate(feature)
                if site == self.site:
                    found[index] = text
        return found

    @property
    def counts(self) -> NDArray[np.int64]:
        """(rows, cols), how many features are active in each patch."""
        counts: NDArray[np.int64] = np.count_nonzero(self.codes, axis=2)
        return counts

    @property
    def strongest(self) -> NDArray[np.int64]:
        """(rows, cols), the feature with the largest code in each patch; -1 where none is active."""
        return np.where(self.counts > 0, self.codes.argmax(axis=2), -1)

    def explained(self, patches: Patches = "everything", *, by_factors: bool = False) -> float:
        """The share of the energy that the SAE explains, or that the scene's factors explain.

        Args:
            patches: Bool (rows, cols), (row, col) pairs, or the name of an area.
            by_factors: The factors instead of the SAE.

        Returns:
            1.0 = all of it; negative if what was decoded is farther away than b_dec alone; nan if there is
            nothing to explain.
        """
        missed = self._missed(by_factors)
        mask = self.grid.mask(patches)
        energy = self.energy[mask].sum()
        if not energy:
            return float("nan")
        mask = mask & (self.energy > 0)
        return float(1 - missed[mask].sum() / energy)

    def unexplained(self, *, by_factors: bool = False) -> NDArray[np.float64]:
        """(rows, cols), each patch's unexplained share of energy, clipped to 0..1; 0 if it has none."""
        missed = self._missed(by_factors)
        share = np.divide(missed, self.energy, out=np.zeros_like(missed), where=self.energy > 0)
        return share.clip(0, 1)

    def mean(self, patches: Patches) -> FloatArray:
        """(n_features,) mean codes of patches; zeros for no patch."""
        mask = self.grid.mask(patches)
        codes: FloatArray = self.codes[mask].sum(axis=0) / np.float32(max(1, mask.sum()))
        return codes

    def top(self, patches: Patches, n: int | None = None) -> dict[int, float]:
        """The features that are active in patches, strongest first.

        Args:
            patches: Bool (rows, cols), (row, col) pairs, or the name of an area.
            n: How many at most, 1 or more; None = all.

        Returns:
            {feature: mean activation}.

        Raises:
            TypeError, ValueError: Not patches, or not such a number.
        """
        if n is not None:
            n = count("n", n, hint="leave it out for all features")
        codes = self.mean(patches)
        active = np.flatnonzero(codes)
        order = active[np.argsort(-codes[active], kind="stable")][:n]
        return {int(feature): float(codes[feature]) for feature in order}

    def similarity(self, patches: Patches) -> FloatArray:
        """(rows, cols) cosine between the codes of each patch and the mean codes of ``patches``, 0..1."""
        codes = self.mean(patches)
        active = np.flatnonzero(codes)
        lengths = np.linalg.norm(self.codes, axis=2) * np.linalg.norm(codes)
        dots = self.codes[..., active] @ codes[active]
        cosine: FloatArray = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
        return cosine

    def change(self, before: Inspection) -> FloatArray:
        """(rows, cols), how much the codes differ from another run's: ‖codes − before‖ / the larger norm.

        Raises:
            TypeError: It is not an Inspection.
            ValueError: It is of another site or SAE.
        """
        if not isinstance(before, Inspection):
            raise TypeError(f"before={shown(before)} is not an Inspection; give painter.inspect(scene)")
        if (before.site, before.codes.shape) != (self.site, self.codes.shape):
            theirs, ours = (f"{one.n_features} features at {one.site}" for one in (before, self))
            raise ValueError(
                f"before has {theirs} on a grid of {before.grid}, but this one {ours} on a grid of "
                f"{self.grid}; inspect both runs at the same site, with the same model and SAE"
            )
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
