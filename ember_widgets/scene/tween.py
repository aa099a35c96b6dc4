"""Scenes between two edits of one picture: what is painted travels from where it was to where it will be.

A cross-fade would show a thing twice, fading out here and in there. Optimal transport moves it instead: it
pairs what a factor has in the first scene with what it has in the last, over the shortest squared distances
in all, and every pair travels along a straight line (displacement interpolation; McCann, "A convexity
principle for interacting gases", 1997). Squared distances make a region travel as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ember_widgets.scene.edit_transfer import AnyScene
from ember_widgets.scene.factor_edits import writable
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import free_name
from ember_widgets.scene.scene_edit import same_factors
from ember_widgets.util.checks import FloatArray

SHARES = 1200
"""A factor's strength is paired in so many shares, or in three for each patch that it fills.

So many take 50 ms, and the time grows with the third power."""

STAYS = 2 / 3
"""A factor travels if less than this share of it is in the same place in both scenes; else it fades."""

LEAST = 1e-3
"""Less of a patch than this does not show what is in it."""


@dataclass(frozen=True)
class Travel:
    """How a factor's strengths get from one map to another.

    Args:
        fades_out: (rows, cols), the part of the first map that fades where it stands.
        fades_in: (rows, cols), the part of the last map that appears where it stands.
        start: (n, 2), the row and column that each share comes from.
        stop: (n, 2), where it goes.
        first_share: the strength of each share in the first map.
        last_share: its strength in the last map.
    """

    fades_out: NDArray[np.float64]
    fades_in: NDArray[np.float64]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]
    first_share: float
    last_share: float

    @classmethod
    def between(cls, first: FloatArray, last: FloatArray) -> Travel | None:
        """The shortest way from one map (rows, cols) to another.

        Returns:
            None if nothing travels: one of the maps is empty, or much is in the same place in both. Then the
            map fades. Negative strengths always fade.
        """
        a, b = (np.maximum(one.astype(np.float64), 0) for one in (first, last))
        if np.minimum(a, b).sum() >= STAYS * min(a.sum(), b.sum()):
            return None
        n = max(SHARES, min(a.size, 3 * max(_n_filled(a), _n_filled(b))))
        first_share, last_share = a.sum() / n, b.sum() / n
        start, stop = _places(a, first_share), _places(b, last_share)
        i, j = linear_sum_assignment(((start[:, None] - stop[None]) ** 2).sum(axis=-1))
        start, stop = start[i], stop[j]
        # Rounding leaves a little of each patch; it fades.
        out, into = first.astype(np.float64), last.astype(np.float64)
        np.subtract.at(out, tuple(start.T), first_share)
        np.subtract.at(into, tuple(stop.T), last_share)
        return cls(out, into, start, stop, first_share, last_share)

    def at(self, t: float) -> NDArray[np.float64]:
        """The map (rows, cols) at a time from 0 to 1. Between patches, a share counts in those around it."""
        strengths = (1 - t) * self.fades_out + t * self.fades_in
        share = (1 - t) * self.first_share + t * self.last_share
        farthest = np.array(strengths.shape) - 1  # rounding may lead beyond it
        rows, cols = np.minimum((1 - t) * self.start + t * self.stop, farthest).T
        top, left = np.floor(rows), np.floor(cols)
        for d_row, row_share in ((0, 1 - (rows - top)), (1, rows - top)):
            for d_col, col_share in ((0, 1 - (cols - left)), (1, cols - left)):
                counts = row_share * col_share > 0  # where it does not count, the patch may be off the grid
                at = (top + d_row)[counts].astype(np.intp), (left + d_col)[counts].astype(np.intp)
                np.add.at(strengths, at, share * (row_share * col_share)[counts])
        return strengths


@dataclass(frozen=True)
class Maps:
    """What changes from scene to scene.

    Args:
        strengths: (rows, cols, n_factors).
        basis: (n_factors, n_features).
        remainder: (rows, cols).
    """

    strengths: NDArray[Any]
    basis: NDArray[Any]
    remainder: NDArray[Any]


def tween(first: AnyScene, last: AnyScene, n: int) -> list[AnyScene]:
    """n scenes from one edit of a picture to another; see `Scene.tween`."""
    start, stop = _with_all_factors(first, last)
    times = np.linspace(0, 1, n)[1:-1].tolist()
    here, there = (Maps(one.strengths, one.basis, one.remainder) for one in (start, stop))
    way = [
        (start if t < 0.5 else stop).replace(**vars(maps))
        for t, maps in zip(times, between(here, there, times), strict=True)
    ]
    return [first, *way, last]


def between(first: Maps, last: Maps, times: Iterable[float]) -> list[Maps]:
    """The maps at times from 0 to 1; both ends have the same factors."""
    ways = {
        f: way
        for f in range(len(first.basis))
        if (way := Travel.between(first.strengths[..., f], last.strengths[..., f])) is not None
    }
    ends = [_End.of(maps, list(ways)) for maps in (first, last)]
    return [_between(first, last, ways, ends, t) for t in times]


@dataclass(frozen=True)
class _End:
    """How the factors that travel cover the others in the first or the last scene.

    Args:
        covers: how much they fade what is below them: 1 if they were painted over it, 0 if they were added.
        free: (rows, cols) in [0, 1], how much of each patch they leave to the others.
        remainder: how much of the remainder there is in them.
    """

    covers: float
    free: NDArray[np.float64]
    remainder: float

    @classmethod
    def of(cls, maps: Maps, travelling: list[int]) -> _End:
        cover = _cover(maps.strengths[..., travelling])
        if not cover.any():
            return cls(1.0, 1 - cover, 0.0)
        others = np.delete(maps.strengths, travelling, axis=-1)
        covers = float((cover * (1 - _cover(others))).sum() / cover.sum())
        return cls(covers, 1 - covers * cover, float((cover * maps.remainder).sum() / cover.sum()))


def _between(first: Maps, last: Maps, ways: dict[int, Travel], ends: list[_End], t: float) -> Maps:
    """The maps at a time.

    Where something that travels has left, the others show as they do at the end at which they are free; where
    they are free at neither, they are healed from their surroundings.
    """
    a, b = ends
    travelled = {f: way.at(t) for f, way in ways.items()}
    on_top = np.stack([*travelled.values(), np.zeros(first.remainder.shape)], axis=-1)
    free = 1 - ((1 - t) * a.covers + t * b.covers) * _cover(on_top)
    weights = np.stack([(1 - t) * a.free, t * b.free])
    weight = weights.sum(axis=0)
    hidden = weight < LEAST
    shown = np.where(hidden, 1, weight)

    faded = (1 - t) * first.strengths.astype(np.float64) + t * last.strengths
    least, most = (pick(pick(first.strengths, last.strengths), 0) for pick in (np.minimum, np.maximum))
    below = np.clip(faded / shown[..., None], least, most)
    if ways:
        below[..., list(ways)] = 0
        below = Grid.of(hidden).heal(below.astype(np.float32), hidden).astype(np.float64)
    strengths = free[..., None] * below
    for f, travelled_map in travelled.items():
        strengths[..., f] = travelled_map

    remainder = (weights[0] * first.remainder + weights[1] * last.remainder) / shown
    on_top_remainder = (1 - t) * a.remainder + t * b.remainder
    return Maps(
        strengths,
        (1 - t) * first.basis.astype(np.float64) + t * last.basis,
        np.clip(free * remainder + (1 - free) * on_top_remainder, 0, 1),
    )


def _cover(strengths: NDArray[Any]) -> NDArray[np.float64]:
    """How much of each patch (rows, cols) factors cover, 0..1."""
    total: NDArray[np.float64] = np.maximum(strengths.astype(np.float64), 0).sum(axis=-1)
    return np.clip(total, 0, 1)


def _n_filled(strengths: NDArray[np.float64]) -> int:
    """How many patches would hold all of a map's strength if each held as much as the others."""
    total, squares = float(strengths.sum()), float((strengths**2).sum())
    return round(total**2 / squares) if squares else 0


