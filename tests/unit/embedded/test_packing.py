"""Painted shapes are filled with undistorted sprites, and random layouts hold such shapes of all sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.embedded.packing import ASPECT, boxes
from ember_widgets.embedded.random_layouts import painted_shape, shape_size


def _disc(size: int) -> NDArray[Any]:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.asarray(y**2 + x**2 <= 1.05 * (size / 2) ** 2)


def _shapes(n: int) -> list[NDArray[Any]]:
    rng = np.random.default_rng(4)
    return [painted_shape(rng, *shape_size(rng)) for _ in range(n)]


def test_a_disc_holds_one_sprite_as_large_as_it() -> None:
    for size in range(2, 17):
        assert boxes(_disc(size)) == ((0, 0, size, size),)


def test_a_bar_holds_equal_sprites_evenly_spaced() -> None:
    assert boxes(np.ones((4, 12), bool)) == ((0, 0, 4, 4), (0, 4, 4, 4), (0, 8, 4, 4))
    assert boxes(np.ones((12, 4), bool)) == ((0, 0, 4, 4), (4, 0, 4, 4), (8, 0, 4, 4))


def test_a_slanted_stroke_holds_a_slanted_row() -> None:
    row = boxes(np.abs(np.subtract.outer(np.arange(12), np.arange(12))) < 3)
    assert len(row) >= 3
    assert len({box[2:] for box in row}) == 1
    assert list(row) == sorted(row, key=lambda box: box[1])


def test_a_tiny_shape_holds_one_sprite() -> None:
    for size in ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2)):
        assert boxes(np.ones(size, bool)) == ((0, 0, *size),)


def test_sprites_keep_their_proportions_and_fill_most_of_a_shape() -> None:
    shares = []
    for shape in _shapes(200):
        filled = np.zeros(shape.shape, int)
        for r, c, h, w in boxes(shape, (5, 5)):
            assert max(h / w, w / h) <= ASPECT or h * w <= 6
            assert min(r, c) >= 0
            assert r + h <= len(shape)
            assert c + w <= len(shape[0])
            filled[r : r + h, c : c + w] += 1
        assert filled.any()
        shares.append((filled.astype(bool) & shape).sum() / shape.sum())
    assert np.mean(shares) >= 0.75
    assert np.mean(np.array(shares) >= 0.6) >= 0.9


def test_where_a_shape_lies_in_a_larger_box_does_not_matter() -> None:
    for shape in _shapes(60):
        moved = boxes(np.pad(shape, ((2, 1), (3, 0))))
        assert tuple((r - 2, c - 3, h, w) for r, c, h, w in moved) == boxes(shape)


def test_painted_shapes_have_many_sizes() -> None:
    sides = np.array([shape.shape for shape in _shapes(1000)])
    assert sides.min() >= 1
    assert sides.max() == 16
    assert 0.03 < (sides.min(1) > 10).mean() < 0.12
    assert ((sides >= 3) & (sides <= 9)).all(1).mean() > 0.5


def test_every_shape_holds_a_sprite_even_a_thin_zigzag() -> None:
    rng = np.random.default_rng(5)
    masks = [rng.random(rng.integers(1, 17, 2)) < rng.choice([0.1, 0.5, 0.9]) for _ in range(150)]
    for shape in [np.eye(9, dtype=bool), *(mask for mask in masks if mask.any())]:
        for natural in ((5, 5), (4, 6), (6, 4)):
            assert boxes(shape, natural)
    assert not boxes(np.zeros((3, 3), bool))
