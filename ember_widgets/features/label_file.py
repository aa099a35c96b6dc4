"""Label files: JSON, JSON Lines, TSV and CSV as people publish them. Labels are plain text."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ember_widgets.scene import site_names
from ember_widgets.util import checks, files

FEATURE_NAMES = ("feature", "feature_id", "feature_idx", "feature_index", "index", "idx", "latent", "id")
TEXT_NAMES = ("label", "description", "explanation", "text", "name")
SITE_NAMES = ("site", "block", "layer", "hookpoint")
MAX_BYTES = 2**26
MAX_VALUES = 2**21
MAX_LINES = 2**19
SCORE_NAMES = ("score", "precision", "recall", "f1", "accuracy", "confidence")


@dataclass(frozen=True)
class Label:
    """The label of a feature.

    Args:
        text: the label.
        source: who or what says so; "" = not known.
        scores: how well it fits, by name, such as {"precision": 0.97, "recall": 0.88}; may be empty.
        counts: of how many trials a score is the share of successes, such as {"detection": 10}.
        category: "object", "part", "action", ... of an automatic label; "" = not known.
        note: what its author was unsure about.
        model: the vision-language model that gave it; "" = not automatic, or not known.
        date: when, as YYYY-MM-DD.
        prompt_hash: identifies the wording of the question.
    """

    text: str
    source: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    category: str = ""
    note: str = ""
    model: str = ""
    date: str = ""
    prompt_hash: str = ""


def read(path: Path, *, site: str | None = None) -> dict[int, Label]:
    """The labels of a file; see ``Labels.load``."""
    if not path.exists():
        raise FileNotFoundError(f"no label file at {str(path)!r}; give a .json, .jsonl, .tsv or .csv file")
    data = files.read(path, MAX_BYTES)
    try:
        if path.suffix.lower() != ".json" and data.count(b"\n") > MAX_LINES:
            raise _Unfit(f"has more than {MAX_LINES:,} lines")
        # Read line by line where there are lines: a list of them takes many times the memory of the file.
        lines = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
        if path.suffix.lower() in (".tsv", ".csv"):
            return _from_rows(_table(lines, "\t" if path.suffix.lower() == ".tsv" else ","), site)
        if path.suffix.lower() == ".jsonl":
            return _from_rows((files.parsed(line, MAX_VALUES) for line in lines if line.strip()), site)
        content = files.parsed(data.decode("utf-8-sig"), MAX_VALUES)
        return _from_rows(content, site) if isinstance(content, list) else _from_object(content)
    except _Unfit as fault:
        raise ValueError(f"{path} {fault}") from None
    except csv.Error as fault:
        raise ValueError(f"{path} cannot be read as a table ({fault}); mend or shorten that cell") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise ValueError(
            f'{path} is not a label file; give JSON of the form {{"labels": {{"12": "tree"}}}}, '
            "or a table with the columns feature and label"
        ) from None


def write(path: Path, labels: Mapping[int, Label]) -> None:
    """Write labels as .json or .tsv, atomically."""
    names = sorted({name for label in labels.values() for name in label.scores})
    if path.suffix.lower() == ".json":
        content = {
            "labels": {str(feature): label.text for feature, label in labels.items()},
            "sources": {str(feature): label.source for feature, label in labels.items() if label.source},
            "scores": {
                str(feature): {name: float(score) for name, score in label.scores.items()}
                for feature, label in labels.items()
                if label.scores
            },
        }
        data = json.dumps(content, ensure_ascii=False, indent=0) + "\n"
    elif path.suffix.lower() == ".tsv":
        stream = io.StringIO()
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(["feature", "label", "source", *names])
        for feature, label in labels.items():
            table.writerow(
                [feature, label.text, label.source, *(label.scores.get(name, "") for name in names)]
            )
        data = stream.getvalue()
    else:
        raise ValueError(f"cannot write labels to {path}: choose a name that ends in .json or .tsv")
    files.write(path, data.encode("utf-8"))


class _Unfit(Exception):
    """A file that can be read but not used; says why."""


def _from_object(content: Any) -> dict[int, Label]:
    """Ours, or a plain {feature: text}."""
    if "labels" not in content:
        content = {"labels": content}
    source, sources, scores = (content.get(key) or {} for key in ("source", "sources", "scores"))
    return {
        feature: Label(
            _text(text),
            _text(sources.get(key, source if isinstance(source, str) else "")),
            _scores(scores.get(key)),
        )
        for key, text in content["labels"].items()
        for feature in [_feature(key)]
    }


def _from_rows(rows: Iterable[Any], site: str | None) -> dict[int, Label]:
    labels: dict[int, Label] = {}
    sites: set[str] = set()
    for row in rows:
        named = {str(key).strip().lower(): value for key, value in row.items()}
        where = _site(str(_first(named, SITE_NAMES, "")))
        sites.add(where)
        if site is not None and where and where != _site(site):
            continue
        text = _first(named, TEXT_NAMES)
        if text is None or (isinstance(text, str) and not text.strip()):
            continue  # a feature without a label
        scores = {name: named[name] for name in SCORE_NAMES if named.get(name) not in (None, "")}
        feature = _feature(_first(named, FEATURE_NAMES))
        labels.setdefault(feature, Label(_text(text), _text(str(named.get("source") or "")), _scores(scores)))
    if not sites:  # there are no rows
        raise ValueError
    if site is None and len(sites) > 1:
        raise _Unfit(f"has labels of several sites ({', '.join(sorted(sites))}); choose one with site=")
    if site is not None and not labels and any(sites):
        raise _Unfit(f"has no labels of {site}, only of {', '.join(sorted(sites))}")
    return labels


def _table(lines: Iterable[str], delimiter: str) -> Iterator[dict[str, str]]:
    table = csv.DictReader(lines, delimiter=delimiter)
    names = {str(name).strip().lower() for name in table.fieldnames or ()}
    if not names & set(FEATURE_NAMES) or not names & set(TEXT_NAMES):
        raise ValueError
    return table


def _first(named: Mapping[str, Any], names: Iterable[str], default: Any = None) -> Any:
    return next((named[name] for name in names if named.get(name) is not None), default)


def _feature(value: Any) -> int:
    feature = int(value)
    if isinstance(value, (bool, float)) or not 0 <= feature < 2**31:
        raise ValueError
    return feature


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit(
            f"has labels that are not text; give a string for each feature, not {checks.shown(value)}"
        )
    try:
        return " ".join(checks.text("a label", value).split())
    except ValueError as fault:
        raise _Unfit(f"cannot be used: {fault}") from None


def _scores(value: Any) -> dict[str, float]:
    """Scores by name; a pair is the precision and recall that the embedded model's labels have."""
    if isinstance(value, (list, tuple)):
        value = dict(zip(("precision", "recall"), value, strict=True))
    elif isinstance(value, (int, float)):
        value = {"score": value}
    scores = {_text(str(name)): float(number) for name, number in (value or {}).items()}
    return {name: number for name, number in scores.items() if math.isfinite(number)}


def _site(name: str) -> str:
    """The short name of a site, however a file writes it."""
    return site_names.short(name.strip().removeprefix("unet."))
