"""The clipboard of all widgets of this process: an edit copied in one can be pasted in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ember_widgets.scene.difference import is_blank
from ember_widgets.scene.grid import Mask
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.scene_edit import SceneEdit
from ember_widgets.util.checks import FloatArray, plural
from ember_widgets.widgets.paint import to_python
from ember_widgets.widgets.paint.history import State

SEEN = 0.05
"""A strength that changes by less is hardly seen in the picture."""


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Args:
        edit: the edit.
        code: a Python expression that makes it.
        patches: (rows, cols) bool, the patches that are selected once it is pasted; None = none.
        part: a scene that holds what the patches held, and nothing else; None if there are no patches.
    """

    edit: SceneEdit
    code: str
    patches: Mask | None = None
    part: Scene | None = None

    @classmethod
    def region(cls, scene: Scene, patches: Mask) -> Copied:
        """What some patches hold.

        Raises:
            ValueError: there are no patches.
        """
        where = patches[..., None]
        held = [f for f in range(scene.n_factors) if scene.strengths[patches, f].any()]
        part = _part(scene, held)
        part = part.replace(strengths=np.where(where, part.strengths, 0), remainder=np.ones(scene.grid.shape))
        return cls._held(part, patches.copy())

    @classmethod
    def all_of(cls, scene: Scene) -> Copied:
        """All that was done to a scene since it was analysed."""
        every = range(scene.n_factors)
        after, before = _part(scene, every), _part(original := scene.original(), range(original.n_factors))
        return cls(after - before, f"{to_python.opened(after)} - {to_python.opened(before)}")

    @classmethod
    def _held(cls, part: Scene, patches: Mask) -> Copied:
        code = f"{to_python.opened(part)}.copy_patches({to_python.patches_of(part, patches)})"
        return cls(part.copy_patches(patches), code, patches, part)

    def beside(self, scene: Scene) -> Copied:
        """The same patches beside where they were, for a scene that holds there already what they hold.

        They move to the right, to the left, down or up, by their own size if there is room, else by one
        patch: to the first place where a paste is seen. What fills the grid stays.
        """
        if self.patches is None or self.part is None:
            return self
        there = scene.strengths[self.patches]
        places = list(_moves(self.patches))
        seen = [by for by in places if _differ(scene.strengths[np.roll(self.patches, by, (0, 1))], there)]
        if not places:
            return self
        by = (seen or places)[0]
        part = self.part.replace(strengths=np.roll(self.part.strengths, by, (0, 1)))
        return self._held(part, np.roll(self.patches, by, (0, 1)))

    def __str__(self) -> str:
        edit = self.edit
        if self.patches is None:
            return f"this painting's edits ({'; '.join(edit.describe())})"
        names = [factor.state.name for factor in edit.factors]
        return f"{count_of(self.patches)} of {', '.join(names)}" if names else count_of(self.patches)


def copied(scene: Scene, patches: Sequence[int]) -> Copied | None:
    """What patches hold, by their numbers; without any, all that was done to the scene.

    On a blank canvas all that was done is what is painted: the emptiness around it is not copied.

    Returns:
        None if nothing was done.

    Raises:
        ValueError: a patch outside the grid.
    """
    where = np.zeros(scene.grid.shape, np.bool_)
    if max(patches, default=0) >= where.size:
        raise ValueError(f"patch {max(patches)} is outside the grid; patches go 0..{where.size - 1}")
    where.flat[list(patches)] = True
    if not where.any() and is_blank(scene):
        where |= scene.strengths.any(axis=-1)
        if not where.any():
            return None
    found = Copied.region(scene, where) if where.any() else Copied.all_of(scene)
    return found if found.edit else None


@dataclass(frozen=True)
class Pasted:
    """What a paste leads to.

    Args:
        state: the state with what was copied on it.
        patches: those that are selected now; None = none.
        words: what was pasted, which factors were added, and what was decided.
    """

    state: State
    patches: Mask | None
    words: str


def pasted(copied: Copied, now: State, committed: State, oldest: State) -> Pasted:
    """Put what was copied on a state; beside where it was, if nothing would be seen of it there.

    Args:
        copied: what was copied.
        now: the state.
        committed: the last step of the history, whose program goes on.
        oldest: the first step that can be undone to; see ``to_python.bounded``.

    Raises:
        TypeError, ValueError: the edit does not fit the scene.
    """
    done = now.painted.transfer(copied.edit)
    if _changes_nothing(now.painted, done.scene):
        copied = copied.beside(now.painted)
        done = now.painted.transfer(copied.edit)
    line = f"scene = scene.apply({copied.code})"
    lines = (*committed.code, *to_python.changed(committed.painted, now.painted), line)
    gains = dict(zip(now.painted.factor_ids or (), now.gains.tolist(), strict=True))
    state = replace(
        now,
        painted=done.scene,
        # Each slider stays at its factor.
        gains=np.array([gains.get(i, 1.0) for i in done.scene.factor_ids or ()], np.float32),
        code=to_python.bounded(lines, done.scene, oldest),
    )
    added = [f"{', '.join(done.added)} added"] if done.added else []
    return Pasted(state, copied.patches, "; ".join((f"Pasted {copied}", *added, *done.notes)))


def _changes_nothing(before: Scene, after: Scene) -> bool:
    """Whether nobody sees what a paste has changed: what no factor explains is not looked at."""
    return before.n_factors == after.n_factors and not _differ(before.strengths, after.strengths)


def _differ(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.abs(one - other).max(initial=0) > SEEN)


def _moves(patches: Mask) -> Iterator[tuple[int, int]]:
    """By how many rows and columns patches can move within the grid."""
    where = np.argwhere(patches)
    first, last = where.min(axis=0), where.max(axis=0)
    height, width = (last - first + 1).tolist()
    for by in ((0, width), (0, -width), (height, 0), (-height, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
        for n in range(1, max(patches.shape)):
            move = n * np.array(by)
            if (first + move < 0).any() or (last + move >= patches.shape).any():
                break
            yield n * by[0], n * by[1]


def count_of(patches: Mask) -> str:
    """How many patches there are, in words."""
    return plural(int(patches.sum()), "patch", "patches")


class Clipboard:
    """Holds what was copied last. One request at a time reads or replaces it."""

    def __init__(self) -> None:
        self.copied: Copied | None = None


CLIPBOARD = Clipboard()


def _part(scene: Scene, factors: range | list[int]) -> Scene:
    """Some factors of a scene without the picture behind them, so that little is left to write down."""
    ids, keep = scene.factor_ids or (), list(factors)
    return scene.replace(
        prompt="",
        seed=0,
        strengths=scene.strengths[..., keep],
        basis=scene.basis[keep],
        names=tuple(scene.names[f] for f in keep),
        colors=tuple(scene.colors[f] for f in keep),
        base_strengths=np.zeros((*scene.grid.shape, 0)),
        base_basis=np.zeros((0, scene.n_features)),
        unit=np.ones(scene.n_features),
        model={name: scene.model[name] for name in ("sae", "site") if name in scene.model},
        origins=(-1,) * len(keep),
        image=None,
        image_strength=0.5,
        factor_ids=tuple(ids[f] for f in keep),
        next_factor_id=scene.next_factor_id,
        factor_steps=scene.factor_steps and tuple(scene.factor_steps[f] for f in keep),
    )
