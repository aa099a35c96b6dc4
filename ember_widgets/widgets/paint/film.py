"""The way between two steps of the history, drawn picture by picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.util import animation
from ember_widgets.widgets.paint.history import State
from ember_widgets.widgets.paint.replies import Sender

N_SCENES = 25
MS = 80
"""How long each picture is shown. 25 of them take 2 seconds."""


@dataclass(eq=False)
class Film:
    """A moving picture that is being drawn, one picture at a time, so that strokes need not wait for it.

    Args:
        ends: the states it leads from and to.
        form: one of `animation.FORMS`.
        sender: the browser page that asked for it.
        scenes: what it shows; computed when the first is drawn, because that takes a moment.
        images: what was drawn of it.
        is_sent: whether the page has got the file.
    """

    ends: tuple[State, State]
    form: str
    sender: Sender
    scenes: list[Scene] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)
    is_sent: bool = False

    @property
    def n(self) -> int:
        """How many pictures it has."""
        return N_SCENES

    def next(self) -> Scene | None:
        """The next scene to draw; None if all are drawn."""
        if not self.scenes:
            first, last = (state.scene for state in self.ends)
            self.scenes.extend(first.tween(last, self.n))
        return self.scenes[len(self.images)] if len(self.images) < self.n else None

    def in_form(self, form: str, sender: Sender) -> Film:
        """The same film as another file, with what was drawn of it."""
        return Film(self.ends, form, sender, self.scenes, self.images)

    def encoded(self) -> bytes:
        """The file, once all is drawn."""
        return animation.encoded(self.images, self.form, MS)
