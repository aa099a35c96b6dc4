"""The map of features: neighbours stay neighbours, it is made once, and whose it is is checked."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ember_widgets.features import feature_map
from ember_widgets.features.feature_map import FeatureMap, known_map, make_map
from ember_widgets.features.statistics import Statistics


@pytest.fixture(scope="module")
def directions() -> NDArray[np.float32]:
    """Four bundles of 30 directions of any length."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 1, 60))
    rows = (centres + 0.2 * random.normal(size=(4, 30, 60))).reshape(120, 60)
    lengths: NDArray[np.float32] = (rows * random.uniform(0.1, 10, (120, 1))).astype(np.float32)
    return lengths


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_like_directions_lie_together(directions: NDArray[np.float32], method: str) -> None:
    made = make_map(directions, method=method)
    assert made.positions.shape == (120, 2)
    assert np.abs(made.positions).max() <= 1 + 1e-5
    bundles = made.positions.reshape(4, 30, 2)
    within = np.linalg.norm(bundles - bundles.mean(1, keepdims=True), axis=-1).mean()
    centres = bundles.mean(1)
    between = np.linalg.norm(centres[:, None] - centres, axis=-1)[~np.eye(4, dtype=bool)].min()
    assert between > 2 * within


def test_is_the_same_each_time(directions: NDArray[np.float32]) -> None:
    one, two = (make_map(directions, method="tsne").positions for _ in range(2))
    assert np.array_equal(one, two)


def test_is_kept_and_found(directions: NDArray[np.float32], tmp_path: Path) -> None:
    assert known_map("key", cache=tmp_path) is None
    made = make_map(directions, "key", method="tsne", cache=tmp_path)
    found = known_map("key", cache=tmp_path)
    assert found is not None
    assert np.array_equal(found.positions, made.positions)
    assert found.title == "t-SNE (scikit-learn)"
    assert known_map("other", cache=tmp_path) is None
    assert known_map("key", method="umap", cache=tmp_path) is None


def test_of_another_sae_or_damaged_is_not_taken(directions: NDArray[np.float32], tmp_path: Path) -> None:
    file = tmp_path / "map.npz"
    make_map(directions, method="pca").save(file, "key")
    assert known_map("key", shipped=file, cache=tmp_path / "none") is not None
    assert known_map("other", shipped=file, cache=tmp_path / "none") is None
    assert known_map("key", method="tsne", shipped=file, cache=tmp_path / "none") is None
    whole = file.read_bytes()
    at = whole.index(b"PK\x01\x02") + 8
    encrypted = whole[:at] + b"\x01" + whole[at + 1 :]
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for damaged in (whole[:100], b"", encrypted, array.getvalue()):
        file.write_bytes(damaged)
        assert FeatureMap.load(file, "key") is None
        assert Statistics.load(file, "key") is None


@pytest.mark.parametrize("n", [1, 3, 7, 9])
def test_a_handful_of_features_has_a_map(n: int) -> None:
    positions = make_map(np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)).positions
    assert positions.shape == (n, 2)
    assert np.isfinite(positions).all()


def test_features_without_a_direction_have_a_place() -> None:
    assert np.isfinite(make_map(np.zeros((20, 5), np.float32), method="pca").positions).all()


def test_methods_that_are_not_there_are_refused(
    directions: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="method='mds' is unknown; choose one of umap, tsne, pca, or None"):
        make_map(directions, method="mds")
    monkeypatch.setattr(feature_map, "find_spec", lambda name: None)
    assert feature_map.best_method() == "tsne"
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ember-widgets\[umap\]', or choose 'tsne'"):
        make_map(directions, method="umap")
