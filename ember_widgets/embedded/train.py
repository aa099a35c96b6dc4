"""Make the embedded model: `python -m ember_widgets.embedded.train all --out runs/embedded`.

Stages, in order: vae, pool, composer, renderer, joint, export, sae. Each resumes from its checkpoint in the
run's folder; composer and renderer may run side by side in two processes. Needs the `train` extra.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from ember_widgets.embedded.export import export
from ember_widgets.embedded.pool import build_pool
from ember_widgets.embedded.train_sae import build_sae
from ember_widgets.embedded.train_unet import train_composer, train_joint, train_renderer
from ember_widgets.embedded.train_vae import train_vae

MINUTES = {"vae": 11.0, "composer": 30.0, "renderer": 55.0, "joint": 20.0}
STAGES = ("vae", "pool", "composer", "renderer", "joint", "export", "sae")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m ember_widgets.embedded.train", description=__doc__)
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument(
        "--out", type=Path, default=Path("runs/embedded"), help="checkpoints and logs (default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, help=f"training time of the stage (defaults: {MINUTES})")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="samples per step (default: %(default)s)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    timed: dict[str, Callable[..., None]] = {
        "vae": train_vae,
        "composer": train_composer,
        "renderer": train_renderer,
        "joint": train_joint,
    }
    for stage in STAGES if args.stage == "all" else (args.stage,):
        if stage in timed:
            timed[stage](args.out, args.minutes or MINUTES[stage], device=args.device, batch=args.batch)
        elif stage == "pool":
            if not (args.out / "pool.npz").exists():
                build_pool(args.out, n_free=7000, n_captioned=3500, device=args.device)
        elif stage == "export":
            export(args.out)
        else:
            build_sae(args.out)


if __name__ == "__main__":
    main()
