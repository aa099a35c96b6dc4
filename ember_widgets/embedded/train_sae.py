"""Stage "sae": the embedded model's SAEs, their positional features and their labels, all measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionXLPipeline
from numpy.typing import NDArray
from torch import Tensor
from tqdm import trange

from ember_widgets.dictionary.load import DEFAULT_SITE, save_sae
from ember_widgets.dictionary.sae import SAE
from ember_widgets.embedded import captions, scenes, vocabulary
from ember_widgets.embedded.architecture import site_codes
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.nearest_layout import nearest_places, places_of, squared_distances
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.scene.grid import Grid
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import completed, typical_activations
from ember_widgets.training.run import train_sae
from ember_widgets.training.stream import AT_ONCE, Picture, Source, activations_of

MIN_PRECISION, MIN_RECALL = 0.2, 0.1
MIN_USED = 0.004  # of the pictures; a feature that fewer use is left out (each look is in one of a hundred)
DETAIL_SITE = "up_blocks.0.attentions.1"
BATCH = 1024


@dataclass(frozen=True)
class Recipe:
    """How the SAE of one site is trained.

    At a supervised site, a trained direction must not be split over ten features, and paper, whose code is 0,
    must not become a feature. Rare things are shown more often there: a look is in one of a thousand patches,
    and as long as its features are not settled, several share its direction. Elsewhere none of this holds.

    Args:
        supervised: Whether the composer was trained to put given directions there.
    """

    site: str
    folder: str
    supervised: bool
    steps: int

    @property
    def config(self) -> TrainConfig:
        """Settings of the training."""
        return TrainConfig(
            n_patches=self.steps * BATCH,
            batch=BATCH,
            lr=2e-3 if self.supervised else 6e-3,
            warm_up=0.05,
            decay=0.3,
            dead_after=80 * BATCH,
            concave_penalty=0.03 if self.supervised else 0.0,
            encoder_length=1.0,
            centred=not self.supervised,
        )


RECIPES = (
    Recipe(DEFAULT_SITE, "sae", supervised=True, steps=1200),
    Recipe(DETAIL_SITE, "sae-up.0.1", supervised=False, steps=2400),
)


def build_saes(out: Path, assets: Path = ASSETS, *, n_scenes: int = 3000, n_ordinary: int = 400) -> None:
    """Collect, train, measure on held-out scenes, label, and write the SAE of every recipe under `assets`.

    The scenes are crowded, so that everything is in many of them. Strength 1 is that of an ordinary scene,
    where things are further apart and so clearer; it is measured there.
    """
    pipeline = StableDiffusionXLPipeline.from_pretrained(assets / "pipeline", torch_dtype=torch.float32)
    model = SDXL(pipeline, *(recipe.site for recipe in RECIPES))
    rng = np.random.default_rng(31)
    specs = [captions.random_spec(rng, crowd=(0.05, 0.15, 0.3, 0.3, 0.2)) for _ in range(n_scenes)]
    pictures = [Picture(spec.words, 10_000 + i) for i, spec in enumerate(specs)]
    ordinary = [Picture(captions.random_spec(rng).words, 20_000 + i) for i in range(n_ordinary)]
    activations, usual = collected(model, pictures), collected(model, ordinary)
    facts, layouts = {}, []
    for recipe in RECIPES:
        here = activations[recipe.site]
        if recipe.supervised:
            noise = [first_noise(model, picture.seed) for picture in pictures]
            layouts = [drawn_layout(*scene) for scene in zip(specs, noise, here, strict=True)]
        facts[recipe.site] = build_sae(
            recipe, here, usual[recipe.site], layouts, model.grid, assets / recipe.folder
        )
        print(recipe.site, facts[recipe.site])
    (out / "sae.json").write_text(json.dumps(facts) + "\n")


def collected(model: SDXL, pictures: Sequence[Picture]) -> dict[str, Tensor]:
    """What the model's sites add at the first step, {site: (n_pictures, n_patches, d_model)}."""
    source = Source(model.sites)
    parts = [
        activations_of(model, source, pictures[start : start + AT_ONCE])
        for start in trange(0, len(pictures), AT_ONCE, desc="activations", mininterval=10)
    ]
    return {site: torch.cat([part[site] for part in parts]) for site in model.sites}


