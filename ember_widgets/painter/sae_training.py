"""Training SAEs on a painter's own model: which sites, which pictures, and what completes an SAE."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from torch import Tensor

from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.scene import site_names
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import Quality, completed
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.run import CHECKPOINT_S, Part, Reporter, TrainingRun, memory_explained, train
from ember_widgets.training.stream import PictureBatches, Prompts, Source
from ember_widgets.util import checks

HELD_OUT = 32
"""Pictures that SAEs are measured on."""

Several = int | Sequence[int]


def parts_of(sites: Sequence[str], config: TrainConfig, k: Several, expansion: Several) -> dict[str, Part]:
    """The dictionaries to train: every site with every k and every expansion.

    Returns:
        {name: dictionary}; a name says what differs, such as "up.0.1-k10-x8"; a single one is called "sae".
    """
    ks, expansions = ([n] if isinstance(n, int) else list(n) for n in (k, expansion))
    found = {}
    for site, one_k, one_expansion in product(sites, ks, expansions):
        changed = dataclasses.replace(config, k=one_k, expansion=one_expansion)
        found[f"{site_names.short(site)}-k{one_k}-x{one_expansion}"] = Part(site, changed)
    return {"sae": next(iter(found.values()))} if len(found) == 1 else found


def cut_at(backbone: Any, sites: Sequence[str]) -> SDXL:
    """The same model, cut at other sites.

    Raises:
        TypeError: It is not SDXL or of its family.
        ValueError: It has no such site.
    """
    if not isinstance(backbone, SDXL):
        raise TypeError(
            f"the model is a {type(backbone).__name__}; SAEs are trained on models of SDXL's family here. For another "
            "one, collect activations and give them to ember.train_sae(stream, config)"
        )
    return SDXL(backbone.pipeline, *sites, placement=backbone.placement)


def train_on(
    backbone: Any,
    prompts: Any,
    *,
    identity: Mapping[str, Any],
    config: TrainConfig,
    folder: Path,
    site: str | Sequence[str],
    k: Several,
    expansion: Several,
    target: str = "update",
    n_steps: int = 1,
    steps: Sequence[int] | None = None,
    guidance: float = 0.0,
    seed: int = 0,
    resume: bool = True,
    buffer: int | None = None,
    reporters: Iterable[Reporter] = (),
    checkpoint_s: float = CHECKPOINT_S,
    checkpoint_steps: int | None = None,
) -> TrainingRun:
    """Train SAEs on what a model does with prompts; arguments as for `Painter.train_sae`."""
    sites = [site_names.full(checks.text("site", one)) for one in ([site] if isinstance(site, str) else site)]
    if len(set(sites)) < len(sites) or not sites:
        raise ValueError(f"site={checks.shown(site)}; give one site, or several, each once")
    if target not in ("update", "output"):
        raise ValueError(
            f"target={checks.shown(target)} is unknown; choose 'update' (output − input) or 'output'"
        )
    n_steps = checks.n_steps(n_steps, guidance)
    chosen = (
        tuple(range(n_steps))
        if steps is None
        else tuple(checks.integer("steps", step, 0, n_steps - 1, hint="steps count from 0") for step in steps)
    )
    given = Prompts(prompts)
    model, ranks = cut_at(backbone, sites), Ranks.now()
    source = Source(model.sites, target, n_steps, chosen, checks.guidance(guidance), checks.seed(seed))
    parts = parts_of(model.sites, config, k, expansion)
    for part in parts.values():
        part.config.n_features(model.width(part.site))  # says which k is too large
    batches = PictureBatches(model, source, given, config.batch, ranks=ranks, buffer=buffer, seed=config.seed)
    with memory_explained(model.device):

        def finish(sae: SAE, held: Tensor | None) -> tuple[SAE, Quality | None]:
            return (sae, None) if held is None else completed(sae, held.float(), model.grid)

        return train(
            parts,
            batches,
            target=target,
            folder=folder,
            resume=resume,
            device=model.device,
            reporters=reporters,
            ranks=ranks,
            identity={
                **identity,
                "prompts": given.name,
                "n_steps": n_steps,
                "steps": list(chosen),
                "guidance": source.guidance,
                "first_seed": source.first_seed,
                "buffer": buffer,
            },
            held_out=lambda: batches.held_out(HELD_OUT),
            finish=finish,
            checkpoint_s=checkpoint_s,
            checkpoint_steps=checkpoint_steps,
        )
