"""Labels: a short text per feature, its source and scores, and a search for features by text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ember_widgets.features import label_file
from ember_widgets.features.label_file import Label
from ember_widgets.util import checks, files

__all__ = ["OWN_SOURCE", "Label", "Labels"]

OWN_SOURCE = "you"
"""The source of labels that the user set; they take precedence over all others."""


class Labels(Mapping[int, str]):
    """{feature: text}, best fits first, of the features that have a label.

    Args:
        texts: {feature: text or label}, or labels to start with.
        n_features: How many features the SAE has; labels of other features are refused. None = any.
        own_file: File of the labels that the user set, read now and written by `set`; None = none is kept.

    Example:
        >>> labels = Labels({3: "pine (tree)", 8: "night"})
        >>> labels.set(8, "starry night")
        >>> labels.search("star"), labels.entry(8).source
        ([8], 'you')
    """

    def __init__(
        self,
        texts: Mapping[int, str] | Mapping[int, Label] | None = None,
        *,
        n_features: int | None = None,
        own_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._n_features = n_features
        self._own_file = Path(own_file) if own_file is not None else None
        self._given: dict[int, Label] = {}
        self._own: dict[int, Label] = {}
        # Set by the user, and not in the file: writing it failed.
        self._unkept: dict[int, Label | None] = {}
        if isinstance(texts, Labels):
            self._given, self._own = dict(texts._given), dict(texts._own)
        elif texts:
            self._given = {
                checks.whole("feature", feature, 0, 2**31 - 1): (
                    text if isinstance(text, Label) else Label(checks.text("a label", text))
                )
                for feature, text in texts.items()
            }
        self._check_features(self._given)
        if self._own_file is not None and self._own_file.exists():
            self._own |= label_file.read(self._own_file)
        self._index: _Index | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, site: str | None = None) -> Labels:
        """Read a label file.

        Args:
            path: JSON, JSON Lines, TSV or CSV. JSON is ours (`{"labels": {"12": "tree"}, "source": ...,
                "scores": ...}`), a plain `{"12": "tree"}` or a list of objects. Objects and columns may be
                called feature, index, feature_id or latent; label, description, explanation or text; source;
                score, precision, recall; site or block.
            site: Module path or short name ("down.2.1"). If the file has a column for sites, only rows of
                this one are read; a file of several sites is refused without it.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: It is not a label file.
        """
        labels = cls()
        labels._given = label_file.read(Path(path), site=site)
        return labels

    def __getitem__(self, feature: int) -> str:
        return (self._own[feature] if feature in self._own else self._given[feature]).text

    def __iter__(self) -> Iterator[int]:
        yield from self._own
        yield from (feature for feature in self._given if feature not in self._own)

    def __len__(self) -> int:
        return len(self._own.keys() | self._given.keys())

    def entry(self, feature: int) -> Label:
        """A feature's label with its source ("" = not known) and its scores, such as {"precision": 0.97}.

        Raises:
            KeyError: the feature has no label.
        """
        return self._own[feature] if feature in self._own else self._given[feature]

    def set(self, feature: int, text: str) -> None:
        """Give a feature a label of your own: it takes precedence over all others, and is kept.

        Args:
            feature: The feature.
            text: Its label; "" removes your own label, so that the one before shows again.

        Raises:
            TypeError, ValueError: An unknown feature, or `text` is not text.
            OSError: The label is set, but cannot be kept for the next time; the message says what to do.
        """
        feature = checks.feature_index(feature, self._n_features or 2**31)
        text = " ".join(checks.text("text", text).split())
        self._unkept.pop(feature, None)
        self._unkept[feature] = Label(text, OWN_SOURCE) if text else None
        self._own = _changed(self._own, self._unkept)
        self._index = None
        if self._own_file is not None:
            with files.locked(self._own_file):
                if self._own_file.exists():  # another notebook may have set some meanwhile
                    self._own = _changed(label_file.read(self._own_file), self._unkept)
                label_file.write(self._own_file, self._own)
        self._unkept = {}

    def add(self, labels: Labels | Mapping[int, str] | str | os.PathLike[str]) -> None:
        """Add labels. They replace earlier ones, except those that the user set.

        Args:
            labels: Labels, or a label file (see `load`).

        Raises:
            FileNotFoundError, ValueError: As `load`; or a feature that the SAE does not have.
        """
        if isinstance(labels, (str, os.PathLike)):
            labels = Labels.load(labels)
        more = labels if isinstance(labels, Labels) else Labels(labels)
        new = {feature: more.entry(feature) for feature in more}
        self._check_features(new)
        self._given = new | {f: label for f, label in self._given.items() if f not in new}
        self._index = None

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write all labels with their sources and scores; `load` reads them back.

        Args:
            path: ends in .json or .tsv.

        Returns:
            The file written.
        """
        label_file.write(Path(path), {feature: self.entry(feature) for feature in self})
        return Path(path)

    def moved(self, by: int) -> Labels:
        """The same labels with `by` added to every feature, as for a second site."""
        labels = Labels()
        labels._given = {feature + by: self.entry(feature) for feature in self}
        return labels

    def search(self, query: str) -> list[int]:
        """Features whose label contains every word of `query`, in any order and case.

        Args:
            query: One or more words or beginnings of words; an empty query finds nothing.

        Returns:
            Feature indices: first labels that equal the query, then labels with its words, with words that
            start with them, with words that contain them; ties are in the order of the labels themselves.
        """
        if self._index is None:
            self._index = _Index({feature: self[feature] for feature in self})
        return self._index.search(query)

    def _check_features(self, features: Iterable[int]) -> None:
        highest = max(features, default=0)
        if self._n_features is not None and highest >= self._n_features:
            raise ValueError(
                f"these labels name feature {highest}, but the SAE has {self._n_features} features; "
                "give the labels of this SAE"
            )


def _changed(labels: Mapping[int, Label], changes: Mapping[int, Label | None]) -> dict[int, Label]:
    """Labels with those of the changes, which come last; None removes one."""
    kept = {feature: label for feature, label in labels.items() if feature not in changes}
    return kept | {feature: label for feature, label in changes.items() if label is not None}


@dataclass
class _Index:
    """Words to features, so that a search looks at each different word once."""

    texts: dict[int, str]
    words: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for feature, text in self.texts.items():
            for word in set(_words(text)):
                self.words.setdefault(word, []).append(feature)

    def search(self, query: str) -> list[int]:
        wanted = _words(query)
        if not wanted:
            return []
        points: dict[int, int] | None = None
        for part in wanted:
            found: dict[int, int] = {}
            for word, features in self.words.items():
                if part in word:
                    rank = 3 if word == part else 2 if word.startswith(part) else 1
                    for feature in features:
                        found[feature] = max(found.get(feature, 0), rank)
            points = found if points is None else {f: points[f] + r for f, r in found.items() if f in points}
        assert points is not None  # there is a word at least
        whole = " ".join(wanted)
        exact = {f for f in points if " ".join(_words(self.texts[f])) == whole}
        order = {feature: place for place, feature in enumerate(self.texts)}
        return sorted(points, key=lambda f: (f not in exact, -points[f], order[f]))


def _words(text: str) -> list[str]:
    """Words in lower case, without the brackets and commas around them."""
    return [word for part in text.casefold().split() if (word := part.strip("()[]{},.;:!?\"'"))]
