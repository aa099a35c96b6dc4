"""A widget with a scene and a browser that shows it; a test file overrides what it needs otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ember_widgets.scene import Scene
from ember_widgets.widgets.paint import PaintWidget
from tests.unit.paint_bench import Browser, FakePainter
from tests.unit.scenes import make_scene


@pytest.fixture
def painter() -> FakePainter:
    return FakePainter()


@pytest.fixture
def scene() -> Scene:
    return make_scene()


@pytest.fixture
def widget(painter: FakePainter, scene: Scene) -> Iterator[PaintWidget]:
    widget = PaintWidget(painter, scene)
    yield widget
    painter.gate.set()
    widget.close()


@pytest.fixture
def browser(widget: PaintWidget) -> Browser:
    return Browser(widget)
