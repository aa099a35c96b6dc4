"""Rows of label files: one object or line per feature, with the names that people give to their columns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ember_widgets.features.label import Label
from ember_widgets.scene import site_names
from ember_widgets.util import checks

FEATURE_NAMES = ("feature", "feature_id", "feature_idx", "feature_index", "index", "idx", "latent", "id")
TEXT_NAMES = ("label", "description", "explanation", "text", "name")
SITE_NAMES = ("site", "block", "layer", "hookpoint")
SCORE_NAMES = ("score", "detection", "causal", "precision", "recall", "f1", "accuracy", "confidence")
MODEL_NAMES = ("model", "explanationmodelname")
DATE_NAMES = ("date", "createdat")
NOTE_NAMES = ("note", "notes")
UNLABELLED = "unlabeled"
"""The text that public label files give to features without a label."""
CONFIDENCES = {"high": 1.0, "medium": 0.5, "low": 0.0}
"""Words in place of a number; only their order means something."""
COUNT = "_n"
"""What the name of a column with the trials of a score ends in."""
MAX_TRIALS = 2**31


FORM = 'give JSON of the form {"labels": {"12": "tree"}}, or a table with the columns feature and label'
"""What a label file looks like, for messages."""


class Unfit(Exception):
    """A file that can be read but not used; says why."""


def read(rows: Iterable[Any], site: str | None) -> dict[int, Label]:
    """The labels of rows, the first of each feature.

    Args:
        rows: {column: value}.
        site: of which only; None = all of them, if they are of one site.
    """
    labels: dict[int, Label] = {}
    sites: set[str] = set()
    for row in rows:
        for named in _explained({str(key).strip().lower(): value for key, value in row.items()}):
            where = short_site(str(_first(named, SITE_NAMES, "")))
            sites.add(where)
            if site is not None and where and where != short_site(site):
                continue
            text = _first(named, TEXT_NAMES)
            if text is None or (isinstance(text, str) and text.strip().lower() in ("", UNLABELLED)):
                continue  # a feature without a label
            feature = feature_of(_first(named, FEATURE_NAMES))
            if feature not in labels:
                labels[feature] = _label(text, named)
    if not sites:  # there are no rows
        raise ValueError
    if site is None and len(sites) > 1:
        raise Unfit(f"has labels of several sites ({', '.join(sorted(sites))}); choose one with site=")
    if site is not None and not labels and any(sites):
        raise Unfit(f"has no labels of {site}, only of {', '.join(sorted(sites))}")
    return labels


def columns(labels: Mapping[int, Label]) -> list[str]:
    """The columns that these labels need."""
    scores = sorted({name for label in labels.values() for name in label.scores})
    counted = {name for label in labels.values() for name in label.counts}
    more = [name for name in _MORE if any(getattr(label, name) for label in labels.values())]
    numbers = [
        column
        for name in scores
        # The column of trials also says that the one before it is a score.
        for column in ((name, name + COUNT) if name in counted or name not in SCORE_NAMES else (name,))
    ]
    return ["feature", "label", "source", *more, *numbers]


def written(labels: Mapping[int, Label]) -> Iterator[dict[str, Any]]:
    """Rows of these columns, one per label; what is not known is None."""
    names = columns(labels)
    for feature, label in labels.items():
        values: dict[str, Any] = {
            "feature": int(feature),
            "label": label.text,
            "source": label.source or None,
        }
        values |= {name: getattr(label, name) or None for name in _MORE}
        values |= {name: float(score) for name, score in label.scores.items()}
        values |= {name + COUNT: int(n) for name, n in label.counts.items()}
        yield {name: values.get(name) for name in names}


_MORE = ("category", "note", "model", "date", "prompt_hash")


def _explained(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The row; or, if it is a feature of Neuronpedia with a list of explanations, each of these as a row."""
    many = row.get("explanations")
    if not isinstance(many, list):
        yield row
        return
    feature = {name: row[name] for name in ("modelid", "layer", "index") if row.get(name) is not None}
    for one in many:
        yield feature | {str(key).strip().lower(): value for key, value in one.items()}


