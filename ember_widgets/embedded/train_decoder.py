"""Stage "decoder": the VAE's decoder learns to draw sharply from what the UNet predicts.

A one-step regression is soft where it is unsure; the decoder, which knows the world's few sprites and edges,
is trained on the UNet's own predictions (and on true latents, which it must go on decoding).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ember_widgets.embedded import scenes
from ember_widgets.embedded.loop import train
from ember_widgets.embedded.pool import captioned, loosened, pack
from ember_widgets.embedded.train_unet import Batches, Model
from ember_widgets.embedded.train_vae import load_vae

CROP = 32  # latents


def predictions(out: Path, n: int, device: str, batch: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """One-step predictions for scenes, half painted with true codes and half captioned.

    Returns:
        Predicted latents and true latents (n, 4, 64, 64) float16, pictures (n, 3, 256, 256) uint8.
    """
    model = Model(out, device)
    averages = torch.load(out / "joint.pt", weights_only=True)["averages"]
    for name, module in model.parts().items():
        module.load_state_dict(averages[name])
    vae = load_vae(out).to(device)
    batches = Batches(model, None, batch, 6)
    rng, predicted, true, pictures = batches.rng, [], [], []
    for i in tqdm(range(0, n, batch), desc="predictions", mininterval=10):
        update: Tensor | None = None
        if (i // batch) % 2:
            items = [captioned(int(seed)) for seed in rng.integers(1 << 40, 1 << 41, batch)]
            layouts, noise = [layout for _, _, layout in items], np.stack([noise for _, noise, _ in items])
            words = [spec.words for spec, _, _ in items]
        else:
            layouts = [scenes.free_layout(rng) for _ in range(batch)]
            labels = np.stack([loosened(x.background, pack(x.things), rng) for x in layouts])
            noise = rng.standard_normal((batch, 4, 64, 64), dtype=np.float32)
            words = [scenes.random_spec(rng).words for _ in range(batch)]
            update = batches.roughened(model.codes[torch.from_numpy(labels).to(device)].permute(0, 3, 1, 2))
        images = torch.from_numpy(np.stack([scenes.draw(layout)[0] for layout in layouts])).permute(
            0, 3, 1, 2
        )
        with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
            x = model.noisy(None, torch.from_numpy(noise).to(device), 999)
            state = model.prefix(x, 999, model.tokens(words))
            v = model.suffix(state, state.hidden_out - state.hidden_in if update is None else update)
            encoded = vae.encoder(images.to(device).float() / 127.5 - 1)
        predicted.append(model.clean(v.float(), x, 999).half().cpu())
        true.append(encoded.half().cpu())
        pictures.append(images)
    return torch.cat(predicted), torch.cat(true), torch.cat(pictures)


def train_decoder(
    out: Path, minutes: float, *, device: str = "cpu", n_scenes: int = 1600, batch: int = 16
) -> None:
    """Minimise L1 of the pixels and of their differences to the neighbours, on random crops."""
    predicted, true, pictures = predictions(out, n_scenes, device)
    vae = load_vae(out).to(device, memory_format=torch.channels_last)
    decoder = vae.decoder.train().requires_grad_(True)
    rng = np.random.default_rng(7)
    scale = pictures.shape[-1] // predicted.shape[-1]

    def step(n: int, progress: float) -> dict[str, Tensor]:
        y, x = (int(v) for v in rng.integers(0, 64 - CROP + 1, 2))
        chosen = torch.from_numpy(rng.integers(len(pictures), size=batch))
        source = true if rng.random() < 0.15 else predicted
        latents = source[chosen, :, y : y + CROP, x : x + CROP].to(device).float()
        area = np.s_[scale * y : scale * (y + CROP)], np.s_[scale * x : scale * (x + CROP)]
        pixels = pictures[chosen][:, :, area[0], area[1]].to(device).float() / 127.5 - 1
        with torch.autocast(device, dtype=torch.bfloat16):
            decoded = decoder(latents.contiguous(memory_format=torch.channels_last)).float()
        l1 = F.l1_loss(decoded, pixels)
        edges = F.l1_loss(decoded.diff(dim=2), pixels.diff(dim=2)) + F.l1_loss(
            decoded.diff(dim=3), pixels.diff(dim=3)
        )
        return {"loss": l1 + edges, "l1": l1, "edges": edges}

    train("decoder", {"vae": vae}, list(decoder.parameters()), step, out=out, minutes=minutes, lr=1.5e-3)
