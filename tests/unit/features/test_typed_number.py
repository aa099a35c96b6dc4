"""Features that are typed as numbers."""

from __future__ import annotations

import pytest

from ember_widgets.features.typed_number import number_in


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), (" #12 ", 12), ("# 7", 7), ("0", 0), ("007", 7), ("9" * 9, 999_999_999)]
)
def test_a_number_is_that_of_a_feature(text: str, number: int) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize("text", ["", "#", "-1", "1.5", "12 cats", "##1", "1e3", "²", "9" * 10])
def test_all_else_is_text(text: str) -> None:
    assert number_in(text) is None
