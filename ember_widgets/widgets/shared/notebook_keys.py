"""Keeps keys that are typed in a widget from the notebook, for widgets that are made of ipywidgets."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

_STATIC = Path(__file__).parents[1] / "static"


class NotebookKeys(anywidget.AnyWidget):
    """An invisible part of a widget: keys typed in the widget do not act on the notebook.

    Without it JupyterLab deletes the widget's cell on "d d".

    Args:
        within: CSS class of the widget that holds this part.
    """

    _esm = traitlets.Unicode((_STATIC / "keys.js").read_text(encoding="utf-8")).tag(sync=True)

    within = traitlets.Unicode().tag(sync=True)

    def __init__(self, within: str) -> None:
        super().__init__(within=within)
        self.layout.display = "none"
