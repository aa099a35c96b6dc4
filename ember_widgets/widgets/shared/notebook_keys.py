"""The part in the browser of widgets that are made of ipywidgets: it keeps keys, and counts views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

from ember_widgets.widgets.shared.views import Views

_STATIC = Path(__file__).parents[1] / "static"


class NotebookKeys(anywidget.AnyWidget):
    """An invisible part of a widget: keys typed in the widget do not act on the notebook, and the wheel does.

    Without it JupyterLab deletes the widget's cell on "d d", and the page does not scroll while the pointer
    is over a canvas. It also says when nobody sees the widget.

    Args:
        within: CSS class of the widget that holds this part.
        zooms: CSS selector of a part that zooms by the wheel, but only when it was clicked, or with Ctrl.
        on_hidden: see ``rest`` of ``Views``; None = nothing to do then.
    """

    _esm = traitlets.Unicode((_STATIC / "keys.js").read_text(encoding="utf-8")).tag(sync=True)

    within = traitlets.Unicode().tag(sync=True)
    zooms = traitlets.Unicode().tag(sync=True)

    def __init__(self, within: str, on_hidden: Callable[[], bool] | None = None, *, zooms: str = "") -> None:
        super().__init__(within=within, zooms=zooms)
        self.layout.display = "none"
        if on_hidden is not None:
            views = Views(lambda: self.send({"type": "views"}), on_hidden)
            self.on_msg(lambda _, content, __: views.count(str(content["client"]), int(content["n"])))
