"""Any scene that is valid, small."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ember_widgets.features.concepts import Concept
from ember_widgets.scene import site_names
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.scene_edit import SceneEdit
from ember_widgets.scene.steps import Steps

Draw = st.DrawFn

texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
shares = st.floats(0, 1, width=32) | st.just(-0.0)
colors = st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True)
sites = st.sampled_from((*site_names.ALIASES.values(), *site_names.ALIASES)) | st.text(max_size=6)


def names(count: int) -> st.SearchStrategy[tuple[str, ...]]:
    """So many names, all different."""
    name = texts.filter(str.strip)
    return st.lists(name, min_size=count, max_size=count, unique=True).map(tuple)


def floats(elements: st.SearchStrategy[float], *shape: int) -> st.SearchStrategy[Any]:
    """An array of float32."""
    return arrays.arrays(np.float32, shape, elements=elements, fill=elements)


def concepts(scene: Scene) -> st.SearchStrategy[Concept]:
    """A concept of a site of the scene and of its SAE, or of others."""
    saes = scene.model.get("sae", "").split(",")
    return st.sampled_from(range(len(scene.space.sites))).flatmap(
        lambda i: st.builds(
            Concept,
            name=texts,
            row=floats(st.floats(0, 4, width=32), scene.space.sizes[i]),
            stability=st.just(1.0),
            site=st.just(scene.space.sites[i]) | texts,
            sae=st.sampled_from((*saes, "other")),
        )
    )


@st.composite
def factor_steps(draw: Draw) -> Steps | None:
    """The steps of one factor, within the picture's or not."""
    if draw(st.booleans()):
        return None
    start = draw(st.integers(0, 5))
    stop = draw(st.integers(start + 1, 8))
    return (start, stop, "add") if draw(st.booleans()) else (start, stop)


@st.composite
def scenes(draw: Draw) -> Scene:
    """A scene of any grid, number of factors and features, with any of the optional fields."""
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    n_factors, n_base, n_features = draw(st.integers(0, 3)), draw(st.integers(0, 3)), draw(st.integers(0, 5))
    guidance = draw(st.sampled_from((0.0, 1.0)) | st.floats(0, 50))
    n_steps = draw(st.integers(1, 100 if guidance > 1 else 4))
    fields: dict[str, Any] = {
        "prompt": draw(texts),
        "style": draw(st.just("") | texts),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "n_steps": n_steps,
        "guidance": guidance,
        "strengths": draw(floats(numbers, rows, cols, n_factors)),
        "remainder": draw(floats(shares, rows, cols)),
        "basis": draw(floats(numbers, n_factors, n_features)),
        "names": draw(names(n_factors)),
        "colors": tuple(draw(st.lists(colors, min_size=n_factors, max_size=n_factors))),
        "base_strengths": draw(floats(numbers, rows, cols, n_base)),
        "base_basis": draw(floats(numbers, n_base, n_features)),
        "unit": draw(floats(st.floats(2**-100, 2**100, width=32), n_features)),
        "model": draw(st.dictionaries(texts | st.just("site"), texts, max_size=3)),
        "image_strength": draw(st.just(0.5) | st.floats(0.05, 1)),
    }
    if n_base > n_factors or draw(st.booleans()):
        origins = st.integers(-1, n_base - 1)
        fields["origins"] = tuple(draw(st.lists(origins, min_size=n_factors, max_size=n_factors)))
    if draw(st.booleans()):
        start = draw(st.integers(0, n_steps - 1))
        fields["edit_steps"] = (start, draw(st.integers(start + 1, n_steps)))
    if draw(st.booleans()):
        fields["factor_steps"] = draw(st.lists(factor_steps(), min_size=n_factors, max_size=n_factors))
    if draw(st.booleans()):
        shape = [draw(st.integers(0, 3)) for _ in range(3)]
        fields["image"] = draw(floats(numbers, *shape))
    if n_features >= 2 and draw(st.booleans()):
        cut = draw(st.integers(1, n_features - 1))
        first, second = draw(st.lists(sites, min_size=2, max_size=2, unique=True))
        fields["sites"] = {first: cut, second: n_features - cut}
    if draw(st.booleans()):
        id_ = st.integers(0, 9) | st.integers(2**53 - 2, 2**53 - 1)
        ids = draw(st.lists(id_, min_size=n_factors, max_size=n_factors, unique=True))
        fields["factor_ids"] = tuple(ids)
        fields["next_factor_id"] = draw(st.none() | st.integers(max(ids, default=-1) + 1, 2**53))
    return Scene(**fields)


