"""Every message that the browser's side can send, as strategies, and almost right ones.

js/src/paint/transport/messages.ts and js/src/paint/tools say what these are.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import messages
from ember_widgets.widgets.paint.queries import MIME
from ember_widgets.widgets.paint.session import Session
from tests.unit.scene.scene_strategies import edited, edits
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import two_sites

Fields = dict[str, Any]


@dataclass(repr=False)
class Message:
    """The fields of a message, without client and number, and its buffers."""

    fields: Fields = field(default_factory=dict)
    buffers: list[bytes] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Message({reprlib.repr(self.fields)}, {reprlib.repr(self.buffers)})"


texts = st.text(max_size=6) | st.sampled_from(("a boat", 'it\'s "so"\n\\', "Löwe, 獅子"))
# Sliders give a few digits, pens and scripts any number.
numbers = st.integers(-20, 20).map(lambda n: n / 10) | st.floats(-3, 3)
opacities = st.sampled_from((1, 0.7, 0.35)) | st.floats(0, 1)
seeds = st.integers(0, 2**63 - 1).map(str) | st.integers(0, 2**31)
PHOTOGRAPH = np.random.default_rng(1).normal(size=(4, 8, 8)).astype(np.float32)


STEPS = (((2, 4), None, (3, 4)), (None, (0, 2, "add"), (1, 3)))


def scenes(grid: Grid) -> st.SearchStrategy[Scene]:
    """A scene that a painter of this grid may have made, and that was painted on or not."""
    of_grid = functools.partial(make_scene, grid=grid)
    return painted_on(
        st.builds(of_grid, st.integers(1, 3), prompt=texts)
        | st.builds(of_grid, style=texts, seed=st.integers(0, 9))
        | st.builds(of_grid, guidance=st.just(7.1), n_steps=st.integers(1, 100))
        | st.builds(of_grid, n_steps=st.just(4), edit_steps=st.sampled_from(((1, 3), (0, 1))))
        | st.builds(of_grid, n_steps=st.just(4), factor_steps=st.sampled_from(STEPS))
        | st.builds(of_grid, image=st.just(PHOTOGRAPH), image_strength=st.floats(0.05, 1))
        | st.builds(of_grid, names=st.just(("factor 1", "factor 2", "factor 3")))
        | st.builds(of_grid, st.just(0), remainder=st.just(np.zeros(grid.shape)))
        | st.builds(two_sites, grid=st.just(grid), prompt=texts)
    )


@st.composite
def painted_on(draw: st.DrawFn, unedited: st.SearchStrategy[Scene]) -> Scene:
    scene = draw(unedited)
    for _ in range(draw(st.integers(0, 2))):
        scene = edited(scene, *draw(edits(scene)))
    return scene


def steps(now: Session) -> st.SearchStrategy[int]:
    return st.sampled_from(now.history.steps) | st.integers(0, 12)


def factors(now: Session) -> st.SearchStrategy[int]:
    return st.integers(0, max(now.state.painted.n_factors - 1, 0))


def features(now: Session) -> st.SearchStrategy[int]:
    return st.integers(0, now.state.painted.n_features - 1)


@st.composite
def revisions(draw: st.DrawFn, now: Session) -> int:
    """The current one; now and then an older one."""
    return max(now._revision - draw(st.sampled_from((0, 0, 0, 0, 0, 0, 1))), 0)


commits = st.sampled_from((True, True, False))


# Strokes

MODES: tuple[Literal["over", "add"], ...] = ("over", "add")


@st.composite
def patch_shares(draw: st.DrawFn, grid: Grid) -> NDArray[np.float32]:
    """What a brush marks: a share per patch; not 0 or 1 where its edge is soft or a pen presses."""
    shares = np.zeros(grid.shape, np.float32)
    size = draw(st.sampled_from((1, 2, 5, 5)))
    row, col = draw(st.integers(0, grid.rows - 1)), draw(st.integers(0, grid.cols - 1))
    dab = shares[row : row + size, col : col + size]
    dab[:] = 1
    edge = draw(st.sampled_from(("hard", "soft", "pen")))
    if edge == "soft":
        dab[:1] *= draw(st.floats(0, 1, width=32))
    elif edge == "pen":
        dab[:] *= np.linspace(0.3, 1, dab.size, dtype=np.float32).reshape(dab.shape)
    return shares


@st.composite
def strokes(draw: st.DrawFn, scene: Scene) -> tuple[Scene, Fields | None]:
    """What a tool makes of a scene, and the call that says so."""
    grid = scene.grid
    shares = draw(patch_shares(grid)).astype(np.float64)
    verbs = ("paint", "paint", "scale", "move", "erase") if scene.n_factors else ("erase",)
    verb = draw(st.sampled_from(verbs))
    factor: int | None = draw(st.integers(0, max(scene.n_factors - 1, 0)))
    heal = draw(st.booleans())
    call: Fields
    if verb == "paint":
        assert factor is not None
        strength, opacity, mode = draw(numbers), draw(opacities), draw(st.sampled_from(MODES))
        after = scene.paint(factor, shares > 0, strength, opacity=shares * opacity, mode=mode)
        call = {"factor": factor, "strength": strength, "opacity": opacity, "mode": mode}
    elif verb == "scale":
        assert factor is not None
        gain = draw(numbers)
        after, call = scene.scale(factor, gain, shares > 0), {"factor": factor, "gain": gain}
    else:
        factor = None if not scene.n_factors or draw(st.booleans()) else factor
        if verb == "erase":
            after, call = scene.erase(shares > 0, factor, heal=heal), {"factor": factor, "heal": heal}
        else:
            d_row = draw(st.integers(1 - grid.rows, grid.rows - 1))
            d_col = draw(st.integers(1 - grid.cols, grid.cols - 1))
            after = scene.move(factor, d_row, d_col, shares > 0, heal)
            call = {"factor": factor, "d_row": d_row, "d_col": d_col, "heal": heal}
    kind = draw(st.sampled_from(("done", "done", "done", "locked", "cancelled")))
    if kind == "cancelled":
        return scene, None
    if kind == "locked" and scene.n_factors:
        strengths = after.strengths.copy()
        strengths[..., 0] = scene.strengths[..., 0]
        after = after.replace(strengths=strengths)
    return after, {"verb": verb, "shares": shares.ravel().tolist(), **call}


@st.composite
def edit(draw: st.DrawFn, now: Session) -> Message:
    state = now.state
    gains = state.gains.tolist()
    scene, call = state.painted, None
    if gains and draw(st.booleans()):
        gains[draw(factors(now))] = draw(numbers | st.sampled_from((0.123, 0.0, 1.0, 1e6, 1e-60)))
    else:
        scene, call = draw(strokes(scene))
    fields = {"revision": draw(revisions(now)), "gains": gains, "commit": draw(commits)}
    fields |= {} if call is None else {"call": call}
    return Message(fields, [scene.strengths.tobytes(), scene.remainder.tobytes()])


# The palette

weights = numbers | st.floats(-1e30, 1e30)
colors = st.sampled_from(("#123456", "#ABCDEF"))
PALETTE: dict[str, Callable[[Session], dict[str, st.SearchStrategy[Any]]]] = {
    "rename": lambda now: {"factor": factors(now), "name": texts},
    "recolor": lambda now: {"factor": factors(now), "color": colors},
    "duplicate": lambda now: {"factor": factors(now)},
    "remove": lambda now: {"factor": factors(now)},
    "reorder": lambda now: {"order": st.permutations(list(range(now.state.painted.n_factors)))},
    "set_weight": lambda now: {"factor": factors(now), "feature": features(now), "weight": weights},
    "reset_weights": lambda now: {"factor": factors(now)},
    "add_factor": lambda now: {
        "features": st.dictionaries(features(now).map(str), weights, min_size=1, max_size=2),
        "name": st.none() | texts,
    },
    "add_concept": lambda now: {"concept": texts | st.sampled_from(("lion", "night"))},
    "restyle": lambda now: {"style": texts},
    "borrow": lambda now: {"factor": st.integers(0, 2) | st.sampled_from(("sky", "lion"))},
    "set_steps": lambda now: {
        "factor": factors(now),
        "steps": st.none() | st.sampled_from(([0, 1], [1, 2], [1, 4], [0, now.state.painted.n_steps])),
    },
}
"""For each verb that a browser may use, its arguments."""


@st.composite
def palette(draw: st.DrawFn, now: Session) -> Message:
    verb = draw(st.sampled_from(tuple(PALETTE)))
    arguments = {name: draw(strategy) for name, strategy in PALETTE[verb](now).items()}
    fields = {"revision": draw(revisions(now)), "commit": draw(commits), "verb": verb, "arguments": arguments}
    return Message(fields)


# The other requests


@st.composite
def analyze(draw: st.DrawFn, now: Session) -> Message:
    fields = {"prompt": draw(texts), "style": draw(st.just("") | texts), "seed": draw(seeds)}
    return Message(fields | {"n_steps": draw(st.integers(1, 4)), "n_factors": draw(st.integers(1, 4))})


@st.composite
def borrow_source(draw: st.DrawFn, now: Session) -> Message:
    prompt, file = draw(st.sampled_from((("", ""), ("a boat", ""), ("", "scene.png"))))
    buffers = [draw(scenes(now.state.painted.grid)).to_bytes()] if file else []
    return Message({"prompt": prompt, "file": file}, buffers)


@st.composite
def icons(draw: st.DrawFn, now: Session) -> Message:
    known = [f"step {step}" for step in now.history.steps] + [
        "feature 1",
        "feature 99",
        "step 77",
        "seed 4 of 0",
    ]
    return Message({"keys": draw(st.lists(st.sampled_from(known) | texts, max_size=3))})


@st.composite
def vary(draw: st.DrawFn, now: Session) -> Message:
    verb, values = draw(
        st.sampled_from((("refit", st.integers(1, 4)), ("reseed", seeds), ("reseed_edit", seeds)))
    )
    return Message({"verb": verb, "value": draw(values)})


def opened(scene: Scene) -> Message:
    return Message({}, [scene.to_bytes()])


def of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.fixed_dictionaries(fields).map(Message)


def patch_numbers(now: Session) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, now.state.painted.remainder.size - 1), max_size=6)


@st.composite
def paste(draw: st.DrawFn, now: Session) -> Message:
    return Message({"revision": draw(revisions(now))})


nothing = st.builds(Message)
MESSAGES: dict[type[messages.Request], Callable[[Session], st.SearchStrategy[Message]]] = {
    messages.Hello: lambda now: nothing,
    messages.Ping: lambda now: nothing,
    messages.Views: lambda now: of(n=st.integers(0, 3)),
    messages.Panels: lambda now: nothing,
    messages.Edit: edit,
    messages.Analyze: analyze,
    messages.Undo: lambda now: nothing,
    messages.Redo: lambda now: nothing,
    messages.Go: lambda now: of(step=steps(now)),
    messages.Retry: lambda now: nothing,
    messages.Palette: palette,
    messages.Search: lambda now: of(
        text=texts | st.sampled_from(("#3", "2", "lion")),
        site=st.sampled_from(("", "up.0.1")),
        concepts=st.booleans(),
    ),
    messages.Icons: icons,
    messages.Original: lambda now: nothing,
    messages.Top: lambda now: of(factor=factors(now), revision=revisions(now)),
    messages.Export: lambda now: of(
        form=st.sampled_from(tuple(MIME)), factor=factors(now), revision=revisions(now)
    ),
    messages.MakeFilm: lambda now: of(step=steps(now), form=st.sampled_from(("gif", "webp"))),
    messages.StopFilm: lambda now: nothing,
    messages.Open: lambda now: scenes(now.state.painted.grid).map(opened),
    messages.Vary: vary,
    messages.BorrowFrom: borrow_source,
    messages.Robustness: lambda now: of(on=st.booleans()),
    messages.Keep: lambda now: of(step=steps(now), name=texts),
    messages.Notes: lambda now: of(prompt=texts, style=texts),
    messages.Copy: lambda now: of(patches=patch_numbers(now)),
    messages.Share: lambda now: of(title=texts),
    messages.Paste: paste,
    messages.Forget: lambda now: of(step=st.none() | steps(now)),
}
"""For each request, the messages that a browser may send now."""

anything = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=3)
    | st.just("x" * 5000)
    | st.just("\ud800")
    | st.lists(st.none() | st.floats(), max_size=3)
    | st.dictionaries(texts, st.integers(), max_size=1)
)


@st.composite
def spoiled(draw: st.DrawFn, message: Message) -> Message:
    """A message with one thing wrong, or hardly wrong, with it."""
    fields, buffers = dict(message.fields), list(message.buffers)
    inner = [name for name in fields if isinstance(fields[name], dict) and fields[name]]
    what = draw(st.sampled_from(("change", "leave out", "add", "buffers", "inside")))
    name = draw(st.sampled_from(sorted(fields))) if fields else "more"
    if what == "inside" and inner:
        where = draw(st.sampled_from(inner))
        fields[where] = dict(fields[where])
        fields[where][draw(st.sampled_from(sorted(fields[where])))] = draw(anything)
    elif what == "leave out":
        fields.pop(name, None)
    elif what == "add":
        fields["more"] = draw(anything)
    elif what == "buffers":
        buffer = bytearray(b"".join(buffers[:1]))
        if buffer:
            buffer[draw(st.integers(0, len(buffer) - 1))] = draw(st.integers(0, 255))
        buffers = draw(st.sampled_from(([], [b""], [*buffers, b"more"], [bytes(buffer), *buffers[1:]])))
    else:
        fields[name] = draw(anything)
    return Message(fields, buffers)
