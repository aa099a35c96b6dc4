"""A painter for PatchInspector's tests: real SAE arithmetic on made-up activations, no diffusion model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from ember_widgets.dictionary.factors import Factors
from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.labels import Labels
from ember_widgets.painter.inspection import Inspection
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene

SITE = "down_blocks.2.attentions.1"
BEHIND = "mid_block.attentions.0"
LABELS = {0: "sky", 1: "lion", 2: "<b>meadow</b>"}


def make_sae(d_model: int = 12, n_features: int = 40, k: int = 3, site: str = SITE, seed: int = 0) -> SAE:
    """A random SAE with tied, unit-length directions."""
    generator = torch.Generator().manual_seed(seed)
    decoder = torch.randn(n_features, d_model, generator=generator)
    decoder = decoder / decoder.norm(dim=1, keepdim=True)
    return SAE(
        W_enc=decoder.T.contiguous(),
        b_enc=torch.zeros(n_features),
        W_dec=decoder,
        b_dec=0.1 * torch.randn(d_model, generator=generator),
        activation="topk",
        k=k,
        threshold=None,
        target="update",
        site=site,
        unit=torch.full((n_features,), 2.0),
        positional=(n_features - 1,),
    )


class StillPainter:
    """Its activations stand still: random at each site and step, an edit adds S·H − S0·H0 to the site's.

    Attributes:
        saes: {site: SAE}, the steered one first.
        activations: {(site, step): (256, d_model)} of the unedited run.
    """

    def __init__(
        self,
        d_model: int = 12,
        n_features: int = 40,
        k: int = 3,
        n_steps: int = 2,
        grid: Grid = Grid(),  # noqa: B008
    ) -> None:
        self.grid = grid
        self.labels = Labels(LABELS)
        self.saes = {
            site: make_sae(d_model, n_features, k, site, seed) for seed, site in enumerate((SITE, BEHIND))
        }
        generator = torch.Generator().manual_seed(7)
        self.activations = {
            (site, step): torch.randn(grid.n_patches, d_model, generator=generator)
            for site in self.saes
            for step in range(n_steps)
        }
        self.drawn: list[int] = []
        self.rendered: list[Scene] = []

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 3) -> Scene:
        sae = self.saes[SITE]
        codes = sae.encode(self.activations[SITE, 0]).reshape(*self.grid.shape, -1).numpy()
        factors = Factors.fit(codes, n_factors)
        return self._scene(factors.strengths, factors.basis, prompt, seed, n_steps)

    def blank(self, n_steps: int = 1) -> Scene:
        n_features = self.saes[SITE].n_features
        return self._scene(np.zeros((*self.grid.shape, 0)), np.zeros((0, n_features)), "", 0, n_steps)

    def _scene(self, strengths: Any, basis: Any, prompt: str, seed: int, n_steps: int) -> Scene:
        n_factors = len(basis)
        return Scene(
            prompt=prompt,
            seed=seed,
            n_steps=n_steps,
            strengths=strengths,
            remainder=np.ones(self.grid.shape, np.float32),
            basis=basis,
            names=tuple(f"part {f}" for f in range(n_factors)),
            colors=palette(n_factors),
            base_strengths=strengths,
            base_basis=basis,
            unit=self.saes[SITE].unit.numpy(),
            model={"id": "still", "sae": "still", "site": SITE},
        )

    def render(self, scene: Scene) -> Image.Image:
        self.rendered.append(scene)
        values = np.resize((60 * scene.strengths.sum(-1)).clip(0, 255), self.grid.shape)
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")

    def icon(self, feature: int) -> Image.Image:
        self.drawn.append(feature)
        return Image.new("RGB", (32, 32), (feature % 256, 90, 160))

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        return [self.icon(feature) for feature in features]

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        if scene.model.get("sae") != "still":
            raise ValueError(f"this scene was made with SAE {scene.model.get('sae')!r}; load its painter")
        site = SITE if site is None else site
        sae, target = self.saes[site], self.activations[site, step]
        if edited:
            change = self._change(scene)
            # Further on, an edit arrives turned: what becomes of it is the model's matter.
            target = target + (change if site == SITE else change.roll(1, dims=1) / math.sqrt(2))
        return Inspection.of(
            sae,
            target,
            site=site,
            step=step,
            space=FeatureSpace.of({SITE: self.saes[SITE].n_features, site: sae.n_features}),
            scene=scene if site == SITE else None,
            grid=self.grid,
        )

    def _change(self, scene: Scene) -> torch.Tensor:
        made = scene.strengths.astype(float) @ scene.basis - scene.base_strengths @ scene.base_basis
        return (
            torch.tensor(made.reshape(self.grid.n_patches, -1), dtype=torch.float32) @ self.saes[SITE].W_dec
        )
