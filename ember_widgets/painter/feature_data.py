"""What is known about every feature of a model: icons, statistics, and collections of pictures' codes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.features import icons as icon_files
from ember_widgets.features.collection import Collection
from ember_widgets.features.collection import collect as collect_into
from ember_widgets.features.icons import Icons
from ember_widgets.features.statistics import FILE as STATISTICS_FILE
from ember_widgets.features.statistics import Statistics, joined
from ember_widgets.model.runs import Run
from ember_widgets.painter.painted_pictures import draw_painted
from ember_widgets.painter.steered_model import SteeredModel
from ember_widgets.util import checks
from ember_widgets.util.user_folders import cache_folder


def draw_icons(model: SteeredModel, features: Sequence[int]) -> list[Image.Image]:
    """What several features draw on their own, run through the model as one batch.

    Args:
        model: A model with one site. It is run without guidance.
        features: Features of this site.

    Returns:
        A picture for each.
    """
    # The small decoder, if there is one, is good enough for pictures of 64 pixels.
    return draw_painted(model, Run("", 0, 1), features, blank=True, preview=True)


def icons(model: SteeredModel, draw: Callable[[Sequence[int]], list[Image.Image]]) -> Icons:
    """The icons that came with the SAEs and those in the cache; more are drawn when asked for.

    While code of the user's takes part, there are neither: nothing says what it draws.

    Args:
        model: The model.
        draw: Draws icons of several features.
    """
    made_with = _known_key(model)

    def draw_unchanged(features: Sequence[int]) -> list[Image.Image]:
        with model.lock:
            if _known_key(model) != made_with:
                raise RuntimeError("the pipeline was changed since these icons; ask painter.icons again")
            return draw(features)

    shipped = {
        model.space.index(feature, site): picture
        for site, folder, key in _shipped(model)
        for feature, picture in icon_files.read(folder / icon_files.FILE, key).items()
    }
    return Icons(
        model.space.n_features,
        draw_unchanged,
        key=made_with,
        file=cache_folder() / "icons" / f"{made_with}.zip" if model.is_hashed else None,
        shipped=shipped,
        # A CPU gains nothing from drawing many at once, and painting would wait meanwhile.
        batch=2 if model.backbone.device.type == "cpu" else 16,
    )


def statistics(model: SteeredModel) -> Statistics | None:
    """The statistics that came with the SAEs; None unless every SAE has them and no user code takes part."""
    known = [Statistics.load(folder / STATISTICS_FILE, key) for _, folder, key in _shipped(model)]
    found = [one for one in known if one is not None]
    return joined(found) if len(found) == len(model.saes) else None


def collect(
    model: SteeredModel,
    prompts: Iterable[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    seeds: Iterable[int] = (0,),
    pictures: bool = True,
    progress: bool = True,
) -> Collection:
    """See `Painter.collect`."""
    if isinstance(prompts, str):
        raise TypeError(f"prompts={checks.shown(prompts)} is one text; give a list of them")
    texts = checks.listed("prompts", prompts, hint="give texts, such as ['a lion', 'a castle']")
    seeds = checks.listed("seeds", seeds, hint="give one seed or more, such as [0, 1]")
    numbers = [checks.seed(seed) for seed in seeds]
    runs = [(checks.text("prompts", text), seed) for text in texts for seed in numbers]
    if not runs:
        raise ValueError("prompts and seeds make no pictures; give at least one of each")
    key = _known_key(model)
    if folder is None:
        folder = _cached_collection(model, key)
    sizes = dict(zip(model.space.sites, model.space.sizes, strict=True))
    collection = Collection.create(
        checks.path("folder", folder),
        model.space.n_features,
        {**model.identity, "key": key},
        model.grid,
        sizes if len(sizes) > 1 else None,
        [model.space.index(f, site) for site, sae in model.saes.items() for f in sae.positional],
    )

    def analyse(prompt: str, seed: int) -> tuple[NDArray[np.float32], Image.Image | None]:
        with model.lock:
            if _known_key(model) != key:
                raise RuntimeError(
                    "the pipeline was changed while pictures were collected; change it back, or collect into "
                    "another folder"
                )
            start = model.backbone.start(Run(prompt, seed, 1))
            codes = model.codes(start)
            if not pictures:
                return codes, None
            return codes, model.backbone.decode(model.backbone.run(start))

    collect_into(collection, runs, analyse, progress=progress)
    return collection


def _cached_collection(model: SteeredModel, key: str) -> Path:
    """The folder of all collections of this model and SAE for which none was given.

    Raises:
        ValueError: The key does not tell them from others.
    """
    if model.is_hashed:
        return cache_folder() / "collections" / key
    what = (
        "the SAE was never saved" if key else "code of your own, such as a hook, takes part in the pipeline"
    )
    raise ValueError(f"{what}, so its pictures could be taken for others in the cache; give a folder=")


def _known_key(model: SteeredModel) -> str:
    """The model's key; "" while code of the user's takes part, which the key does not cover."""
    return "" if model.version is None else model.key


def _shipped(model: SteeredModel) -> Iterator[tuple[str, Path, str]]:
    """For each SAE that came from files: its site, its folder, and the key of the files there.

    None while code of the user's takes part: nothing is known of what it does.
    """
    if model.version is None:
        return
    for site, one in model.saes.items():
        if one.source:
            source = Path(one.source)
            yield site, source if source.is_dir() else source.parent, model.key_with(one.key[:32])
