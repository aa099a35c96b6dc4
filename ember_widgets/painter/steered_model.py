"""SteeredModel: a backbone with an SAE at each of its sites."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ember_widgets.dictionary import calibration
from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.backbone import Backbone
from ember_widgets.model.runs import Run, Start
from ember_widgets.painter import steering
from ember_widgets.painter.starts import Starts
from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene, checked_scene
from ember_widgets.util import checks

CALIBRATION_RUN = Run("a garden with a house and a tree", 0, 1)
"""On this run, what an SAE file does not say is measured."""
EARLIER = {"3940637c5757cb28": "0.1"}
"""Releases in which the embedded model had another SAE at its main site, by that SAE's hash."""


def saes_by_site(sae: SAE | Mapping[str, SAE]) -> dict[str, SAE]:
    """The SAEs that a user gave, each at the site that the user named, by module path.

    Raises:
        TypeError: It is something else.
        ValueError: There is none, or there are two of the same site.
    """
    for one in sae.values() if isinstance(sae, Mapping) else [sae]:
        if not isinstance(one, SAE):
            raise TypeError(
                f"sae={checks.shown(one)} is not an SAE; load it with ember.load_sae, or use "
                "Painter.from_pretrained, which takes folders, files and hub ids too"
            )
    given = [sae] if isinstance(sae, SAE) else [_at(site, one) for site, one in sae.items()]
    if not given:
        raise ValueError("sae={} names no site; give at least one, as {'down.2.1': ...}")
    found = {site_names.full(one.site): one for one in given}
    if len(found) < len(given):
        sites = ", ".join(one.site for one in given)
        raise ValueError(f"two SAEs are of the same site ({sites}); give one per site")
    return found


