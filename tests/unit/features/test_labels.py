"""Labels: texts of features with their source and scores, search, files, and the user's own."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ember_widgets.features import label_file
from ember_widgets.features import labels as labels_module
from ember_widgets.features.label_source import chosen
from ember_widgets.features.labels import Label, LabelHit, Labels


@pytest.fixture(autouse=True)
def no_text_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that has one, labels would also be found by meaning."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def labels() -> Labels:
    return Labels({3: "tree", 1: "palm tree", 8: "Tree at night", 9: "sand"})


class TestSearch:
    def test_wants_every_word_in_any_order_and_case(self, labels: Labels) -> None:
        assert labels.search("night TREE") == [8]
        assert labels.search("tree sand") == []

    def test_exact_labels_come_first_and_then_the_given_order(self, labels: Labels) -> None:
        assert labels.search("tree") == [3, 1, 8]
        assert Labels({8: "big tree", 2: "tree", 1: "old tree"}).search("tree") == [2, 8, 1]

    def test_words_come_before_beginnings_and_these_before_insides(self) -> None:
        labels = Labels({1: "sunflower", 2: "flowers", 3: "red flower", 4: "flower"})
        assert labels.search("flower") == [4, 3, 2, 1]

    def test_beginnings_of_several_words_find_them(self, labels: Labels) -> None:
        assert labels.search("tr ni") == [8]

    def test_brackets_do_not_hide_a_word(self) -> None:
        assert Labels({1: "a treehouse", 5: "pine (tree)"}).search("tree") == [5, 1]

    def test_an_empty_query_finds_nothing(self, labels: Labels) -> None:
        assert labels.search("  ") == []
        assert labels.search("()") == []

    def test_agrees_with_looking_at_every_label(self) -> None:
        rng = random.Random(0)
        words = ["sun", "sunset", "sea", "seal", "red", "tree", "night", "sunny"]
        labels = Labels({f: " ".join(rng.sample(words, rng.randint(1, 4))) for f in range(300)})
        for query in ("sun", "se", "sun red", "ight e", "seal"):
            holds = {f for f, text in labels.items() if all(part in text for part in query.split())}
            assert set(labels.search(query)) == holds

    def test_finds_what_was_set_since(self, labels: Labels) -> None:
        labels.search("tree")
        labels.set(2, "treetop")
        assert labels.search("tree") == [3, 1, 8, 2]


def test_a_label_that_is_set_during_a_search_is_found_by_the_next(
    labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches and labels come from different threads."""
    made = labels_module._words

    def words(text: str) -> list[str]:
        if text != "zebra" and not labels.is_own(8):
            labels.set(8, "zebra")  # while the index is made
        return made(text)

    monkeypatch.setattr(labels_module, "_words", words)
    labels.search("pine")
    assert labels.search("zebra") == [8]


def test_features_without_a_label_are_not_in_it(labels: Labels) -> None:
    assert labels.get(2) is None
    assert sorted(labels) == [1, 3, 8, 9]


