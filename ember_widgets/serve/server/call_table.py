"""How each call of the wire is answered with a painter.

A call's arguments are checked first, by `check`, which is quick. Then its handler runs in the scheduler's
thread, and what it returns is compressed in another thread, while the device goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ember_widgets.scene import site_names
from ember_widgets.scene.scene import Scene
from ember_widgets.serve.server.limits import Limits
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.wire import concepts, inspections, scenes, values
from ember_widgets.serve.wire.calls import CALLS, ERRORS
from ember_widgets.util.cancelled import Cancelled
from ember_widgets.util.checks import shown

if TYPE_CHECKING:
    from PIL import Image


def never() -> bool:
    """A call that nobody cancels."""
    return False


@dataclass(frozen=True)
class Request:
    """A call, as it came.

    Args:
        replica: Whose painter answers it.
        name: One of `CALLS`.
        args: JSON.
        buffers: Those of its frame.
        cancelled: Whether the answer is no longer wanted.
        person: Who calls; "" = not known.
    """

    replica: Replica
    name: str
    args: Mapping[str, Any]
    buffers: Sequence[bytes] = ()
    cancelled: Callable[[], bool] = never
    person: str = ""

    def check(self) -> None:
        """Refuse what cannot be answered; quick, and nothing is unpacked.

        Raises:
            TypeError, ValueError: There is no such call, or an argument is missing, unknown, of another type
                or beyond the limits.
            MissingArrays: A scene or a basis names arrays that are not here.
        """
        call = CALLS.get(self.name) if isinstance(self.name, str) else None
        if call is None:
            raise ValueError(f"there is no call {shown(self.name)}; choose one of {', '.join(CALLS)}")
        if call.capability and call.capability not in self.replica.capabilities:
            raise ValueError(f"the painter on this server does not offer {self.name}")
        if not isinstance(self.args, Mapping):
            raise TypeError(f"{self.name}: its arguments are not a JSON object")
        known = {name.rstrip("?"): kind for name, kind in call.args.items()}
        if unknown := [name for name in self.args if name not in known]:
            raise TypeError(f"{self.name} has no argument {shown(unknown[0])}; it takes {', '.join(known)}")
        for name in call.args:
            if not name.endswith("?") and name not in self.args:
                raise TypeError(f"{self.name} lacks the argument {name}")
        for name, value in self.args.items():
            if not _is(known[name], value):
                raise TypeError(f"{self.name}: {name}={shown(value)} is not of type {known[name]}")
        _check_limits(self)
        names = scenes.names_in(self.args["scene"]) if "scene" in self.args else []
        if "basis" in self.args:
            names.append(concepts.name_in(self.args["basis"]))
        if absent := [name for name in names if self.replica.arrays.get(name) is None]:
            raise scenes.MissingArrays(absent)

    def scene(self) -> Scene:
        """The scene among the arguments. Whether it is one of this painter, the painter's verbs check.

        Raises:
            BadFrame, TypeError, ValueError: It is not a scene.
            MissingArrays: It names arrays that are not here.
        """
        replica = self.replica
        return scenes.unpacked(self.args["scene"], self.buffers, replica.arrays.get, replica.largest_shapes)

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these arguments that were given."""
        return {name: self.args[name] for name in names if name in self.args}


@dataclass(frozen=True)
class Answer:
    """What a handler found.

    Args:
        result: As the painter gave it.
        pack: Makes JSON of it, and appends buffers.
    """

    result: Any
    pack: Callable[[list[bytes]], Any]

    def packed(self) -> tuple[Any, list[bytes]]:
        """As JSON and buffers; takes a while for pictures."""
        buffers: list[bytes] = []
        return self.pack(buffers), buffers


@dataclass(frozen=True)
class Failure:
    """Why a call was not answered, in the words of the wire.

    Args:
        error: One of `ERRORS`.
        message: In one sentence.
        retry_after_s: When to ask again; None = asking again does not help.
    """

    error: str
    message: str
    retry_after_s: float | None = None

    def head(self, call: int | None) -> dict[str, Any]:
        """As an error frame."""
        head = {"type": "error", "id": call, "error": self.error, "message": self.message}
        return head if self.retry_after_s is None else head | {"retry_after_s": self.retry_after_s}


