"""One training loop for all stages: so many steps, resumable, logged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
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
    step: Callable[[int, np.random.Generator], dict[str, Tensor]],
    *,
    out: Path,
    steps: int,
    seed: int = 0,
    lr: float = 2e-3,
    muon_lr: float = 0.02,
    embeddings: Collection[nn.Parameter] = (),
    warmup: int = 50,
    ema: float = 0.995,
    every_s: float = 120.0,
) -> dict[str, dict[str, Tensor]]:
    """Minimise `step`; the learning rate falls over the last steps, see `schedule`.

    Matrices are trained by Muon; all else, and `embeddings`, by AdamW. Under `torchrun`, gradients are
    averaged over the processes and the first one writes. All randomness of a step comes from the seed, the
    process and the step's number, so that a run that was stopped ends as if it had not been.

    Args:
        name: The stage; checkpoint and log are `out/name.pt` and `out/name.jsonl`.
        modules: Where `parameters` belong; their trained part is averaged (EMA) and saved.
        parameters: What is trained.
        step: Takes (step number, source of randomness), returns losses; the one called "loss" is minimised.
            PyTorch's own randomness is seeded before each call.
        steps: How many in all; a resumed run goes on where the checkpoint stopped.
        seed: Of all randomness, the stage's own.
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
    trained = {k: named for k, named in trained.items() if named}
    averages = {k: {n: p.detach().clone() for n, p in named.items()} for k, named in trained.items()}
    n, seconds = 0, 0.0
    first = rank() == 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
        n, seconds = saved["n"], saved["seconds"]
        # Only what this stage trains: an earlier stage may have gone on in the meantime.
        with torch.no_grad():
            for k, named in trained.items():
                for key, p in named.items():
                    p.copy_(saved["modules"][k][key])
                    averages[k][key].copy_(saved["averages"][k][key])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        if first and log.exists():  # steps after the checkpoint come again
            kept_lines = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= n]
            log.write_text("".join(line + "\n" for line in kept_lines))

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

    begun_at, last_save = n, seconds
    seen: dict[str, list[Tensor]] = {}  # since the last line of the log; not all steps have all losses
    with tqdm(total=steps, initial=n, unit="step", desc=name, mininterval=10, disable=not first) as bar:
        while n < steps:
            started = time.monotonic()
            share = schedule(n, steps, warmup)
            for optimizer, peak in zip(optimizers, (lr, muon_lr), strict=False):
                for group in optimizer.param_groups:
                    group["lr"] = peak * share
            rng = np.random.default_rng([seed, rank(), n])
            torch.manual_seed(int(rng.integers(1 << 62)))
            losses = step(n, rng)
            for p in parameters:
                p.grad = None
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            if dist.is_initialized():
                _average(parameters)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for optimizer in optimizers:
                optimizer.step()
            decay = min(ema, (1 + n) / (10 + n))
            with torch.no_grad():
                for k, named in trained.items():
                    torch._foreach_lerp_(list(averages[k].values()), list(named.values()), 1 - decay)
            n += 1
            for key, loss in losses.items():  # tensors: a number would wait for the device
                seen.setdefault(key, []).append(loss.detach())
            seconds += time.monotonic() - started
            if n % 100 == 0 and first:
                means = {k: round(float(torch.stack(v).mean()), 5) for k, v in seen.items()}
                seen = {}
                with log.open("a") as f:
                    f.write(json.dumps({"step": n, "minutes": round(seconds / 60, 3), **means}) + "\n")
                bar.set_postfix(means)
            bar.update()
            if seconds - last_save > every_s and first:
                last_save = seconds
                save()
    if first and n > begun_at:
        save()
    return averages


def rank() -> int:
    """The number of this process among those that train together."""
    return dist.get_rank() if dist.is_initialized() else 0


def schedule(n: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at step n: a linear rise, all of it, in the last 40 % down to 2 %."""
    fallen = max(0.0, (n / steps - 0.6) / 0.4)
    return min(1.0, (n + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fallen)))


def _average(parameters: list[nn.Parameter]) -> None:
    """Average gradients over the processes."""
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = torch.split(flat, [g.numel() for g in grads])
    for grad, part in zip(grads, parts, strict=True):
        grad.copy_(part.view(grad.shape))
