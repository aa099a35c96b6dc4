"""How a training went, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ember_widgets.training.evaluation import Quality
from ember_widgets.training.history import Row
from ember_widgets.training.report import aligned, as_html
from ember_widgets.util.words import duration

COLUMNS = ("dictionary", "features", "FVU", "L0", "dead", "positional", "patches", "time")


def rows(
    history: Sequence[Row], n_features: Mapping[str, int], quality: Mapping[str, Quality]
) -> list[list[str]]:
    """The table's cells; its first row is the head.

    Args:
        history: Rows of all dictionaries.
        n_features: {dictionary: how many features it has}.
        quality: {dictionary: what was measured on pictures that it has not seen}. One that is not there gets
            the numbers of its last row, of the training's own batches, with an asterisk.
    """
    table = [list(COLUMNS)]
    for name, n in n_features.items():
        last = next((row for row in reversed(history) if row.dictionary == name), None)
        seen = quality.get(name)
        cells = [name, f"{n:,}"]
        if seen is not None:
            cells += [f"{seen.fvu:.4f}", f"{seen.l0:.1f}", f"{100 * seen.dead:.1f} %"]
            cells += [f"{100 * seen.positional:.1f} %"]
        elif last is not None:
            cells += [f"{last.fvu:.4f}*", f"{last.l0:.1f}*", f"{100 * last.dead:.1f} %*", "–"]
        else:
            cells += ["–"] * 4
        cells += ["–", "–"] if last is None else [f"{last.n_patches:,}", duration(last.seconds)]
        table.append(cells)
    return table


def notes(
    table: Sequence[Sequence[str]], *, n_skipped: int, is_finished: bool, place: str | None
) -> list[str]:
    """What the table does not say, a sentence each."""
    found = []
    cells = [cell for row in table[1:] for cell in row[2:5]]
    if any(cell.endswith("*") for cell in cells):
        found.append("* of the training's last batches")
    if any(cell != "–" and not cell.endswith("*") for cell in cells):
        found.append("FVU, L0, dead and positional: on pictures that were not trained on")
    if not is_finished:
        found.append("interrupted; called again with the same arguments, it goes on")
    if n_skipped:
        found.append(f"{n_skipped:,} {'prompt was' if n_skipped == 1 else 'prompts were'} skipped")
    if place is not None:
        found.append(f"in {place}")
    return found


def text(table: Sequence[Sequence[str]], said: Sequence[str]) -> str:
    """Table and notes as lines of text."""
    return "\n".join([aligned(table), *said])


def page(table: Sequence[Sequence[str]], said: Sequence[str]) -> str:
    """Table and notes as HTML."""
    from html import escape

    return as_html(table) + "".join(f"<div>{escape(note)}</div>" for note in said)
