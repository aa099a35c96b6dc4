"""Style, other factors and other seeds on the embedded model; nothing here leans on what it has learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ember_widgets import Painter, Scene
from ember_widgets.model.runs import Run


def pixels(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image, np.int16)


@pytest.fixture(scope="module")
def scene(painter: Painter) -> Scene:
    return painter.analyze("a sun and a pine in the snow", seed=30)


def test_a_style_changes_the_picture_and_not_what_is_found_in_it(painter: Painter, scene: Scene) -> None:
    styled = painter.analyze(scene.prompt, seed=30, style="as pixel art")
    assert styled == scene.restyle("as pixel art")
    assert np.abs(pixels(painter.render(styled)) - pixels(painter.render(scene))).mean() > 1
    np.testing.assert_array_equal(painter.activations(styled), painter.activations(scene))


def test_the_prompt_itself_as_style_changes_nothing(painter: Painter, scene: Scene) -> None:
    backbone = painter.backbone
    start = backbone.start(Run(scene.prompt, scene.seed, 2))

    def leave(step: int, state: object) -> torch.Tensor:
        return state.hidden_out  # type: ignore[attr-defined,no-any-return]

    plain = backbone.run(start, leave)
    assert torch.equal(plain, backbone.run(start, leave, style=backbone.words(scene.prompt)))


def test_other_factors_leave_an_unedited_picture_bit_equal(painter: Painter, scene: Scene) -> None:
    for n_factors in (1, 3, 16):
        refit = painter.refit(scene, n_factors)
        assert refit.n_factors <= n_factors
        np.testing.assert_array_equal(pixels(painter.render(refit)), pixels(painter.render(scene)))


def test_other_factors_keep_what_was_painted(painter: Painter, scene: Scene) -> None:
    moved = scene.move(2, 0, -4)
    refit = painter.refit(moved, 8)
    change = np.abs(pixels(painter.render(moved)) - pixels(painter.render(scene))).mean()
    left = np.abs(pixels(painter.render(refit)) - pixels(painter.render(moved))).mean()
    assert left < change / 2


def test_another_seed_gives_the_painting_and_not_that_seeds_own_picture(
    painter: Painter, scene: Scene
) -> None:
    other = painter.reseed(scene, 31)
    picture = pixels(painter.render(other))
    assert (
        np.abs(picture - pixels(painter.render(scene))).mean()
        < np.abs(picture - pixels(painter.render(painter.analyze(scene.prompt, seed=31)))).mean()
    )
    np.testing.assert_array_equal(
        pixels(painter.render(other.original())),
        pixels(painter.render(painter.analyze(scene.prompt, seed=31))),
    )
    assert painter.reseed(scene, 30) is scene


def test_a_sweep_is_a_sheet_of_pictures(painter: Painter, scene: Scene) -> None:
    sheet = painter.sweep(scene, 0, (0.0, 1.0), seeds=(30,), side=64)
    assert sheet.mode == "RGB"
    right = sheet.crop((sheet.width - 72, sheet.height - 72, sheet.width - 8, sheet.height - 8))
    alone = painter.render(scene).resize((64, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(pixels(right), pixels(alone))


def test_a_sweep_of_nothing_or_of_too_much_is_refused(painter: Painter, scene: Scene) -> None:
    for gains, seeds in (((), (1,)), ((1.0,), ()), ((1.0,) * 21, range(20))):
        with pytest.raises(ValueError, match="give at least one of each, and 400 pictures at most"):
            painter.sweep(scene, 0, gains, seeds=seeds)
    with pytest.raises(TypeError, match=r"gains=1.5 is not a list; give one number or more"):
        painter.sweep(scene, 0, 1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seeds=5 is not a list; give one seed or more"):
        painter.sweep(scene, 0, seeds=5)  # type: ignore[arg-type]


def test_a_scene_of_another_sae_is_refused(painter: Painter, scene: Scene) -> None:
    foreign = dataclasses.replace(scene, model={**scene.model, "sae": "other"})
    with pytest.raises(ValueError, match="this scene was made with SAE 'other'"):
        painter.refit(foreign, 3)
    for seed in (1, foreign.seed):
        with pytest.raises(ValueError, match="this scene was made with SAE 'other'"):
            painter.reseed(foreign, seed)


@pytest.mark.parametrize(
    "call",
    [
        lambda painter, scene: painter.previews(scene),
        lambda painter, scene: painter.activations(scene),
        lambda painter, scene: painter.reseed(scene, 1),
        lambda painter, scene: painter.sweep(scene, 0),
        lambda painter, scene: painter.refit(scene, 3),
        lambda painter, scene: painter.render(scene),
    ],
)
def test_no_scene_is_refused(painter: Painter, call: Callable[[Painter, object], object]) -> None:
    with pytest.raises(TypeError, match="^scene=None is not a Scene; make one with painter.analyze"):
        call(painter, None)


def test_icons_are_drawn_of_a_list_and_a_result_is_compared_with_another(
    painter: Painter, scene: Scene
) -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="^features=5 is not a list; give feature indices"):
        painter.draw_icons(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^before=None is not an Inspection; give painter.inspect\(scene\)"):
        painter.inspect(scene).change(nothing)
    with pytest.raises(ValueError, match="^n_factors names no site, but this painter steers down_blocks.2"):
        painter.analyze("a sun", n_factors={})
    with pytest.raises(ValueError, match="^n_factors names down_blocks.2.attentions.1 twice; give one"):
        painter.analyze("a sun", n_factors={"down.2.1": 5, "down_blocks.2.attentions.1": 2})
    with pytest.raises(TypeError, match="^a site of n_factors=0 is not text; give a str"):
        painter.analyze("a sun", n_factors={0: 5})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="^1 gain × no seeds: give at least one of each, and 400 pictures"):
        painter.sweep(scene, 0, [1.0], seeds=[])
    with pytest.raises(ValueError, match=r"^side=900 is outside 1\.\.819; it is the width of each of 400"):
        painter.sweep(scene, 0, [1.0] * 20, seeds=range(20), side=900)


def test_float16_draws_the_same_picture(painter: Painter, scene: Scene) -> None:
    half = Painter.embedded(dtype="float16")
    difference = np.abs(
        pixels(half.render(half.analyze(scene.prompt, seed=30))) - pixels(painter.render(scene))
    )
    assert difference.mean() < 1
