"""Puts an edit on another scene: which factors are the same, and what happens where both disagree.

The edit lies over what is there, as a stroke does. Its factors are looked up in the scene by what they are
made of; one that is not there is added if the edit paints it, and left out if the edit only changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.difference import NOTABLE, edited_patches
from ember_widgets.scene.palette import free_name, next_color
from ember_widgets.scene.scene_edit import PER_FACTOR, FactorEdit, SceneEdit, fields_of, picture_of
from ember_widgets.scene.scene_fields import SceneFields
from ember_widgets.scene.steps import said
from ember_widgets.util.checks import plural, shown

SAME_FACTOR = 0.8
"""Two factors are the same if the cosine of their weights is at least this. Measured on pictures of other
seeds and prompts of the unsupervised embedded SAE: the same thing has 0.83 to 1.00, another up to 0.78."""

AnyScene = TypeVar("AnyScene", bound=SceneFields)

_SAME_NAME = 0.1
"""How much closer two factors count that have the same name too."""


@dataclass(frozen=True)
class Transfer(Generic[AnyScene]):
    """What came of an edit on another scene.

    Args:
        scene: the scene after the edit.
        added: the names of the factors that were added to it.
        notes: what was decided, a sentence each.
    """

    scene: AnyScene
    added: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass
class _Column:
    """A factor of the scene that is being made."""

    strengths: NDArray[np.float64]
    row: NDArray[Any]
    origin: int
    id: int
    fields: dict[str, Any]
    is_renamed: bool = False
    edited_by: int | None = None


def transfer(edit: SceneEdit, scene: AnyScene) -> Transfer[AnyScene]:
    """Put an edit on a scene.

    Raises:
        ValueError: the scene has another SAE or another grid.
    """
    _check(edit, scene)
    match = matched(edit, scene)
    by_factor = {t: e for e, t in match.items()}
    notes: list[str] = []
    columns = []
    for t in range(scene.n_factors):
        column = _Column(
            scene.strengths[..., t].astype(np.float64),
            scene.basis[t],
            (scene.origins or ())[t],
            (scene.factor_ids or ())[t],
            fields_of(scene, t),
        )
        e = by_factor.get(t)
        if e is None:
            site = edit.space.sites.index(scene.site(t))
            column.strengths = column.strengths * edit.covers[..., site]
        elif edit.factors[e].after is None:
            continue
        else:
            _change(column, edit, e, scene, t, notes)
        columns.append(column)
    n_kept = len(columns)
    next_id = scene.next_factor_id or 0
    for e, factor in enumerate(edit.factors):
        if e in match:
            continue
        if factor.after is None:
            notes.append(f"{shown(factor.state.name)} is not there, so it is not removed")
        elif factor.before is None or (np.abs(edit.additions[..., e]) > NOTABLE).any():
            columns.append(_added(edit, e, scene, [c.fields["colors"] for c in columns], next_id))
            next_id += 1
        elif factor.reweighted.any() or factor.changed_fields or edit.own_change(e).any():
            notes.append(f"{shown(factor.state.name)} is not there, so it is left as it is")
    _name(columns, notes)
    added = tuple(column.fields["names"] for column in columns[n_kept:])
    notes += _beyond_the_last_step(columns, n_kept, edit, scene)
    if edit.reorders:
        columns = _ordered(columns, edit)
    changes: dict[str, Any] = {
        "strengths": _stacked([c.strengths for c in columns], scene.grid.shape),
        "remainder": _remainder(edit, scene),
        "basis": np.array([c.row for c in columns], np.float32).reshape(len(columns), scene.n_features),
        "origins": tuple(c.origin for c in columns),
        "factor_ids": tuple(c.id for c in columns),
        "next_factor_id": next_id,
        **{name: tuple(c.fields[name] for c in columns) for name in PER_FACTOR},
        **_settings(edit, scene, notes),
    }
    notes += _over(edit, scene, match)
    return Transfer(scene.replace(**changes), added, tuple(notes))


def matched(edit: SceneEdit, scene: SceneFields) -> dict[int, int]:
    """Which factor of a scene each one of an edit is; those that it does not have are missing.

    The closest two come first. Of equally close ones those count that have the same name.
    """
    close = []
    for e, factor in enumerate(edit.factors):
        for t in range(scene.n_factors):
            if score := _closeness(factor, scene, t):
                close.append((-score, e, t))
    found: dict[int, int] = {}
    for _, e, t in sorted(close):
        if e not in found and t not in found.values():
            found[e] = t
    return found


def _closeness(factor: FactorEdit, scene: SceneFields, t: int) -> float:
    """The cosine of a factor's weights to those of a scene's factor; 0 if they are not the same factor."""
    theirs, best = scene.basis[t], 0.0
    for state, later in ((factor.before, 0.0), (factor.after, _SAME_NAME / 2)):
        if state is None:
            continue
        is_named = state.name == scene.names[t]
        # Weights that are all 0 have no direction, so only the name says whose they are.
        is_equal = np.array_equal(state.row, theirs) and (is_named or theirs.any())
        cosine = 1.0 if is_equal else _cosine(state.row, theirs)
        if cosine >= SAME_FACTOR:
            best = max(best, cosine + _SAME_NAME * is_named - later)
    return best


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(float(a @ b) / size, 1.0) if size else 0.0


def _check(edit: SceneEdit, scene: SceneFields) -> None:
    scene.check_sae(edit.sae, edit.space.n_features, "the edit", "an edit can only be put on")
    if edit.space != scene.space:
        raise ValueError(
            f"the edit steers {', '.join(edit.space.sites)}, this scene {', '.join(scene.space.sites)}; "
            "an edit can only be put on a scene of the same sites"
        )
    if edit.grid != scene.grid:
        raise ValueError(
            f"the edit is of a picture with {edit.grid} patches, and this one has {scene.grid}; "
            "an edit can only be put on a picture of the same size"
        )


def _change(column: _Column, edit: SceneEdit, e: int, scene: SceneFields, t: int, notes: list[str]) -> None:
    """Change a factor that the scene has."""
    factor, there = edit.factors[e], column.strengths
    before, after = edit.before[..., e], edit.after[..., e]
    column.edited_by = e
    changed = there * edit.shares[..., e] + edit.additions[..., e]
    # As it came out before the edit was taken up, to the last bit.
    column.strengths = np.where(scene.strengths[..., t] == before, after.astype(np.float64), changed)
    if factor.before is None or factor.after is None:
        return
    column.is_renamed = "names" in factor.changed_fields
    column.fields |= factor.changed_fields
    weights = factor.reweighted
    if weights.any():
        own = (
            scene.basis[t] != scene.base_basis[column.origin]
            if column.origin >= 0
            else np.zeros_like(weights)
        )
        differ = (scene.basis[t] != factor.before.row) & (scene.basis[t] != factor.after.row)
        if n := int((weights & own & differ).sum()):
            notes.append(
                f"{shown(scene.names[t])} had other weights of {plural(n, 'feature')}; the edit's are kept"
            )
        column.row = np.where(weights, factor.after.row, scene.basis[t])


def _added(edit: SceneEdit, e: int, scene: SceneFields, colors: list[str], id_: int) -> _Column:
    """A factor of the edit that the scene does not have."""
    state = edit.factors[e].state
    is_same_picture = edit.picture == picture_of(scene)
    fields = dict(state.fields)
    if fields["colors"] in colors and not is_same_picture:
        fields["colors"] = next_color(colors)
    origin = state.origin if is_same_picture else -1
    return _Column(edit.additions[..., e], state.row, origin, id_, fields, is_renamed=True, edited_by=e)


def _name(columns: list[_Column], notes: list[str]) -> None:
    """Give every factor a name of its own; those that the edit did not name keep theirs."""
    taken = [column.fields["names"] for column in columns if not column.is_renamed]
    for column in columns:
        if column.is_renamed:
            wanted = column.fields["names"]
            column.fields["names"] = name = free_name(wanted, taken)
            taken.append(name)
            if name != wanted:
                notes.append(f"the name {shown(wanted)} is taken, so it is called {shown(name)}")


def _beyond_the_last_step(
    columns: list[_Column], n_kept: int, edit: SceneEdit, scene: SceneFields
) -> list[str]:
    """Which factors cannot be seen: the edit lets them act at steps that the picture does not have."""
    found = []
    for i, column in enumerate(columns):
        steps = column.fields["factor_steps"]
        edited = None if column.edited_by is None else edit.factors[column.edited_by]
        is_from_edit = i >= n_kept or (edited is not None and "factor_steps" in edited.changed_fields)
        if is_from_edit and steps is not None and steps[0] >= scene.n_steps:
            name = shown(column.fields["names"])
            found.append(f"{name} acts at {said(steps)}, which this picture does not have")
    return found


def _ordered(columns: list[_Column], edit: SceneEdit) -> list[_Column]:
    """The edit's factors in its order, at the places that they have together."""
    places = [i for i, column in enumerate(columns) if column.edited_by is not None]
    rank = {e: i for i, e in enumerate(edit.order)}
    theirs = sorted((columns[i] for i in places), key=lambda column: rank[column.edited_by or 0])
    ordered = list(columns)
    for i, column in zip(places, theirs, strict=True):
        ordered[i] = column
    return ordered


