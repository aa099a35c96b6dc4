"""Stage "vae": the tiny autoencoder, trained on random crops of drawn scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch.utils.data import Dataset
from tqdm import tqdm

from ember_widgets.embedded import scenes
from ember_widgets.embedded.ahead import Ahead
from ember_widgets.embedded.architecture import build_vae
from ember_widgets.embedded.model import take_over, weights_in
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.training_loop import train

CROP = 128


class Pictures(Dataset[dict[str, Any]]):
    """Random scenes by their number, each as the key "picture", uint8 (256, 256, 3)."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> dict[str, Any]:
        rng = np.random.default_rng([11, i])
        return {"picture": torch.from_numpy(scenes.draw(random_layout(rng, styled=0.35))[0])}


def train_vae(out: Path, steps: int, *, device: str = "cpu", n_scenes: int = 1500, batch: int = 16) -> None:
    """Minimise L1 + 2·L2 of the pixels; latents centred with unit variance, the decoder robust to noise.

    Halved latents must decode to the halved picture. This keeps information out of the finest detail of the
    latents, which is hardest for the UNet (scale equivariance, Skorokhodov et al. 2025, arXiv:2502.14831).
    """
    torch.manual_seed(0)
    items = Ahead(Pictures(n_scenes), device)
    drawn = torch.stack([items[i]["picture"] for i in tqdm(range(n_scenes), desc="scenes")])
    pictures = drawn.permute(0, 3, 1, 2)
    vae = build_vae().to(device, memory_format=torch.channels_last)

    def step(n: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        y, x = (int(v) for v in rng.integers(0, scenes.SIZE - CROP + 1, 2))
        chosen = torch.from_numpy(rng.integers(len(pictures), size=batch)).to(device)
        crops = pictures[chosen, :, y : y + CROP, x : x + CROP].float() / 127.5 - 1
        pixels = crops.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, dtype=torch.bfloat16):
            latents = vae.encoder(pixels).float()
            decoded = vae.decoder(latents + 0.05 * torch.randn_like(latents)).float()
            small = vae.decoder(F.avg_pool2d(latents, 2)).float()
        error = decoded - pixels
        coarse = (small - F.avg_pool2d(pixels, 2)).abs().mean()
        spread = latents.mean((0, 2, 3)).pow(2) + (latents.var((0, 2, 3)) - 1).pow(2)
        loss = error.abs().mean() + 2 * error.pow(2).mean() + 0.02 * spread.mean() + 0.25 * coarse
        return {"loss": loss, "l1": error.abs().mean(), "mse": error.pow(2).mean()}

    train("vae", {"vae": vae}, list(vae.parameters()), step, out=out, steps=steps, seed=12)


def load_vae(out: Path) -> AutoencoderTiny:
    """The trained autoencoder of a run, averaged weights, or the one that it starts from; for inference."""
    vae = build_vae()
    if (out / "vae.pt").exists():
        saved = torch.load(out / "vae.pt", weights_only=True, map_location="cpu")
        vae.load_state_dict(saved["averages"]["vae"])
    else:
        take_over(vae, weights_in(out / "start" / "vae"), "vae")
    return vae.eval().requires_grad_(False)
