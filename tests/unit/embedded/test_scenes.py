"""The embedded model's world: deterministic, and labels that say what the pixels show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets.embedded import scenes, vocabulary
from ember_widgets.embedded.captions import caption_layout, random_spec
from ember_widgets.embedded.random_layouts import (
    crowded_layout,
    painted_shape,
    random_layout,
    shape_size,
)
from ember_widgets.embedded.scenes import Layout, Thing
from ember_widgets.embedded.styles import restyle
from ember_widgets.embedded.vocabulary import LABELS, LOOKS, STYLES


def captioned(seed: int) -> tuple[str, NDArray[Any], NDArray[Any]]:
    """A random caption, and the picture and labels of the scene that it asks for."""
    rng = np.random.default_rng(seed)
    spec = random_spec(rng)
    layout = caption_layout(spec, rng.standard_normal((4, 64, 64), dtype=np.float32))
    return spec.words, *scenes.draw(layout)


def test_the_same_seed_gives_the_same_scene() -> None:
    first, again, other = captioned(5), captioned(5), captioned(6)
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    assert np.array_equal(first[2], again[2])
    assert not np.array_equal(first[1], other[1])


def test_shapes_and_types() -> None:
    caption, image, labels = captioned(0)
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.dtype("uint8")
    assert labels.shape == (16, 16)
    assert labels.dtype == np.dtype("int64")
    assert isinstance(caption, str)


def test_every_label_has_its_own_name_and_attributes() -> None:
    assert len(set(LABELS)) == len(LABELS)
    sets = [vocabulary.attributes(i) for i in range(len(LABELS))]
    assert len(set(sets)) == len(LABELS)
    assert {a for attributes in sets for a in attributes} == set(vocabulary.ATTRIBUTES)


@pytest.mark.parametrize("name", [look.name for look in LOOKS])
def test_every_look_is_drawn_where_its_label_stands(name: str) -> None:
    plain = Layout(np.full((16, 16), LABELS.index("night")))
    label = LABELS.index(name)
    image, labels = scenes.draw(Layout(plain.background, (Thing(label, 4, 5, 6, 7),)))
    changed = (
        np.abs(image.astype(int) - scenes.draw(plain)[0]).max(-1).reshape(16, 16, 16, 16).mean((1, 3)) > 8
    )
    assert (labels == label).sum() >= 12
    assert changed[labels == label].all()
    assert not changed[:4].any()
    assert not changed[10:].any()
    assert not changed[:, :5].any()
    assert not changed[:, 12:].any()


def test_what_stands_in_front_covers_what_stands_behind() -> None:
    background = np.ones((16, 16), int)
    lion, house = LABELS.index("lion"), LABELS.index("house")
    labels = scenes.label_patches(Layout(background, (Thing(house, 4, 4, 6, 6), Thing(lion, 5, 4, 5, 5))))
    assert labels[7, 6] == lion
    assert house in labels


def test_objects_cut_by_the_border_are_drawn_as_far_as_they_go() -> None:
    tree = LABELS.index("broadleaf")
    _, labels = scenes.draw(Layout(np.ones((16, 16), int), (Thing(tree, -2, 13, 6, 6),)))
    assert tree in labels[:, 13:]
    assert tree not in labels[:, :12]


def test_free_layouts_hold_every_look_in_many_sizes() -> None:
    rng = np.random.default_rng(0)
    things = [t for _ in range(400) for t in random_layout(rng).things]
    assert {t.label for t in things} == set(range(vocabulary.FIRST_THING, len(LABELS)))
    sides = {(t.height, t.width) for t in things}
    assert len(sides) > 20
    assert all(1 <= side <= 16 for pair in sides for side in pair)
    unshaped = [t for t in things if t.shape is None]
    assert all(
        t.height - t.width == vocabulary.look(t.label).height - vocabulary.look(t.label).width
        for t in unshaped
    )


def test_in_a_crowd_nothing_hides_anything() -> None:
    plain = [random_layout(np.random.default_rng(seed), faded=0.3) for seed in range(40)]
    crowds = [crowded_layout(np.random.default_rng(seed), faded=0.3) for seed in range(40)]
    assert sum(len(crowd.things) for crowd in crowds) > 2 * sum(len(layout.things) for layout in plain)
    for crowd in crowds:
        times = np.zeros((16, 16), int)
        for t in crowd.things:
            times[t.row : t.row + t.height, t.col : t.col + t.width] += True if t.shape is None else t.shape
        assert times.max(initial=0) <= 1


WIDE = np.mgrid[:5, :8][1] >= np.array([[3], [1], [0], [0], [2]])  # a shape with a slanting side


@pytest.mark.parametrize("name", [look.name for look in LOOKS])
def test_a_thing_fills_the_shape_that_a_hand_painted(name: str) -> None:
    label, plain = LABELS.index(name), Layout(np.full((16, 16), LABELS.index("night")))
    thing = Thing(label, 4, 5, 5, 8, WIDE)
    layout = Layout(plain.background, (thing,))
    image, labels = scenes.draw(layout)
    seen = (labels == label)[4:9, 5:13]
    assert (seen & WIDE).sum() >= 0.3 * WIDE.sum()
    assert (seen & ~WIDE).sum() <= 0.2 * seen.sum()
    assert np.array_equal(scenes.painted_patches(layout)[0][4:9, 5:13] == label, WIDE)
    far = np.ones((16, 16), bool)
    far[4:9, 5:13] = False
    assert np.array_equal(_patches(image)[far], _patches(scenes.draw(plain)[0])[far])


def test_a_long_shape_holds_several_whole_sprites() -> None:
    label, day = LABELS.index("lion"), np.full((16, 16), LABELS.index("day"))
    row = scenes.draw(Layout(day, (Thing(label, 6, 2, 4, 12, np.ones((4, 12), bool)),)))[0]
    three = tuple(Thing(label, 6, col, 4, 4, np.ones((4, 4), bool)) for col in (2, 6, 10))
    assert np.array_equal(row, scenes.draw(Layout(day, three))[0])


@pytest.mark.parametrize("sky", ["sunset", "night", "overcast", "rain", "snowfall"])
def test_the_sky_lights_what_is_below_it(sky: str) -> None:
    def drawn(name: str) -> NDArray[Any]:
        background = np.full((16, 16), LABELS.index("grass"))
        background[:8] = LABELS.index(name)
        image, _ = scenes.draw(Layout(background, (Thing(LABELS.index("pig"), 10, 5, 5, 5),)))
        return image[8 * 16 :].astype(float)

    by_day, lit = drawn("day"), drawn(sky)
    assert lit.mean() < by_day.mean() - 2 or sky == "snowfall"
    assert not np.array_equal(lit, by_day)


def test_things_that_glow_and_blank_paper_are_not_lit() -> None:
    background = np.full((16, 16), LABELS.index("paper"))
    background[:4] = LABELS.index("night")
    image, _ = scenes.draw(Layout(background, (Thing(LABELS.index("sun"), 8, 8, 4, 4),)))
    alone, _ = scenes.draw(Layout(np.full((16, 16), 0), (Thing(LABELS.index("sun"), 8, 8, 4, 4),)))
    assert np.array_equal(image[128:], alone[128:])


@pytest.mark.parametrize("weather", ["rain", "snowfall", "fog"])
def test_weather_is_seen_before_everything(weather: str) -> None:
    background = np.full((16, 16), LABELS.index(weather))
    background[8:] = LABELS.index("road")
    shares = scenes.sky_shares(background)
    assert shares[weather] == 1
    image, _ = scenes.draw(Layout(background))
    background[:8] = LABELS.index("day")
    plain, _ = scenes.draw(Layout(background))
    assert (np.abs(image[130:].astype(int) - plain[130:]) > 10).mean() > 0.1


def test_a_thing_that_faces_right_is_the_mirror_image() -> None:
    left, right = LABELS.index("car"), LABELS.index("car facing right")
    apart = np.abs(scenes.sprite(left, 5, 5)[0] - scenes.sprite(right, 5, 5)[0][:, ::-1])
    assert apart.mean() < 0.01  # the sheet is compressed
    assert np.abs(scenes.sprite(left, 5, 5)[0] - scenes.sprite(right, 5, 5)[0]).mean() > 0.03


def test_hand_shapes_touch_all_sides_of_their_box() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        shape = painted_shape(rng, *shape_size(rng))
        assert shape[[0, -1]].any(1).all()
        assert shape[:, [0, -1]].any(0).all()


def _patches(image: NDArray[Any]) -> NDArray[Any]:
    patches: NDArray[Any] = image.reshape(16, 16, 16, 16, 3).transpose(0, 2, 1, 3, 4)
    return patches


@pytest.mark.parametrize("style", range(len(STYLES)))
def test_a_style_changes_pixels_and_no_label(style: int) -> None:
    layout = Layout(np.full((16, 16), 1), (Thing(LABELS.index("castle"), 5, 5, 6, 6),))
    plain, labels = scenes.draw(layout)
    styled, same = scenes.draw(Layout(layout.background, layout.things, style))
    assert np.array_equal(labels, same)
    assert np.abs(styled.astype(int) - plain).mean() > 10


def test_styles_are_what_they_are_called() -> None:
    image = scenes.draw(Layout(np.ones((16, 16), int), (Thing(LABELS.index("car"), 5, 5, 5, 5),)))[0] / 255
    mosaic = restyle(image, STYLES.index("pixel art")).reshape(32, 8, 32, 8, 3)
    assert np.ptp(mosaic, axis=(1, 3)).max() == 0
    pencil = restyle(image, STYLES.index("pencil"))
    assert np.ptp(pencil, axis=2).max() == 0
    red, _, blue = restyle(image, STYLES.index("sepia")).mean((0, 1))
    assert red > blue
    red, _, blue = restyle(image, STYLES.index("blueprint")).mean((0, 1))
    assert blue > red


@pytest.mark.parametrize("over_paper", [False, True])
def test_a_thing_fades_to_what_lies_below_or_to_paper(over_paper: bool) -> None:
    background = np.full((16, 16), LABELS.index("grass"))

    def drawn(opacity: float, shown: bool = True) -> NDArray[Any]:
        things = (Thing(LABELS.index("lion"), 5, 5, 5, 5, None, opacity, over_paper),) if shown else ()
        return scenes.draw(Layout(background, things))[0].astype(float)

    full, half, gone, meadow = drawn(1.0), drawn(0.5), drawn(0.0), drawn(1.0, shown=False)
    assert abs(half - (full + gone) / 2).max() <= 1
    middle = gone[112:128, 112:128].mean((0, 1))
    expected = 0.965 * 255 * np.ones(3) if over_paper else meadow[112:128, 112:128].mean((0, 1))
    assert abs(middle - expected).max() < 1
    assert np.array_equal(
        drawn(1.0), scenes.draw(Layout(background, (Thing(LABELS.index("lion"), 5, 5, 5, 5),)))[0]
    )


def test_painted_patches_tell_what_lies_below_and_how_much_of_it_shows() -> None:
    grass, lion, pine = (LABELS.index(name) for name in ("grass", "lion", "pine"))
    box = np.ones((4, 4), bool)
    things = (
        Thing(lion, 2, 2, 4, 4, box),
        Thing(pine, 4, 4, 4, 4, box, 0.3),
        Thing(lion, 10, 10, 4, 4, box, 0.6, True),
    )
    labels, below, opacity = scenes.painted_patches(Layout(np.full((16, 16), grass), things))
    assert (labels[2, 2], below[2, 2], opacity[2, 2]) == (lion, grass, 1)
    assert (labels[4, 4], below[4, 4], opacity[4, 4]) == (pine, lion, 0.3)
    assert (labels[7, 7], below[7, 7], opacity[7, 7]) == (pine, grass, 0.3)
    assert (labels[11, 11], below[11, 11], opacity[11, 11]) == (lion, 0, 0.6)
    assert (labels[0, 0], below[0, 0], opacity[0, 0]) == (grass, grass, 1)
