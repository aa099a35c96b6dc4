"""Thumbnails: of each factor alone on a blank canvas, and of each step of the history."""

from __future__ import annotations

import hashlib

import numpy as np

from ember_widgets.scene.scene import AREAS, GRID, Scene
from ember_widgets.widgets.paint.history import History
from ember_widgets.widgets.shared.pictures import Picture

SIDE = 72
N_SEEDS = 4
LIMIT = 512


def key_of(scene: Scene, factor: int) -> str:
    """Says which picture a factor's thumbnail is: another one as soon as it is made of something else."""
    run = f"{scene.prompt}\0{scene.seed}\0{scene.n_steps}\0".encode("utf-8", "surrogatepass")
    return hashlib.sha256(run + scene.basis[factor].tobytes()).hexdigest()[:16]


def key_of_step(step: int) -> str:
    """Says which step of the history a thumbnail shows."""
    return f"step {step}"


def keys_of_seeds(history: History) -> list[tuple[int, str]]:
    """The next seeds of the current painting, and what their thumbnails are called."""
    first = history.current.painted.seed + 1
    return [(s, f"seed {s} of {history.step}") for s in range(first, min(first + N_SEEDS, 2**63))]


def alone(scene: Scene, factor: int) -> Scene:
    """A scene of one factor, in the middle of nothing and in no style."""
    strengths = np.zeros_like(scene.strengths)
    strengths[AREAS["centre"], factor] = 1
    return scene.replace(style="", strengths=strengths, remainder=np.zeros((GRID, GRID), np.float32))


class Icons:
    """The thumbnails that were drawn, by their keys; the oldest are forgotten."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """A thumbnail's JPEG as a data URL."""
        return self._addresses.get(key)

    def keep(self, key: str, picture: Picture) -> str:
        """Make a thumbnail of a picture; returns its address."""
        self._addresses[key] = address = picture.address(SIDE)
        if len(self._addresses) > LIMIT:
            self._addresses.pop(next(iter(self._addresses)))
        return address
