"""Run a command that cannot outlive whoever started it.

``python leash.py command ...`` starts the command in its own process group and reads its standard input. The
starter holds the other end: when it closes it, or dies however suddenly, the read ends and the whole group is
stopped. A killed test run thus leaves no server behind, on any POSIX system.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_S = 8.0  # A Jupyter server needs a moment to shut its kernels down.


def main(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop_when_let_go() -> None:
        sys.stdin.buffer.read()
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, signal.SIGKILL)

    threading.Thread(target=stop_when_let_go, daemon=True).start()
    # A Ctrl-C at the terminal goes to the starter, which then lets go.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return child.wait()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
