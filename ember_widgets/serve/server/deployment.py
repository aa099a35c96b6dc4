"""The server on Ray Serve: one process per replica, each with a painter of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import ray
from ray import serve

from ember_widgets.serve.server.options import CANNOT_PAINT, ServeOptions, load_painter
from ember_widgets.serve.server.resources import cpus_of, gpus_of

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

    from ember_widgets.serve.server.replica import Replica, Shows

SPARE_REQUESTS = 100
"""What a replica answers beside its sessions: files, pages, and the refusal of sessions too many."""
# What a user can put right; anything else is a fault of ours, and its traceback is wanted.
USER_FAULTS = (OSError, ValueError, TypeError, ImportError, MemoryError)

held: list[Replica] = []
"""The replica of this process. Ray makes the app by a function without arguments, which finds it here."""


class CannotPaint(Exception):
    """A painter could not be loaded; the message is one line."""


class PainterReplica:
    """One process that paints; Ray makes, watches and ends it.

    Args:
        args: Fields of `ServeOptions`.

    Raises:
        CannotPaint: The painter cannot be loaded.
    """

    def __init__(self, args: Mapping[str, Any]) -> None:
        options = ServeOptions.from_args(args)
        _set_threads(options)
        # Only now: torch reads the number of threads when it is loaded.
        from ember_widgets.serve.server.replica import Replica
        from ember_widgets.serve.server.scheduler import Scheduler
        from ember_widgets.serve.server.tokens import Tokens

        scheduler = Scheduler()
        try:
            painter = scheduler.submit("load", lambda cancelled: load_painter(options)).result()
            tokens = Tokens.load(options.token_file) if options.token_file else Tokens()
            gallery = _gallery(options.gallery)
        except USER_FAULTS as fault:
            raise CannotPaint(f"{CANNOT_PAINT}{' '.join(str(fault).split())}") from fault
        self.replica = Replica(
            painter, limits=options.all_limits, tokens=tokens, gallery=gallery, scheduler=scheduler
        )
        held.append(self.replica)

    def __del__(self) -> None:
        # Ray calls it before it ends the process, also if the model could not be loaded.
        if hasattr(self, "replica"):
            self.replica.close()


def app_of_this_process() -> FastAPI:
    """The app of the replica that this process has made."""
    from ember_widgets.serve.server.app import create_app

    return create_app(held[-1])


def build(args: Mapping[str, Any]) -> Application:
    """The application that Ray Serve runs; a file for `serve run` names it as `import_path`.

    Args:
        args: Fields of `ServeOptions`, by name.

    Raises:
        TypeError, ValueError, FileNotFoundError: See `ServeOptions.from_args`.
    """
    options = ServeOptions.from_args(args)
    there = ray.cluster_resources() if ray.is_initialized() else {}  # type: ignore[no-untyped-call]
    deployment = serve.deployment(
        name="Painter",
        **_scaling(options),
        ray_actor_options={"num_cpus": cpus_of(options, there), "num_gpus": gpus_of(options, there)},
        max_ongoing_requests=options.all_limits.sessions + SPARE_REQUESTS,
        health_check_period_s=1,
        health_check_timeout_s=30,
        # Sessions do not end by themselves; clients connect again, and draw their newest scene.
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=2,
        # A painter that cannot be loaded will not be loaded at the next try.
        max_constructor_retry_count=1,
    )
    application: Application = deployment(serve.ingress(app_of_this_process)(PainterReplica)).bind(
        asdict(options)
    )
    return application


def _scaling(options: ServeOptions) -> dict[str, Any]:
    if options.min_replicas is None:
        return {"num_replicas": options.replicas}
    return {
        "autoscaling_config": {
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            # To Ray, a session is a request that lasts. 25 people keep one device busy: a third of them
            # paints at a time.
            "target_ongoing_requests": min(25, options.all_limits.sessions),
            # A replica less is 25 sessions that have to connect again.
            "downscale_delay_s": 600,
        }
    }


def _gallery(folder: str | None) -> Shows | None:
    if folder is None:
        return None
    from ember_widgets.serve.server.gallery import Gallery

    return Gallery(folder)


def _set_threads(options: ServeOptions) -> None:
    """Ray has set a number of its own, that of the CPUs it reserves."""
    threads = options.threads
    if threads is None and options.most_replicas > 1:
        threads = max(1, (os.cpu_count() or 1) // options.most_replicas)
    if threads is None:
        os.environ.pop("OMP_NUM_THREADS", None)
    else:
        os.environ["OMP_NUM_THREADS"] = str(threads)
