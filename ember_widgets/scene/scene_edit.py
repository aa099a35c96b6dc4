"""SceneEdit: what was done to a scene, as a value that can be put on another one.

An edit is not a list of verbs: it is found from two scenes, so it is the same however one led to the other.
In each patch it says which share of what is there stays, and how much of each factor is added. So on another
picture an edit that covered covers, one that added adds, and one that made something weaker makes it weaker
by the same share. Where the other scene holds what this one held before, it comes out as this one's result,
bit by bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid, Mask, Patches
from ember_widgets.scene.scene_fields import SceneFields
from ember_widgets.scene.steps import said
from ember_widgets.util.checks import FloatArray, plural, shown

PER_FACTOR = ("names", "colors", "factor_steps")
"""The scene's fields with one value per factor, besides strengths, weights and origins, that an edit carries.
One that an edit changed is set on the other scene's factor; an added factor takes all of them."""

NOISE = 1e-5
"""A change smaller than this share of the strength itself is the rounding of float32, not an edit."""

_PICTURE = (
    "prompt",
    "seed",
    "n_steps",
    "guidance",
    "image_strength",
    "image",
    "base_strengths",
    "base_basis",
)


def fields_of(scene: SceneFields, factor: int) -> dict[str, Any]:
    """A factor's values of ``PER_FACTOR``."""
    fields = {name: getattr(scene, name) for name in PER_FACTOR}
    return {name: None if values is None else values[factor] for name, values in fields.items()}


@dataclass(frozen=True, eq=False)
class FactorState:
    """What a factor is, on one side of an edit.

    Args:
        row: (n_features,) float32, its features in units of SAE codes.
        origin: the analysed factor that it comes from; -1 = none.
        fields: its values of ``PER_FACTOR``.
    """

    row: FloatArray
    origin: int
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, scene: SceneFields, factor: int) -> FactorState:
        """A factor as a scene has it."""
        origin = (scene.origins or ())[factor]
        return cls(scene.basis[factor], origin, fields_of(scene, factor))

    @property
    def name(self) -> str:
        """The factor's name."""
        return str(self.fields["names"])

    def same(self, other: FactorState) -> bool:
        """Whether both say the same."""
        is_same = self.origin == other.origin and self.fields == other.fields
        return is_same and np.array_equal(self.row, other.row)


@dataclass(frozen=True, eq=False)
class FactorEdit:
    """One factor of an edit. ``before`` is None if the edit adds it, ``after`` if the edit removes it."""

    before: FactorState | None
    after: FactorState | None

    @property
    def state(self) -> FactorState:
        """The factor as the edit leaves it, or as it was if the edit removes it."""
        state = self.after or self.before
        assert state is not None, "one side is there"
        return state

    @cached_property
    def reweighted(self) -> NDArray[np.bool_]:
        """(n_features,) bool, the features whose weight the edit changes."""
        if self.before is None or self.after is None:
            return np.zeros(len(self.state.row), np.bool_)
        changed: NDArray[np.bool_] = self.before.row != self.after.row
        return changed

    @property
    def changed_fields(self) -> dict[str, Any]:
        """The new values of the fields that the edit changes."""
        if self.before is None or self.after is None:
            return {}
        old = self.before.fields
        return {name: value for name, value in self.after.fields.items() if value != old[name]}

    def same(self, other: FactorEdit) -> bool:
        """Whether both say the same."""
        pairs = ((self.before, other.before), (self.after, other.after))
        return all(a is b or (a is not None and b is not None and a.same(b)) for a, b in pairs)


