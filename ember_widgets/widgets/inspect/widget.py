"""PatchInspector: point at a patch of a picture and see the features that it is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from ember_widgets.features.labels import Label
from ember_widgets.features.typed_number import number_in
from ember_widgets.painter.protocol import Inspects, check_painter, labels_of, offered
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.checks import shown
from ember_widgets.widgets.inspect.canvas import Handlers, drawing
from ember_widgets.widgets.inspect.gestures import Gestures
from ember_widgets.widgets.inspect.layers import LAYERS
from ember_widgets.widgets.inspect.layout import Parts
from ember_widgets.widgets.inspect.view import View, ViewState
from ember_widgets.widgets.paint.requests import (
    as_exception,
    check_keywords,
    check_no_class,
    check_scene,
    rendered,
    sentence,
)
from ember_widgets.widgets.paint.widget import PaintWidget
from ember_widgets.widgets.shared import closed
from ember_widgets.widgets.shared.feature_icons import FeatureIcons
from ember_widgets.widgets.shared.pictures import Picture
from ember_widgets.widgets.shared.saved_picture import SavedPicture

if TYPE_CHECKING:
    from ember_widgets.painter.inspection import Inspection


class PatchInspector(ipywidgets.VBox):  # type: ignore[misc]
    """See what each patch of a picture is made of.

    Point at a patch: its features with bars, how many are active, the share of it that the SAE explains.
    Click to pin it, Shift-click a second one to compare, drag to see the mean of a region. Click a feature to
    see where it is active. For an edited scene, the unedited run is shown beside the edited one.

    Args:
        painter: a painter that can inspect (see ``Inspects``), e.g. ``ember.Painter.embedded()``.
        scene: the scene to inspect; None = the brush's, followed as it is painted.
        brush: a PaintWidget to whose palette features can be added.
        atlas: anything with ``select([feature])``, such as a FeatureAtlas of the same SAE.
        layout: an ipywidgets layout.

    Attributes:
        scene: the scene. Like all that follow but ``last_error``, it may be set, observed and linked.
        step: the sampling step inspected, 0..n_steps-1.
        site: the site inspected, one of ``painter.saes``.
        patch: (row, col) that is pinned, or None.
        compared: (row, col) that ``patch`` is compared with, or None.
        region: (top, left, bottom, right), all included, whose mean is shown, or None.
        hovered: (row, col) under the pointer, or None.
        selected_feature: the feature whose card is shown, or None.
        layer: what lies over the picture: "picture" (nothing), "count", "strongest", "factors",
            "unexplained", "unexplained_by_factors", "similarity", "change" or "feature".
        last_error: what went wrong last, or None; it may be observed, and not set.

    Raises:
        TypeError: the painter cannot inspect, there is no scene, or brush or atlas is something else.
        ValueError: a scene of another model or SAE.

    Example:
        >>> inspector = PatchInspector(painter, scene)                          # doctest: +SKIP
        >>> inspector.observe(print, "selected_feature")                        # doctest: +SKIP
    """

    scene = traitlets.Instance(Scene)
    step = traitlets.Int(0)
    site = traitlets.Unicode(None, allow_none=True)
    patch: Any = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=None, allow_none=True)
    compared: Any = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=None, allow_none=True)
    hovered: Any = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=None, allow_none=True)
    region: Any = traitlets.Tuple(*[traitlets.Int()] * 4, default_value=None, allow_none=True)
    selected_feature: Any = traitlets.Int(None, allow_none=True)
    layer = traitlets.Enum(tuple(LAYERS), "picture")
    last_error: Any = traitlets.Instance(Exception, allow_none=True, read_only=True)

    # None until the constructor has finished: ipywidgets closes a widget that it could not construct.
    _parts: Parts | None = None
    _view: View | None = None
    # The run that is shown and the unedited one; None if they were released and not needed since.
    _shown: tuple[Inspection, Inspection] | None = None
    _picture: Picture

    def __init__(
        self,
        painter: Inspects,
        scene: Scene | None = None,
        *,
        brush: PaintWidget | None = None,
        atlas: Any = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(kwargs, ("layout",), "PatchInspector")
        inspects = _checked(painter, brush, atlas)
        if scene is not None:
            first = check_scene(scene)
        elif brush is not None:
            first = brush.scene
        else:
            raise TypeError("there is no scene to inspect; give scene=, or brush= to follow what is painted")
        self._painter: Any = inspects
        self._brush, self._atlas = brush, atlas
        self._lock = threading.RLock()
        self._layer_before = "picture"
        self._most = 1.0
        self._runs: dict[tuple[int, str | None, bool], Inspection] = {}
        self._saved = SavedPicture(self._last_picture)
        self._icons = FeatureIcons(
            painter, wanted=self._is_shown, drawn=self._safely(self._icon_drawn), on_error=self._report
        )
        self._own_layout = kwargs.get("layout") is None
        super().__init__(**kwargs)
        self.scene = first
        self._parts = self._built()
        self._view = View(self._parts, self._icons.get)
        self._adopt()
        self.add_class("ember-inspect")
        self.add_class("ember-paint")  # the colours of all widgets are given to this class
        self.children = self._parts.children
        self._end_listening = labels_of(painter).on_changed(self._safely(lambda _: self._draw_all()))
        self._followed = brush if scene is None else None
        if self._followed is not None:
            self._followed.observe(self._follow, "image")

    @property
    def inspection(self) -> Inspection:
        """What is shown, as numbers: codes and explained shares of every patch at this site and step."""
        return self._now

    @property
    def features(self) -> tuple[int, ...]:
        """The features listed, strongest first."""
        return self._view.listed if self._view is not None else ()

    def close(self) -> None:
        """Close the inspector in every view and release the painter."""
        if self._parts is not None:
            if self._followed is not None:
                self._followed.unobserve(self._follow, "image")
            self._end_listening()
            self._icons.close()
            self._parts.close()
            self._parts = self._view = self._brush = self._atlas = self._painter = self._followed = None
            super().close()
            closed.end(self, owns_layout=self._own_layout)

    def __repr__(self) -> str:
        where = f"region={self.region}" if self.region else f"patch={self.patch}"
        return f"PatchInspector({self.scene!r}, {where}, selected_feature={self.selected_feature})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        again = "PatchInspector(painter, inspector.scene)"
        return self._saved.bundle(self, super()._repr_mimebundle_, again, **kwargs)

    def _ipython_display_(self) -> None:
        self._saved.display(self._repr_mimebundle_())

    def _last_picture(self) -> bytes:
        return self._picture.encoded("final")

    def _built(self) -> Parts:
        safely, gestures = self._safely, Gestures(self)
        handlers = Handlers(
            point=safely(gestures.point),
            click=safely(gestures.click),
            drag=safely(gestures.drag),
            key=safely(gestures.key),
        )
        with_brush, with_atlas = self._brush is not None, self._atlas is not None
        parts = Parts(
            handlers,
            safely(self._draw_all),
            safely(gestures.pick),
            self._release_runs,
            with_brush=with_brush,
            with_atlas=with_atlas,
        )
        gestures.parts = parts
        for name, widget in (("layer", parts.layers), ("step", parts.steps), ("site", parts.sites)):
            widget.observe(safely(lambda change, name=name: self._chosen(name, change.new)), "value")
        parts.find.observe(safely(lambda change: self._search(change.new)), "value")
        parts.use.on_click(safely(lambda _: self._use_as_brush()))
        parts.show.on_click(safely(lambda _: self._find_in_atlas()))
        parts.drop.on_click(safely(lambda _: setattr(self, "selected_feature", None)))
        return parts

    # Looking at a scene

    @property
    def _now(self) -> Inspection:
        return self._inspected()[0]

    @property
    def _before(self) -> Inspection:
        return self._inspected()[1]

    def _inspected(self) -> tuple[Inspection, Inspection]:
        """The run that is shown and the unedited one, inspected again if they were released."""
        with self._lock:
            if self._shown is None:
                self._check_open()
                scene = self.scene
                kinds = {scene != scene.original(), False}
                runs = {
                    kind: self._painter.inspect(scene, step=self.step, site=self.site, edited=kind)
                    for kind in kinds
                }
                self._shown = runs[max(kinds)], runs[False]
            return self._shown

    def _check_open(self) -> None:
        if self._painter is None:
            raise RuntimeError("this inspector is closed; make a new one: PatchInspector(painter, scene)")

    def _release_runs(self) -> bool:
        """Release what can be computed again: nobody sees the widget."""
        with self._lock:
            if self._parts is not None:
                self._runs, self._shown = {}, None
                self._picture = self._picture.compressed()
            return True

    @traitlets.validate("scene", "step", "site")
    def _look(self, proposal: Any) -> Any:
        """Inspect before the trait changes: if the painter refuses, everything stays as it was."""
        self._check_open()
        name, value = proposal.trait.name, proposal.value
        wanted = {"step": self.step, "site": self.site, name: value}
        if name == "scene":
            scene, runs = value, {}
            wanted["step"] = min(self.step, scene.n_steps - 1)
        else:
            scene, runs = self.scene, self._runs
        edited = scene != scene.original()
        for kind in {edited, False}:
            key = wanted["step"], wanted["site"], kind
            if key not in runs:
                run = self._painter.inspect(scene, step=key[0], site=key[1], edited=kind)
                runs[key] = runs[key[0], run.site, kind] = run  # None is the steered site, whatever its name
        picture = rendered(self._painter, scene) if name == "scene" else self._picture
        with self._lock:
            self._runs, self._picture = runs, picture
            self._shown = (
                runs[wanted["step"], wanted["site"], edited],
                runs[wanted["step"], wanted["site"], False],
            )
        return self._now.site if name == "site" else value

    @traitlets.observe("scene", "step", "site")
    def _adopt(self, _: Any = None) -> None:
        parts, scene = self._parts, self.scene
        if parts is None:
            return
        with self._lock:
            if self.step != self._now.step or self.site != self._now.site:
                self.step, self.site = self._now.step, self._now.site  # comes back here
                return
            if self.selected_feature is not None and self.selected_feature >= self._now.n_features:
                self.selected_feature = None
            if self.layer == "change" and not self._edited:
                self.layer = "picture"
            parts.show_choices(
                edited=self._edited,
                layer=self.layer,
                n_steps=scene.n_steps,
                step=self.step,
                sites=list(self._painter.saes),
                site=self.site,
            )
            if parts.canvas.grid != self._grid:
                parts.canvas.grid = self._grid
                self.patch = self.compared = self.hovered = self.region = None  # of the grid before
            self._saved.changed()
            self._most = max(float(self._now.codes.max()), float(self._before.codes.max()), 1e-9)
            self._draw_all()

    def _follow(self, _: Any) -> None:
        if (brush := self._followed) is not None and brush.scene != self.scene:
            self._safely(lambda: setattr(self, "scene", brush.scene))()

    @property
    def _grid(self) -> Grid:
        return self._now.grid

    @property
    def _edited(self) -> bool:
        return self._now is not self._before

    # Traits, set in the browser or from Python

    @traitlets.validate("patch", "compared", "hovered")
    def _in_grid(self, proposal: Any) -> Any:
        if proposal.value is not None and not _holds(self._grid, *proposal.value):
            name, value = proposal.trait.name, proposal.value
            raise traitlets.TraitError(f"{name}={value} is outside the grid; {_ranges(self._grid)}")
        return proposal.value

    @traitlets.validate("region")
    def _box_in_grid(self, proposal: Any) -> Any:
        if proposal.value is not None:
            top, left, bottom, right = proposal.value
            ordered = top <= bottom and left <= right
            if not (ordered and _holds(self._grid, top, left) and _holds(self._grid, bottom, right)):
                raise traitlets.TraitError(
                    f"region={proposal.value} is not a box; give (top, left, bottom, right); "
                    f"{_ranges(self._grid)}"
                )
        return proposal.value

    @traitlets.validate("selected_feature")
    def _of_the_sae(self, proposal: Any) -> Any:
        return None if proposal.value is None else checks.feature_index(proposal.value, self._now.n_features)

    @traitlets.validate("layer")
    def _of_this_scene(self, proposal: Any) -> Any:
        if proposal.value == "change" and not self._edited:
            raise traitlets.TraitError("layer='change' needs an edited scene; this one is as it was analysed")
        return proposal.value

    @traitlets.observe("patch", "compared", "region", "hovered")
    def _patches_changed(self, change: Any) -> None:
        if self._view is None:
            return
        self._icons.note_pointer_move()
        with self._lock:
            state = self._view_state
            pinned = self.patch is not None or self.region is not None
            stays = change.name == "hovered" and pinned
            with drawing():
                self._view.marks(state)
                if self.layer == "similarity" and not stays:
                    self._view.layer(state)
            if not stays:
                self._view.list(state)

    @traitlets.observe("layer")
    def _layer_changed(self, change: Any) -> None:
        if self._parts is None or self._view is None:
            return
        with self._lock:
            if change.new != "feature":
                self._layer_before = change.new
            self._parts.layers.value = change.new
            with drawing():
                self._view.layer(self._view_state)

    @traitlets.observe("selected_feature")
    def _feature_changed(self, change: Any) -> None:
        if self._view is None:
            return
        with self._lock:
            wanted = self._layer_before if change.new is None else "feature"
            if self.layer != wanted and "feature" in (self.layer, wanted):
                self.layer = wanted
            else:
                with drawing():
                    self._view.layer(self._view_state)
            self._say("")
            state = self._view_state
            self._view.card(state)
            self._view.list(state)

    def _chosen(self, name: str, value: Any) -> None:
        if value is not None and value != getattr(self, name):
            setattr(self, name, value)

    # Search and buttons

    def _search(self, text: str) -> None:
        if not text.strip():
            return
        n_features, space, site = self._now.n_features, self._now.space, self._now.site
        number = number_in(text)
        hits = [] if number is None or number >= n_features else [number]
        for feature in labels_of(self._painter).search(text) if site in space.sites else ():
            if feature < space.n_features and space.site(feature) == site:
                hits.append(space.locate(feature)[1])
        if not hits:
            raise ValueError(
                f"no feature is called {shown(text)}; give a number 0..{n_features - 1} or a word of a label"
            )
        active = [feature for feature in hits if self._now.codes[..., feature].any()]
        self.selected_feature = (active or hits)[0]

    def _use_as_brush(self) -> None:
        if self._brush is None or self.selected_feature is None:
            return
        if not self._view_state.own_site:
            raise ValueError(f"this feature belongs to {self.site}, where the brush does not paint")
        name = self._brush.add_feature(self._now.space.index(self.selected_feature, self._now.site))
        self._say(f"“{name}” is your brush now: paint on the picture")

    def _find_in_atlas(self) -> None:
        if self._atlas is not None and self.selected_feature is not None:
            self._atlas.select([self._now.space.index(self.selected_feature, self._now.site)])

    # Showing it

    @property
    def _view_state(self) -> ViewState:
        return ViewState(
            scene=self.scene,
            picture=self._picture.image,
            now=self._now,
            before=self._before,
            most=self._most,
            names=self._now.labels(labels_of(self._painter)),
            entry=self._label,
            layer=self.layer,
            feature=self.selected_feature,
            hovered=self.hovered,
            patch=self.patch,
            compared=self.compared,
            region=self.region,
        )

    def _label(self, feature: int) -> Label | None:
        """The label of a feature of the site that is shown."""
        labels, space, site = labels_of(self._painter), self._now.space, self._now.site
        number = space.index(feature, site) if site in space.sites else -1
        return labels.entry(number) if number in labels else None

    def _draw_all(self) -> None:
        if self._view is not None:
            self._view.all(self._view_state)

    def _icon_drawn(self, feature: int) -> None:
        if self._view is not None and self._is_shown(feature):
            self._view.list(self._view_state)
            self._view.card(self._view_state)

    def _is_shown(self, feature: int) -> bool:
        space = self._now.space
        if feature >= space.n_features:
            return False  # of a scene shown before
        site, index = space.locate(feature)
        return site == self._now.site and (index in self.features or index == self.selected_feature)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        if self._view is not None:
            self._view.say(text, wrong=wrong)

    # An error that escapes from a handler would not be shown anywhere

    def _safely(self, work: Callable[..., None]) -> Callable[..., None]:
        def handler(*args: Any) -> None:
            with self._lock:
                if self._parts is None:
                    return  # it is closed
                try:
                    work(*args)
                except Exception as fault:
                    self._report(fault)

        return handler

    def _report(self, fault: BaseException) -> None:
        self._say(sentence(fault), wrong=True)
        self.set_trait("last_error", as_exception(fault))


def _holds(grid: Grid, row: int, col: int) -> bool:
    return 0 <= row < grid.rows and 0 <= col < grid.cols


def _ranges(grid: Grid) -> str:
    if grid.rows == grid.cols:
        return f"rows and columns go 0..{grid.rows - 1}"
    return f"rows go 0..{grid.rows - 1}, columns 0..{grid.cols - 1}"


def _checked(painter: object, brush: object, atlas: object) -> Inspects:
    check_no_class(painter)
    inspects = offered(painter, Inspects)
    if inspects is None:
        check_painter(painter)
        raise TypeError(
            f"painter={shown(painter)} has no inspect(), or no saes; PatchInspector needs both: "
            "give a Painter, e.g. ember.Painter.embedded()"
        )
    if brush is not None and not isinstance(brush, PaintWidget):
        raise TypeError(f"brush={shown(brush)} is not a PaintWidget; give one to paint with, or leave it out")
    if atlas is not None and not callable(getattr(atlas, "select", None)):
        raise TypeError(f"atlas={shown(atlas)} has no select(); give a FeatureAtlas, or leave it out")
    return inspects
