"""Banks of concepts: they are what the pictures were made of, and stay so in files and in scenes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import ember_widgets as ember
from ember_widgets.dictionary.factors import Factors, typical_strength
from ember_widgets.features import concept_file, concept_fit
from ember_widgets.features.collection import Collection
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.hit import Hit
from ember_widgets.scene.feature_space import FeatureSpace
from tests.unit.scene.scenes import make_scene

F, N = 40, 4
DOWN, UP = "down_blocks.2.attentions.1", "up_blocks.0.attentions.1"
MODEL = {"id": "test", "site": DOWN, "sae": "abc"}
LABELS = {0: "sky", 4: "lion (animal)", 12: "sky"}


def truth() -> NDArray[np.float32]:
    """Four concepts of four features each, the last two with one in common; feature 39 is everywhere."""
    random = np.random.default_rng(0)
    rows = np.zeros((N, F), np.float32)
    for k in range(N):
        rows[k, 4 * k : 4 * k + 4] = random.uniform(0.5, 2, 4)
    rows[3, 8] = 0.3
    return rows


def picture(seed: int) -> NDArray[np.float32]:
    """Codes of blobs of two of the concepts."""
    random = np.random.default_rng(seed)
    strengths = np.zeros((16, 16, N), np.float32)
    for k in random.choice(N, 2, replace=False):
        row, col = random.integers(0, 12, 2)
        strengths[row : row + 5, col : col + 5, k] = random.uniform(0.5, 1.5, strengths[:5, :5, 0].shape)[
            : 16 - row, : 16 - col
        ]
    codes = np.asarray(strengths @ truth())
    codes[..., 39] = 0.7
    return codes


def filled(collection: Collection, n: int = 70) -> Collection:
    for seed in range(n):
        collection.add(f"picture {seed}", seed, picture(seed), Image.new("RGB", (64, 64), (seed, 9, 9)))
    collection.flush()
    return collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return filled(Collection.create(tmp_path_factory.mktemp("c"), F, MODEL))


@pytest.fixture(scope="module")
def bank(collection: Collection) -> ConceptBank:
    return collection.concepts(N, ignore=[39], labels=LABELS, progress=False)


def cosines(bank: ConceptBank) -> NDArray[np.float64]:
    return concept_fit.matched(truth(), bank.basis[:, :39] @ np.eye(39, F))[1]


class TestTheFit:
    def test_finds_what_the_pictures_were_made_of(self, bank: ConceptBank) -> None:
        assert len(bank) == N
        assert cosines(bank).min() > 0.99
        assert bank.stability.min() > 0.99
        assert bank.ignore == (39,)

    def test_ignored_features_get_their_weights_afterwards(self, bank: ConceptBank) -> None:
        assert (bank.basis[:, 39] > 0).all()

    def test_strength_1_is_typical_of_the_collection(self, bank: ConceptBank, collection: Collection) -> None:
        all_strengths = np.stack([bank.transform(collection.codes(i)) for i in range(len(collection))])
        for k in range(N):
            assert typical_strength(all_strengths[..., k].astype(np.float64).ravel()) == pytest.approx(1)
        np.testing.assert_allclose(bank.strengths, all_strengths.mean((1, 2)), atol=1e-5)

    def test_hits_are_the_strongest_patches(self, bank: ConceptBank, collection: Collection) -> None:
        all_strengths = np.stack([bank.transform(collection.codes(i)) for i in range(len(collection))])
        for k in range(N):
            peaks = all_strengths[..., k].reshape(len(collection), -1).max(axis=1)
            hits = bank.top(k, 5)
            np.testing.assert_allclose([hit.activation for hit in hits], np.sort(peaks)[:-6:-1], rtol=1e-5)
            best = hits[0]
            assert all_strengths[best.index, best.row, best.col, k] == pytest.approx(best.activation)
            assert (best.prompt, best.seed) == (f"picture {best.index}", best.index)

    def test_the_same_pictures_give_the_same_concepts(
        self, bank: ConceptBank, collection: Collection
    ) -> None:
        again = collection.concepts(N, ignore=[39], stability=False, progress=False)
        assert np.array_equal(again.basis, bank.basis)
        assert again.key == bank.key
        assert np.isnan(again.stability).all()

    def test_a_sample_of_the_patches_gives_the_same_concepts(
        self, collection: Collection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(concept_fit, "SAMPLE", 600)
        seen: list[int] = []
        fit = concept_fit.factorised

        def noted(codes: Any, n: int) -> NDArray[np.float64]:
            seen.append(codes.shape[0])
            return fit(codes, n)

        monkeypatch.setattr(concept_fit, "factorised", noted)
        # 256 for each concept would be more.
        found = collection.concepts(2, ignore=[39], stability=False, progress=False)
        assert seen == [600]
        assert len(found) == 2

    def test_a_sample_is_drawn_evenly(self, collection: Collection) -> None:
        class Bar:
            def update(self, n: int) -> None: ...

        sample = concept_fit._sample(collection, slice(0, F), 700, 0, Bar())
        assert sample.codes.shape == (700, F)
        counts = np.bincount(sample.pictures, minlength=70)
        assert counts.min() > 0
        assert counts.max() < 30

    def test_largest_share_comes_first(self, bank: ConceptBank, collection: Collection) -> None:
        all_strengths = np.stack([bank.transform(collection.codes(i)) for i in range(len(collection))])
        energy = (all_strengths**2).sum((0, 1, 2)) * (bank.basis**2).sum(1)
        assert (np.diff(energy) < 0).all()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"n": 17, "ignore": [39]},
                "n=17, but this collection has only 16 active features in [0-9]+ patches; choose",
            ),
            ({"n": 2, "ignore": range(F)}, "ignore names every active feature"),
            ({"n": 0}, r"n=0"),
            ({"n": 2, "site": "up.0.1"}, "site='up.0.1' is not steered here"),
            ({"n": 2, "ignore": [40]}, "feature=40"),
        ],
    )
    def test_refuses_what_cannot_be(
        self, collection: Collection, arguments: dict[str, object], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            collection.concepts(**arguments, progress=False)  # type: ignore[arg-type]

    def test_refuses_an_empty_collection(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="holds no pictures yet; add some with painter.collect"):
            Collection.create(tmp_path / "c", F, MODEL).concepts(2)
        dark = Collection.create(tmp_path / "d", F, MODEL)
        dark.add("", 0, np.zeros((16, 16, F), np.float32), None)
        dark.flush()
        with pytest.raises(ValueError, match="no feature is active in the 1 pictures"):
            dark.concepts(2, progress=False)


class TestSeveralSites:
    @pytest.fixture
    def both(self, tmp_path: Path) -> Collection:
        model = {"id": "test", "site": f"{DOWN},{UP}", "sae": "abc,def"}
        Collection.create(tmp_path / "c", F + 5, model, sites={DOWN: 5, UP: F})
        made = Collection.open(tmp_path / "c")
        for seed in range(20):
            codes = np.concatenate([np.ones((16, 16, 5), np.float32), picture(seed)], axis=2)
            made.add("", seed, codes, None)
        made.flush()
        return made

    def test_a_bank_is_of_one_site(self, both: Collection) -> None:
        bank = both.concepts(
            N, site="up.0.1", ignore=[39], labels={5: "sky", 2: "x"}, stability=False, progress=False
        )
        assert (bank.site, bank.sae, bank.n_features) == (UP, "def", F)
        assert cosines(bank).min() > 0.95
        assert "sky" in bank.names

    def test_the_site_must_be_named(self, both: Collection) -> None:
        with pytest.raises(
            ValueError, match="is of several sites; choose one: site='down_blocks.2.*' or 'up"
        ):
            both.concepts(N)

    def test_old_collections_do_not_say_how_large_their_sites_are(self, tmp_path: Path) -> None:
        old = Collection.create(tmp_path / "c", 8, {"site": f"{DOWN},{UP}"})
        with pytest.raises(ValueError, match="did not note their sizes; collect again into a new folder"):
            old.concepts(2, site=DOWN)

    def test_a_factor_of_the_second_site_has_its_features(self, both: Collection) -> None:
        concept = both.concepts(2, site=UP, stability=False, progress=False)[0]
        scene = make_scene(
            basis=np.zeros((3, F + 5)),
            base_basis=np.zeros((3, F + 5)),
            unit=np.full(F + 5, 0.37),
            sites={DOWN: 5, UP: F},
            model=both.model,
        )
        row = scene.add_factor(concept).basis[-1]
        assert np.array_equal(row, np.concatenate([np.zeros(5, np.float32), concept.row]))


class TestTheBank:
    def test_names_are_labels_and_all_different(self, bank: ConceptBank) -> None:
        assert sorted(bank.names) == sorted({"sky", "lion", "sky 2"} | {n for n in bank.names if "conc" in n})
        assert sum(name.startswith("concept ") for name in bank.names) == 1
        assert bank.named({}).names == ("concept 1", "concept 2", "concept 3", "concept 4")
        assert np.array_equal(bank.named({}).basis, bank.basis)

    def test_concepts_are_found_by_number_name_and_words(self, bank: ConceptBank) -> None:
        lion = bank["lion"]
        assert lion.name == "lion"
        assert set(list(lion.weights)[:4]) <= {4, 5, 6, 7, 39}
        assert list(lion.weights.values()) == sorted(lion.weights.values(), reverse=True)
        assert np.array_equal(bank[bank.index("lion")].row, lion.row)
        assert [one.name for one in bank.search("lio")] == ["lion"]
        assert [one.name for one in bank] == list(bank.names)
        assert "lion" in bank
        with pytest.raises(ValueError, match=r"concept='lio' is not in this bank; choose .*, e\.g\. 'lion'"):
            bank["lio"]
        with pytest.raises(IndexError, match="concept=4, but this bank has 4"):
            bank[4]

    def test_its_sheet_shows_the_top_pictures(self, bank: ConceptBank, collection: Collection) -> None:
        sheet = np.asarray(bank.contact_sheet("lion", n=3, columns=3, side=64))
        hit = bank.top("lion")[0]
        marked = np.asarray(collection.marked(hit, 64))
        assert np.array_equal(sheet[8:72, 8:72], marked)
        assert np.unique(marked).size > 2  # the frame
        with pytest.raises(ValueError, match=r"^side=80000 is outside 1\.\."):
            bank.contact_sheet("lion", side=80_000)
        with pytest.raises(TypeError, match="^path=None is not a path; give a str or a pathlib.Path$"):
            bank.save(None)  # type: ignore[arg-type]

    def test_is_the_same_from_a_file(self, bank: ConceptBank, collection: Collection, tmp_path: Path) -> None:
        loaded = ConceptBank.load(bank.save(tmp_path / "bank.npz"))
        for field in dataclasses.fields(ConceptBank):
            mine, theirs = getattr(bank, field.name), getattr(loaded, field.name)
            if isinstance(mine, np.ndarray):
                assert np.array_equal(mine, theirs), field.name
                assert mine.dtype == theirs.dtype
            elif field.name != "collection":
                assert mine == theirs, field.name
        assert loaded.key == bank.key
        with pytest.raises(ValueError, match=r"loaded without its pictures, .*collection=ember\.Collection"):
            loaded.contact_sheet("lion")
        sheet = loaded.contact_sheet("lion", collection=collection)
        assert sheet == bank.contact_sheet("lion")

    def test_says_that_its_pictures_are_gone_or_others(self, bank: ConceptBank, tmp_path: Path) -> None:
        alone = dataclasses.replace(bank, folder=str(tmp_path / "gone"), collection=None)
        with pytest.raises(ValueError, match="gone, which is not there any more; give it as collection="):
            alone.contact_sheet("lion")
        other = filled(Collection.create(tmp_path / "other", F, MODEL), 2)
        with pytest.raises(ValueError, match="has other pictures than this bank was made from"):
            alone.contact_sheet("lion", collection=other)

    @pytest.mark.parametrize("place", ["index", "row", "col"])
    def test_hits_count_from_0(self, bank: ConceptBank, tmp_path: Path, place: str) -> None:
        wrong = tuple(tuple(dataclasses.replace(hit, **{place: -1}) for hit in hits) for hits in bank.hits)  # type: ignore[arg-type]
        path = dataclasses.replace(bank, hits=wrong).save(tmp_path / "bank.npz")
        with pytest.raises(ValueError, match="a hit=-1 is outside 0"):
            ConceptBank.load(path)

    def test_that_could_not_be_read_back_is_not_saved(
        self, bank: ConceptBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(concept_file, "MAX_FACTS", 100)
        with pytest.raises(
            ValueError, match=r"4 concepts are too many for a file \(it has more than 100 val"
        ):
            bank.save(tmp_path / "bank.npz")
        assert not list(tmp_path.glob("bank.npz"))

    def test_of_thousands_of_concepts_and_long_prompts_is_read_back(
        self, bank: ConceptBank, tmp_path: Path
    ) -> None:
        """It was written, and then called damaged. Few concepts with as many hits as 3,200 have."""
        hit = Hit(0, "a photo of a lion" + ", golden hour" * 8, 0, 0, 0, 1.0)
        large = dataclasses.replace(bank, hits=((hit,) * (3200 * 24 // N),) * N)
        assert ConceptBank.load(large.save(tmp_path / "bank.npz")).hits == large.hits

    @pytest.mark.parametrize("name", ["bank.json", "bank"])
    def test_is_saved_as_npz_only(self, bank: ConceptBank, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match=r"does not end in \.npz; give e\.g\. 'concepts\.npz'"):
            bank.save(tmp_path / name)

    def test_strengths_are_those_that_factors_find(self, bank: ConceptBank, collection: Collection) -> None:
        codes = collection.codes(3)
        expected = Factors(strengths=np.zeros((16, 16, N), np.float32), basis=bank.basis).transform(codes)
        np.testing.assert_allclose(bank.transform(codes), expected, atol=1e-5)

    def test_other_saes_are_refused(self, bank: ConceptBank) -> None:
        space = FeatureSpace.of({DOWN: F})
        assert bank.check(MODEL, space, "this painter") == DOWN
        with pytest.raises(ValueError, match="of site 'down.2.1', but this painter steers up.0.1"):
            bank.check(MODEL, FeatureSpace.of({UP: F}), "this painter")
        with pytest.raises(ValueError, match="SAE 'abc' with 40 features, but this painter has 'xyz' with"):
            bank.check(MODEL | {"sae": "xyz"}, space, "this painter")
        with pytest.raises(ValueError, match="has 'abc' with 8"):
            bank.check(MODEL, FeatureSpace.of({DOWN: 8}), "this painter")


class TestInAScene:
    def scene(self, **model: str) -> ember.Scene:
        return make_scene(
            basis=np.zeros((3, F)),
            base_basis=np.zeros((3, F)),
            unit=np.full(F, 0.37),
            model=MODEL | model,
        )

    def test_a_factor_is_the_concept_bit_for_bit(self, bank: ConceptBank) -> None:
        scene = self.scene().add_factor(bank["lion"])
        assert np.array_equal(scene.basis[-1], bank["lion"].row)
        assert scene.names[-1] == "lion 2"  # the scene has a lion already
        assert scene.add_factor(bank["lion"], "cat", "#112233").names[-1] == "cat"

    def test_other_saes_and_sites_are_refused(self, bank: ConceptBank) -> None:
        with pytest.raises(ValueError, match="'lion' is of the SAE 'abc' .*, but this scene has 'xyz'"):
            self.scene(sae="xyz").add_factor(bank["lion"])
        with pytest.raises(
            ValueError, match=r"'lion' is of site 'down\.2\.1', but this scene steers up\.0\.1"
        ):
            self.scene(site=UP).add_factor(bank["lion"])


class TestWrongThings:
    def test_what_is_neither_a_number_nor_a_name_finds_no_concept(self, bank: ConceptBank) -> None:
        for wrong in (1.5, None, True, slice(0, 2)):
            with pytest.raises(TypeError, match=r"is neither a number nor a name; choose 0\.\.\d+ or one of"):
                bank[wrong]  # type: ignore[index]
        assert bank[np.int64(1)].name == bank.names[1]

    def test_labels_are_labels(self, bank: ConceptBank, collection: Collection) -> None:
        with pytest.raises(TypeError, match=r"labels=\['a'\] are not labels"):
            bank.named(["a"])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="labels='labels.json' are not labels; .* ember.Labels.load"):
            collection.concepts(2, labels="labels.json", progress=False)  # type: ignore[arg-type]

    def test_a_path_is_no_collection(self, bank: ConceptBank, tmp_path: Path) -> None:
        path = bank.save(tmp_path / "bank.npz")
        with pytest.raises(TypeError, match="collection='pictures' is not a Collection; open it with"):
            ConceptBank.load(path, collection="pictures")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="collection='pictures' is not a Collection; open it with"):
            bank.contact_sheet(0, collection="pictures")  # type: ignore[arg-type]

    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="cannot load .*none.npz: there is no such file"):
            ConceptBank.load(tmp_path / "none.npz")


def test_positional_features_are_left_out_by_themselves(collection: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    shutil.copytree(collection.folder, folder)
    manifest = json.loads((folder / "collection.json").read_text())
    (folder / "collection.json").write_text(json.dumps(manifest | {"positional": [39]}))
    again = Collection.open(folder)
    assert again.positional == (39,)
    given = collection.concepts(N, ignore=[39], stability=False, progress=False)
    bank = again.concepts(N, stability=False, progress=False)
    assert bank.ignore == (39,)
    assert np.array_equal(bank.basis, given.basis)
    assert again.concepts(N, ignore=(), stability=False, progress=False).ignore == ()
