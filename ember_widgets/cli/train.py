"""`ember-widgets train`: train SAEs on a model, alone or as one of the processes of a launcher."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_widgets.cli import model_options
from ember_widgets.cli.errors import UserError
from ember_widgets.serve.server.options import EMBEDDED

if TYPE_CHECKING:
    from ember_widgets.training.run import TrainingRun

COUNT = re.compile(r"(\d+(?:[_,]\d+)*(?:\.\d+)?)\s*([kMBG]?)", re.IGNORECASE)
FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
INTERRUPTED = 130
"""Exit status of a run that was interrupted; the same command goes on with it."""
EXAMPLE = """\
example:
  ember-widgets train --model stabilityai/sdxl-turbo --prompts captions.txt --site down.2.1 \\
      --expansion 8 --k 10 --patches 300M --out runs/down.2.1
on 8 GPUs:
  torchrun --nproc-per-node 8 -m ember_widgets.cli.main train ...

Stopped by Ctrl-C, an error or a power cut, the same command goes on from the last checkpoint."""


def count(text: str) -> int:
    """A whole number above 0, such as 300M, 2.5B, 400k or 1_000_000."""
    found = COUNT.fullmatch(text.strip())
    if found is not None:
        whole, _, rest = re.sub("[_,]", "", found[1]).partition(".")
        factor: int = FACTORS[found[2].lower()]
        number: int = int(whole + rest) * factor
        if number and number % 10 ** len(rest) == 0:
            return number // int(10 ** len(rest))
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a count; give a whole number, such as 400k, 300M or 2.5B"
    )


def minutes(text: str) -> float:
    """A time in minutes, 0 or more."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; give minutes, 0 or more, such as 10")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is given."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    need = model_options.add(parser, "what is trained on what", sae=False, site="append")
    need.add_argument("--prompts", required=True, help="a text file with one prompt in each line")
    need.add_argument("--patches", required=True, type=count, help="patches to see in all, such as 300M")
    need.add_argument("--out", required=True, help="folder of the run: checkpoints, history.csv, the SAE")
    need.add_argument(
        "--expansion", action="append", type=count, metavar="N", help="features / channels; repeatable (8)"
    )
    need.add_argument(
        "--k", action="append", type=count, metavar="N", help="codes per patch; repeatable (10)"
    )
    need.add_argument(
        "--target", choices=["update", "output"], default="update", help="what is learned (default: update)"
    )
    how = parser.add_argument_group("training")
    how.add_argument("--batch", type=count, default=4096, help="patches in a step (default: 4096)")
    how.add_argument("--lr", type=float, help="peak learning rate (default: by the number of features)")
    how.add_argument("--seed", type=int, default=0, help="of weights, pictures and order (default: 0)")
    how.add_argument("--buffer", type=count, help="patches that are mixed (default: 16 batches)")
    how.add_argument("--shards", metavar="FOLDER", help="keep activations there, for several passes")
    how.add_argument(
        "--checkpoint-minutes", type=minutes, default=10.0, help="between checkpoints (default: 10)"
    )
    how.add_argument(
        "--no-resume", action="store_true", help="begin anew, and overwrite the run in the folder"
    )
    how.add_argument("--quiet", action="store_true", help="show no progress")
    how.add_argument("--logger", help="tracker of accelerate, such as tensorboard or wandb")
    drawn = parser.add_argument_group("pictures")
    drawn.add_argument("--n-steps", type=count, default=1, help="denoising steps (default: 1)")
    drawn.add_argument(
        "--steps", type=int, nargs="+", metavar="STEP", help="which are looked at, from 0 (default: all)"
    )
    drawn.add_argument("--guidance", type=float, default=0.0, help="classifier-free guidance (default: 0)")


