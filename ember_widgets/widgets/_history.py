"""What the widget shows, and the steps that led there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ember_widgets._checks import FloatArray
from ember_widgets.scene import Scene

LIMIT = 100


@dataclass(frozen=True, eq=False)
class State:
    """A scene with the sliders not yet multiplied into it, so that they can be shown where they stand.

    Args:
        painted: the scene as painted, all sliders at 1.
        gains: (n_factors,) float32, the sliders.
    """

    painted: Scene
    gains: FloatArray

    @classmethod
    def of(cls, scene: Scene) -> State:
        """A scene with every slider at 1."""
        return cls(scene, np.ones(scene.n_factors, dtype=np.float32))

    def edited(self, strengths: FloatArray, remainder: FloatArray, gains: FloatArray) -> State:
        """The state that an edit on the grid leads to.

        Raises:
            ValueError: sliders times strengths are too large for float32.
        """
        state = State(self.painted.replace(strengths=strengths, remainder=remainder), gains)
        _ = state.scene  # so that it is refused here, before anyone has taken it over
        return state

    @cached_property
    def scene(self) -> Scene:
        """The scene as it is drawn."""
        if (self.gains == 1).all():
            return self.painted
        with np.errstate(over="ignore"):  # Scene refuses what is then not finite
            return self.painted.replace(strengths=self.painted.strengths * self.gains)

    def same(self, other: State) -> bool:
        """Whether both show the same painting and the same sliders."""
        return self is other or (np.array_equal(self.gains, other.gains) and self.painted == other.painted)


class History:
    """The committed states, and which of them is current; steps beyond ``LIMIT`` are forgotten."""

    def __init__(self, state: State) -> None:
        self._states = [state]
        self._at = 0

    @property
    def current(self) -> State:
        """The last committed state."""
        return self._states[self._at]

    def commit(self, state: State) -> None:
        """Go on to a state, unless it is the current one; what was undone before is forgotten."""
        if state.same(self.current):
            return
        self._states = [*self._states[: self._at + 1], state][-LIMIT - 1 :]
        self._at = len(self._states) - 1

    def can(self, by: int) -> bool:
        """Whether there is a state so many steps on (positive) or back."""
        return 0 <= self._at + by < len(self._states)

    def step(self, by: int) -> State:
        """Go so many steps on or back; nowhere if there is no such state."""
        if self.can(by):
            self._at += by
        return self.current
