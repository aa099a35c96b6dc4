"""The stages that train the UNet: "composer", "settle", "sides", "trunk", "upper", "renderer".

The *composer* (down blocks, text encoders) turns noise and caption into codes at the site; its loss lives at
16×16 and is cheap. At the end its last block, the site, is trained to settle on one code in each patch. The
*renderer* (mid and up blocks) turns codes into latents; it is trained on the true codes of scenes, whose
objects fill shapes as a person paints them. It is built from below: first it learns where in a shape sprites
stand (`sides.py`); then its *trunk*, the 16×16 level, what they look like; on the frozen trunk the *upper*
levels; then all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ember_widgets.embedded import architecture, vocabulary
from ember_widgets.embedded.ahead import Ahead
from ember_widgets.embedded.batches import Batches, CaptionBatches, later_timestep
from ember_widgets.embedded.latents import load_latents
from ember_widgets.embedded.model import Model, load_trained
from ember_widgets.embedded.nearest_layout import Places, nearest_labels, patch_weights, squared_distances
from ember_widgets.embedded.sides import AFTER_LAYER, Reader, Shapes
from ember_widgets.embedded.training_loop import rank, train
from ember_widgets.model.sdxl.staged_unet import UNetState

MAX_SCALE = 1.5
UPSAMPLER = "up_blocks.0.upsamplers.0"  # where the 16×16 level ends
SETTLE = 3.0  # weight of a patch's distance from the nearest code, when patches settle
HELD = 0.3  # weight of how far what bypasses the site moves meanwhile
OWN_PICTURE = 0.75  # share of the later steps that see the first step's picture instead of the true one
SIDES_WEIGHT = 0.1  # of the loss of `sides.py`, beside that of the latents


def latent_loss(x0: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 with a knee at 0.1."""
    error = x0 - target
    return (((error * error + 0.01).sqrt() - 0.1) * weight).mean()


def code_loss(update: Tensor, places: Places, codes: Tensor) -> tuple[Tensor, Tensor]:
    """How far updates (B, D, 16, 16) are from their nearest layouts' codes: cross-entropy and MSE.

    Args:
        update: What the site adds.
        places: Where each thing may stand; the place counts that the update is nearest to.
        codes: Of all labels, (n_labels, D).
    """
    distances2 = squared_distances(update, codes)
    labels, weights = nearest_labels(distances2.detach(), places)[:, None], patch_weights(places)
    ce = -(-5 * distances2).log_softmax(1).gather(1, labels)[:, 0]
    return (weights * ce).sum((1, 2)).mean(), distances2.gather(1, labels).mean()


def settle_loss(update: Tensor, places: Places, codes: Tensor) -> tuple[Tensor, Tensor]:
    """How far updates are from their layouts' codes, and `SETTLE` times how far from whichever code is near.

    `code_loss` is least where a patch of which the network is not sure holds a mixture of codes, and a
    mixture is drawn as a ghost. With the second part each patch takes the likelier one. Blank paper's code is
    left out of it, since every weak mixture is near that.

    Args:
        update, places, codes: As in `code_loss`.
    """
    distances2 = squared_distances(update, codes)
    labels, weights = nearest_labels(distances2.detach(), places)[:, None], patch_weights(places)
    own = (weights * distances2.gather(1, labels)[:, 0]).sum((1, 2))
    return own.mean(), SETTLE * distances2[:, vocabulary.PAPER + 1 :].amin(1).mean()


def excess_scale(state: UNetState) -> Tensor:
    """How far the values that bypass the codes are above `MAX_SCALE` root mean square, in e-folds.

    Normalisation hides the stream's own scale from the composer; left alone it grows until the codes, and
    with them all painting, are a few per cent of what the renderer gets.
    """
    levels = [t.float().pow(2).mean().sqrt() for t in (state.hidden_in, *state.skips)]
    return torch.stack([F.relu((level / MAX_SCALE).log()) for level in levels]).sum()


