"""What a user sees while an SAE is trained: a bar, a live table in notebooks, and trackers of accelerate."""

from __future__ import annotations

import builtins
import html
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ember_widgets.training.history import Reporter, Row
from ember_widgets.training.ranks import Ranks
from ember_widgets.util.checks import shown

log = logging.getLogger("ember_widgets")

PROJECT = "ember-widgets"
REDRAW_S = 1.0
COLUMNS = ("dictionary", "patches", "FVU", "L0", "dead", "threshold", "learning rate")


def reporters(
    n_steps: int,
    batch: int,
    *,
    progress: bool = True,
    logger: Any = None,
    folder: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Reporter]:
    """Those who show how far a training is; none in processes other than the first.

    Args:
        n_steps: Steps of the optimiser, in all.
        batch: Patches in a step.
        progress: Show a bar, and in a notebook a table.
        logger: Names of trackers that accelerate knows, such as "tensorboard" or "wandb"; a `GeneralTracker`;
            or several of these. None = no tracker.
        folder: Where trackers that write files write them, in ``logs``.
        settings: What trackers are told about the run.

    Raises:
        ImportError: A tracker's package, or accelerate, is not installed.
        TypeError, ValueError: accelerate knows no such tracker.
    """
    if not Ranks.now().is_first:
        return []
    found: list[Reporter] = []
    told = trackers(logger, folder)  # before anything is shown: they may be missing
    if progress:
        found.append(Bar(n_steps, batch))
        display = notebook_display()
        if display is not None:
            found.append(LiveTable(display))
    if told:
        found.append(Trackers(told, settings or {}))
    return found


class Bar:
    """A line with patches, patches/s, time left, and the last row.

    The rate is the mean since the training began: filling the buffer and giving it out take turns.
    """

    def __init__(self, n_steps: int, batch: int) -> None:
        from tqdm.auto import tqdm  # a widget in a notebook, a line of text elsewhere

        self._batch = batch
        self._bar = tqdm(total=n_steps * batch, unit="patches", unit_scale=True, smoothing=0, desc="training")
        self._has_begun = False

    def step(self, n_steps_done: int, seconds: float) -> None:
        """See `Reporter`."""
        if (
            not self._has_begun
        ):  # a run that goes on: what was done before counts neither as speed nor as time
            self._bar.initial = self._bar.n = (n_steps_done - 1) * self._batch
            self._has_begun = True
        self._bar.update(n_steps_done * self._batch - self._bar.n)

    def rows(self, rows: list[Row]) -> None:
        """See `Reporter`."""
        self._bar.set_postfix_str(
            f"FVU {_range([row.fvu for row in rows], '.3f')}, L0 {_range([row.l0 for row in rows], '.1f')}, "
            f"dead {_range([100 * row.dead for row in rows], '.0f')} %",
            refresh=False,
        )

    def close(self) -> None:
        """See `Reporter`."""
        self._bar.close()


class LiveTable:
    """The last row of each dictionary, in a notebook; drawn again at most once a second.

    Args:
        display: IPython's `display`.
    """

    def __init__(self, display: Any) -> None:
        self._display, self._handle = display, None
        self._shown_at = 0.0
        self._last: dict[str, Row] = {}
        self._is_shown = True

    def step(self, n_steps_done: int, seconds: float) -> None:
        """See `Reporter`."""

    def rows(self, rows: list[Row]) -> None:
        """See `Reporter`."""
        self._last.update({row.dictionary: row for row in rows})
        self._is_shown = False
        if time.monotonic() - self._shown_at > REDRAW_S:
            self._show()

    def close(self) -> None:
        """See `Reporter`."""
        if not self._is_shown:
            self._show()

    def _show(self) -> None:
        table = Table(list(self._last.values()))
        if self._handle is None:
            self._handle = self._display(table, display_id=True)
        else:
            self._handle.update(table)
        self._shown_at, self._is_shown = time.monotonic(), True


