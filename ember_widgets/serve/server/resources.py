"""What replicas take of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ember_widgets.serve.server.options import ServeOptions
from ember_widgets.util import checks


def gpus_of(options: ServeOptions, there: Mapping[str, float]) -> float:
    """How many GPUs a replica takes.

    Args:
        options: What is served.
        there: What the cluster has, as `ray.cluster_resources()` says it; {} before Ray is started.
    """
    if options.gpus_per_replica is not None or options.is_on_cpu:
        return options.gpus_per_replica or 0
    return 1 if there.get("GPU", 0) >= 1 else 0


def cpus_of(options: ServeOptions, there: Mapping[str, float]) -> float:
    """How many CPU cores a replica takes.

    Args:
        options, there: As for `gpus_of`.
    """
    if options.cpus_per_replica is not None:
        return options.cpus_per_replica
    # In a container with a quota, Ray counts fewer cores than the machine has.
    here = os.cpu_count() or 1
    share = min(here, there.get("CPU", here)) / options.most_replicas
    return int(share) if share >= 1 else share


def check(options: ServeOptions, there: Mapping[str, float]) -> None:
    """Refuse replicas for which Ray would wait without end.

    Args:
        options, there: As for `gpus_of`.

    Raises:
        ValueError: The cluster has too few GPUs or CPU cores.
    """
    n = options.fewest_replicas
    for name, what, of_one, less in (
        ("GPU", "GPUs", gpus_of(options, there), "less than 1 GPU per replica, or 0 for a CPU"),
        ("CPU", "CPU cores", cpus_of(options, there), "fewer cores per replica"),
    ):
        needed, found = n * of_one, float(there.get(name, 0))
        if needed > found:
            raise ValueError(
                f"{checks.plural(n, 'replica')} would take {needed:g} {what}, but Ray sees {found:g}; give "
                f"fewer replicas, or {less}"
            )
