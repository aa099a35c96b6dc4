"""The history of a training as a table on the disk, which any program reads."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from pathlib import Path

from ember_widgets.training.history import Row
from ember_widgets.util import files


class HistoryFile:
    """A table that grows, a `Reporter`.

    Args:
        path: The file; it is written anew.
        before: Its rows so far.
    """

    def __init__(self, path: Path, before: list[Row]) -> None:
        self._path = path
        files.write(path, _text([Row._fields, *before]))

    def step(self, n_steps_done: int, seconds: float) -> None:
        """Nothing is written."""

    def rows(self, rows: list[Row]) -> None:
        """Add rows; they are on the disk when this returns, before a checkpoint that counts on them."""
        try:
            with self._path.open("ab") as file:
                file.write(_text(rows))
                file.flush()
                os.fsync(file.fileno())
        except OSError as fault:
            raise OSError(
                f"cannot write {self._path}: {fault.strerror or fault}; free some space on the disk and "
                "start again: the training goes on from its last checkpoint"
            ) from fault

    def close(self) -> None:
        """It is closed after each row."""


def read(path: Path, n_done: int) -> list[Row]:
    """The rows up to a step, none if there is no file: what was written after a checkpoint happens again."""
    rows = []
    for line in csv.DictReader(io.StringIO(path.read_text("utf-8") if path.exists() else "")):
        with contextlib.suppress(KeyError, ValueError, TypeError):  # a line that was cut off
            counts = (int(line[name]) for name in ("step", "n_patches"))
            row = Row(line["dictionary"], *counts, *(float(line[name]) for name in Row._fields[3:]))
            if row.step <= n_done:
                rows.append(row)
    return rows


def _text(rows: list[Row] | list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
