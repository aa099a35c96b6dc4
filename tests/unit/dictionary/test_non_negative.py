"""Non-negative least squares for many targets: what scipy finds one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from ember_widgets.dictionary.non_negative import CHUNK, mixes


@pytest.mark.parametrize("overlap", [0.1, 0.9])
def test_is_what_scipy_finds_one_by_one(overlap: float) -> None:
    random = np.random.default_rng(0)
    rows = random.random((24, 80)) * (random.random((24, 80)) < overlap)
    targets = random.random((60, 80)) * (random.random((60, 80)) < 0.2)
    targets[7] = 0
    found = mixes(targets @ rows.T, rows @ rows.T)
    expected = np.array([nnls(rows.T, target)[0] for target in targets])
    assert (expected == 0).any()
    assert np.abs(found - expected).max() < 1e-6
    assert found.min() >= 0


def test_rows_that_are_the_same_share_what_they_explain() -> None:
    rows = np.array([[1.0, 2, 0], [1, 2, 0], [0, 0, 1]])
    found = mixes(np.array([[3.0, 6, 4]]) @ rows.T, rows @ rows.T)
    np.testing.assert_allclose(found @ rows, [[3, 6, 4]], rtol=1e-6)


def test_many_targets_are_those_of_each_chunk() -> None:
    random = np.random.default_rng(1)
    rows, targets = random.random((3, 9)), random.random((CHUNK + 5, 9))
    found = mixes(targets @ rows.T, rows @ rows.T)
    np.testing.assert_allclose(found[-5:], mixes(targets[-5:] @ rows.T, rows @ rows.T), atol=1e-12)


def test_targets_that_do_not_settle_are_solved_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    rows, targets = random.random((12, 30)), random.random((40, 30))
    expected = mixes(targets @ rows.T, rows @ rows.T)
    monkeypatch.setattr("ember_widgets.dictionary.non_negative.EXCHANGES", 0)
    np.testing.assert_allclose(mixes(targets @ rows.T, rows @ rows.T), expected, atol=1e-7)
