"""The ``ember-widgets`` command: open the notebooks, fetch SDXL-Turbo, draw a saved scene, say what is there.

A user's mistake is one line on stderr and exit status 2; only a fault of ours shows a traceback.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ember_widgets._version import __version__

PACKAGE = Path(__file__).resolve().parents[1]
MODEL_CARD = PACKAGE / "embedded" / "assets" / "MODEL_CARD.md"
FIRST_NOTEBOOK = "01_paint.ipynb"
FIRST_PORT = 8888
LIBRARIES = (
    *("torch", "diffusers", "transformers", "safetensors", "scikit-learn", "numpy"),
    *("anywidget", "ipywidgets", "ipycanvas", "jupyterlab"),
)


class UserError(Exception):
    """Something that the user can put right; the message says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
        arguments: as after the command's name; those of the process by default.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "demo":
            return demo(Path(options.folder), browser=not options.no_browser)
        if options.command == "render":
            render(Path(options.scene), Path(options.output))
        elif options.command == "download":
            return download(options)
        else:
            print("\n".join(info()))
    except UserError as error:
        print(f"ember-widgets: {error}", file=sys.stderr)
        return 2
    return 0


def demo(folder: Path, *, browser: bool) -> int:
    """Open JupyterLab on the first notebook and stay until it ends; prints the address in any case.

    In a checkout the notebooks are opened where they are, else they are copied to ``folder``.
    """
    if find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed; run: pip install 'ember-widgets[lab]'")
    notebooks = _checkout_notebooks() or copy_notebooks(folder)
    port = _free_port()
    # The token goes by the environment: a command line can be read by every user of the machine.
    token = secrets.token_hex(24)
    browser = browser and _has_browser()
    command = [
        *(sys.executable, "-m", "jupyterlab", str(notebooks / FIRST_NOTEBOOK)),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={notebooks}",
        *([] if browser else ["--no-browser"]),
        # Jupyter refuses root unless told; in a container there is often nobody else.
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]
    address = f"http://127.0.0.1:{port}/lab/tree/{FIRST_NOTEBOOK}?token={token}"
    print(f"Notebooks: {notebooks}")
    print(f"{'Opening' if browser else 'Open this address in a browser:'} {address}")
    print("Ctrl-C stops the server.", flush=True)
    # Whoever ends the demo ends its server: as Ctrl-C does, so does a plain kill.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(command, env={**os.environ, "JUPYTER_TOKEN": token}) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:  # The server got it too, and may take its time to ask about its kernels.
            server.terminate()
            server.wait()
            return 0


def copy_notebooks(folder: Path) -> Path:
    """Copy the notebooks that came with the package to ``folder``; what is there already stays as it is."""
    packaged = PACKAGE / "notebooks"
    if not packaged.is_dir():
        raise UserError(f"the notebooks are missing from {PACKAGE}; reinstall ember-widgets")
    try:
        for source in sorted(path for path in packaged.rglob("*") if path.is_file()):
            target = folder / source.relative_to(packaged)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"cannot write the notebooks to {folder}: {error}; give --folder") from error
    return folder.resolve()


def render(scene_path: Path, output: Path) -> None:
    """Draw a saved scene with the embedded model and write the picture."""
    from PIL import Image

    from ember_widgets.scene.scene import Scene

    # Both are quick to check and slow to find out later: loading the model takes seconds.
    known = Image.registered_extensions()
    if output.suffix.lower() not in known:
        raise UserError(f"cannot tell the picture format from {output.name!r}; end it in .png, .jpg or .webp")
    if not output.parent.is_dir():
        raise UserError(f"folder {output.parent} does not exist; create it first")
    try:
        scene = Scene.load(scene_path)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error

    from ember_widgets.painter.painter import Painter

    try:
        picture = Painter.embedded().render(scene)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    try:
        picture.save(output)
    except OSError as error:
        raise UserError(f"cannot write {output}: {error}") from error
    print(f"{output}: {picture.width}×{picture.height}")


def download(options: argparse.Namespace) -> int:
    """Say what painting on SDXL-Turbo needs, and fetch it; a second call fetches what is missing."""
    from ember_widgets.model.sdxl import download
    from ember_widgets.util.hub import Hub

    hub = Hub(Path(options.cache_dir) if options.cache_dir else None, options.token)
    try:
        items = download.plan(
            hub,
            model=options.model,
            sae=options.sae,
            sites=options.site or ["down.2.1"],
            vae=options.vae,
            preview_vae=None if options.preview_vae == "none" else options.preview_vae,
            variant=None if options.variant == "none" else options.variant,
            revision=options.revision,
        )
        print("\n".join(download.told(items, hub)), flush=True)
        if not options.yes:
            if not sys.stdin.isatty():
                raise UserError("nothing was fetched: there is nobody to ask here; give --yes to go on")
            if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
                print("Nothing was fetched.")
                return 1
        download.fetch(items, hub)
    except KeyboardInterrupt:
        raise UserError("stopped; run it again: every file that has arrived is kept") from None
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    print("All is here. In a notebook:")
    cache = f", cache_dir={options.cache_dir!r}" if options.cache_dir else ""
    print(f"  ember.Painter.from_pretrained({options.model!r}, sae={options.sae!r}{cache})")
    return 0


