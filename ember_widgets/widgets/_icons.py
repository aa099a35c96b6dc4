"""Thumbnails: each factor alone on a blank canvas, drawn when there is nothing more urgent to draw."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Callable, Collection

import numpy as np

from ember_widgets.renderer import Renderer
from ember_widgets.scene import AREAS, GRID, Scene
from ember_widgets.widgets._asked import PainterLike, rendered

SIDE = 72
LIMIT = 512

Send = Callable[[str, str], None]


def key_of(scene: Scene, factor: int) -> str:
    """Says which picture a factor's thumbnail is: another one as soon as it is made of something else."""
    run = f"{scene.prompt}\0{scene.seed}\0{scene.n_steps}\0".encode("utf-8", "surrogatepass")
    return hashlib.sha256(run + scene.basis[factor].tobytes()).hexdigest()[:16]


def alone(scene: Scene, factor: int) -> Scene:
    """A scene of one factor, in the middle of nothing."""
    strengths = np.zeros_like(scene.strengths)
    strengths[AREAS["centre"], factor] = 1
    return scene.replace(strengths=strengths, remainder=np.zeros((GRID, GRID), np.float32))


class Icons:
    """Draws thumbnails in a thread of its own, one at a time, while the painter has nothing else to do.

    Args:
        wait: blocks until the painter is idle, at most as many seconds as it is given; False if it is not.
        send: takes a thumbnail's key and its JPEG as a data URL.
    """

    def __init__(self, wait: Callable[[float], bool], send: Send) -> None:
        self._wait = wait
        self._send = send
        self._lock = threading.Lock()
        self._drawn: dict[str, str] = {}
        self._wanted: dict[str, tuple[PainterLike, Scene, int]] = {}
        self._closed = False
        self._renderer: Renderer[None] = Renderer(self._work, settle_after_s=0, name="ember-icons")

    def ask(self, painter: PainterLike, scene: Scene, keys: Collection[str]) -> None:
        """Send those of a scene's thumbnails whose keys are given, now or as soon as they are drawn."""
        for factor in range(scene.n_factors):
            key = key_of(scene, factor)
            if key not in keys:
                continue
            with self._lock:
                drawn = self._drawn.get(key)
                if drawn is None:
                    self._wanted[key] = painter, scene, factor
            if drawn is not None:
                self._send(key, drawn)
        if self._wanted:
            self._renderer.submit(None)

    def close(self) -> None:
        """Draw no more, and let go of the painter."""
        with self._lock:
            self._closed = True
            self._wanted.clear()
        self._renderer.close()

    def _work(self, _: None) -> None:
        while True:
            idle = self._wait(1.0)
            with self._lock:
                if self._closed or not self._wanted:
                    return
                if not idle:
                    continue
                key = next(iter(self._wanted))
                painter, scene, factor = self._wanted.pop(key)
            # A factor that cannot be drawn keeps its colour; what is wrong shows with the picture itself.
            with contextlib.suppress(Exception):
                picture = rendered(painter, alone(scene, factor))
                address = "data:image/jpeg;base64," + base64.b64encode(picture.thumbnail(SIDE)).decode(
                    "ascii"
                )
                with self._lock:
                    self._drawn[key] = address
                    if len(self._drawn) > LIMIT:
                        self._drawn.pop(next(iter(self._drawn)))
                self._send(key, address)
            del painter, scene
