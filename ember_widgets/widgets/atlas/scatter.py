"""The map: jupyter-scatter, which is sent only what changed.

Each point has a place and a shade, an index of a palette; a selection and a filter are lists of point
numbers. All of them travel as binary buffers, so that a search over 10,240 features costs next to nothing.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.features.feature_map import FeatureMap
from ember_widgets.widgets.atlas.catalogue import Catalogue, percent
from ember_widgets.widgets.atlas.colors import STEPS, Coloring
from ember_widgets.widgets.atlas.map_view import EDGE, MapView, Rectangle

BUTTONS = ["pan_zoom", "lasso", "lasso_type", "divider", "full_screen", "download", "reset"]
OPACITY, FADED = 0.9, 0.55
"""Opacity of all points; and the factor for those that are not selected."""
SELECTED = "#e4572e"
DARK_TOOLTIP = (0.2, 0.2, 0.2, 1.0)
"""Lighter than a dark theme, so that it stands out; in a light theme its shadow does that."""
LARGER = 2.0
"""How many pixels larger selected points are."""
MOVING_MS = 1200
REPEATS_S = (0.5, 2.0, 6.0)
# A grey square, for a feature without an icon yet.
NO_ICON = "data:image/gif;base64,R0lGODlhAQABAIAAAJmZmQAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="


class Scatter:
    """All features as points.

    Args:
        features: what is known of them.
        layout: where they lie.
        height: in pixels.
        on_select: called with the features that were selected in the browser.
        on_hover: called with the feature under the pointer.

    Attributes:
        view_id: under this name the browser says which part of the map it shows.

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
        n = features.n_features
        self._features = features
        self._on_select, self._on_hover = on_select, on_hover
        self._frame = pandas.DataFrame(self._columns(layout))
        self._lock = threading.RLock()  # `_repeat` runs in threads of its own
        self._selection: tuple[int, ...] = ()
        self._shown = np.ones(n, np.bool_)
        self._view = MapView(self._send_view)
        self._sending = self._closed = False
        # What the browser has: (n, 4) place, shade, and a number that differs each time.
        self._points = np.zeros((n, 4), np.float32)
        self._points[:, :2] = layout.positions / EDGE
        self._palette: list[list[float]] = [[0.6, 0.6, 0.6, 1.0]] * STEPS
        self._toggle = 0.0
        scatter: Any = jscatter.Scatter(
            data=self._frame, x="x", y="y", x_scale=(-EDGE, EDGE), y_scale=(-EDGE, EDGE), height=height
        )
        scatter.axes(False)
        scatter.legend(False)
        scatter.reticle(False)
        # White until the browser has sent its background. Not transparent: faint points would vanish in it.
        scatter.background("#ffffff")
        scatter.color(by="shade", map=["#999999"] * (STEPS + 1), norm=(0.0, 1.0))
        scatter.tooltip(
            True,
            properties=["feature", "label", "active", "typically"],
            histograms=False,
            preview="icon",
            preview_type="image",
            preview_image_size="contain",
            preview_image_height=72,
        )
        self.widget: Any = scatter.show(BUTTONS)
        self.widget.size = 8 if n <= 4000 else 3
        # Not by jscatter's opacity(): that keeps a list of opacities for a density that is not asked for.
        self.widget.opacity, self.widget.opacity_by, self.widget.opacity_unselected = [OPACITY], None, FADED
        self.widget.prevent_filter_reset = True
        # Made for linking the views of several maps. It is also the only way to learn which part is in view.
        self.view_id = self.widget.view_sync = uuid.uuid4().hex
        self.widget.transition_points_duration = MOVING_MS
        # Selected points are larger and wear no ring. (Zero is not taken.)
        self.widget.regl_scatterplot_options = {"pointSizeSelected": LARGER, "pointOutlineWidth": 0.01}
        self.widget.observe(self._selected, "selection")
        self.widget.observe(self._hovered, "hovering")
        self.widget.observe(self._view_made, "dom_element_id")

    def color(self, coloring: Coloring) -> None:
        """Colour the points."""
        from matplotlib.colors import to_rgba

        shades = (np.minimum(coloring.values * STEPS, STEPS - 1).astype(int) + np.float32(0.5)) / STEPS
        with self._lock, self.widget.hold_sync():
            self._palette = [[*to_rgba(color)] for color in coloring.map]
            self._send_colors()
            if not np.array_equal(shades, self._points[:, 2]):
                self._points[:, 2] = shades
                self._send_points()

    def background(self, color: str) -> None:
        """Draw on a background of this colour, "#rrggbb"."""
        from matplotlib.colors import to_rgba

        # Not by jscatter's background(): it sets the axes' and the legend's colours too, and these then show.
        background = to_rgba(color)
        is_dark = sum(background[:3]) < 1.5
        with self.widget.hold_sync():
            self.widget.background_color = list(background)
            # The box's own colour; jscatter writes in black or white on it.
            self.widget.tooltip_color = list(DARK_TOOLTIP if is_dark else background)

    def only(self, mask: NDArray[np.bool_]) -> None:
        """Hide all points but these."""
        with self._lock:
            if not np.array_equal(mask, self._shown):
                self._shown = mask
                self._send_filter()
                self._send_selection(again=True)  # the browser forgets what it hides

    def select(self, features: tuple[int, ...]) -> None:
        """Select points and bring them into view. With none, a view that was moved for others goes back."""
        with self._lock:
            self._selection = tuple(sorted(features))
            self._send_selection()
            if features:
                self._view.bring(self._places(features))
            elif self._view.was_sent:
                self._view.show_all()

    def zoom(self, feature: int) -> None:
        """Move near to a point."""
        with self._lock:
            self._view.close_up(self._places([feature]))

    def show_all(self) -> None:
        """Show the whole map."""
        with self._lock:
            self._view.show_all()

    def seen(self, x: object, y: object) -> None:
        """Note which part of the map a page shows, as ranges."""
        with self._lock:
            self._view.seen(x, y)

    def in_view(self, features: Sequence[int]) -> int:
        """How many of these features are in view."""
        with self._lock:
            return int(self._view.now.holds(self._places(features)).sum())

    def move(self, layout: FeatureMap) -> None:
        """Lay the points out anew."""
        with self._lock, self.widget.hold_sync():
            self._points[:, :2] = layout.positions / EDGE
            self._send_points(moved=True)
            self._view.bring(self._places(self._selection))
        self._repeat_soon()

    def refresh(self, feature: int) -> None:
        """Show a feature's label and icon as they are now."""
        self._frame.at[feature, "label"] = self._features.labels.get(feature, "–")
        self._frame.at[feature, "icon"] = self._features.icons.address(feature) or NO_ICON

    def close(self) -> None:
        """Release all data; the class of the widget keeps its instances."""
        self._closed = True
        self.widget.unobserve_all()
        self.widget.data = None
        self.widget.close()

    def _places(self, features: Sequence[int]) -> NDArray[np.float32]:
        places: NDArray[np.float32] = self._points[np.asarray(features, np.intp), :2] * np.float32(EDGE)
        return places

    def _columns(self, layout: FeatureMap) -> dict[str, Any]:
        features, n = self._features, self._features.n_features
        often = features.statistics.frequency if features.statistics else None
        x, y = layout.positions.astype(np.float64).T
        return {
            "x": x,
            "y": y,
            "shade": np.full(n, 0.5),
            "feature": [f"#{feature}" for feature in range(n)],
            "label": [features.labels.get(feature, "–") for feature in range(n)],
            "active": ["?" if often is None else percent(float(often[f])) + " of patches" for f in range(n)],
            "typically": [f"{value:.3g}" for value in features.typical],
            "icon": [features.icons.address(feature) or NO_ICON for feature in range(n)],
        }

    # Messages to the browser. It ignores a value that equals the one before.

    def _send_view(self, part: Rectangle) -> None:
        if self._closed:
            return
        (left, bottom), (width, height) = (part.left, part.bottom), part.size
        sides = {"x": left, "y": bottom, "width": width, "height": height}
        area = {side: value / EDGE for side, value in sides.items()}
        # At once: jscatter 1.0 ends an animation early where drawing is slow, somewhere on the way.
        self.widget.send({"type": self.widget.event_types["VIEW_RESET"], "area": area, "animation": 0})

    def _send_colors(self) -> None:
        from matplotlib.colors import to_rgba

        # No point has a shade of 1, so none has the last colour.
        self._toggle = 1.0 - self._toggle
        palette = [*self._palette, [self._toggle] * 4]
        self.widget.color = self.widget.color_hover = palette
        # As many as there are colours, or the browser would take each point's own.
        self.widget.color_selected = [[*to_rgba(SELECTED)]] * len(palette)

    def _send_points(self, *, moved: bool = False) -> None:
        if self._closed:
            return
        self._points[:, 3] += 1
        self.widget.transition_points = moved
        self.widget.non_spatial_points_update = not moved
        self.widget.points = self._points.copy()

    def _send_filter(self, *, again: bool = False) -> None:
        if self._closed:
            return
        shown = np.flatnonzero(self._shown).astype(np.uint32)
        if again:
            self.widget.filter = None
        self.widget.filter = None if self._shown.all() else shown

    def _send_selection(self, *, again: bool = False) -> None:
        if self._closed:
            return
        chosen = np.array(self._selection, np.uint32)
        self._sending = True
        try:
            if again and np.array_equal(chosen, self.widget.selection):
                self.widget.selection = chosen[:0]
            self.widget.selection = chosen
        finally:
            self._sending = False

    def _selected(self, change: Any) -> None:
        with self._lock:
            if self._sending:
                return
            new = () if change["new"] is None else np.unique(change["new"])
            chosen = tuple(int(i) for i in new if 0 <= i < len(self._shown) and self._shown[int(i)])
            if chosen == self._selection:
                return
            self._selection = chosen
        self._on_select(chosen)

    def _view_made(self, change: Any) -> None:
        with self._lock:
            self._view.made_anew()
        self._repeat_soon()

    def _repeat_soon(self) -> None:
        # A view reads what it shows when it is made, listens only from the next animation frame on, and draws
        # later still; it misses messages meanwhile, and does not say when it is ready.
        for delay in REPEATS_S:
            timer = threading.Timer(delay, self._repeat)
            timer.daemon = True
            timer.start()

    def _repeat(self) -> None:
        with self._lock:
            if self._closed:
                return
            with self.widget.hold_sync():
                self._send_colors()
                self._send_points()
            self._send_filter(again=True)
            self._send_selection(again=True)
            self._view.again()

    def _hovered(self, change: Any) -> None:
        if change["new"] is not None and 0 <= change["new"] < self._features.n_features:
            self._on_hover(int(change["new"]))
