"""Collections: what they say of features is what a plain computation over all codes says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.features.collection import SHARD, Collection, collect
from ember_widgets.features.statistics import Statistics
from ember_widgets.scene.grid import Grid

N_FEATURES = 50
MODEL = {"id": "test", "site": "down", "sae": "abc"}


def codes_of(prompt: str, seed: int) -> NDArray[np.float32]:
    """Sparse codes; feature 7 is never active."""
    random = np.random.default_rng([len(prompt), seed])
    codes = random.exponential(size=(16, 16, N_FEATURES)).astype(np.float32)
    codes[random.random(codes.shape) < 0.95] = 0
    codes[..., 7] = 0
    return codes


def picture_of(prompt: str, seed: int) -> Image.Image:
    return Image.new("RGB", (64, 64), (20 * len(prompt) % 256, seed, 90))


def analyse(prompt: str, seed: int) -> tuple[NDArray[np.float32], Image.Image]:
    return codes_of(prompt, seed), picture_of(prompt, seed)


RUNS = [(prompt, seed) for prompt in ("a", "bb", "a tree") for seed in range(15)]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    made = Collection.create(tmp_path_factory.mktemp("c"), N_FEATURES, MODEL)
    collect(made, RUNS, analyse, progress=False)
    return Collection.open(made.folder)


@pytest.fixture(scope="module")
def all_codes() -> NDArray[np.float32]:
    return np.stack([codes_of(*run) for run in RUNS])


class TestFigures:
    def test_are_of_more_than_one_shard(self, collection: Collection) -> None:
        assert len(RUNS) > SHARD
        assert len(list(collection.folder.glob("shard-*.npz"))) == 2
        assert collection.runs == RUNS
        assert len(collection) == len(RUNS)

    def test_codes_are_exact(self, collection: Collection, all_codes: NDArray[np.float32]) -> None:
        for index in (0, 31, 32, 44):
            assert np.array_equal(collection.codes(index), all_codes[index])

    def test_frequency_and_typical_activation(
        self, collection: Collection, all_codes: NDArray[np.float32]
    ) -> None:
        flat = all_codes.reshape(-1, N_FEATURES).astype(np.float64)
        statistics = collection.statistics
        assert np.allclose(statistics.frequency, (flat > 0).mean(0), rtol=1e-6)
        total = flat.sum(0)
        typical = np.divide((flat**2).sum(0), total, out=np.zeros(N_FEATURES), where=total > 0)
        assert np.allclose(statistics.typical, typical, rtol=1e-5)
        assert np.flatnonzero(statistics.dead).tolist() == [7]
        assert statistics.n_images == len(RUNS)

    @pytest.mark.parametrize("feature", [0, 23, 49])
    def test_the_strongest_pictures(
        self, collection: Collection, all_codes: NDArray[np.float32], feature: int
    ) -> None:
        maps = all_codes[..., feature]
        strongest = maps.reshape(len(RUNS), -1).max(1)
        wanted = [int(i) for i in np.argsort(-strongest, kind="stable")[:5]]
        hits = collection.top(feature, 5)
        assert [hit.index for hit in hits] == wanted
        for hit in hits:
            assert (hit.prompt, hit.seed) == RUNS[hit.index]
            assert maps[hit.index, hit.row, hit.col] == strongest[hit.index] == np.float32(hit.activation)

    def test_a_dead_feature_has_none(self, collection: Collection) -> None:
        assert collection.top(7) == []
        with pytest.raises(ValueError, match="feature 7 is active in none of the 45 pictures"):
            collection.contact_sheet(7)

    def test_statistics_are_kept_for_their_model_only(self, collection: Collection, tmp_path: Path) -> None:
        file = tmp_path / "statistics.npz"
        collection.statistics.save(file, "key")
        again = Statistics.load(file, "key")
        assert again is not None
        assert np.array_equal(again.frequency, collection.statistics.frequency)
        assert Statistics.load(file, "other") is None
        assert Statistics.load(tmp_path / "none.npz", "key") is None


class TestPictures:
    def test_are_kept(self, collection: Collection) -> None:
        pixel = np.asarray(collection.picture(33))[128, 128].astype(int)
        assert abs(pixel - np.asarray(picture_of(*RUNS[33]))[0, 0]).max() <= 3
        assert collection.picture(33).size == (256, 256)

    def test_have_the_patch_framed(self, collection: Collection) -> None:
        hit = collection.top(3, 1)[0]
        plain = collection.picture(hit.index).resize((160, 160))
        changed = np.abs(np.asarray(collection.marked(hit)).astype(int) - np.asarray(plain)).max(-1) > 40
        rows, cols = np.nonzero(changed)
        assert abs(rows.mean() - (10 * hit.row + 5)) < 3
        assert abs(cols.mean() - (10 * hit.col + 5)) < 3

    def test_make_a_sheet(self, collection: Collection) -> None:
        sheet = collection.contact_sheet(3, 6, columns=4, side=80)
        assert sheet.size == (8 + 4 * 88, 8 + 2 * 88)
        fifth = collection.marked(collection.top(3, 6)[4], 80)
        assert np.array_equal(np.asarray(sheet.crop((8, 96, 88, 176))), np.asarray(fifth))

    def test_are_refused_of_no_hit_and_without_a_size(self, collection: Collection) -> None:
        with pytest.raises(TypeError, match=r"^hit=None is not a hit; take one from collection.top"):
            collection.marked(None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="^indices=5 is not a list; give the pictures' indices"):
            collection.pictures(5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^side=0 is outside 1\.\.8192; it is the width of the picture"):
            collection.marked(collection.top(3, 1)[0], 0)
        with pytest.raises(ValueError, match=r"^side=80000 is outside 1\.\.6688; .* each of 6 pictures"):
            collection.contact_sheet(3, 6, side=80_000)

    def test_may_be_left_out(self, tmp_path: Path) -> None:
        made = Collection.create(tmp_path / "c", N_FEATURES, MODEL)
        collect(made, RUNS[:1], lambda *run: (codes_of(*run), None), progress=False)
        assert made.top(0, 1)
        with pytest.raises(ValueError, match="collect with pictures=True into another folder"):
            made.picture(0)


class TestGoingOn:
    def test_an_interrupted_collection_is_finished(self, tmp_path: Path) -> None:
        asked: list[tuple[str, int]] = []

        def interrupted(prompt: str, seed: int) -> tuple[NDArray[np.float32], Image.Image]:
            if len(asked) == 40:
                raise KeyboardInterrupt
            asked.append((prompt, seed))
            return analyse(prompt, seed)

        made = Collection.create(tmp_path / "c", N_FEATURES, MODEL)
        with pytest.raises(KeyboardInterrupt):
            collect(made, RUNS, interrupted, progress=False)
        assert Collection.open(tmp_path / "c").runs == RUNS[:40]
        asked.clear()
        again = Collection.create(tmp_path / "c", N_FEATURES, MODEL)
        collect(again, RUNS, interrupted, progress=False)
        assert asked == RUNS[40:]
        assert again.runs == RUNS
        assert np.array_equal(again.codes(42), codes_of(*RUNS[42]))

    def test_the_same_run_twice_is_one_picture(self, tmp_path: Path) -> None:
        made = Collection.create(tmp_path / "c", N_FEATURES, MODEL)
        collect(made, [RUNS[0], RUNS[0]], analyse, progress=False)
        assert len(made) == 1

    def test_a_shard_that_is_written_anew_under_its_name_is_noticed(self, tmp_path: Path) -> None:
        first = Collection.create(tmp_path, N_FEATURES, MODEL)
        collect(first, [("old", 1), ("old", 2)], analyse, progress=False)
        opened = Collection.open(tmp_path)
        assert [hit.prompt for hit in opened.top(3, 2)] == ["old", "old"]

        (shard,) = tmp_path.glob("shard-*.npz")
        shard.unlink()
        collect(Collection.open(tmp_path), [("another", 3)], analyse, progress=False)
        assert [file.name for file in tmp_path.glob("shard-*.npz")] == [shard.name]
        opened.index_peaks()
        assert opened.runs == [("another", 3)]
        assert [hit.prompt for hit in opened.top(3, 2)] == ["another"]

    def test_two_processes_that_collect_the_same_add_each_picture_once(self, tmp_path: Path) -> None:
        one, other = (Collection.create(tmp_path / "c", N_FEATURES, MODEL) for _ in range(2))

        def meanwhile(prompt: str, seed: int) -> tuple[NDArray[np.float32], Image.Image]:
            if (prompt, seed) == RUNS[3]:
                collect(other, RUNS[:6], analyse, progress=False)
            return analyse(prompt, seed)

        collect(one, RUNS[:8], meanwhile, progress=False)
        assert sorted(one.runs) == sorted(RUNS[:8])
        assert one.statistics.n_images == 8

    def test_keeps_one_shard_in_memory(self, tmp_path: Path) -> None:
        made = Collection.create(tmp_path / "c", N_FEATURES, MODEL)
        for run in RUNS:
            made.add(run[0], run[1], *analyse(*run))
            assert len(made._batch) < SHARD


class TestRefusals:
    def test_another_sae(self, collection: Collection) -> None:
        with pytest.raises(ValueError, match="was made with SAE 'abc', but this painter has 'xyz'; choose"):
            Collection.create(collection.folder, N_FEATURES, {**MODEL, "sae": "xyz"})

    def test_another_number_of_features(self, collection: Collection) -> None:
        with pytest.raises(
            ValueError, match="has codes of 50 features, but this painter's SAE has 51; choose"
        ):
            Collection.create(collection.folder, N_FEATURES + 1, MODEL)

    @pytest.mark.parametrize(("there", "here"), [("weights", "others"), ("", "weights"), ("weights", "")])
    def test_other_weights_of_the_same_model(self, tmp_path: Path, there: str, here: str) -> None:
        Collection.create(tmp_path / "c", N_FEATURES, {**MODEL, "key": there})
        with pytest.raises(ValueError, match="weights of .*, in another dtype, .*; undo that, or choose"):
            Collection.create(tmp_path / "c", N_FEATURES, {**MODEL, "key": here})

    def test_collections_that_do_not_state_their_weights_can_go_on(self, collection: Collection) -> None:
        assert len(Collection.create(collection.folder, N_FEATURES, {**MODEL, "key": "weights"})) == len(RUNS)

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("")
        with pytest.raises(ValueError, match="exists already and is not a collection; choose an empty"):
            Collection.create(tmp_path, N_FEATURES, MODEL)

    def test_no_collection(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="make one with painter.collect"):
            Collection.open(tmp_path)

    def test_a_damaged_one(self, tmp_path: Path) -> None:
        (tmp_path / "collection.json").write_text("{}")
        with pytest.raises(ValueError, match="is not a collection's; delete the folder"):
            Collection.open(tmp_path)

    def test_pictures_and_features_that_are_not_there(self, collection: Collection) -> None:
        with pytest.raises(ValueError, match=r"index=45 is outside 0\.\.44; there are 45 pictures"):
            collection.codes(45)
        with pytest.raises(ValueError, match=r"feature=50 is outside 0\.\.49"):
            collection.top(50)

    def test_an_empty_collection(self, tmp_path: Path) -> None:
        made = Collection.create(tmp_path / "c", N_FEATURES, MODEL)
        assert len(made) == 0
        assert made.statistics.dead.all()
        assert made.top(3) == []
        with pytest.raises(ValueError, match="holds no pictures yet"):
            made.picture(0)


def test_numpy_integers_are_as_good_as_others(tmp_path: Path) -> None:
    made = Collection.create(tmp_path, np.int64(N_FEATURES), MODEL)
    collect(made, [("a", np.int64(3))], analyse, progress=False)
    again = Collection.open(tmp_path)
    assert again.runs == [("a", 3)]
    assert np.array_equal(again.codes(np.int64(0)), codes_of("a", 3))


@pytest.mark.parametrize("begin", [0.02, 0.3, 0.6, 0.99])
def test_a_damaged_shard_is_named(tmp_path: Path, begin: float) -> None:
    made = Collection.create(tmp_path, N_FEATURES, MODEL)
    collect(made, RUNS[:3], analyse, progress=False)
    shard = tmp_path / "shard-00000.npz"
    data = bytearray(shard.read_bytes())
    at = int(begin * len(data))
    data[at : at + 60] = bytes(60)
    shard.write_bytes(data[: len(data) - (begin > 0.9)])
    message = rf"{shard} is damaged \(\w+: .*\); delete it, and collect its pictures again"

    def read_all() -> None:
        again = Collection.open(tmp_path)
        for index in range(3):
            again.codes(index)
            again.picture(index)
        again.top(1)
        assert again.statistics

    with pytest.raises(ValueError, match=message):
        read_all()


def test_a_collection_of_another_grid(tmp_path: Path) -> None:
    grid = Grid(24, 20)
    codes = np.zeros((*grid.shape, 3), np.float32)
    codes[23, 19, 1], codes[0, 5, 2] = 2.0, 1.0
    collection = Collection.create(tmp_path / "wide", 3, {"id": "m"}, grid)
    collection.add("a field", 1, codes, Image.new("RGB", (480, 480)))
    collection.flush()
    opened = Collection.open(tmp_path / "wide")
    assert opened.grid == grid
    assert np.array_equal(opened.codes(0), codes)
    assert [(hit.row, hit.col) for hit in opened.top(1)] == [(23, 19)]
    assert opened.statistics.frequency[1] == pytest.approx(1 / grid.n_patches)
    with pytest.raises(ValueError, match="has pictures of 24×20 patches, but this painter makes 16×16"):
        Collection.create(tmp_path / "wide", 3, {"id": "m"}, Grid())


def test_the_same_weights_under_another_name_add_to_a_collection(tmp_path: Path) -> None:
    Collection.create(tmp_path / "c", 3, {"id": "owner/name", "sae": "s", "key": "weights"})
    Collection.create(tmp_path / "c", 3, {"id": "/a/folder", "sae": "s", "key": "weights"})
    with pytest.raises(
        ValueError, match="was made with model 'owner/name', but this painter has '/a/folder'"
    ):
        Collection.create(tmp_path / "c", 3, {"id": "/a/folder", "sae": "s", "key": "other weights"})
    with pytest.raises(ValueError, match="was made with SAE 's', but this painter has 't'"):
        Collection.create(tmp_path / "c", 3, {"id": "owner/name", "sae": "t", "key": "weights"})
