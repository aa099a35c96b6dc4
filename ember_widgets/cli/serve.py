"""`ember-widgets serve`: a painter for remote notebooks, a class, agents and scripts."""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ember_widgets._version import __version__
from ember_widgets.cli import model_options
from ember_widgets.cli.errors import UserError
from ember_widgets.cli.token_file import MOST_TOKENS, fill, people_of
from ember_widgets.serve.server.options import EMBEDDED
from ember_widgets.serve.wire.loopback import is_loopback

if TYPE_CHECKING:
    from types import FrameType

    from ember_widgets.serve.server.options import ServeOptions

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(?:i?B)?", re.IGNORECASE)
EXAMPLE = """\
examples:
  ember-widgets serve --embedded
  ember-widgets serve --model stabilityai/sdxl-turbo --sae surokpro2/sdxl-saes --device cuda
for a class of 30 in the same network, with a link for each:
  ember-widgets serve --embedded --host 0.0.0.0 --token-file class.txt --make-tokens 30

In a notebook elsewhere:  painter = ember.connect("http://...:8777", token="...")
More replicas, clusters and TLS: docs/serving.md."""


def size(text: str) -> int:
    """A number of bytes, such as 512M or 2G (of 1024 each)."""
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give one such as 512M or 2G")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is given."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Serve a painter, which notebooks elsewhere use with ember.connect(...)."
    parser.epilog = EXAMPLE
    what = model_options.add(parser, "what is served", site="append")
    what.add_argument("--vae", help="hub id or folder of another VAE")
    what.add_argument("--preview-vae", help="hub id or folder of a small decoder for previews")
    what.add_argument("--labels", help="file, folder or hub id of labels")
    what.add_argument("--concepts", metavar="FILE", help="concepts that search and palette offer")
    what.add_argument("--gallery", metavar="FOLDER", help="keep shared pictures there, and show them")
    where = parser.add_argument_group("who may use it")
    where.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    where.add_argument("--port", type=int, default=8777, help="0 = any that is free (default: %(default)s)")
    where.add_argument("--token-file", metavar="FILE", help="tokens of those who may, one in each line")
    where.add_argument(
        "--make-tokens", type=int, metavar="N", help="add to the file until it has N, and print N links"
    )
    where.add_argument("--public-url", metavar="URL", help="how others reach the server, for these links")
    how = parser.add_argument_group("processes")
    how.add_argument("--replicas", type=int, default=1, help="processes, each with a model (default: 1)")
    how.add_argument("--min-replicas", type=int, metavar="N", help="instead: as many as are needed, but ...")
    how.add_argument("--max-replicas", type=int, metavar="N", help="... within these limits")
    how.add_argument("--gpus-per-replica", type=float, metavar="N", help="1 or a share (default: 1 if any)")
    how.add_argument("--cpus-per-replica", type=float, metavar="N", help="to reserve (default: equal shares)")
    how.add_argument("--threads", type=int, help="of a replica (default: this machine's cores, shared)")
    how.add_argument(
        "--starts-memory",
        type=size,
        default=2**30,
        metavar="SIZE",
        help="of a replica for pictures begun, which makes further strokes cheap (default: 1G)",
    )
    how.add_argument("--address", help="of a Ray cluster to serve on; auto = the one `ray start` made here")
    how.add_argument(
        "--class-size", action="store_true", help="find out how many painters this machine carries, and end"
    )
    limits = parser.add_argument_group("limits of each client")
    limits.add_argument("--max-steps", type=int, metavar="N", help="denoising steps (default: 4)")
    limits.add_argument("--requests-per-s", type=float, metavar="N", help="on average (default: 30)")
    limits.add_argument("--idle-minutes", type=float, metavar="N", help="until a session ends (default: 60)")
    limits.add_argument("--sessions", type=int, metavar="N", help="open at once, per replica (default: 200)")
    limits.add_argument("--sessions-per-token", type=int, metavar="N", help="open at once (default: 8)")


