"""Layers in real runs: exact where they do not act, and early ones compose where late ones draw details."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ember_widgets import Painter, Scene
from ember_widgets.scene.difference import pixel_change
from tests.pipeline import tiny

BLOCK = [(row, col) for row in range(8, 13) for col in range(2, 7)]


def drawn(painter: Painter, scene: Scene) -> Any:
    return np.asarray(painter.render(scene))


def codes(painter: Painter, scene: Scene, step: int) -> Any:
    return painter.inspect(scene, step=step).codes


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Painter:
    """As base SDXL: guidance, and more than four steps."""
    pipe = tiny.pipeline(tmp_path_factory.mktemp("base"), tiny.base_scheduler())
    return Painter(pipe, tiny.sae(), name="base", guidance=6.0)


@pytest.fixture(scope="module")
def of_eight(base: Painter) -> Scene:
    return base.analyze("a lion in a meadow", seed=1, n_steps=8, n_factors=3)


@pytest.fixture(scope="module")
def of_four(painter: Painter) -> Scene:
    return painter.analyze("a castle and a moon at night", seed=1, n_steps=4)


class TestExactly:
    def test_an_unedited_scene_is_the_unedited_picture_whatever_its_steps(
        self, painter: Painter, of_four: Scene, base: Painter, of_eight: Scene
    ) -> None:
        for own, scene in ((painter, of_four), (base, of_eight)):
            layered = scene.set_steps(0, (2, 4)).set_steps(1, (0, 1), mode="add")
            assert np.array_equal(drawn(own, layered), drawn(own, scene))

    def test_before_its_steps_a_run_is_the_same_bit_by_bit(
        self, painter: Painter, of_four: Scene, base: Painter, of_eight: Scene
    ) -> None:
        for own, scene in ((painter, of_four), (base, of_eight)):
            below = scene.scale(1, 1.5)
            layered = below.paint(0, BLOCK, 1.5, steps=(2, 3))
            for step in (0, 1):
                assert np.array_equal(codes(own, layered, step), codes(own, below, step))
            for step in (2, 3):
                assert not np.array_equal(codes(own, layered, step), codes(own, below, step))

    @pytest.mark.parametrize(("steps", "mode"), [((0, 2), "over"), ((2, 4), "add"), ((3, 8), "over")])
    def test_with_nothing_else_edited_it_is_an_edit_at_those_steps(
        self, base: Painter, of_eight: Scene, steps: tuple[int, int], mode: Any
    ) -> None:
        layered = of_eight.paint(0, BLOCK, steps=steps, mode=mode)
        plain = of_eight.duplicate(0).paint(3, BLOCK, mode=mode).replace(edit_steps=steps)
        assert np.array_equal(drawn(base, layered), drawn(base, plain))
        assert not np.array_equal(drawn(base, layered), drawn(base, of_eight))

    def test_both_ranges_have_to_hold(self, base: Painter, of_eight: Scene) -> None:
        layered = of_eight.replace(edit_steps=(0, 4)).paint(0, BLOCK, steps=(3, 8))
        assert np.array_equal(drawn(base, layered), drawn(base, of_eight.paint(0, BLOCK, steps=(3, 4))))

    def test_beyond_the_pictures_steps_it_does_nothing(self, painter: Painter, of_four: Scene) -> None:
        late = of_four.paint(0, BLOCK, steps=(2, 4)).replace(n_steps=2)
        assert np.array_equal(drawn(painter, late), drawn(painter, of_four.replace(n_steps=2)))


def test_an_inspection_compares_with_what_acts_at_its_step(painter: Painter, of_four: Scene) -> None:
    layered = of_four.paint("castle", BLOCK, steps=(2, 4))
    early = painter.inspect(layered, step=0)
    assert early.unexplained(by_factors=True).any()
    assert np.array_equal(
        early.unexplained(by_factors=True), painter.inspect(of_four, step=0).unexplained(by_factors=True)
    )
    assert painter.inspect(layered, step=3).explained(BLOCK, by_factors=True) > 0.9


def test_a_layer_is_previewed_at_its_steps(painter: Painter, of_four: Scene) -> None:
    layered = of_four.paint(0, BLOCK, steps=(2, 4))
    assert painter.previews(of_four.scale(0, 1.5))
    assert not painter.previews(layered)
    assert np.array_equal(np.asarray(painter.render(layered, preview=True)), drawn(painter, layered))


def test_other_seeds_and_factors_keep_layers(painter: Painter, of_four: Scene) -> None:
    layered = of_four.paint("moon", BLOCK, steps=(2, 4))
    for other in (painter.reseed(layered, 9), painter.refit(layered, 3)):
        assert other.names[-1] == "moon (steps 3-4)"
        assert (other.factor_steps or ())[-1] == (2, 4)
        assert not np.array_equal(drawn(painter, other), drawn(painter, other.remove(other.n_factors - 1)))


def test_a_late_stroke_leaves_the_composition_and_an_early_one_does_not(painter: Painter) -> None:
    """A house painted at the last two of four steps appears in its place, and changes little elsewhere."""
    house = painter.analyze("a red house in a snowy field", seed=1)
    edited = np.zeros((16, 16), bool)
    edited[tuple(np.transpose(BLOCK))] = True
    changes: dict[str, list[tuple[float, float]]] = {"early": [], "late": []}
    for prompt in ("a lion in a meadow", "a castle and a moon at night", "a tree in a field"):
        for seed in (1, 2, 3):
            scene = painter.analyze(prompt, seed=seed, n_steps=4).borrow(house, "house")
            before = drawn(painter, scene)
            for name, steps in (("early", (0, 2)), ("late", (2, 4))):
                painted = scene.paint("house", BLOCK, steps=steps)
                change = pixel_change(before, drawn(painter, painted), edited)
                assert change is not None
                changes[name].append(change)
    early, late = np.mean(changes["early"], axis=0), np.mean(changes["late"], axis=0)
    assert late[0] > 10
    assert late[1] < 0.6 * early[1]
