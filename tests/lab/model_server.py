"""A server of the embedded model as a process of its own, which a test can kill and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from tests.lab import leash
from tests.lab.server import REPOSITORY

LIMIT_S = 60.0
SERVE = """
import os, sys, tempfile, threading
import ember_widgets as ember
from ember_widgets.serve.server.gallery import Gallery
from tests.serving import running

with tempfile.TemporaryDirectory() as folder:
    with running(ember.Painter.embedded(), port=int(sys.argv[1]), gallery=Gallery(folder)) as url:
        print(os.getpid(), url, flush=True)
        threading.Event().wait()
"""


class ModelServer:
    """Serves on the same port whenever it is started.

    Example:
        >>> with ModelServer() as server:                       # doctest: +SKIP
        ...     server.url
        'http://127.0.0.1:40123'
    """

    def __init__(self) -> None:
        self.url = ""
        self._port = 0
        self._pid = 0
        self._leash: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        self._leash = leash.start(
            [sys.executable, "-c", SERVE, str(self._port)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert self._leash.stdout is not None
        pid, self.url = self._leash.stdout.readline().split()
        self._pid, self._port = int(pid), int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """As the system does when memory runs out: without a goodbye."""
        if self._leash is None:
            return
        os.kill(self._pid, signal.SIGKILL)
        for stream in (self._leash.stdin, self._leash.stdout):
            assert stream is not None
            stream.close()
        self._leash.wait(LIMIT_S)
        self._leash = None

    def __enter__(self) -> ModelServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