@dataclass(frozen=True, eq=False, repr=False)
class SceneEdit:
    """What was done to a scene: ``after - before``, or ``scene.copy_patches(patches)``; see ``scene.apply``.

    Edits compare by value. Arrays are read-only. An edit that changes nothing is false: ``if edit: ...``.

    Args:
        sae: the SAE that the features belong to, as the scenes' ``model`` names it.
        space: which site each feature belongs to.
        picture: names the picture that was edited; equal for scenes of one analysis.
        factors: the factors: first those from before the edit, then those that it adds.
        order: indices into ``factors``, the palette after the edit.
        before: (rows, cols, len(factors)) float32, the strengths before; 0 for one that is added.
        after: the strengths after; 0 for one that is removed.
        covers: (rows, cols, n_sites) in [0, 1], which share of what is there stays, at each site: 1 = all.
        remainder_before: (rows, cols) float32 in [0, 1].
        remainder_after: the same, after.
        style: the style before and after.
        edit_steps: ``Scene.edit_steps`` before and after.
    """

    sae: str | None
    space: FeatureSpace
    picture: str
    factors: tuple[FactorEdit, ...]
    order: tuple[int, ...]
    before: FloatArray
    after: FloatArray
    covers: NDArray[np.float64]
    remainder_before: FloatArray
    remainder_after: FloatArray
    style: tuple[str, str] = ("", "")
    edit_steps: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None)

    def __post_init__(self) -> None:
        for name in ("before", "after", "covers", "remainder_before", "remainder_after"):
            array = np.array(getattr(self, name))
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def between(cls, before: SceneFields, after: SceneFields) -> SceneEdit:
        """What leads from one scene to another of the same picture.

        Raises:
            ValueError: they are of two pictures.
        """
        check_same_picture(before, after)
        pairs = same_factors(before, after)
        added = [f for f in range(after.n_factors) if f not in pairs.values()]
        factors = [
            FactorEdit(FactorState.of(before, f), FactorState.of(after, pairs[f]) if f in pairs else None)
            for f in range(before.n_factors)
        ]
        factors += [FactorEdit(None, FactorState.of(after, f)) for f in added]
        place = {now: then for then, now in pairs.items()}
        place |= {now: before.n_factors + i for i, now in enumerate(added)}
        maps = np.zeros((2, *before.grid.shape, len(factors)), np.float32)
        maps[0, ..., : before.n_factors] = before.strengths
        for now, f in place.items():
            maps[1, ..., f] = after.strengths[..., now]
        sites = [after.site(pairs[f]) if f in pairs else before.site(f) for f in range(before.n_factors)]
        sites += [after.site(f) for f in added]
        covers = []
        for i, site in enumerate(before.space.sites):
            # Factors that are removed say nothing about strokes.
            here = [f for f, one in enumerate(factors) if one.after is not None and sites[f] == site]
            remainders = (before.remainder, after.remainder) if i == 0 else ()
            covers.append(_cover(maps[0][..., here], maps[1][..., here], *remainders))
        return cls(
            **_belonging(before),
            factors=tuple(factors),
            order=tuple(place[now] for now in range(after.n_factors)),
            before=maps[0],
            after=maps[1],
            covers=np.stack(covers, axis=-1),
            remainder_before=before.remainder,
            remainder_after=after.remainder,
            style=(before.style, after.style),
            edit_steps=(before.edit_steps, after.edit_steps),
        )

    @classmethod
    def of_patches(cls, scene: SceneFields, patches: Patches) -> SceneEdit:
        """An edit that covers patches with what a scene has there.

        Raises:
            TypeError, ValueError: patches outside the grid, or none.
        """
        where = scene.grid.mask(patches)
        if not where.any():
            raise ValueError("there are no patches to copy; give one or more")
        held = [f for f in range(scene.n_factors) if scene.strengths[where, f].any()]
        states = [FactorState.of(scene, f) for f in held]
        after = np.where(where[..., None], scene.strengths[..., held], 0)
        covers = np.where(where[..., None], 0.0, np.ones(len(scene.space.sites)))
        return cls(
            **_belonging(scene),
            factors=tuple(FactorEdit(state, state) for state in states),
            order=tuple(range(len(held))),
            before=np.zeros_like(after),
            after=after,
            covers=covers,
            remainder_before=np.ones(scene.grid.shape, np.float32),
            remainder_after=(~where).astype(np.float32),
        )

    @property
    def grid(self) -> Grid:
        """The patches of the edited scene."""
        return Grid.of(self.before)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """(rows, cols, len(factors)), which share of a factor's strength stays."""
        return self._parts[0]

    @cached_property
    def additions(self) -> NDArray[np.float64]:
        """(rows, cols, len(factors)), what is added to a factor's strength after that."""
        return self._parts[1]

    @cached_property
    def patches(self) -> Mask:
        """(rows, cols) bool, the patches that the edit changes."""
        changed = ((self.shares != 1) & (self.before != 0)) | (self.additions != 0)
        mask: Mask = changed.any(axis=-1) | (self.covers < 1).any(axis=-1)
        mask |= self.remainder_before != self.remainder_after
        return mask

    @property
    def reorders(self) -> bool:
        """Whether it changes the order of the palette, other than by adding factors at its end."""
        return list(self.order) != sorted(self.order)

    def cover_of(self, factor: int) -> NDArray[np.float64]:
        """(rows, cols), which share of what is there stays at the site of one of the edit's factors."""
        return self.covers[..., self.site_index(self.factors[factor].state.row)]

    def own_change(self, factor: int) -> NDArray[np.float64]:
        """(rows, cols), by which share one of the edit's factors changed that its patch did not; 0 = none."""
        own = self.shares[..., factor] - self.cover_of(factor)
        return np.where((np.abs(own) > NOISE) & (self.before[..., factor] != 0), own, 0.0)

    def site_index(self, row: NDArray[Any]) -> int:
        """The number of the site of a factor with these features; 0 if it has none."""
        used = np.flatnonzero(row)
        return self.space.sites.index(self.space.site(int(used[0]))) if len(used) else 0

    def describe(self) -> tuple[str, ...]:
        """What the edit does, in a few words for each change."""
        return tuple(_sentences(self))

    def __bool__(self) -> bool:
        return bool(self.describe()) or bool(self.patches.any())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SceneEdit):
            return NotImplemented
        if len(self.factors) != len(other.factors):
            return False
        fields = [field.name for field in dataclasses.fields(self) if field.name != "factors"]
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            if isinstance(getattr(self, name), np.ndarray)
            else getattr(self, name) == getattr(other, name)
            for name in fields
        ) and all(mine.same(theirs) for mine, theirs in zip(self.factors, other.factors, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"SceneEdit({'; '.join(self.describe()) or 'changes nothing'})"

    @cached_property
    def _parts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``shares`` and ``additions``."""
        before, after = self.before.astype(np.float64), self.after.astype(np.float64)
        cover = (
            np.stack([self.cover_of(f) for f in range(len(self.factors))], axis=-1)
            if self.factors
            else before
        )
        ratio = _ratio(before, after)
        # What fades by more than its patch was made weaker by itself; it must not become negative elsewhere.
        weaker = (ratio >= 0) & (ratio <= cover)
        gains = [_gain(before[..., f], after[..., f], cover[..., f]) for f in range(len(self.factors))]
        # What was scaled wherever it was is scaled wherever it is.
        everywhere = np.isfinite(gains) & ((before != after) == (before != 0)).all(axis=(0, 1))
        scaled = np.isfinite(gains) & (((before != 0) & (before != after)) | everywhere)
        shares = np.where(scaled, gains, np.where(weaker, ratio, cover))
        additions = after - shares * before
        size = np.maximum(np.abs(before), np.abs(after))
        additions[weaker | scaled | (np.abs(additions) <= NOISE * size)] = 0
        return shares, additions


def picture_of(scene: SceneFields) -> str:
    """A short name of the analysis that a scene comes from."""
    digest = hashlib.sha256()
    for array in (scene.base_strengths, scene.base_basis, scene.unit):
        digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _belonging(scene: SceneFields) -> dict[str, Any]:
    """To what an edit of this scene belongs."""
    return {"sae": scene.model.get("sae"), "space": scene.space, "picture": picture_of(scene)}


def check_same_picture(before: SceneFields, after: SceneFields) -> None:
    """Refuse scenes that are not edits of one picture.

    Raises:
        ValueError: they differ in more than edits.
    """
    advice = "give two edits of one picture, such as two steps of one history"
    for name in _PICTURE:
        one, other = getattr(before, name), getattr(after, name)
        has_array = isinstance(one, np.ndarray) or isinstance(other, np.ndarray)  # or None: no photograph
        is_same = np.array_equal(one, other) if has_array else one == other
        if not is_same:
            values = "" if has_array or one is None else f" ({shown(one)} and {shown(other)})"
            raise ValueError(f"the two scenes are of two pictures: they differ in {name}{values}; {advice}")
    if before.model.get("sae") != after.model.get("sae") or before.space != after.space:
        raise ValueError(f"the two scenes have different SAEs; {advice}")
    if not np.array_equal(before.unit, after.unit):
        raise ValueError(f"the two scenes differ in unit; {advice}")


def same_factors(before: SceneFields, after: SceneFields) -> dict[int, int]:
    """Which factor each one from before is after an edit; those that were removed are missing."""

    def keys(scene: SceneFields, f: int) -> tuple[Any, ...]:
        origin = (scene.origins or ())[f]
        id_, name, row = (scene.factor_ids or ())[f], scene.names[f], scene.basis[f].tobytes()
        # An id names a factor only within one scene's history, so something else has to agree too.
        return (
            (id_, name, origin),
            (id_, row, origin),
            (id_, origin, "") if origin >= 0 else None,
            (name, origin),
        )

    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for level in range(4):
        free = {keys(after, f)[level]: f for f in reversed(range(after.n_factors)) if f not in taken}
        free.pop(None, None)
        for f in range(before.n_factors):
            now = free.pop(keys(before, f)[level], None) if f not in pairs else None
            if now is not None:
                pairs[f] = now
                taken.add(now)
    return pairs


def _ratio(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """After ÷ before; -1 where there was nothing before."""
    ratio: NDArray[np.float64] = np.divide(after, before, out=np.full(before.shape, -1.0), where=before != 0)
    return ratio


def _cover(
    before: FloatArray,
    after: FloatArray,
    r_before: FloatArray | None = None,
    r_after: FloatArray | None = None,
) -> NDArray[np.float64]:
    """Which share of what is there stays in each patch, at one site.

    A stroke that covers makes everything weaker by one share, the remainder too, so the remainder says it.
    Where there is none any more, or at a site without one, it is covered if one factor grew while another
    became weaker. Where the remainder stayed, it is only covered if one factor grew while another vanished:
    that is how a region looks that was moved there.
    """
    old, new = before.astype(np.float64), after.astype(np.float64)
    ratio = _ratio(old, new)
    weaker = (ratio >= 0) & (ratio < 1) & (old != new)
    grew = ((old != new) & ~weaker).any(axis=-1)
    least = np.where(weaker, ratio, 1).min(axis=-1, initial=1)
    cover = np.where(grew, least, 1.0)
    if r_before is None or r_after is None:
        return cover
    there, left = r_before.astype(np.float64), r_after.astype(np.float64)
    emptied = weaker.any(axis=-1) & ~new.any(axis=-1)
    cover = np.where(there > 0, np.where(cover > 0, 1.0, 0.0), np.where(emptied, 0.0, cover))
    faded: NDArray[np.float64] = np.divide(left, there, out=np.ones_like(there), where=there > 0)
    return np.where(left < there, faded, cover)


def _gain(before: NDArray[np.float64], after: NDArray[np.float64], cover: NDArray[np.float64]) -> float:
    """The number that a factor was multiplied by wherever it was changed; NaN if there is no such number."""
    changed = before != after
    if changed.sum() < 2 or (before[changed] == 0).any() or (cover[changed] < 1).any():
        return np.nan
    ratios = after[changed] / before[changed]
    gain = float(np.median(ratios))
    return gain if np.abs(ratios - gain).max() <= NOISE * abs(gain) else np.nan


def _sentences(edit: SceneEdit) -> list[str]:
    found = []
    for f, factor in enumerate(edit.factors):
        name, patches = shown(factor.state.name), edit.additions[..., f] != 0
        if factor.after is None:
            found.append(f"removes {name}")
            continue
        if factor.before is None:
            found.append(f"adds {name}")
        elif (n := int(factor.reweighted.sum())) > 0:
            found.append(f"re-weights {plural(n, 'feature')} of {name}")
        for field, value in factor.changed_fields.items():
            old = factor.before.fields[field] if factor.before else ""
            if field == "factor_steps":
                found.append(f"lets {name} act at {said(value) if value else 'all steps'}")
                continue
            what = f"renames {shown(old)}" if field == "names" else f"sets the {field[:-1]} of {name}"
            found.append(f"{what} to {shown(value)}")
        if patches.any():
            found.append(f"paints {name} in {_count(patches)}")
        own = edit.own_change(f)
        for which, where in (("weaker", own < 0), ("stronger", own > 0)):
            if where.any():
                found.append(f"makes {name} {which} in {_count(where)}")
    covered: Mask = edit.covers.min(axis=-1) < 1
    if covered.any():
        found.append(f"covers {_count(covered)}")
    if edit.reorders:
        found.append("reorders the factors")
    if edit.style[0] != edit.style[1]:
        found.append(f"sets the style to {shown(edit.style[1])}")
    if edit.edit_steps[0] != edit.edit_steps[1]:
        found.append(f"sets edit_steps to {edit.edit_steps[1]}")
    return found


def _count(mask: Mask) -> str:
    return plural(int(mask.sum()), "patch", "patches")
