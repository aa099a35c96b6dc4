"""Plots show what is there: their figures are those of a recomputation, in light and in dark styles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from ember_widgets import Scene, plots
from ember_widgets.features.labels import Labels
from ember_widgets.painter import robustness as robust
from ember_widgets.painter.robustness import Robustness
from ember_widgets.scene.grid import Grid
from tests.unit.widgets.inspect.inspect_bench import BEHIND, SITE, StillPainter

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text


@pytest.fixture(autouse=True)
def no_figure_stays() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def painter() -> StillPainter:
    return StillPainter()


@pytest.fixture(scope="module")
def scene(painter: StillPainter) -> Scene:
    return painter.analyze("a lion", n_steps=2)


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def map_of(ax: Any) -> Any:
    """The values of the last image."""
    return np.asarray(ax.images[-1].get_array())


def test_factors_show_picture_strengths_and_top_features(painter: StillPainter, scene: Scene) -> None:
    axes = plots.plot_factors(painter, scene, top=2)
    assert axes.shape == (1 + scene.n_factors,)
    for f, ax in enumerate(axes[1:]):
        np.testing.assert_array_equal(map_of(ax), scene.strengths[..., f])
        weights = scene.basis[f] / scene.unit
        first, second = np.argsort(-scene.basis[f])[:2]
        lines = ax.get_xlabel().split("\n")
        assert lines[0].startswith(f"{weights[first]:.2f} × ")
        assert lines[0].endswith(f"#{first}")
        assert lines[1].endswith(f"#{second}")
        assert ax.get_title() == scene.names[f]


@pytest.mark.parametrize(("step", "site"), [(0, None), (1, None), (0, BEHIND)])
def test_features_of_a_patch_are_its_largest_codes(
    painter: StillPainter, scene: Scene, step: int, site: str | None
) -> None:
    ax = plots.plot_features(painter, scene, (4, 9), step=step, site=site)
    sae = painter.saes[site or SITE]
    x = painter.activations[site or SITE, step].reshape(16, 16, -1)[4, 9]
    codes = sae.encode(x).numpy()
    order = np.argsort(-codes)[: np.count_nonzero(codes)]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(codes[order].tolist())
    assert [int(text.split("#")[1]) for text in texts(ax)] == order.tolist()
    rest = x - sae.b_dec - (sae.decode(sae.encode(x)) - sae.b_dec)
    share = 1 - float(rest @ rest) / float((x - sae.b_dec) @ (x - sae.b_dec))
    assert ax.get_title() == f"patch (4, 9): {100 * share:.0f} % explained"
    assert ("lion #1" in texts(ax)) == (site is None and codes[1] > 0)


def test_features_of_an_area_are_their_mean(painter: StillPainter, scene: Scene) -> None:
    ax = plots.plot_features(painter, scene, "left", top=3)
    mean = painter.inspect(scene).codes[:, :5].reshape(-1, 40).mean(0)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(
        np.sort(mean)[::-1][:3].tolist(), rel=1e-5
    )


def test_a_map_is_the_feature_s_codes_over_the_picture(painter: StillPainter, scene: Scene) -> None:
    ax = plots.plot_feature_map(painter, scene, 1, step=1)
    np.testing.assert_array_equal(map_of(ax), painter.inspect(scene, step=1).codes[..., 1])
    assert len(ax.images) == 2
    assert ax.get_title() == "lion #1"


def test_counts_are_those_of_codes_above_zero(painter: StillPainter, scene: Scene) -> None:
    ax = plots.plot_feature_count(painter, scene)
    np.testing.assert_array_equal(map_of(ax), (painter.inspect(scene).codes > 0).sum(-1))


def test_a_sweep_renders_the_scaled_scenes(painter: StillPainter, scene: Scene) -> None:
    painter.rendered.clear()
    axes = plots.plot_sweep(painter, scene, 1, gains=(0, 2))
    assert painter.rendered == [scene.scale(1, 0), scene.scale(1, 2)]
    assert [ax.get_title() for ax in axes] == ["part 1 × 0", "part 1 × 2"]


def test_a_difference_is_that_of_the_pixels(painter: StillPainter, scene: Scene) -> None:
    after = scene.scale(0, 2)
    axes = plots.plot_difference(painter, scene, after)
    one, two = (np.asarray(painter.render(s), float) for s in (scene, after))
    np.testing.assert_allclose(map_of(axes[2]), np.abs(one - two).mean(-1))


def test_a_basis_is_a_table_of_weights(painter: StillPainter, scene: Scene) -> None:
    ax = plots.plot_basis(scene, painter, top=3)
    rows = [int(text.split("#")[1]) for text in texts(ax)]
    assert set(rows) == {int(f) for row in scene.basis for f in np.argsort(-row)[:3]}
    np.testing.assert_allclose(map_of(ax), (scene.basis[:, rows] / scene.unit[rows]).T)


def test_a_contact_sheet_shows_every_picture_with_its_title() -> None:
    pictures = [Image.new("RGB", (16, 16), (i, 0, 0)) for i in range(10)]
    ax = plots.contact_sheet(pictures, [f"no {i}" for i in range(10)], columns=4)
    assert [int(np.asarray(image.get_array())[0, 0, 0]) for image in ax.images] == list(range(10))
    assert [text.get_text() for text in ax.texts] == [f"no {i}" for i in range(10)]
    tops = {round(image.get_extent()[3], 3) for image in ax.images}
    assert len(tops) == 3


def test_an_sae_report_counts_by_hand(painter: StillPainter, scene: Scene) -> None:
    axes = plots.plot_sae_report(painter, [scene, painter.analyze()])
    sae, x = painter.saes[SITE], painter.activations[SITE, 0].double()
    codes = sae.encode(x)
    rest = x - sae.decode(codes).double()
    share = 1 - float((rest**2).sum() / ((x - sae.b_dec) ** 2).sum())
    assert axes[0].get_title() == f"explained: {100 * share:.1f} %"
    assert axes[1].get_title() == f"L0: {float((codes > 0).sum(1).double().mean()):.1f}"
    n_dead = int((~(codes > 0).any(0)).sum())
    assert [bar.get_width() for bar in axes[3].patches] == [40 - n_dead, n_dead]


def test_an_sae_report_shows_features_that_are_always_active() -> None:
    painter = StillPainter(n_features=1, k=1)
    painter.saes[SITE] = dataclasses.replace(painter.saes[SITE], b_enc=torch.full((1,), 100.0))
    axes = plots.plot_sae_report(painter, [painter.analyze(n_factors=1)])
    (bar,) = [bar for bar in axes[2].patches if bar.get_height()]
    assert bar.get_width() > 0


@pytest.mark.parametrize("text", ["$^$", "$5 and $10"])
def test_texts_with_dollars_are_not_formulas(scene: Scene, text: str) -> None:
    painter = StillPainter()
    painter.labels = Labels(dict.fromkeys(range(40), text))
    dollars = scene.replace(prompt=text, names=(text, *scene.names[1:]))
    axes = [
        *plots.plot_factors(painter, dollars),
        *plots.plot_sweep(painter, dollars, 0, gains=[1]),
        plots.plot_basis(dollars, painter),
        plots.plot_features(painter, dollars, (0, 0)),
        plots.plot_feature_map(painter, dollars, 3),
        plots.contact_sheet([painter.icon(1)], [text]),
    ]
    for figure in {ax.figure for ax in axes}:
        figure.canvas.draw()
        shown = [one for one in figure.findobj(Text) if text in one.get_text()]
        assert shown
        assert not any(one.get_parse_math() for one in shown)


def tried(painter: StillPainter, scene: Scene) -> Robustness:
    """An edit on two other seeds, without the seeds' own pictures."""
    edited = scene.paint(0, [(0, 0), (0, 1)], 2.0)
    draw, carry = painter.render, lambda seed: edited.replace(seed=seed)
    return robust.robustness(edited, 2, carry=carry, draw=draw, threshold=0.0)


