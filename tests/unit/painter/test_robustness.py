"""How an edit on other seeds is measured: what is counted, the effect and its interval, what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from ember_widgets.painter import robustness as robust
from ember_widgets.painter.refit import edit_reseeded
from ember_widgets.painter.robustness import Interval, Robustness, SeedTrial
from ember_widgets.scene.scene import Scene
from ember_widgets.util.cancelled import Cancelled
from tests.unit.scene.scenes import make_scene

CENTRE = [(row, col) for row in range(6, 10) for col in range(6, 10)]
PIXELS = 4
"""Pixels of a patch, in each direction."""


def codes_of(seed: int) -> NDArray[np.float32]:
    """SAE codes of a seed's own picture: every patch has some of both factors."""
    return np.random.default_rng(seed).random((16, 16, 8)).astype(np.float32)


class Seeds:
    """Draws a scene as brightness: its seed, and its first factor's change times what `respond` says."""

    def __init__(self, respond: Callable[[int], float] = lambda seed: 1.0) -> None:
        self.respond = respond
        self.drawn: list[Scene] = []

    def draw(self, scene: Scene) -> Image.Image:
        self.drawn.append(scene)
        own = 20 * (scene.seed % 3)  # how much one seed differs from another
        change = scene.strengths[..., 0] - scene.base_strengths[..., 0]
        bright = 80 + own + 100 * self.respond(scene.seed) * change
        pixels = np.repeat(np.repeat(bright, PIXELS, 0), PIXELS, 1).clip(0, 255).astype(np.uint8)
        return Image.fromarray(np.repeat(pixels[..., None], 3, axis=2))

    def robustness(self, scene: Scene, seeds: Any = 4, **more: Any) -> Robustness:
        def carry(seed: int) -> Scene:
            return edit_reseeded(scene, seed, codes_of(seed))

        return robust.robustness(scene, seeds, carry=carry, draw=self.draw, **more)


@pytest.fixture
def scene() -> Scene:
    return make_scene(seed=3)


@pytest.fixture
def painted(scene: Scene) -> Scene:
    """Much stronger in the middle than any seed's own picture is there."""
    return scene.paint(0, CENTRE, 1.6)


def test_each_seed_is_drawn_without_and_with_the_edit(painted: Scene) -> None:
    seeds = Seeds()
    result = seeds.robustness(painted)
    assert result.seeds == (4, 5, 6, 7)
    assert [scene.seed for scene in seeds.drawn] == [4, 4, 5, 5, 6, 6, 7, 7]
    where = np.zeros((16, 16), bool)
    where[6:10, 6:10] = True
    for before, after in zip(seeds.drawn[::2], seeds.drawn[1::2], strict=True):
        np.testing.assert_array_equal(before.strengths, before.base_strengths)
        np.testing.assert_array_equal(after.strengths[where], painted.strengths[where])
        np.testing.assert_array_equal(after.strengths[~where], before.strengths[~where])
        np.testing.assert_array_equal(after.remainder, painted.remainder)


def test_the_change_is_the_mean_difference_of_each_patch(painted: Scene) -> None:
    result = Seeds(lambda seed: 0.7).robustness(painted)
    assert result.change.shape == (4, 16, 16)
    outside = np.ones((16, 16), bool)
    outside[6:10, 6:10] = False
    assert not result.change[:, outside].any()
    for s, one in enumerate(result.scenes):
        change = one.strengths[..., 0] - one.base_strengths[..., 0]
        expected = 70 * np.abs(change) / 255
        np.testing.assert_allclose(result.change[s, 6:10, 6:10], expected[6:10, 6:10], atol=1 / 255)
    np.testing.assert_array_equal(result.changed, (result.change > 0.04).sum(axis=0))
    assert result.changed[7, 7] == 4
    assert result.n_changed == 4


def test_the_effect_is_in_units_of_what_another_seed_does(painted: Scene) -> None:
    result = Seeds().robustness(painted)
    # The seeds' own pictures differ by 20 between neighbours modulo 3, everywhere.
    own = [20 * (seed % 3) for seed in result.seeds]
    unit = np.mean([abs(a - b) for a, b in itertools.permutations(own, 2)]) / 255
    assert result.unit == pytest.approx(unit, rel=1e-5)
    np.testing.assert_allclose(
        result.effects, result.change[:, 6:10, 6:10].mean(axis=(1, 2)) / unit, rtol=1e-5
    )
    assert result.effect.value == pytest.approx(result.effects.mean())
    assert result.beyond == Interval(0, 0, 0)
    assert result.selectivity == result.effect


