"""Labels: a read-only mapping from features to texts, with search."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_widgets.labels import Labels


@pytest.fixture
def labels() -> Labels:
    return Labels({3: "tree", 1: "palm tree", 8: "Tree at night", 9: "sand"})


def test_search_wants_every_word_in_any_order_and_case(labels: Labels) -> None:
    assert labels.search("night TREE") == [8]
    assert labels.search("tree sand") == []


def test_exact_labels_come_first_and_then_the_given_order(labels: Labels) -> None:
    assert labels.search("tree") == [3, 1, 8]
    assert Labels({8: "big tree", 2: "tree", 1: "old tree"}).search("tree") == [2, 8, 1]


def test_an_empty_query_finds_nothing(labels: Labels) -> None:
    assert labels.search("  ") == []


def test_features_without_a_label_are_not_in_it(labels: Labels) -> None:
    assert labels.get(2) is None
    assert sorted(labels) == [1, 3, 8, 9]


@pytest.mark.parametrize("text", ["[]", "{", '{"labels": {"a": "x"}}', '{"labels": ["x"]}', '{"names": {}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "labels.json"
    file.write_text(text)
    with pytest.raises(ValueError, match="is not a label file; give JSON of the form"):
        Labels.load(file)


def test_labels_that_are_not_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text('{"labels": {"1": ["x"]}}')
    with pytest.raises(ValueError, match="has labels that are not text; give a string for each feature"):
        Labels.load(file)
