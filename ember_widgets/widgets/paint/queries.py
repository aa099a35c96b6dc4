"""What browsers ask for that changes nothing: features, thumbnails, the unedited picture, files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ember_widgets.features.labels import labels_of
from ember_widgets.scene.difference import edited_patches, pixel_change
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import messages, to_python
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.requests import (
    NewScene,
    PainterLike,
    Variation,
    able,
    facts,
    last_line,
    rendered,
)
from ember_widgets.widgets.paint.thumbnails import (
    Icons,
    alone,
    key_of,
    key_of_step,
    keys_of_seeds,
)
from ember_widgets.widgets.shared import pictures
from ember_widgets.widgets.shared.feature_icons import feature_of
from ember_widgets.widgets.shared.feature_rows import found, made_of
from ember_widgets.widgets.shared.idle_queue import Aside
from ember_widgets.widgets.shared.pictures import Picture

Send = Callable[[dict[str, Any], list[bytes]], None]


@dataclass(frozen=True)
class Now:
    """How things stand.

    Args:
        picture: the last picture.
        shown: the state that it was drawn from; not ``state`` if a newer one waits or there is a ``fault``.
    """

    painter: PainterLike
    state: State
    history: History
    picture: Picture
    shown: State
    fault: Exception | None


@dataclass(frozen=True)
class Loan:
    """A scene whose factors may be borrowed, what it is called, and how Python comes by it."""

    scene: Scene
    name: str
    code: str


class Answers:
    """Answers questions, those that need the painter when it is idle.

    Args:
        now: tells how things stand; None once the widget is closed.
        send: takes a message and its buffers, from any thread.
        aside: does what has time.
    """

    def __init__(self, now: Callable[[], Now | None], send: Send, aside: Aside) -> None:
        self._now = now
        self._send = send
        self._aside = aside
        self._icons = Icons()
        self.loan: Loan | None = None
        self._original: tuple[tuple[Any, ...], Picture] | None = None

    def search(self, message: messages.Search) -> None:
        """Send the features that a text finds."""
        if now := self._now():
            scene = now.state.painted
            features = found(
                message.text, scene.n_features, labels_of(now.painter), scene.sites, message.site
            )
            self._send({**_to("found", message), "features": features}, [])

    def thumbnails(self, message: messages.Thumbnails) -> None:
        """Send those thumbnails, now or as soon as they are drawn."""
        for key in message.keys:
            if address := self._icons.get(key):
                self._send_icon(key, address)
            else:
                self._aside.want(key, lambda key=key: self._draw_icon(key))  # type: ignore[misc]

    def settled(self, state: State, picture: Picture) -> None:
        """The picture of a state is there; if that is a step of the history, so is the step's thumbnail."""
        now = self._now()
        if now is not None and state is now.history.current:
            key = key_of_step(now.history.step)
            if self._icons.get(key) is None:
                self._icons.keep(key, picture)

    def original(self, message: messages.Original) -> None:
        """Send the picture that nobody edited."""
        self._aside.want("original", lambda: self._draw_original(message))

    def top(self, message: messages.Top) -> None:
        """Send the picture with only one factor's strongest feature in it."""
        self._aside.want("top", lambda: self._draw_top(message))

    def export(self, message: messages.Export) -> None:
        """Send the scene as a file."""
        self._aside.want(f"export {message.form}", lambda: self._export(message))

    def fetch(self, message: messages.Lend) -> None:
        """Have a picture of a prompt taken apart, and show its factors."""
        self._aside.want("lend", lambda: self._fetch(message))

    def lend(self, loan: Loan | None, message: messages.Lend) -> None:
        """Show factors to borrow; None = no longer."""
        found = None
        if loan is not None and (now := self._now()):
            now.state.painted.check_lender(loan.scene)
            scene, labels = loan.scene, labels_of(now.painter)
            factors = [
                {
                    "name": scene.names[f],
                    "color": scene.colors[f],
                    "icon": key_of(scene, f),
                    "label": ", ".join(
                        part["label"] for part in made_of(scene, f, labels)[:3] if part["label"]
                    ),
                }
                for f in range(scene.n_factors)
            ]
            found = {"name": loan.name, "factors": factors}
        self.loan = loan
        self._send({**_to("loan", message), "loan": found}, [])

    def told(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """The picture, the unedited one and the factors' thumbnails, drawn now, as a browser is sent them."""
        now = self._now()
        if now is None:
            return []
        painted = now.state.painted
        for key in (key_of(painted, factor) for factor in range(painted.n_factors)):
            if self._icons.get(key) is None and (scene := self._scene_of(key, now)) is not None:
                self._icons.keep(key, rendered(now.painter, scene))
        icons = [
            {"type": "icon", "key": key, "address": self._icons.get(key)}
            for key in (key_of(painted, factor) for factor in range(painted.n_factors))
        ]
        size = {"width": now.picture.image.width, "height": now.picture.image.height}
        frame = {
            "type": "frame",
            "client": "",
            "seq": 0,
            "kind": "final",
            "ms": now.picture.ms,
            "early": 0,
            **size,
        }
        original = rendered(now.painter, painted.original()).encoded("final")
        return [
            (frame, [now.state.scene.to_bytes(now.picture.image)]),
            ({"type": "original", "client": "", "seq": 0}, [original]),
            *((icon, []) for icon in icons),
        ]

    def film(self, form: str, ms: int = 500) -> bytes:
        """All steps of the history, one picture after the other, as GIF or WebP."""
        now = self._now()
        if now is None:
            raise RuntimeError("this widget is closed")
        states = [state for step in now.history.steps if (state := now.history.state(step)) is not None]
        return pictures.film([rendered(now.painter, state.scene).image for state in states], form, ms)

    def _fetch(self, message: messages.Lend) -> None:
        if now := self._now():
            scene = now.state.painted
            n_factors = facts(scene)["n_factors"]
            new = NewScene(prompt=message.prompt, seed=scene.seed, n_steps=scene.n_steps, n_factors=n_factors)
            lender = new.guided_as(scene, now.painter).drawn(now.painter)
            self.lend(Loan(lender, message.prompt, to_python.analyzed(lender, n_factors)), message)

    def _draw_icon(self, key: str) -> None:
        now = self._now()
        if now is None:
            return
        address = self._icons.get(key)
        if address is None:
            try:
                address = self._drawn(key, now)
            except Exception:
                return  # it keeps its colour; what is wrong shows with the picture itself
        if address is not None:
            self._send_icon(key, address)

    def _drawn(self, key: str, now: Now) -> str | None:
        """A thumbnail's address, drawn now; None if what it shows is gone meanwhile."""
        feature = feature_of(key)
        icons: Any = getattr(now.painter, "icons", None)
        if feature is not None and icons is not None and feature in icons:
            return str(icons.address(feature))
        if feature is not None and callable(icon := getattr(now.painter, "icon", None)):
            return self._icons.keep(key, Picture.of(icon(feature), 0))
        scene = self._scene_of(key, now)
        return None if scene is None else self._icons.keep(key, rendered(now.painter, scene))

    def _scene_of(self, key: str, now: Now) -> Scene | None:
        """What a thumbnail shows."""
        if (feature := feature_of(key)) is not None:
            return alone(now.state.painted.add_factor({feature: 1.0}), -1)
        for scene in (now.state.painted, *([self.loan.scene] if self.loan else [])):
            for factor in range(scene.n_factors):
                if key_of(scene, factor) == key:
                    return alone(scene, factor)
        for step in now.history.steps:
            if key_of_step(step) == key and (state := now.history.state(step)) is not None:
                return state.scene
        for seed, name in keys_of_seeds(now.history):
            if name == key:
                return Variation("reseed", seed).drawn(now.painter, now.history.current.scene)
        return None

    def _send_icon(self, key: str, address: str) -> None:
        self._send({"type": "icon", "key": key, "address": address}, [])

    def _draw_original(self, message: messages.Original) -> None:
        if now := self._now():
            picture = rendered(now.painter, now.state.painted.original())
            self._original = _drawn_from(now.state.painted), picture
            told = self.change(now.shown.scene, now.picture)
            self._send({**_to("original", message), "change": told}, [picture.encoded("final")])

    def change(self, scene: Scene, picture: Picture) -> tuple[float, float] | None:
        """How far a scene's picture is from the unedited one, if that was asked for; see ``pixel_change``."""
        if self._original is None or self._original[0] != _drawn_from(scene):
            return None
        before, after = (np.asarray(one.image) for one in (self._original[1], picture))
        return pixel_change(before, after, edited_patches(scene)) if before.shape == after.shape else None

    def _draw_top(self, message: messages.Top) -> None:
        if now := self._now():
            picture = rendered(now.painter, now.state.scene.keep_top(message.factor))
            self._send(_to("top", message), [picture.encoded("final")])

    def _export(self, message: messages.Export) -> None:
        now = self._now()
        if now is None:
            return
        scene = now.state.scene
        if message.form == "py":
            data = to_python.program(now.state).encode()
        elif message.form == "json":
            data = scene.to_bytes()
        elif message.form == "sweep":
            data = pictures.png(able(now.painter, "sweep")(scene, message.factor))
        elif message.form in ("gif", "webp"):
            data = self.film(message.form)
        elif now.fault is not None:
            raise RuntimeError(
                f"there is no picture to export ({last_line(now.fault)}); "
                "export the scene without it, as .json"
            )
        elif now.shown is not now.state:
            self.export(message)  # painted on meanwhile
            return
        else:
            data = scene.to_bytes(now.picture.image)
        words = re.findall(r"\w+", scene.prompt)[:6] or ["scene"]
        name = f"{'-'.join(words)[:60]}-{scene.seed}"
        name += "-sweep.png" if message.form == "sweep" else f".{message.form}"
        self._send({**_to("file", message), "name": name, "mime": messages.MIME[message.form]}, [data])


def _drawn_from(scene: Scene) -> tuple[Any, ...]:
    """What the unedited picture depends on."""
    return scene.prompt, scene.style, scene.seed, scene.n_steps


def _to(kind: str, message: messages.Question) -> dict[str, Any]:
    return {"type": kind, "client": message.client, "seq": message.seq}