def test_the_interval_is_students_t_over_seeds(painted: Scene) -> None:
    gains = dict(zip((4, 5, 6, 7, 8), (1.0, 0.5, 0.8, 0.2, 0.6), strict=True))
    result = Seeds(gains.__getitem__).robustness(painted, gains)
    low, high = stats.t.interval(0.95, 4, result.effects.mean(), stats.sem(result.effects))
    assert (result.effect.low, result.effect.high) == pytest.approx((low, high))


def test_where_seeds_do_not_differ_the_unit_is_what_counts_as_rounding(painted: Scene) -> None:
    result = Seeds().robustness(painted, (3, 6, 9))  # all alike, modulo 3
    assert result.unit == robust.ROUNDING / 255


def test_an_edit_that_takes_in_one_seed_has_an_interval_with_zero(painted: Scene) -> None:
    result = Seeds(lambda seed: float(seed == 5)).robustness(painted, 6)
    assert result.n_changed == 1
    assert result.effect.low < 0 < result.effect.value
    assert result.changed.max() == 1


def test_what_rounding_does_is_no_change(scene: Scene) -> None:
    """Two levels of 255 everywhere: the same edit on a device that rounds differently."""
    result = Seeds(lambda seed: 0.01).robustness(scene.paint(0, CENTRE, 1.6))
    assert not result.change.any()
    assert result.n_changed == 0
    assert result.effect == Interval(0, 0, 0)


def test_repr_is_a_sentence(painted: Scene) -> None:
    result = Seeds(lambda seed: float(seed != 6)).robustness(painted)
    assert repr(result) == f"changed 3 of 4 seeds; effect {result.effect}"
    said, meaning = result.summary.split("\n")
    value, low, high = result.effect.rounded
    assert said == (
        f"Changed in 3 of 4 seeds. The edited patches changed {value} times as much as by another seed, "
        "those beyond 0.00 times."
    )
    assert f"{low} to {high}, and 0.00 to 0.00" in meaning
    assert "not what they show" in meaning
    assert str(Interval(2.14, -1.44, 2.86)) == "2.1 [-1.4, 2.9]"
    assert str(Interval(-0.001, -0.2, 0.1234)) == "0.00 [-0.20, 0.12]"


