"""What the widget shows, and the steps that led there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ember_widgets.scene.difference import edited_patches
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray

LIMIT = 100


@dataclass(frozen=True, eq=False)
class State:
    """A scene and its sliders, which are not multiplied into it, so that they can be shown as they are set.

    Args:
        painted: the scene as painted, all sliders at 1.
        gains: (n_factors,) float32, the sliders.
        code: the Python program that makes ``painted``, line by line.
        asked: how many factors were asked for; a plain picture may have fewer. None = as many as it has.
    """

    painted: Scene
    gains: FloatArray
    code: tuple[str, ...] = ()
    asked: int | None = None

    @classmethod
    def of(cls, scene: Scene, code: tuple[str, ...] = (), asked: int | None = None) -> State:
        """A scene with every slider at 1."""
        return cls(scene, np.ones(scene.n_factors, dtype=np.float32), code, asked)

    def edited(self, strengths: FloatArray, remainder: FloatArray, gains: FloatArray) -> State:
        """The state that an edit on the grid leads to.

        Raises:
            ValueError: sliders times strengths are too large for float32.
        """
        state = replace(
            self, painted=self.painted.replace(strengths=strengths, remainder=remainder), gains=gains
        )
        _ = state.scene  # raises here, before the state is used
        return state

    @cached_property
    def scene(self) -> Scene:
        """The scene as it is drawn."""
        if (self.gains == 1).all():
            return self.painted
        with np.errstate(over="ignore"):  # Scene refuses values that are not finite
            return self.painted.replace(strengths=self.painted.strengths * self.gains)

    @cached_property
    def is_edited(self) -> bool:
        """Whether there is a painting: anything that an analysis or a blank canvas does not have."""
        painted = self.painted
        if (self.gains != 1).any() or min(painted.origins or (), default=0) < 0:
            return True
        is_blank = not painted.strengths.any() and not painted.remainder.any()
        return not is_blank and bool(edited_patches(painted).any())

    def same(self, other: State) -> bool:
        """Whether both show the same painting and the same sliders."""
        return self is other or (np.array_equal(self.gains, other.gains) and self.painted == other.painted)


@dataclass(frozen=True)
class Step:
    """A step of the history, as Python sees it.

    Args:
        step: its number; numbers are never used again.
        name: the name that it was given; "" if it has none.
        is_current: whether it is the one that is shown.
        scene: the scene of this step.
    """

    step: int
    name: str
    is_current: bool
    scene: Scene


class History:
    """The committed states, and which of them is current.

    Undo and redo go along a line. Undone states are forgotten when another edit is made, and states more than
    ``LIMIT`` steps back are forgotten too. States that have a name are kept.
    """

    def __init__(self, state: State) -> None:
        self._states = {0: state}
        self._line = [0]
        self._names: dict[int, str] = {}
        self._replaced: dict[int, int] = {}
        self._step = 0
        self._count = 1

    @property
    def current(self) -> State:
        """The last committed state."""
        return self._states[self._step]

    @property
    def oldest(self) -> State:
        """The first state that can be undone to."""
        return self._states[self._line[0]]

    @property
    def step(self) -> int:
        """The number of the current state; numbers are never used again."""
        return self._step

    @property
    def steps(self) -> list[int]:
        """The numbers of all states, in the order in which they were made."""
        return sorted(self._states)

    def listed(self) -> list[Step]:
        """All states, in the order in which they were made."""
        return [
            Step(step, self._names.get(step, ""), step == self._step, self._states[step].scene)
            for step in self.steps
        ]

    @property
    def names(self) -> dict[int, str]:
        """The names of the states that are kept."""
        return {step: self._names[step] for step in sorted(self._names)}

    @property
    def film_from(self) -> list[int]:
        """The numbers of the named states that a film can lead from: other edits of the current picture."""
        return [step for step in self.names if step != self._step and self._is_of_this_picture(step)]

    def _is_of_this_picture(self, step: int) -> bool:
        try:
            self._states[step].painted.check_same_picture(self.current.painted)
        except ValueError:
            return False
        return True

    def state(self, step: int) -> State | None:
        """The state of a number; None if there is none."""
        return self._states.get(step)

    def beside(self, by: int) -> int | None:
        """The number of the state `by` steps forward, or back if negative; None if there is none."""
        at = self._line.index(self._step) + by
        return self._line[at] if 0 <= at < len(self._line) else None

    @property
    def has_replaced_painting(self) -> bool:
        """Whether the current state is another picture, made in place of a painting that undo brings back."""
        before = self.beside(-1)
        return before is not None and self._replaced.get(self._step) == before

    def commit(self, state: State, *, replaces: bool = False) -> None:
        """Go on to a state, unless it is the current one; what was undone before is forgotten.

        Args:
            state: the state.
            replaces: it is another picture, not an edit of the current one.
        """
        if state.same(self.current):
            return
        if replaces and self.current.is_edited:
            self._replaced[self._count] = self._step
        self._line = [*self._done(), self._count]
        self._states[self._count] = state
        self._step = self._count
        self._count += 1
        self._forget()

    def go(self, step: int) -> State:
        """Go to an existing state.

        One that is not on the line follows the current one, so that undo leads back; what was undone before
        is forgotten.
        """
        if step not in self._line:
            self._line = [*self._done(), step]
            self._forget()
        self._step = step
        return self.current

    def clear(self) -> None:
        """Forget all states but the current one and those that have a name."""
        self._line = [self._step]
        self._forget()

    def forget(self, step: int) -> None:
        """Forget one state; if it is the current one, the state before it (or else another) becomes current.

        Raises:
            ValueError: the state was forgotten before, or it is the only one.
        """
        if step not in self._states:
            raise ValueError(f"step {step} is not in the history any more; choose one that is")
        if len(self._states) == 1:
            raise ValueError(f"step {step} is the only one; it cannot be deleted")
        if step == self._step:
            others = [other for other in self.steps if other != step]
            back, on = self.beside(-1), self.beside(1)
            self.go(next(at for at in (back, on, others[-1]) if at is not None))
        self._line = [at for at in self._line if at != step]
        self._names.pop(step, None)
        self._forget()

    def keep(self, step: int, name: str) -> None:
        """Give a state a name, under which it is kept; "" removes the name.

        Raises:
            ValueError: the state was forgotten, or another one has this name.
        """
        if step not in self._states:
            raise ValueError(f"step {step} is not in the history any more; choose one that is")
        if any(name == other and step != at for at, other in self._names.items()):
            raise ValueError(f"name={name!r} is taken by another step; choose another name")
        if name:
            self._names[step] = name
        else:
            self._names.pop(step, None)
            self._forget()

    def _done(self) -> list[int]:
        """The numbers of the states up to the current one, as far back as is kept."""
        return self._line[: self._line.index(self._step) + 1][-LIMIT:]

    def _forget(self) -> None:
        kept = {*self._line, *self._names}
        self._states = {step: state for step, state in self._states.items() if step in kept}
        self._replaced = {step: before for step, before in self._replaced.items() if step in kept}