def train(options: argparse.Namespace) -> int:
    """Train; returns the exit status.

    Raises:
        UserError: Something that the user can put right.
    """
    model_options.check(options)
    prompts = Path(options.prompts).expanduser()
    if not prompts.is_file():  # checked first, because loading a model takes long
        raise UserError(
            f"--prompts {prompts}: there is no such file; give a text file with one prompt per line"
        )

    from ember_widgets.training.ranks import OtherProcessFailed, joined

    # A batch system ends a job with SIGTERM, some time before it kills it.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        with joined() as ranks:
            if ranks.is_first:
                logging.basicConfig(level=logging.INFO, format="%(message)s")
            run = _train(options, prompts)
            if ranks.is_first:
                _tell(run, Path(options.out))
    except UnicodeDecodeError as error:
        raise UserError(f"{prompts} is not a text file in UTF-8 ({error.reason}); convert it") from error
    except OtherProcessFailed as error:
        raise UserError(str(error)) from error
    except (OSError, ValueError, TypeError, FloatingPointError, MemoryError) as error:
        raise UserError(" ".join(str(error).split())) from error
    except KeyboardInterrupt:
        print("interrupted before the first step, or twice; the last checkpoint is whole", file=sys.stderr)
        return INTERRUPTED
    return 0 if run.is_finished else INTERRUPTED


def _train(options: argparse.Namespace, prompts: Path) -> TrainingRun:
    from ember_widgets.painter.sae_training import train_here
    from ember_widgets.training.config import TrainConfig
    from ember_widgets.training.stream import Prompts

    # What is wrong is said before a model is loaded.
    Prompts(prompts)
    TrainConfig(options.patches, batch=options.batch, lr=options.lr, seed=options.seed)
    return train_here(
        load_model(options),
        prompts,
        folder=options.out,
        site=options.site or ["down.2.1"],
        k=options.k or [10],
        expansion=options.expansion or [8],
        n_patches=options.patches,
        batch=options.batch,
        lr=options.lr,
        logger=options.logger,
        progress=not options.quiet,
        seed=options.seed,
        settings={},
        target=options.target,
        n_steps=options.n_steps,
        steps=options.steps,
        guidance=options.guidance,
        resume=not options.no_resume,
        buffer=options.buffer,
        shards=options.shards,
        checkpoint_s=60 * options.checkpoint_minutes,
    )


def load_model(options: argparse.Namespace) -> Any:
    """The model; no SAE is needed."""
    import torch

    from ember_widgets.model.sdxl import loading
    from ember_widgets.model.sdxl.backbone import SDXL
    from ember_widgets.painter.open import ASSETS
    from ember_widgets.scene import site_names
    from ember_widgets.training.ranks import Ranks
    from ember_widgets.util.hub import Hub

    is_embedded = model_options.name_of(options) == EMBEDDED
    place = loading.pick_device("cpu" if is_embedded else options.device)
    if place.type == "cuda" and Ranks.now().world > 1:
        place = torch.device("cuda", torch.cuda.current_device())
    hub = Hub(
        None if options.cache_dir is None else Path(options.cache_dir),
        options.token,
        options.local_files_only,
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(loading.memory(place, "loading"))
        if is_embedded:
            stack.enter_context(loading.quietly())
        loaded = loading.load_pipeline(
            ASSETS / "pipeline" if is_embedded else options.model,
            dtype=loading.pick_dtype(options.dtype, place),
            device=place,
            hub=hub,
            revision=options.revision,
            variant=options.variant,
        )
    return SDXL(loaded.pipeline, *map(site_names.full, options.site or ["down.2.1"]))


def _tell(run: TrainingRun, folder: Path) -> None:
    last = run.history[-1] if run.history else None
    for name, sae in run.saes.items():
        rows = [row for row in run.history if row.dictionary == name]
        found = f", FVU {rows[-1].fvu:.4f}, L0 {rows[-1].l0:.1f}" if rows else ""
        print(f"{name}: {sae.n_features} features of {sae.d_model} channels{found}")
    if run.n_skipped:
        print(f"{run.n_skipped} prompts could not be drawn and were skipped")
    if run.is_finished:
        print(f"{folder}: finished")
    else:
        seen = last.n_patches if last is not None else 0
        print(f"{folder}: interrupted after {seen} patches or a few more; run the same command to go on")