def test_the_result_cannot_be_changed(painted: Scene) -> None:
    result = Seeds().robustness(painted)
    for name in ("edited_patches", "change", "seed_change", "unedited", "edited"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(result, name)[:] = 0
    with pytest.raises(AttributeError):
        result.threshold = 0.5  # type: ignore[misc]


def test_everything_painted_leaves_nothing_beyond(scene: Scene) -> None:
    result = Seeds().robustness(scene.paint(0, "everything", 1.6))
    assert (result.beyond, result.selectivity, result.effects_beyond) == (None, None, None)
    assert "beyond" not in result.summary


def test_two_seeds_are_enough(painted: Scene) -> None:
    result = Seeds().robustness(painted, 2)
    assert np.isfinite([result.effect.low, result.effect.high]).all()
    assert "of 2 seeds" in repr(result)


def test_the_same_scene_and_seeds_give_the_same_result(painted: Scene) -> None:
    first, second = Seeds().robustness(painted), Seeds().robustness(painted)
    np.testing.assert_array_equal(first.change, second.change)
    assert first.effect == second.effect
    assert first.scenes == second.scenes


def test_weights_alone_are_an_edit_where_the_factor_is(scene: Scene) -> None:
    feature = next(iter(scene.weights(0)))
    edited = scene.set_weight(0, feature, 3.0)
    result = Seeds().robustness(edited)
    for one, patches in zip(result.scenes, result.edited_patches, strict=True):
        np.testing.assert_array_equal(one.strengths, one.base_strengths)
        np.testing.assert_array_equal(one.basis, edited.basis)
        np.testing.assert_array_equal(patches, one.base_strengths[..., 0] > 0.01)


def test_a_removed_factor_is_removed_from_every_seed(scene: Scene) -> None:
    result = Seeds().robustness(scene.remove(1))
    for one, patches in zip(result.scenes, result.edited_patches, strict=True):
        assert one.names == ("sky", "meadow")
        np.testing.assert_array_equal(patches, one.base_strengths[..., 1] > 0.01)


def test_a_blank_canvas_is_compared_with_the_empty_canvas() -> None:
    blank = make_scene(0, remainder=np.zeros((16, 16)), seed=3).add_factor({1: 1.0})
    blank = blank.paint(0, CENTRE, 1.0)

    class Blank(Seeds):
        def draw(self, scene: Scene) -> Image.Image:
            self.drawn.append(scene)
            bright = (80 + scene.seed + 100 * scene.strengths[..., 0]).astype(np.uint8)
            return Image.fromarray(np.repeat(bright[..., None], 3, axis=2))

    seeds = Blank()
    result = seeds.robustness(blank)
    assert result.edited_patches.sum(axis=(1, 2)).tolist() == [len(CENTRE)] * 4
    assert not any(scene.remainder.any() for scene in seeds.drawn)
    assert not any(scene.strengths.any() for scene in seeds.drawn[::2])
    assert result.n_changed == 4


@pytest.mark.parametrize(
    ("unedited", "what"),
    [
        (make_scene(), "nothing is painted in this scene"),
        (make_scene().restyle("pixel art"), "nothing is painted in this scene"),
        (make_scene(0, remainder=np.zeros((16, 16))).add_factor({1: 1.0}), "this canvas is empty"),
    ],
)
def test_a_scene_without_an_edit_is_refused_before_anything_is_drawn(unedited: Scene, what: str) -> None:
    seeds = Seeds()
    with pytest.raises(
        ValueError, match=f"{what}, so there is no edit to try on other seeds; paint, move or"
    ):
        seeds.robustness(unedited)
    assert not seeds.drawn


def test_seeds_are_a_number_or_the_seeds_themselves(painted: Scene) -> None:
    assert Seeds().robustness(painted, [9, 3, 0]).seeds == (9, 3, 0)
    assert Seeds().robustness(painted, (seed for seed in (8, 2))).seeds == (8, 2)
    assert Seeds().robustness(painted, np.arange(4, 6)).seeds == (4, 5)
    last = painted.replace(seed=2**63 - 2)
    assert Seeds().robustness(last, 3).seeds == (2**63 - 5, 2**63 - 4, 2**63 - 3)
    assert Seeds().robustness(last.replace(seed=2**63 - 3), 2).seeds == (2**63 - 2, 2**63 - 1)


@pytest.mark.parametrize(
    ("seeds", "fault", "says"),
    [
        (1, ValueError, "seeds=1 is outside 2..32; 2 at least, because the interval is over seeds"),
        (33, ValueError, "seeds=33 is outside 2..32"),
        (True, TypeError, "seeds=True is not a whole number"),
        ("8", TypeError, "seeds='8' is not a whole number"),
        (None, TypeError, "seeds=None is not a whole number"),
        ([5], ValueError, r"len\(seeds\)=1 is outside 2..32"),
        ([5, 5], ValueError, r"seeds=\(5, 5\) holds a seed twice"),
        ([5, -1], ValueError, "seed=-1 is outside"),
        ([5, "6"], TypeError, "seed='6' is not a whole number"),
    ],
)
def test_other_seeds_are_refused(painted: Scene, seeds: Any, fault: type[Exception], says: str) -> None:
    with pytest.raises(fault, match=says):
        Seeds().robustness(painted, seeds)


def test_a_threshold_outside_0_to_1_is_refused(painted: Scene) -> None:
    assert Seeds().robustness(painted, threshold=1).n_changed == 0
    with pytest.raises(ValueError, match="threshold=2 is outside 0..1"):
        Seeds().robustness(painted, threshold=2)


def test_every_seed_is_told_as_soon_as_it_is_drawn(painted: Scene) -> None:
    seeds, told = Seeds(), []

    def on_seed(trial: SeedTrial) -> None:
        told.append((trial.scene.seed, len(seeds.drawn)))

    result = seeds.robustness(painted, on_seed=on_seed)
    assert told == [(4, 2), (5, 4), (6, 6), (7, 8)]
    assert len(result.scenes) == 4


def test_progress_shows_a_bar(painted: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    Seeds().robustness(painted, 2)
    assert capfd.readouterr().err == ""
    Seeds().robustness(painted, 2, progress=True)
    assert "seeds: 100%" in capfd.readouterr().err


def test_it_stops_when_it_is_cancelled(painted: Scene) -> None:
    seeds = Seeds()
    with pytest.raises(Cancelled):
        seeds.robustness(painted, cancelled=lambda: len(seeds.drawn) >= 4)
    assert len(seeds.drawn) == 4
