"""Chooses how a network is run on a device."""

from __future__ import annotations

from typing import Any

from ember_widgets.model.engine.graphs import Graphs, Recorded
from ember_widgets.model.engine.traces import Traced
from ember_widgets.model.engine.twin import Twin
from ember_widgets.model.placement import Placement


def graphs(placement: Placement, twin: Twin, *, on_gpu: bool = True) -> Graphs:
    """How a network's work is recorded: traced on a CPU, CUDA graphs on a GPU.

    Nothing is recorded where parts are moved between devices, which also is where memory is short.

    Args:
        placement: Where the network lies.
        twin: The network's twin.
        on_gpu: Whether to record on a GPU.
    """
    device = placement.device.type if placement.keep == "all" else ""
    if device == "cpu":
        return Graphs(Traced, twin.watch)
    return Graphs(Recorded if device == "cuda" and on_gpu else None)


def runnable(placement: Placement, twin: Twin, network: Any) -> Any:
    """What to call instead of the network: on a CPU its twin, elsewhere the network itself."""
    stays = placement.keep != "one at a time" and placement.device.type == "cpu"
    return twin.of(network) if stays else network
