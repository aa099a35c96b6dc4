"""What a model does not read of a prompt is said, and libraries log nothing about it."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from ember_widgets import Painter
from ember_widgets.embedded import vocabulary
from ember_widgets.embedded.architecture import caption_words
from ember_widgets.embedded.oracle import load_oracle
from ember_widgets.model.backbone import Cut
from ember_widgets.painter.prompt_notes import PromptNotes
from ember_widgets.painter.protocol import NotesPrompts, offered

LONG = "a cat and a dog " * 8  # 40 words


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter.embedded()


def test_the_embedded_model_knows_the_words_of_its_vocabulary(painter: Painter) -> None:
    known = set(painter.known_words)
    assert list(painter.known_words) == sorted(known)
    assert known <= set(caption_words())  # the recipe may know more than the weights that ship
    things = [vocabulary.LABELS.index(name) for name in load_oracle().names]
    phrases = chain(
        *(vocabulary.look(label).words for label in things if label >= vocabulary.FIRST_THING),
        *(*vocabulary.GROUND_PHRASES, *vocabulary.STYLE_PHRASES),
    )
    assert {word for phrase in phrases for word in re.findall("[a-z]+", phrase)} <= known
    assert offered(painter, NotesPrompts) is painter


@pytest.mark.parametrize(
    ("prompt", "style", "says"),
    [
        ("a sun and a pine in the snow", None, ""),
        ("A Pine, on GRASS!", None, ""),
        ("", None, ""),
        ("nine larches and a zebra, a zebra", None, "not known here: nine, larches, zebra"),
        ("a zebra", "in sepia", ""),
        ("a pine", "oil painting", "not known here: oil, painting"),
        ("a pine", "", ""),
        (LONG, None, "only the first 30 tokens count: everything after “and a dog” is ignored"),
        (LONG, "sepia", "only the first 30 tokens count: this text is ignored"),
        (
            "a cat",
            "in sepia " * 20,
            "only the first 30 tokens count: everything after “in sepia in” is ignored",
        ),
        (
            "q" * 40,
            None,
            f"not known here: {'q' * 29}…; only the first 30 tokens count: this text is ignored",
        ),
    ],
)
def test_what_is_not_read_is_said(painter: Painter, prompt: str, style: str | None, says: str) -> None:
    notes = painter.prompt_notes(prompt, style)
    assert str(notes) == says
    assert bool(notes) == bool(says)


def test_a_cut_is_where_the_picture_stops_to_change(painter: Painter) -> None:
    notes = painter.prompt_notes(LONG)
    assert notes.n_tokens == 30
    words = LONG.split()
    kept, more = " ".join(words[:30]), " ".join([*words[:30], "castle"])
    one, two = (painter.activations(painter.analyze(prompt)) for prompt in (kept, more))
    assert (one == two).all()
    fewer = painter.activations(painter.analyze(" ".join([*words[:29], "castle"])))
    assert (one != fewer).any()


def test_a_model_that_knows_all_words_says_nothing_about_them() -> None:
    assert not PromptNotes.of("Ein Löwe im Schnee", (), None)
    cut = PromptNotes.of("x y z", (), Cut(75, 3))
    assert str(cut) == "only the first 75 tokens count: everything after “x y” is ignored"


def test_many_unknown_words_are_not_all_listed() -> None:
    text = " ".join(chr(ord("a") + n) * 3 for n in range(12))
    notes = PromptNotes.of(text, ["pine"], None)
    assert len(notes.unknown) == 12
    assert str(notes).endswith("iii, jjj, …")


@pytest.mark.parametrize("prompt", [7, "\ud800"])
def test_a_prompt_that_is_no_text_is_refused(painter: Painter, prompt: object) -> None:
    with pytest.raises((TypeError, ValueError), match="prompt"):
        painter.prompt_notes(prompt)  # type: ignore[arg-type]


def test_libraries_log_nothing_about_a_long_prompt(caplog: pytest.LogCaptureFixture) -> None:
    painter = Painter.embedded()  # a new one: tokenizers warn only once
    painter.prompt_notes(LONG)
    painter.render(painter.analyze(LONG, style="in sepia " * 20))
    assert caplog.messages == []
    painter.pipeline.encode_prompt(LONG)  # whoever uses the pipeline still hears of it
    assert "truncated" in caplog.text