def first_noise(model: SDXL, seed: int) -> Tensor:
    """The noise that a run starts from, (4, 64, 64), as N(0, 1)."""
    unet = model.pipeline.unet.config
    shape = (unet.in_channels, unet.sample_size, unet.sample_size)
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


def drawn_layout(spec: captions.Spec, noise: Tensor, update: Tensor, margin: float = 1.0) -> scenes.Layout:
    """Of the layouts that near ties of the noise leave open, the nearest to a supervised site's update.

    Args:
        spec, noise: The caption and the noise (4, 64, 64).
        update: (256, d_model), of the patches in rows.
        margin: How far below the largest the noise of a place may be, in standard deviations.
    """
    choices = captions.caption_choices(spec, noise.numpy(), margin)
    by_patch = update.T.reshape(1, -1, scenes.GRID, scenes.GRID)
    chosen = nearest_places(squared_distances(by_patch, site_codes()), places_of([choices]))[0].tolist()
    return choices.layout(chosen[: len(choices.places)])


def build_sae(
    recipe: Recipe,
    activations: Tensor,
    usual: Tensor,
    layouts: list[scenes.Layout],
    grid: Grid,
    folder: Path,
) -> dict[str, float]:
    """Train one site's SAE on nine tenths of its activations and say how good it is on the others.

    Args:
        activations: (n_scenes, 256, d_model).
        usual: The same of other scenes, for strength 1.
        layouts: Of the scenes.
        grid: Rows and columns of patches.
        folder: Where it is written.
    """
    n_train = len(activations) * 9 // 10
    config = recipe.config
    shown = torch.from_numpy(np.stack([places(layout) for layout in layouts]))
    patches = activations[:n_train].flatten(0, 1)
    if recipe.supervised:
        labels = shown[:n_train].flatten() // (NOWHERE + 1)
        stream = balanced(patches, labels, config.batch, config.seed)
    else:
        stream = shuffled(patches, config.batch, config.seed)
    trained = train_sae(stream, config, site=recipe.site).sae
    sae = with_features(trained, used(trained, activations[:n_train]) >= MIN_USED)
    sae.unit.copy_(typical_activations(sae, usual.flatten(0, 1)))
    sae, quality = completed(sae, activations[n_train:], grid)
    save_sae(sae, folder)
    texts, scores = label_features(sae, activations, shown, parts=not recipe.supervised)
    content = {
        "source": "precision and recall of a feature's activation against the scenes' own patch labels",
        "labels": texts,
        "scores": scores,
    }
    (folder / "labels.json").write_text(json.dumps(content, indent=0) + "\n", "utf-8")
    return {
        **dataclasses.asdict(quality),
        "n_features": sae.n_features,
        "n_trained": trained.n_features,
        "positional": len(sae.positional),
        "labelled": len(texts),
    }


def used(sae: SAE, activations: Tensor) -> Tensor:
    """Share of the pictures in which each feature is active, (n_features,).

    Args:
        activations: (n_pictures, n_patches, d_model).
    """
    return torch.stack([(sae.encode(picture) > 0).any(0) for picture in activations]).float().mean(0)


def with_features(sae: SAE, kept: Tensor) -> SAE:
    """An SAE with one threshold for all without the features that are not `kept`, bool (n_features,)."""
    return dataclasses.replace(
        sae,
        W_enc=sae.W_enc[:, kept].contiguous(),
        b_enc=sae.b_enc[kept],
        W_dec=sae.W_dec[kept],
        unit=sae.unit[kept],
    )


