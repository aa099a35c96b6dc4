"""What a painter holds: a pipeline with SAEs at its sites, and the starts of its runs.

A start is everything of a run that no edit can change; the last few are kept, so that every further edit of
the same picture costs only what comes behind the site.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ember_widgets.dictionary import calibration
from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.labels import Labels
from ember_widgets.model.engine import pages
from ember_widgets.model.placement import Seats
from ember_widgets.model.sdxl import loading
from ember_widgets.model.sdxl.runs import Run, Start
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.model.sdxl.staged_unet import SiteState
from ember_widgets.painter import steering
from ember_widgets.scene import site_names
from ember_widgets.scene.scene import GRID
from ember_widgets.util import checks
from ember_widgets.util.user_folders import data_folder

CACHED_STARTS = 8


class Model:
    """The part of a `Painter` that holds the model; see there for arguments and attributes."""

    def __init__(
        self,
        pipeline: Any,
        sae: SAE | Mapping[str, SAE],
        *,
        name: str,
        revision: str | None = None,
        labels: Mapping[int, str] | None = None,
        guidance: float = 0.0,
        seats: Seats | None = None,
        preview_vae: Any = None,
    ) -> None:
        self.pipeline = pipeline
        self.guidance = checks.guidance(guidance)
        given = [sae] if isinstance(sae, SAE) else [_at(site, one) for site, one in sae.items()]
        if not given:
            raise ValueError("sae={} names no site; give at least one, as {'down.2.1': ...}")
        sites = [one.site for one in given]
        if len(set(sites)) < len(sites):
            raise ValueError(f"two SAEs are of the same site ({', '.join(sites)}); give one per site")
        self._sampler = Sampler(pipeline, *sites, seats=seats, preview_vae=preview_vae)
        self._device = self._sampler.seats.device
        if self._device.type == "cpu":
            pages.keep()
        by_site = {site_names.full(one.site): one for one in given}
        self._steered: dict[str, SAE] = {}
        for stage in self._sampler.stages:
            one = by_site[stage.site]
            d_model = pipeline.unet.get_submodule(stage.site).config.in_channels
            if d_model != one.d_model:
                raise ValueError(
                    f"the SAE encodes {one.d_model} channels, but {one.site} has {d_model}; "
                    "load the SAE of this model and site"
                )
            self._steered[stage.site] = one.to(self._device)
        # What the user called a feature belongs to the dictionary, whatever model or file it came with.
        own = data_folder() / "labels" / f"{self._hash()}.json" if self._hashed() else None
        self.labels = Labels(labels, n_features=self.n_features, own_file=own)
        self._starts: OrderedDict[tuple[Any, ...], Start] = OrderedDict()
        self._lock = threading.RLock()
        self._settle(name)
        self.saes = dict(self._steered)
        self._identity = {
            "id": name,
            "revision": revision or "",
            "site": ",".join(self._steered),
            "sae": ",".join(one.sha256[:16] for one in self._steered.values()),
            **{package: package_version(package) for package in ("ember_widgets", "diffusers", "torch")},
        }

    @property
    def n_features(self) -> int:
        """Of all sites together."""
        return sum(one.n_features for one in self._steered.values())

    @functools.cached_property
    def key(self) -> str:
        """Says which weights these are, of model and SAE: files made with others are of no use here."""
        return self._key(self._hash())

    def _key(self, saes: str) -> str:
        parts = hashlib.sha256(saes.encode())
        # All vectors among the weights change with any training, and are a thousandth of them.
        for weights in (self.pipeline.unet.parameters(), self.pipeline.vae.decoder.parameters()):
            for p in weights:
                if p.ndim == 1:
                    parts.update(p.detach().bfloat16().float().cpu().numpy().tobytes())  # in any dtype alike
        return parts.hexdigest()[:32]

    # inside

    def _hash(self) -> str:
        """Of all SAEs together; of one, its own."""
        hashes = [one.sha256 for one in self._steered.values()]
        return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:32]

    def _hashed(self) -> bool:
        return all(one.sha256 for one in self._steered.values())

    def _memory(self, doing: str) -> Any:
        return loading.memory(self._device, doing, self._starts.clear, self._sampler.forget)

    def _start(self, run: Run) -> Start:
        with self._lock:
            if run.key not in self._starts:
                with self._memory("starting a picture"):
                    self._starts[run.key] = self._sampler.begin(run)
                while len(self._starts) > CACHED_STARTS:
                    self._starts.popitem(last=False)
            self._starts.move_to_end(run.key)
            return self._starts[run.key]

    def _settle(self, name: str) -> None:
        """Measure what the SAEs' files leave open, on one picture."""
        for i, (site, one) in enumerate(self._steered.items()):
            if isinstance(one, LoadedSAE) and one.is_open:

                def measure(reading: SAE, i: int = i) -> Tensor:
                    start = self._start(Run("a garden with a house and a tree", 0, 1, self.guidance))
                    return steering.target(reading, start.states[i])

                self._steered[site] = calibration.settle(one, name, measure)

    def _target(self, state: SiteState) -> Tensor:
        """What the first site's SAE encodes, (256, d_model) float32."""
        return steering.target(next(iter(self._steered.values())), state)

    def _codes(self, start: Start, i: int) -> NDArray[np.float32]:
        one = list(self._steered.values())[i]
        codes = one.encode(steering.target(one, start.states[i]))
        return codes.reshape(GRID, GRID, -1).cpu().numpy()


def _at(site: str, sae: SAE) -> SAE:
    return sae if site_names.full(site) == sae.site else sae.at(site_names.full(site))


def package_version(package: str) -> str:
    """ "" where it was never installed."""
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was never installed
        return ""
