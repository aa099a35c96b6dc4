"""What the oracle says of marked places."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ember_widgets.embedded import vocabulary
from ember_widgets.embedded.sheet_reader import category, names, part_of

TOP_LEFT: Any = [SimpleNamespace(part=lambda name: (0, 0))] * 5


@pytest.mark.parametrize("text", vocabulary.LABELS[1 : vocabulary.FIRST_THING])
def test_a_background_has_no_parts(text: str) -> None:
    name = next(one for one in names() if one.text == text)
    assert part_of(name, TOP_LEFT) == ""
    assert category(name, "") == "texture"


def test_a_thing_has_parts() -> None:
    name = next(one for one in names() if one.text == "mushroom")
    assert part_of(name, TOP_LEFT) == ", top left"
    assert category(name, ", top left") == "part"