def _label(text: Any, named: Mapping[str, Any]) -> Label:
    counts = {
        name.removesuffix(COUNT): named[name]
        for name in named
        if name.endswith(COUNT) and name.removesuffix(COUNT) in named
    }
    scores = {name: named.get(name) for name in (*SCORE_NAMES, *counts)}
    if isinstance(scores["confidence"], str):
        word = scores["confidence"].strip().lower()
        scores["confidence"] = CONFIDENCES.get(word, None if word == "unknown" else scores["confidence"])
    shares = scores_of({name: score for name, score in scores.items() if score not in (None, "")})
    return Label(
        text_of(text),
        _source(named),
        shares | _judged(named.get("scores")),
        counts_of({name: n for name, n in counts.items() if n not in (None, "")}, shares),
        category=_named_text(named, ("category",)),
        note=_named_text(named, NOTE_NAMES),
        model=_named_text(named, MODEL_NAMES),
        date=_date(_named_text(named, DATE_NAMES)),
        prompt_hash=_named_text(named, ("prompt_hash",)),
    )


def _named_text(named: Mapping[str, Any], names: Iterable[str]) -> str:
    return text_of(str(_first(named, names, "")))


def _source(named: Mapping[str, Any]) -> str:
    if source := _named_text(named, ("source",)):
        return source
    if "modelid" not in named:
        return ""
    method = _named_text(named, ("typename",))
    return f"Neuronpedia, {method}" if method else "Neuronpedia"


def _judged(scores: Any) -> dict[str, float]:
    """Neuronpedia's list of scores: by the name of their kind, the first of each."""
    found: dict[str, float] = {}
    for one in scores if isinstance(scores, list) else ():
        name = one.get("explanationScoreTypeName") or "score"
        found = scores_of({name: one["value"]}) | found
    return found


def _date(text: str) -> str:
    """The day of a moment; anything else stays as it stands."""
    found = re.match(r"\d{4}-\d{2}-\d{2}(?=[T ])", text)
    return found[0] if found else text


def _first(named: Mapping[str, Any], names: Iterable[str], default: Any = None) -> Any:
    return next((named[name] for name in names if named.get(name) is not None), default)


def feature_of(value: Any) -> int:
    """A feature's index, given as a whole number or as the digits of one.

    Raises:
        Unfit: it is none.
    """
    if value is None:
        raise Unfit(f"has a label without a feature; {FORM}")
    # Not all that `int` takes: of "2_1", a layer and a feature, it would make 21.
    digits = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    if not re.fullmatch(r"[0-9]{1,10}", digits) or not int(digits) < 2**31:
        raise Unfit(
            f"has {checks.shown(value)} as a feature; features are whole numbers, 0, 1, 2, ..., written "
            f"without a point; {FORM}"
        )
    return int(digits)


def text_of(value: Any) -> str:
    """A text in one line.

    Raises:
        Unfit: it is not text, or no file can hold it.
    """
    if not isinstance(value, str):
        raise Unfit(
            f"has labels that are not text; give a string for each feature, not {checks.shown(value)}"
        )
    try:
        return " ".join(checks.text("a label", value).split())
    except ValueError as fault:
        raise Unfit(f"cannot be used: {fault}") from None


def scores_of(value: Any) -> dict[str, float]:
    """Scores by name; a pair is the precision and recall that the embedded model's labels have.

    Raises:
        Unfit: a score is not a number.
    """
    if isinstance(value, (list, tuple)):
        value = dict(zip(("precision", "recall"), value, strict=True))
    elif isinstance(value, (int, float)):
        value = {"score": value}
    scores = {text_of(str(name)): _number(name, number) for name, number in (value or {}).items()}
    return {name: number for name, number in scores.items() if math.isfinite(number)}


def _number(name: Any, score: Any) -> float:
    try:
        return float(score)
    except (TypeError, ValueError, OverflowError):  # which of them depends on what it is
        raise Unfit(
            f"has {name}={checks.shown(score)}, which is not a number; give a number, or leave it out"
        ) from None


def counts_of(value: Any, scores: Mapping[str, float]) -> dict[str, int]:
    """Trials by the name of their score; of a file's, those of scores that can be shares of trials."""
    counts = {text_of(str(name)): int(number) for name, number in (value or {}).items()}
    return {
        name: number
        for name, number in counts.items()
        if 0 < number < MAX_TRIALS and 0 <= scores.get(name, -1) <= 1
    }


def short_site(name: str) -> str:
    """The short name of a site, however a file writes it."""
    return site_names.short(name.strip().removeprefix("unet."))
