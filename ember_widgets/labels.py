"""Labels: a short text per feature, and finding features by text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path


class Labels(Mapping[int, str]):
    """Read-only {feature: text}, best fits first; features without a label are not in it."""

    def __init__(self, texts: Mapping[int, str] | None = None) -> None:
        self._texts = dict(texts or {})

    @classmethod
    def load(cls, path: str | Path) -> Labels:
        """Read a JSON file `{"labels": {"12": "tree", ...}}`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is not a label file.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            texts = {int(feature): text for feature, text in content["labels"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f'{path} is not a label file; give JSON of the form {{"labels": {{"12": "tree"}}}}'
            ) from None
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError(f"{path} has labels that are not text; give a string for each feature")
        return cls(texts)

    def __getitem__(self, feature: int) -> str:
        return self._texts[feature]

    def __iter__(self) -> Iterable[int]:  # type: ignore[override]
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def search(self, query: str) -> list[int]:
        """Features whose label holds every word of `query`, in any order and case.

        Args:
            query: One or more words; an empty query finds nothing.

        Returns:
            Feature indices: exact labels first, and among equals the order of the labels themselves.
        """
        words = query.lower().split()
        found = [f for f, text in self._texts.items() if words and all(w in text.lower() for w in words)]
        return sorted(found, key=lambda f: self._texts[f].lower() != query.lower().strip())
