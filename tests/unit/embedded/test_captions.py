"""Captions of the embedded world: what they say is what stands there, the noise decides the rest."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets.embedded import captions, vocabulary
from ember_widgets.embedded.architecture import MAX_TOKENS, caption_words
from ember_widgets.embedded.captions import Spec, caption_choices, caption_layout, plural, random_spec, say
from ember_widgets.embedded.vocabulary import LABELS


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, 64, 64))


def label(name: str) -> int:
    return LABELS.index(name)


def test_a_caption_is_obeyed_for_any_noise() -> None:
    spec = Spec((label("lion"), label("sun"), label("pine")), sky=1, ground=0)
    for seed in range(20):
        layout = caption_layout(spec, noise(seed))
        assert {LABELS[t.label] for t in layout.things} == {"lion", "sun", "pine"}
        assert set(np.unique(layout.background)) == {label("sunset"), label("grass")}


def test_other_noise_composes_the_same_caption_otherwise() -> None:
    spec = Spec((label("lion"),), sky=0, ground=0)
    places = {
        (t.row, t.col, t.height) for seed in range(30) for t in caption_layout(spec, noise(seed)).things
    }
    assert len(places) > 8
    assert {height for _, _, height in places} == {4, 5}


def test_each_thing_has_the_places_whose_noise_is_nearly_the_largest() -> None:
    spec = Spec((label("lion"), label("pine")))
    several = 0
    for seed in range(20):
        choices = caption_choices(spec, noise(seed), 0.5)
        assert choices.layout().things == caption_layout(spec, noise(seed)).things
        for thing, places in zip(spec.things, choices.places, strict=True):
            assert all(there.label == thing for (there,) in places)
            assert len(set(places)) == len(places)
            several += len(places) > 1
    assert 10 <= several <= 35
    assert all(len(places) == 8 for places in caption_choices(spec, noise(0), 100).places)


def test_two_animals_that_do_something_together_move_together() -> None:
    spec = Spec((label("cat in love"), label("fox in love"), label("pine")), interaction=0)
    pair, pine = caption_choices(spec, noise(0), 100).places
    assert {tuple(t.label for t in both) for both in pair} == {spec.things[:2]}
    assert {second.col - first.col for first, second in pair} == {captions.APART}
    assert {thing.label for (thing,) in pine} == {label("pine")}


def test_things_stand_apart_from_left_to_right_as_they_are_named() -> None:
    names = ("castle", "tulip", "cat", "car")
    for n in range(1, 5):
        spec = Spec(tuple(label(name) for name in names[:n]))
        for seed in range(30):
            column = {t.label: t.col + t.width // 2 for t in caption_layout(spec, noise(seed)).things}
            assert sorted(column, key=column.__getitem__) == list(spec.things)
            assert min(np.diff(sorted(column.values())), default=2) >= 2


def test_where_a_thing_stands_depends_on_no_other() -> None:
    spec = Spec(tuple(label(name) for name in ("castle", "tulip", "cat")))
    others = noise(0)
    others[1] = noise(1)[1]
    before, after = ({t.label: t for t in caption_layout(spec, given).things} for given in (noise(0), others))
    moved = [name for name in ("castle", "tulip", "cat") if before[label(name)] != after[label(name)]]
    assert moved == ["tulip"]


@pytest.mark.parametrize("interaction", range(len(vocabulary.INTERACTIONS)))
def test_an_interaction_sets_two_animals_side_by_side_in_its_states(interaction: int) -> None:
    states = vocabulary.INTERACTIONS[interaction][:2]
    rng, met = np.random.default_rng(0), 0
    while met < 10:
        spec = random_spec(rng)
        if spec.interaction != interaction:
            continue
        met += 1
        first, second = (vocabulary.look(t) for t in spec.things[:2])
        assert [" ".join(look.attributes[1:]) for look in (first, second)] == list(states)
        layout = caption_layout(spec, noise(met))
        a, b = (next(t for t in layout.things if t.label == chosen) for chosen in spec.things[:2])
        assert abs(a.col - b.col) == 5
        assert (a.row, a.height) == (b.row, b.height)


def test_captions_use_known_words_and_fit_the_text_encoder() -> None:
    rng, known = np.random.default_rng(1), {*caption_words(), ""}
    for _ in range(2000):
        words = random_spec(rng, styled=0.5).words.replace(",", " , ").split()
        assert set(words) <= known
        assert len(words) + 2 <= MAX_TOKENS


def test_big_and_small_things_are_so_and_said_so() -> None:
    sizes = {}
    for size in (-1, 0, 1):
        spec = Spec((label("bear"),), (size,))
        sizes[size] = {t.height for seed in range(20) for t in caption_layout(spec, noise(seed)).things}
        said = {say(spec, np.random.default_rng(seed)) for seed in range(30)}
        assert all("big bear" in text for text in said) == (size == 1)
        assert all("small bear" in text for text in said) == (size == -1)
    assert sizes == {-1: {3}, 0: {4, 5}, 1: {6, 7}}


def test_two_of_a_kind_stand_apart() -> None:
    spec = Spec((label("fox"), label("fox"), label("sun")))
    for seed in range(20):
        layout = caption_layout(spec, noise(seed))
        foxes = [t.col for t in layout.things if t.label == label("fox")]
        assert len(foxes) == 2
        assert abs(foxes[0] - foxes[1]) >= 3
        assert "two foxes" in say(spec, np.random.default_rng(seed))


def test_several_of_a_kind_have_their_plural() -> None:
    nouns = {"fox": "foxes", "strawberry": "strawberries", "monkey": "monkeys", "fish": "fish"}
    assert {noun: plural(noun) for noun in nouns} == nouns
    assert plural("snowman") == "snowmen"


@pytest.mark.parametrize("backdrop", range(len(vocabulary.BACKDROPS)))
def test_a_backdrop_stands_before_the_sky(backdrop: int) -> None:
    spec = Spec((label("tent"),), backdrop=backdrop, sky=1)
    background = caption_layout(spec, noise(0)).background
    behind = background == label(vocabulary.BACKDROPS[backdrop])
    assert 16 <= behind.sum() < 100
    assert not behind[captions.HORIZON :].any()
    assert (background == label("sunset")).any()
    assert any(
        phrase in say(spec, np.random.default_rng(1)) for phrase in vocabulary.BACKDROP_PHRASES[backdrop]
    )


def test_words_come_in_many_orders() -> None:
    spec, rng = Spec((label("cat"),), sky=2, ground=2, style=1), np.random.default_rng(2)
    said = {say(spec, rng) for _ in range(200)}
    assert len(said) > 60
    assert any(text.startswith("a pencil drawing of") for text in said)
    assert any(text.endswith("as a pencil drawing") for text in said)
    assert any("kitten" in text for text in said)
