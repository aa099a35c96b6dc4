"""Carry a scene's painting over to other factors, or to another seed's picture.

Unpainted patches stay exactly as they are in the picture, so an unedited scene stays unedited.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ember_widgets.dictionary.factor_names import free_factor_name
from ember_widgets.dictionary.factors import Factors, unit_rows
from ember_widgets.scene.palette import free_name, next_color, with_ending
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.steps import said
from ember_widgets.util.checks import FloatArray

ALIKE = 0.5
"""A new factor with at least this cosine to an old one counts as the same: it gets its name and colour."""


def refitted(scene: Scene, factors: Factors, names: Sequence[str]) -> Scene:
    """The scene with other factors of its picture.

    Where nothing was painted, the new factors have the strengths of the analysis. In painted patches they get
    the strengths that come nearest to what was painted. Factors that were added or reweighted are not part of
    the picture; they stay as they are, after the new ones. So do layers; see `_only_added_layers`.

    Args:
        scene: As painted.
        factors: Other factors of the same picture.
        names: One per factor, for those that resemble none of the scene's.
    """
    scene = _only_added_layers(scene)
    origins, when = scene.origins or (), scene.factor_steps or (None,) * scene.n_factors
    same = [
        f
        for f, o in enumerate(origins)
        if o >= 0 and when[f] is None and np.array_equal(scene.basis[f], scene.base_basis[o])
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
    same_as = _same_as(scene, kept, factors)
    called, colors = _names_and_colors(scene, kept, same_as, names)
    ids = list(scene.factor_ids or ())
    next_id = scene.next_factor_id or 0
    new_ids = [ids[same_as[i]] if i in same_as else next_id + i for i in range(len(factors.basis))]
    return scene.replace(
        # The analysed factors are not a bank's concepts any more.
        model={name: value for name, value in scene.model.items() if name != "concepts"},
        strengths=np.concatenate([strengths, scene.strengths[..., kept]], axis=2),
        basis=np.concatenate([factors.basis, scene.basis[kept]]),
        base_strengths=factors.strengths,
        base_basis=factors.basis,
        names=called,
        colors=colors,
        origins=(*range(len(factors.basis)), *(-1 for _ in kept)),
        factor_ids=(*new_ids, *(ids[f] for f in kept)),
        next_factor_id=next_id + len(new_ids),
        factor_steps=(*(None for _ in factors.basis), *(when[f] for f in kept)),
    )


def reseeded(scene: Scene, seed: int, activations: FloatArray) -> Scene:
    """The same painting, applied to the noise of another seed.

    Strengths stay. They replace the strengths of the same factors in the other seed's picture. Nothing else
    of that picture is kept, so the remainder is 0 everywhere.

    Args:
        scene: As painted.
        seed: The other seed.
        activations: (rows, cols, n_features), SAE codes of its unedited run.
    """
    scene = _only_added_layers(scene)
    base = Factors(strengths=scene.base_strengths, basis=scene.base_basis).transform(activations)
    return scene.replace(seed=seed, base_strengths=base, remainder=np.zeros_like(scene.remainder))


def _only_added_layers(scene: Scene) -> Scene:
    """Nearly the same scene, in which every analysed factor acts at all steps.

    What was painted with an analysed factor at some steps only becomes a factor of its own, with the
    difference; the rest of it is part of the picture.
    """
    for origin, f in list(scene.analysed_factors.items()):
        if not scene.factor_steps or (when := scene.factor_steps[f]) is None:
            continue
        before, now, row = scene.layers.unpainted(f), scene.strengths[..., f], scene.basis[f]
        is_reweighted = not np.array_equal(row, scene.base_basis[origin])
        painted = now if is_reweighted else now - before
        name, color = (
            free_name(with_ending(scene.names[f], f" ({said(when)})"), scene.names),
            next_color(scene.colors),
        )
        strengths, basis = scene.strengths.copy(), scene.basis.copy()
        strengths[..., f], basis[f] = before, scene.base_basis[origin]
        scene = scene.replace(
            strengths=strengths,
            basis=basis,
            factor_steps=tuple(None if i == f else one for i, one in enumerate(scene.factor_steps)),
        )
        if painted.any():
            n = scene.n_factors
            scene = scene.replace(
                strengths=np.concatenate([scene.strengths, painted[..., None]], axis=2),
                basis=np.concatenate([scene.basis, row[None]]),
                names=(*scene.names, name),
                colors=(*scene.colors, color),
                origins=(*(scene.origins or ()), -1),
                factor_ids=(*(scene.factor_ids or ()), scene.next_factor_id or 0),
                next_factor_id=(scene.next_factor_id or 0) + 1,
                factor_steps=(*(scene.factor_steps or (None,) * n), when),
            )
    return scene


def edit_reseeded(scene: Scene, seed: int, activations: FloatArray) -> Scene:
    """The edit alone, applied to the picture of another seed; see `Scene.apply`.

    Args:
        scene: As painted.
        seed: The other seed.
        activations: (rows, cols, n_features), SAE codes of its unedited run.
    """
    base = Factors(strengths=scene.base_strengths, basis=scene.base_basis).transform(activations)
    return on_strengths(scene, seed, base)


def on_strengths(scene: Scene, seed: int, base_strengths: FloatArray) -> Scene:
    """The edit alone, on a picture in which the analysed factors have other strengths.

    Args:
        scene: As painted.
        seed: The seed of that picture.
        base_strengths: (rows, cols, n_base), how strong they are there.
    """
    unedited = scene.original()
    other = unedited.replace(seed=seed, base_strengths=base_strengths, strengths=base_strengths)
    return other.apply(scene - unedited)


def _codes(strengths: FloatArray, basis: FloatArray) -> NDArray[np.float32]:
    return np.asarray(strengths @ basis, np.float32)


def _same_as(scene: Scene, kept: list[int], factors: Factors) -> dict[int, int]:
    """{new factor: the scene's factor that it resembles}, each of the scene's at most once."""
    old = [f for f, origin in enumerate(scene.origins or ()) if origin >= 0 and f not in kept]
    alike = unit_rows(factors.basis) @ unit_rows(scene.basis[old]).T
    found: dict[int, int] = {}
    while alike.size and alike.max() >= ALIKE:
        new, which = divmod(int(alike.argmax()), len(old))
        found[new] = old[which]
        alike[new], alike[:, which] = -1, -1
    return found


def _names_and_colors(
    scene: Scene, kept: list[int], same_as: dict[int, int], names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = {new: scene.names[f] for new, f in same_as.items()}
    colors = {new: scene.colors[f] for new, f in same_as.items()}
    after = [scene.names[f] for f in kept], [scene.colors[f] for f in kept]
    for i, name in enumerate(names):
        if i not in found:
            found[i] = free_factor_name(name, [*found.values(), *after[0]])
            colors[i] = next_color([*colors.values(), *after[1]])
    order = range(len(names))
    return (*(found[f] for f in order), *after[0]), (*(colors[f] for f in order), *after[1])