def shuffled(patches: Tensor, n: int, seed: int) -> Iterator[Tensor]:
    """Batches (n, d_model) of all patches (n_patches, d_model) in random order, over and over again."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for batch in torch.split(torch.randperm(len(patches), generator=generator), n):
            yield patches[batch]


def balanced(patches: Tensor, labels: Tensor, n: int, seed: int) -> Iterator[Tensor]:
    """Batches (n, d_model) of patches (n_patches, d_model), rare ones more often.

    Args:
        labels: What each patch shows, int (n_patches,). One that a quarter as many patches have is shown half
            as often.
    """
    generator = torch.Generator().manual_seed(seed)
    # Not `torch.multinomial`: on a CPU it adds up all chances again for each batch.
    chances = labels.bincount().double().clamp(min=1).rsqrt()[labels].cumsum(0)
    while True:
        at = torch.rand(n, generator=generator, dtype=torch.float64) * chances[-1]
        yield patches[torch.searchsorted(chances, at)]


ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
NOWHERE = len(ROWS) * len(COLUMNS)


def places(layout: scenes.Layout) -> NDArray[np.int64]:
    """What each patch shows and which part of it: label·10 + part, (16, 16).

    A part is a cell of the 3×3 raster over a thing's box, row by row; 9 (`NOWHERE`) is background.
    """
    labels, parts = scenes.label_patches(layout), np.full((scenes.GRID, scenes.GRID), NOWHERE)
    for thing in layout.things:  # as `label_patches`, with the part for a label
        rows, cols = np.mgrid[: thing.height, : thing.width]
        raster = 3 * (3 * rows // thing.height) + 3 * cols // thing.width
        for r, c in np.argwhere(scenes.covered(thing)):
            row, col = thing.row + r, thing.col + c
            if 0 <= row < scenes.GRID and 0 <= col < scenes.GRID:
                parts[row, col] = raster[r, c]
    return np.asarray((NOWHERE + 1) * labels + parts, np.int64)


def label_features(
    sae: SAE, activations: Tensor, shown: Tensor, *, parts: bool
) -> tuple[dict[str, str], dict[str, Any]]:
    """Name each feature by what it identifies best: an attribute, a look with all its attributes, or a part.

    Args:
        activations: (n_images, 256, d_model).
        shown: What is where, from `places`, (n_images, 16, 16).
        parts: Whether a part of a thing may name a feature.

    Returns:
        {feature: text} for features with at least `MIN_PRECISION` of their activation on such patches, firing
        on at least `MIN_RECALL` of these, and {feature: [precision, recall]}, best F1 first.
    """
    names, has = candidates(parts)
    mass, fired = torch.zeros(sae.n_features, len(has)), torch.zeros(sae.n_features, len(has))
    count = torch.zeros(len(has))
    for vectors, image in zip(activations, shown, strict=True):
        codes, where = sae.encode(vectors), F.one_hot(image.flatten(), len(has)).float()
        mass += codes.T @ where
        fired += (codes > 0).float().T @ where
        count += where.sum(0)
    total = mass.sum(1).clamp(min=1e-9)
    precision, recall = (mass @ has) / total[:, None], (fired @ has) / (count @ has).clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    best = (f1 * (precision >= MIN_PRECISION) * (recall >= MIN_RECALL)).max(1)
    chosen = [int(f) for f in best.values.argsort(descending=True) if float(best.values[f]) > 0]
    texts = {str(f): names[int(best.indices[f])] for f in chosen}
    scores = {str(f): [round(float(m[f, best.indices[f]]), 3) for m in (precision, recall)] for f in chosen}
    return texts, scores


def candidates(parts: bool) -> tuple[list[str], Tensor]:
    """What a feature may be called, and which of `places` show it, (n_places, n_names).

    A variant is called "pine (tree)", so that searching for its kind finds it too; a part "cat, top left".
    """
    looks = [look.attributes for look in vocabulary.LOOKS if len(look.attributes) > 1]
    wanted = [*looks, *((a,) for a in vocabulary.ATTRIBUTES if a not in vocabulary.VARIANTS)]
    has = torch.tensor(
        [
            [set(name) <= set(vocabulary.attributes(i)) for name in wanted]
            for i in range(len(vocabulary.LABELS))
        ]
    )
    texts = [
        f"{name[1]} ({name[0]})" if name[-1] in vocabulary.VARIANTS else " ".join(name) for name in wanted
    ]
    cells = torch.arange(NOWHERE + 1)
    where = {"": cells >= 0}
    if parts:
        rows = {row: cells // 3 == i for i, row in enumerate(ROWS)}
        columns = {column: (cells % 3 == i) & (cells != NOWHERE) for i, column in enumerate(COLUMNS)}
        where |= {f", {part}": shown for part, shown in (rows | columns).items()}
        where |= {f", {row} {column}": rows[row] & columns[column] for row in rows for column in columns}
    shows = [(has[:, None] & cell[:, None]).flatten(0, 1) for cell in where.values()]
    return [text + part for part in where for text in texts], torch.cat(shows, 1).float()
