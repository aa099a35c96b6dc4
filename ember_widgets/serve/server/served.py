"""A server that runs while a block does: Ray, Ray Serve and the replicas.

Ray listens on several ports of its own, through which whoever may connect can run code. So the private Ray
of a server listens on 127.0.0.1 only, and wants a token that only its own processes know.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ember_widgets.serve.server import resources
from ember_widgets.serve.server.options import CANNOT_PAINT, ServeOptions

if TYPE_CHECKING:
    from typing_extensions import Self

APP = "ember-widgets"
FAULT = re.compile(re.escape(CANNOT_PAINT) + r"(.*)")
# Ray reads these when it is imported, and its processes inherit them.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_LOG_TO_STDERR": "0", "RAY_COLOR_PREFIX": "0"}


class Served:
    """A server that runs while the block does.

    Args:
        options: What is served.
        host, port: Where the server listens.
        address: Of a Ray cluster that runs already, or "auto" for the one on this machine; None = the
            environment's RAY_ADDRESS, and else a private one that ends with the block.

    Raises:
        ConnectionError: There is no such cluster, or its Ray Serve listens elsewhere.
        ValueError: The cluster has too few GPUs or CPU cores, or the painter cannot be loaded; the message is
            one line.
    """

    def __init__(self, options: ServeOptions, *, host: str, port: int, address: str | None = None) -> None:
        self.options, self.host, self.port = options, host, port
        self.address = address or os.environ.get("RAY_ADDRESS")
        self._is_deployed = False

    def __enter__(self) -> Self:
        for name, value in (QUIET if self.address else QUIET | _private()).items():
            os.environ.setdefault(name, value)
        try:
            with _later():
                self._connect()
            self._deploy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *fault: Any) -> None:
        import ray
        from ray import serve

        if not ray.is_initialized():
            return
        if self._is_deployed:
            with contextlib.suppress(Exception):  # Ray may have ended first
                serve.delete(APP)
                if self.address and not serve.status().applications:
                    # Else it would keep the port, also from the next server.
                    serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()

    def wait(self) -> None:
        """Wait until the server ends by itself, which it does if somebody else ends Ray or removes it.

        Raises:
            ConnectionError: It did.
        """
        from ray import serve

        while True:
            time.sleep(2)
            try:
                found = serve.status().applications.get(APP)
            except Exception as fault:
                raise ConnectionError("Ray has ended, and the server with it; start it again") from fault
            if found is None:
                raise ConnectionError("the server was removed from its Ray cluster; start it again")

    def _connect(self) -> None:
        import ray

        if self.address:
            ray.init(self.address, namespace=APP, logging_level=logging.ERROR)
        else:
            ray.init("local", namespace=APP, logging_level=logging.ERROR, include_dashboard=False)

    def _deploy(self) -> None:
        import ray
        from ray import serve

        from ember_widgets.serve.server.deployment import build

        resources.check(self.options, ray.cluster_resources())  # type: ignore[no-untyped-call]
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        quiet = {"log_level": "ERROR", "enable_access_log": False}
        serve.start(
            proxy_location="HeadOnly",
            http_options={"host": self.host, "port": self.port},
            logging_config=quiet,
        )
        # A private Ray that is interrupted now simply ends; somebody else's must not keep the replicas.
        self._is_deployed = self.address is not None
        try:
            serve.run(build(asdict(self.options)), name=APP, route_prefix="/", logging_config=quiet)
        except RuntimeError as fault:
            found = serve.status().applications.get(APP)
            texts = [] if found is None else [one.message for one in found.deployments.values()]
            for text in (*texts, str(fault)):
                if said := FAULT.search(text):
                    raise ValueError(said[1].strip()) from None
            raise
        self._is_deployed = True
        self._check_address()

    def _check_address(self) -> None:
        """A Ray Serve that ran before listens where it was told to then."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            straight.open(f"{url}/healthz", timeout=30).close()
        except OSError as fault:
            raise ConnectionError(
                f"nothing answers at {url} ({fault}); if Ray Serve runs in this cluster already, give the "
                "--host and --port where it listens"
            ) from None


def _private() -> dict[str, str]:
    """What makes a Ray private. The first is what makes Ray listen on 127.0.0.1 on Windows and macOS."""
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


@contextlib.contextmanager
def _later() -> Iterator[None]:
    """A block that is not interrupted: Ctrl-C and SIGTERM wait for its end.

    A Ray that is interrupted while it starts leaves processes behind for half a minute. It also sets handlers
    of its own, which end with this block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    except SystemExit:  # Ray's own handler
        came.append(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
