"""One training loop for all stages: time-boxed, resumable, logged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import tqdm

from ember_widgets.embedded.muon import Muon, suits
from ember_widgets.util.files import replacing


def train(
    name: str,
    modules: dict[str, nn.Module],
    parameters: list[nn.Parameter],
    step: Callable[[int, float], dict[str, Tensor]],
    *,
    out: Path,
    minutes: float,
    lr: float = 2e-3,
    muon_lr: float = 0.02,
    embeddings: Collection[nn.Parameter] = (),
    warmup: int = 50,
    ema: float = 0.995,
    every_s: float = 120.0,
) -> dict[str, dict[str, Tensor]]:
    """Minimise `step` for `minutes` of training time, with a cosine schedule over that time.

    Matrices are trained by Muon; all else, and `embeddings`, by AdamW. Under `torchrun`, gradients are
    averaged over the processes and the first one writes.

    Args:
        name: The stage; checkpoint and log are `out/name.pt` and `out/name.jsonl`.
        modules: Where `parameters` belong; their trained part is averaged (EMA) and saved.
        parameters: What is trained.
        step: Takes (step number, progress in 0..1), returns losses; the one called "loss" is minimised.
        minutes: Training time in all; a resumed run goes on where the checkpoint stopped.
        lr: AdamW's peak learning rate.
        muon_lr: Muon's.
        embeddings: Matrices among `parameters` for AdamW.
        warmup: Steps of linear warm-up.
        ema: Decay of the running average of the weights.
        every_s: Seconds between checkpoints.

    Returns:
        The averaged states by module name.
    """
    kept = {id(p) for p in embeddings}
    matrices = [p for p in parameters if suits(p) and id(p) not in kept]
    taken = {id(p) for p in matrices}
    others = [p for p in parameters if id(p) not in taken]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr, betas=(0.9, 0.99), weight_decay=0.01)
    ]
    if matrices:
        optimizers.append(Muon(matrices, muon_lr))
    checkpoint, log = out / f"{name}.pt", out / f"{name}.jsonl"
    ours = {id(p) for p in parameters}
    trained = {k: {n: p for n, p in m.named_parameters() if id(p) in ours} for k, m in modules.items()}
    averages = {k: {n: p.detach().clone() for n, p in named.items()} for k, named in trained.items()}
    n, seconds = 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        n, seconds = saved["n"], saved["seconds"]
        # Only what this stage trains: an earlier stage may have gone on in the meantime.
        with torch.no_grad():
            for k, named in trained.items():
                for key, p in named.items():
                    p.copy_(saved["modules"][k][key])
                    averages[k][key].copy_(saved["averages"][k][key])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)

    def save() -> None:
        state: dict[str, Any] = {
            "n": n,
            "seconds": seconds,
            "averages": averages,
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        state["modules"] = {k: {n: p.detach() for n, p in named.items()} for k, named in trained.items()}
        with replacing(checkpoint) as temporary:
            torch.save(state, temporary)

    total, last_save = 60 * minutes, seconds
    sums: dict[str, float] = {}
    summed = 0
    hidden = not _is_first()
    with tqdm(
        total=round(total), initial=round(seconds), unit="s", desc=name, mininterval=10, disable=hidden
    ) as bar:
        while seconds < total:
            started = time.monotonic()
            progress = min(1.0, seconds / total)
            schedule = min(1.0, (n + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
            for optimizer, peak in zip(optimizers, (lr, muon_lr), strict=False):
                for group in optimizer.param_groups:
                    group["lr"] = peak * schedule
            losses = step(n, progress)
            for p in parameters:
                p.grad = None
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            if dist.is_initialized():
                seconds = _average(parameters, seconds)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for optimizer in optimizers:
                optimizer.step()
            decay = min(ema, (1 + n) / (10 + n))
            with torch.no_grad():
                for k, named in trained.items():
                    for key, p in named.items():
                        averages[k][key].lerp_(p, 1 - decay)
            n += 1
            for key, loss in losses.items():
                sums[key] = sums.get(key, 0.0) + float(loss.detach())
            summed += 1
            seconds += time.monotonic() - started
            if n % 100 == 0 and _is_first():
                means = {k: round(v / summed, 5) for k, v in sums.items()}
                sums, summed = {}, 0
                with log.open("a") as f:
                    f.write(json.dumps({"step": n, "minutes": round(seconds / 60, 2), **means}) + "\n")
                bar.set_postfix(means)
            bar.n = round(min(seconds, total))
            bar.update(0)
            if seconds - last_save > every_s and _is_first():
                last_save = seconds
                save()
    if _is_first():
        save()
    return averages


def _is_first() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0


def _average(parameters: list[nn.Parameter], seconds: float) -> float:
    """Average gradients over the processes, and the clock with them, so that all stop at the same step."""
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in grads), torch.tensor([seconds])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = torch.split(flat[:-1], [g.numel() for g in grads])
    for grad, part in zip(grads, parts, strict=True):
        grad.copy_(part.view(grad.shape))
    return float(flat[-1])
