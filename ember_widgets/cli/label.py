"""`ember-widgets label`: let a vision-language model name features of an SAE."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_widgets.cli import model_options
from ember_widgets.cli.errors import UserError

if TYPE_CHECKING:
    from ember_widgets.labelling.question import LabelClient, Price
    from ember_widgets.labelling.run import LabelProgress, LabelRun
    from ember_widgets.painter.painter import Painter

INTERRUPTED = 130
"""Exit status of a run that was interrupted; the same command goes on with it."""
MOST_FEATURES = 2**22
EXAMPLE = """\
example, with a model that Ollama serves on this machine:
  ember-widgets label --model stabilityai/sdxl-turbo --sae surokpro2/sdxl-saes \\
      --collection pictures --base-url http://localhost:11434/v1 --vlm qwen2.5vl:7b
A collection is made with painter.collect(prompts, "pictures").

The key of a server that needs one is read from the environment's OPENAI_API_KEY.
Stopped by Ctrl-C, the same command goes on; nothing is asked twice."""


def feature_list(text: str) -> list[int]:
    """Features such as 1,2,10-20; each once, in this order."""
    found: dict[int, None] = {}
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first, first]
        if not all(end.isascii() and end.isdigit() and int(end) < MOST_FEATURES for end in ends):
            raise argparse.ArgumentTypeError(f"{text!r} names no features; give numbers, such as 1,2,10-20")
        if int(ends[0]) > int(ends[1]):
            raise argparse.ArgumentTypeError(f"{part!r} runs backwards; give the smaller feature first")
        found.update(dict.fromkeys(range(int(ends[0]), int(ends[1]) + 1)))
    return list(found)


def price_of_tokens(text: str) -> float:
    """A price of a million tokens, 0 or more."""
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < 1e6:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a price; give that of a million tokens, such as 0.15"
        )
    return price


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is given."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Let a vision-language model name the features of an SAE, and measure how well the names fit."
    )
    parser.epilog = EXAMPLE
    need = model_options.add(parser, "what is labelled")
    need.add_argument("--collection", required=True, metavar="FOLDER", help="pictures, see painter.collect")
    need.add_argument(
        "--features", type=feature_list, metavar="LIST", help="such as 1,2,10-20 (default: all live ones)"
    )
    who = parser.add_argument_group("who is asked: a server or a model on this machine")
    who.add_argument("--vlm", metavar="NAME", help="vision-language model, as the server calls it")
    who.add_argument(
        "--base-url", metavar="URL", help="of a server with OpenAI's interface (default: theirs)"
    )
    who.add_argument("--in-flight", type=int, default=8, help="questions open at once (default: 8)")
    who.add_argument(
        "--transformers", metavar="MODEL", help="instead of a server: hub id or folder, loaded here"
    )
    how = parser.add_argument_group("labelling")
    how.add_argument("--no-scores", action="store_true", help="do not measure how well labels fit")
    how.add_argument("--retry", action="store_true", help="ask again what was refused or unreadable")
    how.add_argument(
        "--out", metavar="FOLDER", help="of journal and labels.json (default: in the collection's)"
    )
    how.add_argument("-y", "--yes", action="store_true", help="do not ask before it starts")
    how.add_argument("--quiet", action="store_true", help="show no progress")
    how.add_argument("--price-in", type=price_of_tokens, help="of a million tokens in")
    how.add_argument("--price-out", type=price_of_tokens, help="of a million tokens out")
    how.add_argument("--currency", default="USD", help="of these prices (default: USD)")


def label(options: argparse.Namespace) -> int:
    """Label; returns the exit status.

    Raises:
        UserError: Something that the user can put right.
    """
    _check(options)
    # A batch system ends a job with SIGTERM, some time before it kills it.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        run = _label(options)
    except (OSError, ValueError, TypeError, ImportError, RuntimeError, MemoryError) as error:
        raise UserError(" ".join(str(error).split())) from error
    except KeyboardInterrupt:
        print("interrupted; what was answered is kept, and the same command goes on", file=sys.stderr)
        return INTERRUPTED
    if run is None:
        print("nothing was asked")
        return 0
    print(run)
    if run.stopped:
        raise UserError(f"stopped before the end: {' '.join(run.stopped.split())}")
    return 0 if run.is_finished else INTERRUPTED


def _check(options: argparse.Namespace) -> None:
    """Say what is wrong before a model is loaded, which takes long."""
    if bool(options.vlm) == bool(options.transformers):
        raise UserError("give either --vlm, a model on a server, or --transformers, a model loaded here")
    if options.transformers and options.base_url:
        raise UserError("--base-url is of a server, but --transformers asks none; give one of them")
    model_options.check(options, device_serves_another=bool(options.transformers))
    if (options.price_in is None) != (options.price_out is None):
        raise UserError("give --price-in and --price-out together, or neither")


def _label(options: argparse.Namespace) -> LabelRun | None:
    """Ask, and label; None = the user did not want to."""
    from ember_widgets.features.collection import Collection

    collection, client = Collection.open(Path(options.collection).expanduser()), make_client(options)
    painter = model_options.open_painter(options)
    asked = {
        "collection": collection,
        "client": client,
        "folder": None if options.out is None else Path(options.out).expanduser(),
        "scores": not options.no_scores,
        "price": _price(options),
        "retry": options.retry,
    }
    forecast = painter.label_forecast(options.features, **asked)
    print(forecast, flush=True)
    if forecast.n_calls and not options.yes and not _agrees():
        return None
    return _run(painter, options, asked)


def _run(painter: Painter, options: argparse.Namespace, asked: dict[str, Any]) -> LabelRun:
    from tqdm import tqdm

    bar = tqdm(unit=" features", desc="labelling", disable=options.quiet)

    def tell(done: LabelProgress) -> None:
        bar.total = done.n
        bar.update()

    with bar:
        return painter.label(options.features, **asked, progress=False, on_label=tell)


def _agrees() -> bool:
    try:
        return input("Begin? [Y/n] ").strip().lower() in ("", "y", "yes")
    except EOFError:  # nobody is there to answer
        raise UserError("nobody can be asked whether to begin; add --yes") from None


def make_client(options: argparse.Namespace) -> LabelClient:
    """Who is asked."""
    if options.transformers:
        from ember_widgets.labelling.transformers_client import TransformersClient

        return TransformersClient(options.transformers, device=options.device)
    from ember_widgets.labelling.openai_client import OpenAIClient

    if not options.base_url and not any(map(os.environ.get, ("OPENAI_API_KEY", "OPENAI_BASE_URL"))):
        raise UserError(
            "nobody is named to ask: give --base-url of your own server, or set OPENAI_API_KEY for OpenAI's"
        )
    return OpenAIClient(options.vlm, base_url=options.base_url, in_flight=options.in_flight)


def _price(options: argparse.Namespace) -> Price | None:
    from ember_widgets.labelling.question import Price

    if options.price_in is None:
        return None
    return Price(options.price_in, options.price_out, options.currency)
