"""CUDA graphs: what a picture costs a GPU is mostly the launching of a thousand small kernels, one by one.

A graph is recorded once, with buffers of its own for what goes in, and launched as a whole. It does the very
same work on the same weights. Where it cannot be recorded the work is done as ever, and the log says so once.

Written and tested without a GPU, and so not measured: on a CPU the buffers are used, and nothing is recorded.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ember_widgets._twin import Watch

LOG = logging.getLogger(__name__)
SHAPES = 2
"""Each graph keeps memory of its own: for a picture, and for a batch of icons."""

Work = Callable[..., Tensor]
"""Tensors in, a tensor out, and nothing else changed; the answer is valid until the next call."""


class Graphs:
    """Recorded work of one network.

    Args:
        enabled: Whether to record at all; where not, work is called as it is.
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._watch = Watch()
        self._version: object = None
        self._recorded: OrderedDict[Any, Recorded] = OrderedDict()

    def run(self, network: nn.Module, work: Work, *given: Tensor) -> Tensor:
        """What `work(*given)` gives.

        Args:
            network: Whose weights the work is done with. When it is changed, the work is recorded anew, and
                while others run hooks in it, not at all.
            work: The same work at each call for inputs of the same shapes.
            given: Its inputs.
        """
        version = self._watch.version(network) if self.enabled else None
        if version is None:
            return work(*given)
        where = version, tuple(p.data_ptr() for p in self._watch.parameters)
        if where != self._version:
            self._recorded.clear()
            self._version = where
        key = tuple((t.shape, t.dtype, t.stride()) for t in given)
        if key not in self._recorded:
            while len(self._recorded) >= SHAPES:
                self._recorded.popitem(last=False)
            self._recorded[key] = Recorded(work, given)
        self._recorded.move_to_end(key)
        try:
            return self._recorded[key](*given)
        except Exception as fault:
            self.enabled = False
            self.forget()
            LOG.warning("CUDA graphs are off, pictures take a little longer: %s", str(fault).split("\n")[0])
            return work(*given)

    def forget(self) -> None:
        """Let go of the memory of all graphs."""
        self._recorded.clear()


class Recorded:
    """Work on buffers of its own, for inputs of one shape.

    Args:
        work: See `Work`.
        given: Its first inputs.
    """

    def __init__(self, work: Work, given: Sequence[Tensor]) -> None:
        self._work = work
        self._buffers = [tensor.clone() for tensor in given]
        self._held: list[tuple[Tensor, int]] = [(tensor, tensor._version) for tensor in given]
        self._graph: Any = None
        self._answer: Tensor | None = None

    def __call__(self, *given: Tensor) -> Tensor:
        for i, (tensor, buffer) in enumerate(zip(given, self._buffers, strict=True)):
            held, version = self._held[i]
            if tensor is not held or tensor._version != version:  # else it is there already
                buffer.copy_(tensor)
                self._held[i] = tensor, tensor._version
        if self._buffers[0].device.type != "cuda":
            return self._work(*self._buffers)
        if self._graph is None:
            self._record()
        self._graph.replay()
        assert self._answer is not None  # recorded above
        return self._answer

    def _record(self) -> None:
        """As PyTorch's notes on CUDA graphs say: warm up on a stream of its own, then record."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self._work(*self._buffers)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._answer = self._work(*self._buffers)
        self._graph = graph
