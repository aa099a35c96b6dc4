"""The map itself: jupyter-scatter, told what it needs and no more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.feature_map import FeatureMap
from ember_widgets.widgets._catalogue import Catalogue, percent
from ember_widgets.widgets._colors import Coloring

BUTTONS = ["pan_zoom", "lasso", "lasso_type", "divider", "full_screen", "download", "reset"]
OPACITY, UNSELECTED = 0.9, 0.6
SELECTED = "#e4572e"
LARGER = 1.5
"""So much larger than others the selected points are."""
REPEATS_S = (0.5, 2.0, 6.0)
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
        self._lock = threading.RLock()  # it is told again from threads of its own
        self._told: tuple[int, ...] = ()
        self._coloring: Coloring | None = None
        self._shown = np.ones(features.n_features, np.bool_)
        self._zoomed: tuple[int, ...] | None = None
        self._size = 8.0 if features.n_features <= 4000 else 3.0
        self._odd = self._telling = self._closed = False
        self._scatter: Any = jscatter.Scatter(
            data=self._frame, x="x", y="y", x_scale=(-1.05, 1.05), y_scale=(-1.05, 1.05), height=height
        )
        self._scatter.axes(False)
        self._scatter.legend(False)
        # White until the browser has told what is there. Not transparent: faint points would vanish in it.
        self._scatter.background("#ffffff")
        # Each point looks up its own colour, opacity and size, in lists with one entry per point. So what the
        # map shows is told in full each time, and its points stay: on new ones it drops selection and filter.
        n = features.n_features
        self._scatter.color(by="place", map=["#999999"] * (n + 1), norm=(0.0, 1.0), selected=SELECTED)
        self._scatter.opacity(by="place", map=[OPACITY] * (n + 1), norm=(0.0, 1.0), unselected=1.0)
        self._scatter.size(by="place", map=[self._size] * (n + 1), norm=(0.0, 1.0))
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
        self.widget.prevent_filter_reset = True
        # A selection made by hand looks like any other: no ring. (Zero is not taken.)
        self.widget.regl_scatterplot_options = {"pointSizeSelected": 0.01, "pointOutlineWidth": 0.01}
        self.widget.observe(self._selected, "selection")
        self.widget.observe(self._hovered, "hovering")
        self.widget.observe(self._view_made, "dom_element_id")

    def color(self, coloring: Coloring) -> None:
        """Colour the points."""
        self._coloring = coloring
        self._draw()

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
        with self._lock:
            self._shown = mask
            self._filter()
            self._draw()

    def select(self, features: tuple[int, ...], *, zoom: bool = False) -> None:
        """Select points, and go there."""
        self._told = tuple(sorted(features))
        if not self._telling:
            self._take_back_hand()
        self._draw()
        if zoom:
            self.zoom(features)

    def zoom(self, features: tuple[int, ...]) -> None:
        """Go to where these are; to the whole map if there are none."""
        self._zoomed = features
        padding = 0.6 if len(features) > 1 else 4.0
        self._scatter.zoom(to=list(features) or None, animation=600, padding=padding)

    def move(self, layout: FeatureMap) -> None:
        """Lay the points out anew."""
        self._frame["x"], self._frame["y"] = layout.positions.astype(np.float64).T
        self._scatter.data(self._frame, skip_widget_update=True)
        self._take_back_hand()  # it would be dropped with the old points
        with self._lock, self.widget.hold_sync():
            self.widget.transition_points = True
            self.widget.points = self._scatter.get_point_list()
        self._draw()
        self._repeat_soon()

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
            "place": (np.arange(n) + 0.5) / n,
            "feature": [f"#{feature}" for feature in range(n)],
            "label": [features.labels.get(feature, "–") for feature in range(n)],
            "active": ["?" if often is None else percent(float(often[f])) + " of patches" for f in range(n)],
            "typically": [f"{value:.3g}" for value in features.typical],
            "icon": [features.icons.address(feature) or NO_ICON for feature in range(n)],
        }

    def _draw(self) -> None:
        """Tell each point its colour, opacity and size."""
        from matplotlib.colors import to_rgba

        if self._closed or (coloring := self._coloring) is None:
            return
        palette = np.array([to_rgba(color) for color in coloring.map])
        colors = palette[np.minimum(coloring.values * len(palette), len(palette) - 1).astype(int)]
        selected = np.zeros(len(colors), np.bool_)
        selected[list(self._told)] = True
        colors[selected] = to_rgba(SELECTED)
        opacities = np.where(selected, 1.0, UNSELECTED if selected.any() else OPACITY)
        opacities[~self._shown] = 0.0
        sizes = np.where(selected, LARGER * self._size, self._size)
        # No point looks up the last entry. It differs each time: equal lists would not be looked at again.
        self._odd = not self._odd
        with self._lock, self.widget.hold_sync():
            self.widget.color = [*colors.round(4).tolist(), [float(self._odd), 0.5, 0.5, 1.0]]
            self.widget.opacity = [*opacities.tolist(), 0.5 + 0.1 * self._odd]
            self.widget.size = [*sizes.tolist(), self._size + 0.1 * self._odd]

    def _take_back_hand(self) -> None:
        # What was selected by hand the map marks itself, until it is told otherwise.
        self._telling = True
        try:
            self._scatter.selection([])
        finally:
            self._telling = False

    def _filter(self) -> None:
        if self._closed:
            return
        shown = np.flatnonzero(self._shown).tolist()
        # In another order if it was told before: an equal list would not be looked at again.
        known = self.widget.filter
        if known is not None and np.array_equal(known, shown):
            shown.reverse()
        self._scatter.filter(None if self._shown.all() else shown)

    def _selected(self, change: Any) -> None:
        new = () if change["new"] is None else np.asarray(change["new"]).ravel()
        chosen = tuple(int(i) for i in new if self._shown[int(i)])
        told = tuple(sorted(chosen))
        if told != self._told and not self._telling:
            self._telling = True
            try:
                self._on_select(chosen)  # which may first take back what was searched for
            finally:
                self._telling = False
            self._told = told
            self._draw()

    def _view_made(self, change: Any) -> None:
        self._repeat_soon()

    def _repeat_soon(self) -> None:
        # A view reads what it shows when it is made, listens only from the next animation frame on, and draws
        # later still; it misses what it is told meanwhile, and does not say when it is ready.
        for delay in REPEATS_S:
            timer = threading.Timer(delay, self._repeat, [delay == REPEATS_S[0]])
            timer.daemon = True
            timer.start()

    def _repeat(self, zoom: bool) -> None:
        if self._closed:
            return
        with self._lock:
            self._filter()
            self._draw()
        if zoom and self._zoomed is not None:
            self.zoom(self._zoomed)

    def _hovered(self, change: Any) -> None:
        if change["new"] is not None and 0 <= change["new"] < self._features.n_features:
            self._on_hover(int(change["new"]))
