"""What the other tests in a real JupyterLab lean on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.conftest import OpenNotebook
from tests.lab.server import REPOSITORY

START_AND_HANG = """
import sys, time
from pathlib import Path
from tests.lab.server import LabServer
print(LabServer(Path(sys.argv[1])).port, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("kill", "number"),
    [(os.kill, signal.SIGKILL), (os.killpg, signal.SIGTERM)],
    ids=["killed", "its whole group told to end"],
)
def test_the_server_dies_with_the_test_process(
    tmp_path: Path, kill: Callable[[int, int], None], number: signal.Signals
) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", START_AND_HANG, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        assert _answers(port)

        kill(starter.pid, number)

    limit = time.monotonic() + 30
    while _answers(port):
        assert time.monotonic() < limit, "the server outlived the process that started it"
        time.sleep(0.2)


def test_the_kernel_is_asked_in_the_notebooks_namespace(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(["x = {'text': \"it's ✓\", 'numbers': [1, 2.5]}"])

    notebook.tell("x['more'] = True")

    assert notebook.ask("x") == {"text": "it's ✓", "numbers": [1, 2.5], "more": True}


def test_an_error_in_a_cell_fails_the_test(open_notebook: OpenNotebook) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        open_notebook(["1 / 0"])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
