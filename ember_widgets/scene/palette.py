"""Names and colours that a factor gets when nobody chose one."""

from __future__ import annotations

from collections.abc import Collection

PALETTE = (
    "#e69f00",  # orange
    "#56b4e9",  # sky blue
    "#009e73",  # green
    "#cc79a7",  # pink
    "#f0e442",  # yellow
    "#7a4dff",  # violet
    "#d55e00",  # vermilion
    "#88ffaa",  # mint
    "#0072b2",  # blue
    "#b01030",  # crimson
)
"""Okabe and Ito's seven colours for all kinds of colour vision, and three that stand far from them."""


def palette(n_factors: int) -> tuple[str, ...]:
    """Colours of ``n_factors`` factors; after ten they come round again."""
    return tuple(PALETTE[i % len(PALETTE)] for i in range(n_factors))


def next_color(taken: Collection[str]) -> str:
    """The first palette colour not taken; where all are, the one that comes round."""
    return next((color for color in PALETTE if color not in taken), PALETTE[len(taken) % len(PALETTE)])


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, or "name 2", "name 3", ... if that is taken."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name} {count}"
    return candidate
