"""Labels are found by meaning, with a real text embedding of model2vec; and without one as before."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets.features import meaning
from ember_widgets.features.labels import LabelHit, Labels
from ember_widgets.features.meaning import Meaning
from ember_widgets.util.hub import NotInCache
from tests.unit.features.embeddings import in_cache, saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("embedding"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and an address where nobody answers."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    return tmp_path / "cache"


@pytest.fixture
def labels() -> Labels:
    return Labels({5: "a car", 3: "Cat", 8: "kittens", 9: "red dog", 11: "xyzzy"})


class TestMeaning:
    def test_ranks_texts_by_their_cosine(self, folder: Path) -> None:
        found = Meaning.load(folder).rank("kitten", ["car", "cat", "dog", "kitten", "xyzzy"])
        assert [i for i, _ in found] == [3, 1, 2]
        cosines = [cosine for _, cosine in found]
        assert cosines == pytest.approx([1, 0.95, 0.5], abs=0.01)

    def test_leaves_out_what_is_far_or_too_much(self, folder: Path) -> None:
        loaded = Meaning.load(folder)
        texts = ["car", "cat", "dog"]
        assert [i for i, _ in loaded.rank("kitten", texts, threshold=0.6)] == [1]
        assert [i for i, _ in loaded.rank("kitten", texts, most=1)] == [1]
        assert loaded.rank("kitten", []) == []

    def test_knows_nothing_of_unknown_words_and_numbers(self, folder: Path) -> None:
        loaded = Meaning.load(folder)
        assert not loaded.vectors(["xyzzy"]).any()
        assert loaded.rank("xyzzy", ["cat", "xyzzy"]) == []
        assert loaded.rank("12", ["cat"]) == []
        assert np.allclose(np.linalg.norm(loaded.vectors(["red cat", "dog"]), axis=1), 1)

    def test_wants_a_folder_that_holds_one(self, tmp_path: Path, folder: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no text embedding of model2vec: it lacks config.json"):
            Meaning.load(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"no text embedding at '/none'; give a folder, or"):
            Meaning.load("/none")
        broken = shutil.copytree(folder, tmp_path / "broken")
        (broken / "model.safetensors").write_bytes(b"x" * 100)
        with pytest.raises(ValueError, match=r"broken is damaged \(.*\); download it again"):
            Meaning.load(broken)

    def test_says_what_to_install(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(ImportError, match=r"run pip install 'ember-widgets\[meaning\]'"):
            Meaning.load(folder)
        assert meaning.usual() is None


class TestLabels:
    def test_are_found_by_words_first_and_then_by_meaning(self, labels: Labels, folder: Path) -> None:
        assert labels.search("kitten") == [8]
        labels.load_meaning(folder)
        assert labels.search("kitten") == [8, 3, 9]
        first, second, _ = labels.find("kitten")
        assert first == LabelHit(8, "word", None)
        assert (second.feature, second.reason) == (3, "meaning")
        assert second.cosine == pytest.approx(0.95, abs=0.01)
        assert labels.search("feline") == []
        assert labels.find("kitten", by_meaning=False) == [LabelHit(8)]
        assert labels.search("()") == []

    def test_that_were_set_since_are_found(self, labels: Labels, folder: Path) -> None:
        labels.load_meaning(folder)
        assert labels.search("puppy") == [9]
        labels.set(5, "dog")
        assert labels.search("puppy") == [5, 9]
        labels.set(5, "")
        labels.add({9: "car"})
        assert labels.search("puppy") == []

    def test_are_embedded_once(self, labels: Labels, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        labels.load_meaning(folder)
        labels.search("kitten")
        encoded: list[list[str]] = []
        plain = Meaning.vectors

        def vectors(self: Meaning, texts: Sequence[str]) -> NDArray[np.float32]:
            encoded.append(list(texts))
            return plain(self, texts)

        monkeypatch.setattr(Meaning, "vectors", vectors)
        labels.search("puppy")
        labels.set(5, "lion")
        labels.search("cat")
        assert [texts for texts in encoded if texts] == [["puppy"], ["lion"], ["cat"]]

    def test_use_the_usual_embedding_if_it_is_in_the_cache(
        self, labels: Labels, folder: Path, cache: Path
    ) -> None:
        assert labels.search("puppy") == []
        in_cache(folder, cache, meaning.MODEL)
        assert labels.search("puppy") == [9]
        assert Labels({1: "dog"}).search("puppy") == [1]

    def test_are_found_by_words_if_the_cache_is_damaged(
        self, labels: Labels, folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        held = in_cache(folder, cache, meaning.MODEL)
        (held / "tokenizer.json").unlink()
        assert labels.search("cat") == [3]
        (held / "tokenizer.json").write_text("{")
        with caplog.at_level(logging.WARNING, "ember_widgets"):
            assert labels.search("cat") == labels.search("cat") == [3]
        assert [record.message.startswith("search by meaning is off:") for record in caplog.records] == [True]


def test_the_package_is_loaded_by_the_first_search_only(folder: Path) -> None:
    code = (
        "import sys; from ember_widgets.features.labels import Labels; labels = Labels({1: 'cat'}); "
        "labels.search('cat'); print('model2vec' in sys.modules, 'torch' in sys.modules); "
        f"labels.load_meaning({str(folder)!r}); "
        "print(labels.search('kitten'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False False", "[1] False"]


def test_the_advice_is_the_command_that_fetches_the_text_embedding(cache: Path) -> None:
    with pytest.raises(NotInCache, match="run `ember-widgets download --meaning` once"):
        Meaning.load(local_files_only=True)
    with pytest.raises(NotInCache, match="load it once where there is a network"):
        Meaning.load("me/other", local_files_only=True)