class Table:
    """Rows, as a notebook and a terminal show them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._cells = [COLUMNS, *(cells(row) for row in rows)]

    def __repr__(self) -> str:
        return aligned(self._cells)

    def _repr_html_(self) -> str:
        return as_html(self._cells)


class Trackers:
    """Trackers of accelerate. One that fails is left out from then on: a training does not stop for it.

    Args:
        trackers: They are started at the first step, when the training's folder is known to be its own.
        settings: What they are told about the run.
    """

    def __init__(self, trackers: Sequence[Any], settings: Mapping[str, Any]) -> None:
        self._trackers, self._settings = list(trackers), dict(settings)
        self._has_begun = False

    def step(self, n_steps_done: int, seconds: float) -> None:
        """See `Reporter`."""
        if self._has_begun:
            return
        self._has_begun = True
        settings = {
            name: value if isinstance(value, (bool, int, float, str)) else str(value)
            for name, value in self._settings.items()
        }
        for tracker in self._trackers:
            # Before accelerate 1.8 a tracker starts when it is made. What is wrong now is the user's to know.
            getattr(tracker, "start", lambda: None)()
            tracker.store_init_configuration(settings)

    def rows(self, rows: list[Row]) -> None:
        """See `Reporter`."""
        self.step(rows[0].step, rows[0].seconds)
        several = len({row.dictionary for row in rows}) > 1
        values: dict[str, float] = {"n_patches": rows[0].n_patches, "seconds": rows[0].seconds}
        for row in rows:
            start = f"{row.dictionary}/" if several else ""
            values |= {f"{start}{name}": getattr(row, name) for name in Row._fields[4:]}
        self._tell(lambda tracker: tracker.log(values, step=rows[0].step))

    def close(self) -> None:
        """See `Reporter`."""
        if self._has_begun:
            self._tell(lambda tracker: tracker.finish())

    def _tell(self, do: Any) -> None:
        for tracker in list(self._trackers):
            try:
                do(tracker)
            except Exception as fault:
                self._trackers.remove(tracker)
                log.warning("the tracker %s failed and gets nothing more: %s", tracker.name, fault)


def notebook_display() -> Any:
    """IPython's `display` in a notebook, which makes it a builtin there; None elsewhere.

    So the training imports no package of notebooks, and is as it was where there is none.
    """
    display, shell = getattr(builtins, "display", None), getattr(builtins, "get_ipython", None)
    return display if shell is not None and hasattr(shell(), "kernel") else None


def cells(row: Row) -> tuple[str, ...]:
    """A row as texts, in the order of `COLUMNS`."""
    return (
        row.dictionary,
        f"{row.n_patches:,}",
        f"{row.fvu:.3f}",
        f"{row.l0:.1f}",
        f"{100 * row.dead:.1f} %",
        f"{row.threshold:.3g}",
        f"{row.lr:.2g}",
    )


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Cells as lines of text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def as_html(table: Sequence[Sequence[str]]) -> str:
    """Cells as an HTML table; the first row is its head."""
    rows = []
    for i, row in enumerate(table):
        tag = "td" if i else 'th scope="col"'
        sides = ["left", *["right"] * (len(row) - 1)]
        rows.append(
            "".join(
                f'<{tag} style="text-align:{side}">{html.escape(cell)}</{tag[:2]}>'
                for cell, side in zip(row, sides, strict=True)
            )
        )
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _range(values: Sequence[float], form: str) -> str:
    least, most = (format(value, form) for value in (min(values), max(values)))
    return least if least == most else f"{least}–{most}"


def trackers(logger: Any, folder: Path | None) -> list[Any]:
    """The trackers that are meant, not begun; arguments and errors as for `reporters`."""
    given = list(logger) if isinstance(logger, (list, tuple)) else [] if logger is None else [logger]
    if not given:
        return []
    try:
        from accelerate import tracking
    except ImportError as missing:
        raise ImportError(
            f"logger={shown(logger)} needs the package accelerate: pip install 'ember-widgets[train]'"
        ) from missing
    return [_tracker(one, tracking, folder) for one in given]


def _tracker(one: Any, tracking: Any, folder: Path | None) -> Any:
    if isinstance(one, tracking.GeneralTracker):
        return one
    known = {str(name): made for name, made in tracking.LOGGER_TYPE_TO_CLASS.items()}
    if not isinstance(one, str):
        raise TypeError(
            f"logger={shown(one)}; give a name, a GeneralTracker of accelerate, or a list of these"
        )
    if one not in known:
        raise ValueError(f"logger={shown(one)} is unknown to accelerate; it knows {', '.join(sorted(known))}")
    built_in = {str(kind) for kind in tracking.LoggerType}
    if one in built_in and one not in map(str, tracking.get_available_trackers()):
        raise ImportError(f"logger={one!r} needs the package {one}: pip install {one.replace('_', '-')}")
    if not known[one].requires_logging_directory:
        return known[one](PROJECT)
    if folder is None:
        raise ValueError(f"logger={one!r} writes files; give a folder")
    return known[one](PROJECT, str(folder / "logs"))
