"""A contact sheet of one scene: a factor at several strengths, for several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from ember_widgets.scene.scene import Scene, checked_scene
from ember_widgets.util import checks
from ember_widgets.util.contact_sheet import contact_sheet

GAINS = (0.0, 0.5, 1.0, 1.5, 2.0)
N_SEEDS = 3
MAX_PICTURES = 400


class Draws(Protocol):
    """What a sweep needs of a painter."""

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene."""

    def reseed(self, scene: Scene, seed: int) -> Scene:
        """The scene with another seed."""


def sweep(
    painter: Draws,
    scene: Scene,
    factor: int | str,
    gains: Sequence[float] = GAINS,
    *,
    seeds: Sequence[int] | None = None,
    side: int = 192,
) -> Image.Image:
    """See `Painter.sweep`."""
    checked_scene(scene)
    gains = checks.listed("gains", gains, hint="give one number or more, such as [0, 1, 2]")
    gains = [checks.number("gains", gain, hint="give numbers, such as [0, 1, 2]") for gain in gains]
    if seeds is None:
        seeds = [seed for seed in range(scene.seed, scene.seed + N_SEEDS) if seed <= checks.MAX_SEED]
    seeds = checks.listed("seeds", seeds, hint="give one seed or more, such as [1, 2, 3]")
    if not 0 < len(gains) * len(seeds) <= MAX_PICTURES:
        given = f"{checks.plural(len(gains), 'gain')} × {checks.plural(len(seeds), 'seed')}"
        raise ValueError(f"{given}: give at least one of each, and {MAX_PICTURES} pictures at most")
    side = checks.side(side, len(gains) * len(seeds))
    name = scene.names[checks.factor_index(factor, scene.names)]
    rows = [painter.reseed(scene, seed) for seed in seeds]
    pictures = [[painter.render(row.scale(factor, gain)) for gain in gains] for row in rows]
    columns = [f"{name} × {gain:g}" for gain in gains]
    return contact_sheet(pictures, columns, [f"seed {seed}" for seed in seeds], side)