def test_robustness_shows_pairs_counts_and_effects(painter: StillPainter, scene: Scene) -> None:
    result = tried(painter, scene)
    axes = plots.plot_robustness(result)
    assert [ax.get_title() for ax in axes[:4]] == ["seed 1", "seed 2", "", ""]
    for s in range(2):
        for ax, picture in ((axes[s], result.unedited[s]), (axes[2 + s], result.edited[s])):
            np.testing.assert_allclose(ax.images[0].get_array(), picture / 255)
    np.testing.assert_array_equal(map_of(axes[4]), result.changed)
    assert axes[5].get_title(loc="left") == f"changed {result.n_changed} of 2 seeds"
    dots = [line for line in axes[5].lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    np.testing.assert_array_equal(dots[0].get_xdata(), result.effects)
    np.testing.assert_array_equal(dots[1].get_xdata(), result.effects_beyond)
    assert [text.get_text() for text in axes[5].texts] == [str(result.effect), str(result.beyond)]
    assert texts(axes[5]) == ["in the edit", "beyond it"]


Plot = Callable[[Any, Any, Any], Any]
ONE: dict[str, Plot] = {
    "plot_features": lambda p, s, ax: plots.plot_features(p, s, (0, 0), ax=ax),
    "plot_feature_map": lambda p, s, ax: plots.plot_feature_map(p, s, 3, ax=ax),
    "plot_feature_count": lambda p, s, ax: plots.plot_feature_count(p, s, ax=ax),
    "plot_basis": lambda p, s, ax: plots.plot_basis(s, p, ax=ax),
    "contact_sheet": lambda p, s, ax: plots.contact_sheet([p.icon(1), p.icon(2)], ["a", "b"], ax=ax),
}
SEVERAL: dict[str, tuple[int, Plot]] = {
    "plot_factors": (4, lambda p, s, ax: plots.plot_factors(p, s, ax=ax)),
    "plot_sweep": (5, lambda p, s, ax: plots.plot_sweep(p, s, 0, ax=ax)),
    "plot_difference": (3, lambda p, s, ax: plots.plot_difference(p, s, s.scale(0, 2), ax=ax)),
    "plot_robustness": (6, lambda p, s, ax: plots.plot_robustness(tried(p, s), ax=ax)),
    "plot_sae_report": (4, lambda p, s, ax: plots.plot_sae_report(p, [s], ax=ax)),
}


def test_every_plot_is_tried_here() -> None:
    assert {*ONE, *SEVERAL} == set(plots.__all__)


@pytest.mark.parametrize("name", ONE)
def test_a_plot_of_one_draws_into_the_axes_given(painter: StillPainter, scene: Scene, name: str) -> None:
    ax = plt.subplots()[1]
    assert ONE[name](painter, scene, ax) is ax
    assert isinstance(ONE[name](painter, scene, None), Axes)
    with pytest.raises(TypeError, match="ax=3 is not matplotlib Axes"):
        ONE[name](painter, scene, 3)


@pytest.mark.parametrize("name", SEVERAL)
def test_a_plot_of_several_draws_into_the_axes_given(painter: StillPainter, scene: Scene, name: str) -> None:
    count, plot = SEVERAL[name]
    given = plt.subplots(1, count)[1]
    assert list(plot(painter, scene, given)) == list(given)
    with pytest.raises(ValueError, match=rf"ax holds 1 Axes, but this figure needs {count}; .*subplots\(1, "):
        plot(painter, scene, given[0])


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", [*ONE, *SEVERAL])
def test_texts_stand_out_from_their_ground(
    painter: StillPainter, scene: Scene, name: str, style: str
) -> None:
    with plt.style.context(style):
        drawn = ONE[name](painter, scene, None) if name in ONE else SEVERAL[name][1](painter, scene, None)
        figure = np.asarray(drawn, dtype=object).ravel()[0].figure
        figure.canvas.draw()
        ground = luminance(figure.get_facecolor())
        for ax in figure.axes:
            inside = [] if name == "plot_basis" else ax.texts  # the table's numbers stand on their cells
            for text in [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels(), *inside]:
                if text.get_text() and text.get_visible():
                    one, two = sorted((luminance(text.get_color()), ground))
                    assert (two + 0.05) / (one + 0.05) > 4.5, text.get_text()


def luminance(color: Any) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot((0.2126, 0.7152, 0.0722), channels))


