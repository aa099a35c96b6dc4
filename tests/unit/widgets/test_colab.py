"""What Colab wants of a kernel before it shows a widget that it does not bring itself.

Colab cannot be started here. This is its contract, as anywidget keeps it: `enable_custom_widget_manager` of
`google.colab.output` is called, and the output says where the manager was installed
(https://github.com/googlecolab/colabtools/issues/498).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import anywidget._util
import numpy as np
import pytest

from ember_widgets import FeatureAtlas, PatchInspector
from ember_widgets.widgets.paint.widget import PaintWidget
from ember_widgets.widgets.shared import saved_picture
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.atlas.atlas_bench import Painter
from tests.unit.widgets.inspect.inspect_bench import StillPainter
from tests.unit.widgets.paint.paint_bench import FullPainter

VIEW = "application/vnd.jupyter.widget-view+json"
MANAGER = "https://ssl.gstatic.com/colaboratory-static/widgets/colab-cdn-widget-manager/manager.min.js"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A kernel in Colab; what was called in it."""
    calls: list[str] = []
    output: Any = ModuleType("google.colab.output")
    output._widgets = SimpleNamespace(_installed_url=None)

    def enable() -> None:
        calls.append("enable_custom_widget_manager")
        output._widgets._installed_url = MANAGER

    output.enable_custom_widget_manager = enable
    for name, module in (("google", ModuleType("google")), ("google.colab", ModuleType("google.colab"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    anywidget._util.enable_custom_widget_manager_once.cache_clear()
    yield calls
    anywidget._util.enable_custom_widget_manager_once.cache_clear()


def test_the_widget_manager_is_enabled_and_the_output_says_where_it_is(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, Any]] = []
    monkeypatch.setattr(saved_picture, "_publish", lambda data, metadata, **_: sent.append((data, metadata)))
    widget = PaintWidget(FullPainter(), make_scene(strengths=np.full((16, 16, 3), 0.5)))
    widget._ipython_display_()
    widget.close()

    assert calls == ["enable_custom_widget_manager"]
    ((data, metadata),) = sent  # one output: Colab knows no picture that stands in for a widget
    assert data[VIEW]["model_id"]
    assert metadata == {VIEW: {"colab": {"custom_widget_manager": {"url": MANAGER}}}}


def test_the_inspector_and_the_atlas_enable_it_too(calls: list[str], tmp_path: Path) -> None:
    """They are boxes of ipywidgets; what they hold is not Colab's own."""
    painter = StillPainter()
    PatchInspector(painter, painter.analyze("a lion", n_steps=2)).close()
    assert calls == ["enable_custom_widget_manager"]

    anywidget._util.enable_custom_widget_manager_once.cache_clear()
    calls.clear()
    FeatureAtlas(Painter(), method="pca", cache=tmp_path).close()
    assert calls == ["enable_custom_widget_manager"]
