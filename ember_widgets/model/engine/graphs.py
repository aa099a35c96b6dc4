"""Recorded work. What a picture costs a GPU is mostly the launching of a thousand small kernels, one by one.

A CUDA graph is recorded once, with buffers of its own for what goes in, and launched as a whole. It does the
very same work on the same weights. Where it cannot be recorded the work is done as ever, and the log says so.
A processor has `_traces` instead.

Written and tested without a GPU, and so not measured: on a CPU the buffers are used, and nothing is recorded.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ember_widgets.model.engine.traces import Traced
from ember_widgets.model.engine.watch import Watch

LOG = logging.getLogger(__name__)

Work = Callable[..., Any]
"""Tensors in, tensors out, and nothing else changed; the answer is valid until the next call."""


class Graphs:
    """Recorded work of one network.

    Args:
        kind: How to record: `Recorded` on a GPU, `_traces.Traced` on a processor; None = not at all.
        watch: One that has always just been asked about the network, which takes a while; None = its own.
    """

    def __init__(self, kind: type[Recorded] | type[Traced] | None, watch: Watch | None = None) -> None:
        self.kind = kind
        self._asked = watch is not None
        self._watch = watch or Watch()
        self._version: object = None
        self._recorded: OrderedDict[Any, Recorded | Traced] = OrderedDict()

    def run(self, network: nn.Module, work: Work, *given: Tensor, n_lasting: int = 0) -> Any:
        """What `work(*given)` gives.

        Args:
            network: Whose weights the work is done with. When it is changed, the work is recorded anew, and
                while others run hooks in it, not at all.
            work: The same work at each call for inputs of the same shapes.
            given: Its inputs.
            n_lasting: How many of them, the last ones, mostly stay as they are.
        """
        if self.kind is None:
            return work(*given)
        version = self._watch.current if self._asked else self._watch.version(network)
        if version is None:
            return work(*given)
        if version != self._version:
            self._recorded.clear()
            self._version = version
        # Sums may be in another order with another number of threads.
        key = torch.get_num_threads(), *((t.shape, t.dtype, t.stride()) for t in given)
        if key not in self._recorded:
            while len(self._recorded) >= self.kind.KEPT:
                self._recorded.popitem(last=False)
            self._recorded[key] = self.kind(work, given, n_lasting)
        self._recorded.move_to_end(key)
        recorded = self._recorded[key]
        if not isinstance(recorded, Recorded):
            return recorded(*given)
        try:
            return recorded(*given)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as fault:
            self.kind = None
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
        n_lasting: Of no use here: what stays is seen by itself.
    """

    KEPT = 2  # each has memory of its own: for a picture, and for a batch of icons

    def __init__(self, work: Work, given: Sequence[Tensor], n_lasting: int = 0) -> None:
        self._work = work
        self._buffers = [tensor.clone() for tensor in given]
        self._held: list[tuple[Tensor, int]] = [(tensor, tensor._version) for tensor in given]
        self._graph: Any = None
        self._answer: Any = None

    def __call__(self, *given: Tensor) -> Any:
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
