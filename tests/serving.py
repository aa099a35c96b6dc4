"""A real server for tests: uvicorn on a free port of this computer, in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from ember_widgets.painter.painter import Painter
from ember_widgets.serve.server.app import create_app
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.wire.frames import MAX_FRAME_BYTES


@contextlib.contextmanager
def serving(replica: Replica, port: int = 0) -> Iterator[str]:
    """Serve a replica; gives the address, "http://127.0.0.1:port". The replica stays open."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        create_app(replica),
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=4 * MAX_FRAME_BYTES,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@contextlib.contextmanager
def running(painter: Painter, *, port: int = 0, **replica_args: Any) -> Iterator[str]:
    """Serve a painter; gives the address. Other arguments are those of `Replica`."""
    replica = Replica(painter, **replica_args)
    try:
        with serving(replica, port) as url:
            yield url
    finally:
        replica.close()
