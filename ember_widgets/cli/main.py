"""The ``ember-widgets`` command: parses its arguments and calls the command.

A user's mistake is one line on stderr and exit status 2; only a fault of ours shows a traceback.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ember_widgets._version import __version__
from ember_widgets.cli.demo import demo
from ember_widgets.cli.download import download
from ember_widgets.cli.errors import UserError
from ember_widgets.cli.info import info
from ember_widgets.cli.label import add_arguments as add_label_arguments
from ember_widgets.cli.label import label
from ember_widgets.cli.mcp import add_arguments as add_mcp_arguments
from ember_widgets.cli.mcp import mcp
from ember_widgets.cli.model_options import text_or_none
from ember_widgets.cli.page import add_arguments as add_page_arguments
from ember_widgets.cli.page import page
from ember_widgets.cli.render import render
from ember_widgets.cli.serve import add_arguments as add_serve_arguments
from ember_widgets.cli.serve import serve
from ember_widgets.cli.train import add_arguments as add_train_arguments
from ember_widgets.cli.train import train


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
        arguments: What follows the command's name; None = the arguments of the process.
    """
    # A terminal may not know a character of a file's name or a licence; that must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        # Help for a person; and for a script that lost its arguments the status of a wrong call.
        parser.print_help(sys.stderr)
        return 2
    try:
        status = _run(options)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"ember-widgets: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has enough. Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    if options.command == "demo":
        return demo(Path(options.folder), browser=not options.no_browser)
    if options.command == "download":
        _check_download(options)
        return download(
            model=options.model,
            sae=options.sae,
            sites=options.site or ["down.2.1"],
            vae=options.vae,
            preview_vae=options.preview_vae,
            variant=options.variant,
            revision=options.revision,
            cache_dir=options.cache_dir,
            token=options.token,
            meaning=options.meaning,
            ask=not options.yes,
        )
    if options.command == "train":
        return train(options)
    if options.command == "label":
        return label(options)
    if options.command == "serve":
        return serve(options)
    if options.command == "mcp":
        return mcp(options)
    if options.command == "page":
        return page(options)
    if options.command == "render":
        render(Path(options.scene), Path(options.output))
    else:
        for line in info():
            print(line, flush=True)
    return 0


def _check_download(options: argparse.Namespace) -> None:
    """Refuse options of a model beside --meaning, which fetches none."""
    usual = _parser().parse_args(["download"])
    for name in ("model", "sae", "site", "vae", "preview_vae", "variant", "revision"):
        if options.meaning is not None and getattr(options, name) != getattr(usual, name):
            raise UserError(
                f"--{name.replace('_', '-')} is of a model, but --meaning fetches only a text embedding; "
                "leave out one or the other"
            )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ember-widgets",
        description="Paint pictures with the features of a diffusion model, in a notebook.",
    )
    parser.add_argument("--version", action="version", version=f"ember-widgets {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="demo | download | render | page | train | label | serve | mcp | info"
    )
    notebooks = commands.add_parser("demo", help="open the notebooks in JupyterLab")
    notebooks.add_argument(
        "--folder",
        default="ember-notebooks",
        help="where the notebooks are copied to, unless run from a checkout (default: ./ember-notebooks)",
    )
    notebooks.add_argument("--no-browser", action="store_true", help="only print the address")
    fetch = commands.add_parser("download", help="fetch SDXL-Turbo, an SAE and a preview decoder, once")
    fetch.add_argument("--model", default="stabilityai/sdxl-turbo", help="hub id (default: %(default)s)")
    fetch.add_argument("--sae", default="surokpro2/sdxl-saes", help="hub id (default: %(default)s)")
    fetch.add_argument(
        "--site", action="append", help="site of the SAE, may be repeated (default: down.2.1)", metavar="SITE"
    )
    fetch.add_argument("--vae", help="hub id of another VAE, such as madebyollin/sdxl-vae-fp16-fix")
    fetch.add_argument(
        "--preview-vae",
        type=text_or_none,
        default="madebyollin/taesdxl",
        help="hub id or 'none' (default: %(default)s)",
    )
    fetch.add_argument(
        "--variant",
        type=text_or_none,
        default="fp16",
        help="weights for a GPU: fp16; for a CPU: none (default: %(default)s)",
    )
    fetch.add_argument(
        "--meaning",
        nargs="?",
        const="minishlab/potion-base-8M",
        metavar="ID",
        help="fetch only a text embedding, so that searches find labels by meaning (default ID: %(const)s)",
    )
    fetch.add_argument("--revision", help="branch, tag or commit of the model")
    fetch.add_argument("--cache-dir", help="where downloads are kept (default: the hub's cache)")
    fetch.add_argument("--token", help="for gated or private repositories (default: as logged in)")
    fetch.add_argument("-y", "--yes", action="store_true", help="do not ask")
    picture = commands.add_parser("render", help="draw a saved scene with the embedded model")
    picture.add_argument("scene", help="a file written by scene.save()")
    picture.add_argument("-o", "--output", required=True, help="the picture to write: .png, .jpg or .webp")
    add_page_arguments(
        commands.add_parser("page", help="write a web page that paints in the browser, without Python")
    )
    add_train_arguments(
        commands.add_parser("train", help="train a sparse autoencoder on a model's activations")
    )
    add_label_arguments(commands.add_parser("label", help="let a vision-language model name features"))
    add_serve_arguments(commands.add_parser("serve", help="let notebooks elsewhere paint with a model here"))
    add_mcp_arguments(commands.add_parser("mcp", help="let an agent paint, over the Model Context Protocol"))
    commands.add_parser(
        "info", help="print versions, devices, and whether the embedded model draws as it should"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
