"""The map itself: jupyter-scatter, told what it needs and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.feature_map import FeatureMap
from ember_widgets.widgets._catalogue import Catalogue, percent
from ember_widgets.widgets._colors import Coloring

BUTTONS = ["pan_zoom", "lasso", "lasso_type", "divider", "full_screen", "download", "reset"]
OPACITY = 0.9
REPEATS_S = (0.5, 2.0, 6.0)
DESELECTS_S = 10.0
"""So long after its points changed the map may still say that nothing is selected any more."""
# A grey square, where a feature has no icon yet.
NO_ICON = "data:image/gif;base64,R0lGODlhAQABAIAAAJmZmQAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="


class Scatter:
    """All features as points.

    Args:
        features: what is known of them.
        layout: where they lie.
        height: in pixels.
        on_select: called with the features that were selected by hand.
        on_hover: called with the feature under the pointer.

    Raises:
        ModuleNotFoundError: jupyter-scatter is not installed.
    """

    def __init__(
        self,
        features: Catalogue,
        layout: FeatureMap,
        *,
        height: int,
        on_select: Callable[[tuple[int, ...]], None],
        on_hover: Callable[[int], None],
    ) -> None:
        try:
            import jscatter
            import pandas
        except ModuleNotFoundError as missing:
            if missing.name not in ("jscatter", "pandas"):
                raise
            raise ModuleNotFoundError(
                "FeatureAtlas draws its map with jupyter-scatter, which is not installed; "
                "pip install 'ember-widgets[atlas]'",
                name=missing.name,
            ) from None
        self._features = features
        self._on_select, self._on_hover = on_select, on_hover
        self._frame = pandas.DataFrame(self._columns(layout))
        self._told: tuple[int, ...] = ()
        self._n_colorings = 0
        self._color = ""
        self._coloring: Coloring | None = None
        self._deselects_until = 0.0
        self._shown: list[int] | None = None
        self._repeating = self._closed = False
        self._scatter: Any = jscatter.Scatter(
            data=self._frame, x="x", y="y", x_scale=(-1.05, 1.05), y_scale=(-1.05, 1.05), height=height
        )
        self._scatter.axes(False)
        self._scatter.legend(False)
        # White until the browser has told what is there. Not transparent: faint points would vanish in it.
        self._scatter.background("#ffffff")
        self._scatter.size(default=6 if features.n_features <= 4000 else 3)
        self._scatter.opacity(default=OPACITY, unselected=0.3)
        self._scatter.tooltip(
            True,
            properties=["feature", "label", "active", "typically"],
            histograms=False,
            preview="icon",
            preview_type="image",
            preview_image_size="contain",
            preview_image_height=72,
        )
        self.widget: Any = self._scatter.show(BUTTONS)
        self.widget.opacity = OPACITY  # it would go by density, and draw lone points faintly
        self.widget.observe(self._selected, "selection")
        self.widget.observe(self._hovered, "hovering")
        self.widget.observe(self._view_made, "dom_element_id")

    def color(self, coloring: Coloring) -> None:
        """Colour the points."""
        from matplotlib.colors import to_rgba

        before, self._coloring = self._coloring, coloring
        if before is not None and np.array_equal(before.values, coloring.values):
            self.widget.color = [list(to_rgba(color)) for color in coloring.map]
            return
        self._points_change()
        # A column that it has seen before would not be looked at again.
        self._n_colorings += 1
        column, self._color = self._color, f"color {self._n_colorings}"
        self._frame[self._color] = coloring.values.astype(np.float64)
        self._scatter.color(by=self._color, map=coloring.map, norm=(0.0, 1.0), selected="#e4572e")
        if column:
            del self._frame[column]

    def ground(self, color: str) -> None:
        """Draw on a colour "#rrggbb"."""
        from matplotlib.colors import to_rgba

        # Not by scatter.background: it sets the axes' and the legend's colours too, and these then show.
        ground = to_rgba(color)
        ink = (1, 1, 1, 1) if sum(ground[:3]) < 1.5 else (0, 0, 0, 1)
        self.widget.background_color = list(ground)
        self.widget.tooltip_color = self.widget.reticle_color = list(ink)

    def only(self, mask: NDArray[np.bool_]) -> None:
        """Hide all but these."""
        self._shown = None if mask.all() else np.flatnonzero(mask).tolist()
        self._scatter.filter(self._shown)

    def select(self, features: tuple[int, ...], *, zoom: bool = False) -> None:
        """Select points, and go there."""
        self._told = tuple(sorted(features))
        self._scatter.selection(list(features))
        if zoom:
            self.zoom(features)

    def zoom(self, features: tuple[int, ...]) -> None:
        """Go to where these are; to the whole map if there are none."""
        padding = 0.6 if len(features) > 1 else 4.0
        self._scatter.zoom(to=list(features) or None, animation=600, padding=padding)

    def move(self, layout: FeatureMap) -> None:
        """Lay the points out anew."""
        self._points_change()
        self._frame["x"], self._frame["y"] = layout.positions.astype(np.float64).T
        self._scatter.data(self._frame, animate=True)
        self.widget.opacity = OPACITY
        if self._coloring is not None:
            self.color(self._coloring)

    def tell(self, feature: int) -> None:
        """A feature's label or icon has changed."""
        self._frame.at[feature, "label"] = self._features.labels.get(feature, "–")
        self._frame.at[feature, "icon"] = self._features.icons.address(feature) or NO_ICON

    def close(self) -> None:
        """Let go of everything; the class of the widget keeps its instances."""
        self._closed = True
        self.widget.unobserve_all()
        self.widget.data = None
        self.widget.close()

    def _columns(self, layout: FeatureMap) -> dict[str, Any]:
        features, n = self._features, self._features.n_features
        often = features.statistics.frequency if features.statistics else None
        x, y = layout.positions.astype(np.float64).T
        return {
            "x": x,
            "y": y,
            "feature": [f"#{feature}" for feature in range(n)],
            "label": [features.labels.get(feature, "–") for feature in range(n)],
            "active": ["?" if often is None else percent(float(often[f])) + " of patches" for f in range(n)],
            "typically": [f"{value:.3g}" for value in features.typical],
            "icon": [features.icons.address(feature) or NO_ICON for feature in range(n)],
        }

    def _selected(self, change: Any) -> None:
        chosen = tuple(int(i) for i in np.asarray(change["new"]).ravel()) if change["new"] is not None else ()
        if self._repeating:
            return
        if not chosen and self._told and time.monotonic() < self._deselects_until:
            # It was not a hand that did this: the map deselects all when its points change.
            self._deselects_until = 0.0
            self._scatter.selection(list(self._told))
        elif tuple(sorted(chosen)) != self._told:
            self._told = tuple(sorted(chosen))
            self._on_select(chosen)

    def _view_made(self, change: Any) -> None:
        # A new view draws itself in its own time, misses what it is told meanwhile, and may begin faint and
        # without filter and selection: it is told again.
        for delay in REPEATS_S:
            timer = threading.Timer(delay, self._repeat)
            timer.daemon = True
            timer.start()

    def _repeat(self) -> None:
        if self._closed:
            return
        self._repeating = True
        try:
            self.widget.opacity = 0.99 * OPACITY
            self.widget.opacity = OPACITY
            if (coloring := self._coloring) is not None:
                self._coloring = None
                self.color(coloring)
            if self._shown is not None:
                self._scatter.filter(None)
                self._scatter.filter(self._shown)
            if self._told:
                self._scatter.selection(None)
                self._scatter.selection(list(self._told))
        finally:
            self._repeating = False

    def _points_change(self) -> None:
        self._deselects_until = time.monotonic() + DESELECTS_S

    def _hovered(self, change: Any) -> None:
        if change["new"] is not None and 0 <= change["new"] < self._features.n_features:
            self._on_hover(int(change["new"]))
