"""Icons of features, drawn one by one while the pointer rests."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from ember_widgets.widgets.shared import feature_icons
from ember_widgets.widgets.shared.feature_icons import FeatureIcons

SOON_S = 5.0


class Drawing:
    """A painter that draws icons; that of feature 1 fails."""

    def icon(self, feature: int) -> Image.Image:
        if feature == 1:
            raise SystemExit(3)
        return Image.new("RGB", (8, 8))

    def draw_icons(self, features: list[int]) -> list[Image.Image]:
        return [self.icon(feature) for feature in features]


def test_icons_are_drawn_even_if_one_of_them_ends_in_an_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_icons, "REST_S", 0.01)
    drawn, faults = list[int](), list[BaseException]()
    icons = FeatureIcons(Drawing(), wanted=lambda feature: True, drawn=drawn.append, on_error=faults.append)
    icons.note_pointer_move()
    assert [icons.get(feature) for feature in (0, 1, 2)] == [None] * 3
    end = time.monotonic() + SOON_S
    while len(drawn) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert drawn == [0, 2]
    assert len(faults) == 1
    assert str(icons.get(2)).startswith("data:image/jpeg;base64,")
    icons.close()


def test_a_painter_without_icons_gives_none() -> None:
    icons = FeatureIcons(object(), wanted=lambda f: True, drawn=lambda f: None, on_error=lambda fault: None)
    assert icons.get(3) is None
    icons.close()