def serve(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit status.

    Raises:
        UserError: Something that the user can put right.
    """
    _check_extra()
    _check_class_size(options)
    _check_host(options)
    people = _people(options)
    port = _port(options)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        wanted = serve_options(options)
        _serve(options, wanted, port, people)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(" ".join(str(error).split())) from error
    except KeyboardInterrupt:
        print("stopped")
    return 0


def serve_options(options: argparse.Namespace) -> ServeOptions:
    """What the server is asked for.

    Raises:
        ValueError, FileNotFoundError: See `ServeOptions`.
    """
    from ember_widgets.serve.server.options import ServeOptions

    limits = {
        "n_steps": options.max_steps,
        "requests_per_s": options.requests_per_s,
        "idle_minutes": options.idle_minutes,
        "sessions": options.sessions,
        "sessions_per_token": options.sessions_per_token,
    }
    if options.class_size:
        # All painters of the test come from one address.
        limits |= {"sessions": 1000, "sessions_per_token": 1000}
    model_options.check(options)
    loading = model_options.loading(options)
    del loading["token"]  # see `_serve`
    return ServeOptions(
        model=model_options.name_of(options),
        sae=options.sae,
        site=tuple(options.site or ()),
        **loading,
        vae=options.vae,
        preview_vae=options.preview_vae,
        labels=options.labels,
        concepts=_absolute(options.concepts),
        gallery=_absolute(options.gallery),
        token_file=_absolute(options.token_file),
        without_tokens=options.token_file is None,
        replicas=options.replicas,
        min_replicas=options.min_replicas,
        max_replicas=options.max_replicas,
        gpus_per_replica=options.gpus_per_replica,
        cpus_per_replica=options.cpus_per_replica,
        threads=_threads() if options.threads is None else options.threads,
        starts_memory=options.starts_memory,
        limits={name: value for name, value in limits.items() if value is not None},
    )


def _serve(
    options: argparse.Namespace, wanted: ServeOptions, port: int, people: list[tuple[str, str]]
) -> None:
    from ember_widgets.serve.server.served import Served

    if options.token:
        # By the environment, not as an argument: Ray keeps arguments where each of its clients can read them.
        os.environ["HF_TOKEN"] = options.token
    print(f"Loading {named(wanted.model)} ...", flush=True)
    with Served(wanted, host=options.host, port=port, address=options.address) as served:
        if options.class_size:
            _find_class_size(_url(options.host, port))
            return
        for line in announcement(options, port, people):
            print(line, flush=True)
        served.wait()


def _find_class_size(url: str) -> None:
    """Let simulated painters paint on the server, and print how it went."""
    from ember_widgets.serve.client.address import Address
    from ember_widgets.serve.client.load import class_size

    print("Simulated painters, of whom a third paints at a time, 3 strokes per second:", flush=True)
    class_size(Address.of(url), report=lambda line: print(line, flush=True))


def announcement(options: argparse.Namespace, port: int, people: list[tuple[str, str]]) -> list[str]:
    """What is printed when the server is up."""
    url = public_url(options, port)
    token = ', token="..."' if options.token_file else ""
    lines = [
        "",
        f"ember-widgets {__version__} serves {named(model_options.name_of(options))} at {url}",
        "",
        "In a notebook:",
        "    import ember_widgets as ember",
        f'    painter = ember.connect("{url}"{token})',
        "    ember.PaintWidget(painter)",
        "",
    ]
    if people:
        links = [f"    {name}: {url}/#token={quote(token, safe='')}" for name, token in people]
        lines += ["A link for each person, which says how to begin:", *links, ""]
    elif options.token_file:
        lines += [f"Tokens: {options.token_file}", ""]
    return [*lines, "Ctrl-C stops the server."]


def named(model: str) -> str:
    """A model in a sentence."""
    return "the embedded model" if model == EMBEDDED else model


def public_url(options: argparse.Namespace, port: int) -> str:
    """How others reach the server, without a slash at the end."""
    if options.public_url:
        return str(options.public_url).rstrip("/")
    return _url(_own_address() if options.host in ("0.0.0.0", "::") else options.host, port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _people(options: argparse.Namespace) -> list[tuple[str, str]]:
    """(name, token) of those who are to get a link; a wrong file is noticed before a model is loaded."""
    if options.public_url and urlsplit(options.public_url).scheme not in ("http", "https"):
        raise UserError(f"--public-url {options.public_url}: give it as http://... or https://...")
    if options.make_tokens is not None and not options.token_file:
        raise UserError("--make-tokens needs a file to write them to; give --token-file")
    if options.make_tokens is not None and not 1 <= options.make_tokens <= MOST_TOKENS:
        raise UserError(f"--make-tokens {options.make_tokens}: give how many, 1 to {MOST_TOKENS:,}")
    if not options.token_file:
        return []
    path = Path(options.token_file).expanduser()
    try:
        if options.make_tokens is None:
            people_of(path)
            return []
        return fill(path, options.make_tokens)
    except (OSError, ValueError) as error:
        raise UserError(f"--token-file: {' '.join(str(error).split())}") from error


def _check_extra() -> None:
    if any(find_spec(package) is None for package in ("ray", "fastapi", "uvicorn")):
        raise UserError("Ray Serve is not installed; run: pip install 'ember-widgets[serve]'")


def _check_class_size(options: argparse.Namespace) -> None:
    """Refuse what has no effect where nobody but simulated painters is served."""
    if not options.class_size:
        return
    names = ("token_file", "make_tokens", "public_url", "sessions", "sessions_per_token")
    idle = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    idle += [] if is_loopback(options.host) else ["--host"]
    if idle:
        raise UserError(f"--class-size serves nobody else; leave out {' and '.join(idle)}")


def _check_host(options: argparse.Namespace) -> None:
    """Without tokens only this machine may reach the server."""
    if options.token_file or is_loopback(options.host):
        return
    raise UserError(
        f"--host {options.host} lets others reach the server, and there are no tokens; give --token-file "
        "(with --make-tokens N the file is made), or leave out --host"
    )


def _threads() -> int | None:
    """What the environment says."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return (int(given) or None) if given.isdecimal() else None


def _port(options: argparse.Namespace) -> int:
    """Where the server is to listen."""
    if not 0 <= options.port < 2**16:
        raise UserError(f"--port {options.port}: give a number from 0 to 65535")
    in_cluster = options.address or os.environ.get("RAY_ADDRESS")
    # The Ray Serve of a cluster may listen there already, for us too.
    return int(options.port) if in_cluster and options.port else _free_port(options.host, options.port)


def _free_port(host: str, port: int) -> int:
    """The port, if nobody else has it; for 0, one that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except socket.gaierror as error:
            raise UserError(f"--host {host} is not an address of this machine") from error
        except OSError as error:
            raise UserError(
                f"cannot listen at {host}:{port} ({error.strerror}); give another --port, or end what uses it"
            ) from error
        return int(probe.getsockname()[1])


def _own_address() -> str:
    """How this machine is called in its network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # no network
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _absolute(path: str | None) -> str | None:
    """A file as the replicas find it: they work in another folder."""
    return None if path is None else str(Path(path).expanduser().absolute())


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
