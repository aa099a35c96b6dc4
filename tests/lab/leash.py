"""Run a command that cannot outlive whoever started it.

The leash starts the command in a process group of its own and reads its standard input. The starter holds the
other end: when it closes it, or dies however suddenly, the read ends and the whole group is stopped. A killed
test run thus leaves no server behind, on any POSIX system.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

GRACE_S = 8.0  # A Jupyter server needs a moment to shut its kernels down.


def start(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command on a leash; closing the standard input of what is returned stops it.

    Args:
        command: what to run.
        options: for ``Popen``.
    """
    return subprocess.Popen(
        [sys.executable, __file__, *command],
        stdin=subprocess.PIPE,
        # A signal to the starter's whole group, as Ctrl-C is one, must not end the leash before its task.
        start_new_session=True,
        **options,
    )


def main(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop_when_let_go() -> None:
        sys.stdin.buffer.read()
        let_go.set()
        _signal_group(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        # Not only the command: what it started may take longer to end than it does itself.
        while _has_members(child.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        _signal_group(child.pid, signal.SIGKILL)

    let_go = threading.Event()
    stopping = threading.Thread(target=stop_when_let_go, daemon=True)
    stopping.start()
    code = child.wait()
    if let_go.is_set():
        stopping.join()
    return code


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
