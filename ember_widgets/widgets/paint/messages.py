"""The requests that browsers send, in one table; js/src/paint/transport/messages.ts is the other end.

A request is a dataclass here. Its fields are the message's fields, each with the function that checks it, and
its ``handle`` says what the session does. So a new request is one class. Nothing from a browser is trusted: a
message becomes one of these, or an error that says what is wrong with it.

Requests are handled in the comm's thread (in several at once if the kernel has subshells): check, copy,
submit, never wait.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from ember_widgets.scene.scene import Scene
from ember_widgets.util import animation, checks
from ember_widgets.util.checks import plural, shown
from ember_widgets.widgets.paint import strength_buffers, to_python
from ember_widgets.widgets.paint.palette_edits import PaletteEdit
from ember_widgets.widgets.paint.queries import MIME, SWEEP, BorrowSource, FactorOf
from ember_widgets.widgets.paint.replies import PanelsReply, Sender
from ember_widgets.widgets.paint.requests import NewScene, Variation, check_scene
from ember_widgets.widgets.paint.session import Session

MAX_TEXT = 200
_MAX_CLIENT = 64
_MAX_SEQ = 2**53

REQUESTS: dict[str, type[Request]] = {}
"""Every request by its type."""

Check = Callable[[str, Any], Any]


# How a field is checked


def read(check: Check, default: Any = MISSING) -> Any:
    """A field that is read with ``check(name, value)``; a missing one is its default, or None."""
    return field(default=default, metadata={"check": check})


def count(name: str, value: object) -> int:
    """A whole number that JavaScript can hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SEQ:
        raise ValueError(f"{name}={shown(value)} is not a whole number 0..2**53")
    return value


def count_or_none(name: str, value: object) -> int | None:
    """A whole number that JavaScript can hold, or null."""
    return None if value is None else count(name, value)


