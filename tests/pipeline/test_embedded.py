"""The embedded model as it ships: small, safe to load, and paintable."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets import Painter
from ember_widgets.embedded import scenes
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.scenes import LABELS, Layout, Thing


def test_the_assets_are_small_and_hold_no_code() -> None:
    files = [f for f in ASSETS.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 25_000_000
    assert {f.suffix for f in files} <= {".safetensors", ".json", ".txt", ".md", ".png"}
    assert (ASSETS / "MODEL_CARD.md").exists()


def test_the_sae_is_the_one_described(painter: Painter) -> None:
    sae = next(iter(painter.saes.values()))
    assert (sae.activation, sae.k, sae.n_features, sae.target) == ("batchtopk", 10, 8 * 160, "update")
    assert sae.site == "down_blocks.2.attentions.1"
    assert float(sae.unit.min()) > 0
    assert set(sae.positional) <= set(range(sae.n_features))


@pytest.mark.parametrize("kind", ["tree", "house", "lion", "cat", "sun", "grass", "sea", "night"])
def test_what_the_world_has_can_be_found_by_its_label(painter: Painter, kind: str) -> None:
    assert painter.labels.search(kind)


def truth(layout: Layout) -> NDArray[np.float64]:
    return scenes.draw(layout)[0].astype(np.float64)


@pytest.mark.parametrize("kind", ["tree", "pine", "castle", "lion", "sun", "cloud"])
def test_painted_patches_of_a_kind_on_an_empty_meadow_become_that_kind(painter: Painter, kind: str) -> None:
    """The picture comes a good part of the way from the empty scene to the one with the object in it.

    In squared error: a grey blob of the right size does not pass. Sharper weights should raise the bar.
    """
    label, size = LABELS.index(kind), scenes.SPRITE_SIZE[kind]
    place = Thing(label, 13 - size, 5, size)
    feature = painter.labels.search(kind)[0]
    meadow = painter.analyze("a landscape in a meadow by day", seed=1)
    blob = np.zeros((16, 16), bool)
    blob[13 - size : 13, 5 : 5 + size] = scenes.silhouette(label, size)
    painted = meadow.add_factor({feature: 1.0}).paint(meadow.n_factors, blob)
    background = np.full((16, 16), LABELS.index("day"))
    background[8:] = LABELS.index("grass")
    box = np.s_[16 * (13 - size) : 16 * 13, 16 * 5 : 16 * (5 + size)]
    picture = np.asarray(painter.render(painted), np.float64)[box]
    wanted, empty = truth(Layout(background, (place,)))[box], truth(Layout(background))[box]
    assert ((picture - wanted) ** 2).mean() < 0.75 * ((empty - wanted) ** 2).mean()
