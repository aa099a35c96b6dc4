"""A factor whose name has as many characters as a name may have can be copied as any other."""

from __future__ import annotations

import pytest

from ember_widgets.painter.refit import reseeded
from ember_widgets.scene.palette import free_name, with_ending
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import MAX_TEXT
from tests.unit.scene.scenes import make_scene

LONG = "狮" * MAX_TEXT


@pytest.fixture
def scene() -> Scene:
    return make_scene(3, n_steps=4).rename(0, LONG)


def test_a_copy_has_a_shorter_name_with_its_number(scene: Scene) -> None:
    copied = scene.duplicate(0).duplicate(0)
    assert copied.names[3:] == (LONG[:-2] + " 2", LONG[:-2] + " 3")
    assert scene.borrow(scene, 0).names[-1] == LONG[:-2] + " 2"
    assert scene.add_factor({1: 1.0}, name=LONG).names[-1] == LONG[:-2] + " 2"


def test_a_layer_has_a_shorter_name_with_its_steps(scene: Scene) -> None:
    painted = scene.paint(0, "left", steps=(2, 4))
    ending = " (steps 3-4)"
    assert painted.names[-1].endswith(ending)
    assert painted.names[-1] == with_ending(LONG, ending)
    assert len(painted.names[-1]) == MAX_TEXT


def test_what_was_painted_at_some_steps_becomes_a_factor_with_a_shorter_name(scene: Scene) -> None:
    layered = scene.set_steps(0, (2, 4)).paint(0, "left")
    names = reseeded(layered, 4, make_scene(3).strengths @ scene.base_basis).names
    assert names[0] == LONG
    assert len(names[-1]) == MAX_TEXT


def test_a_short_name_is_not_cut() -> None:
    assert free_name("lion", ["lion", "lion 2"]) == "lion 3"
    assert free_name(LONG, []) == LONG
