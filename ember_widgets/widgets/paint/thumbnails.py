"""Thumbnails: of each factor alone on a blank canvas, and of each step of the history."""

from __future__ import annotations

import hashlib

import numpy as np

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.history import History
from ember_widgets.widgets.paint.run_key import run_key
from ember_widgets.widgets.shared.pictures import Picture

SIDE = 72
N_SEEDS = 4
LIMIT = 512


def keys_of_factors(scene: Scene, version: object) -> list[str]:
    """The key of each factor's thumbnail; another one as soon as the factor or the painter's version is."""
    run = run_key(scene.replace(style="") if scene.style else scene, version)  # it is drawn in no style
    return [hashlib.sha256(run.encode() + one.tobytes()).hexdigest()[:16] for one in scene.basis]


def key_of_step(step: int) -> str:
    """The key of the thumbnail of a step of the history."""
    return f"step {step}"


def keys_of_seeds(history: History) -> list[tuple[int, str]]:
    """The next seeds of the current painting, and the keys of their thumbnails."""
    first = history.current.painted.seed + 1
    return [(s, f"seed {s} of {history.step}") for s in range(first, min(first + N_SEEDS, 2**63))]


def alone(scene: Scene, factor: int) -> Scene:
    """A scene of one factor in the centre of a blank canvas, in no style."""
    strengths = np.zeros_like(scene.strengths)
    strengths[scene.grid.areas["centre"], factor] = 1
    return scene.replace(style="", strengths=strengths, remainder=np.zeros_like(scene.remainder))


class Thumbnails:
    """The thumbnails drawn so far, by their keys; the oldest are forgotten."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}

    def clear(self) -> None:
        """Forget all."""
        self._urls.clear()

    def get(self, key: str) -> str | None:
        """A thumbnail's JPEG as a data URL."""
        return self._urls.get(key)

    def keep(self, key: str, picture: Picture) -> str:
        """Make a thumbnail of a picture; returns its data URL."""
        self._urls[key] = url = picture.url(SIDE)
        if len(self._urls) > LIMIT:
            self._urls.pop(next(iter(self._urls)))
        return url
