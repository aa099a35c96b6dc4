"""What browsers ask for that changes nothing: features, thumbnails, the unedited picture, files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ember_widgets.widgets import _python, _wire
from ember_widgets.widgets._aside import Aside
from ember_widgets.widgets._asked import PainterLike, last_line, rendered
from ember_widgets.widgets._features import found, labels_of
from ember_widgets.widgets._history import History, State
from ember_widgets.widgets._icons import Icons, alone, key_of, key_of_step
from ember_widgets.widgets._picture import Picture

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

    def search(self, message: _wire.Search) -> None:
        """Send the features that a text finds."""
        if now := self._now():
            features = found(message.text, now.state.painted.n_features, labels_of(now.painter))
            self._send({**_to("found", message), "features": features}, [])

    def thumbnails(self, message: _wire.Thumbnails) -> None:
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

    def original(self, message: _wire.Original) -> None:
        """Send the picture that nobody edited."""
        self._aside.want("original", lambda: self._draw_original(message))

    def export(self, message: _wire.Export) -> None:
        """Send the scene as a file."""
        self._aside.want(f"export {message.form}", lambda: self._export(message))

    def _draw_icon(self, key: str) -> None:
        now = self._now()
        if now is None:
            return
        address = self._icons.get(key)
        if address is None:
            painted = now.state.painted
            factors = [f for f in range(painted.n_factors) if key_of(painted, f) == key]
            steps = [step for step in now.history.steps if key_of_step(step) == key]
            if factors:
                scene = alone(painted, factors[0])
            elif steps and (state := now.history.state(steps[0])) is not None:
                scene = state.scene
            else:
                return  # it is gone meanwhile
            try:
                picture = rendered(now.painter, scene)
            except Exception:
                return  # it keeps its colour; what is wrong shows with the picture itself
            address = self._icons.keep(key, picture)
        self._send_icon(key, address)

    def _send_icon(self, key: str, address: str) -> None:
        self._send({"type": "icon", "key": key, "address": address}, [])

    def _draw_original(self, message: _wire.Original) -> None:
        if now := self._now():
            picture = rendered(now.painter, now.state.painted.original())
            self._send(_to("original", message), [picture.encoded("final")])

    def _export(self, message: _wire.Export) -> None:
        now = self._now()
        if now is None:
            return
        scene = now.state.scene
        if message.form == "py":
            data = _python.program(now.state).encode()
        elif message.form == "json":
            data = scene.to_bytes()
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
        name = f"{'-'.join(words)[:60]}-{scene.seed}.{message.form}"
        self._send({**_to("file", message), "name": name, "mime": _wire.MIME[message.form]}, [data])


def _to(kind: str, message: _wire.Search | _wire.Original | _wire.Export) -> dict[str, Any]:
    return {"type": kind, "client": message.client, "seq": message.seq}
