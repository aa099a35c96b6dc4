"""What PatchInspector shows of a run: picture, layer, marks, list and card, drawn into its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ember_widgets.scene.grid import Mask
from ember_widgets.scene.scene import GRID, Scene
from ember_widgets.widgets.inspect import patch_list
from ember_widgets.widgets.inspect.canvas import FIRST, POINTER, SECOND, Box, Patch, drawing
from ember_widgets.widgets.inspect.layers import layer
from ember_widgets.widgets.inspect.layout import Parts

if TYPE_CHECKING:
    from ember_widgets.painter.inspection import Inspection


@dataclass(frozen=True, eq=False)
class Sight:
    """All that is to be seen.

    Args:
        scene: the scene.
        picture: as it is drawn.
        now: its run, as inspected.
        before: the unedited run; ``now`` itself where nothing was edited.
        most: the activation that fills a bar.
        names: the features' labels.
        layer: which one lies over the picture.
        feature: the one that is selected.
        hovered, patch, compared, region: where the hand is and what it pinned.
    """

    scene: Scene
    picture: Image.Image
    now: Inspection
    before: Inspection
    most: float
    names: Mapping[int, str]
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
        mask = np.zeros((GRID, GRID), np.bool_)
        top, left, bottom, right = _box(place)
        mask[top : bottom + 1, left : right + 1] = True
        return mask


class View:
    """Draws sights.

    Args:
        parts: what is drawn into.
        icon: finds a thumbnail of a feature of the scene.

    Attributes:
        listed: the features in the list, strongest first.
    """

    def __init__(self, parts: Parts, icon: Callable[[int], str | None]) -> None:
        self._parts, self._find_icon = parts, icon
        self.listed: tuple[int, ...] = ()

    def all(self, sight: Sight) -> None:
        """Draw and write everything."""
        with drawing():
            self._parts.canvas.draw_picture(sight.picture)
            self.layer(sight)
            self.marks(sight)
        self.list(sight)
        self.card(sight)

    def layer(self, sight: Sight) -> None:
        """Draw what lies over the picture, and its legend."""
        drawn = layer(
            sight.layer,
            scene=sight.scene,
            now=sight.now,
            before=sight.before,
            names=sight.names,
            patches=sight.patches,
            feature=sight.feature,
        )
        self._parts.canvas.draw_layer(drawn)
        self._parts.legend.value = f"<div class='ember-legend'>{drawn.legend}</div>"

    def marks(self, sight: Sight) -> None:
        """Outline the patches that are pointed at and pinned."""
        pinned = [(sight.region, FIRST), (sight.patch, FIRST), (sight.compared, SECOND)]
        boxes = [(_box(place), color) for place, color in pinned if place is not None]
        if sight.hovered is not None and sight.hovered not in (sight.patch, sight.compared):
            boxes.insert(0, (_box(sight.hovered), POINTER))
        self._parts.canvas.draw_marks(boxes)

    def list(self, sight: Sight) -> None:
        """Write the features of the patches shown."""
        told = None
        if (patches := sight.patches) is not None:
            told = patch_list.told(
                sight.now,
                sight.before,
                patches,
                pinned=sight.patch is not None,
                compared=None if sight.region else sight.compared,
            )
        self.listed = told.features if told else ()
        self._parts.rows.use(len(self.listed))
        self._parts.list.value = patch_list.list_html(
            told,
            most=sight.most,
            unit=sight.now.unit,
            names=sight.names,
            icon=self._icons(sight),
            selected=sight.feature,
        )

    def card(self, sight: Sight) -> None:
        """Write what there is to say of the selected feature."""
        self._parts.chosen.layout.display = "none" if sight.feature is None else None
        if sight.feature is not None:
            self._parts.card.value = patch_list.card_html(
                sight.feature,
                now=sight.now,
                before=sight.before,
                scene=sight.scene if sight.own_site else None,
                names=sight.names,
                icon=self._icons(sight),
            )

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Write a line below everything."""
        kind = "ember-wrong" if wrong else ""
        self._parts.said.value = f"<div role='status' class='{kind}'>{escape(text)}</div>"

    def _icons(self, sight: Sight) -> patch_list.Icon:
        begin = sight.now.begin
        return lambda feature: self._find_icon(begin + feature) if sight.own_site else None


def _box(place: Patch | Box) -> Box:
    return place if len(place) == 4 else (*place, *place)
