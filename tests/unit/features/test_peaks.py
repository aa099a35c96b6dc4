"""The index of peaks says what a plain computation over all codes says; one of no use is made anew."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.features import peaks
from ember_widgets.features.collection import Collection, collect
from ember_widgets.features.hit import Hit
from ember_widgets.scene.grid import Grid

GRID = Grid(2, 3)
N_FEATURES = 12
N_PICTURES = 150
DEAD, EVERYWHERE, RARE, DENSE = 0, 1, 2, 3


def codes_of(index: int) -> NDArray[np.float32]:
    """Some features are active nowhere, everywhere, rarely; half have few values, so many are equal."""
    random = np.random.default_rng(index)
    codes = random.exponential(size=(*GRID.shape, N_FEATURES)).astype(np.float32)
    codes[..., ::2] = np.ceil(codes[..., ::2] * 2)
    codes[random.random(codes.shape) < np.linspace(0.5, 0.98, N_FEATURES)] = 0
    codes[..., DEAD] = 0
    codes[0, 0, EVERYWHERE] = 0.25
    codes[..., RARE] *= index % 30 == 0
    codes[1, 2, DENSE] = random.uniform(0.1, 50)
    return codes


def add(collection: Collection, first: int, last: int) -> None:
    for index in range(first, last):
        collection.add(f"prompt {index}", index, codes_of(index), Image.new("RGB", (8, 8), (index, 0, 0)))
    collection.flush()


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    made = Collection.create(tmp_path_factory.mktemp("c"), N_FEATURES, {"id": "test"}, GRID)
    add(made, 0, N_PICTURES)
    return Collection.open(made.folder)


@pytest.fixture
def copy(collection: Collection, tmp_path: Path) -> Collection:
    """The same collection, in a folder of this test."""
    repr(collection.top(0))
    return Collection.open(shutil.copytree(collection.folder, tmp_path / "copy"))


ALL = np.stack([codes_of(index) for index in range(N_PICTURES)]).reshape(
    N_PICTURES, GRID.n_patches, N_FEATURES
)


def strongest(feature: int, n_pictures: int = N_PICTURES) -> list[Hit]:
    """All hits of a feature, computed from all codes."""
    maps = ALL[:n_pictures, :, feature]
    order = np.argsort(-maps.max(1), kind="stable")
    return [
        Hit(int(i), f"prompt {i}", int(i), *divmod(int(maps[i].argmax()), GRID.cols), float(maps[i].max()))
        for i in order
        if maps[i].any()
    ]


def silent(feature: int) -> set[int]:
    return set(np.flatnonzero(~ALL[..., feature].any(1)).tolist())


def index_of(collection: Collection) -> Path:
    return collection.folder / peaks.FILE


def right(collection: Collection, n_pictures: int = N_PICTURES) -> bool:
    return all(
        collection.top(feature, 20) == strongest(feature, n_pictures)[:20] for feature in range(N_FEATURES)
    )


@pytest.mark.parametrize("feature", range(N_FEATURES))
class TestEachFeature:
    @pytest.mark.parametrize("n", [1, 12, peaks.STRONGEST, peaks.STRONGEST + 1, 10_000])
    def test_top_is_the_strongest_pictures(self, collection: Collection, feature: int, n: int) -> None:
        assert collection.top(feature, n) == strongest(feature)[:n]

    def test_spread_takes_real_hits_of_different_pictures(self, collection: Collection, feature: int) -> None:
        everything = strongest(feature)
        for n, skip in ((1, 0), (10, 0), (5, 10), (40, 24)):
            hits = collection.spread(feature, n, skip)
            assert len(hits) == max(0, min(n, len(everything) - skip))
            assert len({hit.index for hit in hits}) == len(hits)
            assert [hit for hit in everything if hit in hits] == hits  # real, and strongest first

    def test_spread_begins_with_the_strongest(self, collection: Collection, feature: int) -> None:
        assert collection.spread(feature, 5)[:1] == strongest(feature)[:1]

    def test_spread_goes_on_with_others(self, collection: Collection, feature: int) -> None:
        seen, others = collection.spread(feature, 10), collection.spread(feature, 7, skip=10)
        assert not set(seen) & set(others)
        assert set(seen) | set(others) == set(collection.spread(feature, 17))

    def test_silent_pictures_are_silent(self, collection: Collection, feature: int) -> None:
        found = collection.silent(feature, peaks.SILENT)
        assert len(set(found)) == len(found) == min(peaks.SILENT, len(silent(feature)))
        assert set(found) <= silent(feature)
        assert collection.silent(feature, 3) + collection.silent(feature, 4, skip=3) == found[:7]


class TestSpread:
    @pytest.mark.parametrize(("n", "skip"), [(10, 0), (10, 10), (5, 10), (10, 3)])
    def test_is_even_over_the_range(self, collection: Collection, n: int, skip: int) -> None:
        """No gap is more than twice and a half what equal gaps would be, a little more at 150 pictures."""
        everything = strongest(DENSE)
        high, low = everything[0].activation, everything[-1].activation
        values = [hit.activation for hit in collection.spread(DENSE, n, skip)]
        gaps = -np.diff([high, *values, low]) / (high - low)
        assert gaps.max() < 2.6 / n

    def test_takes_all_of_a_rare_feature(self, collection: Collection) -> None:
        assert 0 < len(strongest(RARE)) < 10
        assert collection.spread(RARE, 10) == strongest(RARE)


class TestSilent:
    def test_is_not_the_same_pictures_for_each_feature(self, collection: Collection) -> None:
        assert len({tuple(collection.silent(feature, 5)) for feature in (DEAD, RARE, 9, 11)}) == 4

    def test_is_not_only_of_the_first_pictures(self, collection: Collection) -> None:
        assert 50 < np.mean(collection.silent(DEAD, peaks.SILENT)) < 100

    def test_is_empty_for_a_feature_that_is_active_everywhere(self, collection: Collection) -> None:
        assert collection.silent(EVERYWHERE) == []


class TestTheFile:
    @pytest.mark.parametrize("step", [32, 96])
    def test_is_the_same_whether_extended_or_made_at_once(
        self, collection: Collection, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if fewer peaks than one shard's are in memory at a time."""
        repr(collection.top(0))
        monkeypatch.setattr(peaks, "_AT_ONCE", 100)
        grown = Collection.create(tmp_path / "c", N_FEATURES, {"id": "test"}, GRID)
        for first in range(0, N_PICTURES, step):
            add(grown, first, min(first + step, N_PICTURES))
            assert right(grown, min(first + step, N_PICTURES))
        theirs, ours = (np.load(index_of(one)) for one in (collection, grown))
        assert theirs.files == ours.files
        for name in theirs.files:
            if name != "header":
                assert np.array_equal(theirs[name], ours[name]), name

    def test_spares_reading_shards_again(self, copy: Collection) -> None:
        """A shard that it names may be unreadable inside; it is not opened."""
        shard = copy.folder / "shard-00001.npz"
        repr(copy.runs)
        data = bytearray(shard.read_bytes())
        with zipfile.ZipFile(shard) as archive:
            at = archive.getinfo("peak_features.npy").header_offset
        data[at : at + 80] = bytes(80)
        shard.write_bytes(data)
        assert right(copy)
        add(Collection.open(copy.folder), N_PICTURES, N_PICTURES + 10)
        assert Collection.open(copy.folder).top(EVERYWHERE, 20)
        index_of(copy).unlink()
        with pytest.raises(ValueError, match=r"shard-00001.npz is damaged .*; delete it, and collect"):
            Collection.open(copy.folder).top(EVERYWHERE, 20)

    def test_keeps_what_was_read_before_a_damaged_shard(self, copy: Collection) -> None:
        index_of(copy).unlink()
        shard = copy.folder / "shard-00003.npz"
        whole = shard.read_bytes()
        with zipfile.ZipFile(shard) as archive:
            at = archive.getinfo("peak_features.npy").header_offset
        shard.write_bytes(whole[:at] + bytes(80) + whole[at + 80 :])
        with pytest.raises(ValueError, match=r"shard-00003.npz is damaged"):
            copy.top(EVERYWHERE)
        kept = peaks.Peaks.load(index_of(copy), N_FEATURES, GRID.n_patches)
        assert kept is not None
        assert [seen.name for seen in kept.seen] == [f"shard-0000{i}.npz" for i in range(3)]
        shard.write_bytes(whole)
        assert right(Collection.open(copy.folder))

    def test_is_made_anew_when_a_shard_is_gone(self, copy: Collection) -> None:
        for shard in sorted(copy.folder.glob("shard-*.npz"))[2:]:
            shard.unlink()
        assert right(Collection.open(copy.folder), 64)

    def test_is_made_anew_when_a_shard_is_another(self, copy: Collection) -> None:
        first, second = (copy.folder / f"shard-0000{i}.npz" for i in range(2))
        first.write_bytes(second.read_bytes())
        maps = np.concatenate([ALL[32:64], ALL[32:]])[..., DENSE].max(1)
        hits = Collection.open(copy.folder).top(DENSE, 100)[:64]
        assert [hit.index for hit in hits] == np.argsort(-maps, kind="stable")[:64].tolist()
        assert [hit.index for hit in Collection.open(copy.folder).top(DENSE, 64)] == [h.index for h in hits]

    def test_is_made_anew_when_a_shard_of_the_same_size_is_another(self, copy: Collection) -> None:
        shard = copy.folder / "shard-00000.npz"
        with np.load(shard) as file:
            content = dict(file)
        np.savez(shard, **content)  # not compressed, so that other values take as many bytes
        size = shard.stat().st_size
        assert right(Collection.open(copy.folder))
        np.savez(shard, **{**content, "peak_values": content["peak_values"] * np.float32(4)})
        assert shard.stat().st_size == size
        strongest_of_all = 4 * ALL[:32, :, DENSE].max()
        assert Collection.open(copy.folder).top(DENSE, 1)[0].activation == strongest_of_all

    def test_is_ready_when_pictures_were_collected(self, copy: Collection) -> None:
        def analyse(prompt: str, seed: int) -> tuple[NDArray[np.float32], None]:
            return codes_of(seed), None

        collect(copy, [("prompt", 500)], analyse, progress=False)
        kept = peaks.Peaks.load(index_of(copy), N_FEATURES, GRID.n_patches)
        assert kept is not None
        assert kept.n_pictures == N_PICTURES + 1

    def test_may_fail_to_be_written(self, copy: Collection) -> None:
        index_of(copy).unlink()
        index_of(copy).mkdir()
        with pytest.warns(UserWarning, match="this index has to be made again next time: cannot save to"):
            assert right(copy)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:3000] + bytes(500) + data[3500:])