class TestOwnLabels:
    def test_win_over_others_and_are_taken_away_again(self, labels: Labels) -> None:
        labels.set(3, "  my\n tree ")
        assert labels[3] == "my tree"
        assert labels.entry(3) == Label("my tree", "you")
        assert len(labels) == 4
        labels.set(3, "")
        assert labels.entry(3) == Label("tree")

    def test_are_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "own" / "sae.json"
        Labels({3: "tree"}, own_file=file).set(3, "oak")
        again = Labels({3: "tree", 4: "sand"}, own_file=file)
        assert dict(again) == {3: "oak", 4: "sand"}
        assert again.entry(3).source == "you"

    def test_of_two_threads_are_both_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "own.json"
        labels = Labels(own_file=file)
        write = label_file.write
        others: list[threading.Thread] = []

        def writing(path: Path, content: Mapping[int, Label]) -> None:
            if not others:
                others.append(threading.Thread(target=labels.set, args=(2, "b")))
                others[0].start()
                others[0].join(0.5)  # it waits for this one to end
            write(path, content)

        monkeypatch.setattr(label_file, "write", writing)
        labels.set(1, "a")
        others[0].join()
        assert dict(labels) == dict(Labels(own_file=file)) == {1: "a", 2: "b"}

    def test_of_two_notebooks_are_both_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "own.json"
        one, two = Labels(own_file=file), Labels(own_file=file)
        one.set(1, "a")
        two.set(2, "b")
        assert dict(Labels(own_file=file)) == {1: "a", 2: "b"}

    def test_call_listeners_until_these_end(self, labels: Labels) -> None:
        changed: list[list[int]] = []
        end = labels.on_changed(changed.append)
        labels.set(3, "oak")
        labels.add({8: "dune", 20: "sea"})
        end()
        end()
        labels.set(3, "")
        assert changed == [[3], [8, 20]]

    def test_that_cannot_be_kept_call_listeners_too(self, tmp_path: Path) -> None:
        changed: list[list[int]] = []
        (tmp_path / "in the way").touch()
        labels = Labels({3: "tree"}, own_file=tmp_path / "in the way" / "own.json")
        labels.on_changed(changed.append)
        with pytest.raises(OSError):
            labels.set(3, "oak")
        assert (labels[3], changed) == ("oak", [[3]])

    def test_stay_when_labels_are_added(self, labels: Labels) -> None:
        labels.set(3, "oak")
        labels.add({3: "beech", 9: "dune", 20: "sea"})
        assert (labels[3], labels[9], labels[20]) == ("oak", "dune", "sea")
        assert labels[1] == "palm tree"

    def test_are_for_features_that_there_are(self) -> None:
        labels = Labels(n_features=10)
        with pytest.raises(ValueError, match=r"feature=10 is outside 0\.\.9; the SAE has 10 features"):
            labels.set(10, "x")
        with pytest.raises(TypeError, match="text=5 is not text; give a str"):
            labels.set(1, 5)  # type: ignore[arg-type]
        with pytest.raises(
            ValueError, match="name feature 12, but the SAE has 10 features; give the labels of"
        ):
            labels.add({12: "x"})


