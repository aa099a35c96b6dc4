"""What the kernel sends to browsers; js/src/paint/transport/messages.ts reads it.

Every reply is a dataclass whose fields are the message's fields; ``REPLIES`` lists all of them.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from ember_widgets.painter.protocol import Connection, capabilities, labels_of, version_of
from ember_widgets.scene import site_names
from ember_widgets.scene.difference import unedited
from ember_widgets.scene.first_thing import first_thing
from ember_widgets.util import checks
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.requests import facts, sentence
from ember_widgets.widgets.paint.run_key import run_key
from ember_widgets.widgets.paint.thumbnails import key_of_step, keys_of_factors, keys_of_seeds
from ember_widgets.widgets.shared.feature_rows import made_of
from ember_widgets.widgets.shared.pictures import Kind, Picture

# Read once, as paint.js is: what pages get later has to fit what they got first.
_PANELS = (Path(__file__).parents[1] / "static" / "panels.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Sender:
    """The browser that sent a request, and the number of the request; the reply repeats both."""

    client: str = ""
    seq: int = 0


NO_SENDER = Sender()
"""The sender of what no browser asked for."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A message to browsers.

    Args:
        buffers: bytes that travel beside the message.
    """

    type: ClassVar[str]
    buffers: tuple[bytes, ...] = ()

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """The names of the message's fields, besides ``type``."""
        return tuple(field.name for field in fields(cls) if field.name != "buffers")

    def content(self) -> dict[str, Any]:
        """The message, ready for JSON."""
        return {"type": self.type, **{name: getattr(self, name) for name in self.field_names()}}


@dataclass(frozen=True, kw_only=True)
class StateReply(Reply):
    """The scene, its sliders and its history; ``of`` makes it.

    The buffers are float32, little endian: strengths, remainder, and the strengths of the unedited picture.
    """

    type: ClassVar[str] = "state"
    why: Literal["hello", "edit", "refused", "scene", "kept"]
    client: str
    revision: int
    run: str
    rows: int
    cols: int
    prompt: str
    style: str
    seed: str
    n_steps: int
    n_factors: int
    n_found: int
    most_steps: int
    ids: Sequence[int]
    names: Sequence[str]
    colors: Sequence[str]
    gains: Sequence[float]
    seen: Sequence[float]
    analysed: Sequence[bool]
    icons: Sequence[str]
    features: Sequence[Sequence[dict[str, Any]]]
    first_thing: int
    sites: Sequence[int]
    site_names: Sequence[str]
    factor_steps: Sequence[Sequence[Any] | None]
    can_undo: bool
    can_redo: bool
    edited: bool
    replaced: bool
    steps: Sequence[Sequence[Any]]
    step: int
    film_from: Sequence[int]
    seeds: Sequence[Sequence[str]]
    capabilities: Sequence[str]

    @classmethod
    def of(
        cls,
        why: Literal["hello", "edit", "refused", "scene", "kept"],
        client: str,
        revision: int,
        state: State,
        history: History,
        painter: object,
    ) -> StateReply:
        """The state of a session.

        Args:
            why: the reason to send it.
            client: the browser that asked, or whose edit it is.
            revision: the number that edits of this scene must repeat.
            state: the scene and its sliders.
            history: its history.
            painter: its labels and capabilities are in the message.
        """
        painted, names = state.painted, history.names
        known = facts(painted)
        labels, version = labels_of(painter), version_of(painter)
        origins = painted.origins or ()
        seen = np.abs(painted.base_strengths).max(axis=(0, 1))
        sites = list(painted.sites or ())
        rows, cols = painted.remainder.shape
        maps = (painted.strengths, painted.remainder, unedited(painted))
        return cls(
            why=why,
            client=client,
            revision=revision,
            run=run_key(painted, version),
            rows=rows,
            cols=cols,
            **known | {"seed": str(painted.seed), "n_factors": state.asked or known["n_factors"]},
            n_found=known["n_factors"],
            most_steps=checks.most_steps(painted.guidance),
            ids=list(painted.factor_ids or ()),
            names=list(painted.names),
            colors=list(painted.colors),
            gains=state.gains.tolist(),
            # An added factor is not in the analysed picture; its typical strength is used instead.
            seen=[1.0 if origin < 0 else float(seen[origin]) for origin in origins],
            analysed=[origin >= 0 for origin in origins],
            icons=keys_of_factors(painted, version),
            features=[made_of(painted, factor, labels) for factor in range(painted.n_factors)],
            # Only a new scene needs it.
            first_thing=0 if why == "edit" else first_thing(painted),
            sites=[sites.index(painted.site(f)) for f in range(painted.n_factors)] if sites else [],
            site_names=[site_names.short(site) for site in sites],
            factor_steps=[one and list(one) for one in painted.factor_steps or ()],
            can_undo=history.beside(-1) is not None,
            can_redo=history.beside(1) is not None,
            edited=state.is_edited,
            replaced=history.has_replaced_painting,
            steps=[[step, key_of_step(step), names.get(step, "")] for step in history.steps],
            step=history.step,
            film_from=history.film_from,
            seeds=[[str(seed), key] for seed, key in keys_of_seeds(history)],
            capabilities=list(capabilities(painter)),
            buffers=tuple(array.astype("<f4").tobytes() for array in maps),
        )


