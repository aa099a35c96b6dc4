"""Whatever happened to a file, reading it gives what is in it, or one error that names the file.

A few dozen damages of each kind here; `python -m tests.unit.test_damaged_files 400` tries as many as wanted.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ember_widgets import SAE, Scene, load_sae
from ember_widgets.dictionary.load import save_sae
from ember_widgets.features import icons, label_file
from ember_widgets.features.collection import Collection
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.feature_map import FeatureMap
from ember_widgets.features.hit import Hit
from ember_widgets.features.labels import Label, Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.model.photo import square
from tests.unit.damage import damaged, odd_json
from tests.unit.scene.scenes import make_scene

F, D = 12, 5
RANDOM = torch.Generator().manual_seed(0)
ENCODER, DECODER = torch.randn(D, F, generator=RANDOM), torch.randn(F, D, generator=RANDOM)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        make: Writes good files into a folder, and returns the one to damage.
        read: Reads the file, given its path, and uses what was read.
        cache: Whether it is a cache, which is made again: then no error at all may come.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    cache: bool = False


def _file(name: str, write: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return make


def _scene(path: Path) -> None:
    scene = Scene.load(path)
    scene.to_bytes()
    repr(scene)


def _sae(**given: Any) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sae = load_sae(path.parent, **given)
        sae.encode(torch.zeros(2, sae.d_model))
        for tensor in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec, sae.unit):
            assert bool(torch.isfinite(tensor).all())

    return read


def _ember(folder: Path) -> Path:
    return save_sae(
        SAE(
            W_enc=ENCODER,
            b_enc=torch.zeros(F),
            W_dec=DECODER,
            b_dec=torch.zeros(D),
            activation="batchtopk",
            k=3,
            threshold=None,
            target="update",
            site="down_blocks.2.attentions.1",
            unit=torch.ones(F),
            positional=(1,),
        ),
        folder,
    )


def _saelens(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        ours = dataclasses.replace(load_sae(_ember(folder / "ours").parent), threshold=torch.tensor(0.5))
        save_sae(ours, folder / "theirs", format="saelens")
        return folder / "theirs" / name

    return make


def _unbox(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        state = {
            "pre_bias": torch.zeros(D),
            "latent_bias": torch.zeros(F),
            "encoder.weight": ENCODER.T.contiguous(),
            "decoder.weight": DECODER.T.contiguous(),
        }
        (folder / "config.json").write_text(json.dumps({"n_dirs_local": F, "d_model": D, "k": 3}))
        torch.save({"state_dict": state}, folder / "state_dict.pth")
        torch.save(torch.linspace(0, 11, F), folder / "mean.pt")
        return folder / name

    return make


def _unit(folder: Path) -> Path:
    from safetensors.torch import save_file

    _unbox("config.json")(folder)
    save_file({"unit": torch.ones(F)}, folder / "unit.safetensors")
    return folder / "unit.safetensors"


LABELS = {i: Label(f"tree, number {i}", "you", {"precision": 0.5}) for i in range(6)}


def _lines(path: Path) -> None:
    rows = [
        {"feature": i, "label": label.text, "score": 0.5, "site": "down.2.1"} for i, label in LABELS.items()
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def _table(path: Path) -> None:
    rows = [f'{i},"{label.text}",0.5' for i, label in LABELS.items()]
    path.write_text("feature,label,score\n" + "\n".join(rows), encoding="utf-8")


def _labels(path: Path) -> None:
    labels = Labels.load(path)
    labels.search("tree")
    labels.export(path.with_name("again.json"))


def _own_labels(path: Path) -> None:
    labels = Labels(own_file=path)
    labels.set(3, "house")
    assert Labels(own_file=path)[3] == "house"


def _collection(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        collection = Collection.create(folder / "c", F, {"id": "x", "site": "y", "sae": "z"})
        random = np.random.default_rng(0)
        for seed in range(3):
            codes = random.exponential(size=(16, 16, F)).astype(np.float32)
            codes[random.random(codes.shape) < 0.9] = 0
            collection.add("a tree", seed, codes, Image.new("RGB", (16, 16), (seed, 90, 30)))
        collection.flush()
        return folder / "c" / name

    return make


def _use_collection(path: Path) -> None:
    collection = Collection.open(path.parent)
    assert collection.statistics.n_images == len(collection.runs) == len(collection)
    for index in range(len(collection)):
        collection.codes(index)
        collection.picture(index)
    for feature in range(min(F, collection.n_features)):
        for hit in collection.top(feature):
            collection.marked(hit)
    repr(collection)


def _map(path: Path) -> None:
    found = FeatureMap.load(path, "key")
    assert found is None or np.isfinite(found.positions).all()


def _write_map(path: Path) -> None:
    FeatureMap(np.zeros((F, 2), np.float32), "pca").save(path, "key")


def _statistics(path: Path) -> None:
    found = Statistics.load(path, "key")
    assert found is None or len(found.dead) == len(found.typical)


def _write_statistics(path: Path) -> None:
    Statistics(np.ones(F, np.float32), np.ones(F, np.float32), 9).save(path, "key")


def _concepts(path: Path) -> None:
    bank = ConceptBank.load(path)
    assert bank.transform(np.ones((2, 2, bank.n_features), np.float32)).shape == (2, 2, len(bank))
    repr((bank.key, bank.top(0), [concept.weights for concept in bank]))


def _write_concepts(path: Path) -> None:
    ConceptBank(
        basis=np.eye(3, F, dtype=np.float32),
        names=("sky", "lion", "tree"),
        strengths=np.ones((4, 3), np.float32),
        stability=np.array([1.0, 0.5, np.nan], np.float32),
        hits=((Hit(1, "a lion", 7, 3, 4, 1.5),), (), ()),
        site="down_blocks.2.attentions.1",
        sae="abc",
        model={"id": "x"},
        ignore=(2,),
    ).save(path)


def _write_icons(path: Path) -> None:
    icons.write(path, {i: icons.packed(Image.new("RGB", (64, 64), (20 * i, 9, 9))) for i in range(4)}, "key")


def _icons(path: Path) -> None:
    made = icons.Icons(
        F, lambda features: [Image.new("RGB", (64, 64), "red")] * len(features), key="key", file=path
    )
    made.make(range(F), progress=False)
    assert len([made[feature] for feature in range(F)]) == F
    assert [made.is_blank(feature) for feature in range(F)]


def _photo(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        square(path, 16)


def _photograph(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 30, 3), np.uint8)
    Image.fromarray(pixels).save(path)


KINDS: dict[str, Kind] = {
    "scene.json": Kind(_file("scene.json", lambda path: make_scene().save(path)), _scene),
    "scene.png": Kind(
        _file("scene.png", lambda path: make_scene().save(path, Image.new("RGB", (16, 16)))), _scene
    ),
    "ember": Kind(_ember, _sae()),
    "saelens": Kind(_saelens("sae_weights.safetensors"), _sae()),
    "saelens cfg.json": Kind(_saelens("cfg.json"), _sae()),
    "unbox.pth": Kind(_unbox("state_dict.pth"), _sae()),
    "unbox mean.pt": Kind(_unbox("mean.pt"), _sae()),
    "unbox config.json": Kind(_unbox("config.json"), _sae()),
    "unit.safetensors": Kind(_unit, _sae()),
    "labels.json": Kind(_file("labels.json", lambda path: label_file.write(path, LABELS)), _labels),
    "labels.jsonl": Kind(_file("labels.jsonl", _lines), _labels),
    "labels.tsv": Kind(_file("labels.tsv", lambda path: label_file.write(path, LABELS)), _labels),
    "labels.csv": Kind(_file("labels.csv", _table), _labels),
    "own labels": Kind(_file("own.json", lambda path: label_file.write(path, LABELS)), _own_labels),
    "shard": Kind(_collection("shard-00000.npz"), _use_collection),
    "collection.json": Kind(_collection("collection.json"), _use_collection),
    "map": Kind(_file("map.npz", _write_map), _map, cache=True),
    "statistics": Kind(_file("statistics.npz", _write_statistics), _statistics, cache=True),
    "icons": Kind(_file("icons.zip", _write_icons), _icons, cache=True),
    "concepts": Kind(_file("concepts.npz", _write_concepts), _concepts),
    "photo.png": Kind(_file("photo.png", _photograph), _photo),
    "photo.jpg": Kind(_file("photo.jpg", _photograph), _photo),
    "photo.tif": Kind(_file("photo.tif", _photograph), _photo),
}


def faults(kind: Kind, folder: Path, count: int, seed: int = 0) -> Iterator[str]:
    """What is wrong with how damaged files of a kind are read; nothing if all is well."""
    file = kind.make(folder)
    good = file.read_bytes()
    kind.read(file)
    variants = list(damaged(good, count, seed))
    if file.suffix == ".json":
        variants += odd_json(good, count, seed)
    for i, data in enumerate(variants):
        file.write_bytes(data)
        try:
            kind.read(file)
        except (ValueError, OSError) as error:
            if kind.cache or str(folder) not in str(error):
                yield f"{i}: {type(error).__name__}: {error}"
        except BaseException as error:
            yield f"{i}: {type(error).__name__}: {error}"


@pytest.mark.parametrize("name", KINDS)
def test_damage_gives_one_error_that_names_the_file(name: str, tmp_path: Path) -> None:
    assert list(faults(KINDS[name], tmp_path, 36)) == []


def main(count: int) -> None:
    """Try many more, and print how many were not handled as they should be."""
    wrong, tried = 0, 0
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = list(faults(kind, Path(folder), count, seed=1))
        tried += count * (2 if name.endswith(".json") or name == "own labels" else 1)
        wrong += len(found)
        kinds = Counter(line.split(": ")[1] for line in found)
        print(
            f"{name:20} {len(found):4}  {dict(kinds)}", *(f"    {line[:300]}" for line in found[:6]), sep="\n"
        )
    print(f"{wrong} of {tried}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
