"""Collect what an SAE is trained on: a site's activations over many prompts and seeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl.sampler import Sampler


def collect(
    pipeline: Any, site: str, runs: Iterable[tuple[str, int]], *, target: str = "update"
) -> tuple[Tensor, Tensor]:
    """Run the first denoising step of each (prompt, seed) up to the site.

    Args:
        pipeline: A `StableDiffusionXLPipeline`.
        site: Attention block, see `StagedUNet`.
        runs: (prompt, seed) pairs.
        target: "update" (output − input) or "output".

    Returns:
        Activations (n_runs, n_patches, d_model) float32 on the CPU, and the noise that each run started from,
        (n_runs, 4, height, width).
    """
    sampler, activations, noise = Sampler(pipeline, site), [], []
    for prompt, seed in tqdm(list(runs), desc="activations", mininterval=10):
        start = sampler.start(Run(prompt, seed, 1))
        vectors = start.first.hidden_out.float()
        if target == "update":
            vectors = vectors - start.first.hidden_in.float()
        activations.append(vectors[0].flatten(1).T.cpu())
        noise.append((start.latents[0] / start.scheduler.init_noise_sigma).float().cpu())
    return torch.stack(activations), torch.stack(noise)