@dataclass(frozen=True, kw_only=True)
class FrameReply(Reply):
    """A picture of the scene, in the buffer: JPEG for a preview, PNG for the final one."""

    type: ClassVar[str] = "frame"
    client: str
    seq: int
    kind: Kind
    ms: float
    waited_ms: float
    reduced: bool
    change: tuple[float, float] | None
    width: int
    height: int

    @classmethod
    def of(
        cls,
        picture: Picture,
        kind: Kind,
        data: bytes,
        sender: Sender = NO_SENDER,
        *,
        waited_s: float = 0.0,
        change: tuple[float, float] | None = None,
    ) -> FrameReply:
        """A picture as a message.

        Args:
            picture: the picture.
            kind: whether another one follows.
            data: the picture as bytes.
            sender: whose edit it shows.
            waited_s: how long the edit waited for the worker, in seconds; negative if the worker waited.
            change: how far the picture is from the unedited one; see ``pixel_change``.
        """
        width, height = picture.image.size
        return cls(
            client=sender.client,
            seq=sender.seq,
            kind=kind,
            ms=round(picture.ms, 1),
            waited_ms=round(1000 * waited_s, 1),
            reduced=picture.reduced,
            change=change,
            width=width,
            height=height,
            buffers=(data,),
        )


@dataclass(frozen=True, kw_only=True)
class AckReply(Reply):
    """A request is done; no picture follows."""

    type: ClassVar[str] = "ack"
    client: str
    seq: int


@dataclass(frozen=True, kw_only=True)
class ErrorReply(Reply):
    """A request, or a drawing, failed; ``retry``: it may help to try again."""

    type: ClassVar[str] = "error"
    client: str
    seq: int
    message: str
    traceback: str
    retry: bool

    @classmethod
    def of(cls, fault: BaseException, sender: Sender = NO_SENDER, *, retry: bool) -> ErrorReply:
        """An exception in one line, and with its traceback."""
        lines = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
        # The text may contain a lone surrogate, which cannot be sent.
        message, lines = (text.encode("utf-8", "replace").decode() for text in (sentence(fault), lines))
        return cls(client=sender.client, seq=sender.seq, message=message, traceback=lines, retry=retry)


@dataclass(frozen=True, kw_only=True)
class StatusReply(Reply):
    """What the kernel is doing: ``task`` is "draw" for a new scene, "render" for a picture, else ""."""

    type: ClassVar[str] = "status"
    busy: bool
    task: str

    @classmethod
    def of(cls, task: str) -> StatusReply:
        """Busy with a task; "" = idle."""
        return cls(busy=task != "", task=task)