def in_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def with_arrays(change: Callable[[dict[str, NDArray[Any]]], None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with np.load(path) as file:
            content = {name: file[name].copy() for name in file.files}
        change(content)
        np.savez(path, allow_pickle=True, **content)

    return spoil


def claiming(path: Path) -> None:
    """A column that claims 2^38 values and holds none."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": (2**38,), "fortran_order": False, "descr": "<f4"})
    entries["strong_values.npy"] = stream.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def header(text: str) -> Callable[[dict[str, NDArray[Any]]], None]:
    return lambda arrays: arrays.update(header=np.frombuffer(text.encode(), np.uint8))


def changed(name: str, change: Callable[[NDArray[Any]], Any]) -> Callable[[dict[str, NDArray[Any]]], None]:
    return lambda arrays: arrays.update({name: change(arrays[name])})


def first(value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(array: NDArray[Any]) -> NDArray[Any]:
        array[0] = value
        return array

    return change


SPOILT: dict[str, Callable[[Path], None]] = {
    "cut off": truncated,
    "empty": emptied,
    "zeros in it": zeroed,
    "a pipe": in_a_pipe,
    "a claim": claiming,
    "no header": with_arrays(header("")),
    "a list as header": with_arrays(header("[]")),
    "a deep header": with_arrays(header("[" * 100_000)),
    "another version": with_arrays(header('{"format": "ember-peaks", "version": 0, "shards": []}')),
    "strange shards": with_arrays(header('{"format": "ember-peaks", "version": 1, "shards": [[1]]}')),
    "objects": with_arrays(changed("strong_values", lambda a: a.astype(object))),
    "other numbers": with_arrays(changed("strong_values", lambda a: a.astype(np.float64))),
    "a missing entry": with_arrays(changed("spread_pictures", lambda a: a[1:])),
    "a picture too far": with_arrays(changed("strong_pictures", first(10_000))),
    "a silent picture too far": with_arrays(changed("silent_pictures", first(10_000))),
    "a patch too far": with_arrays(changed("strong_patches", first(200))),
    "not a number": with_arrays(changed("strong_values", first(np.nan))),
    "an order of its own": with_arrays(changed("strong_values", lambda a: a[::-1])),
    "other features": with_arrays(changed("strong_features", lambda a: a[:-1])),
    "counts below 0": with_arrays(changed("strong_features", first(-1))),
    "enormous counts": with_arrays(changed("strong_features", first(2**62))),
    "too many of a feature": with_arrays(changed("silent_features", lambda a: a[::-1])),
}


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.filterwarnings("ignore:this index has to be made again")
def test_a_file_that_is_of_no_use_is_made_anew(copy: Collection, name: str) -> None:
    assert peaks.Peaks.load(index_of(copy), N_FEATURES, GRID.n_patches) is not None
    SPOILT[name](index_of(copy))
    assert peaks.Peaks.load(index_of(copy), N_FEATURES, GRID.n_patches) is None
    assert right(copy)
    assert peaks.Peaks.load(index_of(copy), N_FEATURES, GRID.n_patches) is not None


def test_an_index_of_another_collection_is_made_anew(copy: Collection, tmp_path: Path) -> None:
    other = Collection.create(tmp_path / "other", N_FEATURES, {"id": "test"}, GRID)
    add(other, 40, 100)
    repr(other.top(0))
    shutil.copy(index_of(other), index_of(copy))
    assert right(copy)


class TestTwoProcesses:
    def test_what_another_added_and_indexed_is_seen(self, tmp_path: Path) -> None:
        mine = Collection.create(tmp_path / "c", N_FEATURES, {"id": "test"}, GRID)
        add(mine, 0, 40)
        mine = Collection.open(mine.folder)
        assert len(mine) == 40
        theirs = Collection.open(mine.folder)
        add(theirs, 40, N_PICTURES)
        assert right(theirs)
        before = index_of(mine).read_bytes()
        assert right(mine)
        assert index_of(mine).read_bytes() == before

    def test_the_longer_index_stays(self, copy: Collection) -> None:
        longer = index_of(copy).read_bytes()
        shorter = peaks.Peaks(N_FEATURES, GRID.n_patches)
        names = sorted(copy.folder.glob("shard-*.npz"))[:2]
        shorter.read(copy.folder, [peaks.Seen.of(shard, 32) for shard in names])
        shorter.save(index_of(copy))
        assert index_of(copy).read_bytes() == longer

    def test_adding_while_one_is_indexed_needs_no_waiting(self, copy: Collection) -> None:
        repr(copy.top(0))
        add(copy, N_PICTURES, N_PICTURES + 1)
        assert len(copy.top(EVERYWHERE, 200)) == N_PICTURES + 1


class TestReadingInOrder:
    def test_batches_are_all_codes(self, collection: Collection) -> None:
        firsts = []
        for at, codes in collection.batches():
            dense = codes.toarray().reshape(-1, GRID.n_patches, N_FEATURES)
            assert dense.dtype == np.float32
            assert np.array_equal(dense, ALL[at : at + len(dense)])
            firsts.append(at)
        assert firsts == [0, 32, 64, 96, 128]

    def test_pictures_are_in_the_order_asked_for(self, collection: Collection) -> None:
        asked = [149, 0, 33, 32, 149]
        for index, picture in zip(asked, collection.pictures(asked), strict=True):
            assert abs(int(np.asarray(picture)[9, 9, 0]) - index) <= 2
        assert collection.pictures([]) == []


class TestRefusals:
    def test_more_than_is_kept(self, collection: Collection) -> None:
        with pytest.raises(ValueError, match=r"n=55 is outside 1\.\.54; n \+ skip is 64 at most"):
            collection.spread(3, 55, skip=10)
        with pytest.raises(ValueError, match=r"skip=32 is outside 0\.\.31; n \+ skip is 32 at most"):
            collection.silent(3, 1, skip=32)
        with pytest.raises(ValueError, match=r"feature=12 is outside 0\.\.11"):
            collection.spread(12)

    def test_peaks_that_do_not_fit(self, copy: Collection) -> None:
        shard = copy.folder / "shard-00000.npz"
        with np.load(shard) as file:
            content = dict(file)
        for name, array, reason in (
            ("peak_values", content["peak_values"][1:], "its peaks do not fit together"),
            ("peak_values", -content["peak_values"], "activations that are not above 0"),
            ("peak_images", content["peak_images"] + 1, "indices that are not below 32"),
        ):
            np.savez(shard, **{**content, name: array})
            with pytest.raises(ValueError, match=reason):
                Collection.open(copy.folder).top(1)


def test_an_empty_collection_has_no_peaks(tmp_path: Path) -> None:
    made = Collection.create(tmp_path / "c", N_FEATURES, {"id": "test"}, GRID)
    assert (made.top(1), made.spread(1), made.silent(1), list(made.batches())) == ([], [], [], [])
    assert not index_of(made).exists()
    assert json.loads((made.folder / "collection.json").read_text())["n_features"] == N_FEATURES
