"""Labels: a short text per feature, its source and scores, and a search for features by text."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ember_widgets.features import label_file, label_source, meaning
from ember_widgets.features.label import PERSON, Label
from ember_widgets.features.meaning import Meaning
from ember_widgets.util import checks, files
from ember_widgets.util.hub import Hub

__all__ = ["OWN_SOURCE", "Label", "LabelHit", "Labels"]

M = TypeVar("M")
OWN_SOURCE = "you"
"""The source of labels that the user set, and of no others; they take precedence over all others."""
_changing = threading.Lock()
"""Of all labels, because one of each would keep them from being copied; a change takes milliseconds."""


@dataclass(frozen=True)
class LabelHit:
    """A feature that a search found.

    Attributes:
        feature: Its index.
        reason: "word" if its label holds the words of the query, "meaning" if it only means something near.
        cosine: How near in meaning, -1..1; None if it was found by its words.
    """

    feature: int
    reason: Literal["word", "meaning"] = "word"
    cosine: float | None = None


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
        self._listeners: list[Callable[[list[int]], None]] = []
        if isinstance(texts, Labels):
            self._given, self._own = dict(texts._given), dict(texts._own)
        elif texts is not None:
            self._given = _given(
                {
                    checks.integer("feature", feature, 0, 2**31 - 1, hint="features count from 0"): (
                        text if isinstance(text, Label) else Label(checks.text("a label", text))
                    )
                    for feature, text in checked(texts).items()
                }
            )
        self._check_features(self._given)
        if self._own_file is not None and self._own_file.exists():
            self._own |= label_file.read(self._own_file)
        self._index: _Index | None = None
        self._known = _Known()
        self._meaning: Meaning | None = texts._meaning if isinstance(texts, Labels) else None

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        site: str | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> Labels:
        """Read labels from a file, a folder, or a data set on the Hugging Face hub.

        Args:
            path: JSON, JSON Lines, TSV or CSV, each also packed by gzip (.gz). JSON is ours (`{"labels":
                {"12": "tree"}, "source": ..., "scores": ...}`), a plain `{"12": "tree"}`, a list of objects,
                or what Neuronpedia exports. Objects and columns may be called feature, index, feature_id,
                latent or id; label, description, explanation or text; category; note; source; model or
                explanationModelName; date; score, detection, causal, precision, recall or confidence; site,
                block or layer. Words for a confidence become numbers: high 1, medium 0.5, low 0.
                A folder of such files: those named after the site, a file called labels, or batches as
                Neuronpedia publishes them. Or the id of a data set on the hub, "owner/name", which may be
                followed by the path of a file in it; it is downloaded if it is not in the cache.
            site: Module path or short name ("down.2.1"). If files are named after sites, or there is a column
                for sites, only labels of this one are read; labels of several sites are refused without it.
            revision: Branch, tag or commit of the data set.
            cache_dir: Where downloads are kept; None = the hub's usual cache.
            token: For private or gated data sets.
            local_files_only: Never use the network.

        Raises:
            FileNotFoundError: There is no such file, folder or data set.
            ValueError: It is not a label file, or several files may be meant.
            PermissionError, ConnectionError: The hub refuses it, or cannot be reached.

        Example:
            >>> Labels.load("hammamiomar/sdxl-turbo-sae-labels", site="down.2.1")      # doctest: +SKIP
        """
        checks.path("path", path)
        labels = cls()
        hub = Hub(Path(cache_dir) if cache_dir else None, token, local_files_only, "dataset")
        labels._given = _given(label_source.read(path, hub, site=site, revision=revision))
        return labels

    def __getitem__(self, feature: int) -> str:
        return (self._own[feature] if feature in self._own else self._given[feature]).text

    def __iter__(self) -> Iterator[int]:
        yield from self._own
        yield from (feature for feature in self._given if feature not in self._own)

    def __len__(self) -> int:
        return len(self._own.keys() | self._given.keys())

    def __repr__(self) -> str:
        texts = [f"{feature}: {checks.shown(self[feature])}" for feature in list(self)[:3]]
        more = ", ..." if len(self) > 3 else ""
        return f"Labels({checks.plural(len(self), 'feature')}{': ' if texts else ''}{', '.join(texts)}{more})"

    def entry(self, feature: int) -> Label:
        """A feature's label with its source ("" = not known) and its scores, such as {"precision": 0.97}.

        Raises:
            KeyError: the feature has no label.
        """
        return self._own[feature] if feature in self._own else self._given[feature]

    def origin(self, feature: int) -> str:
        """Who gave a feature's label, when, and how well it fits, in one line for people.

        Returns:
            Such as "labelled by you", or "labelled by Qwen2.5-VL-7B on 2026-11-29; detection 0.9 (0.60 to
            0.98), causal 0.8 (0.49 to 0.94)": each score with its 95 % interval, if its trials were counted.
            "" if nothing is known.

        Raises:
            KeyError: the feature has no label.
        """
        if feature in self._own:
            return "labelled by you"
        return self._given[feature].origin

    def is_own(self, feature: int) -> bool:
        """Whether the user set the label of this feature."""
        return feature in self._own

    def features(
        self,
        *,
        min_scores: Mapping[str, float] | None = None,
        category: str | Collection[str] | None = None,
    ) -> list[int]:
        """The features whose labels fit well enough, in the order of the labels.

        Args:
            min_scores: {score: its lowest value}, such as {"detection": 0.8, "causal": 0.7}. A label without
                one of these scores is left out; but those that the user set always pass.
            category: Only labels of this category, or of one of several.

        Returns:
            Feature indices.

        Raises:
            TypeError, ValueError: `min_scores` does not give a number for each score, or no label has such a
                score or category.
        """
        if not isinstance(min_scores, (Mapping, type(None))):
            raise TypeError(
                f"min_scores={checks.shown(min_scores)} does not say which score; give e.g. {{'causal': 0.8}}"
            )
        wanted: set[str] | None = None
        if isinstance(category, str):
            wanted = {category}
        elif category is not None:
            wanted = set(checks.listed("category", category, hint="give one category, or a list of them"))
        lowest = {
            name: checks.number(f"min_scores[{name!r}]", least, hint="give the lowest score, such as 0.8")
            for name, least in (min_scores or {}).items()
        }

        entries = [self.entry(feature) for feature in self]
        _check_known("score", lowest, {name for label in entries for name in label.scores})
        # "" is the category of labels without one.
        _check_known("category", (wanted or set()) - {""}, {label.category for label in entries} - {""})

        def passes(feature: int) -> bool:
            label = self.entry(feature)
            scores = label.scores
            fits = feature in self._own or all(
                name in scores and scores[name] >= least for name, least in lowest.items()
            )
            return fits and (wanted is None or label.category in wanted)

        return [feature for feature in self if passes(feature)]

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
        try:
            with _changing:
                self._unkept.pop(feature, None)
                self._unkept[feature] = Label(text, OWN_SOURCE) if text else None
                self._own = _changed(self._own, self._unkept)
                if self._own_file is not None:
                    with files.locked(self._own_file):
                        if self._own_file.exists():  # another notebook may have set some meanwhile
                            self._own = _changed(label_file.read(self._own_file), self._unkept)
                        label_file.write(self._own_file, self._own)
                self._unkept = {}
        finally:
            self._tell([feature])

    def add(
        self, labels: Labels | Mapping[int, str] | str | os.PathLike[str], *, site: str | None = None
    ) -> None:
        """Add labels. They replace earlier ones, except those that the user set.

        They do not become the user's own: what says "you" as its source is from here on a person's.

        Args:
            labels: Labels, or where `load` reads them from.
            site: Of which site, as for `load`.

        Raises:
            FileNotFoundError, ValueError: As `load`; or a feature that the SAE does not have.
        """
        if isinstance(labels, (str, os.PathLike)):
            labels = Labels.load(labels, site=site)
        more = labels if isinstance(labels, Labels) else Labels(labels)
        new = _given({feature: more.entry(feature) for feature in more})
        self._check_features(new)
        with _changing:
            self._given = new | {f: label for f, label in self._given.items() if f not in new}
        self._tell(list(new))

    def on_changed(self, listener: Callable[[list[int]], None]) -> Callable[[], None]:
        """Call the listener with the features that got other labels, after `set` and `add`, in their thread.

        Returns:
            A function that ends the calls.
        """
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def _tell(self, features: list[int]) -> None:
        for listener in list(self._listeners):
            listener(features)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write all labels with their sources and scores; `load` reads them back, yours as a person's.

        Args:
            path: ends in .json, .jsonl or .tsv.

        Returns:
            The file written.
        """
        file = checks.path("path", path)
        label_file.write(file, {feature: self.entry(feature) for feature in self})
        return file

    def moved(self, by: int) -> Labels:
        """The same labels with `by` added to every feature, as for a second site."""
        labels = Labels()
        labels._given = _given({feature + by: self.entry(feature) for feature in self})
        return labels

    def push_to_hub(
        self,
        repo: str,
        *,
        licence: str | None = None,
        licence_link: str | None = None,
        model: str | None = None,
        sae: str | None = None,
        site: str | None = None,
        data: str = "",
        private: bool = True,
        token: str | None = None,
        message: str | None = None,
    ) -> str:
        """Put the labels on the Hugging Face hub as a data set, with a card that describes them.

        `Labels.load(repo)` and `painter.labels.add(repo)` read them from there. The repository is made if
        needed; labels and a card that are there are replaced, and other files stay. Those that you set are in
        it too, marked as a person's.

        Args:
            repo: "owner/name".
            licence: Under which you give them; you must say it. The name that the hub has for it, such as
                "cc-by-4.0"; or, with `licence_link`, any name. Read what the terms of the model that wrote
                them say.
            licence_link: Where a licence stands that the hub has no name for.
            model: Hub id of the image model, such as "stabilityai/sdxl-turbo".
            sae: Hub id of the SAE whose features these are.
            site: Its site; the card says it.
            data: What the card says about the pictures that they were made from. It is shown as it stands.
            private: Whether only you can see it. If so, a repository that is public already is refused.
            token: With permission to write; None = the one that was logged in with.
            message: What the repository's history says; None = how many labels there are.

        Returns:
            The repository's address.

        Raises:
            ValueError: There are no labels, no licence or no id of the hub; or the repository is public.
            PermissionError: There is no token, or it may not write there.
            ConnectionError: The network is not used, or the connection broke; calling again goes on.

        Example:
            >>> painter.labels.push_to_hub("me/labels", licence="cc-by-4.0")           # doctest: +SKIP
        """
        from ember_widgets.features.label_publishing import LabelUpload, push

        upload = LabelUpload(repo, licence, licence_link, model, sae, site, data, private, token, message)
        return push(upload, {feature: self.entry(feature) for feature in self}, frozenset(self._own))

    def load_meaning(
        self,
        source: str | os.PathLike[str] = meaning.MODEL,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> None:
        """Search these labels by meaning too, so that "kitten" finds "cat".

        If the package model2vec is installed and the usual text embedding is on this machine, that happens by
        itself. This call downloads the text embedding if needed; so does `ember-widgets download --meaning`.

        Args:
            source: Hub id or folder of a model2vec model.
            cache_dir: Where downloads are kept; None = the hub's usual cache.
            token: For private repositories.
            local_files_only: Never use the network.

        Raises:
            ImportError: model2vec is not installed.
            FileNotFoundError, PermissionError, ConnectionError: It is not there, or cannot be fetched.
            ValueError: It is no such model.
        """
        self._meaning = Meaning.load(
            source, cache_dir=cache_dir, token=token, local_files_only=local_files_only
        )

    def search(self, query: str) -> list[int]:
        """Features whose label contains every word of `query`, in any order and case; then those whose label
        means something near, if a text embedding is on this machine (see `load_meaning`).

        Args:
            query: One or more words or beginnings of words; an empty query finds nothing.

        Returns:
            Feature indices: first labels that equal the query, then labels with its words, with words that
            start with them, with words that contain them; ties are in the order of the labels themselves.
            Last those found by meaning, nearest first.
        """
        return [hit.feature for hit in self.find(query)]

    def find(self, query: str, *, by_meaning: bool = True) -> list[LabelHit]:
        """As `search`, with the reason why each feature was found.

        Args:
            query: What to look for.
            by_meaning: Also find labels that mean something near; otherwise only those with the words.

        Returns:
            Hits, in the order of `search`.

        Raises:
            TypeError: `query` is not text.
        """
        checks.text("query", query)
        index = self._indexed()
        words = [LabelHit(feature) for feature in index.search(query)]
        if not by_meaning or not _words(query):
            return words
        if (embedding := self._meaning or meaning.usual()) is None:
            return words
        features, known = list(index.texts), {hit.feature for hit in words}
        near = embedding.near(query, index.vectors(embedding, self._known))
        more = [LabelHit(features[i], "meaning", cosine) for i, cosine in near if features[i] not in known]
        return words + more

    def _indexed(self) -> _Index:
        """The index of the labels as they are now; another thread may change them while it is made."""
        own, given, index = self._own, self._given, self._index
        # A change makes other dicts.
        if index is None or index.made_of[0] is not own or index.made_of[1] is not given:
            first = own | {feature: label for feature, label in given.items() if feature not in own}
            index = _Index({feature: label.text for feature, label in first.items()}, (own, given))
            self._index = index
        return index

    def _check_features(self, features: Iterable[int]) -> None:
        highest = max(features, default=0)
        if self._n_features is not None and highest >= self._n_features:
            raise ValueError(
                f"these labels name feature {highest}, but the SAE has {self._n_features} features; "
                "give the labels of this SAE"
            )


def checked(labels: M) -> M:
    """``labels`` if they are labels.

    Raises:
        TypeError: They are something else.
    """
    if not isinstance(labels, Mapping):
        raise TypeError(
            f"labels={checks.shown(labels)} are not labels; give {{feature: text}}, painter.labels or "
            "ember.Labels.load(path)"
        )
    return labels


def _check_known(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the name of a score or category that no label has: nothing would be found."""
    if unknown := [name for name in given if name not in known]:
        have = ", ".join(sorted(known)) or "none"
        raise ValueError(f"no label has the {kind} {checks.shown(unknown[0])}; there are: {have}")


def _given(labels: Mapping[int, Label]) -> dict[int, Label]:
    """Labels from elsewhere: who is "you" in them is another person here."""
    return {
        feature: replace(label, source=PERSON) if label.source == OWN_SOURCE else label
        for feature, label in labels.items()
    }


def _changed(labels: Mapping[int, Label], changes: Mapping[int, Label | None]) -> dict[int, Label]:
    """Labels with those of the changes, which come last; None removes one."""
    kept = {feature: label for feature, label in labels.items() if feature not in changes}
    return kept | {feature: label for feature, label in changes.items() if label is not None}


@dataclass
class _Index:
    """Words to features, so that a search looks at each different word once."""

    texts: dict[int, str]
    made_of: tuple[Mapping[int, Label], Mapping[int, Label]]
    words: dict[str, list[int]] = field(default_factory=dict)
    embedded: tuple[Meaning, NDArray[np.float32]] | None = None

    def __post_init__(self) -> None:
        for feature, text in self.texts.items():
            for word in set(_words(text)):
                self.words.setdefault(word, []).append(feature)

    def vectors(self, embedding: Meaning, known: _Known) -> NDArray[np.float32]:
        """(n, d) vectors of the texts, in their order."""
        if self.embedded is None or self.embedded[0] is not embedding:
            texts = [text.casefold() for text in self.texts.values()]
            self.embedded = embedding, known.vectors(embedding, texts)
        return self.embedded[1]

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


class _Known:
    """Vectors of the texts that were embedded last, so that one changed label does not redo ten thousand."""

    def __init__(self) -> None:
        self._embedding: Meaning | None = None
        self._rows: dict[str, NDArray[np.float32]] = {}

    def vectors(self, embedding: Meaning, texts: list[str]) -> NDArray[np.float32]:
        """(n, d) vectors of these texts."""
        known = self._rows if self._embedding is embedding else {}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known = known | dict(zip(new, embedding.vectors(new), strict=True))
        self._embedding, self._rows = embedding, {text: known[text] for text in texts}
        return np.stack([known[text] for text in texts]) if texts else np.zeros((0, 1), np.float32)


def _words(text: str) -> list[str]:
    """Words in lower case, without the brackets and commas around them."""
    return [word for part in text.casefold().split() if (word := part.strip("()[]{},.;:!?\"'"))]