def _places(strengths: NDArray[np.float64], share: float) -> NDArray[np.intp]:
    """(n, 2): row and column of every share of a map."""
    counts = np.rint(strengths / share).astype(np.intp)
    return np.repeat(np.argwhere(np.ones(strengths.shape, np.bool_)), counts.ravel(), axis=0)


def _with_all_factors(first: AnyScene, last: AnyScene) -> tuple[AnyScene, AnyScene]:
    """Both scenes with the factors of both, in one order; where one had none, its strength is 0.

    Each keeps the names and colours of its own factors.
    """
    pairs = same_factors(first, last)
    new = [g for g in range(last.n_factors) if g not in pairs.values()]
    n, next_id = first.n_factors, first.next_factor_id or 0
    names, colors = list(first.names), [*first.colors, *(last.colors[g] for g in new)]
    for g in new:
        names.append(free_name(last.names[g], names))
    shared: dict[str, Any] = {
        "origins": (*(first.origins or ()), *((last.origins or ())[g] for g in new)),
        "factor_ids": (*(first.factor_ids or ()), *range(next_id, next_id + len(new))),
        "next_factor_id": None,
    }
    here, there = (one.factor_steps or (None,) * one.n_factors for one in (first, last))
    steps = (*here, *(there[g] for g in new))
    strengths = np.zeros((*first.grid.shape, n + len(new)), np.float32)
    strengths[..., :n] = first.strengths
    basis = np.concatenate([first.basis, last.basis[new]])
    start = first.replace(
        strengths=strengths,
        basis=basis,
        factor_steps=steps,
        names=tuple(names),
        colors=tuple(colors),
        **shared,
    )
    steps = tuple(there[pairs[f]] if f in pairs else one for f, one in enumerate(steps))
    strengths, basis = np.zeros_like(strengths), writable(basis)
    now = {**pairs, **dict(enumerate(new, n))}
    for f, g in now.items():
        strengths[..., f], basis[f] = last.strengths[..., g], last.basis[g]
        names[f], colors[f] = last.names[g], last.colors[g]
    taken = list(last.names)
    for f in range(n):
        if f not in now:
            names[f] = free_name(first.names[f], taken)
            taken.append(names[f])
    stop = last.replace(
        strengths=strengths,
        basis=basis,
        factor_steps=steps,
        names=tuple(names),
        colors=tuple(colors),
        **shared,
    )
    return start, stop
