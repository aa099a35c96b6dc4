"""Tokens: who may use the server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ember_widgets.util import files

MAX_BYTES = 2**20
MAX_TOKENS = 10_000


class Tokens:
    """The tokens of people who may use a server.

    Args:
        people: {token: name}; empty = no token is needed, and only this computer may connect.

    Raises:
        ValueError: A token is empty, or has spaces or letters that no header can hold.

    Example:
        >>> tokens = Tokens({"s3cret": "Ada"})
        >>> tokens.person("s3cret"), tokens.person("guess"), tokens.required
        ('Ada', None, True)
    """

    def __init__(self, people: Mapping[str, str] | None = None) -> None:
        self._people = [(_checked(token).encode(), name) for token, name in (people or {}).items()]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokens:
        """Read a file of tokens, one per line: "token" or "name token"; lines that begin with # are skipped.

        Raises:
            OSError: The file cannot be read.
            ValueError: A line is neither, there are two of the same token, or there is no token at all.
        """
        path = Path(path)
        people: dict[str, str] = {}
        try:
            lines = files.read(path, MAX_BYTES).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text in UTF-8; give one token per line") from None
        for number, line in enumerate(lines, 1):
            name, _, token = line.strip().rpartition(" ")
            if not token or line.lstrip().startswith("#"):
                continue
            # The line is not shown: it holds a secret.
            if token in people:
                raise ValueError(f"{path}, line {number}: this token is there already; give each person one")
            try:
                people[_checked(token)] = name.strip()
            except ValueError as fault:
                raise ValueError(f"{path}, line {number}: {fault}") from None
        if not people:
            raise ValueError(f"{path} has no token; write one per line, as 'token' or 'name token'")
        if len(people) > MAX_TOKENS:
            raise ValueError(f"{path} has {len(people):,} tokens; {MAX_TOKENS:,} are the most")
        return cls(people)

    @property
    def required(self) -> bool:
        """Whether a token is needed. Without tokens, only this computer may connect."""
        return bool(self._people)

    def person(self, token: str | None) -> str | None:
        """The name that goes with a token; None if there is no such token.

        How long this takes does not depend on how much of a token was guessed. Without tokens it is "".
        """
        if not self._people:
            return ""
        given = (token or "").encode("utf-8", "surrogatepass")
        found = None
        for known, name in self._people:
            if secrets.compare_digest(known, given):
                found = name  # the loop goes on: its time says nothing of the place
        return found


def _checked(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            "a token is empty, or has letters that do not fit into a header; use letters, digits, - and _"
        )
    return token
