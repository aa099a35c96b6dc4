"""What a scene keeps of the model's side: guidance, steps of the edit, a photograph, several sites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import filled, make_scene

DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"


def two_sites() -> Scene:
    """0..4 are of down.2.1, 5..7 of up.0.1; "sky" and "lion" have the former, "meadow" the latter."""
    basis = filled(0, 3, 8)
    basis[0, 1] = basis[1, 2] = basis[2, 6] = 1
    return make_scene(basis=basis, base_basis=basis, sites={DOWN: 5, UP: 3}, model={"site": f"{DOWN},{UP}"})


def photograph() -> Scene:
    latents = np.random.default_rng(1).normal(size=(4, 64, 64)).astype(np.float32)
    return make_scene(image=latents, image_strength=0.7)


@pytest.mark.parametrize(
    "scene",
    [
        make_scene(guidance=7.5, n_steps=30, edit_steps=(5, 20)),
        photograph(),
        two_sites(),
        two_sites().add_factor({7: 1.0}).paint(3, "left").remove("sky"),
    ],
    ids=["guided", "photograph", "sites", "sites edited"],
)
@pytest.mark.parametrize("name", ["scene.json", "scene.png"])
def test_all_of_it_is_in_the_file(scene: Scene, name: str, tmp_path: Path) -> None:
    from PIL import Image

    scene.save(tmp_path / name, Image.new("RGB", (4, 4)) if name.endswith("png") else None)
    back = Scene.load(tmp_path / name)
    assert back == scene
    assert back != make_scene()
    assert (back.image is None) == (scene.image is None)


def test_a_photographs_latents_are_small_in_the_file_and_the_photograph_is_not_in_it(tmp_path: Path) -> None:
    photograph().save(tmp_path / "with.json")
    make_scene().save(tmp_path / "without.json")
    assert (tmp_path / "with.json").stat().st_size - (tmp_path / "without.json").stat().st_size < 100_000


def test_plain_scenes_say_nothing_of_all_this(tmp_path: Path) -> None:
    make_scene().save(tmp_path / "scene.json")
    text = (tmp_path / "scene.json").read_text()
    for name in ("guidance", "edit_steps", "image", "sites"):
        assert f'"{name}' not in text


def test_with_guidance_there_may_be_many_steps() -> None:
    assert make_scene(guidance=5.0, n_steps=50).n_steps == 50
    with pytest.raises(ValueError, match=r"n_steps=50 is outside 1\.\.4"):
        make_scene(n_steps=50)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"guidance": -1}, "guidance=-1 is outside 0..50; give 0 for SDXL-Turbo, 5 to 8 for SDXL base"),
    (
        {"guidance": 5.0, "n_steps": 101},
        "n_steps=101 is outside 1..100; with guidance=5, 20 to 50 are usual",
    ),
    (
        {"n_steps": 4, "edit_steps": (2, 5)},
        "edit_steps=(2, 5) is not a range of the 4 steps; "
        "give (start, stop) with 0 <= start < stop <= 4, or None for all steps",
    ),
    (
        {"image_strength": 0.0},
        "image_strength=0.0 leaves nothing to draw; give 0.05..1 (SDXL-Turbo's is 0.5)",
    ),
    (
        {"image": np.zeros((4, 64))},
        "image has shape (4, 64); give an array of shape (channels, height, width)",
    ),
    ({"sites": {DOWN: 5, UP: 4}}, "sites count 9 features, but unit has 8; give all of them a site"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make_scene(**fields)
    assert str(caught.value) == message


class TestSites:
    def test_a_factor_belongs_to_the_site_of_its_features(self) -> None:
        scene = two_sites().add_factor({5: 1.0}, name="gloss")
        assert [scene.site(name) for name in scene.names] == [DOWN, DOWN, UP, UP]
        assert scene.set_weight("meadow", 6, 0.0).site("meadow") == UP
        assert make_scene(model={"site": DOWN}).site(0) == DOWN

    def test_features_of_a_site_are_counted_from_its_first(self) -> None:
        scene = two_sites()
        assert (scene.feature(2, "down.2.1"), scene.feature(2, "up.0.1"), scene.feature(0, UP)) == (2, 7, 5)
        with pytest.raises(ValueError, match="site='mid.0' is not steered here; choose one of down_blocks"):
            scene.feature(0, "mid.0")
        with pytest.raises(ValueError, match=r"feature=3 is outside 0\.\.2"):
            scene.feature(3, "up.0.1")

    def test_a_factor_of_two_sites_is_refused(self) -> None:
        message = (
            "would have features of down_blocks.2.attentions.1 and up_blocks.0.attentions.1; a factor belongs"
        )
        with pytest.raises(ValueError, match=message):
            two_sites().add_factor({0: 1.0, 6: 1.0})
        with pytest.raises(ValueError, match=f"'lion' {message}"):
            two_sites().set_weight("lion", 6, 1.0)

    def test_painting_over_covers_what_is_at_the_same_site(self) -> None:
        scene = two_sites()
        first, later = scene.paint("sky", [(2, 3)]), scene.paint("meadow", [(2, 3)])
        assert first.strengths[2, 3].tolist() == [1.0, 0.0, scene.strengths[2, 3, 2]]
        assert first.remainder[2, 3] == 0
        assert later.strengths[2, 3].tolist() == [*scene.strengths[2, 3, :2], 1.0]
        assert later.remainder[2, 3] == 1

    def test_erasing_and_moving_keep_to_the_site(self) -> None:
        scene = two_sites()
        erased = scene.erase([(2, 3)], "meadow", heal=True)
        assert np.array_equal(erased.strengths[2, 3, :2], scene.strengths[2, 3, :2])
        assert erased.strengths[2, 3, 2] == 0
        assert erased.remainder.all()
        moved = scene.move("meadow", 1, 0, [(2, 3)])
        assert np.array_equal(moved.strengths[..., :2], scene.strengths[..., :2])
        assert moved.strengths[3, 3, 2] == scene.strengths[2, 3, 2]
        assert moved.remainder.all()

    def test_erasing_everything_is_at_all_sites(self) -> None:
        erased = two_sites().erase("everything")
        assert not erased.strengths.any()
        assert not erased.remainder.any()


def test_sites_in_another_order_are_another_scene() -> None:
    one, other = ({DOWN: 4, UP: 4}, {UP: 4, DOWN: 4})
    assert make_scene(sites=one) == make_scene(sites=dict(one))
    assert make_scene(sites=one) != make_scene(sites=other)
