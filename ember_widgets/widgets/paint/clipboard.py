"""The clipboard of all widgets of this process: an edit copied in one can be pasted in another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ember_widgets.scene.grid import Mask
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.scene_edit import SceneEdit
from ember_widgets.util.checks import plural
from ember_widgets.widgets.paint import to_python


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Args:
        edit: the edit.
        code: a Python expression that makes it.
        patches: (rows, cols) bool, the patches that are selected once it is pasted; None = none.
    """

    edit: SceneEdit
    code: str
    patches: Mask | None = None

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
        edit = part.copy_patches(patches)
        code = f"{to_python.opened(part)}.copy_patches({to_python.patches_of(scene, patches)})"
        return cls(edit, code, patches.copy())

    @classmethod
    def all_of(cls, scene: Scene) -> Copied:
        """All that was done to a scene since it was analysed."""
        every = range(scene.n_factors)
        after, before = _part(scene, every), _part(original := scene.original(), range(original.n_factors))
        return cls(after - before, f"{to_python.opened(after)} - {to_python.opened(before)}")

    def __str__(self) -> str:
        edit = self.edit
        if self.patches is None:
            return f"this painting's edits ({'; '.join(edit.describe())})"
        names = [factor.state.name for factor in edit.factors]
        return f"{count_of(self.patches)} of {', '.join(names)}" if names else count_of(self.patches)


def count_of(patches: Mask) -> str:
    """How many patches there are, in words."""
    return plural(int(patches.sum()), "patch").replace("patchs", "patches")


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
    )
