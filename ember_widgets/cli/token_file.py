"""The file with the tokens of those who may use a server."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ember_widgets.util import files

MOST_TOKENS = 10_000


def people_of(path: Path) -> dict[str, str]:
    """{token: name} in a file.

    Raises:
        OSError: It is not there, or cannot be read.
        ValueError: It is something else.
    """
    from ember_widgets.serve.server.tokens import Tokens

    return Tokens.load(path).people


def fill(path: Path, n: int) -> list[tuple[str, str]]:
    """Add tokens to a file until it has `n`, with names such as "person-1". Those in it stay valid.

    A file that has as many is not written.

    Returns:
        (name, token) of all of them, in the order of the file.

    Raises:
        OSError: It cannot be read or written.
        ValueError: It is not a file of tokens.
    """
    people = people_of(path) if path.exists() else {}
    if len(people) >= n:
        return _named(people)
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    number = 0
    while len(people) < n:
        number += 1
        name = f"person-{number}"
        if name not in people.values():
            people[token := secrets.token_urlsafe(16)] = name
            lines.append(f"{name} {token}")
    with files.replacing(path) as new, open(new, "x", encoding="utf-8", opener=_private) as stream:
        stream.write("\n".join(lines) + "\n")
    return _named(people)


def _named(people: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, token) for token, name in people.items()]


def _private(path: str, flags: int) -> int:
    """Whoever can read the file can use the server."""
    return os.open(path, flags, 0o600)
