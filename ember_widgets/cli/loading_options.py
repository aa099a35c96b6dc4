"""The options of commands that load a model."""

from __future__ import annotations

import argparse


def add_loading_options(parser: argparse.ArgumentParser) -> None:
    """Where the model comes from, where it runs, and in which numbers it computes."""
    load = parser.add_argument_group("loading the model")
    load.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    load.add_argument("--dtype", default="auto", help="bfloat16, float16, float32 or auto (default: auto)")
    load.add_argument("--revision", help="branch, tag or commit")
    load.add_argument("--variant", default="auto", help="fp16, none or auto (default: auto)")
    load.add_argument("--cache-dir", help="where downloads are kept (default: the hub's cache)")
    load.add_argument("--token", help="for gated or private repositories (default: as logged in)")
    load.add_argument("--local-files-only", action="store_true", help="download nothing")
