"""The gallery: pictures that people share, in a folder that all replicas of a server use.

Each picture is a PNG with its scene inside, and a small JSON file with who shared it and its title. Their
names are made here; no name that a client gives ever becomes a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ember_widgets.util import files
from ember_widgets.util.checks import shown

LONGEST_TITLE = 80
MOST_PICTURES = 500
MOST_BYTES = 2**29
MAX_PICTURE_BYTES = 2**25
TEACHER = "teacher"
"""Whoever has this name may remove every picture."""
NO_NAME = (
    "your token has no name, so it removes no pictures; whoever runs the server can write a name before it "
    "in the token file"
)
_ID = re.compile(r"\d{13}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Entry:
    """A shared picture.

    Args:
        id: Its name, made by the gallery; later ones sort after earlier ones.
        person: Who shared it; "" = not known.
        title: Its title; may be empty.
        time: When, in seconds since 1970.
    """

    id: str
    person: str
    title: str
    time: float


class Gallery:
    """The pictures in a folder. Any thread may use it, and any number of processes.

    Args:
        folder: Where they are kept; it is made.
        most_pictures, most_bytes: The oldest are removed when there are more.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        most_pictures: int = MOST_PICTURES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder = Path(folder)
        files.make_folder(self._folder)
        self._most_pictures, self._most_bytes = most_pictures, most_bytes
        self._lock = threading.Lock()
        self._read: dict[str, Entry] = {}

    def add(self, png: bytes, person: str, title: str) -> str:
        """Show a picture. The same picture of the same person is shown once.

        Args:
            png: The picture, with its scene inside.
            person: Who shares it.
            title: Up to 80 characters; may be empty.

        Returns:
            Its id.

        Raises:
            ValueError: The title is too long, or has characters that cannot be shown.
            OSError: It cannot be written.
        """
        title = checked_title(title)
        digest = hashlib.sha256(png).hexdigest()[:12]
        shown_before = self.entries()
        for entry in shown_before:
            if entry.id.endswith(digest) and (entry.person, entry.title) == (person, title):
                return entry.id
        now = time.time()
        newest = int(shown_before[0].id[:13]) if shown_before else 0
        # Two may come in one millisecond, and clocks are set back.
        stamp = max(int(1000 * now), newest + 1)
        entry = Entry(f"{stamp:013d}-{digest}", person, title, now)
        files.write(self._folder / f"{entry.id}.png", png)
        # Last: a picture is shown as soon as this file is there.
        files.write(self._folder / f"{entry.id}.json", json.dumps(asdict(entry)).encode())
        self._make_room()
        return entry.id

    def entries(self) -> list[Entry]:
        """All pictures, the newest first."""
        names = {name.removesuffix(".json") for name in os.listdir(self._folder) if name.endswith(".json")}
        with self._lock:
            known = {name: self._read.get(name) or self._entry(name) for name in names if _ID.fullmatch(name)}
            self._read = {name: entry for name, entry in known.items() if entry is not None}
            return sorted(self._read.values(), key=lambda entry: entry.id, reverse=True)

    def picture(self, id: str) -> bytes | None:
        """A picture's file; None if there is none."""
        if not _ID.fullmatch(id):
            return None
        with contextlib.suppress(OSError, ValueError):
            return files.read(self._folder / f"{id}.png", MAX_PICTURE_BYTES)
        return None

    def remove(self, id: str, person: str, *, has_tokens: bool) -> bool:
        """Remove a picture; False if there is none.

        Args:
            id: The picture's.
            person, has_tokens: See `may_remove`.

        Raises:
            PermissionError: It is another person's, or the person has no name.
        """
        found = next((entry for entry in self.entries() if entry.id == id), None)
        if found is None:
            return False
        if not may_remove(found, person, has_tokens=has_tokens):
            if not person:
                raise PermissionError(NO_NAME)
            raise PermissionError(
                f"this is a picture of {found.person or 'somebody else'}; they can remove it"
            )
        self._remove(id)
        return True

    def _entry(self, name: str) -> Entry | None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            found = files.parsed(files.read(self._folder / f"{name}.json", 2**14).decode(), 100)
            return Entry(name, str(found["person"]), str(found["title"]), float(found["time"]))
        return None

    def _make_room(self) -> None:
        n_bytes = 0
        for n, entry in enumerate(self.entries()):
            with contextlib.suppress(OSError):
                n_bytes += (self._folder / f"{entry.id}.png").stat().st_size
            if n and (n >= self._most_pictures or n_bytes > self._most_bytes):
                self._remove(entry.id)

    def _remove(self, id: str) -> None:
        for suffix in (".json", ".png"):
            with contextlib.suppress(OSError):
                (self._folder / f"{id}{suffix}").unlink()


def may_remove(entry: Entry, person: str, *, has_tokens: bool) -> bool:
    """Whether somebody may remove a picture: one of their own; the teacher any.

    Args:
        entry: The picture.
        person: The name that goes with their token; "" = it has none, and is nobody's.
        has_tokens: Whether the server has tokens. Without them only its own computer connects, which removes
            any.
    """
    return not has_tokens or person == TEACHER or (person != "" and person == entry.person)


def checked_title(title: str) -> str:
    """A title as it is shown.

    Raises:
        ValueError: It is too long, or has characters that cannot be shown.
    """
    title = " ".join(title.split())
    if len(title) > LONGEST_TITLE:
        raise ValueError(f"title has {len(title):,} characters; give at most {LONGEST_TITLE}")
    if not title.isprintable():
        raise ValueError(f"title={shown(title)} has characters that cannot be shown; leave them out")
    return title
