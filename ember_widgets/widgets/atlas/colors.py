"""How the atlas colours its points: each mode is a number per feature, a ramp or kinds, and a legend."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.widgets.atlas.catalogue import Catalogue, percent
from ember_widgets.widgets.shared import label_words

MODES = {
    "frequency": "Frequency",
    "typical": "Typical activation",
    "source": "Label source",
    "score": "Label score",
    "positional": "Positional",
    "site": "Site",
}
# Okabe and Ito's colours, which colour-blind people can tell apart; grey is for features without a value.
KINDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
MANY = "#5f5fc4"
STEPS = 256


@dataclass(frozen=True)
class Coloring:
    """Colours of all features.

    Args:
        values: (n_features,) float32 in 0..1.
        map: 256 colours for them.
        legend: what the panel shows.
    """

    values: NDArray[np.float32]
    map: list[str]
    legend: dict[str, Any]


def modes(features: Catalogue) -> dict[str, str]:
    """The modes that apply to these features, and their titles."""
    unfit = {"site"} if len(features.sites) == 1 else set()
    unfit |= set() if features.scored.any() else {"score"}
    return {mode: title for mode, title in MODES.items() if mode not in unfit}


def coloring(mode: str, features: Catalogue, *, dark: bool) -> Coloring:
    """The colours of a mode, on a dark or a light background."""
    grey = "#55555e" if dark else "#c9c9cf"
    if mode == "source":
        return _kinds(_sources(features), grey)
    if mode == "score":
        return _scores(features, grey, dark)
    if mode == "positional":
        return _kinds(["positional" if p else "" for p in features.positional], grey, "elsewhere too")
    if mode == "site":
        return _kinds(
            [features.sites[features.site(feature)] for feature in range(features.n_features)], grey
        )
    if mode == "frequency":
        if features.statistics is None:
            return _kinds([""] * features.n_features, grey, "not measured: give the atlas a collection")
        return _ramp(features.statistics.frequency, features.dead, grey, dark, percent)
    return _ramp(features.typical, features.dead, grey, dark, lambda value: f"{value:.2g}")


def _scores(features: Catalogue, grey: str, dark: bool) -> Coloring:
    """The lower of a label's two scores, from chance to always right."""
    scored = features.scored
    if not scored.any():
        return _kinds([""] * features.n_features, grey, "no scores")
    shares = np.zeros(features.n_features, np.float32)
    for feature in np.flatnonzero(scored):
        above_chance = 2 * label_words.lowest(features.labels.entry(int(feature))) - 1
        shares[feature] = 0.1 + 0.9 * max(0.0, above_chance)
    ramp = _viridis(dark)
    legend = {"ramp": ramp[:: len(ramp) // 8], "low": "chance", "high": "always right", "kinds": []}
    return Coloring(shares, [grey] * 16 + ramp, legend)


def _viridis(dark: bool) -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # Ends that would vanish against the background are left out.
    low_end, high_end = (0.25, 1.0) if dark else (0.0, 0.88)
    return [to_hex(color) for color in colormaps["viridis"](np.linspace(low_end, high_end, STEPS - 16))]


def _ramp(values: NDArray[np.float32], dead: NDArray[np.bool_], grey: str, dark: bool, say: Any) -> Coloring:
    ramp = _viridis(dark)
    alive = ~dead & (values > 0)
    shares = np.zeros(len(values), np.float32)
    legend: dict[str, Any] = {"ramp": ramp[:: len(ramp) // 8], "low": "", "high": "", "kinds": []}
    if alive.any():
        logs = np.log(values[alive].astype(np.float64))
        low, high = logs.min(), logs.max()
        shares[alive] = 0.1 + 0.9 * (logs - low) / max(high - low, 1e-9)
        legend |= {"low": say(float(np.exp(low))), "high": say(float(np.exp(high)))}
    return Coloring(shares, [grey] * 16 + ramp, legend)


def _kinds(names: list[str], grey: str, rest: str = "no label") -> Coloring:
    counts = Counter(names)
    known = sorted((name for name in counts if name), key=lambda name: (-counts[name], name))
    # One more colour is for all other kinds together.
    colors = {name: KINDS[i] if i < len(KINDS) else MANY for i, name in enumerate(known)}
    palette = [grey, *KINDS, MANY]
    place = {name: palette.index(color) for name, color in colors.items()} | {"": 0}
    values = np.array([(place[name] + 0.5) / len(palette) for name in names], np.float32)
    full = [palette[min(i * len(palette) // STEPS, len(palette) - 1)] for i in range(STEPS)]
    shown = [{"name": name, "color": colors[name], "count": counts[name]} for name in known[:8]]
    if counts[""]:
        shown.append({"name": rest, "color": grey, "count": counts[""]})
    return Coloring(values, full, {"ramp": [], "low": "", "high": "", "kinds": shown})


def _sources(features: Catalogue) -> list[str]:
    names = [""] * features.n_features
    for feature in features.labels:
        if feature < features.n_features:
            entry = features.labels.entry(feature)
            names[feature] = entry.source or entry.model or "unknown source"
    return names
