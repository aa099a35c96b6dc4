"""The journal of a labelling run: every answer, one line of JSON each, on disk before it counts.

A run that was killed reads it and asks only what has no answer. Each call has an id of its own: of what is
asked, by which model, about which feature, and which attempt it is. So the same call is never made
twice, and lines of other models, collections and wordings may stand in the same file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ember_widgets.labelling import questions
from ember_widgets.labelling.question import Kind
from ember_widgets.labelling.questions import Named, Unreadable
from ember_widgets.util import checks, files

NAME = "journal.jsonl"
MAX_ANSWER = 20_000
"""Characters of an answer that are kept: the last ones, where the answer stands after long thoughts."""
MAX_LINE = 2**20
MAX_VALUES = 1000

Answer = Named | set[int] | list[str]
READERS: Mapping[Kind, Callable[[str], Answer]] = {
    "label": questions.named,
    "detection": questions.chosen,
    "causal": questions.pairs,
}


@dataclass(frozen=True)
class Asked:
    """What is asked, before it is drawn.

    Args:
        identity: Of painter, collection and drawing settings.
        kind: Which question.
        feature: About which feature.
        model: Who is asked.
        label: What the questions of scores are about; "" for the label question.
    """

    identity: str
    kind: Kind
    feature: int
    model: str
    label: str = ""

    def id(self, attempt: int) -> str:
        """Names a call, 32 characters.

        Args:
            attempt: Even ones have the plain wording, odd ones add that the last answer could not be read.
        """
        parts = [self.identity, self.kind, self.feature, self.model, self.text(attempt), attempt]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def text(self, attempt: int) -> str:
        """The question in words."""
        return questions.text_of(self.kind, self.label) + (questions.RETRY if attempt % 2 else "")


@dataclass(frozen=True)
class Line:
    """A call that was answered.

    Args:
        id: Of the call.
        kind: Of the question.
        feature: It is about.
        model: That answered.
        at: When, in seconds since 1970.
        text: The answer as it stands, or why it was refused.
        is_refused: Whether it was refused.
        is_cut_off: Whether the answer ended because it may not be longer.
        truth: What a score is measured against, in the order of the sheet: booleans, or "A" and "B".
        tokens_in: Tokens of question and picture, as the server counted them.
        tokens_out: Tokens of the answer.
        seconds: How long the call took, with the client's retries.
        wall_seconds: How much longer the run took by it: since the line before, or since the run began.
    """

    id: str
    kind: Kind
    feature: int
    model: str
    at: float
    text: str
    is_refused: bool = False
    is_cut_off: bool = False
    truth: tuple[Any, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Standing:
    """How far a question has come.

    Args:
        attempt: The next one to be made, if one is.
        line: The last answer; None = it was never asked.
        answer: What it says; None = nothing that can be read.
        fault: "refused" or "unreadable" if the last answer is; "" otherwise.
        reason: What is wrong with it.
    """

    attempt: int
    line: Line | None = None
    answer: Answer | None = None
    fault: str = ""
    reason: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether it was answered, or was refused or not readable as often as it is asked."""
        return self.answer is not None or (self.line is not None and self.attempt % 2 == 0)


@dataclass
class Journal:
    """The lines of a folder. Read by `read`, and written inside `opened`."""

    path: Path
    lines: dict[str, Line] = field(default_factory=dict)
    end: int = 0
    file: FileIO | None = None

    def standing(self, asked: Asked) -> Standing:
        """How far a question has come."""
        found = Standing(0)
        while line := self.lines.get(asked.id(found.attempt)):
            if line.is_refused:
                # The next attempt has the plain wording again.
                found = Standing(found.attempt + 2 - found.attempt % 2, line, None, "refused", line.text)
                continue
            try:
                return Standing(found.attempt, line, READERS[asked.kind](line.text))
            except Unreadable as fault:
                reason = f"it was cut off after {line.tokens_out} tokens" if line.is_cut_off else str(fault)
                found = Standing(found.attempt + 1, line, None, "unreadable", reason)
        return found

    def add(self, line: Line) -> None:
        """Keep an answer: on disk when this returns.

        Raises:
            OSError: It cannot be written; the file is as before.
        """
        assert self.file is not None, "the journal is open inside `opened` only"
        data = (json.dumps(asdict(line)) + "\n").encode()
        try:
            written = self.file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self.file.fileno())
        except OSError as fault:
            with contextlib.suppress(OSError):  # half a line would spoil the next one
                self.file.truncate(self.end)
            raise OSError(
                fault.errno, f"cannot write {self.path}: {fault.strerror}; the answers before are kept"
            ) from fault
        self.end += len(data)
        self.lines[line.id] = line


def read(folder: Path) -> Journal:
    """The journal of a folder; empty if there is none. A last line that was not finished is left out.

    Raises:
        ValueError: A line in the middle is damaged, or the file is something else.
    """
    journal = Journal(folder / NAME)
    if not journal.path.exists():
        return journal
    with files.opened(journal.path) as file:
        n = 0
        while (data := file.readline(MAX_LINE)).endswith(b"\n"):
            n += 1
            try:
                line = _line(files.parsed(data.decode(), MAX_VALUES))
            except (ValueError, KeyError, TypeError, OverflowError):
                raise ValueError(
                    f"line {n} of {journal.path} is damaged; delete it to have its question asked again"
                ) from None
            journal.lines[line.id] = line
            journal.end += len(data)
    if len(data) == MAX_LINE:
        raise ValueError(f"{journal.path} is not a journal: line {n + 1} is longer than {MAX_LINE:,} bytes")
    return journal


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    """The journal of a folder, to write to; nobody else may while it is open.

    The folder is made if it is missing. A last line that was not finished is cut off.

    Raises:
        OSError: It cannot be written, or another run writes it.
        ValueError: As `read`.
    """
    files.make_folder(folder)
    lock = FileLock(folder / f".{NAME}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"another run labels into {folder}; wait until it is done, or choose another folder"
        ) from None
    try:
        journal = read(folder)
        # Without a buffer: what a full disk did not take must not be written later.
        with journal.path.open("ab", buffering=0) as file:
            file.truncate(journal.end)
            journal.file = file
            yield journal
    finally:
        lock.release()


def _line(found: Any) -> Line:
    if not isinstance(found, dict) or found["kind"] not in READERS:
        raise ValueError
    truth = found.get("truth", [])
    texts = [found["id"], found["model"], found["text"]]
    if not isinstance(truth, list) or not all(isinstance(x, (bool, str)) for x in truth):
        raise ValueError
    if not all(isinstance(x, str) for x in texts):
        raise ValueError
    numbers = [float(found.get(name, 0)) for name in ("at", "seconds", "wall_seconds")]
    if not all(0 <= x < 2.5e11 for x in numbers):  # as dates, up to the year 9892; not NaN
        raise ValueError
    return Line(
        id=texts[0],
        kind=found["kind"],
        feature=checks.feature_index(found["feature"], 2**31),
        model=texts[1],
        text=texts[2],
        at=numbers[0],
        is_refused=bool(found.get("is_refused")),
        is_cut_off=bool(found.get("is_cut_off")),
        truth=tuple(truth),
        tokens_in=max(0, _count("tokens_in", found)),
        tokens_out=max(0, _count("tokens_out", found)),
        seconds=numbers[1],
        wall_seconds=numbers[2],
    )


def _count(name: str, found: dict[str, Any]) -> int:
    return checks.whole_number(name, found.get(name, 0), hint="give a number of tokens")


def kept(text: str) -> str:
    """As much of an answer as the journal keeps."""
    return text[-MAX_ANSWER:]
