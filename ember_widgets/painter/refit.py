"""A scene's painting carried over to other factors, or to another seed's picture.

Both leave what nobody painted exactly as the picture itself has it, so that an unedited scene stays unedited.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ember_widgets.dictionary.factors import Factors
from ember_widgets.scene.grid import GRID
from ember_widgets.scene.palette import free_name, next_color
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray

ALIKE = 0.5
"""Cosine from which on a new factor is taken for an old one, and keeps its name and colour."""


def refitted(scene: Scene, factors: Factors, names: Sequence[str]) -> Scene:
    """The scene with its picture taken apart into other factors.

    Where nothing was painted the new factors stand as they were found. In painted patches they get the
    strengths that come nearest to what was painted. Factors that were added, or made of other features, are
    no part of the picture and stay as they are, behind the new ones.

    Args:
        scene: as painted.
        factors: the same picture's other factors.
        names: a name for each of them, for those that resemble none of the scene's.
    """
    origins = scene.origins or ()
    same = [
        f for f, o in enumerate(origins) if o >= 0 and np.array_equal(scene.basis[f], scene.base_basis[o])
    ]
    kept = [f for f in range(scene.n_factors) if f not in same]
    painted, begun = (
        _codes(scene.strengths[..., same], scene.basis[same]),
        _codes(scene.base_strengths, scene.base_basis),
    )
    scale = float(np.abs(begun).max(initial=0)) or 1.0
    # A removed or reweighted factor is missing from `painted`, so its patches count as painted too.
    touched = (np.abs(painted - begun).max(axis=2, initial=0) > 1e-5 * scale) | (scene.remainder < 1)
    nearest = factors.transform(np.maximum(painted, 0)) - factors.transform(np.maximum(-painted, 0))
    strengths = np.where(touched[..., None], nearest, factors.strengths)
    called, colors = _names_and_colors(scene, kept, factors, names)
    return scene.replace(
        strengths=np.concatenate([strengths, scene.strengths[..., kept]], axis=2),
        basis=np.concatenate([factors.basis, scene.basis[kept]]),
        base_strengths=factors.strengths,
        base_basis=factors.basis,
        names=called,
        colors=colors,
        origins=(*range(len(factors.basis)), *(-1 for _ in kept)),
    )


def reseeded(scene: Scene, seed: int, activations: FloatArray) -> Scene:
    """The same painting in place of what another seed would have composed.

    Strengths stay; what they replace are the same factors' strengths in the other seed's picture. Of that
    picture nothing else is wanted, so the remainder is 0 everywhere.

    Args:
        scene: as painted.
        seed: the other seed.
        activations: (16, 16, n_features), SAE codes of its unedited run.
    """
    base = Factors(strengths=scene.base_strengths, basis=scene.base_basis).transform(activations)
    return scene.replace(seed=seed, base_strengths=base, remainder=np.zeros((GRID, GRID)))


def _codes(strengths: FloatArray, basis: FloatArray) -> NDArray[np.float32]:
    return np.asarray(strengths @ basis, np.float32)


def _names_and_colors(
    scene: Scene, kept: list[int], factors: Factors, names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old = [f for f, origin in enumerate(scene.origins or ()) if origin >= 0 and f not in kept]
    alike = _unit(factors.basis) @ _unit(scene.basis[old]).T
    heirs: dict[int, int] = {}
    while alike.size and alike.max() >= ALIKE:
        new, which = divmod(int(alike.argmax()), len(old))
        heirs[new] = old[which]
        alike[new], alike[:, which] = -1, -1
    called = {new: scene.names[f] for new, f in heirs.items()}
    colors = {new: scene.colors[f] for new, f in heirs.items()}
    behind = [scene.names[f] for f in kept], [scene.colors[f] for f in kept]
    for i, name in enumerate(names):
        if i not in called:
            called[i] = free_name(name, [*called.values(), *behind[0]])
            colors[i] = next_color([*colors.values(), *behind[1]])
    order = range(len(names))
    return (*(called[f] for f in order), *behind[0]), (*(colors[f] for f in order), *behind[1])


def _unit(rows: FloatArray) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12))
