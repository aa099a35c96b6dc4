"""Concepts of the embedded model's pictures: one bank, the same factors in every picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ember_widgets as ember
from ember_widgets.painter.protocol import HasConcepts, offered
from ember_widgets.widgets.paint.to_python import creation

PROMPTS = [
    f"a {thing} {place}" for thing in ("lion", "cat", "castle") for place in ("in a meadow", "in the snow")
]


@pytest.fixture(scope="module")
def bank(painter: ember.Painter, tmp_path_factory: pytest.TempPathFactory) -> ember.ConceptBank:
    folder = tmp_path_factory.mktemp("pictures")
    made = painter.collect(PROMPTS, folder, seeds=(1, 2), pictures=False, progress=False)
    return made.concepts(6, labels=painter.labels, progress=False)


def rows(scene: ember.Scene) -> dict[str, bytes]:
    return {name: row.tobytes() for name, row in zip(scene.names, scene.basis, strict=True)}


def test_a_concept_is_the_same_in_every_picture(painter: ember.Painter, bank: ember.ConceptBank) -> None:
    assert {"lion", "cat", "castle", "grass", "snow"} <= set(bank.names)
    scenes = [painter.analyze(prompt, seed=9, basis=bank) for prompt in PROMPTS]
    for scene, prompt in zip(scenes, PROMPTS, strict=True):
        thing = prompt.split()[1]
        assert thing in scene.names
        assert not {"lion", "cat", "castle"} - {thing} & set(scene.names)
        for name, row in rows(scene).items():
            assert row == bank[name].row.tobytes()
    plain = painter.render(painter.analyze(PROMPTS[0], seed=9))
    assert painter.render(scenes[0]) == plain  # nothing is painted yet


def test_the_number_of_factors_changes_no_strength(painter: ember.Painter, bank: ember.ConceptBank) -> None:
    every = painter.analyze(PROMPTS[0], seed=3, basis=bank)
    two = painter.analyze(PROMPTS[0], seed=3, basis=bank, n_factors=2)
    assert two.names == every.names[:2]
    assert np.array_equal(two.strengths, every.strengths[..., :2])


def test_a_concept_can_be_painted_into_any_picture(painter: ember.Painter, bank: ember.ConceptBank) -> None:
    castle = bank["castle"]
    for scene in (
        painter.analyze("a ship on the sea", seed=1),
        painter.analyze("a cat in the snow", seed=1, basis=bank, n_factors=2),
        painter.blank(seed=1),
    ):
        painted = scene.add_factor(castle).paint(castle.name, "centre")
        assert np.array_equal(painted.basis[-1], castle.row)
        before, after = (np.asarray(painter.render(one), float) for one in (scene, painted))
        assert np.abs(after - before).mean() > 3


def test_an_edited_scene_is_saved_reseeded_and_refitted(
    painter: ember.Painter, bank: ember.ConceptBank, tmp_path: Path
) -> None:
    scene = painter.analyze(PROMPTS[0], seed=3, basis=bank).scale("lion", 1.5)
    scene.save(tmp_path / "scene.json")
    loaded = ember.Scene.load(tmp_path / "scene.json")
    assert loaded == scene
    assert loaded.model["concepts"] == bank.key
    assert rows(painter.reseed(scene, 5)) == rows(scene)
    refitted = painter.refit(scene.add_factor(bank["castle"]), 3)
    assert "concepts" not in refitted.model
    assert np.array_equal(refitted.basis[-1], bank["castle"].row)
    assert not np.array_equal(refitted.basis[0], scene.basis[0])


def test_the_painter_offers_its_concepts(painter: ember.Painter, bank: ember.ConceptBank) -> None:
    assert offered(painter, HasConcepts) is painter
    assert painter.concepts is None
    scene = painter.analyze(PROMPTS[0], basis=bank)
    assert "opened(" in creation(scene, painter)[-1]  # Python cannot name the bank
    try:
        painter.concepts = bank
        (line,) = creation(scene, painter, analyzed_here=True)
        there = {"painter": painter}
        exec(line, there)
        assert there["scene"] == scene
    finally:
        painter.concepts = None


def test_two_sites_have_factors_of_the_banks_site(bank: ember.ConceptBank) -> None:
    both = ember.Painter.embedded(sites=("down.2.1", "up.0.1"))
    scene = both.analyze(PROMPTS[0], seed=3, basis=bank)
    assert {scene.site(name) for name in scene.names} == {bank.site}
    assert np.array_equal(scene.basis[0, : bank.n_features], bank[scene.names[0]].row)
    with pytest.raises(TypeError, match="with a basis, whose concepts are all of one site"):
        both.analyze(PROMPTS[0], basis=bank, n_factors={"down.2.1": 2, "up.0.1": 3})
    (line,) = _with(both, bank, scene)
    assert "n_factors=" + str(scene.n_factors) + ", basis=painter.concepts" in line


def _with(painter: ember.Painter, bank: ember.ConceptBank, scene: ember.Scene) -> tuple[str, ...]:
    painter.concepts = bank
    return creation(scene, painter, analyzed_here=True)


def test_other_banks_are_refused(bank: ember.ConceptBank) -> None:
    other = ember.Painter.embedded(sites="up.0.1")
    with pytest.raises(ValueError, match="these concepts are of site 'down.2.1', but this painter steers up"):
        other.analyze("a lion", basis=bank)
    with pytest.raises(ValueError, match="these concepts are of site"):
        other.concepts = bank
    with pytest.raises(TypeError, match=r"3 is not a bank of concepts; make one with painter\.collect"):
        other.analyze("a lion", basis=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'castle' is of site 'down\.2\.1', but this scene steers up"):
        other.blank().add_factor(bank["castle"])


def test_a_bank_of_a_painter_with_two_sites(tmp_path: Path) -> None:
    both = ember.Painter.embedded(sites=("down.2.1", "up.0.1"))
    made = both.collect(PROMPTS[:2], tmp_path / "c", pictures=False, progress=False)
    bank = made.concepts(3, site="up.0.1", labels=both.labels, stability=False, progress=False)
    assert bank.n_features == both.saes["up_blocks.0.attentions.1"].n_features
    scene = ember.Painter.embedded(sites="up.0.1").analyze(PROMPTS[0], basis=bank)
    assert scene.n_factors > 0
