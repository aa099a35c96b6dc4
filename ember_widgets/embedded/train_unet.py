"""Stages "composer", "trunk" and "renderer": the halves of the UNet on either side of the steering site.

The *composer* (down blocks, text encoders) turns noise and caption into codes at the site; its loss lives at
16×16 and is cheap. The *renderer* (mid and up blocks) turns codes into latents; it is trained on the true
codes of scenes, whose objects are loosened to the shapes a person paints. Its *trunk* is its 16×16 level,
which is trained alone first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from ember_widgets.embedded import architecture, scenes
from ember_widgets.embedded.loop import train
from ember_widgets.embedded.pool import captioned, loosened
from ember_widgets.staged_unet import SiteState, StagedUNet

SITE = "down_blocks.2.attentions.1"
RENDERER_PARTS = ("mid_block.", "up_blocks.", "conv_norm_out.", "conv_out.")
PARTS = {
    "composer": ("conv_in.", "time_embedding.", "add_embedding.", "down_blocks."),
    "trunk": ("mid_block.", "up_blocks.0."),
    "renderer": RENDERER_PARTS,
}
LATER_STEPS = (749, 499, 249)


class Model(nn.Module):
    """UNet and text encoders with what training needs around them."""

    def __init__(self, out: Path, device: str, *, compile: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokenizer = architecture.build_tokenizer(out / "tokenizer")
        self.unet = architecture.build_unet()
        architecture.open_noise_path(self.unet)
        self.text_encoder, self.text_encoder_2 = architecture.build_text_encoders(self.tokenizer)
        self.unet.set_attn_processor(AttnProcessor())  # the backward pass of SDPA is slow on a CPU
        self.to(device)
        self.unet.to(memory_format=torch.channels_last)
        self.staged = StagedUNet(self.unet, SITE)
        self._suffix = torch.compile(self._run_suffix) if compile else self._run_suffix
        self.device_name = device
        alphas = architecture.build_scheduler().alphas_cumprod.float()
        self.alphas: Tensor = alphas.to(device)
        self.codes = architecture.site_codes().to(device)

    def tokens(self, captions: list[str]) -> Tensor:
        batch = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        ids: Tensor = batch.input_ids.to(self.device_name)
        return ids

    def noisy(self, x0: Tensor | None, noise: Tensor, t: int) -> Tensor:
        """The UNet's input at timestep t; at 999 the scheduler passes nothing but noise."""
        a, s = self.alphas[t].sqrt(), (1 - self.alphas[t]).sqrt()
        x = s * noise if x0 is None else a * x0 + s * noise
        return x.contiguous(memory_format=torch.channels_last)

    def clean(self, v: Tensor, x: Tensor, t: int) -> Tensor:
        """The latents that a v-prediction stands for."""
        return self.alphas[t].sqrt() * x - (1 - self.alphas[t]).sqrt() * v

    def prefix(self, x: Tensor, t: int, tokens: Tensor) -> SiteState:
        first = self.text_encoder(tokens, output_hidden_states=True).hidden_states[-2]
        second = self.text_encoder_2(tokens, output_hidden_states=True)
        text = torch.cat([first, second.hidden_states[-2]], -1)
        size = float(scenes.SIZE)
        time_ids = torch.tensor([size, size, 0, 0, size, size], device=x.device).repeat(len(x), 1)
        added = {"text_embeds": second.text_embeds, "time_ids": time_ids}
        return self.staged.prefix(x, torch.tensor(t, device=x.device), text, added)

    def suffix(self, state: SiteState, update: Tensor) -> Tensor:
        """The prediction when `update` is what the site adds to its input."""
        hidden_out = state.hidden_in + update.to(state.hidden_in.dtype)
        prediction: Tensor = self._suffix(state.skips, hidden_out, state.emb, state.encoder_hidden_states)
        return prediction

    def _run_suffix(self, skips: tuple[Tensor, ...], hidden_out: Tensor, emb: Tensor, text: Tensor) -> Tensor:
        return self.staged.suffix(SiteState(hidden_out, hidden_out, skips, emb, text), hidden_out)

    def split(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters of the composer and of the renderer."""
        named = list(self.unet.named_parameters())
        composer = [p for n, p in named if not n.startswith(RENDERER_PARTS)]
        composer += [*self.text_encoder.parameters(), *self.text_encoder_2.parameters()]
        return composer, [p for n, p in named if n.startswith(RENDERER_PARTS)]

    def parts(self) -> dict[str, nn.Module]:
        return {"unet": self.unet, "text_encoder": self.text_encoder, "text_encoder_2": self.text_encoder_2}


class Batches:
    """Draws training batches from the pool and from captioned layouts."""

    def __init__(self, model: Model, pool: Path | None, batch: int, seed: int) -> None:
        self.model, self.batch = model, batch
        rank = dist.get_rank() if dist.is_initialized() else 0
        self.rng = np.random.default_rng(seed + 1000 * rank)
        torch.manual_seed(seed + 1000 * rank)
        self.pool: dict[str, Any] = {} if pool is None else dict(np.load(pool))

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.model.device_name)

    def captioned(self, seeds: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Noise, patch labels and tokens."""
        items = [captioned(int(s)) for s in seeds]
        noise = self._tensor(np.stack([n for _, n, _ in items]))
        labels = self._tensor(np.stack([scenes.label_patches(layout) for _, _, layout in items]))
        return noise, labels, self.model.tokens([spec.words for spec, _, _ in items])

    def fresh(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.captioned(self.rng.integers(1 << 30, 1 << 40, self.batch))

    def from_pool(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Captioned scenes whose pictures are known: latents, noise, labels, tokens."""
        n_free = int(self.pool["n_free"])
        seeds = self.rng.integers(0, len(self.pool["latents"]) - n_free, self.batch)
        return self._tensor(self.pool["latents"][n_free + seeds]).float(), *self.captioned(seeds)

    def painted(self, share_free: float = 0.75) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, codes at the site as painting would put them there, and weights of the loss per patch."""
        n_free, n = int(self.pool["n_free"]), len(self.pool["latents"])
        chosen = np.where(
            self.rng.random(self.batch) < share_free,
            self.rng.integers(0, n_free, self.batch),
            self.rng.integers(n_free, n, self.batch),
        )
        labels = self._tensor(
            np.stack(
                [
                    loosened(self.pool["backgrounds"][i], self.pool["things"][i].astype(int), self.rng)
                    for i in chosen
                ]
            )
        )
        codes = self.model.codes[labels].permute(0, 3, 1, 2)
        return (
            self._tensor(self.pool["latents"][chosen]).float(),
            self.roughened(codes),
            object_weight(labels),
        )

    def roughened(self, codes: Tensor) -> Tensor:
        """Codes as SAE and NMF give them back: other strengths, noise, edges that bleed."""
        b = len(codes)

        def rand(low: float, high: float, *shape: int) -> Tensor:
            return torch.empty(b, 1, *shape, device=codes.device).uniform_(low, high)

        soft = F.avg_pool2d(codes, 3, 1, 1, count_include_pad=False)
        mix = rand(0, 0.45, 1, 1) * (rand(0, 1, 1, 1) < 0.3)
        codes = codes + mix * (soft - codes)
        codes = codes * rand(0.75, 1.4, 1, 1) * rand(0.85, 1.15, scenes.GRID, scenes.GRID)
        return codes + 0.3 * rand(0, 1, 1, 1) * torch.randn_like(codes)


def object_weight(labels: Tensor, weight: float = 3.0) -> Tensor:
    """Loss weight per latent pixel: objects and rims count more; (B, 16, 16) -> (B, 1, 64, 64)."""
    near = F.max_pool2d((labels[:, None] >= scenes.FIRST_OBJECT).float(), 3, 1, 1)
    w = (1 + weight * near).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return w / w.mean()


def latent_loss(x0: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 with a knee at 0.1."""
    error = x0 - target
    return (((error * error + 0.01).sqrt() - 0.1) * weight).mean()


def code_loss(update: Tensor, labels: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """How far updates (B, D, 16, 16) are from their labels' codes: cross-entropy and MSE."""
    update = update.float()
    sigma2 = float(codes[1].pow(2).sum()) / 10
    logits = (
        torch.einsum("bdrc,kd->bkrc", update, codes) / sigma2
        - (codes.pow(2).sum(1) / (2 * sigma2))[:, None, None]
    )
    weight = torch.ones(len(codes), device=codes.device)
    weight[scenes.FIRST_OBJECT :] = 3.0
    mse = (update - codes[labels].permute(0, 3, 1, 2)).pow(2).mean() / codes[1].pow(2).mean()
    return F.cross_entropy(logits, labels, weight=weight), mse


def train_composer(out: Path, minutes: float, *, device: str = "cpu", batch: int = 16) -> None:
    model = Model(out, device)
    batches = Batches(model, None, batch, 1)

    def step(n: int, progress: float) -> dict[str, Tensor]:
        noise, labels, tokens = batches.fresh()
        with torch.autocast(device, dtype=torch.bfloat16):
            state = model.prefix(model.noisy(None, noise, 999), 999, tokens)
        ce, mse = code_loss(state.hidden_out.float() - state.hidden_in.float(), labels, model.codes)
        return {"loss": ce + mse, "ce": ce, "mse": mse}

    train("composer", model.parts(), model.split()[0], step, out=out, minutes=minutes, lr=1.2e-3)


def load_trained(model: Model, out: Path) -> None:
    """Take over what the stages so far have trained; where two trained the same part, the later one."""
    for file in sorted(out.glob("*.pt"), key=lambda f: f.stat().st_mtime):
        if file.stem in PARTS:
            averages = torch.load(file, weights_only=True)["averages"]
            unet = {k: v for k, v in averages["unet"].items() if k.startswith(PARTS[file.stem])}
            model.unet.load_state_dict(unet, strict=False)
            if file.stem == "composer":
                model.text_encoder.load_state_dict(averages["text_encoder"])
                model.text_encoder_2.load_state_dict(averages["text_encoder_2"])


def train_trunk(out: Path, minutes: float, *, device: str = "cpu", batch: int = 24) -> None:
    """The renderer's 16×16 level alone, with a linear head that says each patch's 4×4 latents.

    What a label looks like in which part of its blob is most of what the renderer has to learn; here it
    learns it without the cost of the larger levels.
    """
    model = Model(out, device)
    load_trained(model, out)
    batches = Batches(model, out / "pool.npz", batch, 4)
    head = nn.Conv2d(architecture.D_MODEL, 4 * 4 * 4, 3, padding=1).to(device)
    trunk = [p for n, p in model.unet.named_parameters() if n.startswith(PARTS["trunk"])]
    contexts: list[SiteState] = []

    def step(n: int, progress: float) -> dict[str, Tensor]:
        if n % 20 == 0 or not contexts:  # noise and text only have to be ignored: few of them do
            noise = torch.randn(batch, 4, 64, 64, device=device)
            tokens = model.tokens([scenes.random_spec(batches.rng).words for _ in range(batch)])
            with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
                contexts.append(model.prefix(model.noisy(None, noise, 999), 999, tokens))
        state = contexts[int(batches.rng.integers(len(contexts)))]
        latents, codes, weight = batches.painted()
        with torch.autocast(device, dtype=torch.bfloat16):
            hidden_out = state.hidden_in + codes.to(state.hidden_in.dtype)
            features = model.staged.suffix(state, hidden_out, until="up_blocks.0.upsamplers.0")
            x0 = F.pixel_shuffle(head(features), 4)
        return {"loss": latent_loss(x0.float(), latents, weight)}

    train(
        "trunk",
        {**model.parts(), "head": head},
        [*trunk, *head.parameters()],
        step,
        out=out,
        minutes=minutes,
        lr=1.5e-3,
    )


def train_renderer(
    out: Path, minutes: float, *, device: str = "cpu", batch: int = 16, compile: bool = False
) -> None:
    model = Model(out, device, compile=compile)
    load_trained(model, out)
    batches = Batches(model, out / "pool.npz", batch, 2)
    composer, renderer = model.split()
    for p in composer:
        p.requires_grad_(False)

    def step(n: int, progress: float) -> dict[str, Tensor]:
        latents, codes, weight = batches.painted()
        tokens = model.tokens([scenes.random_spec(batches.rng).words for _ in range(len(latents))])
        t = 999 if batches.rng.random() < 0.9 else int(batches.rng.choice(LATER_STEPS))
        x = model.noisy(None if t == 999 else latents, torch.randn_like(latents), t)
        with torch.autocast(device, dtype=torch.bfloat16):
            with torch.no_grad():
                state = model.prefix(x, t, tokens)
            v = model.suffix(state, codes)
        loss = latent_loss(model.clean(v.float(), x, t), latents, weight)
        return {"loss": loss}

    train("renderer", model.parts(), renderer, step, out=out, minutes=minutes, lr=1.2e-3)
