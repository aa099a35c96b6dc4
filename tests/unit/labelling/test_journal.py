"""The journal: nothing answered is lost, and damage is said."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ember_widgets.labelling import journal as journals
from ember_widgets.labelling.journal import Asked, Journal, Line
from tests.unit.damage import ODD

ASKED = Asked("here", "label", 3, "eyes")
GOOD = '{"label": "cat", "category": "object", "note": ""}'


def line(attempt: int = 0, text: str = GOOD, **more: Any) -> Line:
    given = {"kind": "label", "feature": 3, "model": "eyes", "at": 1.7e9, "text": text, **more}
    return Line(ASKED.id(attempt), **given)


def written(folder: Path, *lines: Line) -> Path:
    with journals.opened(folder) as journal:
        for one in lines:
            journal.add(one)
    return folder / journals.NAME


def test_lines_come_back(tmp_path: Path) -> None:
    first = line(truth=(True, False), tokens_in=7, seconds=1.5, is_cut_off=True)
    written(tmp_path, first)
    written(tmp_path, line(1, "\ud800 half"))
    assert list(journals.read(tmp_path).lines.values()) == [first, line(1, "\ud800 half")]


def test_a_line_is_on_disk_before_it_counts(tmp_path: Path) -> None:
    with journals.opened(tmp_path) as journal:
        journal.add(line())
        assert len((tmp_path / journals.NAME).read_bytes().splitlines()) == 1


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_last_line_is_left_out_and_cut_off(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, line(0), line(1))
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(journals.read(tmp_path).lines) == [ASKED.id(0)]
    written(tmp_path, line(2))
    assert list(journals.read(tmp_path).lines) == [ASKED.id(0), ASKED.id(2)]


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, line(0), line(1), line(2))
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1][:50], lines[2], ""]), "utf-8")
    with pytest.raises(ValueError, match=r"line 2 of .*journal.jsonl is damaged; delete it"):
        journals.read(tmp_path)


@pytest.mark.parametrize("name", [key for key in asdict(line()) if not key.startswith("is_")])
def test_odd_values_are_damage(tmp_path: Path, name: str) -> None:
    path = tmp_path / journals.NAME
    for value in ODD:
        path.write_text(json.dumps({**asdict(line()), name: value}) + "\n", "utf-8")
        try:
            found = [getattr(one, name) for one in journals.read(tmp_path).lines.values()]
        except ValueError as fault:
            found = [] if f"line 1 of {path} is damaged" in str(fault) else [fault]
        assert all(type(one) is type(getattr(line(), name)) for one in found)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / journals.NAME
    path.write_bytes(b"x" * (journals.MAX_LINE + 5))
    with pytest.raises(ValueError, match="is not a journal: line 1 is longer"):
        journals.read(tmp_path)
    path.write_bytes(b"[" * 200_000 + b"\n")
    with pytest.raises(ValueError, match="line 1 of"):
        journals.read(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a regular file"), journals.opened(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with (
        open("/dev/full", "ab", buffering=0) as full,
        pytest.raises(OSError, match="the answers before are kept"),
    ):
        Journal(tmp_path / journals.NAME, file=full).add(line())


class TestStanding:
    """How far a question has come, after the lines of its attempts."""

    def standing(self, *lines: Line) -> tuple[int, str, bool]:
        found = Journal(Path(), {one.id: one for one in lines}).standing(ASKED)
        return found.attempt, found.fault, found.is_settled

    def test_follows_from_its_lines(self) -> None:
        bad, refused = "no JSON", {"is_refused": True}
        assert self.standing() == (0, "", False)
        assert self.standing(line()) == (0, "", True)
        assert self.standing(line(0, bad)) == (1, "unreadable", False)
        assert self.standing(line(0, bad), line(1)) == (1, "", True)
        assert self.standing(line(0, bad), line(1, bad)) == (2, "unreadable", True)
        assert self.standing(line(0, bad), line(1, bad), line(2)) == (2, "", True)
        assert self.standing(line(0, "no", **refused)) == (2, "refused", True)
        assert self.standing(line(0, bad), line(1, "no", **refused)) == (2, "refused", True)
        assert self.standing(line(0, "no", **refused), line(2, bad)) == (3, "unreadable", False)

    def test_is_of_one_question_only(self) -> None:
        others = [
            Asked("elsewhere", "label", 3, "eyes"),
            Asked("here", "label", 4, "eyes"),
            Asked("here", "label", 3, "other"),
            Asked("here", "detection", 3, "eyes", "cat"),
            Asked("here", "detection", 3, "eyes", "dog"),
        ]
        assert len({asked.id(0) for asked in [ASKED, *others]}) == 6