def train_composer(
    out: Path, steps: int, *, device: str = "cpu", batch: int = 16, later: float = 0.25
) -> None:
    """Noise and caption to codes, and a noisy picture and caption to codes (`CaptionBatches`).

    The codes leave the style open, so a linear head makes sure that the embedding of all blocks holds it.
    """
    model = Model(out, device)
    head = nn.Linear(model.unet.time_embedding.linear_2.out_features, len(vocabulary.STYLES) + 1).to(device)
    composed = _composed(model, out, steps, batch, later)
    codes = architecture.site_codes().to(device)

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        state, item, places = composed(n)
        ce, mse = code_loss(state.hidden_out.float() - state.hidden_in.float(), places, codes)
        style = F.cross_entropy(head(state.emb.float()), item["styles"] + 1)
        size = excess_scale(state)
        losses = {"loss": ce + mse + 0.1 * style + 0.2 * size, "style": style, "size": size}
        return losses | ({"ce": ce} if item["t"] == 999 else {"ce_later": ce})

    train(
        "composer",
        {**model.parts(), "head": head},
        [*model.only("composer"), *head.parameters()],
        step,
        out=out,
        steps=steps,
        seed=1,
        embeddings=[*model.embeddings(), *head.parameters()],
    )


def train_settle(out: Path, steps: int, *, device: str = "cpu", batch: int = 16, later: float = 0.1) -> None:
    """The composer's 16×16 level: each patch settles on one code (`settle_loss`).

    All that bypasses the site stays nearly as it was, so a renderer that was trained before still fits.
    """
    model, before = Model(out, device), Model(out, device)
    for each in (model, before):
        load_trained(each, out, until="settle")
    composed = _composed(model, out, steps, batch, later, lifted=0)
    codes = architecture.site_codes().to(device)

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        state, item, places = composed(n)
        with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
            was = before.prefix(item["x"], item["t"], item["tokens"])
        update = state.hidden_out.float() - state.hidden_in.float()
        distance, nearest = settle_loss(update, places, codes)
        moved = bypass_change(state, was)
        losses = {"loss": distance + nearest + HELD * moved, "nearest": nearest, "moved": moved}
        return losses | ({"distance": distance} if item["t"] == 999 else {"distance_later": distance})

    parameters = model.only("settle")
    train("settle", model.parts(), parameters, step, out=out, steps=steps, seed=6, lr=8e-4, muon_lr=8e-3)


def bypass_change(now: UNetState, before: UNetState) -> Tensor:
    """How far the site's input and the skips have moved: sum of squared distances over mean squares."""
    pairs = ((now.hidden_in, before.hidden_in), *zip(now.skips, before.skips, strict=True))
    moved = [(a.float() - b.float()).pow(2).mean() / b.float().pow(2).mean() for a, b in pairs]
    return torch.stack(moved).sum()


def _composed(
    model: Model, out: Path, steps: int, batch: int, later: float, lifted: float = 0.75
) -> Callable[[int], tuple[UNetState, dict[str, Any], Places]]:
    """What the composer makes of the captions of step n, and what they ask for (`CaptionBatches`)."""
    device = model.device_name
    encoded = load_latents(out / "latents", device)
    first = encoded["n_random"]
    items = Ahead(
        CaptionBatches(
            model.tokenizer, steps, batch, (first, len(encoded["latents"]) - first), later, lifted, rank()
        ),
        device,
    )

    def composed(n: int) -> tuple[UNetState, dict[str, Any], Places]:
        item = items[n]
        t, noise = item["t"], item["noise"]
        if t == 999:
            x = model.noisy(None, noise, t)
        else:
            x = model.noisy(encoded["latents"][item["scenes"]].float(), torch.randn_like(noise), t)
        with torch.autocast(device, dtype=torch.bfloat16):
            state = model.prefix(x, t, item["tokens"])
        item["x"] = x
        return state, item, Places(*(item[part] for part in Places._fields))

    return composed


def train_sides(out: Path, steps: int, *, device: str = "cpu", batch: int = 16) -> None:
    """The first layers of the renderer: where in new painted shapes the sprites stand."""
    model = Model(out, device)
    load_trained(model, out)
    batches = Batches(model, out / "latents", batch, 4)
    reader = Reader(model.unet).to(device)
    items = Ahead(Shapes(steps, batch, rank()), device)

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        state, _ = batches.context(n, rng)
        item = items[n]
        codes = batches.perturbed(item["labels"], item["below"], item["opacity"])
        with torch.autocast(device, dtype=torch.bfloat16):
            hidden_out = state.hidden_in + codes.to(state.hidden_in.dtype)
            model.staged.suffix(state, hidden_out, until=AFTER_LAYER)
            loss, right = reader(item["sides"])
        return {"loss": loss, "right": right}

    parameters = [*model.only("sides"), *reader.parameters()]
    train(
        "sides",
        {**model.parts(), "reader": reader},
        parameters,
        step,
        out=out,
        steps=steps,
        seed=5,
        embeddings=list(reader.parameters()),
    )