def flag(name: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={shown(value)} is neither true nor false")
    return value


def short_text(name: str, value: object) -> str:
    """A short text."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"{name}={shown(value)} is not a text of up to {MAX_TEXT} characters")
    return checks.text(name, value)


def texts(name: str, value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name}={shown(value)} is not a list of texts")
    return tuple(checks.text(name, item) for item in value)


def numbers(name: str, value: object) -> tuple[int, ...]:
    """A list of whole numbers."""
    if not isinstance(value, list):
        raise ValueError(f"{name}={shown(value)} is not a list of whole numbers")
    return tuple(count(name, item) for item in value)


def sliders(name: str, value: object) -> tuple[float, ...]:
    """A list of numbers, 1 = as painted."""
    if not isinstance(value, list):
        raise ValueError(f"{name}={shown(value)} is not a list of numbers")
    for gain in value:
        finite = isinstance(gain, (int, float)) and not isinstance(gain, bool) and math.isfinite(gain)
        if not finite or abs(gain) > 1e6:
            raise ValueError(f"{name} holds {shown(gain)}; give finite numbers, 1 = as painted")
    return tuple(float(gain) for gain in value)


def file_form(name: str, value: object) -> str:
    """A file format."""
    if not isinstance(value, str) or value not in MIME:
        raise ValueError(f"{name}={shown(value)} is unknown; choose one of {', '.join(MIME)}")
    return value


def moving_form(name: str, value: object) -> str:
    """The format of a moving picture."""
    if not isinstance(value, str) or value not in animation.FORMS:
        raise ValueError(f"{name}={shown(value)} is unknown; choose one of {', '.join(animation.FORMS)}")
    return value


def given(name: str, value: object) -> Any:
    """Any value but None; ``handle`` checks the rest, which needs the scene."""
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def anything(name: str, value: object) -> object:
    """A value that is checked elsewhere."""
    return value


def digits(name: str, value: object) -> object:
    """Any value but None, as ``given``; text of digits is a number, since browsers hold none beyond 2**53."""
    value = given(name, value)
    readable = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19
    return int(str(value)) if readable else value


def client_name(name: str, value: object) -> str:
    """The name that a browser page gave itself."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CLIENT:
        raise ValueError(f"{name}={shown(value)} is not a text of 1 to {_MAX_CLIENT} characters")
    return value


# The requests


@dataclass(frozen=True, kw_only=True)
class Request(ABC):
    """A message from a browser: its sender, and the number that the answer repeats."""

    type: ClassVar[str]
    # A session that rests is woken first by requests that need its painter; then they wait for it.
    needs_painter: ClassVar[bool] = True
    client: str = read(client_name)
    seq: int = read(count)

    @classmethod
    def read(cls, content: Mapping[Any, Any]) -> Request:
        """Read a message of this type.

        Raises:
            ValueError: a field is missing or wrong.
        """
        values = {}
        for one in fields(cls):
            value = content.get(one.name, None if one.default is MISSING else one.default)
            values[one.name] = one.metadata["check"](one.name, value)
        return cls(**values)

    @property
    def sender(self) -> Sender:
        """To whom the answer goes."""
        return Sender(self.client, self.seq)

    @abstractmethod
    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        """Do what is asked.

        Args:
            session: the session to act on.
            buffers: the bytes that came with the message.

        Raises:
            Exception: it cannot be done; the text says why. Nothing has changed then.
        """


AnyRequest = TypeVar("AnyRequest", bound=type[Request])


def request(type_: str) -> Callable[[AnyRequest], AnyRequest]:
    """Register a class in ``REQUESTS``."""

    def enter(cls: AnyRequest) -> AnyRequest:
        REQUESTS[type_] = cls
        cls.type = type_
        return cls

    return enter


@request("hello")
@dataclass(frozen=True, kw_only=True)
class Hello(Request):
    """A browser page has loaded the widget, which it may not show yet, and asks for all there is."""

    needs_painter = False

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.greet(self.sender)


@request("ping")
@dataclass(frozen=True, kw_only=True)
class Ping(Request):
    """Is the kernel still there?"""

    needs_painter = False
    seq: int = read(count, 0)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.send_status()


@request("views")
@dataclass(frozen=True, kw_only=True)
class Views(Request):
    """A page shows the widget so many times: a view has opened or closed, or the kernel has asked."""

    needs_painter = False
    n: int = read(count)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.shown(self.n, self.sender)


@request("panels")
@dataclass(frozen=True, kw_only=True)
class Panels(Request):
    """A page shows the widget and needs the second part of the front end."""

    needs_painter = False

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.send(PanelsReply.of(self.sender))


@request("edit")
@dataclass(frozen=True, kw_only=True)
class Edit(Request):
    """The grid as edited, in two buffers; ``commit`` ends a stroke or the drag of a slider."""

    revision: int = read(count)
    gains: tuple[float, ...] = read(sliders)
    commit: bool = read(flag)
    call: object = read(anything, None)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        scene = session.painted_at(self.revision, self.sender)
        if scene is None:
            return
        if len(self.gains) != scene.n_factors:
            raise ValueError(
                f"edit: gains has {len(self.gains)} numbers, "
                f"but the scene has {plural(scene.n_factors, 'factor')}"
            )
        session.edit(
            *strength_buffers.read(buffers, scene),
            np.array(self.gains, np.float32),
            revision=self.revision,
            commit=self.commit,
            call=self.call,
            sender=self.sender,
        )


@request("analyze")
@dataclass(frozen=True, kw_only=True)
class Analyze(Request):
    """Draw a new scene."""

    prompt: str = read(given)
    style: str = read(given, "")
    seed: object = read(digits)
    n_steps: int = read(given)
    n_factors: int = read(given)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        scene = session.state.painted
        wanted = {name: getattr(self, name) for name in ("prompt", "style", "seed", "n_steps", "n_factors")}
        new = _checked(self.type, lambda: NewScene.checked(wanted, scene.guidance, scene.remainder.size))
        session.analyze(new, self.sender)


@request("undo")
@dataclass(frozen=True, kw_only=True)
class Undo(Request):
    """Go one step back."""

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.step(-1, self.sender)


@request("redo")
@dataclass(frozen=True, kw_only=True)
class Redo(Request):
    """Go one step forward again."""

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.step(1, self.sender)


@request("go")
@dataclass(frozen=True, kw_only=True)
class Go(Request):
    """Go to a step of the history."""

    step: int = read(count)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.go(self.step, self.sender)


@request("retry")
@dataclass(frozen=True, kw_only=True)
class Retry(Request):
    """Repeat what failed."""

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.retry(self.sender)


@request("palette")
@dataclass(frozen=True, kw_only=True)
class Palette(Request):
    """Change the palette; ``commit`` is false while a slider is dragged."""

    revision: int = read(count)
    commit: bool = read(flag)
    verb: object = read(anything)
    arguments: object = read(anything)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        edit = _checked(self.type, lambda: PaletteEdit.checked(self.verb, self.arguments))
        session.change_palette(edit, commit=self.commit, revision=self.revision, sender=self.sender)


@request("search")
@dataclass(frozen=True, kw_only=True)
class Search(Request):
    """Find features by label or number, of one site or ("") of any; and concepts by name."""

    text: str = read(short_text)
    site: str = read(short_text, "")
    concepts: bool = read(flag, False)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.search(self.text, self.site, self.sender, concepts=self.concepts)


@request("icons")
@dataclass(frozen=True, kw_only=True)
class Icons(Request):
    """Send the thumbnails of these keys."""

    keys: tuple[str, ...] = read(texts)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.thumbnails(self.keys)
        session.acknowledge(self.sender)


@request("original")
@dataclass(frozen=True, kw_only=True)
class Original(Request):
    """Send the unedited picture."""

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.original(self.sender)


@request("top")
@dataclass(frozen=True, kw_only=True)
class Top(Request):
    """Send the picture with only one factor's strongest feature in it."""

    factor: int = read(count)
    revision: int = read(count)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        scene = session.painted_at(self.revision, self.sender)
        if scene is not None:
            session.queries.top(_checked(self.type, lambda: FactorOf(scene, self.factor)), self.sender)


@request("export")
@dataclass(frozen=True, kw_only=True)
class Export(Request):
    """Send the scene as a file; a sweep is that of ``factor``, its index in the scene of ``revision``."""

    form: str = read(file_form)
    factor: int = read(count, 0)
    revision: int = read(count, 0)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        if self.form != SWEEP:
            session.queries.export(self.form, self.sender)
        elif (scene := session.painted_at(self.revision, self.sender)) is not None:
            session.queries.sweep(_checked(self.type, lambda: FactorOf(scene, self.factor)), self.sender)


@request("film")
@dataclass(frozen=True, kw_only=True)
class MakeFilm(Request):
    """Draw the way from a step of the history to the current one, as a moving picture."""

    step: int = read(count)
    form: str = read(moving_form)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.film(self.step, self.form, self.sender)


@request("stop_film")
@dataclass(frozen=True, kw_only=True)
class StopFilm(Request):
    """Draw no more of the film that this page asked for."""

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.stop_film(self.sender)
        session.acknowledge(self.sender)


@request("open")
@dataclass(frozen=True, kw_only=True)
class Open(Request):
    """Go on from the scene in a file, which is the buffer."""

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.assign(_scene_in(self.type, buffers), self.sender)


@request("vary")
@dataclass(frozen=True, kw_only=True)
class Vary(Request):
    """Go on from a variation of the scene."""

    verb: object = read(anything)
    value: object = read(digits)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        n_patches = session.state.painted.remainder.size
        session.vary(
            _checked(self.type, lambda: Variation.checked(self.verb, self.value, n_patches)), self.sender
        )


@request("robustness")
@dataclass(frozen=True, kw_only=True)
class Robustness(Request):
    """Try the edit on other seeds, or stop that."""

    on: bool = read(flag)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.robustness(self.sender if self.on else None, self.client)
        session.acknowledge(self.sender)  # what is drawn follows, seed by seed


@request("borrow_source")
@dataclass(frozen=True, kw_only=True)
class BorrowFrom(Request):
    """Show factors to borrow: of a prompt's picture, of the scene in the buffer, or ("" and "") no longer."""

    prompt: str = read(short_text)
    file: str = read(short_text)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        if self.file:
            scene = _scene_in(self.type, buffers)
            session.queries.set_source(BorrowSource(scene, self.file, to_python.opened(scene)), self.sender)
        elif self.prompt:
            session.queries.find_source(self.prompt, self.sender)
        else:
            session.queries.set_source(None, self.sender)


@request("keep")
@dataclass(frozen=True, kw_only=True)
class Keep(Request):
    """Give a step of the history a name, so that it is not forgotten; "" removes the name."""

    step: int = read(count)
    name: str = read(short_text)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.keep(self.name, self.step)
        session.acknowledge(self.sender)


@request("notes")
@dataclass(frozen=True, kw_only=True)
class Notes(Request):
    """Say what the model does not read of these texts."""

    prompt: str = read(checks.text)
    style: str = read(checks.text)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.queries.notes(self.prompt, self.style, self.sender)


@request("copy")
@dataclass(frozen=True, kw_only=True)
class Copy(Request):
    """Copy what patches (by their numbers) hold; without any, all that was done to the scene."""

    patches: tuple[int, ...] = read(numbers)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.copy(self.patches, self.sender)


@request("paste")
@dataclass(frozen=True, kw_only=True)
class Paste(Request):
    """Put on the scene what was copied last, in this widget or in another one of this process."""

    revision: int = read(count)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.paste(self.revision, self.sender)


@request("share")
@dataclass(frozen=True, kw_only=True)
class Share(Request):
    """Show the scene in the gallery of the painter's server."""

    title: str = read(short_text)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.share_for(self.title, self.sender)


@request("forget")
@dataclass(frozen=True, kw_only=True)
class Forget(Request):
    """Forget a step of the history; null = all but the current one and those that have a name."""

    step: int | None = read(count_or_none)

    def handle(self, session: Session, buffers: Sequence[Any]) -> None:
        session.forget(self.step, self.sender)


# Reading and handling a message


def receive(session: Session, content: object, buffers: Sequence[Any]) -> None:
    """Handle a message from a browser; a wrong one changes nothing, and all viewers receive the error."""
    try:
        request = parse(content)
    except BaseException as fault:
        _refuse(session, sender_of(content), fault)
        return
    if request.needs_painter and session.is_waking:
        copied = [bytes(buffer) for buffer in buffers]  # the comm may overwrite its own
        session.wake_for(lambda: _handle(session, request, copied))
    else:
        _handle(session, request, buffers)


def _handle(session: Session, request: Request, buffers: Sequence[Any]) -> None:
    try:
        if request.needs_painter:
            session.wake()
        request.handle(session, buffers)
    except BaseException as fault:  # the comm would swallow what escapes from here, and a browser waits
        _refuse(session, request.sender, fault)


def _refuse(session: Session, sender: Sender, fault: BaseException) -> None:
    # Without a painter, it could not be opened again; another try may.
    session.report(fault, sender, retry=session.rests)
    session.acknowledge(sender)


def parse(content: object) -> Request:
    """Read a message.

    Args:
        content: what ipywidgets passes; a dict if the browser is right.

    Raises:
        ValueError: it is not one of ``REQUESTS``; the text says why.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"message {shown(content)} is not an object; send {{type: ...}}")
    kind = content.get("type")
    cls = REQUESTS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"message type {shown(kind)} is unknown; send one of {', '.join(REQUESTS)}")
    return _checked(cls.type, lambda: cls.read(content))


def sender_of(content: object) -> Sender:
    """The sender of a message that may be wrong otherwise."""
    if not isinstance(content, Mapping):
        return Sender()
    try:
        return Sender(client_name("client", content.get("client")), count("seq", content.get("seq")))
    except ValueError:
        return Sender()


Value = TypeVar("Value")


def _checked(kind: str, check: Callable[[], Value]) -> Value:
    """What ``check`` returns; its errors name the type of the request."""
    try:
        return check()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kind}: {error}") from None


def _scene_in(kind: str, buffers: Sequence[Any]) -> Scene:
    if len(buffers) != 1:
        raise ValueError(f"{kind}: {plural(len(buffers), 'buffer')} came, but 1 is needed: the file")
    try:
        return check_scene(Scene.from_bytes(bytes(buffers[0])))
    except (TypeError, ValueError) as fault:
        raise ValueError(f"this file cannot be opened: {fault}") from fault
