"""What a painter can make of a scene besides its picture: other factors, other seeds, a sheet of both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.dictionary.factors import Factors
from ember_widgets.painter.refit import refitted, reseeded
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.contact_sheet import contact_sheet

GAINS = (0.0, 0.5, 1.0, 1.5, 2.0)
N_SEEDS = 3
MAX_PICTURES = 400


class Variations:
    """The part of a `Painter` that varies scenes."""

    @abstractmethod
    def activations(self, scene: Scene) -> NDArray[np.float32]:
        """SAE codes of the scene's unedited run."""

    @abstractmethod
    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""

    @abstractmethod
    def _apart(self, scene: Scene, n_factors: int) -> tuple[Factors, list[str]]:
        """Other factors of the scene's unedited picture, and names for them."""

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        """Take a scene's picture apart into another number of factors, and keep what was painted.

        Patches nobody painted stay exactly as they are; painted ones get the new factors' strengths that come
        nearest to what was painted there (non-negative least squares). Added and reweighted factors stay.
        Factors that resemble old ones keep their names and colours.

        Args:
            scene: As painted.
            n_factors: How many, 1..256 (3..8 reads best); a picture with fewer features gives fewer.

        Raises:
            TypeError, ValueError: No such number, or a scene of another model, site or SAE.
        """
        factors, names = self._apart(scene, n_factors)
        return refitted(scene, factors, names)

    def reseed(self, scene: Scene, seed: int) -> Scene:
        """Have the same painting on the noise of another seed.

        Args:
            scene: As painted.
            seed: 0..2**63-1.

        Returns:
            The scene with the same strengths. What the other seed would have composed by itself is taken out,
            its unexplained remainder too.

        Raises:
            TypeError, ValueError: No seed, or a scene of another model, site or SAE.
        """
        seed = checks.seed(seed)
        if seed == scene.seed:
            return scene
        return reseeded(scene, seed, self.activations(scene.replace(seed=seed)))

    def sweep(
        self,
        scene: Scene,
        factor: int | str,
        gains: Sequence[float] = GAINS,
        *,
        seeds: Sequence[int] | None = None,
        side: int = 192,
    ) -> Image.Image:
        """A contact sheet: one factor at several strengths, in columns, for several seeds, in rows.

        Args:
            scene: As painted.
            factor: Index or name.
            gains: What the factor's strengths are multiplied by.
            seeds: See `reseed`; None = the scene's own and the next two.
            side: Width and height of each picture, in pixels.

        Returns:
            RGB.

        Raises:
            TypeError, ValueError: An unknown factor, no gains, no seeds, or more than 400 pictures.
        """
        if seeds is None:
            seeds = [seed for seed in range(scene.seed, scene.seed + N_SEEDS) if seed < 2**63]
        if not 0 < len(gains) * len(seeds) <= MAX_PICTURES:
            raise ValueError(
                f"{len(gains)} gains × {len(seeds)} seeds: give at least one of each, "
                f"and {MAX_PICTURES} pictures at most"
            )
        swept = [
            [other.scale(factor, gain) for gain in gains] for other in (self.reseed(scene, s) for s in seeds)
        ]
        pictures = [[self.render(one) for one in row] for row in swept]
        name = scene.names[checks.factor_index(factor, scene.names)]
        columns = [f"{name} × {gain:g}" for gain in gains]
        return contact_sheet(pictures, columns, [f"seed {seed}" for seed in seeds], side)
