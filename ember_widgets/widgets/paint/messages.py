"""The messages between browser and kernel, checked; js/src/paint/transport/messages.ts is the other end.

Nothing that comes from a browser is trusted: every message becomes one of the classes below, or a ValueError
that says what was wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ember_widgets.util.checks import shown
from ember_widgets.widgets.paint.palette_edits import Change
from ember_widgets.widgets.paint.requests import NewScene, Variation, digits

MAX_SEARCH = 200
MIME = {
    "png": "image/png",
    "json": "application/json",
    "py": "text/x-python",
    "sweep": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
}
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
    """Find features by label or number, of one site or ("") of any."""

    text: str
    site: str = ""


@dataclass(frozen=True)
class Thumbnails(_Said):
    """Send the thumbnails that have these keys."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Original(_Said):
    """Send the picture that nobody edited."""


@dataclass(frozen=True)
class Top(_Said):
    """Send the picture with only one factor's strongest feature in it."""

    factor: int


@dataclass(frozen=True)
class Export(_Said):
    """Send the scene as a file; ``form`` is one of ``MIME``, ``factor`` what a sweep goes over."""

    form: str
    factor: int = 0


@dataclass(frozen=True)
class Vary(_Said):
    """Go on from a variation of the scene."""

    variation: Variation


@dataclass(frozen=True)
class Lend(_Said):
    """Show factors to borrow: those of a prompt's picture, or of the scene in the message's buffer.

    Neither takes back what was shown.
    """

    prompt: str
    file: str


@dataclass(frozen=True)
class Open(_Said):
    """Go on from the scene in a file, which is the message's buffer."""


@dataclass(frozen=True)
class Go(_Said):
    """Go to a step of the history."""

    step: int


@dataclass(frozen=True)
class Keep(_Said):
    """Give a step of the history a name, so that it is not forgotten; "" takes it back."""

    step: int
    name: str


Question = Search | Thumbnails | Original | Top | Export | Lend
Message = Hello | Ping | Edit | Analyze | Vary | Step | Go | Keep | Retry | Palette | Open | Question

_TYPES = (
    *("hello", "ping", "edit", "analyze", "undo", "redo", "go", "retry", "palette", "search", "icons"),
    *("original", "top", "export", "open", "vary", "lend", "keep"),
)


def parse(content: object, guidance: float = 0.0) -> Message:
    """Read a message's content.

    Args:
        content: what ipywidgets hands over; a dict if the browser did right.
        guidance: the scene's, which says how many steps a new one may have.

    Raises:
        ValueError: it is not one of the messages above; the text says why.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"message {shown(content)} is not an object; send {{type: ...}}")
    kind = content.get("type")
    if kind not in _TYPES:
        raise ValueError(f"message type {shown(kind)} is unknown; send one of {', '.join(_TYPES)}")
    try:
        return _message(str(kind), content, guidance)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kind}: {error}") from None


def _message(kind: str, content: Mapping[Any, Any], guidance: float) -> Message:
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
        return Analyze(client, seq, _new_scene(content, guidance))
    if kind == "vary":
        return Vary(client, seq, Variation.checked(content.get("verb"), content.get("value")))
    if kind == "search":
        site = _short("site", content.get("site", ""))
        return Search(client, seq, _short("text", content.get("text")), site)
    if kind == "lend":
        return Lend(client, seq, _short("prompt", content.get("prompt")), _short("file", content.get("file")))
    if kind == "icons":
        keys = content.get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError(f"keys={shown(keys)} is not a list of texts")
        return Thumbnails(client, seq, tuple(keys))
    if kind == "original":
        return Original(client, seq)
    if kind == "top":
        return Top(client, seq, _count("factor", content.get("factor")))
    if kind == "export":
        form = content.get("form")
        if not isinstance(form, str) or form not in MIME:
            raise ValueError(f"form={shown(form)} is unknown; choose one of {', '.join(MIME)}")
        return Export(client, seq, form, _count("factor", content.get("factor", 0)))
    if kind == "open":
        return Open(client, seq)
    if kind == "go":
        return Go(client, seq, _count("step", content.get("step")))
    if kind == "keep":
        return Keep(client, seq, _count("step", content.get("step")), _short("name", content.get("name")))
    revision = _count("revision", content.get("revision"))
    commit = content.get("commit")
    if not isinstance(commit, bool):
        raise ValueError(f"commit={shown(commit)} is neither true nor false")
    if kind == "palette":
        change = Change.checked(content.get("verb"), content.get("arguments"))
        return Palette(client, seq, revision, change, commit)
    return Edit(client, seq, revision, _gains(content.get("gains")), commit, content.get("deed"))


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


def _new_scene(content: Mapping[Any, Any], guidance: float) -> NewScene:
    wanted = {name: content.get(name) for name in ("prompt", "seed", "n_steps", "n_factors")}
    wanted["style"] = content.get("style", "")
    for name, value in wanted.items():
        if value is None:
            raise ValueError(f"{name} is missing")
    wanted["seed"] = digits(wanted["seed"])
    return NewScene.checked(wanted, guidance)


def _short(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_SEARCH:
        raise ValueError(f"{name}={shown(value)} is not a text of up to {MAX_SEARCH} characters")
    return value


def _gains(value: object) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError(f"gains={shown(value)} is not a list of numbers")
    for gain in value:
        finite = isinstance(gain, (int, float)) and not isinstance(gain, bool) and math.isfinite(gain)
        if not finite or abs(gain) > 1e6:
            raise ValueError(f"gains holds {shown(gain)}; give finite numbers, 1 = as painted")
    return tuple(float(gain) for gain in value)
