"""The paint studio's parts, to use apart: widgets that show one scene, and each other's edits of it."""

from __future__ import annotations

import traitlets
from ipywidgets import Layout

from ember_widgets.widgets.paint.widget import PaintWidget


class FactorSliders(PaintWidget):
    """The palette alone: a row per factor, with its strength.

    Args:
        painter: a painter, as for ``PaintWidget``; or a widget, to show and edit the same scene as it.

    Example:
        >>> picture = ember.Picture(painter, scene)                                      # doctest: +SKIP
        >>> ipywidgets.HBox([picture, ember.FactorSliders(picture)])                     # doctest: +SKIP
    """

    _panel = traitlets.Unicode("factors").tag(sync=True)

    @traitlets.default("layout")
    def _own_width(self) -> Layout:
        return Layout(flex="1 1 320px", width="auto", min_width="280px", max_width="460px")


class Picture(PaintWidget):
    """The picture alone, with the grid over it to paint on.

    Args:
        painter: a painter, as for ``PaintWidget``; or a widget, to show and edit the same scene as it.
    """

    _panel = traitlets.Unicode("picture").tag(sync=True)

    @traitlets.default("layout")
    def _own_width(self) -> Layout:
        # In a box, what fits itself to its width has none of its own.
        return Layout(flex="1 1 480px", width="auto", min_width="280px")