class TestFiles:
    def test_of_our_own_form_keep_source_and_scores(self, tmp_path: Path) -> None:
        file = tmp_path / "labels.json"
        content = {"labels": {"7": "tree"}, "source": "measured", "scores": {"7": [0.9, 0.5]}}
        file.write_text(json.dumps(content))
        assert Labels.load(file).entry(7) == Label("tree", "measured", {"precision": 0.9, "recall": 0.5})

    @pytest.mark.parametrize("name", ["labels.json", "labels.tsv"])
    def test_that_are_exported_are_read_back(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / "given.json"
        content = {"labels": {"7": "a tree\twith tabs", "2": "día"}, "scores": {"7": {"score": 0.25}}}
        file.write_text(json.dumps({**content, "source": "someone"}))
        labels = Labels.load(file)
        labels.set(3, "mine")
        again = Labels.load(labels.export(tmp_path / name))
        assert again.entry(3) == Label("mine", "a person")
        assert list(again) == list(labels)
        assert [again.entry(f) for f in (2, 7)] == [labels.entry(f) for f in (2, 7)]
        assert list(again) == [3, 7, 2]

    def test_of_other_forms_are_read(self, tmp_path: Path) -> None:
        forms = {
            "plain.json": '{"4": "tree"}',
            "rows.json": '[{"index": 4, "description": "tree"}, {"index": 5, "description": null}]',
            "lines.jsonl": '{"feature_id": "4", "explanation": "tree"}\n\n',
            "table.tsv": "feature\tlabel\n4\ttree\n",
            "table.csv": "Label,Latent\ntree,4\n",
        }
        for name, text in forms.items():
            (tmp_path / name).write_text(text)
            assert dict(Labels.load(tmp_path / name)) == {4: "tree"}, name

    def test_of_several_sites_are_read_for_one(self, tmp_path: Path) -> None:
        file = tmp_path / "labels.csv"
        file.write_text(
            "block,feature,label,score\nunet.down_blocks.2.attentions.1,4,tree,.5\nmid.0,4,sky,\n"
        )
        assert Labels.load(file, site="down.2.1").entry(4) == Label("tree", "", {"score": 0.5})
        assert dict(Labels.load(file, site="mid_block.attentions.0")) == {4: "sky"}
        with pytest.raises(ValueError, match=r"labels of several sites \(down\.2\.1, mid\.0\); choose one"):
            Labels.load(file)
        with pytest.raises(ValueError, match=r"has no labels of up\.0\.1, only of down\.2\.1, mid\.0"):
            Labels.load(file, site="up.0.1")

    def test_without_quoting_keep_quotation_marks_and_the_lines_after_them(self, tmp_path: Path) -> None:
        """In a table with tabs a mark may be a part of the text; tools that quote double it."""
        plain = tmp_path / "plain.tsv"
        plain.write_text('feature\tlabel\n1\t"stop" sign\n2\t"open\n3\tcat\n4\t5" disc\n')
        assert dict(Labels.load(plain)) == {1: '"stop" sign', 2: '"open', 3: "cat", 4: '5" disc'}
        labels = Labels({1: '"stop" sign', 2: "a\tb", 3: '"open'})
        assert dict(Labels.load(labels.export(tmp_path / "quoted.tsv"))) == {**labels, 2: "a b"}

    def test_that_are_not_there_are_missed(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no label file at"):
            Labels.load(tmp_path / "none.json")

    @pytest.mark.parametrize("text", ["[]", "{", '{"labels": ["x"]}', '["x"]'])
    def test_of_another_kind_are_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "labels.json"
        file.write_text(text)
        with pytest.raises(ValueError, match="is not a label file; give JSON of the form"):
            Labels.load(file)

    @pytest.mark.parametrize(
        ("name", "text", "given"),
        [
            ("l.csv", "feature,label\n1.0,tree\n", "'1.0'"),  # a column of pandas with gaps
            ("l.json", '{"labels": {"1.0": "tree"}}', "'1.0'"),
            ("l.json", '[{"feature": 1.0, "label": "tree"}]', "1.0"),
            ("l.json", '[{"feature": true, "label": "tree"}]', "True"),
            ("l.json", '{"-1": "tree"}', "'-1'"),
            ("l.json", '{"names": {}}', "'names'"),
            ("l.tsv", "feature\tlabel\n\ttree\n", "''"),
            ("l.csv", "feature,label\n2147483648,tree\n", "'2147483648'"),
            ("l.csv", "id,label\n2_1,tree\n", "'2_1'"),  # was feature 21
        ],
    )
    def test_of_what_is_no_feature_are_refused(
        self, tmp_path: Path, name: str, text: str, given: str
    ) -> None:
        file = tmp_path / name
        file.write_text(text)
        said = f"{file} has {given} as a feature; features are whole numbers, 0, 1, 2, ..., written without"
        with pytest.raises(ValueError, match=re.escape(said)):
            Labels.load(file)

    def test_without_a_feature_are_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "labels.jsonl"
        file.write_text('{"label": "tree"}\n')
        with pytest.raises(ValueError, match="has a label without a feature; give JSON of the form"):
            Labels.load(file)

    @pytest.mark.parametrize(
        ("name", "text", "given"),
        [
            ("l.csv", "feature,label,score\n3,tree,n/a\n", "score='n/a'"),
            ("l.csv", "feature,label,confidence\n3,tree,great\n", "confidence='great'"),
            ("l.json", '{"labels": {"3": "tree"}, "scores": {"3": {"causal": [1]}}}', "causal=[1]"),
        ],
    )
    def test_with_scores_that_are_no_numbers_are_refused(
        self, tmp_path: Path, name: str, text: str, given: str
    ) -> None:
        file = tmp_path / name
        file.write_text(text)
        said = f"{file} has {given}, which is not a number; give a number, or leave it out"
        with pytest.raises(ValueError, match=re.escape(said)):
            Labels.load(file)

    def test_without_the_columns_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "labels.tsv").write_text("a\tb\n1\tx\n")
        with pytest.raises(ValueError, match="or a table with the columns feature and label"):
            Labels.load(tmp_path / "labels.tsv")

    def test_with_labels_that_are_not_text_are_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "labels.json"
        file.write_text('{"labels": {"1": ["x"]}}')
        with pytest.raises(ValueError, match="has labels that are not text; give a string for each feature"):
            Labels.load(file)

    def test_are_written_in_known_forms_only(self, tmp_path: Path, labels: Labels) -> None:
        with pytest.raises(ValueError, match=r"choose a name that ends in \.json, \.jsonl or \.tsv"):
            labels.export(tmp_path / "labels.xlsx")


def test_texts_that_no_file_can_hold_are_refused(tmp_path: Path) -> None:
    """One such label made every later one fail."""
    labels = Labels(own_file=tmp_path / "own.json")
    for act in (
        lambda: labels.set(1, "a \ud800"),
        lambda: Labels({1: "a \ud800"}),
        lambda: labels.add({1: "\ud800"}),
    ):
        with pytest.raises(ValueError, match="half of a surrogate pair, which no file can hold"):
            act()
    with pytest.raises(ValueError, match=r"text has 10,001 characters; 10,000 are the most"):
        labels.set(1, "x" * 10_001)
    labels.set(2, "tree")
    assert dict(Labels(own_file=tmp_path / "own.json")) == {2: "tree"}
    (tmp_path / "theirs.json").write_text(r'{"labels": {"1": "a \ud800"}}')
    with pytest.raises(
        ValueError, match=r"theirs\.json cannot be used: a label holds '.ud800' at 2, half of a"
    ):
        Labels.load(tmp_path / "theirs.json")


def test_numpy_numbers_are_as_good_as_others(tmp_path: Path) -> None:
    labels = Labels({np.int64(3): "tree"}, n_features=10)
    labels.set(np.int64(4), "pine")
    assert [type(feature) for feature in labels] == [int, int]
    label_file.write(tmp_path / "labels.json", {3: Label("tree", scores={"f1": np.float32(0.5)})})
    assert Labels.load(tmp_path / "labels.json").entry(3).scores == {"f1": 0.5}


def test_a_label_that_could_not_be_kept_is_kept_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "labels.json"
    labels = Labels(own_file=file)
    labels.set(1, "a lantern")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", _raise_full)
        for feature, text in ((2, "a lamp"), (1, "")):
            with pytest.raises(OSError, match=r"labels.json: No space left on device; free some space, or"):
                labels.set(feature, text)
    assert dict(labels) == {2: "a lamp"}
    assert dict(Labels(own_file=file)) == {1: "a lantern"}
    labels.set(3, "a lion")
    assert dict(Labels(own_file=file)) == dict(labels) == {2: "a lamp", 3: "a lion"}


def _raise_full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


AUTOMATIC = Label(
    "tabby cat",
    scores={"detection": 0.9, "causal": 0.8},
    counts={"detection": 10, "causal": 10},
    category="object",
    note="may also be any animal",
    model="Qwen/Qwen2.5-VL-7B",
    date="2026-11-29",
    prompt_hash="0a1b2c",
)


class TestAutomaticLabels:
    @pytest.mark.parametrize("name", ["labels.json", "labels.tsv", "labels.jsonl"])
    def test_keep_all_that_is_known_of_them(self, tmp_path: Path, name: str) -> None:
        given = {
            7: AUTOMATIC,
            2: Label("sand", source="measured", scores={"precision": 0.5, "recall": 0.25}),
            5: Label("fog", scores={"beauty": 0.5}),
        }
        label_file.write(tmp_path / name, given)
        labels = Labels({7: "cat"})
        labels.add(tmp_path / name)
        assert {feature: labels.entry(feature) for feature in labels} == given

    def test_are_written_as_before_if_nothing_more_is_known(self, tmp_path: Path) -> None:
        label_file.write(tmp_path / "labels.json", {3: Label("tree", "you")})
        content = json.loads((tmp_path / "labels.json").read_text())
        assert content == {"labels": {"3": "tree"}, "sources": {"3": "you"}, "scores": {}}

    def test_say_how_far_a_score_can_be_from_the_truth(self) -> None:
        low, high = AUTOMATIC.interval("detection")
        assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)  # Wilson's, as published tables have it
        with pytest.raises(KeyError, match="'f1' is no counted score of this label; counted are: detection"):
            AUTOMATIC.interval("f1")

    def test_tell_their_origin(self, tmp_path: Path) -> None:
        label_file.write(tmp_path / "run.json", {7: AUTOMATIC})
        labels = Labels({1: "sky"})
        labels.add(tmp_path / "run.json")
        assert labels.origin(7) == (
            "labelled by Qwen2.5-VL-7B on 2026-11-29; detection 0.9 (0.60 to 0.98), causal 0.8 (0.49 to 0.94)"
        )
        assert labels.origin(1) == ""
        labels.set(7, "cat")
        assert labels.origin(7) == "labelled by you"
        assert labels.is_own(7)
        assert not labels.is_own(1)
        someone = Labels.load(labels.export(tmp_path / "labels.json"))
        assert someone.origin(7) == "labelled by a person"

    def test_of_somebody_else_do_not_become_the_users_own(self, tmp_path: Path) -> None:
        theirs = Labels()
        theirs.set(7, "cat")
        labels = Labels()
        for given in (theirs, theirs.export(tmp_path / "labels.json")):
            labels.add(given)
            assert (labels.entry(7).source, labels.is_own(7)) == ("a person", False)
        assert Labels({7: Label("cat", "you")}).entry(7).source == "a person"
        assert theirs.moved(3).entry(10).source == "a person"
        assert Labels(theirs).is_own(7)  # a copy of all

    def test_are_chosen_by_score_and_category(self, tmp_path: Path) -> None:
        label_file.write(
            tmp_path / "run.json",
            {
                1: Label("cat", scores={"detection": 0.9, "causal": 0.8}, category="object"),
                2: Label("fur", scores={"detection": 0.8}, category="texture"),
                3: Label("dog", scores={"detection": 0.7, "causal": 0.9}, category="object"),
                4: Label("sky"),
            },
        )
        labels = Labels.load(tmp_path / "run.json")
        assert labels.features() == [1, 2, 3, 4]
        assert labels.features(min_scores={"detection": 0.8}) == [1, 2]
        assert labels.features(min_scores={"detection": 0.7, "causal": 0.8}) == [1, 3]
        assert labels.features(category="object") == [1, 3]
        assert labels.features(min_scores={"detection": 0.8}, category=["object", "texture"]) == [1, 2]
        labels.set(4, "my sky")
        assert labels.features(min_scores={"detection": 0.99}) == [4]
        assert labels.features(category="") == [4]
        with pytest.raises(
            ValueError, match="no label has the score 'detecton'; there are: causal, detection$"
        ):
            labels.features(min_scores={"detection": 0.8, "detecton": 0.8})
        with pytest.raises(ValueError, match="no label has the category 'part'; there are: object, texture$"):
            labels.features(category=["object", "part"])
        with pytest.raises(ValueError, match="^no label has the score 'causal'; there are: none$"):
            Labels({1: "cat"}).features(min_scores={"causal": 0.8})

    def test_with_impossible_counts_lose_these(self, tmp_path: Path) -> None:
        file = tmp_path / "labels.json"
        content = {
            "labels": {"1": "a", "2": "b", "3": "c"},
            "scores": {"1": {"x": 7.0}, "2": {"x": 0.5}, "3": {"x": 0.5}},
            "counts": {"1": {"x": 5}, "2": {"x": -3}, "3": {"x": 4}},
        }
        file.write_text(json.dumps(content))
        labels = Labels.load(file)
        assert [dict(labels.entry(f).counts) for f in labels] == [{}, {}, {"x": 4}]
        assert labels.origin(1) == "x 7.0"


