"""An edit on other seeds, with the embedded model."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ember_widgets import Painter, Scene
from ember_widgets.painter.robustness import VISIBLE
from ember_widgets.scene.difference import beyond_patches
from ember_widgets.util.cancelled import Cancelled

HILL = [(row, col) for row in range(9, 14) for col in range(6, 11)]


def pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image, np.int16)


@pytest.fixture(scope="module")
def scene(painter: Painter) -> Scene:
    """A lion in a meadow, and a castle to paint with."""
    return painter.analyze("a lion in a meadow", seed=3).borrow(
        painter.analyze("a castle on a hill", seed=3), "castle"
    )


def test_a_painted_castle_takes_on_other_seeds(painter: Painter, scene: Scene) -> None:
    result = painter.robustness(scene.paint("castle", HILL))
    assert result.n_changed == len(result.seeds) == 8
    assert result.effect.low > 1
    assert result.beyond is not None
    assert result.beyond.high < 1
    assert result.selectivity is not None
    assert result.selectivity.low > 1
    assert result.changed[11, 8] == 8
    assert result.unedited.shape == result.edited.shape == (8, 128, 128, 3)


def test_a_stroke_of_hardly_any_strength_does_not(painter: Painter, scene: Scene) -> None:
    result = painter.robustness(scene.paint("castle", HILL, 0.05, mode="add"))
    assert result.n_changed == 0
    assert -0.01 < result.effect.low <= result.effect.high < 0.01


def test_a_factor_does_more_than_directions_that_are_no_feature(painter: Painter, scene: Scene) -> None:
    """As a check of the measure: all features with random weights, as long together as the castle.

    The dictionary is small and fills most of its space: such mixtures show something too, but most show less.
    """
    castle = painter.robustness(scene.paint("castle", HILL, mode="add"), 8)
    W_dec = painter.model.saes[scene.model["site"]].W_dec.cpu().numpy()
    length = np.linalg.norm(scene.basis[-1] @ W_dec)
    random = np.random.default_rng(0)
    effects = []
    for _ in range(9):
        weights = random.normal(size=scene.n_features).astype(np.float32)
        row = weights * length / np.linalg.norm(weights @ W_dec)
        basis = np.concatenate([scene.basis[:-1], row[None]])
        other = scene.replace(basis=basis).paint("castle", HILL, mode="add")
        effects.append(painter.robustness(other, 8).effect.value)
    assert np.median(effects) < castle.effect.value * 3 / 4


def test_each_seed_keeps_its_own_picture_beside_the_edit(painter: Painter, scene: Scene) -> None:
    edited = scene.paint("castle", HILL)
    result = painter.robustness(edited, [5, 6])
    for s, one in enumerate(result.scenes):
        assert one == painter.reseed(edited, one.seed, edit_only=True)
        own = painter.render(painter.analyze(scene.prompt, seed=one.seed))
        np.testing.assert_array_equal(pixels(painter.render(one.original())), pixels(own))
        small = own.resize((128, 128), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(result.unedited[s], np.asarray(small))
    without = painter.reseed(scene, 5, edit_only=True)
    np.testing.assert_array_equal(
        pixels(painter.render(without)), pixels(painter.render(painter.analyze(scene.prompt, seed=5)))
    )
    assert painter.reseed(edited, edited.seed, edit_only=True) is edited
    assert painter.robustness(edited, [edited.seed, 5]).scenes[0] is edited


def test_patches_beyond_an_edit_stay_below_what_counts_as_changed(painter: Painter, scene: Scene) -> None:
    """Where the threshold comes from."""
    edits = (
        scene.paint("castle", HILL),
        scene.paint("grass", [(row, col) for row in range(2, 6) for col in range(2, 6)]),
        scene.move("lion", -2, -3),
        scene.scale("lion", 0.5),
        scene.erase("centre"),
    )
    beyond = []
    for edited in edits:
        result = painter.robustness(edited, 4)
        for change, patches in zip(result.change, result.edited_patches, strict=True):
            beyond.extend(change[beyond_patches(patches)])
    assert np.mean(np.array(beyond) < VISIBLE) > 0.98


def test_the_same_call_gives_the_same_numbers(painter: Painter, scene: Scene) -> None:
    edited = scene.paint("castle", HILL)
    first, second = painter.robustness(edited, 3), painter.robustness(edited, 3)
    assert (first.effect, first.beyond) == (second.effect, second.beyond)
    np.testing.assert_array_equal(first.change, second.change)


def test_the_start_of_the_picture_that_is_painted_is_kept(painter: Painter, scene: Scene) -> None:
    """Ten other seeds would push it out, and the next stroke would have to compute it again."""
    edited = scene.paint("castle", HILL)
    painter.render(edited)
    kept = dict(painter.model.starts._kept)
    painter.robustness(edited, 10)
    assert dict(painter.model.starts._kept) == kept
    assert painter.model.starts._last is None


def test_it_is_cancelled_between_pictures(painter: Painter, scene: Scene) -> None:
    told: list[int] = []
    with pytest.raises(Cancelled):
        painter.robustness(
            scene.paint("castle", HILL),
            on_seed=lambda trial: told.append(trial.scene.seed),
            cancelled=lambda: len(told) == 2,
        )
    assert told == [4, 5]
    assert painter.model.starts._last is None


def test_steps_and_a_style_are_carried(painter: Painter, scene: Scene) -> None:
    edited = scene.replace(n_steps=2).restyle("as pixel art").paint("castle", HILL)
    result = painter.robustness(edited, 2)
    assert {(one.n_steps, one.style) for one in result.scenes} == {(2, "as pixel art")}
    assert result.n_changed == 2


def test_on_a_photograph_another_seed_is_other_noise(painter: Painter) -> None:
    photo = painter.render(painter.analyze("a lion in a meadow", seed=3))
    scene = painter.analyze("", image=photo, image_strength=0.5, n_steps=2, seed=7)
    result = painter.robustness(scene.scale(0, 0.2), 2)
    for one in result.scenes:
        np.testing.assert_array_equal(one.image, scene.image)
    assert result.seeds == (8, 9)
    assert not np.array_equal(result.unedited[0], result.unedited[1])


def test_a_blank_canvas_is_compared_with_an_empty_one(painter: Painter, scene: Scene) -> None:
    blank = painter.blank(seed=4).borrow(scene, "castle")
    result = painter.robustness(blank.paint("castle", HILL), 2)
    assert result.edited_patches.sum(axis=(1, 2)).tolist() == [25, 25]
    empty = painter.render(blank.replace(seed=5)).resize((128, 128), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(result.unedited[0], np.asarray(empty))
    assert result.n_changed == 2
    with pytest.raises(ValueError, match="this canvas is empty"):
        painter.robustness(blank)


def test_factors_of_a_later_site_are_tried_too() -> None:
    painter = Painter.embedded(sites=("down.2.1", "up.0.1"))
    scene = painter.analyze("a lion in a meadow", seed=3, n_factors={"down.2.1": 3, "up.0.1": 2})
    result = painter.robustness(scene.paint(3, HILL, 3.0), 2)
    assert result.edited_patches.sum(axis=(1, 2)).tolist() == [25, 25]
    assert result.effect.value > 0


def test_a_scene_of_another_model_is_refused(painter: Painter, scene: Scene) -> None:
    other = scene.replace(model={**scene.model, "sae": "another"}).paint("castle", HILL)
    with pytest.raises(ValueError, match="this scene was made with SAE 'another'"):
        painter.robustness(other)