@dataclass(frozen=True, kw_only=True)
class ConnectionReply(Reply):
    """How the connection to the server is that has the model. Painters without one send none."""

    type: ClassVar[str] = "connection"
    state: Connection


@dataclass(frozen=True, kw_only=True)
class FoundReply(Reply):
    """The features that a search found, and the concepts: [{concept, label, icon, similar}]."""

    type: ClassVar[str] = "found"
    client: str
    seq: int
    features: Sequence[dict[str, Any]]
    concepts: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class BorrowSourceReply(Reply):
    """The scene whose factors can be borrowed, or None: {name, factors: [{name, color, icon, label}]}."""

    type: ClassVar[str] = "borrow_source"
    client: str
    seq: int
    source: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class IconReply(Reply):
    """A thumbnail."""

    type: ClassVar[str] = "icon"
    key: str
    url: str


@dataclass(frozen=True, kw_only=True)
class OriginalReply(Reply):
    """The unedited picture, as PNG in the buffer."""

    type: ClassVar[str] = "original"
    client: str
    seq: int
    change: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class TopReply(Reply):
    """The picture with only one factor's strongest feature in it, as PNG in the buffer."""

    type: ClassVar[str] = "top"
    client: str
    seq: int


@dataclass(frozen=True, kw_only=True)
class ViewsReply(Reply):
    """Asks every page that shows the widget how many views it has."""

    type: ClassVar[str] = "views"


@dataclass(frozen=True, kw_only=True)
class FileReply(Reply):
    """A file, in the buffer."""

    type: ClassVar[str] = "file"
    client: str
    seq: int
    name: str
    mime: str


@dataclass(frozen=True, kw_only=True)
class FilmReply(Reply):
    """How many of a film's n pictures are drawn."""

    type: ClassVar[str] = "film"
    client: str
    seq: int
    n_drawn: int
    n: int


@dataclass(frozen=True, kw_only=True)
class NotesReply(Reply):
    """What the model does not read of a prompt and a style ("" = nothing), and the words that it knows."""

    type: ClassVar[str] = "notes"
    client: str
    seq: int
    prompt: str
    style: str
    words: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PanelsReply(Reply):
    """The second part of the front end, which a notebook does not save: the controls, as JavaScript."""

    type: ClassVar[str] = "panels"
    client: str
    seq: int
    source: str

    @classmethod
    def of(cls, sender: Sender) -> PanelsReply:
        """For one browser page."""
        return cls(client=sender.client, seq=sender.seq, source=_PANELS)


@dataclass(frozen=True, kw_only=True)
class NoticeReply(Reply):
    """What was copied, pasted or shared, or why it was not, for people to read.

    Args:
        patches: after a paste, the numbers of the patches to select; None = leave the selection.
        link: an address to look at, "" = none.
    """

    type: ClassVar[str] = "notice"
    client: str
    seq: int
    text: str
    patches: Sequence[int] | None = None
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class RobustnessReply(Reply):
    """An edit on other seeds: one more of them is drawn, or all are, or it was stopped.

    Args:
        n: how many seeds there are.
        pair: the seed that was drawn, and the pictures without and with the edit as data URLs; else None.
        map: where the pictures changed so far, as a data URL; "" = as before.
        text: the result, or why there is none; "" as long as more will come.
        outdated: the scene changed meanwhile; no more will come.
    """

    type: ClassVar[str] = "robustness"
    client: str
    seq: int
    n: int
    pair: Sequence[str] | None = None
    map: str = ""
    text: str = ""
    outdated: bool = False


REPLIES: tuple[type[Reply], ...] = (
    *(StateReply, FrameReply, AckReply, ErrorReply, StatusReply, FoundReply),
    *(BorrowSourceReply, IconReply, OriginalReply, TopReply, ViewsReply, FileReply),
    NotesReply,
    PanelsReply,
    FilmReply,
    NoticeReply,
    RobustnessReply,
    ConnectionReply,
)
"""Everything that the kernel sends."""
