"""Numbers and texts may be numpy's, and a scene made with them can be saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene

N = np.int64
EDITS: dict[str, tuple[Callable[[Scene], Scene], Callable[[Scene], Scene]]] = {
    "paint": (lambda s: s.paint(N(1), [(N(2), N(3))], N(2)), lambda s: s.paint(1, [(2, 3)], 2)),
    "paint an array": (lambda s: s.paint(N(1), np.array([[2, 3]])), lambda s: s.paint(1, [(2, 3)])),
    "erase": (lambda s: s.erase([(N(2), N(3))], N(1)), lambda s: s.erase([(2, 3)], 1)),
    "scale": (lambda s: s.scale(N(0), N(2)), lambda s: s.scale(0, 2)),
    "move": (lambda s: s.move(N(0), N(1), N(-2)), lambda s: s.move(0, 1, -2)),
    "set_weight": (lambda s: s.set_weight(N(0), N(7), N(2)), lambda s: s.set_weight(0, 7, 2)),
    "add_factor": (lambda s: s.add_factor({N(3): N(1)}), lambda s: s.add_factor({3: 1})),
    "borrow": (lambda s: s.borrow(s, N(1)), lambda s: s.borrow(s, 1)),
    "keep_top": (lambda s: s.keep_top(N(0), N(2)), lambda s: s.keep_top(0, 2)),
    "reset_weights": (lambda s: s.reset_weights(N(0)), lambda s: s.reset_weights(0)),
    "duplicate": (lambda s: s.duplicate(N(2)), lambda s: s.duplicate(2)),
    "remove": (lambda s: s.remove(N(0)), lambda s: s.remove(0)),
    "reorder": (lambda s: s.reorder(np.array([2, 0, 1])), lambda s: s.reorder([2, 0, 1])),
    "recolor": (lambda s: s.recolor(N(0), "#112233"), lambda s: s.recolor(0, "#112233")),
    "rename": (lambda s: s.rename(N(0), "air"), lambda s: s.rename(0, "air")),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_takes_numpy_integers(name: str) -> None:
    with_numpy, plain = EDITS[name]
    edited = with_numpy(make_scene())
    assert edited == plain(make_scene())
    assert Scene.from_bytes(edited.to_bytes()) == edited


FIELDS: dict[str, Any] = {
    "seed": 5,
    "n_steps": 2,
    "guidance": 0,
    "edit_steps": (0, 1),
    "origins": (2, 1, -1),
    "factor_ids": (4, 2, 9),
    "next_factor_id": 20,
    "sites": {"down_blocks.2.attentions.1": 5, "up_blocks.0.attentions.1": 3},
}


def as_numpy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: N(item) for key, item in value.items()}
    return tuple(map(N, value)) if isinstance(value, tuple) else N(value)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_takes_numpy_integers(name: str) -> None:
    fields = {"n_steps": 2, name: FIELDS[name]}
    scene = make_scene(**{**fields, name: as_numpy(FIELDS[name])})
    assert scene == make_scene(**fields)
    assert getattr(Scene.from_bytes(scene.to_bytes()), name) == FIELDS[name]


def test_texts_of_numpy_become_plain_ones() -> None:
    S = np.str_
    scene = make_scene(prompt=S("a boat"), style=S("ink"), names=tuple(np.array(["sky", "sea", "boat"])))
    scene = scene.rename(0, S("air")).add_factor({1: 1.0}, S("wind")).restyle(S("oil"))
    assert repr(scene) == (
        "Scene(prompt='a boat', style='oil', seed=3, n_steps=1, names=('air', 'sea', 'boat', 'wind'), "
        "n_features=8)"
    )
    assert {type(text) for text in (scene.prompt, scene.style, *scene.names, *scene.colors)} == {str}


def test_reading_takes_numpy_integers() -> None:
    scene = make_scene(sites=FIELDS["sites"], basis=np.eye(3, 8), base_basis=np.eye(3, 8))
    assert scene.weights(N(0), N(1)) == scene.weights(0, 1)
    assert scene.site(N(0)) == "down_blocks.2.attentions.1"
    assert scene.feature(N(1), "up.0.1") == 6
