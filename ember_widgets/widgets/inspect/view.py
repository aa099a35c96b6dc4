"""The view of PatchInspector: draws picture, layer, marks, list and card into its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ember_widgets.scene.grid import Mask
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.inspect import patch_list
from ember_widgets.widgets.inspect.canvas import FIRST, POINTER, SECOND, Box, Patch, drawing
from ember_widgets.widgets.inspect.layers import layer
from ember_widgets.widgets.inspect.layout import Parts

if TYPE_CHECKING:
    from ember_widgets.painter.inspection import Inspection


@dataclass(frozen=True, eq=False)
class ViewState:
    """Everything that the view shows.

    Args:
        scene: the scene.
        picture: as it is drawn.
        now: its run, as inspected.
        before: the unedited run; ``now`` itself if nothing was edited.
        most: the activation that fills a bar.
        names: the features' labels.
        entry: finds what else is known of a label.
        layer: which one lies over the picture.
        feature: the one that is selected.
        hovered, patch, compared, region: the traits of the inspector.
    """

    scene: Scene
    picture: Image.Image
    now: Inspection
    before: Inspection
    most: float
    names: Mapping[int, str]
    entry: patch_list.Entry
    layer: str
    feature: int | None
    hovered: Patch | None
    patch: Patch | None
    compared: Patch | None
    region: Box | None

    @property
    def own_site(self) -> bool:
        """Whether the scene has factors at this site."""
        return self.now.missed_by_factors is not None

    @property
    def patches(self) -> Mask | None:
        """The patches whose mean is shown."""
        place = self.region or self.patch or self.hovered
        if place is None:
            return None
        mask = np.zeros(self.now.grid.shape, np.bool_)
        top, left, bottom, right = _box(place)
        mask[top : bottom + 1, left : right + 1] = True
        return mask


class View:
    """Draws states.

    Args:
        parts: what is drawn into.
        icon: finds a thumbnail of a feature of the scene.

    Attributes:
        listed: the features in the list, strongest first.
    """

    def __init__(self, parts: Parts, icon: Callable[[int], str | None]) -> None:
        self._parts, self._find_icon = parts, icon
        self.listed: tuple[int, ...] = ()

    def all(self, state: ViewState) -> None:
        """Draw and write everything."""
        with drawing():
            self._parts.canvas.grid = state.now.grid
            self._parts.canvas.draw_picture(state.picture)
            self.layer(state)
            self.marks(state)
        self.list(state)
        self.card(state)

    def layer(self, state: ViewState) -> None:
        """Draw what lies over the picture, and its legend."""
        drawn = layer(
            state.layer,
            scene=state.scene,
            now=state.now,
            before=state.before,
            names=state.names,
            patches=state.patches,
            feature=state.feature,
        )
        self._parts.canvas.draw_layer(drawn)
        self._parts.legend.value = f"<div class='ember-legend'>{drawn.legend}</div>"

    def marks(self, state: ViewState) -> None:
        """Outline the patches that are pointed at and pinned."""
        pinned = [(state.region, FIRST), (state.patch, FIRST), (state.compared, SECOND)]
        boxes = [(_box(place), color) for place, color in pinned if place is not None]
        if state.hovered is not None and state.hovered not in (state.patch, state.compared):
            boxes.insert(0, (_box(state.hovered), POINTER))
        self._parts.canvas.draw_marks(boxes)

    def list(self, state: ViewState) -> None:
        """Write the features of the patches shown."""
        shown = None
        if (patches := state.patches) is not None:
            shown = patch_list.features_of(
                state.now,
                state.before,
                patches,
                pinned=state.patch is not None,
                compared=None if state.region else state.compared,
            )
        self.listed = shown.features if shown else ()
        self._parts.rows.use(len(self.listed))
        self._parts.list.value = patch_list.list_html(
            shown,
            most=state.most,
            unit=state.now.unit,
            names=state.names,
            entry=state.entry,
            icon=self._icons(state),
            selected=state.feature,
        )

    def card(self, state: ViewState) -> None:
        """Write the card of the selected feature."""
        self._parts.chosen.layout.display = "none" if state.feature is None else None
        if state.feature is not None:
            self._parts.card.value = patch_list.card_html(
                state.feature,
                now=state.now,
                before=state.before,
                scene=state.scene if state.own_site else None,
                names=state.names,
                entry=state.entry,
                icon=self._icons(state),
            )

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write a line below everything."""
        kind = "ember-wrong" if wrong else ""
        self._parts.status.value = f"<div role='status' class='{kind}'>{escape(text)}</div>"

    def _icons(self, state: ViewState) -> patch_list.Icon:
        now = state.now
        return lambda feature: self._find_icon(now.space.index(feature, now.site)) if state.own_site else None


def _box(place: Patch | Box) -> Box:
    return place if len(place) == 4 else (*place, *place)
