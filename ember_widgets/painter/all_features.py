"""What a painter knows of all features at once: their icons, statistics, and collections of pictures."""

from __future__ import annotations

import functools
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.features import icons
from ember_widgets.features.collection import Collection, collect
from ember_widgets.features.icons import Icons
from ember_widgets.features.statistics import FILE as STATISTICS_FILE
from ember_widgets.features.statistics import Statistics, joined
from ember_widgets.model.sdxl.runs import Run, repeated
from ember_widgets.painter.base import Model
from ember_widgets.scene import site_names
from ember_widgets.scene.scene import AREAS
from ember_widgets.util import checks
from ember_widgets.util.user_folders import cache_folder

DISC = AREAS["centre"]
"""Where a feature is painted to see what it draws."""


class AllFeatures(Model):
    """The part of a `Painter` that looks at all features."""

    @abstractmethod
    def icon(self, feature: int) -> Image.Image:
        """What a feature draws on its own."""

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """`icon` for several features, run through the model as one batch: features -> pictures."""
        if len(self._steered) > 1 or self.guidance:
            return [self.icon(feature) for feature in features]
        sae = next(iter(self._steered.values()))
        disc = torch.from_numpy(DISC.reshape(-1, 1)).to(sae.W_dec)
        with self._lock, self._memory("drawing icons"):
            start = self._start(Run("", 0, 1))
            blank = start.first.hidden_out - (self._target(start.first) - sae.b_dec).T.reshape(
                start.first.hidden_out.shape
            ).to(start.first.hidden_out.dtype)
            strengths = disc * self._alone(0)
            changes = torch.stack([(strengths * (sae.unit[f] * sae.W_dec[f])).T for f in features])
            edited = blank + changes.reshape(len(features), *blank.shape[1:]).to(blank.dtype)
            latents = self._sampler.run(repeated(start, len(features)), lambda step, state: edited)
            # One by one: a batch of large pictures takes much memory, and no less time. The small decoder,
            # where there is one, is enough for pictures of 64 pixels.
            return [self._sampler.decode(one, preview=True) for one in latents[:, None]]

    @functools.cached_property
    def icons(self) -> Icons:
        """{feature: small picture of `icon`}, as far as they were made.

        Those that came with the SAE, and those in the cache, where `icons.make` and `icons.want` (in the
        background) keep what they draw.
        """
        shipped = {
            begin + feature: picture
            for begin, folder, key in self._shipped()
            for feature, picture in icons.read(folder / icons.FILE, key).items()
        }
        return Icons(
            self.n_features,
            self.draw_icons,
            key=self.key,
            file=cache_folder() / "icons" / f"{self.key}.zip" if self._hashed() else None,
            shipped=shipped,
            # A processor gains nothing from drawing many at once, and painting waits meanwhile.
            batch=2 if self._device.type == "cpu" else 16,
        )

    @functools.cached_property
    def statistics(self) -> Statistics | None:
        """How often and how strongly each feature is active, as measured when the SAE was made.

        None where that did not come with it; `painter.collect(prompts).statistics` measures it.
        """
        known = [Statistics.load(folder / STATISTICS_FILE, key) for _, folder, key in self._shipped()]
        if len(known) < len(self._steered) or None in known:
            return None
        return joined([one for one in known if one is not None])

    def collect(
        self,
        prompts: Iterable[str],
        folder: str | os.PathLike[str] | None = None,
        *,
        seeds: Iterable[int] = (0,),
        pictures: bool = True,
        progress: bool = True,
    ) -> Collection:
        """Generate many pictures and keep their codes on disk; go on where an earlier call was interrupted.

        Args:
            prompts: what to generate; every prompt with every seed.
            folder: where; it is made, or added to if it is a collection of this model and SAE. None = one in
                the cache, which all calls without a folder share.
            seeds: seeds of the noise, each 0..2**63-1.
            pictures: keep the pictures too, 256×256 pixels each; without them it takes half the time.
            progress: show a progress bar.

        Returns:
            The collection, with whatever was in it before.

        Raises:
            TypeError, ValueError: no prompts, an invalid one, or the folder is of something else.
        """
        if isinstance(prompts, str):
            raise TypeError(f"prompts={checks.shown(prompts)} is one text; give a list of them")
        texts, numbers = list(prompts), [checks.seed(seed) for seed in seeds]
        runs = [(checks.text("prompts", text), seed) for text in texts for seed in numbers]
        if not runs:
            raise ValueError("prompts and seeds make no pictures; give at least one of each")
        if folder is None:
            folder = cache_folder() / "collections" / self.key
        collection = Collection.create(Path(folder), self.n_features, self._identity)

        def analyse(prompt: str, seed: int) -> tuple[NDArray[np.float32], Image.Image | None]:
            with self._lock:
                start = self._sampler.begin(Run(prompt, seed, 1))
                codes = np.concatenate([self._codes(start, i) for i in range(len(self._steered))], axis=2)
                if not pictures:
                    return codes, None
                latents = self._sampler.run(start)
                return codes, self._sampler.decode(latents)

        collect(collection, runs, analyse, progress=progress)
        return collection

    def _alone(self, feature: int) -> float:
        """How strong a feature is painted where it stands alone; see `icon`."""
        for one in self._steered.values():
            if feature < one.n_features:
                return 1.0 if one.site == site_names.DEFAULT_SITE else float(one.k or 1)
            feature -= one.n_features
        return 1.0

    def _shipped(self) -> Iterator[tuple[int, Path, str]]:
        """Of each SAE: where its features begin, the folder where files about them may lie, their key."""
        begin = 0
        for one in self._steered.values():
            if one.source:
                source = Path(one.source)
                yield begin, source if source.is_dir() else source.parent, self._key(one.sha256[:32])
            begin += one.n_features