def train_trunk(
    out: Path, steps: int, *, device: str = "cpu", batch: int = 24, compile: bool = False
) -> None:
    """The renderer's 16×16 level alone, with a linear head that predicts each patch's 4×4 latents.

    What a label looks like in which part of its blob is most of what the renderer has to learn; here it
    learns it without the cost of the larger levels.
    """
    model = Model(out, device)
    load_trained(model, out)
    batches = Batches(model, out / "latents", batch, 4)
    head = nn.Conv2d(architecture.D_MODEL, 4 * 4 * 4, 3, padding=1).to(device)
    reader = Reader(model.unet, out).to(device)

    def forward(skips: tuple[Tensor, ...], hidden_out: Tensor, emb: Tensor, text: Tensor) -> Tensor:
        state = UNetState(hidden_out, hidden_out, skips, emb, text)
        return F.pixel_shuffle(head(model.staged.suffix(state, hidden_out, until=UPSAMPLER)), 4)

    run = torch.compile(forward) if compile else forward

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        state, styles = batches.context(n, rng)
        latents, codes, weight, sides = batches.painted(styles, rng)
        with torch.autocast(device, dtype=torch.bfloat16):
            hidden_out = state.hidden_in + codes.to(state.hidden_in.dtype)
            x0 = run(state.skips, hidden_out, state.emb, state.encoder_hidden_states)
            off, right = reader(sides)
        error = latent_loss(x0.float(), latents, weight)
        return {"loss": error + SIDES_WEIGHT * off, "latents": error, "right": right}

    heads = [*head.parameters(), *reader.parameters()]
    parameters = [*model.only("trunk"), *heads]
    train(
        "trunk",
        {**model.parts(), "head": head, "reader": reader},
        parameters,
        step,
        out=out,
        steps=steps,
        seed=4,
        embeddings=heads,
    )


def train_upper(
    out: Path, steps: int, *, device: str = "cpu", batch: int = 16, compile: bool = False
) -> None:
    """The renderer's 32×32 and 64×64 levels, on the frozen trunk."""
    model = Model(out, device, compile=compile)
    load_trained(model, out)
    batches = Batches(model, out / "latents", batch, 2)
    parameters = model.only("upper")

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        state, styles = batches.context(n, rng)
        latents, codes, weight, _ = batches.painted(styles, rng)
        with torch.autocast(device, dtype=torch.bfloat16):
            x0 = model.suffix(state, codes)
        return {"loss": latent_loss(x0.float(), latents, weight)}

    train("upper", model.parts(), parameters, step, out=out, steps=steps, seed=2)


def train_renderer(
    out: Path,
    steps: int,
    *,
    device: str = "cpu",
    batch: int = 16,
    later: float = 0.5,
    compile: bool = False,
) -> None:
    """All of the renderer; a share `later` of the steps at the timesteps of the second to fourth step.

    Most of these see the renderer's own first picture instead of the true one, so that later steps learn to
    clean up what the first one really gives.
    """
    model = Model(out, device, compile=compile)
    load_trained(model, out)
    batches = Batches(model, out / "latents", batch, 3)
    reader = Reader(model.unet, out).to(device)
    parameters = [*model.only("renderer"), *reader.parameters()]

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        state, styles = batches.context(n, rng)
        latents, codes, weight, sides = batches.painted(styles, rng)
        is_later = rng.random() < later
        if is_later:
            t = later_timestep(rng)
            with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
                seen = model.suffix(state, codes).float() if rng.random() < OWN_PICTURE else latents
                x = model.noisy(seen, torch.randn_like(latents), t)
                state = model.prefix(x, t, batches.tokens_of(styles, rng))
        with torch.autocast(device, dtype=torch.bfloat16):
            x0 = model.suffix(state, codes)
            off, right = reader(sides)
        error = latent_loss(x0.float(), latents, weight)
        losses = {"loss": error + SIDES_WEIGHT * off, "right": right}
        return losses | ({"latents_later": error} if is_later else {"latents": error})

    train(
        "renderer",
        {**model.parts(), "reader": reader},
        parameters,
        step,
        out=out,
        steps=steps,
        seed=3,
        lr=1e-3,
        muon_lr=0.01,
        embeddings=list(reader.parameters()),
    )