class SteeredModel:
    """A backbone with an SAE at each of its sites: computes codes of runs, and identifies its weights.

    Args:
        backbone: The model.
        saes: {site: SAE}, one for each of the backbone's sites.
        name: What scenes call the model.
        revision: Commit of its weights.
        guidance: Scale of classifier-free guidance of the calibration run.

    Attributes:
        backbone: As given.
        saes: {site: SAE} in the order of the network, on the backbone's device.
        space: Which of a scene's features belong to which site.
        lock: To be held while the backbone is used.
        starts: The starts of the last runs.

    Raises:
        ValueError: An SAE encodes another number of channels than its site has.
    """

    def __init__(
        self,
        backbone: Backbone[Any],
        saes: Mapping[str, SAE],
        *,
        name: str,
        revision: str | None = None,
        guidance: float = 0.0,
    ) -> None:
        self.backbone = backbone
        self.lock = threading.RLock()
        self.starts = Starts(backbone)
        self._version: object = None
        self._weights: tuple[object, list[bytes]] | None = None
        self.saes: dict[str, SAE] = {}
        for site in backbone.sites:
            one, d_model = saes[site], backbone.width(site)
            if d_model != one.d_model:
                raise ValueError(
                    f"the SAE encodes {one.d_model} channels, but {one.site} has {d_model}; "
                    "load the SAE of this model and site"
                )
            self.saes[site] = one.to(backbone.device)
        self.space = FeatureSpace.of({site: one.n_features for site, one in self.saes.items()})
        self._calibrate(name, guidance)
        self._facts = {
            "id": name,
            "revision": revision or "",
            "site": ",".join(self.saes),
            "sae": ",".join(one.sha256[:16] for one in self.saes.values()),
            **{package: package_version(package) for package in ("ember_widgets", "diffusers", "torch")},
        }

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches at the sites."""
        return self.backbone.grid

    @property
    def facts(self) -> dict[str, str]:
        """`identity` without the key, which takes time to compute."""
        return dict(self._facts)

    @property
    def identity(self) -> dict[str, str]:
        """What scenes and collections remember: name, revision, sites, SAEs, package versions, and `key`."""
        return self._facts | {"key": self.key}

    @property
    def key(self) -> str:
        """Identifies the weights of model and SAEs, as they are now. Computed when it is first needed."""
        return self.key_with(_joined([one.key for one in self.saes.values()]))

    def key_with(self, saes_hash: str) -> str:
        """The key of the backbone with SAEs that have this hash."""
        version = self.version
        if version is None or self._weights is None or self._weights[0] != version:
            self._weights = version, list(self.backbone.weights())
        parts = hashlib.sha256(saes_hash.encode())
        for sample in self._weights[1]:
            parts.update(sample)
        return parts.hexdigest()[:32]

    @property
    def version(self) -> object:
        """The backbone's version, see there; while another thread uses the backbone, as it was before."""
        if self.lock.acquire(blocking=False):
            try:
                self._version = self.backbone.version()
            finally:
                self.lock.release()
        return self._version

    @property
    def saes_hash(self) -> str:
        """Hash of the files of all SAEs; of a single one, its own. It says which feature is which."""
        return _joined([one.sha256 for one in self.saes.values()])

    @property
    def is_hashed(self) -> bool:
        """Whether `key` identifies model and SAEs: SAEs have hashes, and no code of the user takes part."""
        return self.version is not None and all(one.sha256 for one in self.saes.values())

    def check(self, scene: Scene) -> None:
        """Refuse a scene of another model, site or SAE.

        The same weights may have another name: a hub id here, a folder there. So a scene whose model has
        another name is accepted if its key is this model's.

        Raises:
            TypeError: It is not a scene.
            ValueError: The scene cannot be drawn here.
        """
        checked_scene(scene)
        for key, noun in (("sae", "SAE"), ("site", "site"), ("id", "model")):
            theirs, ours = scene.model.get(key, ""), self._facts[key]
            if not theirs or theirs == ours:
                continue
            if key == "id" and (same := scene.model.get("key")) and same == self.key:
                continue
            if key == "sae" and (before := EARLIER.get(theirs.split(",")[0])):
                raise ValueError(
                    f"this scene was painted on the embedded model of ember_widgets {before}, which has "
                    "other features; open it with that version, or paint it again"
                )
            raise ValueError(
                f"this scene was made with {noun} {theirs!r}, but this painter has {ours!r}; "
                "load the painter it was made with"
            )
        if scene.n_features != self.space.n_features:
            raise ValueError(
                f"this scene has {scene.n_features} features, but this painter's SAE has "
                f"{self.space.n_features}; load the SAE it was made with"
            )
        if scene.remainder.shape != self.grid.shape:
            rows, cols = scene.remainder.shape
            raise ValueError(
                f"this scene has {rows}×{cols} patches, but this painter's model has "
                f"{self.grid.rows}×{self.grid.cols}; load the model it was made with"
            )

    def memory(self, doing: str) -> AbstractContextManager[None]:
        """A block in which "out of memory" is explained, see `Backbone.memory`."""
        return self.backbone.memory(doing, self.starts.clear)

    def forget(self) -> None:
        """Forget all that was computed from the backbone."""
        with self.lock:
            self.starts.clear()
            self.backbone.forget()

    def release(self) -> None:
        """Free the start that was not to be kept, see `Starts.of`."""
        with self.lock:
            self.starts.release()

    def start(self, run: Run, *, keep: bool = True) -> Start:
        """The start of a run, kept for the next time; see `Starts.of`."""
        with self.lock, self.memory("starting a picture"):
            return self.starts.of(run, keep=keep)

    def codes(self, start: Start) -> NDArray[np.float32]:
        """SAE codes of a run's first step at all sites, (rows, cols, n_features)."""
        return np.concatenate([self.site_codes(start, site) for site in self.saes], axis=2)

    def site_codes(self, start: Start, site: str) -> NDArray[np.float32]:
        """SAE codes of a run's first step at one site, (rows, cols, n_features of the site)."""
        one, state = self.saes[site], start.states[self.backbone.sites.index(site)]
        codes = one.encode(steering.target(one, state))
        return codes.reshape(*self.grid.shape, -1).cpu().numpy()

    def _calibrate(self, name: str, guidance: float) -> None:
        """Measure, on one picture, what the SAEs' files do not say."""
        for i, (site, one) in enumerate(self.saes.items()):
            if isinstance(one, LoadedSAE) and one.is_open:

                def measure(reading: SAE, i: int = i) -> Tensor:
                    start = self.start(dataclasses.replace(CALIBRATION_RUN, guidance=guidance))
                    return steering.target(reading, start.states[i])

                self.saes[site] = calibration.decide(one, name, self.key_with(""), measure)


def _at(site: str, sae: SAE) -> SAE:
    return sae if site_names.full(site) == sae.site else sae.at(site_names.full(site))


def package_version(package: str) -> str:
    """The version of an installed package; "" if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was never installed
        return ""


def _joined(hashes: list[str]) -> str:
    """One hash of several; of a single one, itself."""
    return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:32]
