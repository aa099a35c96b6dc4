"""Stage "latents": scenes are drawn and encoded once, so that training the UNet only reads arrays."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from ember_widgets.embedded import scenes
from ember_widgets.embedded.ahead import Ahead
from ember_widgets.embedded.captions import Spec, caption_layout, random_spec, winning_cells
from ember_widgets.embedded.random_layouts import crowded_layout, random_layout
from ember_widgets.embedded.scenes import Layout
from ember_widgets.embedded.sides import sprite_sides
from ember_widgets.embedded.train_vae import load_vae

Array = NDArray[Any]
STYLED = 0.3  # share of the scenes that are drawn in a style
FADED = 0.3  # share of the things in free layouts that are transparent
VAE_HASH = "vae.sha256"  # in the folder: of the encoder that made the latents
MARGIN = 2.5  # how far training lifts the winning cells of the noise above the others, in standard deviations


def captioned(seed: int, lifted: float = 0.75) -> tuple[Spec, Array]:
    """A caption, and the noise (4, 64, 64) that decides the rest.

    In the share `lifted` of the scenes the winning cells are lifted by a random margin: the same rule, easier
    to learn.
    """
    rng = np.random.default_rng(seed)
    spec, noise = random_spec(rng, styled=STYLED), rng.standard_normal((4, 64, 64), dtype=np.float32)
    if rng.random() < lifted:
        for channel, row, col in winning_cells(spec, noise):
            area = np.s_[channel, 4 * max(0, row - 1) : 4 * (row + 2), 4 * max(0, col - 1) : 4 * (col + 2)]
            noise[area] += rng.random() * MARGIN / 12
    return spec, noise


def free_layout(i: int) -> Layout:
    """Layout number i of those that no caption asks for."""
    make = crowded_layout if i % 2 else random_layout
    return make(np.random.default_rng([21, i]), styled=STYLED, faded=FADED)


class Drawn(Dataset[dict[str, Any]]):
    """Scenes to encode, so many at a time: the free ones, every second crowded, then the captioned ones."""

    def __init__(self, n_random: int, n_captioned: int, batch: int) -> None:
        self._n_random, self._n, self._batch = n_random, n_random + n_captioned, batch

    def __len__(self) -> int:
        return -(-self._n // self._batch)

    def __getitem__(self, part: int) -> dict[str, Any]:
        """Pictures (B, 256, 256, 3), what is painted where (B, 16, 16), sides, and the styles."""
        numbers = range(part * self._batch, min(self._n, (part + 1) * self._batch))
        layouts = [
            free_layout(i) if i < self._n_random else caption_layout(*captioned(i - self._n_random))
            for i in numbers
        ]
        pictures = np.stack([scenes.draw(layout)[0] for layout in layouts])
        labels, below, opacity = (
            np.stack(maps) for maps in zip(*map(scenes.painted_patches, layouts), strict=True)
        )
        return {
            "pictures": torch.from_numpy(pictures),
            "labels": torch.from_numpy(labels).short(),
            "below": torch.from_numpy(below).short(),
            "opacity": torch.from_numpy(opacity).half(),
            "sides": torch.from_numpy(np.stack([sprite_sides(layout) for layout in layouts])).to(torch.int8),
            "styles": torch.tensor([layout.style for layout in layouts], dtype=torch.int8),
        }


def build_latents(
    out: Path,
    *,
    n_random: int,
    n_captioned: int,
    device: str = "cpu",
    batch: int = 32,
    workers: int | None = None,
) -> None:
    """Draw and encode scenes of free layouts and of captions into the folder `out/latents`.

    Args:
        out: Folder of the run.
        n_random: Scenes with anything anywhere, half of them crowded.
        n_captioned: Scenes as captions ask for them.
        device: Where they are encoded.
        batch: How many at a time.
        workers: How many processes draw; None = one for each core.
    """
    vae = load_vae(out)
    made_by = encoder_hash(vae)
    vae.to(device, memory_format=torch.channels_last)
    workers = os.cpu_count() or 1 if workers is None else workers
    drawn = Drawn(n_random, n_captioned, batch)
    parts = Ahead(drawn, device, workers)
    folder, temporary = out / "latents", out / "latents.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    files = []
    for i in tqdm(range(len(drawn)), desc="latents", mininterval=10):
        part = parts[i]
        pixels = part.pop("pictures").permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
            latents = vae.encoder(pixels.contiguous(memory_format=torch.channels_last))
        part["latents"] = latents.half()
        # To the disk at once: kept between pictures that are freed, 18,000 scenes took 20 GB of memory.
        files.append(temporary / f"{i}.npz")
        np.savez(files[-1], **{name: value.cpu().numpy() for name, value in part.items()})
    for name in part:
        np.save(temporary / f"{name}.npy", np.concatenate([np.load(file)[name] for file in files]))
    for file in files:
        file.unlink()
    np.save(temporary / "n_random.npy", np.array([n_random]))
    (temporary / VAE_HASH).write_text(made_by + "\n", "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def are_latents_current(out: Path) -> bool:
    """Whether a run's latents are there and made by its autoencoder as it is now.

    Folders without a hash were made before it was kept, and count as current.
    """
    folder = out / "latents"
    if not (folder / VAE_HASH).exists():
        return folder.exists()
    return (folder / VAE_HASH).read_text("utf-8").strip() == encoder_hash(load_vae(out))


def encoder_hash(vae: AutoencoderTiny) -> str:
    """SHA-256 of the weights of an autoencoder's encoder."""
    found = hashlib.sha256()
    for name, weight in sorted(vae.encoder.state_dict().items()):
        found.update(name.encode() + weight.contiguous().numpy().tobytes())
    return found.hexdigest()


def load_latents(folder: Path, device: str) -> dict[str, Any]:
    """What `build_latents` wrote; on a CPU mapped into memory: all processes that train share one copy.

    Returns:
        Tensors "latents" (n, 4, 64, 64), "labels", "below" and "opacity" (n, 16, 16), "sides" (n, 4, 16, 16),
        an array "styles" (n,), and "n_random", how many of the scenes are free layouts; they come first.
    """
    # Copy on write, since PyTorch knows no memory that only is read.
    arrays: dict[str, Any] = {f.stem: np.load(f, mmap_mode="c") for f in folder.glob("*.npy")}
    n_random, styles = int(arrays.pop("n_random")[0]), np.array(arrays.pop("styles"))
    tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    return {**tensors, "n_random": n_random, "styles": styles}
