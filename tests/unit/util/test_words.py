"""Times and sizes in words."""

from __future__ import annotations

import pytest

from ember_widgets.util.words import duration, first_line, volume


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0.2, "1 s"), (99, "99 s"), (99.5, "2 min"), (720, "12 min"), (5399, "90 min")],
        *[(7200, "2.0 h"), (12_600, "3.5 h"), (36_000, "10.0 h"), (2e5, "2.3 days")],
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (1001, "2 kB"), (3.9e6, "3.9 MB"), (6.94e9, "6.9 GB"), (1.2e10, "12 GB")]
)
def test_sizes(n: float, text: str) -> None:
    assert volume(n) == text


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\n one\ntwo")) == "one"
    assert first_line(ValueError(300 * "x")) == 160 * "x"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(RuntimeError(" "), "out of memory") == "out of memory"
