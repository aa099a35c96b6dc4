"""The messages between browser and kernel, checked; js/src/wire.ts is the other end.

Nothing that comes from a browser is trusted: every message becomes one of the classes below, or a ValueError
that says what was wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ember_widgets._checks import FloatArray, plural, shown
from ember_widgets.scene import GRID
from ember_widgets.widgets._asked import NewScene
from ember_widgets.widgets._change import Change

MAX_SEARCH = 200
MIME = {"png": "image/png", "json": "application/json", "py": "text/x-python"}
_MAX_CLIENT = 64
_MAX_SEQ = 2**53


@dataclass(frozen=True)
class _Said:
    """Who said it, and the number to acknowledge it by."""

    client: str
    seq: int


@dataclass(frozen=True)
class Hello(_Said):
    """A browser page has opened the widget and asks for all there is."""


@dataclass(frozen=True)
class Ping:
    """Is the kernel still there?"""

    client: str


@dataclass(frozen=True)
class Edit(_Said):
    """The grid as the hand has it now; ``commit`` ends a stroke or a slider's drag."""

    revision: int
    gains: tuple[float, ...]
    commit: bool
    deed: object = None
    """What Python would call it; not trusted, see ``_python``."""


@dataclass(frozen=True)
class Analyze(_Said):
    """Draw a new scene."""

    scene: NewScene


@dataclass(frozen=True)
class Step(_Said):
    """Undo (-1) or redo (+1)."""

    by: int


@dataclass(frozen=True)
class Retry(_Said):
    """Draw the picture of the scene again, after a fault."""


@dataclass(frozen=True)
class Palette(_Said):
    """Change the palette; ``commit`` false while a slider is on its way."""

    revision: int
    change: Change
    commit: bool


@dataclass(frozen=True)
class Search(_Said):
    """Find features by label or number."""

    text: str


@dataclass(frozen=True)
class Thumbnails(_Said):
    """Send the thumbnails that have these keys."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Original(_Said):
    """Send the picture that nobody edited."""


@dataclass(frozen=True)
class Export(_Said):
    """Send the scene as a file; ``form`` is one of ``MIME``."""

    form: str


@dataclass(frozen=True)
class Open(_Said):
    """Go on from the scene in a file, which is the message's buffer."""


@dataclass(frozen=True)
class Go(_Said):
    """Go to a step of the history."""

    step: int


Question = Search | Thumbnails | Original | Export
Message = Hello | Ping | Edit | Analyze | Step | Go | Retry | Palette | Open | Question

_TYPES = (
    *("hello", "ping", "edit", "analyze", "undo", "redo", "go", "retry", "palette", "search", "icons"),
    *("original", "export", "open"),
)