def test_empty_states_say_what_is_missing(painter: StillPainter) -> None:
    blank = painter.blank()
    assert plots.plot_factors(painter, blank).shape == (1,)
    assert [t.get_text() for t in plots.plot_basis(blank).texts] == ["the scene has no factors"]
    with pytest.raises(ValueError, match="pictures is empty"):
        plots.contact_sheet([])
    with pytest.raises(ValueError, match="titles holds 1, but there are 2 pictures"):
        plots.contact_sheet([painter.icon(1)] * 2, ["a"])
    with pytest.raises(ValueError, match="is empty; give at least one scene"):
        plots.plot_sae_report(painter, [])
    with pytest.raises(ValueError, match="gains is empty"):
        plots.plot_sweep(painter, painter.analyze(), 0, gains=())


@pytest.mark.parametrize(
    ("plot", "least"),
    [
        (lambda painter, scene, top: plots.plot_features(painter, scene, (3, 4), top=top), 1),
        (lambda painter, scene, top: plots.plot_factors(painter, scene, top=top), 0),
        (lambda painter, scene, top: plots.plot_factors(painter, painter.blank(), top=top), 0),
        (lambda painter, scene, top: plots.plot_basis(scene, top=top), 1),
        (lambda painter, scene, top: plots.plot_basis(painter.blank(), top=top), 1),
    ],
)
def test_how_many_features_is_checked_before_a_figure_is_begun(
    painter: StillPainter, scene: Scene, plot: Callable[[Any, Any, Any], object], least: int
) -> None:
    with pytest.raises(ValueError, match=f"^top={least - 1} is .*{least}"):
        plot(painter, scene, least - 1)
    for wrong in ("3", 2.5, None):
        with pytest.raises(TypeError, match=r"^top=.* is not a whole number; give an int"):
            plot(painter, scene, wrong)
    assert not plt.get_fignums(), "a figure was begun"


