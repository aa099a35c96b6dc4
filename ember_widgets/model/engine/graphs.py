"""Recorded work: on a GPU, launching a thousand small kernels one by one takes most of a picture's time.

A CUDA graph is recorded once, with its own input buffers, and launched as a whole. It does the same work on
the same weights. If it cannot be recorded, the work runs as usual, and the log says so. CPUs have `traces`
instead.

This was written and tested without a GPU, so it is not measured. On a CPU the buffers are used, and nothing
is recorded.
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
"""Tensors in, tensors out, no side effects; the result is valid until the next call."""


class Graphs:
    """Recorded work of one network.

    Args:
        kind: How to record: `Recorded` on a GPU, `traces.Traced` on a CPU; None = not at all.
        watch: A watch that the caller asks about the network before every call, since asking takes time;
            None = one of its own.
    """

    def __init__(self, kind: type[Recorded] | type[Traced] | None, watch: Watch | None = None) -> None:
        self.kind = kind
        self._is_current = watch is not None
        self._watch = watch or Watch()
        self._version: object = None
        self._recorded: OrderedDict[Any, Recorded | Traced] = OrderedDict()

    def run(self, network: nn.Module, work: Work, *given: Tensor, n_lasting: int = 0) -> Any:
        """The result of `work(*given)`.

        Args:
            network: The network whose weights the work uses. If it changes, the work is recorded again; while
                it has hooks, nothing is recorded.
            work: Must be the same work at every call with inputs of the same shapes.
            given: Its inputs.
            n_lasting: How many of the inputs, the last ones, seldom change.
        """
        if self.kind is None:
            return work(*given)
        version = self._watch.current if self._is_current else self._watch.version(network)
        if version is None:
            return work(*given)
        if version != self._version:
            self._recorded.clear()
            self._version = version
        # With another number of threads, sums may be in another order.
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
        """Free the memory of all graphs."""
        self._recorded.clear()


class Recorded:
    """Work with its own input buffers, for inputs of one shape.

    Args:
        work: See `Work`.
        given: Its first inputs.
        n_lasting: Not used here: inputs that did not change are recognised.
    """

    KEPT = 2  # each has its own memory: one for a picture, one for a batch of icons

    def __init__(self, work: Work, given: Sequence[Tensor], n_lasting: int = 0) -> None:
        self._work = work
        self._buffers = [tensor.clone() for tensor in given]
        self._held: list[tuple[Tensor, int]] = [(tensor, tensor._version) for tensor in given]
        self._graph: Any = None
        self._result: Any = None

    def __call__(self, *given: Tensor) -> Any:
        for i, (tensor, buffer) in enumerate(zip(given, self._buffers, strict=True)):
            held, version = self._held[i]
            if tensor is not held or tensor._version != version:  # else the buffer holds it already
                buffer.copy_(tensor)
                self._held[i] = tensor, tensor._version
        if self._buffers[0].device.type != "cuda":
            return self._work(*self._buffers)
        if self._graph is None:
            self._record()
        self._graph.replay()
        return self._result

    def _record(self) -> None:
        """As PyTorch's notes on CUDA graphs advise: warm up on a separate stream, then record."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self._work(*self._buffers)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._result = self._work(*self._buffers)
        self._graph = graph
