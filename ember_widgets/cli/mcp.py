"""`ember-widgets mcp`: let an agent paint, over the Model Context Protocol."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ember_widgets.cli import model_options
from ember_widgets.cli.errors import UserError
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
    which = model_options.add(parser, "which model (default: the embedded one)")
    which.add_argument("--labels", help="file, folder or hub id of labels")
    which.add_argument("--url", help="a server of `ember-widgets serve`; the link of a person has the token")
    which.add_argument("--token-file", help="file with the token of that server")
    parser.add_argument("--folder", default=".", help="where pictures are saved (default: this folder)")


def mcp(options: argparse.Namespace) -> int:
    """Serve until the client closes stdin; returns the exit status.

    Raises:
        UserError: The options do not fit together, or the package `mcp` is missing.
    """
    _check(options)
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


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not fit together, or would have no effect."""
    if options.url:
        if said := model_options.given(options):
            raise UserError(f"{said[0]} is of a model here, but --url names a server; give one of them")
        from ember_widgets.serve.client.address import Address

        # Now, and not when an agent first calls.
        for name, read, value in (
            ("url", Address.of, options.url),
            ("token-file", _token, options.token_file),
        ):
            try:
                read(value)
            except (OSError, ValueError) as error:
                raise UserError(f"--{name}: {' '.join(str(error).split())}") from error
        return
    if options.token_file:
        raise UserError("--token-file is for a server; give --url too")
    options.embedded = options.embedded or options.model is None
    model_options.check(options)


def _opened(options: argparse.Namespace) -> PainterProtocol:
    """The painter that the options name."""
    if not options.url:
        return model_options.open_painter(options)
    import ember_widgets as ember

    return ember.connect(options.url, _token(options.token_file))


def _token(path: str | None) -> str | None:
    """The first token in a file."""
    return None if path is None else next(iter(people_of(Path(path).expanduser())))
