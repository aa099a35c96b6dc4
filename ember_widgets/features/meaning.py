"""Texts ranked by meaning, with a small static text embedding that runs offline.

A static embedding is a table with one vector per word or part of a word; the vector of a text is their mean.
It needs no PyTorch and takes some ten microseconds per text. Source: model2vec, https://github.com/MinishLab/model2vec.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.util import files
from ember_widgets.util.hub import DOWNLOAD, Hub, Listing, NotInCache, repo_in

log = logging.getLogger("ember_widgets")

MODEL = "minishlab/potion-base-8M"
"""The text embedding used by itself if it is on this machine: 30 MB, English, MIT licence."""
FILES = ("config.json", "model.safetensors", "tokenizer.json")
INSTALL = "pip install 'ember-widgets[meaning]'"
THRESHOLD = 0.4
"""Cosine from which a text counts as near in meaning: of the values tried in tests/benchmarks/meaning.py the
one with the best balance, where 4 of 5 hits are wanted ones and 2 of 3 wanted ones are found."""
MOST = 50
"""Texts found by meaning at most."""


class Meaning:
    """A text embedding.

    Args:
        model: What encodes texts: `encode([text, ...]) -> (n, d)` vectors, as a `model2vec.StaticModel` does.

    Example:
        >>> meaning = Meaning.load("minishlab/potion-base-8M")                         # doctest: +SKIP
        >>> meaning.rank("kitten", ["a cat", "a car"])                                # doctest: +SKIP
        [(0, 0.71)]
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        # Encoding sets the tokenizer's length anew each time; two at once would mix that up.
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] = MODEL,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> Meaning:
        """Load a text embedding; if it is a hub id and not on this machine, it is downloaded.

        Args:
            source: Folder of a model2vec model, or its hub id.
            cache_dir: Where downloads are kept; None = the hub's usual cache.
            token: For private repositories.
            local_files_only: Never use the network.

        Raises:
            ImportError: model2vec is not installed.
            FileNotFoundError, PermissionError, ConnectionError: It is not there, or cannot be fetched.
            ValueError: It is no such model.
        """
        if not is_installed():
            raise ImportError(f"search by meaning needs the package model2vec; run {INSTALL}")
        folder = Path(source)
        if not folder.is_dir():
            named = repo_in(source)
            if named is None or named[1]:
                raise FileNotFoundError(
                    f"no text embedding at {os.fspath(source)!r}; "
                    f"give a folder, or a hub id such as {MODEL!r}"
                )
            hint = f"run `{DOWNLOAD} --meaning`" if named[0] == MODEL else "load it"
            hub = Hub(Path(cache_dir) if cache_dir else None, token, local_files_only, fetch_hint=hint)
            listing = hub.listing(named[0])
            folder = hub.fetch(listing, wanted(listing))
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise FileNotFoundError(
                f"{folder} is no text embedding of model2vec: it lacks {', '.join(missing)}"
            )
        return cls(_opened(folder))

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) vectors of length 1; of texts without a known word, zero."""
        if not texts:
            return np.zeros((0, 1), np.float32)
        with self._lock:
            # Its own use of several processes changes the environment of this one.
            rows = np.asarray(self._model.encode(list(texts), use_multiprocessing=False), np.float32)
        rows = np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-12)
        return unit

    def near(
        self, query: str, vectors: NDArray[np.float32], *, threshold: float = THRESHOLD, most: int = MOST
    ) -> list[tuple[int, float]]:
        """As `rank`, of texts whose vectors are known."""
        if not len(vectors) or not any(letter.isalpha() for letter in query):
            return []
        cosines = vectors @ self.vectors([query.casefold()])[0]
        found = np.flatnonzero(cosines >= threshold)
        order = found[np.argsort(-cosines[found], kind="stable")][:most]
        return [(int(i), float(cosines[i])) for i in order]

    def rank(
        self, query: str, texts: Sequence[str], *, threshold: float = THRESHOLD, most: int = MOST
    ) -> list[tuple[int, float]]:
        """The texts nearest in meaning to a query.

        Args:
            query: A word or a few.
            texts: Among which to search.
            threshold: Lowest cosine of a text that is found, -1..1.
            most: How many are found at most.

        Returns:
            (index of the text, cosine), nearest first.
        """
        return self.near(
            query, self.vectors([text.casefold() for text in texts]), threshold=threshold, most=most
        )


def is_installed() -> bool:
    """Whether the package that reads text embeddings is installed."""
    return importlib.util.find_spec("model2vec") is not None


def wanted(listing: Listing) -> list[str]:
    """The files of a repository that a text embedding needs.

    Raises:
        ValueError: It holds none.
    """
    if missing := [name for name in FILES if name not in listing.sizes]:
        raise ValueError(f"{listing.repo} is no text embedding of model2vec: it lacks {', '.join(missing)}")
    return list(FILES)


_usual: dict[Path, Meaning | None] = {}


def usual() -> Meaning | None:
    """The text embedding `MODEL`, if it and its package are on this machine; nothing is ever downloaded."""
    if not is_installed():
        return None
    try:
        listing = Hub(local_files_only=True).listing(MODEL)
        folder = listing.folder
        if folder is None or any(name not in listing.sizes for name in FILES):
            return None
    except (NotInCache, OSError):
        return None
    if folder not in _usual:
        try:
            _usual[folder] = Meaning(_opened(folder))
        except Exception as fault:  # a search must not fail because of what lies in a cache
            log.warning("search by meaning is off: %s", fault)
            _usual[folder] = None
    return _usual[folder]


def _opened(folder: Path) -> Any:
    from model2vec import StaticModel

    with files.damage_named(folder, "download it again, or give the folder of a model2vec model"):
        model = StaticModel.from_pretrained(folder)
        if np.asarray(model.encode(["a"])).ndim != 2:
            raise ValueError("it does not give one vector per text")
        return model
