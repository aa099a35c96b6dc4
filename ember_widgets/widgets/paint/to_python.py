"""The history of a scene as a Python program, in the scene's own verbs, so that a notebook can repeat it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.painter.protocol import HasConcepts, offered
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.history import State
from ember_widgets.widgets.paint.requests import guidance_of, n_analyzed

# The scene's verbs that can express a stroke, and their arguments without the patches.
CALLS: Mapping[str, tuple[str, ...]] = {
    "paint": ("factor", "strength", "opacity", "mode"),
    "erase": ("factor", "heal"),
    "move": ("factor", "d_row", "d_col", "heal"),
    "scale": ("factor", "gain"),
}

MAX_CALLS = 8
"""A soft edge with more shares than this is written as an array."""

MAX_LINES = 1000
MAX_CHARACTERS = 300_000
"""A program of more lines or characters is cut; see ``bounded``."""

_CUT = "# Earlier edits are not listed any more; this is the scene they led to."

_OPENED = '''def opened(text):
    """A scene as the widget wrote it."""
    return ember.Scene.from_bytes(zlib.decompress(base64.b64decode(text)))


'''
_ARRAY = '''def array(text, *shape, dtype="<f4"):
    """An array as the widget wrote it."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)


'''


def creation(scene: Scene, painter: object = None, *, analyzed_here: bool = False) -> tuple[str, ...]:
    """Lines of Python that make a scene which was not painted on yet.

    A scene as analysed is analysed again. A scene of a photograph is written out: the photograph is not kept,
    and no argument can bring its latents back. So is a scene that was edited before, or a blank one.

    Args:
        scene: the scene.
        painter: the one that will draw it; it decides which keywords are needed.
        analyzed_here: the session has had it analysed, so that its names are those the painter gives.
    """
    original = scene.original()
    is_untouched = scene.n_factors == original.n_factors > 0 and original == scene.replace(
        names=original.names, colors=original.colors
    )
    if scene.image is not None:
        note = "# This scene comes from a photograph, which is not kept: its latents are in the text below."
        return (note, f"scene = {opened(scene)}")
    if not is_untouched:
        return (f"scene = {opened(scene)}",)
    bank = scene.model.get("concepts")
    n_factors = n_analyzed(scene) if scene.sites and not bank else scene.n_factors
    if bank and bank != _bank_key(painter):
        return (
            "# This picture was taken apart in a bank of concepts that the painter does not have.",
            f"scene = {opened(scene)}",
        )
    fields: dict[str, Any] = {}
    if not analyzed_here:
        fields["names"] = scene.names  # the painter names factors by its labels, which may be others then
    if scene.colors != palette(scene.n_factors):
        fields["colors"] = scene.colors
    if scene.edit_steps is not None:
        fields["edit_steps"] = scene.edit_steps
    more = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return (
        f"scene = {analyzed(scene, n_factors, painter)}",
        *([f"scene = scene.replace({more})"] if more else []),
    )


def bounded(code: tuple[str, ...], scene: Scene, oldest: State) -> tuple[str, ...]:
    """A program, if it is short enough; else its end, after a scene that is written out.

    Args:
        code: the program.
        scene: what it makes.
        oldest: the first state of the history. The program is cut there, so that every step that can be
            undone is still a line; if it would be too long even so, only ``scene`` is left.
    """
    if _is_short(code):
        return code
    n = len(oldest.code)
    recent = (_CUT, f"scene = {opened(oldest.painted)}", *code[n:])
    if code[:n] == oldest.code and _is_short(recent):
        return recent
    return (_CUT, f"scene = {opened(scene)}")


def _is_short(code: tuple[str, ...]) -> bool:
    # A scene that is written out is not counted: it cannot get shorter.
    lines = [line for line in code if not line.startswith("scene = opened(")]
    return len(lines) <= MAX_LINES and sum(map(len, lines)) <= MAX_CHARACTERS


def opened(scene: Scene) -> str:
    """An expression that has all of a scene in it."""
    return f"opened({base64.b64encode(zlib.compress(scene.to_bytes(), 9)).decode('ascii')!r})"


def analyzed(scene: Scene, n_factors: int | dict[str, int], painter: object = None) -> str:
    """An expression that generates a scene's picture and takes it apart again.

    Args:
        scene: the scene as analysed, not from a photograph.
        n_factors: how many factors were asked for; with several sites, for each of them.
        painter: the one that made it; if it has a guidance of its own, the scene's is written.
    """
    style = f", style={scene.style!r}" if scene.style else ""
    asked = f"{scene.prompt!r}, seed={scene.seed}, n_steps={scene.n_steps}, n_factors={n_factors}"
    is_guided = scene.guidance or guidance_of(painter)
    guidance = f", guidance={_short(scene.guidance)}" if is_guided else ""
    basis = ", basis=painter.concepts" if scene.model.get("concepts") else ""
    return f"painter.analyze({asked}{basis}{style}{guidance})"


def _bank_key(painter: object) -> str:
    """The key of a painter's concepts; "" if it has none."""
    has = offered(painter, HasConcepts)
    bank = None if has is None else has.concepts
    return "" if bank is None else bank.key


def painted(before: Scene, after: Scene, call: object) -> tuple[str, ...]:
    """A stroke as the call that the browser names; if that gives another result, as the result itself.

    Browser and Python compute the same bits (parity.json), so that only equal results count.
    """
    try:
        for calls in _calls(before, call):
            scene = before
            for verb, arguments in calls:
                scene = getattr(scene, verb)(**arguments)
            if scene == after:
                return tuple(line_of(before, verb, arguments) for verb, arguments in calls)
    except (KeyError, TypeError, ValueError, OverflowError):
        pass  # what a browser sends is not trusted
    return changed(before, after)


def changed(before: Scene, after: Scene) -> tuple[str, ...]:
    """What leads from one scene to another, as the result itself; nothing if they are equal."""
    if before == after:
        return ()
    if before.grid != after.grid or before.n_factors != after.n_factors:
        return (f"scene = {opened(after)}",)
    maps = {name: getattr(after, name) for name in ("strengths", "remainder")}
    if before.replace(**maps) != after:
        return (f"scene = {opened(after)}",)
    return (f"scene = scene.replace({', '.join(f'{name}={_array(m)}' for name, m in maps.items())})",)


def line_of(scene: Scene, verb: str, arguments: Mapping[str, Any], *first: str) -> str:
    """A call of one of the scene's verbs as a line; ``first`` are arguments that are Python already."""
    given = [f"{k}={_literal(scene, k, v) if not first else repr(v)}" for k, v in arguments.items()]
    return f"scene = scene.{verb}({', '.join([*first, *given])})"


def scaled(state: State, committed: State) -> tuple[str, ...]:
    """The program that leads to a state, its sliders multiplied in.

    Args:
        state: the state; during a stroke its own program does not lead to it yet.
        committed: the last state of the history.
    """
    lines = [*committed.code, *changed(committed.painted, state.painted)]
    for f, (name, gain) in enumerate(zip(state.painted.names, state.gains, strict=True)):
        if gain != 1:
            short = float(str(gain))  # the fewest digits that identify the float32
            is_same = state.painted.scale(f, short).strengths == state.scene.strengths
            number = short if is_same[..., f].all() else float(gain)
            lines.append(f"scene = scene.scale({name!r}, {_short(number)})")
    return tuple(lines)


def program(state: State, committed: State) -> str:
    """A program that ends with the scene of a state; it needs a ``painter``. See ``scaled``."""
    text = "\n".join([*scaled(state, committed), "painter.render(scene)", ""])
    arrays, scenes = "=array(" in text, "opened(" in text
    helpers = (_ARRAY if arrays else "") + (_OPENED if scenes else "")
    standard = "import base64\nimport zlib\n\n" if helpers else ""
    numpy = "import numpy as np\n\n" if arrays else ""
    return (
        f"{standard}{numpy}import ember_widgets as ember\n" + ("\n\n" if helpers else "\n") + helpers + text
    )


def _calls(scene: Scene, call: object) -> list[list[tuple[str, dict[str, Any]]]]:
    """The calls that may make up a stroke, the shortest first; none if the browser's makes no sense."""
    verb = call.get("verb") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(verb, str) or verb not in CALLS:
        return []
    shares = np.array(call["shares"], np.float64).reshape(scene.remainder.shape)
    arguments = {name: call[name] for name in CALLS[verb]}
    factor = arguments.get("factor")
    if isinstance(factor, int) and 0 <= factor < scene.n_factors:
        arguments["factor"] = scene.names[factor]
    if verb != "paint":
        return [[(verb, {**arguments, "patches": shares > 0})]]
    shares = shares * arguments["opacity"]
    steps = np.unique(shares[shares > 0]).tolist()
    if len(steps) > MAX_CALLS:  # as the pressure of a pen gives
        return [[(verb, {**arguments, "opacity": shares, "patches": shares > 0})]]
    # One call for each share of its soft edge; all digits only where fewer would give another result.
    return [
        [(verb, {**arguments, "opacity": written(s), "patches": shares == s}) for s in steps]
        for written in (lambda s: round(s, 6), float)
    ]


def _short(number: float) -> str:
    """A number as Python writes it, whole ones without a point."""
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)


def _literal(scene: Scene, name: str, value: Any) -> str:
    if name == "patches":
        return patches_of(scene, value)
    if isinstance(value, np.ndarray):
        return _array(value)
    if name == "factor" and isinstance(value, int) and 0 <= value < scene.n_factors:
        return repr(scene.names[value])
    return repr(value)


def patches_of(scene: Scene, mask: NDArray[np.bool_]) -> str:
    """Patches as an argument of a verb."""
    for name, area in scene.grid.areas.items():
        if np.array_equal(mask, area):
            return repr(name)
    return repr([(int(row), int(col)) for row, col in np.argwhere(mask)])


def _array(array: NDArray[Any]) -> str:
    single = array.astype("<f4")
    is_exact = np.array_equal(single, array)
    data = single if is_exact else array.astype("<f8")
    text = base64.b64encode(zlib.compress(data.tobytes(), 9)).decode("ascii")
    shape = ", ".join(map(str, array.shape))
    return f"array({text!r}, {shape})" if is_exact else f"array({text!r}, {shape}, dtype='<f8')"
