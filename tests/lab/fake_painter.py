"""A painter without a model: each patch takes the colours of its factors, as strong as they are there."""

from __future__ import annotations

import time
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from ember_widgets import Scene
from ember_widgets.features.labels import Labels

PATCH_PIXELS = 16
N_FEATURES = 24
NAMES = ("sky", "meadow", "lion", "tree", "sun")
COLORS = ("#4477aa", "#228833", "#ee6677", "#ccbb44", "#aa3377")


class FakePainter:
    """Stands in for Painter behind the widget.

    Args:
        delay_ms: how long one picture takes, as a model would.

    Attributes:
        fault: an error that the next renders raise, or its text; empty for none.
        n_renders: how many pictures were drawn.
    """

    styles = True
    labels = Labels({9: "a lantern", 10: "a lantern at night"})

    def __init__(self, delay_ms: float = 20.0) -> None:
        self.delay_ms = delay_ms
        self.fault: str | BaseException = ""
        self.n_renders = 0

    def analyze(
        self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5, style: str = ""
    ) -> Scene:
        strengths = np.stack([_blob(factor, n_factors, seed) for factor in range(n_factors)], axis=-1)
        basis = np.eye(n_factors, N_FEATURES, dtype=np.float32)
        return Scene(
            prompt=prompt,
            seed=seed,
            n_steps=n_steps,
            strengths=strengths,
            remainder=np.ones((16, 16), np.float32),
            basis=basis,
            names=tuple(_name(factor) for factor in range(n_factors)),
            colors=tuple(COLORS[factor % len(COLORS)] for factor in range(n_factors)),
            base_strengths=strengths,
            base_basis=basis,
            unit=np.ones(N_FEATURES, np.float32),
            model={"id": "fake", "sae": "fake"},
            style=style,
        )

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        """Another analysis; of what was painted only the remainder stays."""
        fresh = self.analyze(scene.prompt, seed=scene.seed, n_factors=n_factors, style=scene.style)
        return fresh.replace(remainder=scene.remainder)

    def reseed(self, scene: Scene, seed: int) -> Scene:
        return scene.replace(seed=seed)

    def sweep(self, scene: Scene, factor: int) -> Image.Image:
        return self.render(scene.scale(factor, 0.5))

    def render(self, scene: Scene) -> Image.Image:
        time.sleep(self.delay_ms / 1000)
        if self.fault:
            raise RuntimeError(self.fault) if isinstance(self.fault, str) else self.fault
        self.n_renders += 1
        colors = np.array([ImageColor.getrgb(color) for color in scene.colors], np.float32).reshape(-1, 3)
        # A factor made of more, or of less, is brighter or darker.
        patches = (scene.strengths * scene.basis.sum(axis=1)) @ colors + 60.0 * scene.remainder[
            ..., None
        ] * _paper(scene)
        pixels = patches.clip(0, 255).astype(np.uint8).repeat(PATCH_PIXELS, 0).repeat(PATCH_PIXELS, 1)
        return Image.fromarray(pixels)


def _blob(factor: int, n_factors: int, seed: int) -> NDArray[np.float32]:
    """A round region of strength 1; factor and seed choose where, and regions of one seed do not touch."""
    angle = 2 * np.pi * factor / n_factors + 0.7 * seed
    rows, cols = np.mgrid[0:16, 0:16]
    distance = np.hypot(rows - 7.5 - 5 * np.sin(angle), cols - 7.5 - 5 * np.cos(angle))
    region: NDArray[np.float32] = (distance < 2.2).astype(np.float32)
    return region


def _name(factor: int) -> str:
    return NAMES[factor] if factor < len(NAMES) else f"factor {factor}"


def _paper(scene: Scene) -> NDArray[np.float64]:
    """A faint texture that belongs to prompt, seed and steps, so that another one is another picture."""
    identity = f"{scene.prompt}/{scene.style}/{scene.seed}/{scene.n_steps}".encode()
    return np.random.default_rng(zlib.crc32(identity)).random((16, 16, 3))
