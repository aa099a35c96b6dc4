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
        self._features, self._cache, self._on_made = features, cache, on_made
        self._wanted = method or best_method()
        known = [self._known(i, method) for i in range(len(features.saes))]
        self._missing = [] if self._wanted == "pca" else [i for i, one in enumerate(known) if one is None]
        self._maps = [one or make_map(features.directions[i], method="pca") for i, one in enumerate(known)]
        self._worker = Worker("ember-atlas")
        self.map: FeatureMap = side_by_side(self._maps)

    def start(self) -> None:
        """Begin to make the maps that are missing."""
        if self._missing:
            self._worker.put("make", self._make)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until all is laid out; False if that took longer than `timeout` seconds."""
        return self._worker.wait(timeout)

    @property
    def status(self) -> str:
        """How many features there are, and how they were laid out."""
        titles = " and ".join(dict.fromkeys(one.title for one in self._maps))
        where = f" of {', '.join(self._features.sites)}" if len(self._maps) > 1 else ""
        text = f"{self._features.n_features:,} features{where} · {titles}"
        return f"{text} for now; {METHODS[self._wanted]} is under way…" if self._missing else text

    def _make(self) -> None:
        fault: BaseException | None = None
        try:
            for i in self._missing:
                rows, key = self._features.directions[i], self._key(i)
                self._maps[i] = make_map(rows, key, method=self._wanted, cache=self._cache)
            self.map = side_by_side(self._maps)
        except BaseException as error:  # SystemExit too: the widget has to show it
            fault = error
        self._missing = []
        self._on_made(fault)

    def _known(self, site: int, method: str | None) -> FeatureMap | None:
        source = Path(self._sae(site).source or "nowhere")
        shipped = (source if source.is_dir() else source.parent) / FILE
        known = known_map(self._key(site), method=method, shipped=shipped, cache=self._cache)
        fits = known is not None and len(known.positions) == self._sae(site).n_features
        return known if fits else None

    def _key(self, site: int) -> str:
        known: str = self._sae(site).key
        return known or hashlib.sha256(self._features.directions[site].tobytes()).hexdigest()

    def _sae(self, site: int) -> Any:
        return list(self._features.saes.values())[site]
