"""A map of an SAE's features: its decoder's directions laid out in two dimensions, similar ones together.

UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426) where umap-learn is installed, t-SNE (van der Maaten
and Hinton 2008) by scikit-learn where it is not. Either takes from seconds to minutes, once per SAE.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ember_widgets.util import arrays, checks, files
from ember_widgets.util.user_folders import cache_folder

METHODS = {"umap": "UMAP (umap-learn)", "tsne": "t-SNE (scikit-learn)", "pca": "PCA (scikit-learn)"}
FILE = "map.npz"


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Where each feature lies.

    Args:
        positions: (n_features, 2) float32, within -1..1.
        method: "umap", "tsne" or "pca".
    """

    positions: NDArray[np.float32]
    method: str

    @property
    def title(self) -> str:
        """The method in words."""
        return METHODS[self.method]

    def save(self, path: Path, key: str) -> None:
        """Write a file, atomically; ``key`` is the hash of the SAE."""
        stream = io.BytesIO()
        np.savez(stream, positions=self.positions, method=self.method, key=key)
        files.make_folder(path.parent)
        files.write(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path, key: str) -> FeatureMap | None:
        """Read a file; None if there is none, it is damaged, or is of another SAE."""
        with contextlib.suppress(OSError, ValueError), arrays.opened(path, "it is made again") as file:
            method = str(file["method"])
            if str(file["key"]) == key and method in METHODS:
                positions = checks.frozen_array("positions", file["positions"], ("n_features", 2))
                return cls(positions, method)
        return None


def side_by_side(maps: Sequence[FeatureMap]) -> FeatureMap:
    """Several maps as one, each in a cell of its own, row by row; features are numbered map after map."""
    if len(maps) == 1:
        return maps[0]
    columns = math.ceil(math.sqrt(len(maps)))
    rows = math.ceil(len(maps) / columns)
    placed = []
    for i, one in enumerate(maps):
        row, column = divmod(i, columns)
        middle = (2 * column + 1 - columns, rows - 1 - 2 * row)
        placed.append((0.94 * one.positions + np.array(middle, np.float32)) / columns)
    return FeatureMap(np.concatenate(placed).astype(np.float32), maps[0].method)


def best_method() -> str:
    """The default method."""
    return "umap" if find_spec("umap") else "tsne"


def known_map(
    key: str,
    *,
    method: str | None = None,
    shipped: Path | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> FeatureMap | None:
    """The map of an SAE if it was made before, or came with it; else None.

    Args:
        key: hash of the SAE.
        method: only a map by this method; None = UMAP or t-SNE, the better one first, or what came with it.
        shipped: a map that may have come with the SAE.
        cache: folder of the cache; None = as `cache_folder` says.
    """
    wanted = [_known_method(method)] if method else [best_method(), "umap", "tsne"]
    for name in wanted:
        if (found := FeatureMap.load(_file(key, name, cache), key)) is not None:
            return found
    given = FeatureMap.load(shipped, key) if shipped is not None else None
    return given if given is not None and method in (None, given.method) else None


def make_map(
    directions: NDArray[np.float32],
    key: str = "",
    *,
    method: str | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> FeatureMap:
    """Lay features out; the same directions give the same map.

    Args:
        directions: (n_features, d_model), the decoder's rows; their lengths do not matter.
        key: hash of the SAE under which the map is kept; "" = it is not kept.
        method: "umap", "tsne" or "pca"; None = the best that is installed.
        cache: folder of the cache; None = as `cache_folder` says. If it cannot be written to, a warning says
            so.

    Raises:
        ValueError: an unknown method.
        ModuleNotFoundError: UMAP was asked for and is not installed.
    """
    method = _known_method(method) if method else best_method()
    if method == "umap" and not find_spec("umap"):
        raise ModuleNotFoundError(
            "method='umap' needs umap-learn; pip install 'ember-widgets[umap]', or choose 'tsne'"
        )
    rows = directions / np.linalg.norm(directions, axis=1, keepdims=True).clip(min=1e-12)
    positions = _laid_out(rows.astype(np.float32), method)
    low, high = positions.min(axis=0), positions.max(axis=0)
    scale = float((high - low).max()) or 1.0
    made = FeatureMap(((positions - (low + high) / 2) * 2 / scale).astype(np.float32), method)
    if key:
        try:
            made.save(_file(key, method, cache), key)
        except OSError as fault:
            warnings.warn(f"this map has to be made again next time: {fault}", stacklevel=2)
    return made


def _laid_out(rows: NDArray[np.float32], method: str) -> NDArray[np.float32]:
    n, width = rows.shape
    if n < 8 or width < 2:  # nothing to arrange
        circle = 2 * np.pi * np.arange(n) / max(1, n)
        return np.stack([np.cos(circle), np.sin(circle)], axis=1).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # scikit-learn divides by a variance, which may be 0
        return _arranged(rows, method)


def _arranged(rows: NDArray[np.float32], method: str) -> NDArray[np.float32]:
    from sklearn.decomposition import PCA

    n, width = rows.shape
    # Warnings are not turned off: that is done for all threads at once, and this takes minutes.
    if method == "umap":
        import umap

        model = umap.UMAP(metric="cosine", n_neighbors=min(15, n - 1), min_dist=0.1, random_state=0, n_jobs=1)
        return np.asarray(model.fit_transform(rows), np.float32)
    if method == "tsne":
        from sklearn.manifold import TSNE

        # Neighbours in 50 dimensions are found many times faster, and are nearly the same.
        if width > 50 and n > 50:
            rows = PCA(50, svd_solver="randomized", random_state=0).fit_transform(rows)
        model = TSNE(perplexity=min(30.0, (n - 1) / 4), init="pca", random_state=0, max_iter=600)
        return np.asarray(model.fit_transform(rows), np.float32)
    return np.asarray(PCA(2, svd_solver="randomized", random_state=0).fit_transform(rows), np.float32)


def _known_method(method: str) -> str:
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(METHODS)}, or None")
    return method


def _file(key: str, method: str, cache: str | os.PathLike[str] | None) -> Path:
    return cache_folder(cache) / "maps" / f"{key[:32]}-{method}.npz"
