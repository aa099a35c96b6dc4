"""The embedded model as it ships: small, safe to load, and paintable."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets import Painter, Scene
from ember_widgets.embedded import captions, scenes, vocabulary
from ember_widgets.embedded.card import concept, filling
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.oracle import load_oracle
from ember_widgets.embedded.scenes import Layout, Thing
from ember_widgets.embedded.vocabulary import FIRST_THING, LABELS

# What the weights that ship were trained on; the recipe may know more.
SHIPPED = [LABELS.index(name) for name in load_oracle().names]
THINGS = [vocabulary.look(label).name for label in SHIPPED if label >= FIRST_THING]
ATTRIBUTES = sorted({attribute for label in SHIPPED for attribute in vocabulary.attributes(label)})


def test_the_assets_are_small_and_hold_no_code() -> None:
    files = [f for f in ASSETS.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 25_000_000
    plain = {".safetensors", ".json", ".txt", ".md", ".png", ".jpg", ".webp"}
    assert {f.suffix for f in files} <= plain | {".npz", ".zip"}
    for f in files:
        if f.suffix == ".npz":
            assert np.load(f, allow_pickle=False).files
        elif f.suffix == ".zip":
            with zipfile.ZipFile(f) as pack:
                assert {Path(name).suffix for name in pack.namelist()} <= {".webp", ".json", ""}
    assert (ASSETS / "MODEL_CARD.md").exists()


def test_the_sae_is_the_one_described(painter: Painter) -> None:
    sae = next(iter(painter.saes.values()))
    assert (sae.activation, sae.k, sae.target) == ("batchtopk", 10, "update")
    # About as many as there are attributes: those that hardly any picture uses are left out.
    assert len(ATTRIBUTES) - 10 < sae.n_features <= len(ATTRIBUTES) + 10
    assert sae.site == "down_blocks.2.attentions.1"
    assert float(sae.unit.min()) > 0
    assert set(sae.positional) <= set(range(sae.n_features))


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_what_the_world_has_can_be_found_by_its_label(painter: Painter, kind: str) -> None:
    assert painter.labels.search(kind)


def truth(layout: Layout) -> NDArray[np.float64]:
    return scenes.draw(layout)[0].astype(np.float64)


def left_over(
    painter: Painter, scene: Scene, wanted: Layout, empty: Layout, box: tuple[slice, slice]
) -> float:
    """Squared error in a box of patches, relative to that of not painting at all."""
    pixels = tuple(slice(16 * s.start, 16 * s.stop) for s in box)
    picture = np.asarray(painter.render(scene), np.float64)[pixels]
    aim, nothing = truth(wanted)[pixels], truth(empty)[pixels]
    return float(((picture - aim) ** 2).mean() / ((nothing - aim) ** 2).mean())


@pytest.mark.parametrize("name", THINGS)
def test_painted_patches_of_a_thing_on_an_empty_meadow_become_that_thing(painter: Painter, name: str) -> None:
    """The picture comes most of the way from the empty scene to the one with the thing drawn into it."""
    label = LABELS.index(name)
    look = vocabulary.look(label)
    top, left = 14 - look.height, 5
    meadow = painter.analyze("a landscape in a meadow by day", seed=1)
    blob = np.zeros((16, 16), bool)
    box = np.s_[top : top + look.height, left : left + look.width]
    blob[box] = scenes.silhouette(label, look.height, look.width)
    features = dict.fromkeys(concept(painter, name), 1.0)
    painted = meadow.add_factor(features).paint(meadow.n_factors, blob)
    background = np.full((16, 16), LABELS.index("day"))
    background[captions.HORIZON :] = LABELS.index("grass")
    thing = Thing(label, top, left, look.height, look.width)
    assert left_over(painter, painted, Layout(background, (thing,)), Layout(background), box) < 0.6


# Each is filled by one lion. In 7 by 4 patches a row stays free, above or below, whichever the model prefers.
@pytest.mark.parametrize(("height", "width"), [(4, 4), (6, 4), (5, 8)])
def test_a_thing_fills_the_shape_that_is_painted(painter: Painter, height: int, width: int) -> None:
    label = LABELS.index("lion")
    blob, box = np.zeros((16, 16), bool), np.s_[5 : 5 + height, 4 : 4 + width]
    blob[box] = scenes.silhouette(label, height, width)
    canvas = painter.blank(seed=3).add_factor(dict.fromkeys(concept(painter, "lion"), 1.0)).paint(0, blob)
    paper = np.zeros((16, 16), int)
    thing = filling(label, blob)
    assert left_over(painter, canvas, Layout(paper, (thing,)), Layout(paper), box) < 0.6


def test_a_blank_canvas_is_blank_paper(painter: Painter) -> None:
    picture = np.asarray(painter.render(painter.blank(seed=5)), np.float64)
    assert np.abs(picture - truth(Layout(np.zeros((16, 16), int)))).mean() < 6


def test_a_style_is_kept_under_painting(painter: Painter) -> None:
    scene = painter.analyze("a house in a meadow in sepia", seed=2)
    blob = np.zeros((16, 16), bool)
    blob[2:7, 2:7] = True
    painted = scene.add_factor(dict.fromkeys(concept(painter, "sunflower"), 1.0)).paint(scene.n_factors, blob)
    picture = np.asarray(painter.render(painted), np.float64)
    red, blue = picture[32:112, 32:112, 0], picture[32:112, 32:112, 2]
    assert (red - blue).min() > -12  # nothing blue or yellow in sepia
    assert 15 < (red - blue).mean() < 80
