"""The embedded model's world: deterministic, and labels that say what the pixels show."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.embedded import scenes
from ember_widgets.embedded.scenes import LABELS, Layout, Spec, Thing


def test_the_same_seed_gives_the_same_scene() -> None:
    first, again, other = scenes.sample(5), scenes.sample(5), scenes.sample(6)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[2] == again[2]
    assert not np.array_equal(first[0], other[0])


def test_shapes_and_types() -> None:
    image, labels, caption = scenes.sample(0)
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.dtype("uint8")
    assert labels.shape == (16, 16)
    assert labels.dtype == np.dtype("int64")
    assert isinstance(caption, str)


@pytest.mark.parametrize("name", list(scenes.SPRITES))
def test_every_kind_is_drawn_where_its_label_stands(name: str) -> None:
    plain = Layout(np.zeros((16, 16), int))
    label = LABELS.index(name)
    image, labels = scenes.draw(Layout(plain.background, (Thing(label, 4, 5, 6),)))
    changed = (
        np.abs(image.astype(int) - scenes.draw(plain)[0]).max(-1).reshape(16, 16, 16, 16).mean((1, 3)) > 8
    )
    assert (labels == label).sum() >= 12
    assert changed[labels == label].all()
    assert not changed[:4].any()
    assert not changed[10:].any()


def test_what_stands_in_front_covers_what_stands_behind() -> None:
    background = np.ones((16, 16), int)
    lion, house = LABELS.index("lion"), LABELS.index("house")
    labels = scenes.label_patches(Layout(background, (Thing(house, 4, 4, 6), Thing(lion, 5, 4, 5))))
    assert labels[7, 6] == lion
    assert house in labels


def test_objects_cut_by_the_border_are_drawn_as_far_as_they_go() -> None:
    tree = LABELS.index("tree")
    _, labels = scenes.draw(Layout(np.ones((16, 16), int), (Thing(tree, -2, 13, 6),)))
    assert tree in labels[:, 13:]
    assert tree not in labels[:, :12]


def test_a_caption_is_obeyed_for_any_noise() -> None:
    spec = Spec(("lion", "sun"), sky=1, ground=0)
    for seed in range(20):
        layout, _ = scenes.caption_layout(spec, np.random.default_rng(seed).standard_normal((4, 64, 64)))
        assert {LABELS[t.label] for t in layout.things} == {"lion", "sun"}
        assert set(np.unique(layout.background)) == {LABELS.index("sunset"), LABELS.index("grass")}


def test_other_noise_composes_the_same_caption_otherwise() -> None:
    spec = Spec(("lion",), sky=0, ground=0)
    places = {
        (t.row, t.col)
        for seed in range(20)
        for t in scenes.caption_layout(spec, np.random.default_rng(seed).standard_normal((4, 64, 64)))[
            0
        ].things
    }
    assert len(places) > 8