# What a painter raises, the narrower class first.
_KEPT = (Cancelled, TypeError, FloatingPointError, MemoryError, ValueError)
MAX_MESSAGE = 2000


def failure(fault: BaseException) -> Failure | None:
    """What a client is told of a fault; None if it is a fault of the server."""
    for kind in _KEPT:
        if isinstance(fault, kind):
            text = str(fault) or _WITHOUT_WORDS.get(kind, "the value is not valid")
            return Failure(kind.__name__, text.encode("utf-8", "replace").decode()[:MAX_MESSAGE])
    return None


_WITHOUT_WORDS: Mapping[type[BaseException], str] = {
    Cancelled: "the picture is no longer wanted",
    MemoryError: "the server ran out of memory; it still works",
}
assert all(kind.__name__ in ERRORS for kind in _KEPT)


# Checks


def _is(kind: str, value: object) -> bool:
    """Whether a JSON value is of a type of `CALLS`."""
    if kind == "float":
        return type(value) in (int, float)
    if kind == "int or dict":
        return type(value) in (int, dict)
    types = {"str": str, "int": int, "bool": bool, "list": list, "scene": dict, "concepts": dict}
    return type(value) is types[kind]


def check_fields(fields: Mapping[str, Any], limits: Limits) -> None:
    """Refuse arguments, or fields of a scene, beyond the limits; whatever else is wrong is found later.

    Raises:
        ValueError: They are.
    """
    for name in ("prompt", "style", "title"):
        text = fields.get(name)
        if isinstance(text, str) and len(text) > limits.prompt_length:
            raise ValueError(
                f"{name} has {len(text):,} characters; this server takes up to {limits.prompt_length:,}"
            )
    _check_number("n_steps", fields.get("n_steps"), limits.n_steps)
    if isinstance(names := fields.get("names"), list):
        _check_number("the number of factors", len(names), limits.n_factors)


def _check_limits(request: Request) -> None:
    limits, args = request.replica.limits, request.args
    for fields in (args, args.get("scene", {})):
        check_fields(fields, limits)
    _check_number("n_factors", _n_factors(request), limits.n_factors)
    if isinstance(names := args.get("basis", {}).get("names"), list):
        _check_number("the number of concepts", len(names), limits.n_factors)
    features = args.get("features")
    if features is not None:
        _check_number("the number of features", len(features), limits.n_icons)


def _n_factors(request: Request) -> int:
    """How many factors of all sites together are asked for."""
    count = request.args.get("n_factors", 0)
    if isinstance(count, dict):
        return sum(n for n in count.values() if type(n) is int)
    return int(count) if "basis" in request.args else count * len(request.replica.painter.space.sites)


def _check_number(name: str, value: object, most: int) -> None:
    if isinstance(value, int) and value > most:
        raise ValueError(f"{name} is {value}; this server takes up to {most}")


# Handlers


def _analyze(request: Request) -> Answer:
    given = request.given("prompt", "seed", "n_steps", "n_factors", "guidance", "style", "image_strength")
    if "photo" in request.args:
        index = request.args["photo"]
        if not 0 <= index < len(request.buffers):
            raise ValueError(f"photo={index} is not a buffer of the call")
        given["image"] = values.decoded(request.buffers[index])
    if "basis" in request.args:
        given["basis"] = concepts.unpacked(request.args["basis"], request.replica.arrays.get)
    return _scene(request, request.replica.painter.analyze(**given, **_edit_steps(request)))


def _blank(request: Request) -> Answer:
    given = request.given("prompt", "seed", "n_steps", "guidance")
    return _scene(request, request.replica.painter.blank(**given, **_edit_steps(request)))


def _render(request: Request) -> Answer:
    scene, painter = request.scene(), request.replica.painter
    preview = request.args.get("preview", False)
    form = _form(request.args.get("form", "webp" if preview else "png"))
    began = time.perf_counter()
    picture = painter.render(scene, preview=preview and painter.previews(scene), cancelled=request.cancelled)
    return _picture(picture, form, time.perf_counter() - began)


def _refit(request: Request) -> Answer:
    return _scene(request, request.replica.painter.refit(request.scene(), request.args["n_factors"]))


