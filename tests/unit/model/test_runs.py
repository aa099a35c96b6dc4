"""The key of a run differs with everything that changes its unedited picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ember_widgets.model.runs import Run

PHOTOGRAPH = np.zeros((4, 8, 8), np.float32)
RUN = Run("a lion", 3, 2, 5.0, PHOTOGRAPH, 0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a cat"},
        {"seed": 4},
        {"n_steps": 1},
        {"guidance": 6.0},
        {"image": PHOTOGRAPH + 1},
        {"image": None},
        {"image_strength": 0.6},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_run_has_another_key(change: dict[str, Any]) -> None:
    assert replace(RUN, **change).key != RUN.key


def test_an_equal_run_has_the_same_key() -> None:
    assert replace(RUN, image=PHOTOGRAPH.copy()).key == RUN.key
    assert replace(RUN, seed=np.int64(3)).key == RUN.key


def test_without_a_photograph_its_strength_does_not_count() -> None:
    assert Run("a lion", 3, 1).key == Run("a lion", 3, 1, image_strength=0.9).key
