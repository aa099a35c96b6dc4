"""Label files: JSON, JSON Lines, TSV and CSV as people publish them. Labels are plain text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ember_widgets.features import label_rows
from ember_widgets.features.label import Label
from ember_widgets.features.label_rows import Unfit
from ember_widgets.util import files

FORMATS = (".json", ".jsonl", ".tsv", ".csv")
MAX_BYTES = 2**26
MAX_VALUES = 2**21
MAX_LINES = 2**19


def kind(name: str) -> str:
    """The format of a file by its name: one of ``FORMATS``, or "" for another; ".gz" may follow."""
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in FORMATS else ""


def read(path: Path, *, site: str | None = None) -> dict[int, Label]:
    """The labels of a file; see ``Labels.load``."""
    if not path.exists():
        raise FileNotFoundError(f"no label file at {str(path)!r}; give a .json, .jsonl, .tsv or .csv file")
    data = _bytes(path)
    suffix = kind(path.name) or ".json"
    try:
        if suffix != ".json" and data.count(b"\n") > MAX_LINES:
            raise Unfit(f"has more than {MAX_LINES:,} lines")
        if suffix == ".tsv":
            try:
                return label_rows.read(_table(_lines(data), delimiter="\t", strict=True), site)
            except csv.Error:  # written without quoting: a quotation mark is a part of the text
                return label_rows.read(_table(_lines(data), delimiter="\t", quoting=csv.QUOTE_NONE), site)
        if suffix == ".csv":
            return label_rows.read(_table(_lines(data)), site)
        if suffix == ".jsonl":
            rows = (files.parsed(line, MAX_VALUES) for line in _lines(data) if line.strip())
            return label_rows.read(rows, site)
        content = files.parsed(data.decode("utf-8-sig"), MAX_VALUES)
        if isinstance(content, list):
            return label_rows.read(content, site)
        if isinstance(content, dict) and isinstance(content.get("explanations"), list):
            return label_rows.read([content], site)
        return _from_object(content)
    except Unfit as fault:
        raise ValueError(f"{path} {fault}") from None
    except csv.Error as fault:
        raise ValueError(f"{path} cannot be read as a table ({fault}); mend or shorten that cell") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise ValueError(f"{path} is not a label file; {label_rows.FORM}") from None


def write(path: Path, labels: Mapping[int, Label]) -> None:
    """Write labels as .json, .jsonl or .tsv, atomically."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        data = json.dumps(_object(labels), ensure_ascii=False, indent=0) + "\n"
    elif suffix == ".jsonl":
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in label_rows.written(labels))
    elif suffix == ".tsv":
        stream = io.StringIO()
        table = csv.DictWriter(stream, label_rows.columns(labels), delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(label_rows.written(labels))
        data = stream.getvalue()
    else:
        raise ValueError(f"cannot write labels to {path}: choose a name that ends in .json, .jsonl or .tsv")
    files.write(path, data.encode("utf-8"))


def _object(labels: Mapping[int, Label]) -> dict[str, dict[str, Any]]:
    """{"labels": {feature: text}}, and the same for what else is known; what is not known is left out."""
    content: dict[str, dict[str, Any]] = {
        "labels": {str(feature): label.text for feature, label in labels.items()},
        "sources": {str(feature): label.source for feature, label in labels.items() if label.source},
        "scores": {
            str(feature): {name: float(score) for name, score in label.scores.items()}
            for feature, label in labels.items()
            if label.scores
        },
    }
    counts = {
        str(feature): {name: int(n) for name, n in label.counts.items()}
        for feature, label in labels.items()
        if label.counts
    }
    more = {
        many: {str(f): getattr(label, one) for f, label in labels.items() if getattr(label, one)}
        for one, many in _PLURALS.items()
    }
    return content | {name: values for name, values in ({"counts": counts} | more).items() if values}


_PLURALS = {
    "category": "categories",
    "note": "notes",
    "model": "models",
    "date": "dates",
    "prompt_hash": "prompt_hashes",
}


def _from_object(content: Any) -> dict[int, Label]:
    """Ours, or a plain {feature: text}."""
    if "labels" not in content:
        content = {"labels": content}
    source, sources, scores, counts = (
        content.get(key) or {} for key in ("source", "sources", "scores", "counts")
    )
    more = {one: content.get(many) or {} for one, many in _PLURALS.items()}
    return {
        feature: Label(
            label_rows.text_of(text),
            label_rows.text_of(sources.get(key, source if isinstance(source, str) else "")),
            shares := label_rows.scores_of(scores.get(key)),
            label_rows.counts_of(counts.get(key), shares),
            **{one: label_rows.text_of(values.get(key, "")) for one, values in more.items()},
        )
        for key, text in content["labels"].items()
        for feature in [label_rows.feature_of(key)]
    }


def _bytes(path: Path) -> bytes:
    data = files.read(path, MAX_BYTES)
    if path.suffix.lower() != ".gz":
        return data
    try:
        return files.unpacked(data, MAX_BYTES)
    except ValueError as fault:
        raise ValueError(f"{path} {fault}") from None


def _lines(data: bytes) -> Iterable[str]:
    """Read one by one: a list of lines takes many times the memory of the file."""
    return io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")


def _table(lines: Iterable[str], **dialect: Any) -> Iterator[dict[str, str]]:
    table = csv.DictReader(lines, **dialect)
    names = {str(name).strip().lower() for name in table.fieldnames or ()}
    if not names & set(label_rows.FEATURE_NAMES) or not names & set(label_rows.TEXT_NAMES):
        raise ValueError
    return table
