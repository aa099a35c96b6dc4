"""A JupyterLab server of the tests' own: own home, own settings, own port, gone when the tests are gone."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import nbformat

from tests.lab import leash

REPOSITORY = Path(__file__).resolve().parents[2]
START_LIMIT_S = 90.0

# News and update checks would reach for the network; autosave would pop up dialogs over half-saved notebooks.
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


class LabServer:
    """JupyterLab on a free port of the loopback interface, serving the notebooks of ``folder/notebooks``.

    Args:
        folder: where everything the server writes goes; created when missing.
        dark: start in Lab's dark theme.
    """

    def __init__(self, folder: Path, *, dark: bool = False) -> None:
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True, exist_ok=True)
        self.runtime = folder / "runtime"
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._log_path = folder / "server.log"
        themes = {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}
        self._write_settings(
            folder / "settings", {**SETTINGS, "@jupyterlab/apputils-extension/themes": themes}
        )
        with self._log_path.open("wb") as log:
            self._leash = leash.start(
                self._command(), env=self._environment(folder), stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_until_it_answers()

    def write_notebook(self, name: str, cells: list[str]) -> str:
        """Write a notebook of code cells; returns its name."""
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.notebooks / name)  # type: ignore[no-untyped-call]
        return name

    def address(self, notebook: str) -> str:
        # `reset` drops the workspace, so that no notebook of an earlier test is opened beside this one.
        return f"{self.base}/lab/tree/{notebook}?token={self.token}&reset"

    def stop_kernel(self, notebook: str) -> None:
        for session in self._api("sessions"):
            if session["path"] == notebook:
                self._api(f"sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        if self._leash.stdin is not None:
            self._leash.stdin.close()
        self._leash.wait(30)

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def __enter__(self) -> LabServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.notebooks}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]

    def _environment(self, folder: Path) -> dict[str, str]:
        return {**self.environment_in(folder), "JUPYTER_TOKEN": self.token}

    @staticmethod
    def environment_in(folder: Path) -> dict[str, str]:
        """Variables that keep a server and its kernels away from the user's own files."""
        home = folder / "home"
        home.mkdir(exist_ok=True)
        return {
            **os.environ,
            "HOME": str(home),
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_PLATFORM_DIRS": "0",
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            # The kernels find the package and the fake painter of these tests.
            "PYTHONPATH": str(REPOSITORY),
            "HF_HUB_OFFLINE": "1",
            # Kernels draw previews as a user's do, whatever the unit tests have set.
            "EMBER_WIDGETS_PREVIEWS": "",
        }

    @staticmethod
    def _write_settings(folder: Path, settings: dict[str, dict[str, Any]]) -> None:
        for name, values in settings.items():
            path = folder / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def _wait_until_it_answers(self) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self._api("status")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self._leash.poll() is not None or time.monotonic() > limit:
                    self.stop()
                    raise RuntimeError(f"JupyterLab did not start:\n{self.log()[-3000:]}") from None
                time.sleep(0.1)

    def _api(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(
            f"{self.base}/api/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
