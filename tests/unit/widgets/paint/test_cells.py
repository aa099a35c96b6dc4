"""A widget that a cell makes again begins as the user left the last one there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ember_widgets.widgets.paint import cells
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import FakePainter

Run = Callable[[str | None], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Begins to run a cell."""
    runs = 0

    class Shell:
        parent: dict[str, Any] = {}  # noqa: RUF012

        def get_parent(self) -> dict[str, Any]:
            return self.parent

    shell = Shell()
    monkeypatch.setattr(cells, "get_ipython", lambda: shell)
    monkeypatch.setattr(cells, "_left", {})
    monkeypatch.setattr(cells, "_made", {})

    def begin(cell: str | None) -> None:
        nonlocal runs
        runs += 1
        shell.parent = {"header": {"msg_id": str(runs)}, "metadata": {"cellId": cell} if cell else {}}

    return begin


def made() -> PaintWidget:
    return PaintWidget(FakePainter(), make_scene())


def test_the_widget_of_the_same_cell_begins_as_the_last_one_was_left(run: Run) -> None:
    run("a cell")
    first, second = made(), made()
    assert first._left == {}
    first._left = {"tool": "erase"}
    second._left = {"tool": "move"}
    run("another cell")
    assert made()._left == {}
    run("a cell")
    assert [made()._left for _ in range(3)] == [
        {"tool": "erase", "again": True},
        {"tool": "move", "again": True},
        {},
    ]
    run("a cell")
    assert made()._left == {"tool": "erase", "again": True}


def test_without_a_cell_every_widget_is_new(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(None)
    made()._left = {"tool": "erase"}
    run(None)
    assert made()._left == {}
    monkeypatch.setattr(cells, "get_ipython", lambda: None)
    assert made()._left == {}
