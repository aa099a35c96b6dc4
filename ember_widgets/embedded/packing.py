"""Undistorted sprites that fill a painted shape: one if compact, else several of one size, evenly spaced.

The boxes depend on the shape and on the proportions of the sprite only, not on its outline: a small network
has to learn the rule from the patches that carry a label, and so learns it once for all labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Box = tuple[int, int, int, int]

PROPORTIONS = (0.7, 1.0, 1.4)  # height to width; a rule for each is less to learn than one for each sprite
ASPECT = 1.34  # how far a box may be from the natural proportions: 3×4 is near enough to a square
INSIDE = 0.84  # share of a sprite's patches that have to be in the shape
WHOLE = 0.7  # one sprite that fills so much of a shape stands for all of it
LEAST = 0.2  # the smallest sprite in a shape, as a share of the largest: no crumbs around a large one


def boxes(shape: Array, natural: tuple[int, int] = (1, 1)) -> tuple[Box, ...]:
    """Where sprites stand in a shape.

    Args:
        shape: (h, w) bool, the patches that a person painted.
        natural: Height and width of the undistorted sprite, in any unit.

    Returns:
        Row, column, height and width of each sprite in whole patches, in the box of the shape, row by row.
    """
    tall = min(PROPORTIONS, key=lambda tall: abs(np.log(natural[0] / natural[1] / tall)))
    return _boxes(shape.shape, np.ascontiguousarray(shape, bool).tobytes(), tall)


@lru_cache(maxsize=4096)
def _boxes(size: tuple[int, int], filled: bytes, tall: float) -> tuple[Box, ...]:
    left = np.frombuffer(filled, bool).reshape(size).copy()
    found: list[Box] = []
    pieces = sorted(_pieces(left), key=lambda piece: -int(piece.sum()))
    for piece in pieces:
        if not found or piece.sum() >= 3:  # stray patches beside a shape are specks of the brush
            found += _in_piece(piece, tall)
    return tuple(sorted(found))


def _in_piece(piece: Array, tall: float) -> list[Box]:
    """Sprites in a connected piece: as many as fill it, then smaller ones in what they leave."""
    rows, cols = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    top, height, start, width = int(rows[0]), int(np.ptp(rows)) + 1, int(cols[0]), int(np.ptp(cols)) + 1
    if height * width <= 6 and max(height, width) <= 3 and (min(height, width) > 1 or height * width <= 2):
        return [(top, start, height, width)]
    left = piece[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].copy()
    found: list[Box] = []
    for _ in range(3):
        largest = max((h * w for _, _, h, w in found), default=0)
        more = _round(left, tall, INSIDE, LEAST * largest)
        if not found and not more:
            more = _round(left, tall, 0.5, 0)  # a thin zigzag
        if not more:
            break
        found += more
        for r, c, h, w in more:
            left[r : r + h, c : c + w] = False
    return [(top + r, start + c, h, w) for r, c, h, w in found]


def _round(left: Array, tall: float, inside: float, least: float) -> list[Box]:
    """Sprites of one size: a single one where it fills most of what is left, else one for each equal part."""
    sizes = [size for size in _sizes(left.shape[0], left.shape[1], tall) if size[0] * size[1] >= least]
    points = np.argwhere(left)
    if not sizes or not len(points):
        return []
    middle, sums = points.mean(0) + 0.5, _sums(left)
    best = max((_place(sums, size, middle, inside, 0.1, tall), size) for size in sizes)
    (score, r, c), (height, width) = best
    if score == -np.inf:
        return []
    area = height * width - 4 * _corner(height, width) ** 2
    if left[r : r + height, c : c + width].sum() >= WHOLE * len(points):
        return [(r, c, height, width)]
    rows: list[tuple[float, list[Box]]] = []
    for h, w in sizes:
        own = h * w - 4 * _corner(h, w) ** 2
        if 0.4 * area <= own <= area:
            n = max(2, round(len(points) / (h * w)))
            total, row = _row(left, (h, w), _centres(points, n, tall), inside, tall)
            rows.append((total * (h * w) ** 0.25, row))  # few large ones rather than many small ones
    return max(rows, default=(0.0, []))[1] or [(r, c, height, width)]


def _row(
    left: Array, size: tuple[int, int], centres: Array, inside: float, tall: float
) -> tuple[float, list[Box]]:
    """A sprite of this size at each of the centres where it fits, and how good that is."""
    free, total, row = left.copy(), 0.0, []
    for centre in centres:
        score, r, c = _place(_sums(free), size, centre, inside, 0.6, tall)
        if score > 0:
            total += score
            row.append((r, c, *size))
            free[r : r + size[0], c : c + size[1]] = False
    return total, row


def _sizes(height: int, width: int, tall: float) -> Iterator[tuple[int, int]]:
    """Sizes near the natural proportions, and the least one, which any shape has room for."""
    least = (min(2, height), min(2, width))
    for h in range(least[0], height + 1):
        for w in range(least[1], width + 1):
            if 1 / ASPECT <= h / (w * tall) <= ASPECT or (h, w) == least:
                yield h, w


def _corner(height: int, width: int) -> int:
    """Side of the corners of a box that no sprite needs."""
    return 2 * min(height, width) // 7


def _sums(mask: Array) -> Array:
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), int)
    sums[1:, 1:] = mask.cumsum(0).cumsum(1)
    return sums


def _place(
    sums: Array, size: tuple[int, int], centre: Array, inside: float, pull: float, tall: float
) -> tuple[float, int, int]:
    """Score, row and column of the best place for a box of a size, near a centre; -inf if it fits nowhere."""
    (h, w), k = size, _corner(*size)
    rows, cols = sums.shape[0] - h, sums.shape[1] - w

    def within(top: int, start: int) -> Array:
        """Filled patches in the box less so many rows at its top and bottom, columns at both sides."""
        r0, r1, c0, c1 = top, h - top, start, w - start
        total: Array = (
            sums[r1 : r1 + rows, c1 : c1 + cols] - sums[r0 : r0 + rows, c1 : c1 + cols]
            - sums[r1 : r1 + rows, c0 : c0 + cols] + sums[r0 : r0 + rows, c0 : c0 + cols]
        )  # fmt: skip
        return total

    filled, own = within(0, 0), h * w - 4 * k * k
    if k:
        filled = within(k, 0) + within(0, k) - within(k, k)
    if filled.max() < inside * own:
        return -np.inf, 0, 0
    away = (np.arange(rows)[:, None] + h / 2 - centre[0]) ** 2 + (np.arange(cols) + w / 2 - centre[1]) ** 2
    natural = min(h / (w * tall), w * tall / h) ** 0.9  # a longer box is hardly better than a natural one
    score = (2 * filled - own) * natural - pull * away
    score = np.where(filled >= inside * own, score, -np.inf)
    r, c = divmod(int(score.argmax()), cols)
    return float(score[r, c]), r, c


def _centres(points: Array, n: int, tall: float) -> Array:
    """Middles of n equal parts of a shape: k-means from one end on, so that a row is evenly spaced."""
    at = (points + 0.5) * (1 / tall, 1)
    spread = at - at.mean(0)
    axis = np.linalg.eigh(spread.T @ spread)[1][:, 1]
    axis = axis * (1 if axis[np.abs(axis).argmax()] > 0 else -1)
    chosen = [int((spread @ axis).argmin())]
    away = ((at - at[chosen[0]]) ** 2).sum(1)
    for _ in range(n - 1):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, ((at - at[chosen[-1]]) ** 2).sum(1))
    centres = at[chosen]
    for _ in range(12):
        mine = ((at[:, None] - centres) ** 2).sum(2).argmin(1)[:, None] == np.arange(n)
        moved = (mine.T @ at) / np.maximum(mine.sum(0), 1)[:, None]
        if np.allclose(moved, centres):
            break
        centres = moved
    order = (centres @ axis).round(3).argsort(kind="stable")
    return np.asarray(centres[order] * (tall, 1))


def _pieces(shape: Array) -> Iterator[Array]:
    """The parts of a shape that touch at sides or corners."""
    todo = {(int(r), int(c)) for r, c in np.argwhere(shape)}
    while todo:
        front, piece = [min(todo)], np.zeros(shape.shape, bool)
        todo.discard(front[0])
        while front:
            r, c = front.pop()
            piece[r, c] = True
            near = todo & {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
            todo -= near
            front += near
        yield piece
