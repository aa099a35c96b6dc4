"""Stage "latents": scenes are drawn and encoded once, so that training the UNet only reads arrays."""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
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


def captioned(seed: int, lifted: float = 0.75) -> tuple[Spec, Array, Layout]:
    """A caption, the noise (4, 64, 64) that decides the rest, and the layout they give together.

    In the share `lifted` of the scenes the winning cells are lifted by a random margin: the same rule, easier
    to learn.
    """
    rng = np.random.default_rng(seed)
    spec, noise = random_spec(rng, styled=STYLED), rng.standard_normal((4, 64, 64), dtype=np.float32)
    layout, cells = caption_layout(spec, noise)
    if rng.random() < lifted:
        for channel, row, col in cells:
            area = np.s_[channel, 4 * max(0, row - 1) : 4 * (row + 2), 4 * max(0, col - 1) : 4 * (col + 2)]
            noise[area] += rng.random() * MARGIN / 12
        layout, _ = caption_layout(spec, noise)
    return spec, noise, layout


def build_latents(
    out: Path, *, n_random: int, n_captioned: int, device: str = "cpu", batch: int = 32, workers: int = 2
) -> None:
    """Draw and encode scenes of random layouts and of captions into the folder `out/latents`."""
    n = n_random + n_captioned
    parts = [range(i, min(n, i + batch)) for i in range(0, n, batch)]
    # Spawned, not forked: PyTorch's threads do not survive a fork.
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _prepare, (out, device, n_random)
    ) as pool:
        made = list(tqdm(pool.map(_encoded, parts), total=len(parts), desc="latents", mininterval=10))
    folder, temporary = out / "latents", out / "latents.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in made[0]:
        np.save(temporary / f"{name}.npy", np.concatenate([part[name] for part in made]))
    np.save(temporary / "n_random.npy", np.array([n_random]))
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def load_latents(folder: Path) -> dict[str, Any]:
    """What `build_latents` wrote, mapped into memory: all processes that train share one copy."""
    arrays: dict[str, Any] = {f.stem: np.load(f, mmap_mode="r") for f in folder.glob("*.npy")}
    return arrays | {"n_random": int(arrays["n_random"][0]), "styles": np.array(arrays["styles"])}


_worker: dict[str, Any] = {}  # what each worker process is given once


def _prepare(out: Path, device: str, n_random: int) -> None:
    torch.set_num_threads(1)
    vae = load_vae(out).to(device, memory_format=torch.channels_last)
    _worker.update(vae=vae, device=device, n_random=n_random)


def _encoded(numbers: range) -> dict[str, Array]:
    """The scenes of these numbers: first the random layouts, then the captioned ones."""
    n_random, device = _worker["n_random"], _worker["device"]
    layouts = [
        random_layout(np.random.default_rng([21, i]), styled=STYLED, faded=FADED)
        if i < n_random
        else captioned(i - n_random)[2]
        for i in numbers
    ]
    images = np.stack([scenes.draw(layout)[0] for layout in layouts])
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
        latents = _worker["vae"].encoder(pixels.contiguous(memory_format=torch.channels_last)).float()
    labels, below, opacity = (
        np.stack(maps) for maps in zip(*map(scenes.painted_patches, layouts), strict=True)
    )
    return {
        "latents": latents.cpu().numpy().astype(np.float16),
        "labels": labels.astype(np.int16),
        "below": below.astype(np.int16),
        "opacity": opacity.astype(np.float16),
        "styles": np.array([layout.style for layout in layouts], np.int8),
    }
