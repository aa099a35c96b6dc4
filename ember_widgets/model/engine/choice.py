"""Chooses how a network is run on a device."""

from __future__ import annotations

from typing import Any

from ember_widgets.model.engine.graphs import Graphs, Recorded
from ember_widgets.model.engine.traces import Traced
from ember_widgets.model.engine.twin import Twin
from ember_widgets.model.engine.watch import Watch
from ember_widgets.model.placement import Placement


def graphs(placement: Placement, watch: Watch, *, on_gpu: bool = True) -> Graphs:
    """How a network's work is recorded: traced on a CPU, CUDA graphs on a GPU.

    Nothing is recorded where parts are moved between devices, which also is where memory is short.

    Args:
        placement: Where the network lies.
        watch: Watches the network; `runnable` asks it.
        on_gpu: Whether to record on a GPU.
    """
    device = placement.device.type if placement.keep == "all" else ""
    if device == "cpu":
        return Graphs(Traced, watch)
    return Graphs(Recorded if device == "cuda" and on_gpu else None, watch)


def runnable(placement: Placement, twin: Twin, network: Any) -> Any:
    """What to call instead of the network as it now is: on a CPU its twin, elsewhere the network itself."""
    stays = placement.keep != "one at a time" and placement.device.type == "cpu"
    if stays:
        return twin.of(network)
    twin.watch.version(network)
    return network