# As in frontend/public/data/features of latent-dance, whose labels the public data set holds.
LATENT_DANCE = [
    {"id": 0, "label": "a desk", "category": "object", "confidence": "high", "meanActivation": 19.95},
    {"id": 1, "label": "soft light", "category": "mood", "confidence": "medium", "meanActivation": 13.1},
    {"id": 2, "label": "unlabeled", "category": "unknown", "confidence": "low", "meanActivation": 0},
    {"id": 3, "label": "grids", "category": "composition", "confidence": "low", "meanActivation": 20},
]
# As a line of https://neuronpedia-datasets.s3.us-east-1.amazonaws.com/v1/.../explanations/batch-0.jsonl.gz
NEURONPEDIA = {
    "id": "clx",
    "modelId": "gemma-2-2b",
    "layer": "20-gemmascope-mlp-16k",
    "index": "4691",
    "description": " time  of day",
    "embedding": "[0.1,0.2]",
    "authorId": "a",
    "notes": None,
    "scoreV1": 0,
    "typeName": "oai_token-act-pair",
    "explanationModelName": "gpt-4o-mini",
    "createdAt": "2024-07-05T12:01:02.003Z",
    "scores": [
        {"value": 0.75, "explanationScoreTypeName": "recall_alt"},
        {"value": 0.5, "explanationScoreTypeName": "eleuther_fuzz"},
    ],
}


