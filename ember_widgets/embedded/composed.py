"""Stage "composed": scenes as the composer lays them out, to train what draws them.

The composer reads from the noise where a captioned thing stands, and is often half a patch off: then it gives
the patches of both places. Trained on exact outlines alone, the renderer takes such an outline for a shape
that somebody painted, and fills it with several small sprites. Here the outlines are the composer's own, and
the picture is that of the layout which is nearest to them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ember_widgets.embedded import architecture, captions, scenes
from ember_widgets.embedded.latents import (
    are_latents_current,
    captioned,
    save_latents,
    weights_hash,
    with_latents,
)
from ember_widgets.embedded.model import PARTS, Model, load_trained
from ember_widgets.embedded.sides import sprite_sides
from ember_widgets.embedded.train_vae import load_vae
from ember_widgets.embedded.vocabulary import FIRST_THING

Array = NDArray[Any]
FIRST_SEED = 1 << 20  # of the captions: none that the stage "latents" has
N_NEAR = 32  # layouts that are compared with what the composer gives
ALIKE = 0.4  # least overlap of a thing's two outlines: intersection over union
STRAYS = 3  # patches of things that the layout has not


def build_composed(out: Path, *, n: int, device: str = "cpu", batch: int = 32) -> None:
    """Draw and encode about n scenes into the folder `out/composed`, as the stage "latents" does.

    Scenes in which the composer left something out, or put it elsewhere, are left out. Does nothing where
    the same composer and encoder made them before.

    Raises:
        ValueError: No scene is left.
    """
    model = Model(out, device)
    load_trained(model, out)
    model.eval()
    vae = load_vae(out)
    made_by = weights_hash(_what_composes(model) | vae.encoder.state_dict(prefix="vae.encoder."))
    if are_latents_current(out / "composed", made_by):
        return
    vae.to(device, memory_format=torch.channels_last)
    parts = _parts(model, vae, n, batch)
    first = next(parts, None)
    if first is None:
        raise ValueError(
            f"the composer of {out} shows the things of none of {n} captions; train the stage composer longer"
        )
    save_latents(out / "composed", itertools.chain([first], parts), 0, made_by)


def _parts(model: Model, vae: AutoencoderTiny, n: int, batch: int) -> Iterator[dict[str, Any]]:
    for first in tqdm(range(FIRST_SEED, FIRST_SEED + n, batch), desc="composed", mininterval=10):
        found = list(_composed(model, range(first, first + batch)))
        if not found:
            continue
        layouts = [layout for layout, _ in found]
        labels = torch.from_numpy(np.stack([labels for _, labels in found])).short()
        part = {
            "pictures": torch.from_numpy(np.stack([scenes.draw(layout)[0] for layout in layouts])),
            "labels": labels,
            "below": labels,
            "opacity": torch.ones(labels.shape).half(),
            "sides": torch.from_numpy(np.stack([sprite_sides(layout) for layout in layouts])).to(torch.int8),
            "styles": torch.tensor([layout.style for layout in layouts], dtype=torch.int8),
        }
        yield with_latents(vae, part, model.device_name)


def _what_composes(model: Model) -> dict[str, Tensor]:
    before_site = tuple(f"unet.{part}" for part in PARTS["composer"])
    return {n: w for n, w in model.state_dict().items() if n.startswith((*before_site, "text_encoder"))}


def _composed(model: Model, seeds: range) -> Iterator[tuple[scenes.Layout, Array]]:
    """Layouts of captions, and the labels (16, 16) whose codes are nearest to the composer's."""
    items = [captioned(seed, 0.0)[:2] for seed in seeds]
    noise = torch.from_numpy(np.stack([noise for _, noise in items])).to(model.device_name)
    tokens = model.tokens([spec.words for spec, _ in items])
    with torch.no_grad(), torch.autocast(model.device_name, dtype=torch.bfloat16):
        state = model.prefix(model.noisy(None, noise, 999), 999, tokens)
    update = state.hidden_out.float() - state.hidden_in.float()
    codes = architecture.site_codes().to(model.device_name)
    nearness = torch.einsum("bdrc,kd->bkrc", update, codes) - codes.pow(2).sum(1)[:, None, None] / 2
    for seed, (spec, field), labels in zip(seeds, items, nearness.argmax(1).cpu().numpy(), strict=True):
        near = captions.near_layouts(spec, field, N_NEAR, np.random.default_rng([41, seed]))
        # Of layouts that fit equally well always the one further left and up, so that it can be learned.
        near.sort(key=lambda layout: [(thing.col, thing.row) for thing in layout.things])
        layout = max(near, key=lambda layout: (scenes.label_patches(layout) == labels).sum())
        if _shows(layout, labels):
            yield layout, labels


def _shows(layout: scenes.Layout, labels: Array) -> bool:
    """Whether labels (16, 16) show the things of a layout, about where they stand, and hardly any others."""
    wanted = scenes.label_patches(layout)
    things = np.unique(wanted[wanted >= FIRST_THING])
    strays = (labels >= FIRST_THING) & ~np.isin(labels, things)
    overlaps = [
        ((wanted == thing) & (labels == thing)).sum() / ((wanted == thing) | (labels == thing)).sum()
        for thing in things
    ]
    return bool(strays.sum() <= STRAYS and all(overlap >= ALIKE for overlap in overlaps))
