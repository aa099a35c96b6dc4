"""Stage "latents": scenes are drawn and encoded once, so that training the UNet only reads arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ember_widgets.embedded import scenes
from ember_widgets.embedded.captions import Spec, caption_layout, random_spec
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.scenes import Layout
from ember_widgets.embedded.train_vae import load_vae

Array = NDArray[Any]
STYLED = 0.3  # share of the scenes that are drawn in a style
FADED = 0.3  # share of the things in random layouts that are transparent
MARGIN = 2.5  # how far training lifts the winning cells of the noise above the others, in standard deviations


def captioned(seed: int) -> tuple[Spec, Array, Layout]:
    """A caption, the noise (4, 64, 64) that decides the rest, and the layout they give together.

    In three of four scenes the winning cells are lifted by a random margin: the same rule, easier to learn.
    """
    rng = np.random.default_rng(seed)
    spec, noise = random_spec(rng, styled=STYLED), rng.standard_normal((4, 64, 64), dtype=np.float32)
    layout, cells = caption_layout(spec, noise)
    if rng.random() < 0.75:
        for channel, row, col in cells:
            area = np.s_[channel, 4 * max(0, row - 1) : 4 * (row + 2), 4 * max(0, col - 1) : 4 * (col + 2)]
            noise[area] += rng.random() * MARGIN / 12
        layout, _ = caption_layout(spec, noise)
    return spec, noise, layout


def build_latents(
    out: Path, *, n_random: int, n_captioned: int, device: str = "cpu", batch: int = 32
) -> None:
    """Draw and encode scenes of random layouts and of captions into `out/latents.npz`."""
    vae = load_vae(out).to(device, memory_format=torch.channels_last)
    rng = np.random.default_rng(21)
    random = [random_layout(rng, styled=STYLED, faded=FADED) for _ in range(n_random)]
    layouts = random + [captioned(seed)[2] for seed in range(n_captioned)]
    latents = np.empty((len(layouts), 4, 64, 64), np.float16)
    for i in tqdm(range(0, len(layouts), batch), desc="latents", mininterval=10):
        images = np.stack([scenes.draw(layout)[0] for layout in layouts[i : i + batch]])
        pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
            latents[i : i + batch] = (
                vae.encoder(pixels.contiguous(memory_format=torch.channels_last)).float().cpu().numpy()
            )
    labels, below, opacity = (
        np.stack(maps) for maps in zip(*map(scenes.painted_patches, layouts), strict=True)
    )
    np.savez(
        out / "latents.npz",
        latents=latents,
        labels=labels.astype(np.int8),
        below=below.astype(np.int8),
        opacity=opacity.astype(np.float16),
        styles=np.array([layout.style for layout in layouts], np.int8),
        n_random=n_random,
    )
