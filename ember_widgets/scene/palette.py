"""Default names and colours of factors."""

from __future__ import annotations

from collections.abc import Collection

from ember_widgets.util.checks import MAX_TEXT

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
"""Seven colours by Okabe and Ito that colour-blind people can tell apart, and three that differ clearly."""


def palette(n_factors: int) -> tuple[str, ...]:
    """Colours of ``n_factors`` factors. After ten they repeat."""
    return tuple(PALETTE[i % len(PALETTE)] for i in range(n_factors))


def next_color(taken: Collection[str]) -> str:
    """The first colour of the palette that is not taken. If all are taken, they repeat."""
    return next((color for color in PALETTE if color not in taken), PALETTE[len(taken) % len(PALETTE)])


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, or "name 2", "name 3", ... if that is taken."""
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = with_ending(name, f" {count}")
    return candidate


def with_ending(name: str, ending: str) -> str:
    """A name and what tells it apart from others; a name that is too long with it is cut."""
    return name[: MAX_TEXT - len(ending)] + ending