def _reseed(request: Request) -> Answer:
    edit_only = request.args.get("edit_only", False)
    painter = request.replica.painter
    return _scene(request, painter.reseed(request.scene(), request.args["seed"], edit_only=edit_only))


def _activations(request: Request) -> Answer:
    codes = request.replica.painter.activations(request.scene())
    return Answer(codes, lambda buffers: values.packed_codes(codes, buffers))


def _inspect(request: Request) -> Answer:
    given = request.given("step", "edited")
    site = checked_site(request.replica, request.args.get("site"))
    found = request.replica.painter.inspect(request.scene(), site=site, **given)
    return Answer(found, lambda buffers: inspections.packed(found, buffers))


def _icon(request: Request) -> Answer:
    given = request.given("feature", "seed", "strength")
    began = time.perf_counter()
    return _picture(request.replica.painter.icon(**given), "png", time.perf_counter() - began)


def _draw_icons(request: Request) -> Answer:
    began = time.perf_counter()
    drawn = request.replica.painter.draw_icons(request.args["features"])
    spent = (time.perf_counter() - began) / max(1, len(drawn))

    def pack(buffers: list[bytes]) -> list[Any]:
        return [_picture(picture, "png", spent).pack(buffers) for picture in drawn]

    return Answer(drawn, pack)


def _prompt_notes(request: Request) -> Answer:
    notes = request.replica.painter.prompt_notes(**request.given("prompt", "style"))
    value = {"unknown": list(notes.unknown), "n_tokens": notes.n_tokens, "last_words": notes.last_words}
    return Answer(notes, lambda buffers: value)


def _share(request: Request) -> Answer:
    gallery = request.replica.gallery
    if gallery is None:
        raise ValueError("this server has no gallery; start it with one to share pictures")
    scene = request.scene()
    picture = request.replica.painter.render(scene, cancelled=request.cancelled)

    def pack(buffers: list[bytes]) -> dict[str, str]:
        name = gallery.add(scene.to_bytes(picture), request.person, request.args.get("title", ""))
        return {"path": f"/gallery#{name}"}

    return Answer(picture, pack)


HANDLERS: Mapping[str, Callable[[Request], Answer]] = {
    "analyze": _analyze,
    "blank": _blank,
    "render": _render,
    "refit": _refit,
    "reseed": _reseed,
    "activations": _activations,
    "inspect": _inspect,
    "icon": _icon,
    "draw_icons": _draw_icons,
    "prompt_notes": _prompt_notes,
    "share": _share,
}
"""How each of `CALLS` is answered. They run in the scheduler's thread."""


def checked_site(replica: Replica, site: str | None) -> str | None:
    """A site with an SAE; None stays.

    Raises:
        ValueError: It has none. The painter's own error says how to add one, which a client cannot.
    """
    saes = replica.painter.saes
    if site is not None and site_names.full(site) not in saes:
        raise ValueError(f"site={shown(site)} has no SAE on this server; choose one of {', '.join(saes)}")
    return site


def _edit_steps(request: Request) -> dict[str, Any]:
    steps = request.args.get("edit_steps")
    return {} if steps is None else {"edit_steps": tuple(steps)}


def _form(form: str) -> values.Form:
    for known in values.FORMS:
        if form == known:
            return known
    raise ValueError(f"form={shown(form)} is not known; choose one of {', '.join(values.FORMS)}")


def _scene(request: Request, scene: Scene) -> Answer:
    """An answer with a scene; its arrays are kept, so that calls can name them."""
    for array in scenes.kept_arrays(scene).values():
        request.replica.arrays.put(array)
    known = scenes.names_in(request.args["scene"]) if "scene" in request.args else []
    return Answer(scene, lambda buffers: scenes.packed_answer(scene, known, buffers))


def _picture(picture: Image.Image, form: values.Form, spent_s: float) -> Answer:
    def pack(buffers: list[bytes]) -> dict[str, Any]:
        buffers.append(values.encoded(picture, form))
        return {
            "form": form,
            "width": picture.width,
            "height": picture.height,
            "buffer": len(buffers) - 1,
            "ms": round(1000 * spent_s, 1),
        }

    return Answer(picture, pack)
