"""Training SAEs on a painter's own model: which sites, which pictures, and what completes an SAE."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import operator
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar, cast

from torch import Tensor

from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.placement import free
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.scene import site_names
from ember_widgets.training.config import LARGEST, TrainConfig
from ember_widgets.training.evaluation import Quality, completed
from ember_widgets.training.forecast import Forecast, Size, step_seconds, what_is_left
from ember_widgets.training.history import Reporter
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.report import reporters, trackers
from ember_widgets.training.run import CHECKPOINT_S, Part, TrainingRun, memory_explained, train
from ember_widgets.training.shards import Shards, n_bytes
from ember_widgets.training.stream import AT_ONCE, PictureBatches, Prompts, Source
from ember_widgets.training.trainer import Trainer
from ember_widgets.util import checks
from ember_widgets.util.words import volume

HELD_OUT = 32
"""Pictures that SAEs are measured on."""

PATCHES_PER_FEATURE = 10_000
LEAST_STEPS = 1000

Several = int | Sequence[int]
T = TypeVar("T")


class Turns:
    """A lock that others get between two turns: a thread that takes it again at once would starve them."""

    PAUSE_S = 0.001

    def __init__(self, lock: AbstractContextManager[Any] | None) -> None:
        self._lock = nullcontext() if lock is None else lock

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(self, *fault: Any) -> None:
        self._lock.__exit__(*fault)
        time.sleep(self.PAUSE_S)


def weights_hash(backbone: Any) -> str:
    """Identifies a model by its weights, whatever it is called: 32 hex digits."""
    parts = hashlib.sha256()
    for sample in backbone.weights():
        parts.update(sample)
    return parts.hexdigest()[:32]


def default_patches(backbone: Any, sites: Sequence[str], expansion: Several, batch: int) -> int:
    """How many patches a training sees if nothing else is said.

    Returns:
        10,000 for each feature of the largest dictionary, and at least 1000 batches; whole batches.
    """
    model = cut_at(backbone, sites)
    n_features = max(several("expansion", expansion)) * max(model.width(site) for site in model.sites)
    return batch * max(LEAST_STEPS, math.ceil(PATCHES_PER_FEATURE * n_features / batch))


def parts_of(sites: Sequence[str], config: TrainConfig, k: Several, expansion: Several) -> dict[str, Part]:
    """The dictionaries to train: every site with every k and every expansion.

    Returns:
        {name: dictionary}; a name says what differs, such as "up.0.1-k10-x8"; a single one is called "sae".
    """
    ks, expansions = several("k", k), several("expansion", expansion)
    found = {}
    for site, one_k, one_expansion in product(sites, ks, expansions):
        changed = dataclasses.replace(config, k=one_k, expansion=one_expansion)
        found[f"{site_names.short(site)}-k{one_k}-x{one_expansion}"] = Part(site, changed)
    return {"sae": next(iter(found.values()))} if len(found) == 1 else found


def several(name: str, value: Several) -> list[int]:
    """A number above 0, or several different ones, as a list."""
    try:
        given = [operator.index(cast(SupportsIndex, value))]
    except TypeError:
        given = checks.listed(name, value, hint="give a number above 0, or several")
    return distinct(
        name, [checks.integer(name, n, 1, LARGEST[name], hint="give a number above 0") for n in given]
    )


def distinct(name: str, values: list[T]) -> list[T]:
    """The values, if there are some and each is there once."""
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name}={checks.shown(values)}; give one or more, each once")
    return values


def cut_at(backbone: Any, sites: Sequence[str]) -> SDXL:
    """The same model, cut at other sites.

    Raises:
        TypeError: It is not SDXL or of its family.
        ValueError: It has no such site.
    """
    if not isinstance(backbone, SDXL):
        raise TypeError(
            f"the model is a {type(backbone).__name__}; SAEs are trained on models of SDXL's family here. "
            "For another one, collect activations and give them to ember.train_sae(stream, config)"
        )
    return SDXL(backbone.pipeline, *sites, placement=backbone.placement)


def train_on(
    backbone: Any,
    prompts: Any,
    *,
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
    shards: str | os.PathLike[str] | None = None,
    reporters: Iterable[Reporter] = (),
    progress: bool = False,
    lock: AbstractContextManager[Any] | None = None,
    identity: Mapping[str, Any] | None = None,
    checkpoint_s: float = CHECKPOINT_S,
    checkpoint_steps: int | None = None,
) -> TrainingRun:
    """Train SAEs on what a model does with prompts; arguments as for `Painter.train_sae`, and:

    Args:
        backbone: The model.
        config: How they are trained; `k` and `expansion` take the place of its own.
        reporters: Called after every step. Only the first process makes them, once it is known that the
            folder is this run's and that something is left to do.
        progress: Say beforehand what the training takes.
        lock: Held while pictures go through the model, a few at a time.
        identity: What says that a folder is of the same model; None = its weights.
    """
    sites = _sites(site)
    if target not in ("update", "output"):
        raise ValueError(
            f"target={checks.shown(target)} is unknown; choose 'update' (output − input) or 'output'"
        )
    guidance = checks.guidance(guidance)
    n_steps = checks.n_steps(n_steps, guidance)
    chosen = tuple(range(n_steps)) if steps is None else _chosen_steps(steps, n_steps)
    given = Prompts(prompts)
    model, ranks = cut_at(backbone, sites), Ranks.now()
    source = Source(model.sites, target, n_steps, chosen, guidance, checks.seed(seed))
    parts = parts_of(model.sites, config, k, expansion)
    for part in parts.values():
        part.config.n_features(model.width(part.site))  # says which k is too large
    pictures = {
        **({"model": weights_hash(backbone)} if identity is None else identity),
        "prompts": given.name,
        "n_steps": n_steps,
        "steps": list(chosen),
        "guidance": source.guidance,
        "first_seed": source.first_seed,
    }
    kept = None
    if shards is not None:
        if given.n is None:
            raise TypeError(
                "shards= keeps every picture of a pass, and prompts does not say how many these are; give a "
                "list or a text file"
            )
        settings = {**pictures, "sites": list(model.sites), "target": target}
        kept = Shards(Path(shards).expanduser(), settings, given.n, seed=config.seed, ranks=ranks)
    batches = PictureBatches(
        model,
        source,
        given,
        config.batch,
        ranks=ranks,
        buffer=buffer,
        seed=config.seed,
        lock=Turns(lock),
        shards=kept,
    )
    with memory_explained(model.device):

        def announce() -> None:
            if progress:
                said = what_is_left(folder, config.n_steps * config.batch)
                print(said or _forecast(model, batches, parts, given.n, kept, folder), flush=True)
                if kept is not None and given.n is not None:
                    per_picture = model.grid.rows * model.grid.cols * len(chosen)
                    widths = [model.width(one) for one in model.sites]
                    itemsize = next(model.pipeline.unet.parameters()).element_size()
                    size = n_bytes(given.n, per_picture, widths, itemsize)
                    print(f"shards: {volume(size)} in {kept.folder} when all are written", flush=True)

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
            identity={**pictures, "buffer": buffer, "shards": kept is not None},
            announce=announce,
            held_out=lambda: batches.held_out(HELD_OUT),
            finish=finish,
            checkpoint_s=checkpoint_s,
            checkpoint_steps=checkpoint_steps,
        )


def _sites(site: str | Sequence[str]) -> list[str]:
    """The module paths of one site or several."""
    given = [site] if isinstance(site, str) else checks.listed("site", site, hint="give one site, or several")
    return distinct("site", [site_names.full(checks.text("site", one)) for one in given])


def _chosen_steps(steps: Sequence[int], n_steps: int) -> tuple[int, ...]:
    given = checks.listed("steps", steps, hint="give the steps to take patches from, such as [0]")
    indices = [checks.integer("steps", step, 0, n_steps - 1, hint="steps count from 0") for step in given]
    return tuple(distinct("steps", indices))


def _forecast(
    model: SDXL,
    batches: PictureBatches,
    parts: Mapping[str, Part],
    n_prompts: int | None,
    shards: Shards | None,
    folder: Path,
) -> Forecast:
    """What the training takes: a few pictures are drawn, and two steps taken of each dictionary."""
    first, world = next(iter(parts.values())).config, batches.ranks.world
    per_picture = model.grid.rows * model.grid.cols * len(batches.source.steps)
    batches.held_out(AT_ONCE)  # the first pictures take longer
    start = time.perf_counter()
    drawn = batches.held_out(AT_ONCE)  # it lies in main memory: there is nothing to wait for
    picture_s = (time.perf_counter() - start) / AT_ONCE
    step_s = 0.0
    for part in parts.values():  # one after another: each holds the memory of a whole training
        trainer = Trainer(part.config, model.width(part.site), device=model.device)
        step_s += step_seconds(trainer, drawn[part.site].flatten(0, 1), first.batch // world)
        del trainer
        free(model.device)
    widths = {name: model.width(part.site) for name, part in parts.items()}
    return Forecast(
        sizes={
            name: Size(widths[name], part.config.n_features(widths[name])) for name, part in parts.items()
        },
        site_widths=tuple(model.width(site) for site in model.sites),
        n_patches=first.n_steps * first.batch,
        batch=first.batch,
        n_pictures=math.ceil(first.n_steps * first.batch / per_picture),
        n_prompts=n_prompts,
        are_kept=shards is not None,
        buffer=batches.buffer,
        buffer_itemsize=next(iter(drawn.values())).element_size(),
        picture_s=picture_s,
        step_s=step_s,
        world=world,
        device=model.device,
        folder=folder,
    )


def train_here(
    backbone: Any,
    prompts: Any,
    *,
    folder: str | os.PathLike[str],
    site: str | Sequence[str],
    expansion: Several,
    k: Several,
    n_patches: int | None,
    batch: int,
    lr: float | None,
    logger: Any,
    progress: bool,
    seed: int,
    settings: Mapping[str, Any],
    **others: Any,
) -> TrainingRun:
    """As `train_on`, with the settings one by one, and with the usual reporters; see `Painter.train_sae`."""
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise TypeError(f"{unknown[0]!r} is not a setting of a training; there are {', '.join(known)}")
    sites = _sites(site)
    batch = checks.integer("batch", batch, 1, LARGEST["batch"], hint="give the patches of a step")
    if n_patches is None:
        n_patches = default_patches(backbone, sites, expansion, batch)
    config = TrainConfig(n_patches, batch=batch, lr=lr, seed=seed, **settings)
    place = checks.path("folder", folder).expanduser()
    logger = trackers(logger, place)

    recorded = {**config.as_dict(), "k": k, "expansion": expansion, "site": ", ".join(sites)}

    def shown() -> Iterator[Reporter]:
        yield from reporters(
            config.n_steps, batch, progress=progress, logger=logger, folder=place, settings=recorded
        )

    return train_on(
        backbone,
        prompts,
        config=config,
        folder=place,
        site=sites,
        k=k,
        expansion=expansion,
        seed=seed,
        reporters=shown(),
        progress=progress,
        **others,
    )
