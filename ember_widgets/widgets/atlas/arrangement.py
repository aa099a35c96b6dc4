"""Where the features lie on the atlas's map: as known from before, or laid out in the background."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ember_widgets.features.feature_map import (
    FILE,
    METHODS,
    FeatureMap,
    best_method,
    known_map,
    make_map,
    side_by_side,
)
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.atlas.catalogue import Catalogue


class Arrangement:
    """A map of each site's features, side by side. Until one was made, PCA lays its features out.

    Args:
        features: what is laid out.
        method: "umap", "tsne" or "pca"; None = the best that is installed.
        cache: folder in which maps are kept; None = as `cache_folder` says.
        on_made: called, in a thread, when the missing maps are made, or with the error if they could not be.

    Attributes:
        map: as it is now.

    Raises:
        ValueError: an unknown method.
    """

    def __init__(
        self,
        features: Catalogue,
        *,
        method: str | None,
        cache: str | os.PathLike[str] | None,
        on_made: Callable[[BaseException | None], None],
    ) -> None:
        self._cache, self._on_made = cache, on_made
        self._wanted = method or best_method()
        known = [_known(features, i, method, cache) for i in range(len(features.saes))]
        missing = [] if self._wanted == "pca" else [i for i, one in enumerate(known) if one is None]
        self._maps = [one or make_map(features.directions[i], method="pca") for i, one in enumerate(known)]
        self._sites = features.sites
        self._n_features = features.n_features
        # A map takes minutes, and must not keep the painter meanwhile.
        self._to_make = {i: (features.directions[i], _key(features, i)) for i in missing}
        self._worker = Worker("ember-atlas")
        self.map: FeatureMap = side_by_side(self._maps)

    def start(self) -> None:
        """Begin to make the maps that are missing."""
        if self._to_make:
            self._worker.put("make", self._make)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until all is laid out; False if that took longer than `timeout` seconds."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Tell nobody any more, and begin no other map; one that is being made is finished and kept."""
        self._on_made = _ignore
        self._worker.close()

    @property
    def status(self) -> str:
        """How many features there are, and how they were laid out."""
        titles = " and ".join(dict.fromkeys(one.title for one in self._maps))
        where = f" of {', '.join(self._sites)}" if len(self._maps) > 1 else ""
        text = f"{self._n_features:,} features{where} · {titles}"
        return f"{text} for now; {METHODS[self._wanted]} is under way…" if self._to_make else text

    def _make(self) -> None:
        fault: BaseException | None = None
        try:
            for i, (rows, key) in self._to_make.items():
                if self._worker.closed:
                    break
                self._maps[i] = make_map(rows, key, method=self._wanted, cache=self._cache)
            self.map = side_by_side(self._maps)
        except BaseException as error:  # SystemExit too: the widget has to show it
            fault = error
        self._to_make = {}
        self._on_made(fault)


def _known(
    features: Catalogue, site: int, method: str | None, cache: str | os.PathLike[str] | None
) -> FeatureMap | None:
    sae = _sae(features, site)
    source = Path(sae.source or "nowhere")
    shipped = (source if source.is_dir() else source.parent) / FILE
    known = known_map(_key(features, site), method=method, shipped=shipped, cache=cache)
    return known if known is not None and len(known.positions) == sae.n_features else None


def _key(features: Catalogue, site: int) -> str:
    known: str = _sae(features, site).key
    return known or hashlib.sha256(features.directions[site].tobytes()).hexdigest()


def _sae(features: Catalogue, site: int) -> Any:
    return list(features.saes.values())[site]


def _ignore(_: object) -> None:
    """Nobody listens any more."""