def _stacked(maps: list[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.stack(maps, axis=-1) if maps else np.zeros((*shape, 0))


def _remainder(edit: SceneEdit, scene: SceneFields) -> NDArray[np.float64]:
    there, before, after = (
        r.astype(np.float64) for r in (scene.remainder, edit.remainder_before, edit.remainder_after)
    )
    share = np.divide(after, before, out=edit.covers[..., 0].copy(), where=before > 0)
    grown = after > before
    changed = np.where(grown, there + after - before, there * np.where(grown, 1, share))
    return np.where(there == before, after, np.clip(changed, 0, 1))


def _settings(edit: SceneEdit, scene: SceneFields, notes: list[str]) -> dict[str, Any]:
    """The style, and the steps that edits apply at."""
    changes: dict[str, Any] = {}
    before, after = edit.style
    if before != after:
        changes["style"] = after
        if scene.style not in (before, after):
            notes.append(f"the style was {shown(scene.style)}; the edit's is kept")
    steps_before, steps_after = edit.edit_steps
    if steps_before != steps_after:
        if steps_after is None or steps_after[1] <= scene.n_steps:
            changes["edit_steps"] = steps_after
        else:
            notes.append(f"edit_steps {steps_after} do not fit {plural(scene.n_steps, 'step')}; they stay")
    return changes


def _over(edit: SceneEdit, scene: SceneFields, match: dict[int, int]) -> list[str]:
    """Where the edit lies over what was painted in the scene itself."""
    differs = np.zeros(scene.grid.shape, np.bool_)
    for e in range(len(edit.factors)):
        there = scene.strengths[..., match[e]] if e in match else np.zeros(scene.grid.shape, np.float32)
        differs |= there != edit.before[..., e]
    n = int((edit.patches & edited_patches(scene) & differs).sum())
    return [f"the edit lies over what was painted in {n} patch{'' if n == 1 else 'es'}"] if n else []
