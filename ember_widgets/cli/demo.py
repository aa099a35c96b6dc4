"""`ember-widgets demo`: open the notebooks in JupyterLab."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ember_widgets._version import __version__
from ember_widgets.cli.errors import UserError, cannot_write
from ember_widgets.cli.package import PACKAGE

FIRST_NOTEBOOK = "01_paint.ipynb"
FIRST_PORT = 8888
# What `make demo` installs.
EXTRAS = "atlas,lab,labels"
STARTED_BY_US = "EMBER_WIDGETS_DEMO"
# JupyterLab begins with a question whether to fetch its news, which lies over the notebook.
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def demo(folder: Path, *, browser: bool) -> int:
    """Open JupyterLab on the first notebook and stay until it ends.

    The address is always printed, as soon as it can be opened.

    In a checkout the notebooks are opened where they are, else they are copied to ``folder``.
    """
    if find_spec("jupyterlab") is None:
        return _under_uv(folder, browser=browser)
    notebooks = _checkout_notebooks() or copy_notebooks(folder)
    port = _free_port()
    # The token is passed in the environment: a command line can be read by every user of the machine.
    token = secrets.token_hex(24)
    browser = browser and _has_browser()
    command = [
        *(sys.executable, "-m", "jupyterlab", str(notebooks / FIRST_NOTEBOOK)),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={notebooks}",
        *([] if browser else ["--no-browser"]),
        # Jupyter refuses to run as root without this; a container often has no other user.
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]
    address = f"http://127.0.0.1:{port}/lab/tree/{FIRST_NOTEBOOK}?token={token}"
    print(f"Notebooks: {notebooks}", flush=True)
    # Whoever ends the demo ends its server: as Ctrl-C does, so does a plain kill.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="ember-demo-") as settings,
        subprocess.Popen(
            [*command, f"--LabApp.app_settings_dir={write_settings(Path(settings))}"],
            env={**os.environ, "JUPYTER_TOKEN": token},
        ) as server,
    ):
        try:
            if _is_up(server, port):
                print(f"{'Opening' if browser else 'Open this address in a browser:'} {address}")
                print("Ctrl-C stops the server.", flush=True)
            return server.wait()
        except KeyboardInterrupt:  # The server got it too, and may take its time to ask about its kernels.
            server.terminate()
            server.wait()
            return 0


def _under_uv(folder: Path, *, browser: bool) -> int:
    """`uvx ember-widgets demo` installs the package without extras: run the demo again with those it needs.

    Raises:
        UserError: uv did not start this command, or has done so already.
    """
    uv = os.environ.get("UV")
    if uv is None or STARTED_BY_US in os.environ:
        raise UserError(f"JupyterLab is not installed; run: pip install 'ember-widgets[{EXTRAS}]'")
    command = [
        *(uv, "tool", "run", "--python", f"{sys.version_info.major}.{sys.version_info.minor}"),
        *("--from", requirement(), "ember-widgets", "demo", "--folder", str(folder)),
        *([] if browser else ["--no-browser"]),
    ]
    print("JupyterLab is not installed here; uv fetches it now.", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(command, env={**os.environ, STARTED_BY_US: "1"}) as again:
        try:
            return again.wait()
        except KeyboardInterrupt:
            again.terminate()
            again.wait()
            return 0


def requirement() -> str:
    """This package from where it came, the index, a file or a repository, with what the notebooks need."""
    direct_url = metadata.distribution("ember-widgets").read_text("direct_url.json")
    if direct_url is None:
        return f"ember-widgets[{EXTRAS}]=={__version__}"
    came_from = json.loads(direct_url)
    url = came_from["url"]
    if repository := came_from.get("vcs_info"):
        url = f"{repository['vcs']}+{url}@{repository['commit_id']}"
    return f"ember-widgets[{EXTRAS}] @ {url}"


def write_settings(folder: Path) -> Path:
    """Write JupyterLab's default settings for the demo: the installation's, without the question for news.

    What the user has set is elsewhere, stays as it is, and wins.
    """
    from jupyterlab.commands import get_app_dir  # type: ignore[import-untyped]

    installed = Path(get_app_dir()) / "settings"
    if installed.is_dir():
        shutil.copytree(installed, folder, dirs_exist_ok=True)
    overrides = folder / "overrides.d"
    overrides.mkdir(exist_ok=True)
    # The last one in the order of the alphabet wins.
    (overrides / "zz-ember-demo.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    return folder


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
        raise UserError(f"{cannot_write(folder, error)}; give --folder for the notebooks") from error
    return folder.resolve()


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


def _is_up(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server listens; False if it ends before."""
    while not _is_listening(port):
        if server.poll() is not None:
            return False
        time.sleep(0.1)
    return True


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    """Jupyter's usual port or the next free one: we print the address, so we must know it beforehand."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if not _is_listening(port):
            return port
    raise UserError(f"no free port in {FIRST_PORT}..{FIRST_PORT + 99}; stop a server you no longer need")
