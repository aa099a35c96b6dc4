"""A model of 768 px has 24×24 patches at the site, and all is as with 16×16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ember_widgets import Painter, Scene
from ember_widgets.scene.grid import Grid
from tests.pipeline import tiny

PROMPT, SEED = "a lion in a meadow", 3
SITE = tiny.SITES["down.2.1"]


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny.pipeline(tmp_path_factory.mktemp("large"), sample_size=96)


@pytest.fixture(scope="module")
def painter(pipe: Any) -> Painter:
    return Painter(pipe, tiny.sae(), name="large")


@pytest.fixture(scope="module")
def scene(painter: Painter) -> Scene:
    return painter.analyze(PROMPT, seed=SEED, n_factors=3)


def pixels(painter: Painter, scene: Scene) -> NDArray[np.uint8]:
    return np.asarray(painter.render(scene))


def plain(pipe: Any, n_steps: int = 1) -> NDArray[np.uint8]:
    generator = torch.Generator("cpu").manual_seed(SEED)
    made = pipe(PROMPT, num_inference_steps=n_steps, guidance_scale=0.0, generator=generator)
    return np.asarray(made.images[0])


def test_a_painter_and_its_scenes_have_24_by_24_patches(painter: Painter, scene: Scene) -> None:
    assert painter.grid == Grid(24, 24)
    assert scene.strengths.shape == (24, 24, 3)
    assert painter.activations(scene).shape == (24, 24, painter.n_features)
    assert painter.blank().remainder.shape == (24, 24)


@pytest.mark.parametrize("n_steps", [1, 2])
def test_unedited_it_is_the_pipelines_own_picture(pipe: Any, painter: Painter, n_steps: int) -> None:
    scene = painter.analyze(PROMPT, seed=SEED, n_steps=n_steps, n_factors=3)
    picture = pixels(painter, scene)
    assert picture.shape == (768, 768, 3)
    assert np.array_equal(picture, plain(pipe, n_steps))


@pytest.mark.parametrize("n_steps", [1, 2])
def test_edited_it_is_a_forward_hook(pipe: Any, painter: Painter, n_steps: int) -> None:
    scene = painter.analyze(PROMPT, seed=SEED, n_steps=n_steps, n_factors=3)
    edited = scene.paint(0, [(20, 22), (23, 23)], 4.0, mode="add").scale(1, 2.0)
    moved = torch.tensor(edited.strengths - scene.base_strengths).view(576, -1)
    change = (moved @ (torch.tensor(edited.basis) @ painter.saes[SITE].W_dec)).T.reshape(1, -1, 24, 24)

    def hook(module: Any, args: Any, output: Any) -> Any:
        return (output[0] + change,)

    handle = pipe.unet.get_submodule(SITE).register_forward_hook(hook)
    try:
        wanted = plain(pipe, n_steps)
    finally:
        handle.remove()
    found = pixels(painter, edited)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert np.abs(found.astype(int) - plain(pipe, n_steps)).max() > 10


def test_moving_carries_strengths_over_the_whole_grid(painter: Painter, scene: Scene) -> None:
    moved = scene.scale(0, 0.0).paint(0, [(2, 3)], 2.0).move(0, 20, 20)
    assert moved.strengths[22, 23, 0] == 2.0
    assert not np.array_equal(pixels(painter, moved), pixels(painter, scene))


def test_a_saved_scene_is_the_same_scene(painter: Painter, scene: Scene, tmp_path: Path) -> None:
    edited = scene.paint(0, "left", 2.0).erase("floor")
    edited.save(tmp_path / "scene.json")
    edited.save(tmp_path / "scene.png", painter.render(edited))
    for name in ("scene.json", "scene.png"):
        loaded = Scene.load(tmp_path / name)
        assert loaded == edited
        assert np.array_equal(pixels(painter, loaded), pixels(painter, edited))


def test_every_patch_is_inspected(painter: Painter, scene: Scene) -> None:
    inspection = painter.inspect(scene)
    assert np.array_equal(inspection.codes, painter.activations(scene))
    assert inspection.counts.shape == inspection.unexplained().shape == (24, 24)
    assert inspection.explained([(23, 23)]) <= 1
    assert inspection.missed_by_factors is not None


def test_other_factors_seeds_icons_and_photographs(painter: Painter, scene: Scene) -> None:
    assert np.array_equal(pixels(painter, painter.refit(scene, 4)), pixels(painter, scene))
    assert painter.reseed(scene, 4).base_strengths.shape == (24, 24, 3)
    assert painter.icon(5).size == (768, 768)
    photograph = painter.analyze(image=np.full((64, 64, 3), 99, np.uint8), n_factors=2)
    assert photograph.image is not None
    assert photograph.image.shape == (4, 96, 96)


def test_a_scene_of_16_by_16_patches_is_refused(painter: Painter, scene: Scene, tmp_path: Path) -> None:
    small = Painter(tiny.pipeline(tmp_path), tiny.sae(), name="large")
    with pytest.raises(ValueError, match="this scene has 24×24 patches, but this painter's model has 16×16"):
        small.render(scene)


def load(folder: Path) -> Painter:
    return Painter.from_pretrained(
        folder, sae=tiny.sae(), device="cpu", dtype="float32", local_files_only=True
    )


def saved(folder: Path, sample_size: Any) -> Path:
    pipe = tiny.pipeline(folder / "tokenizer")
    pipe.unet.register_to_config(sample_size=sample_size)
    pipe.save_pretrained(folder / "model")
    return folder / "model"


@pytest.mark.parametrize(("sample_size", "side"), [(96, 24), (128, 16), (64, 16), (32, 8)])
def test_a_folder_is_opened_at_its_own_size_and_base_at_512_px(
    tmp_path: Path, sample_size: int, side: int
) -> None:
    painter = load(saved(tmp_path, sample_size))
    assert painter.grid == Grid(side, side)
    assert painter.render(painter.analyze(n_factors=2)).size == (32 * side, 32 * side)


@pytest.mark.parametrize("sample_size", [66, [64, 96], 0])
def test_sizes_that_cannot_be_halved_twice_are_refused(tmp_path: Path, sample_size: Any) -> None:
    with pytest.raises(ValueError, match=r"is configured with sample_size=.*; give one whole number that is"):
        load(saved(tmp_path, sample_size))


def test_sites_of_two_grids_are_refused(pipe: Any) -> None:
    with pytest.raises(
        ValueError, match="down_blocks.2.attentions.1 works on 24×24 patches, but down_blocks.1"
    ):
        Painter(pipe, {"down.2.1": tiny.sae(), "down_blocks.1.attentions.0": narrow()}, name="x")


def test_a_site_of_a_finer_grid_alone_is_steered(pipe: Any) -> None:
    painter = Painter(pipe, narrow(), name="x")
    scene = painter.analyze(PROMPT, seed=SEED, n_factors=2)
    assert scene.strengths.shape == (48, 48, 2)
    assert np.array_equal(pixels(painter, scene), plain(pipe))


def narrow() -> Any:
    wide = tiny.sae("down_blocks.1.attentions.0")
    return tiny.sae(
        "down_blocks.1.attentions.0", W_enc=wide.W_enc[:32], W_dec=wide.W_dec[:, :32], b_dec=wide.b_dec[:32]
    )
