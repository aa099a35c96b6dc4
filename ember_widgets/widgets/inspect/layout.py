"""The parts of PatchInspector and their layout; their behaviour is in other files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets

from ember_widgets.scene import site_names
from ember_widgets.widgets.inspect.canvas import Handlers, PatchCanvas, RowCanvas
from ember_widgets.widgets.inspect.layers import LAYERS
from ember_widgets.widgets.inspect.patch_list import ROW_HEIGHT, ROWS
from ember_widgets.widgets.shared.close_tree import close_tree
from ember_widgets.widgets.shared.notebook_keys import NotebookKeys

_CSS = (Path(__file__).parents[1] / "static" / "inspect.css").read_text(encoding="utf-8")


class Parts:
    """All widgets of an inspector.

    Args:
        handlers: of the events on the picture.
        on_ready: called when a page shows an empty canvas.
        on_row: called with the number of a row of the list that was clicked.
        on_hidden: called when no page shows the widget any more.
        with_brush: show the button that adds a feature to the palette.
        with_atlas: show the button that finds a feature in the atlas.
    """

    def __init__(
        self,
        handlers: Handlers,
        on_ready: Callable[[], None],
        on_row: Callable[[int], None],
        on_hidden: Callable[[], bool],
        *,
        with_brush: bool,
        with_atlas: bool,
    ) -> None:
        w = ipywidgets
        self.canvas = PatchCanvas(handlers, on_ready)
        self.rows = RowCanvas(ROWS, ROW_HEIGHT, on_row, handlers.key)
        self.list, self.legend, self.card, self.status = (w.HTML() for _ in range(4))
        self.layers = w.ToggleButtons(options=layer_options(False))
        self.compare = w.ToggleButton(
            description="Compare",
            icon="columns",
            tooltip="The next click picks a patch to compare with (Shift)",
        )
        self.find = w.Text(placeholder="Feature: label or number", continuous_update=False)
        narrow = {"description_width": "auto"}
        self.steps = w.Dropdown(description="Step", style=narrow)
        self.sites = w.Dropdown(description="Site", style=narrow)
        self.use = w.Button(description="Use as brush", icon="paint-brush", tooltip="Add it to the palette")
        self.show = w.Button(description="Find in atlas", icon="map", tooltip="Select it in the atlas")
        self.drop = w.Button(description="Close", tooltip="Show no feature")
        for widget, width in ((self.find, "190px"), (self.steps, "120px"), (self.sites, "140px")):
            widget.layout.width = width
        for button in (self.compare, self.use, self.show, self.drop):
            button.layout.width = "auto"
        self.use.add_class("ember-main")

        buttons = [*[self.use] * with_brush, *[self.show] * with_atlas, self.drop]
        self._all: list[Any] = [self.use, self.show]
        style = self._classed(w.HTML(f"<style>{_CSS}</style>"), "ember-style")
        left = self._classed(w.VBox([self.canvas.widget, self.legend]), "ember-left")
        right = self._classed(w.Box([self.list, self.rows.widget]), "ember-right")
        right.layout.display = "block"
        body = self._classed(w.HBox([left, right]), "ember-body")
        tools = self._classed(w.HBox([self.find, self.compare, self.steps, self.sites]), "ember-tools")
        self.chosen = self._classed(
            w.HBox([self.card, self._classed(w.HBox(buttons), "ember-buttons")]), "ember-chosen"
        )
        status = self._classed(self.status, "ember-said")
        keys = NotebookKeys("ember-inspect", on_hidden)
        self.children = [style, self.layers, body, tools, self.chosen, status, keys]

    def show_choices(
        self, *, edited: bool, layer: str, n_steps: int, step: int, sites: list[str], site: str
    ) -> None:
        """Fill the choices, and hide those that have only one option."""
        options = layer_options(edited)
        if options != list(self.layers.options):
            self.layers.options = options
        self.layers.value = layer
        self.layers.tooltips = [LAYERS[name][1] for _, name in options]
        self.steps.options = [(f"{i + 1} of {n_steps}", i) for i in range(n_steps)]
        self.sites.options = [(site_names.short(name), name) for name in sites]
        self.steps.value, self.sites.value = step, site
        self.steps.layout.display = None if n_steps > 1 else "none"
        self.sites.layout.display = None if len(sites) > 1 else "none"

    def close(self) -> None:
        """Close all of them, in every view."""
        close_tree(*self.children, *self._all)

    @staticmethod
    def _classed(widget: Any, name: str) -> Any:
        widget.add_class(name)
        return widget


def layer_options(edited: bool) -> list[tuple[str, str]]:
    """The layers as buttons; only an edited scene has changes."""
    return [(text, name) for name, (text, _) in LAYERS.items() if edited or name != "change"]
