"""What an Inspection refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ember_widgets.painter.inspection import Inspection
from ember_widgets.scene.grid import Grid
from tests.unit.widgets.inspect.inspect_bench import BEHIND, SITE, StillPainter


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    painter = StillPainter()
    return painter.inspect(painter.analyze("a lion"))


def test_the_strongest_features_come_first_and_no_more_than_asked_for(inspection: Inspection) -> None:
    everything = inspection.top("everything")
    assert len(everything) > 2
    assert list(everything.values()) == sorted(everything.values(), reverse=True)
    for n in (2, np.int64(2)):
        assert list(inspection.top("everything", n).items()) == list(everything.items())[:2]
    assert inspection.top("everything", 10**6) == everything, "there are fewer"


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_feature_is_refused(inspection: Inspection, n: int) -> None:
    with pytest.raises(
        ValueError, match=f"^n={n} is too small; give 1 or more; leave it out for all features$"
    ):
        inspection.top([(3, 4)], n)


@pytest.mark.parametrize("n", ["3", 2.5, True])
def test_what_is_no_count_of_features_is_refused(inspection: Inspection, n: Any) -> None:
    with pytest.raises(TypeError, match=r"^n=.* is not a whole number; give an int, 1 or more; leave it out"):
        inspection.top([(3, 4)], n)


def test_a_change_is_of_one_site_and_grid(inspection: Inspection) -> None:
    painter, small = StillPainter(), StillPainter(grid=Grid(8, 8))
    elsewhere = painter.inspect(painter.analyze("a lion"), site=BEHIND)
    with pytest.raises(ValueError) as caught:
        elsewhere.change(inspection)
    assert str(caught.value) == (
        f"before has 40 features at {SITE} on a grid of 16×16, but this one 40 features at {BEHIND} on a "
        "grid of 16×16; inspect both runs at the same site, with the same model and SAE"
    )
    with pytest.raises(ValueError, match=r"on a grid of 8×8, but this one 40 features at .* of 16×16"):
        inspection.change(small.inspect(small.analyze("a lion")))