class TestPublicFiles:
    def test_of_latent_dance_keep_category_and_confidence(self, tmp_path: Path) -> None:
        file = tmp_path / "down.2.1.json"
        file.write_text(json.dumps(LATENT_DANCE))
        labels = Labels.load(file)
        assert dict(labels) == {0: "a desk", 1: "soft light", 3: "grids"}
        assert [labels.entry(f).scores["confidence"] for f in labels] == [1, 0.5, 0]
        assert [labels.entry(f).category for f in labels] == ["object", "mood", "composition"]
        assert labels.features(min_scores={"confidence": 0.5}) == [0, 1]

    @pytest.mark.parametrize("name", ["batch-0.jsonl.gz", "export.json", "feature.json", "batch-0.jsonl"])
    def test_of_neuronpedia_keep_who_explained_and_the_scores(self, tmp_path: Path, name: str) -> None:
        line, second = json.dumps(NEURONPEDIA), json.dumps(NEURONPEDIA | {"description": "later"})
        feature = {"modelId": "g", "layer": "20-g", "index": "4691", "explanations": [NEURONPEDIA]}
        text = {
            "batch-0.jsonl.gz": f"{line}\n{second}\n",
            "batch-0.jsonl": f"{line}\n{second}\n",
            "export.json": f"[{line}]",
            "feature.json": json.dumps(feature),
        }[name]
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        labels = Labels.load(tmp_path / name)
        assert dict(labels) == {4691: "time of day"}
        assert labels.entry(4691) == Label(
            "time of day",
            "Neuronpedia, oai_token-act-pair",
            {"recall_alt": 0.75, "eleuther_fuzz": 0.5},
            model="gpt-4o-mini",
            date="2024-07-05",
        )
        with pytest.raises(ValueError, match=r"has no labels of mid\.0, only of 20-gemma|only of 20-g"):
            Labels.load(tmp_path / name, site="mid.0")

    def test_in_batches_are_read_together(self, tmp_path: Path) -> None:
        for batch in (0, 2, 10):
            line = json.dumps(NEURONPEDIA | {"index": str(batch), "description": f"words {batch}"})
            (tmp_path / f"batch-{batch}.jsonl.gz").write_bytes(gzip.compress(line.encode()))
        assert dict(Labels.load(tmp_path)) == {0: "words 0", 2: "words 2", 10: "words 10"}

    def test_named_after_sites_are_read_for_one(self, tmp_path: Path) -> None:
        for site in ("down.2.1", "up.0.1"):
            (tmp_path / f"{site}.json").write_text(json.dumps([{"id": 4, "label": f"of {site}"}]))
        assert dict(Labels.load(tmp_path, site="up.0.1")) == {4: "of up.0.1"}
        assert dict(Labels.load(tmp_path, site="down_blocks.2.attentions.1")) == {4: "of down.2.1"}
        with pytest.raises(ValueError, match=r"labels of several sites \(down\.2\.1, up\.0\.1\); choose one"):
            Labels.load(tmp_path)
        with pytest.raises(ValueError, match=r"has no labels of mid\.0, only of down\.2\.1, up\.0\.1"):
            Labels.load(tmp_path, site="mid.0")


