"""The calls of the wire: what a client may ask a painter for. Server and client are checked against it.

Frames from a client
    hello    {protocol, version, client}                    the first frame
    call     {id, call, args, slot}                         see `CALLS`; `slot` "" = none
    put      {arrays: [{shape, buffer}]}                    arrays that calls then refer to by name
    cancel   {id}                                           the answer is not needed any more
    ping     {}                                             at least every 20 s, also while nothing happens

Frames from a server
    welcome  see `Welcome`                                  answer to hello
    answer   {id, value}
    error    {id or null, error, message, retry_after_s?}   `error` is one of `ERRORS`
    need     {id, arrays: [name]}                           put these, and send the call again
    pong     {}

Values of answers, by what a call gives
    scene       {scene, arrays: [{shape, buffer}]}: the scene, and those arrays that it names and the call
                did not name, so that the client certainly has all of them; see `scenes.packed_answer`
    picture     {form, width, height, buffer, ms}
    pictures    [picture]
    codes       {shape, buffer}, see `values.packed_codes`
    inspection  see `inspections.packed`
    notes       {unknown: [word], n_tokens: int or null, last_words}
    address     {path}: where the picture is shown on this server

Numbers of calls are chosen by the client; a number is free again when its answer, error or need arrived.
An error with id null is about a frame that was no valid call. A `put` that is in order is not answered.
Connect without compression of messages (permessage-deflate): what is large is compressed already.

Calls are answered in any order. Of the calls with the same slot only the newest waits: it takes the turn of
those that waited, which get the error "Cancelled". One that is being drawn already is finished and answered,
so that somebody who paints faster than the device draws still sees pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ember_widgets.util.cancelled import Cancelled

HEARTBEAT_S = 20.0
SILENT_S = 3 * HEARTBEAT_S
"""A side that hears nothing for so long takes the connection for broken."""


@dataclass(frozen=True)
class Call:
    """One call.

    Args:
        args: {argument: its JSON type}; a scene is "scene", see `wire.scenes`, and what a picture is taken
            apart in is "concepts", see `wire.concepts`. Those that end in "?" may be left out.
        gives: What the value of the answer is: a scene, a picture (form, width, height, buffer; `ms` is how
            long drawing took), pictures, codes, or JSON.
        capability: What the painter must offer, see `painter.protocol`; "" = every painter has it.
        background: It waits until nobody else wants anything.
    """

    args: Mapping[str, str]
    gives: Literal["scene", "picture", "pictures", "codes", "inspection", "notes", "address"]
    capability: str = ""
    background: bool = False


_RUN = {"prompt": "str", "seed": "int", "n_steps": "int", "guidance?": "float", "edit_steps?": "list"}

CALLS: Mapping[str, Call] = {
    # `photo` is the index of a buffer with a lossless square picture.
    "analyze": Call(
        _RUN
        | {
            "n_factors?": "int or dict",
            "basis?": "concepts",
            "style?": "str",
            "photo?": "int",
            "image_strength?": "float",
        },
        "scene",
    ),
    "blank": Call(_RUN, "scene"),
    "render": Call({"scene": "scene", "preview?": "bool", "form?": "str"}, "picture"),
    "refit": Call({"scene": "scene", "n_factors": "int or dict"}, "scene", "refit"),
    "reseed": Call({"scene": "scene", "seed": "int", "edit_only?": "bool"}, "scene", "reseed"),
    "activations": Call({"scene": "scene"}, "codes", "inspect"),
    "inspect": Call(
        {"scene": "scene", "step?": "int", "site?": "str", "edited?": "bool"}, "inspection", "inspect"
    ),
    "icon": Call(
        {"feature": "int", "seed?": "int", "strength?": "float"}, "picture", "icon", background=True
    ),
    "draw_icons": Call({"features": "list"}, "pictures", "draw_icons", background=True),
    "prompt_notes": Call({"prompt": "str", "style?": "str"}, "notes", "prompt_notes"),
    "share": Call({"scene": "scene", "title?": "str"}, "address", "share"),
}

ERRORS: Mapping[str, type[Exception]] = {
    "ValueError": ValueError,
    "TypeError": TypeError,
    "FloatingPointError": FloatingPointError,
    "MemoryError": MemoryError,
    "PermissionError": PermissionError,
    # The two sides speak different protocols, or the server closes the connection.
    "ConnectionError": ConnectionError,
    "Cancelled": Cancelled,
    # The server is too busy, or the client too fast; `retry_after_s` says when to ask again.
    "Busy": ConnectionError,
    # A fault of the server. Its log has the traceback, its clients do not get it.
    "RuntimeError": RuntimeError,
}
"""What a client raises for each kind of error."""

CLOSE_TOKEN = 4001
CLOSE_PROTOCOL = 4002
CLOSE_IDLE = 4003
CLOSE_FULL = 4004
CLOSE_SILENT = 4005
"""Codes with which a server closes a connection; an error frame with the reason comes before it."""


@dataclass(frozen=True)
class Welcome:
    """What a server says of itself and its painter.

    Args:
        protocol: See `frames.PROTOCOL`.
        version: Of ember_widgets on the server.
        key: Identifies the weights of model and SAEs; another key is another painter.
        model: As in scenes: id, revision, site, sae, versions, key.
        grid: Rows and columns.
        sites: [[module path, n_features]], in the order of the network.
        guidance: Default scale of `analyze`.
        picture_side: In pixels.
        has_previews: Whether previews are drawn faster than final pictures, at one step.
        previews_in_one_step: Whether previews of runs of several steps are drawn in one.
        capabilities: Names, see `painter.protocol.CAPABILITIES`.
        known_words: Words that the model knows; empty = any.
        files: {name: size in bytes} of what can be fetched, see `server.model_files`.
        limits: What the server allows, see `server.limits.Limits`.
        person: The name that goes with the token; "" if it has none.
    """

    protocol: int
    version: str
    key: str
    model: Mapping[str, str]
    grid: tuple[int, int]
    sites: tuple[tuple[str, int], ...]
    guidance: float = 0.0
    picture_side: int = 512
    has_previews: bool = False
    previews_in_one_step: bool = False
    capabilities: tuple[str, ...] = ()
    known_words: tuple[str, ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    person: str = ""

    def packed(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "type": "welcome"}

    @classmethod
    def unpacked(cls, head: Mapping[str, Any]) -> Welcome:
        """From JSON; entries that this version does not know are left out.

        Raises:
            ConnectionError: It lacks what this version needs.
        """
        known = {name: value for name, value in head.items() if name in cls.__dataclass_fields__}
        try:
            return cls(
                **known
                | {
                    "grid": tuple(head["grid"]),
                    "sites": tuple((str(site), int(n)) for site, n in head["sites"]),
                    "capabilities": tuple(head.get("capabilities", ())),
                    "known_words": tuple(head.get("known_words", ())),
                }
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise ConnectionError(f"the server's welcome cannot be read ({fault})") from None
