"""Make the embedded model: `python -m ember_widgets.embedded.train all --out runs/embedded`.

Stages, in order: vae, latents, composer, settle, sides, trunk, upper, renderer, export, sae, icons, oracle,
judge, card, fingerprint. Each resumes from its checkpoint in the run's folder, and needs what the stages
before it made; latents are made again if the vae was trained further. Of two stages that train the same part
the later one in this order counts, whichever ran last. The stage "start" before them is not part of "all":
with it they go on from the weights of a pipeline, and vae, trunk and upper may be left out.
On a CPU, one process per core is fastest: `torchrun --nproc-per-node 2 -m ember_widgets.embedded.train all
--threads 1`. Needs the `train` extra.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from ember_widgets.embedded import architecture
from ember_widgets.embedded.card import make_card
from ember_widgets.embedded.export import ASSETS, export
from ember_widgets.embedded.fingerprint import make_fingerprint
from ember_widgets.embedded.latents import are_latents_current, build_latents
from ember_widgets.embedded.make_icons import make_icons
from ember_widgets.embedded.train_oracle import train_oracle
from ember_widgets.embedded.train_sae import build_saes
from ember_widgets.embedded.train_unet import (
    train_composer,
    train_renderer,
    train_settle,
    train_sides,
    train_trunk,
    train_upper,
)
from ember_widgets.embedded.train_vae import train_vae

TRAINED: dict[str, Callable[..., None]] = {
    "vae": train_vae,
    "composer": train_composer,
    "settle": train_settle,
    "sides": train_sides,
    "trunk": train_trunk,
    "upper": train_upper,
    "renderer": train_renderer,
    "oracle": train_oracle,
    "judge": partial(train_oracle, stage="judge"),
}
STEPS = {
    "vae": 1200, "composer": 4200, "settle": 1200, "sides": 1200, "trunk": 1600, "upper": 1000,
    "renderer": 3400, "oracle": 1000, "judge": 1000,
}  # fmt: skip
STAGES = (
    "vae",
    "latents",
    "composer",
    "settle",
    "sides",
    "trunk",
    "upper",
    "renderer",
    "export",
    "sae",
    "icons",
    "oracle",
    "judge",
    "card",
    "fingerprint",
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m ember_widgets.embedded.train", description=__doc__)
    parser.add_argument("stage", choices=("start", *STAGES, "all"))
    parser.add_argument(
        "--out", type=Path, default=Path("runs/embedded"), help="checkpoints and logs (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, help=f"training steps of the stage (defaults: {STEPS})")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FOLDER",
        type=Path,
        default=ASSETS / "pipeline",
        help="pipeline that the stage start begins with (default: the shipped one)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--batch", type=int, help="samples per step and process (default: the stage's own)")
    parser.add_argument(
        "--compile", action="store_true", help="compile the renderer: minutes at first, then faster"
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    args.out.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if args.stage == "all" else (args.stage,):
        if stage in TRAINED:
            options = {"compile": args.compile} if stage in ("trunk", "upper", "renderer") else {}
            if args.batch:
                options["batch"] = args.batch
            TRAINED[stage](args.out, args.steps or STEPS[stage], device=args.device, **options)
        elif not dist.is_initialized() or dist.get_rank() == 0:
            if stage == "start":
                copy_start(args.source, args.out)
            else:
                _finish(stage, args.out, args.device)
        if dist.is_initialized():
            dist.barrier()


def copy_start(source: Path, out: Path) -> None:
    """Copy the pipeline to start from into the run's folder; an export may replace the original."""
    if not (source / "unet").is_dir():
        raise ValueError(f"{source} holds no pipeline; give the folder that model_index.json is in")
    config = json.loads((source / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    if config["prediction_type"] != (wanted := architecture.build_scheduler().config.prediction_type):
        raise ValueError(
            f"the UNet in {source} predicts {config['prediction_type']!r}, but this recipe trains one that "
            f"predicts {wanted!r}; start from another pipeline, or from nothing"
        )
    target = out / "start"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def _finish(stage: str, out: Path, device: str) -> None:
    """The stages that one process runs."""
    if stage == "latents":
        if not are_latents_current(out):
            build_latents(out, n_random=40_000, n_captioned=6_000, device=device)
    elif stage == "export":
        export(out)
    elif stage == "sae":
        build_saes(out)
    elif stage == "icons":
        make_icons()
    elif stage == "card":
        make_card()
    else:
        make_fingerprint()


if __name__ == "__main__":
    main()