@pytest.mark.parametrize(
    ("names", "site", "found"),
    [
        (["README.md", "labels.jsonl", "labels.json", "old/labels.json"], None, ["labels.json"]),
        (["labels/up.0.1.json", "labels/mid.0.json"], "up.0.1", ["labels/up.0.1.json"]),
        (["a/labels/up.0.1.json", "a/activations/up.0.1.jsonl"], "up.0.1", ["a/labels/up.0.1.json"]),
        (["batch-10.jsonl.gz", "batch-9.jsonl.gz"], None, ["batch-9.jsonl.gz", "batch-10.jsonl.gz"]),
        (["one.csv", ".hidden.csv"], "up.0.1", ["one.csv"]),
        (["stats.json", "explanations.csv"], None, ["explanations.csv"]),
    ],
)
def test_the_label_file_among_others_is_found(names: list[str], site: str | None, found: list[str]) -> None:
    assert chosen(names, site, "here") == found


def test_what_may_be_meant_is_told() -> None:
    with pytest.raises(
        ValueError, match=r"here holds 2 files that may be labels \(a.json, b.tsv\); add the path"
    ):
        chosen(["a.json", "b.tsv"], None, "here")
    with pytest.raises(FileNotFoundError, match=r"here holds no label file: none of its files is \.json"):
        chosen(["a.parquet"], None, "here")


