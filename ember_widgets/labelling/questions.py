"""The three questions, word for word, and how their answers are read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ember_widgets.labelling.question import Kind
from ember_widgets.labelling.sheet import N_DETECTION, N_PAIRS
from ember_widgets.util import files

CATEGORIES = ("object", "part", "action", "texture", "colour", "style", "position", "unclear")
MAX_WORDS = 6
MAX_LABEL, MAX_NOTE = 100, 200
"""Characters."""

LABEL = """\
You name a feature of an image model. The feature is active in some places of some pictures.
Pictures "1" to "10", from strongest to weakest: a black and white square marks a place where it is active.
Look at what is inside the squares and what they have in common.
"silent": pictures in which it is active nowhere.
"painted alone": what the model draws if only this feature is put in the middle of a blank canvas; "blank
canvas": the same without it.
"without" and "with": three scenes before and after it was put in the middle; "change": where they differ.
Name what the feature stands for, as specific as the pictures allow, in at most 6 plain words, no sentence.
category: object, part (of an object), action (or pose, expression), texture, colour, style, position (always
at the same place of the picture), or unclear (nothing in common).
note: one short sentence with what you are unsure about; may be empty.
Answer with JSON only: {"label": "...", "category": "...", "note": "..."}"""

DETECTION = """\
In each of the pictures 1 to 10 a black and white square marks a place. In which pictures does the place
inside the square show this: {label}
About half of them do. Answer with JSON only, the numbers of these pictures: {{"pictures": [1, 2]}}"""

CAUSAL = """\
Each of the pairs 1 to 10 has a picture A and a picture B. In each pair, decide which of the two shows more
of this in the middle: {label}
If you cannot tell, write "?".
Answer with JSON only, one letter for each pair in order: {{"pairs": ["A", "B", "?"]}}"""

RETRY = (
    "\nYour last answer could not be read as JSON of this form. "
    "Answer with the JSON object only, nothing before or after it."
)

SCHEMAS: Mapping[Kind, Mapping[str, Any]] = {
    "label": {
        "type": "object",
        "properties": {
            "label": {"type": "string"},
            "category": {"type": "string", "enum": list(CATEGORIES)},
            "note": {"type": "string"},
        },
        "required": ["label", "category", "note"],
        "additionalProperties": False,
    },
    "detection": {
        "type": "object",
        "properties": {"pictures": {"type": "array", "items": {"type": "integer"}}},
        "required": ["pictures"],
        "additionalProperties": False,
    },
    "causal": {
        "type": "object",
        "properties": {"pairs": {"type": "array", "items": {"type": "string", "enum": ["A", "B", "?"]}}},
        "required": ["pairs"],
        "additionalProperties": False,
    },
}
_TEXTS: Mapping[Kind, str] = {"label": LABEL, "detection": DETECTION, "causal": CAUSAL}


@dataclass(frozen=True)
class Named:
    """The answer to a label question."""

    label: str
    category: str
    note: str


class Unreadable(ValueError):
    """An answer that is not of the form that was asked for."""


def text_of(kind: Kind, label: str = "") -> str:
    """A question in words.

    Args:
        kind: Which one.
        label: What detection and causal questions are about.
    """
    return LABEL if kind == "label" else _TEXTS[kind].format(label=label)


def prompt_hash(kind: Kind = "label") -> str:
    """Identifies the wording of a question, 12 characters."""
    return hashlib.sha256(_TEXTS[kind].encode()).hexdigest()[:12]


def named(text: str) -> Named:
    """Read the answer to a label question.

    Raises:
        Unreadable: It is no such answer.
    """
    found = _object(text)
    label, category, note = found.get("label"), found.get("category", "unclear"), found.get("note", "")
    words = printable(label).strip("\"'. ").split() if isinstance(label, str) else []
    if not words:
        raise Unreadable("it has no label")
    category = category.strip().lower() if isinstance(category, str) else "unclear"
    return Named(
        " ".join(words[:MAX_WORDS])[:MAX_LABEL],
        category if category in CATEGORIES else "unclear",
        " ".join(printable(note).split())[:MAX_NOTE] if isinstance(note, str) else "",
    )


def chosen(text: str) -> set[int]:
    """Read the answer to a detection question: the pictures, from 0.

    Raises:
        Unreadable: It is no such answer.
    """
    numbers = _object(text).get("pictures")
    if not isinstance(numbers, list) or not all(
        isinstance(n, int) and 1 <= n <= N_DETECTION for n in numbers
    ):
        raise Unreadable(f"it is not a list of numbers from 1 to {N_DETECTION}")
    return {n - 1 for n in numbers}


def pairs(text: str) -> list[str]:
    """Read the answer to a causal question: "A", "B" or "?" for each pair.

    Raises:
        Unreadable: It is no such answer.
    """
    letters = _object(text).get("pairs")
    if (
        not isinstance(letters, list)
        or len(letters) != N_PAIRS
        or not all(x in ("A", "B", "?") for x in letters)
    ):
        raise Unreadable(f"it is not a list of {N_PAIRS} letters A, B or ?")
    return letters


def printable(text: str) -> str:
    """Without control characters and halves of surrogate pairs, which terminals and files cannot take."""
    return "".join(x for x in text if x.isprintable() or x.isspace())


def _object(text: str) -> dict[str, Any]:
    """The JSON object in an answer; models like to think first, or to put it between ``` or after words."""
    text = text.rpartition("</think>")[2]
    fenced = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        found = files.parsed(fenced[0] if fenced else text, 10_000)
    except ValueError:
        raise Unreadable("it is not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("it is not a JSON object")
    return found
