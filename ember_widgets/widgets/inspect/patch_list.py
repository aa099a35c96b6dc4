"""The texts beside the picture: the features of a patch with bars, and the card of one feature."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ember_widgets.features.labels import Label
from ember_widgets.scene.grid import Mask
from ember_widgets.scene.palette import PALETTE
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray, plural
from ember_widgets.widgets.shared import label_words

if TYPE_CHECKING:
    from ember_widgets.painter.inspection import Inspection

ROWS = 10
ROW_HEIGHT = 32

Entry = Callable[[int], "Label | None"]
"""A feature's label with its source and scores, if it has one."""

Icon = Callable[[int], "str | None"]
"""A feature's thumbnail as a data URL, where it was drawn."""

HELP = """<ul>
<li class='ember-for-mouse'><b>Point</b> at a patch to see its features.</li>
<li class='ember-for-mouse'><b>Click</b> pins it; click again, or Esc, unpins it.</li>
<li class='ember-for-mouse'><b>Shift-click</b> a second patch to compare the two.</li>
<li class='ember-for-touch'><b>Tap</b> a patch to see its features; tap again to let it go.</li>
<li class='ember-for-touch'><b>Compare</b>, below, and a second tap compare two patches.</li>
<li><b>Drag</b> over patches to see their mean.</li>
<li class='ember-for-mouse'><b>Click a feature</b> to see where it is active.</li>
<li class='ember-for-touch'><b>Tap a feature</b> to see where it is active.</li>
<li class='ember-for-mouse'>Arrow keys, Enter, and 1…9 and 0 do the same.</li>
</ul>"""
"""Shown until there is a patch; inspect.css hides the lines that are not for this device."""


@dataclass(frozen=True)
class PatchFeatures:
    """The features of what is shown.

    Args:
        title: what is shown.
        note: how it is shown ("pinned", "mean").
        facts: a line of figures.
        features: those listed, strongest first.
        first: their activations.
        first_is: what these are of, where they are compared.
        second: their activations in what it is compared with; None = with nothing.
        second_is: what that is.
        more: how many are active and not listed.
    """

    title: str
    note: str
    facts: str
    features: tuple[int, ...]
    first: tuple[float, ...]
    first_is: str
    second: tuple[float, ...] | None
    second_is: str
    more: int


def features_of(
    now: Inspection, before: Inspection, patches: Mask, *, pinned: bool, compared: tuple[int, int] | None
) -> PatchFeatures:
    """List the features of a patch, or the mean of a region's.

    Args:
        now: what is inspected.
        before: the unedited run, which is ``now`` itself if nothing was edited.
        patches: bool (rows, cols), the patch or the region, a box.
        pinned: whether it is a patch that was clicked.
        compared: (row, col) of a second patch.
    """
    rows, cols = np.nonzero(patches)
    title, note = f"Patch ({rows[0]}, {cols[0]})", "pinned" if pinned else ""
    figures = facts(now, patches)
    if len(rows) > 1:
        title, note = (
            f"{len(rows)} patches",
            f"mean of rows {rows[0]}–{rows[-1]}, columns {cols[0]}–{cols[-1]}",
        )
    first, first_is, second, second_is = now.mean(patches), "", None, ""
    if compared is not None:
        first_is = title[0].lower() + title[1:]
        second, second_is = now.mean([compared]), f"patch ({compared[0]}, {compared[1]})"
        title = f"{title} against ({compared[0]}, {compared[1]})"
        note = f"similarity {now.similarity(patches)[compared]:.2f}"
    elif now is not before:
        first_is = "edited"
        second, second_is = before.mean(patches), "unedited"
    size = first if second is None else np.maximum(first, second)
    active = np.flatnonzero(size)
    order = active[np.argsort(-size[active], kind="stable")]
    listed = tuple(int(feature) for feature in order[:ROWS])
    return PatchFeatures(
        title=title,
        note=note,
        facts=figures,
        features=listed,
        first=tuple(float(first[feature]) for feature in listed),
        first_is=first_is,
        second=None if second is None else tuple(float(second[feature]) for feature in listed),
        second_is=second_is,
        more=len(order) - len(listed),
    )


def facts(now: Inspection, patches: Mask) -> str:
    """How many features are active, and what share of the patches is explained."""
    mean = np.count_nonzero(now.codes[patches], axis=1).mean()  # not now.counts: that counts everywhere
    n_active = plural(int(mean), "feature") if mean == int(mean) else f"{mean:.1f} features"
    if not now.energy[patches].any():
        return f"{n_active} active · nothing to explain"
    shares = [f"SAE explains {percent(now.explained(patches))}"]
    if now.missed_by_factors is not None:
        shares.append(f"factors {percent(now.explained(patches, by_factors=True))}")
    return " · ".join([f"{n_active} active", *shares])


