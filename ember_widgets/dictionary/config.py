"""What a file says about an SAE besides its tensors, read so that an error names the file and the entry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 22
"""Larger files are not read: configurations have a few KB."""


@dataclass(frozen=True)
class Config:
    """One object of a configuration.

    Attributes:
        place: Where it is from, as messages name it.
        entries: What it holds, as JSON gave it.
    """

    place: str = "no configuration"
    entries: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_file(cls, file: Path) -> Config:
        """Read a file.

        Raises:
            ValueError: It is damaged, too large, or not an object.
        """
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"{file} has {file.stat().st_size:,} bytes; configurations of SAEs are small")
        return cls.of_text(str(file), file.read_bytes())

    @classmethod
    def of_text(cls, place: str, text: str | bytes) -> Config:
        """Read a text.

        Raises:
            ValueError: It is not JSON, or not an object.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{place} is not JSON, or cut off; download it again") from None
        if not isinstance(content, dict):
            raise ValueError(f"{place} holds {shown(content)}, not an object; download it again")
        return cls(place, content)

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def text(self, key: str, default: str = "", longest: int = 200) -> str:
        """A string; the default where it is missing or null."""
        value = self.entries.get(key)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > longest:
            self._fail(key, f"a text of at most {longest} characters")
        return str(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false; the default where it is missing or null."""
        value = self.entries.get(key)
        if value is None:
            return default
        return value if isinstance(value, bool) else self._fail(key, "true or false")

    def whole(self, key: str) -> int | None:
        """A whole number of at least 1; None where it is missing or null."""
        value = self.entries.get(key)
        if value is None:
            return None
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value % 1 == 0
        return int(value) if whole and value >= 1 else self._fail(key, "a whole number of at least 1")

    def wholes(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers of at least 0; empty where it is missing or null."""
        value = self.entries.get(key)
        values = [] if value is None else value
        if not isinstance(values, list) or not all(type(one) is int and one >= 0 for one in values):
            self._fail(key, "a list of whole numbers")
        return tuple(values)

    def part(self, key: str) -> Config:
        """An object inside this one; an empty one where it is missing or null."""
        value = self.entries.get(key)
        if value is None:
            return Config(self.place)
        return Config(self.place, value) if isinstance(value, dict) else self._fail(key, "an object")

    def parts(self, key: str) -> list[Config]:
        """A list of objects inside this one; empty where it is missing or null."""
        value = self.entries.get(key)
        values = [] if value is None else value
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            self._fail(key, "a list of objects")
        return [Config(self.place, one) for one in values]

    def _fail(self, key: str, wanted: str) -> Any:
        raise ValueError(
            f"{self.place}: {key} is {shown(self.entries[key])}, but it must be {wanted}; "
            "download the file again, or correct it"
        )


def shown(value: Any) -> str:
    """A value as messages show it, shortened."""
    if isinstance(value, (list, dict)) and value:
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
