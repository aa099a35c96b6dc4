"""Whether a text has the words of a query; if a search finds it all the same, it was by their meaning."""

from __future__ import annotations


def has_words(text: str, query: str) -> bool:
    """Whether a text contains every word of a query, or the word as a part of a longer one."""
    text = text.casefold()
    return all(word.strip("()[]{},.;:!?\"'") in text for word in query.casefold().split())