def test_a_hit_by_a_word_says_so(labels: Labels) -> None:
    assert labels.find("sand") == [LabelHit(9, "word", None)]


def test_labels_say_what_they_are(labels: Labels) -> None:
    assert repr(labels) == "Labels(4 features: 3: 'tree', 1: 'palm tree', 8: 'Tree at night', ...)"
    assert repr(Labels()) == "Labels(no features)"


@pytest.mark.parametrize("n_features", [None, 10])
def test_features_count_from_0(n_features: int | None) -> None:
    with pytest.raises(ValueError, match="feature=-1 is outside 0"):
        Labels({-1: "cat"}, n_features=n_features)
    with pytest.raises(ValueError, match="feature=-3 is outside 0"):
        Labels(n_features=n_features).add({-3: "dog"})


def test_what_is_no_label_is_refused(labels: Labels) -> None:
    with pytest.raises(TypeError, match=r"labels=\[1, 2\] are not labels; give \{feature: text\}"):
        labels.add([1, 2])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="query=3 is not text; give a str"):
        labels.search(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("least", "message"),
    [
        (0.8, r"min_scores=0.8 does not say which score; give e.g. \{'causal': 0.8\}"),
        ({"causal": "high"}, r"min_scores\['causal'\]='high' is not a number; give the lowest score"),
    ],
)
def test_a_lowest_score_is_a_number_for_a_score(labels: Labels, least: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        labels.features(min_scores=least)
