"""A widget with a scene and a browser that shows it; a test file overrides what it needs otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import Browser, FakePainter

# Previews by PyTorch: an export beside the tests would take half of a core.
os.environ["EMBER_WIDGETS_PREVIEWS"] = "torch"


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