def test_figures_of_another_grid() -> None:
    painter = StillPainter(grid=Grid(24, 24))
    scene = painter.analyze("a lion")
    painted = scene.paint(0, [(23, 23)], 2.0)
    whole = (-0.5, 23.5, 23.5, -0.5)
    axes = [
        plots.plot_factors(painter, scene)[0],
        plots.plot_sweep(painter, scene, 0)[0],
        *plots.plot_difference(painter, scene, painted),
        plots.plot_feature_map(painter, scene, 1),
        plots.plot_feature_count(painter, scene),
    ]
    for ax in axes:
        assert all(tuple(image.get_extent()) == whole for image in ax.images)
    assert "in the edit" in axes[4].get_title()
    assert plots.plot_features(painter, scene, (23, 23)).get_title().startswith("patch (23, 23): ")
    assert len(plots.plot_sae_report(painter, [scene])) == 4


def test_scenes_need_a_painter_that_renders_only(painter: StillPainter, scene: Scene) -> None:
    class Minimal:
        def analyze(self, prompt: str = "") -> Scene:
            return scene

        def render(self, scene: Scene) -> Image.Image:
            return painter.render(scene)

    minimal: Any = Minimal()
    assert len(plots.plot_factors(minimal, scene)) == 1 + scene.n_factors
    assert len(plots.plot_difference(minimal, scene, scene)) == 3
