"""Edits of patches on plain arrays, without a scene."""

from __future__ import annotations

import numpy as np

from ember_widgets.scene import patch_edits
from ember_widgets.scene.patch_edits import Editable

HERE = np.zeros((2, 3), np.bool_)
HERE[0, 1] = True


def editable(*, same_site: tuple[bool, ...] = (True, True), masks_remainder: bool = True) -> Editable:
    """Two factors of strengths 1 and 2 everywhere, on 2 rows and 3 columns."""
    strengths = np.broadcast_to(np.array([1, 2], np.float32), (2, 3, 2))
    return Editable(strengths, np.ones((2, 3), np.float32), np.array(same_site), masks_remainder)


def shares(value: float) -> np.ndarray:
    return np.full((2, 3), value)


def test_paint_over_fades_what_was_there() -> None:
    strengths, remainder = patch_edits.paint(editable(), 0, HERE, 3.0, shares(0.5), over=True)
    assert strengths[0, 1].tolist() == [2.0, 1.0]
    assert remainder[0, 1] == 0.5
    assert (strengths[~HERE] == [1, 2]).all()
    assert (remainder[~HERE] == 1).all()


def test_paint_add_leaves_what_was_there() -> None:
    strengths, remainder = patch_edits.paint(editable(), 0, HERE, 3.0, shares(0.5), over=False)
    assert strengths[0, 1].tolist() == [2.5, 2.0]
    assert (remainder == 1).all()


def test_paint_leaves_factors_and_the_remainder_of_another_site() -> None:
    apart = editable(same_site=(True, False), masks_remainder=False)
    strengths, remainder = patch_edits.paint(apart, 0, HERE, 3.0, shares(1), over=True)
    assert strengths[0, 1].tolist() == [3.0, 2.0]
    assert (remainder == 1).all()


def test_erase_empties_or_fills() -> None:
    strengths, remainder = patch_edits.erase(editable(), None, HERE, fill=False)
    assert strengths[0, 1].tolist() == [0, 0]
    assert remainder[0, 1] == 0
    strengths, remainder = patch_edits.erase(editable(), 1, HERE, fill=True)
    assert strengths[0, 1].tolist() == [1, 0]
    assert remainder[0, 1] == 0
    strengths, remainder = patch_edits.erase(editable(), 1, HERE, fill=False)
    assert strengths[0, 1].tolist() == [1, 0]
    assert (remainder == 1).all()


def test_move_carries_one_factor_and_drops_what_leaves_the_grid() -> None:
    strengths, remainder = patch_edits.move(editable(), 0, HERE, (1, 1), fill=False)
    assert strengths[0, 1].tolist() == [0, 0]
    assert strengths[1, 2].tolist() == [1, 0]
    assert (remainder[0, 1], remainder[1, 2]) == (0, 1)
    strengths, _ = patch_edits.move(editable(), 0, HERE, (-1, 0), fill=False)
    assert strengths[0, 1].tolist() == [0, 0]
    assert (strengths[~HERE] == [1, 2]).all()


def test_what_is_edited_is_a_copy() -> None:
    before = editable()
    patch_edits.erase(before, None, ~HERE, fill=False)
    assert (before.strengths == [1, 2]).all()
