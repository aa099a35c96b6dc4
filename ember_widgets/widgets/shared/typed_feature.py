"""A feature that is typed as its number: every search reads it by the same rule."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"#?\s*(\d{1,9})")


def typed_feature(text: str) -> int | None:
    """The number that is typed, as 12 or #12; None if the text is something else. It may be of no feature."""
    number = _NUMBER.fullmatch(text.strip())
    return None if number is None else int(number[1])
