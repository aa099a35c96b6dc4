"""What was done, as Python: the scene's own verbs, so that a notebook can do it again."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.scene import AREAS, GRID, Scene
from ember_widgets.util.checks import FloatArray
from ember_widgets.widgets.paint.history import State
from ember_widgets.widgets.paint.requests import n_analyzed

# What the browser may say of a stroke, besides its shares.
DEEDS: Mapping[str, tuple[str, ...]] = {
    "paint": ("factor", "strength", "opacity", "mode"),
    "erase": ("factor", "heal"),
    "move": ("factor", "d_row", "d_col", "heal"),
    "scale": ("factor", "gain"),
}

MAX_CALLS = 8
"""A soft edge with more shares than this is told as an array."""

_OPENED = '''def opened(text):
    """A scene as the widget wrote it."""
    return ember.Scene.from_bytes(zlib.decompress(base64.b64decode(text)))


'''
_ARRAY = '''def array(text, *shape):
    """An array of float32 as the widget wrote it."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").reshape(shape)


'''


def begun_with(scene: Scene) -> tuple[str, ...]:
    """How to come by a scene that was not painted yet."""
    original = scene.original()
    untouched = scene.n_factors == original.n_factors > 0 and original == scene.replace(
        names=original.names, colors=original.colors
    )
    if untouched:
        return (f"scene = {analyzed(scene, n_analyzed(scene) if scene.sites else scene.n_factors)}",)
    return (f"scene = {opened(scene)}",)


def opened(scene: Scene) -> str:
    """A scene that came from elsewhere, all of it."""
    return f"opened({base64.b64encode(zlib.compress(scene.to_bytes(), 9)).decode('ascii')!r})"


def analyzed(scene: Scene, n_factors: int | dict[str, int]) -> str:
    """How a scene's picture was made and taken apart."""
    style = f", style={scene.style!r}" if scene.style else ""
    asked = f"{scene.prompt!r}, seed={scene.seed}, n_steps={scene.n_steps}, n_factors={n_factors}"
    guidance = f", guidance={scene.guidance:g}" if scene.guidance else ""
    return f"painter.analyze({asked}{style}{guidance})"


def painted(before: Scene, after: State, deed: object) -> tuple[str, ...]:
    """A stroke, as the verb that the browser says it was; where that is not what came out, as its result."""
    scene, verbs = before, []
    try:
        verbs = _verbs(before, deed)
        for verb, arguments in verbs:
            scene = getattr(scene, verb)(**arguments)
    except (KeyError, TypeError, ValueError):
        scene, verbs = before, []  # nobody vouches for what a browser says
    maps = ("strengths", "remainder")
    same = all(np.allclose(getattr(scene, m), getattr(after.painted, m), atol=1e-5) for m in maps)
    if same:
        return tuple(said(before, verb, arguments) for verb, arguments in verbs)
    texts = [f"{m}={_array(getattr(after.painted, m))}" for m in maps]
    return (f"scene = scene.replace({', '.join(texts)})",)


def said(scene: Scene, verb: str, arguments: Mapping[str, Any], *first: str) -> str:
    """One of the scene's verbs as a line of Python; ``first`` are arguments that are Python already."""
    told = [f"{k}={_literal(scene, k, v) if not first else repr(v)}" for k, v in arguments.items()]
    return f"scene = scene.{verb}({', '.join([*first, *told])})"


def scaled(state: State) -> tuple[str, ...]:
    """What led to a state, its sliders multiplied in."""
    gains = zip(state.painted.names, state.gains.tolist(), strict=True)
    return (*state.code, *(f"scene = scene.scale({name!r}, {gain:g})" for name, gain in gains if gain != 1))


def program(state: State) -> str:
    """A program that ends with the scene; a ``painter`` must be there."""
    text = "\n".join([*scaled(state), "painter.render(scene)", ""])
    arrays, scenes = "=array(" in text, "opened(" in text
    helpers = (_ARRAY if arrays else "") + (_OPENED if scenes else "")
    standard = "import base64\nimport zlib\n\n" if helpers else ""
    numpy = "import numpy as np\n\n" if arrays else ""
    return (
        f"{standard}{numpy}import ember_widgets as ember\n" + ("\n\n" if helpers else "\n") + helpers + text
    )


def _verbs(scene: Scene, deed: object) -> list[tuple[str, dict[str, Any]]]:
    """The calls that a stroke was, one for each share of its soft edge; none if it makes no sense."""
    verb = deed.get("verb") if isinstance(deed, Mapping) else None
    if not isinstance(deed, Mapping) or not isinstance(verb, str) or verb not in DEEDS:
        return []
    shares = np.array(deed["shares"], np.float64).reshape(GRID, GRID)
    arguments = {name: deed[name] for name in DEEDS[verb]}
    factor = arguments.get("factor")
    if isinstance(factor, int) and 0 <= factor < scene.n_factors:
        arguments["factor"] = scene.names[factor]
    if verb != "paint":
        return [(verb, {**arguments, "patches": shares > 0})]
    shares = (shares * arguments["opacity"]).clip(0, 1)
    steps = np.unique(shares[shares > 0]).tolist()
    if len(steps) > MAX_CALLS:  # a pen
        return [(verb, {**arguments, "opacity": shares, "patches": shares > 0})]
    return [(verb, {**arguments, "opacity": round(s, 6), "patches": shares == s}) for s in steps]


def _literal(scene: Scene, name: str, value: Any) -> str:
    if name == "patches":
        return _patches(value)
    if isinstance(value, np.ndarray):
        return _array(value.astype(np.float32))
    if name == "factor" and isinstance(value, int) and 0 <= value < scene.n_factors:
        return repr(scene.names[value])
    return repr(value)


def _patches(mask: NDArray[np.bool_]) -> str:
    for name, area in AREAS.items():
        if np.array_equal(mask, area):
            return repr(name)
    return repr([(int(row), int(col)) for row, col in np.argwhere(mask)])


def _array(array: FloatArray) -> str:
    text = base64.b64encode(zlib.compress(array.astype("<f4").tobytes(), 9)).decode("ascii")
    return f"array({text!r}, {', '.join(map(str, array.shape))})"
