"""The part in the browser of widgets that are made of ipywidgets: it keeps keys, and counts views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

from ember_widgets.widgets.shared.views import Views

_STATIC = Path(__file__).parents[1] / "static"


class NotebookKeys(anywidget.AnyWidget):
    """An invisible part of a widget: keys typed in the widget do not act on the notebook.

    Without it JupyterLab deletes the widget's cell on "d d". It also says when nobody sees the widget.

    Args:
        within: CSS class of the widget that holds this part.
        on_hidden: see ``rest`` of ``Views``; None = nothing to do then.
    """

    _esm = traitlets.Unicode((_STATIC / "keys.js").read_text(encoding="utf-8")).tag(sync=True)

    within = traitlets.Unicode().tag(sync=True)

    def __init__(self, within: str, on_hidden: Callable[[], bool] | None = None) -> None:
        super().__init__(within=within)
        self.layout.display = "none"
        if on_hidden is not None:
            views = Views(lambda: self.send({"type": "views"}), on_hidden)
            self.on_msg(lambda _, content, __: views.count(str(content["client"]), int(content["n"])))
