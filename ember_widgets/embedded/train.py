"""Make the embedded model: `python -m ember_widgets.embedded.train all --out runs/embedded`.

Stages, in order: vae, pool, composer, trunk, upper, renderer, export, sae, card. Each resumes from its
checkpoint in the run's folder, on top of what the stages before it made. On a CPU with free cores, one
process per core is the fastest: `torchrun --nproc-per-node 2 -m ember_widgets.embedded.train renderer
--threads 1`. Needs the `train` extra.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import torch

from ember_widgets.embedded.card import make_card
from ember_widgets.embedded.export import export
from ember_widgets.embedded.pool import build_pool
from ember_widgets.embedded.train_sae import build_sae
from ember_widgets.embedded.train_unet import train_composer, train_renderer, train_trunk, train_upper
from ember_widgets.embedded.train_vae import train_vae

MINUTES = {"vae": 10.0, "composer": 20.0, "trunk": 20.0, "upper": 20.0, "renderer": 20.0}
STAGES = ("vae", "pool", "composer", "trunk", "upper", "renderer", "export", "sae", "card")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m ember_widgets.embedded.train", description=__doc__)
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument(
        "--out", type=Path, default=Path("runs/embedded"), help="checkpoints and logs (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, help=f"training time of the stage (defaults: {MINUTES})")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="samples per step (default: 16)")
    parser.add_argument(
        "--compile", action="store_true", help="compile the renderer: minutes at first, then faster"
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if "WORLD_SIZE" in os.environ:
        torch.distributed.init_process_group("gloo")
    args.out.mkdir(parents=True, exist_ok=True)
    timed: dict[str, Callable[..., None]] = {
        "vae": train_vae,
        "composer": train_composer,
        "trunk": train_trunk,
        "upper": train_upper,
        "renderer": train_renderer,
    }
    for stage in STAGES if args.stage == "all" else (args.stage,):
        if stage in timed:
            options = {"compile": args.compile} if stage in ("upper", "renderer") else {}
            minutes = args.minutes or MINUTES[stage]
            timed[stage](args.out, minutes, device=args.device, batch=args.batch, **options)
        elif stage == "pool":
            if not (args.out / "pool.npz").exists():
                build_pool(args.out, n_free=10_000, n_captioned=4000, device=args.device)
        elif stage == "export":
            export(args.out)
        elif stage == "sae":
            build_sae(args.out)
        else:
            make_card()


if __name__ == "__main__":
    main()
