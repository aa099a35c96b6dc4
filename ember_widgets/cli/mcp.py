"""`ember-widgets mcp`: let an agent paint, over the Model Context Protocol."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_widgets.cli.errors import UserError
from ember_widgets.cli.loading_options import add_loading_options
from ember_widgets.cli.token_file import people_of

if TYPE_CHECKING:
    from ember_widgets.painter.protocol import PainterProtocol

EXAMPLE = """\
The client starts this command and talks to it over stdin and stdout. Example of a client's configuration:
  {"mcpServers": {"ember": {"command": "ember-widgets", "args": ["mcp", "--embedded"]}}}
See docs/agents.md."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is given."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Let an agent paint: a server of the Model Context Protocol on stdin and stdout."
    parser.epilog = EXAMPLE
    which = parser.add_argument_group("which model (default: the embedded one)")
    which.add_argument("--embedded", action="store_true", help="the small model inside the package")
    which.add_argument("--model", help="hub id, folder or file of SDXL's family; needs --sae")
    which.add_argument("--sae", help="hub id, folder or file of the SAE")
    which.add_argument("--site", help="block of the SAE (default: what its file says, and else down.2.1)")
    which.add_argument("--labels", help="file, folder or hub id of labels")
    which.add_argument("--url", help="a server of `ember-widgets serve`; the link of a person has the token")
    which.add_argument("--token-file", help="file with the token of that server")
    parser.add_argument("--folder", default=".", help="where pictures are saved (default: this folder)")
    add_loading_options(parser)


def mcp(options: argparse.Namespace) -> int:
    """Serve until the client closes stdin; returns the exit status.

    Raises:
        UserError: The options do not fit together, or the package `mcp` is missing.
    """
    given = [name for name in ("embedded", "model", "url") if getattr(options, name)]
    if len(given) > 1:
        raise UserError(f"--{given[0]} and --{given[1]} name two models; give one of them")
    if options.model and not options.sae:
        raise UserError("--model needs --sae, the dictionary to paint with")
    if options.token_file and not options.url:
        raise UserError("--token-file is for a server; give --url too")
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UserError(f"--folder {options.folder}: there is no such folder")
    try:
        import mcp as _package  # noqa: F401
    except ImportError:
        raise UserError(
            "`ember-widgets mcp` needs the package mcp: pip install 'ember-widgets[mcp]'"
        ) from None
    from ember_widgets.agent.canvas import Canvas
    from ember_widgets.agent.mcp_server import make_server

    # While it serves, whatever libraries print goes to stderr.
    make_server(Canvas(lambda: _opened(options), folder)).run("stdio")
    return 0


def _opened(options: argparse.Namespace) -> PainterProtocol:
    """The painter that the options name."""
    import ember_widgets as ember

    if options.url:
        return ember.connect(options.url, _token(options.token_file))
    if not options.model:
        return ember.Painter.embedded()
    loading: dict[str, Any] = {
        name: getattr(options, name)
        for name in (
            "site",
            "labels",
            "device",
            "dtype",
            "revision",
            "cache_dir",
            "token",
            "local_files_only",
        )
    }
    variant = None if options.variant == "none" else options.variant
    return ember.Painter.from_pretrained(options.model, sae=options.sae, variant=variant, **loading)


def _token(path: str | None) -> str | None:
    """The first token in a file."""
    return None if path is None else next(iter(people_of(Path(path).expanduser())))