def info() -> Iterator[str]:
    """Lines that tell what is installed and what it would run on: what a bug report needs."""
    yield f"ember_widgets {__version__} in {PACKAGE}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for library in LIBRARIES:
        yield f"  {library:<13} {_version(library)}"
    yield from _compute()
    yield from _embedded_model()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ember-widgets",
        description="Paint pictures with the features of a diffusion model, in a notebook.",
    )
    parser.add_argument("--version", action="version", version=f"ember-widgets {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="demo | download | render | info")
    demo = commands.add_parser("demo", help="open the notebooks in JupyterLab")
    demo.add_argument(
        "--folder",
        default="ember-notebooks",
        help="where the notebooks are copied to, unless run from a checkout (default: ./ember-notebooks)",
    )
    demo.add_argument("--no-browser", action="store_true", help="only print the address")
    fetch = commands.add_parser("download", help="fetch SDXL-Turbo, an SAE and a preview decoder, once")
    fetch.add_argument("--model", default="stabilityai/sdxl-turbo", help="hub id (default: %(default)s)")
    fetch.add_argument("--sae", default="surokpro2/sdxl-saes", help="hub id (default: %(default)s)")
    fetch.add_argument(
        "--site", action="append", help="site of the SAE, may be repeated (default: down.2.1)", metavar="SITE"
    )
    fetch.add_argument("--vae", help="hub id of another VAE, such as madebyollin/sdxl-vae-fp16-fix")
    fetch.add_argument(
        "--preview-vae", default="madebyollin/taesdxl", help="hub id or 'none' (default: %(default)s)"
    )
    fetch.add_argument(
        "--variant", default="fp16", help="weights for a GPU: fp16; for a CPU: none (default: %(default)s)"
    )
    fetch.add_argument("--revision", help="branch, tag or commit of the model")
    fetch.add_argument("--cache-dir", help="where downloads are kept (default: the hub's cache)")
    fetch.add_argument("--token", help="for gated or private repositories (default: as logged in)")
    fetch.add_argument("-y", "--yes", action="store_true", help="do not ask")
    render = commands.add_parser("render", help="draw a saved scene with the embedded model")
    render.add_argument("scene", help="a file written by scene.save()")
    render.add_argument("-o", "--output", required=True, help="the picture to write: .png, .jpg or .webp")
    commands.add_parser("info", help="print versions, devices and what the embedded model is")
    return parser


def _checkout_notebooks() -> Path | None:
    root = PACKAGE.parent
    notebooks = root / "notebooks"
    is_checkout = (root / "pyproject.toml").is_file() and (notebooks / FIRST_NOTEBOOK).is_file()
    return notebooks if is_checkout else None


def _has_browser() -> bool:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _free_port() -> int:
    """Jupyter's usual port or the next free one: we print the address, so we must know it beforehand."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise UserError(f"no free port in {FIRST_PORT}..{FIRST_PORT + 99}; stop a server you no longer need")


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _compute() -> Iterator[str]:
    if find_spec("torch") is None:
        return
    import torch

    yield f"CPU: {torch.get_num_threads()} threads"
    for device in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(device)
        yield f"CUDA {device}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "MPS: available"


def _embedded_model() -> Iterator[str]:
    if not MODEL_CARD.is_file():
        yield "Embedded model: missing; reinstall ember-widgets"
        return
    size = sum(path.stat().st_size for path in MODEL_CARD.parent.rglob("*") if path.is_file())
    yield f"Embedded model: {size / 1e6:.1f} MB in {MODEL_CARD.parent}"
    for line in _first_paragraph(MODEL_CARD.read_text(encoding="utf-8")):
        yield f"  {line}"


def _first_paragraph(markdown: str) -> Iterator[str]:
    """The text before the first empty line, headings and a front matter block left out."""
    body = markdown.split("\n---\n", 1)[1] if markdown.startswith("---\n") else markdown
    started = False
    for line in body.splitlines():
        if line.strip() and not line.startswith("#"):
            started = True
            yield line.strip()
        elif started:
            return


if __name__ == "__main__":
    sys.exit(main())
