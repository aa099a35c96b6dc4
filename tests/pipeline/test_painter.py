"""Painter: what steering does to the picture, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import ember_widgets as ember
from ember_widgets import Painter, Scene
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.model.sdxl.staged_unet import StagedUNet


def pixels(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image, np.float64)


def change(before: Image.Image, after: Image.Image) -> NDArray[np.float64]:
    """Mean absolute change per patch, (16, 16), of 255."""
    size = before.width // 16
    difference = np.abs(pixels(after) - pixels(before)).mean(-1)
    per_patch: NDArray[np.float64] = difference.reshape(16, size, 16, size).mean((1, 3))
    return per_patch


@pytest.fixture(scope="module")
def scene(painter: Painter) -> Scene:
    return painter.analyze("a lion in a meadow", seed=3)


def test_render_gives_an_rgb_picture_of_the_models_size(painter: Painter, scene: Scene) -> None:
    image = painter.render(scene)
    assert (image.size, image.mode) == ((256, 256), "RGB")


def test_analyze_is_deterministic(painter: Painter, scene: Scene) -> None:
    assert painter.analyze("a lion in a meadow", seed=3) == scene


def test_factors_explain_most_of_the_codes(painter: Painter, scene: Scene) -> None:
    codes = painter.activations(scene)
    made = scene.base_strengths @ scene.base_basis
    assert codes.shape == (16, 16, scene.n_features)
    assert codes.min() >= 0
    assert ((codes - made) ** 2).sum() < 0.35 * (codes**2).sum()


def test_factors_are_named_after_their_features_labels(scene: Scene) -> None:
    assert any("lion" in name for name in scene.names)
    assert any("grass" in name for name in scene.names)


def test_zero_strength_ablates_the_factor(painter: Painter, scene: Scene) -> None:
    lion = next(name for name in scene.names if "lion" in name)
    region = scene.strengths[..., scene.names.index(lion)] > 0.5
    without = painter.render(scene.scale(lion, 0).erase(region, lion))
    by_hand = painter.render(scene.erase(np.ones((16, 16), bool), lion))
    assert np.array_equal(pixels(without), pixels(by_hand))
    changed = change(painter.render(scene), without)
    assert changed[region].mean() > 4 * changed[~region].mean()


def test_a_scene_edited_and_edited_back_renders_as_before(painter: Painter, scene: Scene) -> None:
    there = scene.set_weight(0, 7, 1.0).add_factor({5: 1.0})
    back = there.set_weight(0, 7, scene.weights(0).get(7, 0.0))
    assert np.array_equal(pixels(painter.render(back)), pixels(painter.render(scene)))


def test_painting_changes_the_picture_where_it_is_painted(painter: Painter, scene: Scene) -> None:
    lion = next(name for name in scene.names if "lion" in name)
    patch = np.zeros((16, 16), bool)
    _row, _col = np.argwhere(scene.strengths[..., scene.names.index(lion)] < 0.05)[0]
    rows, cols = np.mgrid[:16, :16]
    free = scene.strengths[..., scene.names.index(lion)].sum(0)
    left = free[:8].sum() < free[8:].sum()
    patch = (rows - 10.5) ** 2 + (cols - (3 if left else 12)) ** 2 <= 7
    changed = change(painter.render(scene), painter.render(scene.paint(lion, patch)))
    far = (np.abs(cols - (3 if left else 12)) > 6) | (np.abs(rows - 10.5) > 6)
    assert changed[patch].mean() > 5 * changed[far].mean()


def test_a_blank_canvas_shows_nothing_of_the_seed(painter: Painter) -> None:
    first, second = (pixels(painter.render(painter.blank(seed=seed))) for seed in (0, 1))
    assert np.abs(first - second).mean() < 6


def test_erasing_all_of_a_scene_leaves_the_blank_canvas(painter: Painter, scene: Scene) -> None:
    erased = painter.render(scene.erase(np.ones((16, 16), bool)))
    blank = painter.render(painter.blank(scene.prompt, seed=scene.seed))
    assert np.abs(pixels(erased) - pixels(blank)).mean() < 1


def test_what_was_saved_renders_as_before(painter: Painter, scene: Scene, tmp_path: Path) -> None:
    edited = scene.scale(0, 1.5).paint(1, [(1, 1)])
    edited.save(tmp_path / "scene.json")
    again = painter.render(Scene.load(tmp_path / "scene.json"))
    assert np.array_equal(pixels(again), pixels(painter.render(edited)))


def test_an_icon_is_the_feature_on_a_blank_canvas(painter: Painter, scene: Scene) -> None:
    feature = next(iter(scene.weights(0, top=1)))
    blank = painter.render(painter.blank())
    changed = change(blank, painter.icon(feature))
    assert changed[6:10, 6:10].mean() > 3 * changed[:2].mean()


def test_only_the_first_render_of_a_start_runs_what_precedes_the_site(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("prefix", "_rest"):
        kind = StagedUNet if name == "prefix" else Sampler
        plain = getattr(kind, name)

        def counted(*given: Any, name: str = name, plain: Any = plain) -> Any:
            calls.append(name)
            return plain(*given)

        monkeypatch.setattr(kind, name, counted)
    fresh = painter.analyze("a lion in a meadow", seed=77)
    for strength in (1.0, 1.1, 1.2):
        painter.render(fresh.scale(0, strength))
    assert calls == ["prefix", "_rest", "_rest", "_rest"]


BAD_CALLS: list[tuple[Callable[[Painter], Any], type[Exception], str]] = [
    (lambda p: p.analyze(7), TypeError, "prompt=7 is not text; give a str"),  # type: ignore[arg-type]
    (
        lambda p: p.analyze(n_steps=0),
        ValueError,
        "n_steps=0 is outside 1..4; the model is made for 1 to 4 steps (1 is the fastest to edit)",
    ),
    (
        lambda p: p.analyze(n_steps=99),
        ValueError,
        "n_steps=99 is outside 1..4; the model is made for 1 to 4 steps (1 is the fastest to edit)",
    ),
    (
        lambda p: p.analyze(seed=-1),
        ValueError,
        "seed=-1 is outside 0..9223372036854775807; the same seed gives the same picture",
    ),
    (
        lambda p: p.analyze(n_factors="5"),  # type: ignore[arg-type]
        TypeError,
        "n_factors='5' is not a whole number; give an int 1..256",
    ),
    (
        lambda p: p.analyze(n_factors=300),
        ValueError,
        "n_factors=300, but an image has 256 patches; choose 1..256 (3..8 reads best)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
def test_bad_input_is_refused_in_one_sentence(
    painter: Painter, call: Callable[[Painter], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        call(painter)
    assert str(caught.value) == message


def test_a_scene_of_another_sae_is_refused(painter: Painter, scene: Scene) -> None:
    other = dataclasses.replace(scene, model={**scene.model, "sae": "0123456789abcdef"})
    ours = scene.model["sae"]
    with pytest.raises(ValueError) as caught:
        painter.render(other)
    assert str(caught.value) == (
        f"this scene was made with SAE '0123456789abcdef', but this painter has '{ours}'; "
        "load the painter it was made with"
    )


@pytest.mark.parametrize("sae", ["3940637c5757cb28", "3940637c5757cb28,d8bc27e73b511d66"])
def test_a_scene_of_the_embedded_model_before_this_one_is_told_apart(
    painter: Painter, scene: Scene, sae: str
) -> None:
    before = dataclasses.replace(scene, model={**scene.model, "sae": sae})
    with pytest.raises(ValueError) as caught:
        painter.render(before)
    assert str(caught.value) == (
        "this scene was painted on the embedded model of ember_widgets 0.1, which has other features; "
        "open it with that version, or paint it again"
    )


def test_an_sae_of_another_width_is_refused(painter: Painter) -> None:
    from ember_widgets import SAE

    w = torch.eye(8)
    sae = SAE(
        W_enc=w,
        b_enc=torch.zeros(8),
        W_dec=w,
        b_dec=torch.zeros(8),
        activation="topk",
        k=1,
        threshold=None,
        target="update",
        site="down_blocks.2.attentions.1",
        unit=torch.ones(8),
    )
    with pytest.raises(
        ValueError, match=r"the SAE encodes 8 channels, but down_blocks\.2\.attentions\.1 has 160"
    ):
        Painter(painter.pipeline, sae, name="x")


def test_from_pretrained_reads_a_folder_and_an_sae(painter: Painter, scene: Scene) -> None:
    assets = Path(ember.__file__).parent / "embedded" / "assets"
    other = Painter.from_pretrained(
        assets / "pipeline", sae=assets / "sae", device="cpu", local_files_only=True
    )
    again = other.analyze(scene.prompt, seed=scene.seed)
    assert np.array_equal(pixels(other.render(again)), pixels(painter.render(scene)))
    # The same weights under another name: either painter draws the other's scenes.
    assert again.model["id"] != scene.model["id"]
    assert np.array_equal(pixels(other.render(scene)), pixels(painter.render(again)))


def test_from_pretrained_without_an_sae_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no SAE at .*; give a folder or file with a checkpoint"):
        Painter.from_pretrained("x", sae=tmp_path / "absent", device="cpu")
