"""Wilson's interval."""

from __future__ import annotations

import pytest

from ember_widgets.util.intervals import wilson


def test_agrees_with_published_values() -> None:
    """Of 10 trials, from the table of Wilson intervals in R (prop.test, correct=FALSE)."""
    assert wilson(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-3)


def test_stays_between_0_and_1() -> None:
    assert wilson(0, 1)[0] == 0.0
    assert wilson(1, 10)[1] == 1.0
    assert wilson(0.75, 10)[0] < 0.75 < wilson(0.75, 10)[1]


@pytest.mark.parametrize(("share", "n"), [(1.1, 10), (-0.1, 10), (0.5, 0), (float("nan"), 10)])
def test_refuses_what_is_no_share(share: float, n: int) -> None:
    with pytest.raises(ValueError, match="give 0..1"):
        wilson(share, n)
