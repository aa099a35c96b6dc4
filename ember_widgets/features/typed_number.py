"""A feature that somebody typed as a number."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"#?\s*(\d{1,9})")


def number_in(text: str) -> int | None:
    """The number of a feature, if a text is nothing else: "12", "#12" or " # 12 ".

    Returns:
        The number, which may be larger than any feature's; None if the text is something else.

    Example:
        >>> number_in(" #12 "), number_in("12 cats")
        (12, None)
    """
    match = _NUMBER.fullmatch(text.strip())
    return None if match is None else int(match[1])