def all_edits(scene: Scene) -> SceneEdit:
    """All that was done to a scene; nothing where there are no ids left for the original's factors."""
    try:
        return scene - scene.original()
    except ValueError:
        return scene - scene


def copied_patches(scene: Scene) -> st.SearchStrategy[SceneEdit]:
    """What any patches of a scene hold."""
    patch = st.tuples(st.integers(0, scene.grid.rows - 1), st.integers(0, scene.grid.cols - 1))
    return st.lists(patch, min_size=1, max_size=8).map(scene.copy_patches)


@st.composite
def edits(draw: Draw, scene: Scene) -> tuple[str, dict[str, Any]]:
    """One of a scene's verbs and its arguments, which need not fit."""
    factor = st.sampled_from(scene.names or ("none",)) | st.integers(0, max(scene.n_factors - 1, 0))
    patch = st.tuples(st.integers(0, scene.grid.rows - 1), st.integers(0, scene.grid.cols - 1))
    patches = st.lists(patch, max_size=8) | st.sampled_from(tuple(scene.grid.areas))
    shift = st.integers(-4, 4)
    feature = st.integers(0, max(scene.n_features - 1, 0))
    amount = st.floats(-4, 4)
    every = list(range(scene.n_factors))
    steps = st.tuples(st.integers(0, 4), st.integers(0, 5))
    verbs: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "paint": {
            "factor": factor,
            "patches": patches,
            "strength": amount,
            "opacity": st.floats(0, 1),
            "mode": st.sampled_from(("over", "add")),
            "steps": st.none() | steps,
        },
        "set_steps": {
            "factor": factor,
            "steps": st.none() | steps,
            "mode": st.sampled_from((None, "over", "add")),
        },
        "at_step": {"step": st.integers(0, 5)},
        "erase": {"patches": patches, "factor": st.none() | factor, "heal": st.booleans()},
        "move": {"factor": factor, "d_row": shift, "d_col": shift, "patches": st.none() | patches},
        "scale": {"factor": factor, "gain": amount, "patches": st.none() | patches},
        "set_weight": {"factor": factor, "feature": feature, "weight": amount},
        "reset_weights": {"factor": factor},
        "keep_top": {"factor": factor},
        "add_factor": {
            "features": st.dictionaries(feature, amount, max_size=2) | concepts(scene),
            "name": st.none() | texts,
        },
        "duplicate": {"factor": factor},
        "remove": {"factor": factor},
        "rename": {"factor": factor, "name": texts},
        "recolor": {"factor": factor, "color": colors},
        "reorder": {"order": st.permutations(every)},
        "borrow": {"other": st.just(scene), "factor": factor},
        "restyle": {"style": texts},
        "original": {},
        "apply": {"edit": st.builds(all_edits, st.just(scene)) | copied_patches(scene)},
    }
    verb = draw(st.sampled_from(tuple(verbs)))
    return verb, {name: draw(strategy) for name, strategy in verbs[verb].items()}


def edited(scene: Scene, verb: str, arguments: dict[str, Any]) -> Scene:
    """The scene after an edit; the same if the edit is refused."""
    try:
        after: Scene = getattr(scene, verb)(**arguments)
    except (TypeError, ValueError):
        return scene
    return after
