"""The contents of the panel: a sheet of features with their icons, and the card of one feature."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.widgets.atlas.catalogue import NOT_POSITIONAL, OF_CATEGORY, Catalogue
from ember_widgets.widgets.atlas.colors import modes
from ember_widgets.widgets.atlas.panel import Panel
from ember_widgets.widgets.paint.requests import last_line

SHOWN = 96
"""Tiles of the sheet; more are counted."""
PICTURES = 4
ICONS_EVERY_S = 0.7


class Sheet:
    """Fills the panel.

    Args:
        panel: the panel.
        features: the features.
        in_view: how many of some features the map shows.
        can_label: whether to offer to label the features that are listed.

    Attributes:
        notes: {feature: a note for its tile}, such as its similarity.
    """

    def __init__(
        self,
        panel: Panel,
        features: Catalogue,
        in_view: Callable[[Sequence[int]], int],
        *,
        can_label: bool = False,
    ) -> None:
        self._can_label = can_label
        self.notes: dict[int, str] = {}
        self._panel = panel
        self._all = features
        self._in_view = in_view
        self._listed: list[int] = []
        self._is_selected = False
        self._feature: int | None = None
        self._icons_sent = 0.0
        self._lock = threading.RLock()

    def show(self, selected: Sequence[int], passing: NDArray[np.bool_]) -> None:
        """Show what was found or selected; else all features that pass the filters."""
        with self._panel.hold_sync():
            self._fill(list(selected), passing)

    def _fill(self, features: list[int], passing: NDArray[np.bool_]) -> None:
        self._is_selected = bool(features)
        if not features and not self._panel.query.strip():
            features = self._all.labelled_first(np.flatnonzero(passing))
        self._listed = features
        self.count()
        shown = features[:SHOWN]
        self._panel.more = len(features) - len(shown)
        self._panel.tiles = [self._all.tile(feature, self.notes.get(feature, "")) for feature in shown]
        self._all.icons.forget_wanted()  # of the sheet before
        self.want_icons(shown)
        self._send_icons()
        if self._can_label:
            self._panel.n_to_label = len(self.to_label)

    @property
    def to_label(self) -> list[int]:
        """The features that are listed, without those of the user's labels and those in no picture."""
        seen = ~self._all.dead if self._all.collection is None else ~self._all.collection.statistics.dead
        kept = seen & ~self._all.own
        return [feature for feature in self._listed if kept[feature]]

    def labels_changed(self, features: Iterable[int]) -> None:
        """Show new labels where their features are listed, and count again."""
        new = set(features)
        with self._panel.hold_sync():
            self.show_choices()
            tiles = [tile["feature"] for tile in self._panel.tiles]
            if new.intersection(tiles):
                self._panel.tiles = [
                    self._all.tile(feature, self.notes.get(feature, "")) for feature in tiles
                ]
            if self._feature in new:
                self.open_card(self._feature)

    def count(self) -> None:
        """Say how many features are listed, and how many of them are in view if it is not all."""
        n, n_seen = len(self._listed), self._in_view(self._listed)
        if (concept := self._all.concept(self._panel.query)) is not None:
            title = f"Concept “{concept.name}”: {_counted(self._listed)}"
            part = f"of “{concept.name}” in view"
        elif self._panel.query.strip():
            nothing = "No feature found" if self._panel.concepts else "Nothing found"
            title = f"{n:,} found" if n else nothing
            part = "found in view"
        elif self._is_selected:
            title = f"{_counted(self._listed)} selected"
            part = "selected in view"
        else:
            title = f"All {_counted(self._listed)}" if n else "No features"
            part = "in view"
        self._panel.title = title if n_seen == n else f"{n_seen:,} of {n:,} {part}"

    def open_card(self, feature: int | None) -> None:
        """Open a feature's card; None closes the one that is open."""
        self._feature = feature
        if feature is None:
            self._panel.details = None
            return
        self.want_icons([feature])
        with self._panel.hold_sync():
            self._panel.details = {**self._all.details(feature), **self._pictures(feature)}
            self._send_icons()

    def show_choices(self) -> None:
        """Show the filters; one that cannot be used says why."""
        n, known = self._all.n_features, self._all.statistics is not None
        live = n - int(self._all.dead.sum())
        positional, labelled = int(self._all.positional.sum()), int(self._all.labelled.sum())
        unknown = "" if known else "Not measured: FeatureAtlas(painter, collection=painter.collect(prompts))"
        trusted = int(self._all.trusted.sum())
        graded = [("trusted", "Trusted labels", trusted, "")] if self._all.scored.any() else []
        choices = (
            ("live", "Live", live, unknown),
            ("labelled", "Labelled", labelled, _none(labelled, "labels")),
            *graded,
            (NOT_POSITIONAL, "Not positional", n - positional, _none(positional, "positional features")),
        )
        sizes = zip(self._all.sites, self._all.space.sizes, strict=True)
        sites = [(site, site, size, "") for site, size in sizes]
        names = ("key", "title", "count", "advice")
        every = [*choices, *(sites if len(sites) > 1 else [])]
        self._panel.filter_choices = [dict(zip(names, choice, strict=True)) for choice in every]
        kinds = self._all.categories
        self._panel.categories = [[OF_CATEGORY + kind, kind, n] for kind, n in kinds.items()]
        self.show_concepts()
        self._panel.color_modes = [list(mode) for mode in modes(self._all).items()]

    def show_concepts(self) -> None:
        """Show the concepts that the query finds; all of them without one."""
        self._panel.concepts = self._all.concepts(self._panel.query)

    def want_icons(self, features: Iterable[int]) -> None:
        """Request the icons that are missing; dead features have none."""
        if self._all.can_draw:
            self._all.icons.want([feature for feature in features if not self._all.dead[feature]])

    def icons_made(self, features: Sequence[int]) -> None:
        """Send new icons, at intervals, and when the last one is drawn."""
        last = self._all.icons.waiting <= len(features)
        if last or time.monotonic() - self._icons_sent > ICONS_EVERY_S:
            self._send_icons()

    def _send_icons(self) -> None:
        icons = self._all.icons
        with self._lock:
            self._icons_sent = time.monotonic()
            shown = [tile["feature"] for tile in self._panel.tiles]
            if self._feature is not None:
                shown.append(self._feature)
            urls = {f: "blank" if icons.is_blank(f) else icons.address(f) for f in shown}
            sent = {str(feature): url for feature, url in urls.items() if url}
            if sent != self._panel.icons:
                self._panel.icons = sent

    def _pictures(self, feature: int) -> dict[str, Any]:
        """The pictures in which it is strongest, framed; or why there are none, or not all."""
        collection, pictures = self._all.collection, list[str]()
        if collection is None:
            return {"pictures": [], "advice": ""}
        try:
            hits = collection.top(feature, PICTURES)
            for hit in hits:
                pictures.append(_jpeg(collection.marked(hit, 128)))
        except (OSError, ValueError) as fault:  # without pictures, damaged, or moved; the rest is here
            return {"pictures": pictures, "advice": f"Pictures could not be read: {last_line(fault)}"}
        advice = "" if hits else f"Active in none of the {len(collection)} pictures collected."
        return {"pictures": pictures, "advice": advice}


def _counted(features: Sequence[int]) -> str:
    return f"{len(features):,} feature{'' if len(features) == 1 else 's'}"


def _none(count: int, noun: str) -> str:
    return "" if count else f"This SAE has no {noun}"


def _jpeg(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
