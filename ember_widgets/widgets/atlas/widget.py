"""FeatureAtlas: all features of an SAE on a map, with icons and search, in a notebook."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets
import traitlets
from PIL import Image

from ember_widgets.features.collection import Collection
from ember_widgets.features.feature_map import FeatureMap
from ember_widgets.features.labels import Label, Labels
from ember_widgets.labelling.question import LabelClient, check_client
from ember_widgets.painter.protocol import LabelsFeatures, offered
from ember_widgets.util import checks
from ember_widgets.widgets.atlas.arrangement import Arrangement
from ember_widgets.widgets.atlas.batch_labelling import BatchLabelling, Progress
from ember_widgets.widgets.atlas.catalogue import NOT_POSITIONAL, Catalogue, numbers
from ember_widgets.widgets.atlas.colors import coloring, modes
from ember_widgets.widgets.atlas.map_picture import map_picture
from ember_widgets.widgets.atlas.panel import Panel
from ember_widgets.widgets.atlas.panel_sheet import Sheet
from ember_widgets.widgets.atlas.scatter import Scatter
from ember_widgets.widgets.paint.requests import as_exception, check_keywords, check_no_class, sentence
from ember_widgets.widgets.paint.widget import PaintWidget
from ember_widgets.widgets.shared import closed
from ember_widgets.widgets.shared.close_tree import close_tree
from ember_widgets.widgets.shared.notebook_keys import NotebookKeys
from ember_widgets.widgets.shared.saved_picture import SavedPicture

PANEL_WIDTH = 330


class FeatureAtlas(ipywidgets.HBox):  # type: ignore[misc]
    """All features of an SAE: a map on which similar ones lie together, icons, search.

    Hover a point to see its icon and label; click it, or draw a lasso, to select; the sheet shows what is
    selected or found. The map is made once per SAE and kept; until it is there, PCA lays the features out.

    Args:
        painter: a Painter, or an SAE alone (then there are no icons and labels).
        collection: pictures collected with this painter. They show where each feature is strongest,
            and how often it is active, unless that was measured over more pictures when the SAE was made.
        brush: a PaintWidget with the same SAE, to whose palette features can be added.
        client: a vision-language model, such as `OpenAIClient`. With a collection, features can then be
            labelled from the atlas.
        method: "umap", "tsne" or "pca"; None = UMAP where umap-learn is installed, else scikit-learn's t-SNE.
        cache: folder in which maps are kept; None = $EMBER_WIDGETS_CACHE, or the platform's cache folder.
        height: in pixels.
        paint: the name of `brush` in 0.1, still accepted.
        layout: an ipywidgets layout.

    Raises:
        ModuleNotFoundError: jupyter-scatter is not installed.
        TypeError, ValueError: not a painter, an unknown keyword, a client without a collection, or a
            collection or widget of another SAE.

    Example:
        >>> atlas = FeatureAtlas(painter, brush=widget)         # doctest: +SKIP
        >>> atlas.select(atlas.search("cat"))                   # doctest: +SKIP
        >>> atlas.observe(print, "selected")                    # doctest: +SKIP
    """

    selected = traitlets.Tuple(help="Numbers of the selected features; set it as ``select`` does.")
    feature = traitlets.Int(
        None, allow_none=True, help="The feature whose card is open; set it to open another (None = none)."
    )

    # True until it is constructed: ipywidgets closes a widget that it could not construct.
    _closed = True
    # While the atlas itself sets ``selected``: what belongs to it is shown then, or will be.
    _is_choosing = False

    def __init__(
        self,
        painter: Any,
        collection: Collection | None = None,
        *,
        brush: PaintWidget | None = None,
        client: LabelClient | None = None,
        method: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        height: int = 600,
        paint: PaintWidget | None = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(kwargs, ("layout",), "FeatureAtlas")
        if brush is not None and paint is not None:
            raise TypeError("brush= and paint= are the same; give brush= only")
        brush = paint if brush is None else brush
        height = checks.integer("height", height, 300, 4000, hint="give pixels")
        self._lock = threading.RLock()
        if client is not None and collection is None:
            raise ValueError(
                "client= needs collection=, the pictures in which features are shown; "
                "make one with painter.collect(prompts)"
            )
        if client is not None:
            check_client(client)
        check_no_class(painter)
        self._all = Catalogue(painter, collection)
        self._paint: PaintWidget | None = None
        self._query = ""
        self._saved = SavedPicture(self._last_picture)
        self.last_error: Exception | None = None
        self._places = Arrangement(self._all, method=method, cache=cache, on_made=self._arranged)
        self._scatter = Scatter(
            self._all, self.map, height=height, on_select=self._selected_in_browser, on_hover=self._hovered
        )
        self._panel = Panel(
            layout=ipywidgets.Layout(flex=f"1 1 {PANEL_WIDTH}px", min_width="0"),
            height=height,
            map_id=self._scatter.view_id,
            color_by="frequency" if self._all.statistics else "typical",
            filters=["live"] if self._all.dead.any() else [],
        )
        self._batch = self._batch_labelling(painter, collection, client)
        self._sheet = Sheet(self._panel, self._all, self._scatter.in_view, can_label=self._batch is not None)
        left = ipywidgets.Box(
            [self._scatter.widget], layout=ipywidgets.Layout(flex="999 1 360px", min_width="0")
        )
        left.add_class("ember-map")
        self._scatter.widget.layout.width = "100%"
        self._ends = [
            self._all.icons.on_made(self._icons_made),
            self._all.labels.on_changed(self._labels_changed),
        ]
        self._closed = False
        self._own_layout = kwargs.get("layout") is None
        layout = kwargs.pop("layout", None) or ipywidgets.Layout(
            width="100%", max_width="1240px", flex_flow="row wrap"
        )
        super().__init__([left, self._panel, NotebookKeys("ember-atlas", zooms=".ember-map")], layout=layout)
        self.add_class("ember-atlas")
        self._panel.observe(self._query_changed, "query")
        self._panel.observe(self._colors_changed, ["color_by", "ground"])
        self._panel.observe(self._filters_changed, "filters")
        self._panel.on_msg(lambda _, content, __: self._received(content))
        if brush is not None:
            self.link(brush)
        self._sheet.show_choices()
        self._recolor()
        self._scatter.only(self._passing)
        self._show()
        self._panel.status = self._places.status
        self._places.start()

    # Methods for Python

    def search(self, text: str) -> list[int]:
        """Find features.

        Args:
            text: words or beginnings of words of labels; a number; "like 12" for those whose decoder
                directions are nearest to feature 12's; "concept lion" for those of a concept of
                `painter.concepts`.

        Returns:
            Feature numbers, best first, whatever filters are set; none for an empty text.

        Raises:
            RuntimeError: the atlas is closed. Only ``wait``, ``stop_labelling`` and ``close`` work then.
        """
        self._check_open()
        return self._all.search(checks.text("text", text))[0]

    def like(self, feature: int, n: int = 24) -> list[tuple[int, float]]:
        """The n features most like one: (feature, cosine of the decoder directions), nearest first."""
        self._check_open()
        return self._all.like(feature, checks.integer("n", n, 1, 10_000, hint="say how many"))

    def select(self, features: Iterable[int]) -> None:
        """Select features, show them in the sheet, and bring them into view; [] selects none.

        Raises:
            TypeError, ValueError: no such feature.
        """
        self._check_open()
        self._select(numbers(features, self._all.n_features))

    def zoom(self, feature: int | None = None) -> None:
        """Zoom the map to a feature and what lies around it; None = show the whole map.

        Raises:
            TypeError, ValueError: no such feature.
        """
        self._check_open()
        if feature is None:
            self._scatter.show_all()
        else:
            self._scatter.zoom(checks.feature_index(feature, self._all.n_features))
        self._sheet.count()

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters that are on; a feature has to pass all. Set them to names such as "live" or "labelled".

        "not positional" hides positional features ("placeless", its old name, does too), "trusted" shows
        trusted labels; of sites (by their short names) and of categories of labels ("category:object"), any
        one of those named suffices.
        """
        return tuple(self._panel.filters)

    @filters.setter
    def filters(self, names: Iterable[str]) -> None:
        self._check_open()
        self._sheet.show_choices()  # labels may have been set since
        known = [choice["key"] for choice in self._panel.filter_choices]
        known += [name for name, _, _ in self._panel.categories]
        wanted = checks.listed("filters", names, hint=f"give a list of {', '.join(known)}")
        wanted = [NOT_POSITIONAL if name == "placeless" else name for name in wanted]
        for name in wanted:
            if name not in known:
                raise ValueError(
                    f"filters holds {checks.shown(name)}, which is unknown; choose from {', '.join(known)}"
                )
        self._panel.filters = wanted

    @property
    def color_by(self) -> str:
        """What the colours show, such as "frequency" or "source"; set it to another one."""
        color_by: str = self._panel.color_by
        return color_by

    @color_by.setter
    def color_by(self, mode: str) -> None:
        self._check_open()
        known = modes(self._all)
        if not isinstance(mode, str) or mode not in known:
            raise ValueError(f"color_by={checks.shown(mode)} is unknown; choose one of {', '.join(known)}")
        self._panel.color_by = mode

    def brush(self, feature: int) -> str:
        """Send a feature to the linked PaintWidget as a factor of its own; returns the factor's name.

        Raises:
            TypeError, ValueError: no such feature.
            RuntimeError: no PaintWidget is linked, or it is closed.
        """
        self._check_open()
        feature = checks.feature_index(feature, self._all.n_features)
        if self._paint is None:
            raise RuntimeError(
                "no PaintWidget is linked; make the atlas with FeatureAtlas(painter, brush=widget), "
                "or call atlas.link(widget)"
            )
        self._check_paint(self._paint)  # another scene may have been opened in it
        return self._paint.add_feature(feature)

    def link(self, paint: PaintWidget | None) -> None:
        """Send brushes to this PaintWidget; None = to none.

        Raises:
            TypeError: it is not a PaintWidget.
            ValueError: its scene is of another SAE.
        """
        self._check_open()
        if paint is not None:
            self._check_paint(paint)
        self._paint = paint
        self._panel.has_paint = paint is not None

    def label(self, features: Iterable[int] | None = None) -> None:
        """Label features with the atlas's client, in the background; labels appear as they come.

        What was asked before is not asked again; see `Painter.label`. `stop_labelling` ends it early.

        Args:
            features: None = those selected or found, else all that pass the filters, without dead ones and
                those that you have labelled yourself.

        Raises:
            TypeError: the painter cannot label, or the atlas has no client.
            ValueError: no such feature, or none.
            RuntimeError: features are being labelled already.
        """
        self._check_open()
        if self._batch is None:
            raise TypeError(
                "this atlas cannot label; make it with FeatureAtlas(painter, collection, client=client), "
                "and a painter that has label(), as ember.Painter"
            )
        chosen = self._sheet.to_label if features is None else numbers(features, self._all.n_features)
        if not chosen:
            raise ValueError("there is no feature to label; give features=, or select some")
        self._batch.start(chosen)

    def stop_labelling(self) -> None:
        """Ask nothing more; open calls are finished, and every answer is kept. No effect if none runs."""
        if self._batch is not None:
            self._batch.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the map is arranged; False if that took longer than `timeout` seconds."""
        return self._places.wait(timeout)

    def picture(self, side: int = 900) -> Image.Image:
        """The map as a picture, with the icons of labelled features; what a saved notebook shows.

        Args:
            side: width in pixels, 82..8192.

        Raises:
            TypeError, ValueError: ``side`` is not a whole number in this range.
        """
        self._check_open()
        return map_picture(self._all, self.map.positions, self._passing, self._coloring(dark=False), side)

    def close(self) -> None:
        """Close the widget in every view and release the painter; what was selected stays readable."""
        if self._closed:
            return
        with self._lock:
            self._closed = True
        for end_listening in self._ends:
            end_listening()
        self._ends = []
        if self._batch is not None:
            self._batch.close()
        self._places.close()
        self._all.close()
        self._batch = self._paint = None
        self._panel.unobserve_all()
        self._scatter.close()
        close_tree(*self.children)
        super().close()
        closed.end(self, owns_layout=self._own_layout)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this atlas is closed; make a new one: FeatureAtlas(painter)")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self._saved.bundle(self, super()._repr_mimebundle_, "FeatureAtlas(painter)", **kwargs)

    def _ipython_display_(self) -> None:
        self._saved.display(self._repr_mimebundle_())

    def _last_picture(self) -> bytes:
        stream = io.BytesIO()
        self.picture().save(stream, "PNG", optimize=True)
        return stream.getvalue()

    # Labelling

    def _batch_labelling(
        self, painter: Any, collection: Collection | None, client: LabelClient | None
    ) -> BatchLabelling | None:
        labels = offered(painter, LabelsFeatures)
        if labels is None or collection is None or client is None:
            return None
        return BatchLabelling(
            labels,
            collection,
            client,
            on_progress=self._labelling_moved,
            on_labels=self._labels_came,
            on_fault=self._labelling_failed,
        )

    def _labelling_moved(self, now: Progress) -> None:
        self._panel.labelling = now.content()

    def _labelling_failed(self, fault: BaseException) -> None:
        self.last_error = as_exception(fault)  # the panel says it already

    def _labels_came(self, labels: Mapping[int, Label]) -> None:
        with self._lock:
            if self._closed:
                return
            self._all.labels.add(Labels(labels))

    def _labels_changed(self, features: Iterable[int]) -> None:
        with self._reporting(), self._lock:
            if self._closed:
                return
            for feature in features:
                self._scatter.refresh(feature)
            self._sheet.labels_changed(features)
            if self._panel.color_by in ("source", "score"):
                self._recolor()
            if set(self._panel.filters) - {"live", NOT_POSITIONAL, *self._all.sites}:
                self._scatter.only(self._passing)
            self._saved.changed()

    # The map

    @property
    def map(self) -> FeatureMap:
        """Where each feature lies."""
        return self._places.map

    def _arranged(self, fault: BaseException | None) -> None:
        with self._lock:
            if self._closed:
                return
            if fault is None:
                self._scatter.move(self.map)
                self._sheet.count()
                self._saved.changed()
            else:
                self._report(fault)
            self._panel.status = self._places.status

    def _coloring(self, *, dark: bool) -> Any:
        return coloring(self._panel.color_by, self._all, dark=dark)

    def _recolor(self) -> None:
        colors = self._coloring(dark=_is_dark(self._panel.ground))
        self._scatter.color(colors)
        self._panel.legend = colors.legend
        self._saved.changed()

    @property
    def _passing(self) -> Any:
        return self._all.passing(self._panel.filters)

    def _select(self, features: tuple[int, ...]) -> None:
        with self._lock:
            if not self._passing[list(features)].all():  # features asked for by number must be visible
                self._panel.filters = []
            self._forget_query()
            self._choose(features)
            if features:
                self._open_card(features[0])

    def _choose(self, features: tuple[int, ...]) -> None:
        with self._lock:
            self._note_selected(features)
            self._scatter.select(self.selected)
            self._show()

    def _note_selected(self, features: tuple[int, ...]) -> None:
        self._is_choosing = True
        try:
            self.selected = features
        finally:
            self._is_choosing = False

    def _show(self) -> None:
        self._sheet.show(self.selected, self._passing)

    def _open_card(self, feature: int) -> None:
        if feature == self.feature:
            self._sheet.open_card(feature)  # again: its label may have changed
        else:
            self.feature = feature

    # Traits, set in the browser or from Python

    @traitlets.validate("selected")
    def _known_features(self, proposal: Any) -> tuple[int, ...]:
        self._check_open()
        return numbers(proposal.value, self._all.n_features)

    @traitlets.validate("feature")
    def _known_feature(self, proposal: Any) -> int | None:
        self._check_open()
        value = proposal.value
        return None if value is None else checks.feature_index(value, self._all.n_features)

    @traitlets.observe("selected")
    def _selected_changed(self, change: Any) -> None:
        with self._lock:
            if not self._is_choosing:
                self._select(change.new)

    @traitlets.observe("feature")
    def _feature_changed(self, change: Any) -> None:
        with self._lock:
            self._sheet.open_card(change.new)

    def _icons_made(self, features: list[int]) -> None:
        for feature in features:
            self._scatter.refresh(feature)
        self._sheet.icons_made(features)

    # Events of the browser; an exception that escapes from these would not be shown anywhere

    def _hovered(self, feature: int) -> None:
        with self._reporting():
            self._sheet.want_icons([feature])

    def _selected_in_browser(self, features: tuple[int, ...]) -> None:
        with self._reporting(), self._lock:
            self._forget_query()
            self._note_selected(tuple(self._all.labelled_first(features)))
            self._show()
            if len(features) == 1:
                self._open_card(features[0])

    def _query_changed(self, change: Any) -> None:
        with self._reporting(), self._lock:
            text = change["new"].strip()
            if text == self._query:
                return
            try:
                found, notes = self._all.search(text)
            except ValueError:  # a text that is too long, for instance
                self._forget_query()
                self._show()
                raise
            self._query, self._panel.notice = text, ""
            self._sheet.notes = notes
            self._sheet.show_concepts()
            passing = self._passing
            self._choose(tuple(feature for feature in found if passing[feature]))

    def _forget_query(self) -> None:
        self._query = ""
        self._panel.query = ""
        self._sheet.notes = {}
        self._sheet.show_concepts()

    def _colors_changed(self, change: Any) -> None:
        with self._reporting():
            if change["name"] == "ground" and change["new"]:
                self._scatter.background(change["new"])
            self._recolor()

    def _filters_changed(self, change: Any) -> None:
        with self._reporting(), self._lock:
            self._scatter.only(self._passing)
            self._show()
            self._saved.changed()

    def _received(self, content: Any) -> None:
        with self._reporting():
            if isinstance(content, Mapping) and content.get("do") == "view":
                self._scatter.seen(content.get("x"), content.get("y"))
                self._sheet.count()
                return
            self._panel.notice = ""
            self._do(content)

    def _do(self, content: Any) -> None:
        if not isinstance(content, Mapping):
            raise ValueError(
                f"message {checks.shown(content)} is not an object; send {{do: ..., feature: ...}}"
            )
        action = content.get("do")
        if action == "clear":
            self._forget_query()
            self._choose(())
            return
        if action == "all":
            self.zoom()
            return
        if action in ("forecast", "start_labels", "stop_labels", "dismiss"):
            self._batch_asked(action)
            return
        if action == "concept":
            self._panel.query = f"concept {checks.text('name', content.get('name'))}"
            return
        feature = checks.feature_index(content.get("feature"), self._all.n_features)
        with self._lock:
            if action == "look":
                self._open_card(feature)
            elif action == "brush":
                name = self.brush(feature)
                self._panel.notice = f"“{name}” is your brush now: paint on the picture."
            elif action == "like":
                self._panel.query = f"like {feature}"
            elif action == "show":
                self.zoom(feature)
            elif action == "label":
                self._label(feature, content.get("text"))
            else:
                raise ValueError(f"do={checks.shown(action)} is unknown")

    def _batch_asked(self, action: str) -> None:
        if self._batch is None:
            raise ValueError("this atlas cannot label features; give it a client and a collection")
        if action == "forecast":
            self._batch.ask(self._sheet.to_label)
        elif action == "start_labels":
            self._batch.start()
        elif action == "stop_labels":
            self._batch.stop()
        else:
            self._batch.dismiss()

    def _label(self, feature: int, text: Any) -> None:
        if " ".join(checks.text("text", text).split()) == self._all.labels.get(feature, ""):
            return
        try:
            self._all.labels.set(feature, text)
        finally:
            self._show()
            self._open_card(feature)

    def _check_paint(self, paint: object) -> None:
        if not isinstance(paint, PaintWidget):
            raise TypeError(f"brush={checks.shown(paint)} is not a PaintWidget; make one with the painter")
        scene = paint.scene
        ours, theirs = self._all.sae, scene.model.get("sae", "")
        if scene.n_features != self._all.n_features or (ours.strip(",") and theirs and ours != theirs):
            raise ValueError(
                f"the paint widget's scene is of SAE {theirs!r} ({scene.n_features} features), but this "
                f"atlas shows {ours!r} ({self._all.n_features} features); give a widget of the same painter"
            )

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Show what goes wrong here."""
        try:
            yield
        except Exception as fault:
            self._report(fault)

    def _report(self, fault: BaseException) -> None:
        self.last_error = as_exception(fault)
        self._panel.notice = sentence(fault)


def _is_dark(color: str) -> bool:
    if len(color) != 7:
        return False
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128