def parse(content: object) -> Message:
    """Read a message's content.

    Args:
        content: what ipywidgets hands over; a dict if the browser did right.

    Raises:
        ValueError: it is not one of the messages above; the text says why.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"message {shown(content)} is not an object; send {{type: ...}}")
    kind = content.get("type")
    if kind not in _TYPES:
        raise ValueError(f"message type {shown(kind)} is unknown; send one of {', '.join(_TYPES)}")
    try:
        return _message(str(kind), content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kind}: {error}") from None


def _message(kind: str, content: Mapping[Any, Any]) -> Message:
    client = _client(content)
    if kind == "ping":
        return Ping(client)
    seq = _count("seq", content.get("seq"))
    if kind == "hello":
        return Hello(client, seq)
    if kind == "retry":
        return Retry(client, seq)
    if kind in ("undo", "redo"):
        return Step(client, seq, -1 if kind == "undo" else 1)
    if kind == "analyze":
        return Analyze(client, seq, _new_scene(content))
    if kind == "search":
        text = content.get("text")
        if not isinstance(text, str) or len(text) > MAX_SEARCH:
            raise ValueError(f"text={shown(text)} is not a text of up to {MAX_SEARCH} characters")
        return Search(client, seq, text)
    if kind == "icons":
        keys = content.get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError(f"keys={shown(keys)} is not a list of texts")
        return Thumbnails(client, seq, tuple(keys))
    if kind == "original":
        return Original(client, seq)
    if kind == "export":
        form = content.get("form")
        if not isinstance(form, str) or form not in MIME:
            raise ValueError(f"form={shown(form)} is unknown; choose one of {', '.join(MIME)}")
        return Export(client, seq, form)
    if kind == "open":
        return Open(client, seq)
    if kind == "go":
        return Go(client, seq, _count("step", content.get("step")))
    revision = _count("revision", content.get("revision"))
    commit = content.get("commit")
    if not isinstance(commit, bool):
        raise ValueError(f"commit={shown(commit)} is neither true nor false")
    if kind == "palette":
        change = Change.checked(content.get("verb"), content.get("arguments"))
        return Palette(client, seq, revision, change, commit)
    return Edit(client, seq, revision, _gains(content.get("gains")), commit, content.get("deed"))


def layers(edit: Edit, buffers: Sequence[Any], n_factors: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Read and copy the buffers of an edit.

    Args:
        edit: the message they came with.
        buffers: two byte buffers: strengths and remainder, float32 little endian, C order.
        n_factors: how many factors the scene has.

    Returns:
        strengths (16, 16, n_factors), remainder (16, 16), gains (n_factors,), all float32.

    Raises:
        ValueError: a buffer is missing or of a wrong size, a value is not finite, the remainder leaves 0..1.
    """
    if len(edit.gains) != n_factors:
        raise ValueError(
            f"edit: gains has {len(edit.gains)} numbers, but the scene has {plural(n_factors, 'factor')}"
        )
    if len(buffers) != 2:
        raise ValueError(
            f"edit: {plural(len(buffers), 'buffer')} came, but 2 are needed: strengths and remainder"
        )
    strengths = _floats("strengths", buffers[0], (GRID, GRID, n_factors))
    remainder = _floats("remainder", buffers[1], (GRID, GRID))
    if remainder.size and (remainder.min() < 0 or remainder.max() > 1):
        raise ValueError("edit: remainder leaves 0..1")
    return strengths, remainder, np.array(edit.gains, dtype=np.float32)


def address(content: object) -> tuple[str, int]:
    """Client and seq of a message that may be wrong otherwise, to tell its sender; ("", 0) if none."""
    if not isinstance(content, Mapping):
        return "", 0
    try:
        return _client(content), _count("seq", content.get("seq"))
    except ValueError:
        return "", 0


def _client(content: Mapping[Any, Any]) -> str:
    client = content.get("client")
    if not isinstance(client, str) or not 0 < len(client) <= _MAX_CLIENT:
        raise ValueError(f"client={shown(client)} is not a text of 1 to {_MAX_CLIENT} characters")
    return client


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SEQ:
        raise ValueError(f"{name}={shown(value)} is not a whole number 0..2**53")
    return value


def _new_scene(content: Mapping[Any, Any]) -> NewScene:
    wanted = {name: content.get(name) for name in ("prompt", "seed", "n_steps", "n_factors")}
    for name, value in wanted.items():
        if value is None:
            raise ValueError(f"{name} is missing")
    seed = wanted["seed"]
    # Text of digits is read too: a seed goes up to 2**63 - 1, and a browser's numbers do not.
    if isinstance(seed, str) and seed.isascii() and seed.isdigit() and len(seed) <= 19:
        wanted["seed"] = int(seed)
    return NewScene.checked(wanted)


def _gains(value: object) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError(f"gains={shown(value)} is not a list of numbers")
    for gain in value:
        finite = isinstance(gain, (int, float)) and not isinstance(gain, bool) and math.isfinite(gain)
        if not finite or abs(gain) > 1e6:
            raise ValueError(f"gains holds {shown(gain)}; give finite numbers, 1 = as painted")
    return tuple(float(gain) for gain in value)


def _floats(name: str, buffer: Any, shape: tuple[int, ...]) -> FloatArray:
    data = bytes(buffer)
    needed = 4 * math.prod(shape)
    if len(data) != needed:
        form = "×".join(str(length) for length in shape)
        raise ValueError(f"edit: {name} buffer has {len(data)} bytes, but {form} float32 need {needed}")
    # Copied into the machine's own byte order; the buffer is the comm's, and read-only.
    array = np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        spot = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"edit: {name} holds {array[spot]} at {spot}; only finite numbers can be painted")
    return array
