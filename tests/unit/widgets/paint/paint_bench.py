"""A PaintWidget with a painter and a browser made of plain Python, for its tests."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from ember_widgets.features.concepts import ConceptBank
from ember_widgets.painter import robustness as robust
from ember_widgets.painter.refit import on_strengths
from ember_widgets.painter.robustness import Robustness
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.replies import Reply
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import SQUARE, make_scene

SOON_S = 10.0
DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"


class FakePainter:
    """A painter at the protocol's edge: the first three factors are red, green and blue.

    Attributes:
        calls: what was asked for.
        fault: raised by the next calls, if set.
        gate: cleared, calls wait for it.
        entered: set when a call has begun.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        self._begin("analyze", (prompt, seed, n_steps, n_factors))
        return make_scene(n_factors, prompt=prompt, seed=seed, n_steps=n_steps)

    def render(self, scene: Scene) -> Image.Image:
        self._begin("render", scene)
        pixels = np.zeros((*scene.grid.shape, 3), np.uint8)
        shown = min(3, scene.n_factors)
        with np.errstate(over="ignore"):
            pixels[..., :shown] = (100 * scene.strengths[..., :shown]).clip(0, 255)
        return Image.fromarray(pixels)

    def hold(self) -> None:
        """Let the next call begin and then wait."""
        self.entered.clear()
        self.gate.clear()

    def _begin(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        self.entered.set()
        if not self.gate.wait(SOON_S):
            raise TimeoutError("the test forgot to open the gate")
        if self.fault is not None:
            raise self.fault

    @property
    def rendered(self) -> list[Scene]:
        return [what for name, what in self.calls if name == "render"]


class FullPainter(FakePainter):
    """Takes all keywords of the real one, and gives scenes that have them."""

    styles = True

    def __init__(self, guidance: float = 0.0, grid: Grid = SQUARE) -> None:
        super().__init__()
        self.guidance = guidance
        self.grid = grid

    def analyze(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        n_factors: Any = 5,
        guidance: float | None = None,
        style: str = "",
    ) -> Scene:
        self._begin("analyze", (prompt, seed, n_steps, n_factors))
        guidance = self.guidance if guidance is None else guidance
        fields: dict[str, Any] = {"prompt": prompt, "seed": seed, "n_steps": n_steps}
        fields |= {"guidance": guidance, "style": style, "grid": self.grid}
        return two_sites(**fields) if isinstance(n_factors, dict) else make_scene(n_factors, **fields)

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        self._begin("refit", n_factors)
        kept = ("prompt", "seed", "n_steps", "guidance", "style", "image", "image_strength", "edit_steps")
        fields: dict[str, Any] = {name: getattr(scene, name) for name in kept}
        return make_scene(n_factors, grid=scene.grid, **fields)

    def reseed(self, scene: Scene, seed: int, *, edit_only: bool = False) -> Scene:
        self._begin("reseed", seed)
        return on_strengths(scene, seed, scene.base_strengths) if edit_only else scene.replace(seed=seed)

    def robustness(self, scene: Scene, seeds: int | Iterable[int] = 8, **more: Any) -> Robustness:
        """Other seeds' own pictures are those of the scene."""
        self._begin("robustness", scene)
        carry = functools.partial(self.reseed, scene, edit_only=True)
        return robust.robustness(scene, seeds, carry=carry, draw=self.render, **more)

    def sweep(self, scene: Scene, factor: int | str) -> Image.Image:
        self._begin("sweep", factor)
        scene.site(factor)  # an unknown factor is an error
        return Image.new("RGB", (4, 4))

    def icon(self, feature: int) -> Image.Image:
        self._begin("icon", feature)
        return Image.new("RGB", (4, 4))


def two_sites(**fields: Any) -> Scene:
    basis = np.zeros((3, 8), np.float32)
    basis[:2, :5] = make_scene(2, 5).basis
    basis[2, 5:] = make_scene(1, 3).basis
    return make_scene(basis=basis, base_basis=basis, sites={DOWN: 5, UP: 3}, **fields)


def make_bank(n_features: int = 8, site: str = "", sae: str = "sha256:1234") -> ConceptBank:
    """Two concepts, "lion" of features 2, 5 and 1, and "night" of feature 7."""
    basis = np.zeros((2, n_features), np.float32)
    basis[0, [2, 5, 1]] = 3.3, 1.1, 0.1
    basis[1, 7] = 0.7
    return ConceptBank(
        basis=basis,
        names=("lion", "night"),
        strengths=np.ones((4, 2), np.float32),
        stability=np.ones(2, np.float32),
        hits=((), ()),
        site=site,
        sae=sae,
        model={"id": "embedded", "sae": sae},
    )


class Browser:
    """The other end of the widget's wire: raw messages in, raw messages out."""

    def __init__(self, widget: PaintWidget, client: str = "page") -> None:
        self.widget = widget
        self.client = client
        self.seq = 0
        self.heard: list[tuple[dict[str, Any], list[bytes]]] = []
        widget._session.audience.send = self._hear  # type: ignore[union-attr,method-assign]

    def _hear(self, reply: Reply) -> None:
        self.heard.append((reply.content(), list(reply.buffers)))

    def say(self, content: Any, buffers: list[Any] | None = None) -> None:
        """Send anything, the way ipywidgets hands it over."""
        data = {"method": "custom", "content": content}
        views = [memoryview(buffer) for buffer in buffers or []]
        self.widget._handle_msg({"content": {"data": data}, "buffers": views})

    def ask(self, kind: str, **content: Any) -> int:
        """Send a good message; returns its sequence number."""
        self.seq += 1
        self.say({"type": kind, "client": self.client, "seq": self.seq, **content})
        return self.seq

    def edit(self, scene: Scene, gains: list[float] | None = None, **content: Any) -> int:
        """Send a scene's strengths and remainder as an edit."""
        self.seq += 1
        revision = self.state()["revision"] if self.of("state") else 0
        self.say(
            {
                "type": "edit",
                "client": self.client,
                "seq": self.seq,
                "revision": revision,
                "gains": [1.0] * scene.n_factors if gains is None else gains,
                "commit": True,
                **content,
            },
            [scene.strengths.tobytes(), scene.remainder.tobytes()],
        )
        return self.seq

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All messages of a kind that were heard."""
        return [message for message, _ in list(self.heard) if message["type"] == kind]

    def state(self) -> dict[str, Any]:
        """The last state that was heard."""
        return self.of("state")[-1]

    def maps(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Strengths and remainder of the last state."""
        message, buffers = next(heard for heard in reversed(self.heard) if heard[0]["type"] == "state")
        strengths, remainder, _ = (np.frombuffer(buffer, "<f4") for buffer in buffers)
        return strengths.reshape(16, 16, len(message["names"])), remainder.reshape(16, 16)

    def frames(self) -> list[tuple[dict[str, Any], Image.Image]]:
        """All frames that were heard, decoded."""
        return [
            (message, Image.open(io.BytesIO(buffers[0])))
            for message, buffers in list(self.heard)
            if message["type"] == "frame"
        ]

    def kinds(self) -> list[str]:
        """The types of all messages heard, in order."""
        return [message["type"] for message, _ in list(self.heard)]
