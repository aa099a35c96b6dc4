"""What a model does not read of a prompt: words it does not know, and what comes after its last token."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ember_widgets.model.backbone import Cut  # loads torch

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

MOST_SHOWN = 10
"""So many unknown words are listed."""


@dataclass(frozen=True)
class PromptNotes:
    """What a model does not read of a text. ``str`` says it in words; it is false if all of the text is read.

    Args:
        unknown: The words that the model does not know, each once, in their order.
        n_tokens: How many tokens the model reads, if the text has more; else None.
        last_words: Then the last words that count; "" if none does.

    Example:
        >>> print(PromptNotes(unknown=("zebra",)))
        not known here: zebra
        >>> print(PromptNotes(n_tokens=75, last_words="in the snow"))
        only the first 75 tokens count: everything after “in the snow” is ignored
    """

    unknown: tuple[str, ...] = ()
    n_tokens: int | None = None
    last_words: str = ""

    @classmethod
    def of(cls, text: str, known: Collection[str], cut: Cut | None, before: str = "") -> PromptNotes:
        """Read a text.

        Args:
            text: The text.
            known: The words that the model knows; empty = any.
            cut: Where the model stops reading; None = at the end.
            before: What it reads before the text.
        """
        words = dict.fromkeys(WORD.findall(text.lower())) if known else {}
        unknown = tuple(word for word in words if word not in known)
        if cut is None:
            return cls(unknown)
        read = text[: max(cut.end - len(before), 0)].split()
        return cls(unknown, cut.n_tokens, " ".join(read[-3:]))

    def __bool__(self) -> bool:
        return bool(self.unknown) or self.n_tokens is not None

    def __str__(self) -> str:
        shown = [word if len(word) <= 30 else f"{word[:29]}…" for word in self.unknown[:MOST_SHOWN]]
        more = ["…"] if len(self.unknown) > MOST_SHOWN else []
        parts = [f"not known here: {', '.join(shown + more)}"] if shown else []
        if self.n_tokens is not None:
            what = f"everything after “{self.last_words}”" if self.last_words else "this text"
            parts.append(f"only the first {self.n_tokens} tokens count: {what} is ignored")
        return "; ".join(parts)
