"""The options of commands that open a model: which one, where it runs, and in which numbers it computes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal

from ember_widgets.cli.errors import UserError
from ember_widgets.serve.server.options import EMBEDDED

if TYPE_CHECKING:
    from ember_widgets.painter.painter import Painter

USUAL = {"dtype": "auto", "variant": "auto"}
LOADING = ("device", "dtype", "revision", "variant", "cache_dir", "token", "local_files_only")
OPTIONS = ("model", "embedded", "sae", "site", "labels", *LOADING)
NOT_EMBEDDED = ("sae", "labels", "vae", "preview_vae", "revision", "variant")
"""Options that the embedded model takes no notice of: it has its own."""


def add(
    parser: argparse.ArgumentParser,
    title: str,
    *,
    sae: bool = True,
    site: Literal["store", "append"] = "store",
) -> argparse._ArgumentGroup:
    """Add the options to a command's parser.

    Args:
        parser: The command's.
        title: Of the group that says which model.
        sae: The command needs an SAE.
        site: "append" = there may be several sites.

    Returns:
        The group that says which model, to which the command may add options.
    """
    which = parser.add_argument_group(title)
    which.add_argument("--model", help="hub id, folder or file of SDXL's family; or 'embedded'")
    which.add_argument("--embedded", action="store_true", help="the small model inside the package")
    if sae:
        which.add_argument("--sae", help="hub id, folder or file of the SAE; not with the embedded model")
    several = "; may be repeated" if site == "append" else ""
    usual = "what the SAE's file says, and else down.2.1" if sae else "down.2.1"
    which.add_argument("--site", action=site, metavar="SITE", help=f"block{several} (default: {usual})")
    load = parser.add_argument_group("loading the model")
    load.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    load.add_argument("--dtype", default="auto", help="bfloat16, float16, float32 or auto (default: auto)")
    load.add_argument("--revision", help="branch, tag or commit")
    load.add_argument(
        "--variant", type=text_or_none, default="auto", help="fp16, none or auto (default: auto)"
    )
    load.add_argument("--cache-dir", help="where downloads are kept (default: the hub's cache)")
    load.add_argument("--token", help="for gated or private repositories (default: as logged in)")
    load.add_argument("--local-files-only", action="store_true", help="download nothing")
    return which


def text_or_none(text: str) -> str | None:
    """A value of an option for which "none" stands for leaving it out."""
    return None if text == "none" else text


def check(options: argparse.Namespace, *, device_serves_another: bool = False) -> None:
    """Say what does not fit together before a model is loaded, which takes long.

    Args:
        options: As parsed.
        device_serves_another: `--device` is also where another model runs.

    Raises:
        UserError: No model is given, or two, or an option that has no effect on this one.
    """
    if options.model not in (None, EMBEDDED) and options.embedded:
        raise UserError("--model and --embedded exclude each other; give one of them")
    needs_sae = "sae" in options
    if options.model is None and not options.embedded:
        sae = " and --sae" if needs_sae else ""
        raise UserError(f"no model is given; give --model{sae}, or --embedded")
    if name_of(options) != EMBEDDED:
        if needs_sae and not options.sae:
            raise UserError("--sae is missing; give the hub id, folder or file of the SAE")
        return
    for name in NOT_EMBEDDED:
        if _is_given(options, name):
            raise UserError(
                f"{_typed(name)} does not go with the embedded model, which has its own; leave it out, or "
                "give --model"
            )
    if options.device not in (None, "cpu") and not device_serves_another:
        raise UserError(f"--device {options.device}: the embedded model runs on the CPU; leave out --device")


def given(options: argparse.Namespace) -> list[str]:
    """What was said of a model, as it is typed."""
    return [_typed(name) for name in OPTIONS if _is_given(options, name)]


def name_of(options: argparse.Namespace) -> str:
    """The model: "embedded", or a hub id, folder or file."""
    return EMBEDDED if options.embedded else str(options.model)


def loading(options: argparse.Namespace) -> dict[str, Any]:
    """Where the model comes from and how it runs, as arguments of `Painter.from_pretrained`."""
    return {name: getattr(options, name) for name in LOADING}


def open_painter(options: argparse.Namespace) -> Painter:
    """The painter that checked options name.

    Raises:
        OSError, ValueError, TypeError, ImportError, MemoryError: See `Painter.from_pretrained`.
    """
    from ember_widgets.painter.painter import Painter

    if name_of(options) == EMBEDDED:
        return Painter.embedded(sites=options.site or "down.2.1", dtype=options.dtype)
    labels = getattr(options, "labels", None)
    return Painter.from_pretrained(
        options.model, sae=options.sae, site=options.site, labels=labels, **loading(options)
    )


def _is_given(options: argparse.Namespace, name: str) -> bool:
    value, usual = getattr(options, name, None), USUAL.get(name)
    return value != usual if usual else bool(value)


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