def percent(share: float) -> str:
    """A share in words: 93 %."""
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def list_html(
    shown: PatchFeatures | None,
    *,
    most: float,
    unit: FloatArray,
    names: Mapping[int, str],
    entry: Entry,
    icon: Icon,
    selected: int | None,
) -> str:
    """The list as HTML; rows of ``ROW_HEIGHT`` pixels below a head, whose height is in inspect.css.

    Args:
        shown: the features; None = of no patch.
        most: the activation that fills a bar.
        unit: (n_features,) typical activations.
        names: the features' labels.
        entry: finds what else is known of a label.
        icon: finds thumbnails.
        selected: the feature that was clicked.
    """
    if shown is None:
        return f"<div class='ember-list'><div class='ember-head'><b>No patch yet</b></div>{HELP}</div>"
    note = f"<span class='ember-note'>{escape(shown.note)}</span>" if shown.note else ""
    head = f"<div class='ember-head'><b>{escape(shown.title)}</b>{note}<div>{escape(shown.facts)}</div></div>"
    rows = []
    for i, feature in enumerate(shown.features):
        bars = _bar(shown.first[i] / most, "ember-first")
        values = _value(shown.first[i], unit[feature])
        if shown.second is not None:
            bars += _bar(shown.second[i] / most, "ember-second")
            values += _value(shown.second[i], unit[feature])
        typical = f"<u style='left:{100 * min(1, unit[feature] / most):.1f}%'></u>"
        on = " ember-on" if feature == selected else ""
        rows.append(
            f"<div class='ember-row{on}'>{icon_html(feature, icon(feature), 26)}"
            f"<span class='ember-name'>{name_html(feature, names)}{_mark_html(entry(feature))}</span>"
            f"<span class='ember-bars'>{bars}{typical}</span>"
            f"<span class='ember-values'>{values}</span></div>"
        )
    if not rows:
        rows.append("<div class='ember-none'>no feature is active here</div>")
    foot = [f"+ {shown.more} more"] if shown.more else []
    if shown.second is not None:
        foot.append(f"<i class='ember-chip ember-first'></i>{escape(shown.first_is)}")
        foot.append(f"<i class='ember-chip ember-second'></i>{escape(shown.second_is)}")
    if shown.features:
        foot.append("<u></u> typical activation (1×)")
    return (
        f"<div class='ember-list'>{head}<div class='ember-rows'>{''.join(rows)}</div>"
        f"<div class='ember-foot'>{''.join(f'<span>{part}</span>' for part in foot)}</div></div>"
    )


def card_html(
    feature: int,
    *,
    now: Inspection,
    before: Inspection,
    scene: Scene | None,
    names: Mapping[int, str],
    entry: Entry,
    icon: Icon,
) -> str:
    """One feature: icon, label, what is known of the label, and its statistics in this picture.

    Args:
        scene: whose factors may hold it; None at a site that is not the scene's.
        before: the unedited run, which is ``now`` itself if nothing was edited.
    """
    codes = now.codes[..., feature]
    active = np.argwhere(codes > 0)
    unit = float(now.unit[feature])
    lines = list[str]()
    if (label := entry(feature)) is not None and label_words.mark(label):
        lines = label_words.about(label).split("\n")
    if len(active):
        row, col = np.unravel_index(codes.argmax(), codes.shape)
        most = float(codes.max())
        area = (
            f"{len(active)} patch{'' if len(active) == 1 else 'es'} ({100 * len(active) / codes.size:.0f} %)"
        )
        lines.append(
            f"on {area}, strongest at ({row}, {col}): {amount(most)} = {times_typical(most / unit)} typical"
        )
    else:
        lines.append("not active in this picture")
    if before is not now:
        n_before = int((before.codes[..., feature] > 0).sum())
        lines.append(f"unedited: on {n_before}, at most {amount(before.codes[..., feature].max())}")
    mark = " · positional: marks a place in every picture" if feature in now.positional else ""
    lines.append(f"typical activation {amount(unit)}{mark}")
    if scene is not None:
        lengths = np.abs(scene.basis).sum(axis=1)
        share = np.abs(scene.basis[:, now.space.index(feature, now.site)]) / np.where(lengths > 0, lengths, 1)
        held = [f for f in np.argsort(-share) if share[f] >= 0.005][:3]
        if held:
            lines.append("in " + ", ".join(f"{scene.names[f]} ({100 * share[f]:.0f} %)" for f in held))
    text = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return (
        f"<div class='ember-card'>{icon_html(feature, icon(feature), 64)}"
        f"<div><b>{name_html(feature, names)}</b>{text}</div></div>"
    )


def name_html(feature: int, names: Mapping[int, str]) -> str:
    """Label and number of a feature; a label is text, never markup."""
    label = names.get(feature)
    number = f"<small>#{feature}</small>"
    return f"{escape(label)} {number}" if label else f"feature {number}"


def _mark_html(label: Label | None) -> str:
    mark = label_words.mark(label)
    return f"<small class='ember-mark'>{escape(mark)}</small>" if mark else ""


def icon_html(feature: int, url: str | None, side: int) -> str:
    """A feature's thumbnail, or a swatch until there is one."""
    size = f"width:{side}px;height:{side}px"
    if url is None:
        return f"<i class='ember-icon' style='{size};background:{PALETTE[feature % len(PALETTE)]}55'></i>"
    return f"<img class='ember-icon' alt='' style='{size}' src='{url}'>"


def amount(activation: float) -> str:
    """An activation with two decimals, or one if it is large."""
    return f"{activation:.2f}" if abs(activation) < 10 else f"{activation:.1f}"


def times_typical(times: float) -> str:
    """How many times the typical activation."""
    return "<0.1×" if 0 < times < 0.05 else f"{times:.1f}×"


def _value(activation: float, unit: float) -> str:
    times = escape(times_typical(activation / unit))
    return f"<span class='ember-value'>{amount(activation)}<small>{times}</small></span>"


def _bar(share: float, kind: str) -> str:
    return f"<i class='{kind}' style='width:{100 * min(1.0, max(0.0, share)):.1f}%'></i>"
