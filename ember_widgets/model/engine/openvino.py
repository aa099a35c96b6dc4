"""OpenVINO: the runtime that runs fixed parts on a CPU, for previews. Optional; without it torch draws all.

It was chosen by measurement (docs/how-it-works.md): with bfloat16 it needs less time than PyTorch and ONNX
Runtime (which has none on CPUs), with float32 as much as ONNX Runtime, and next to a busy browser its threads
lose far less than PyTorch's. It reads what `torch.export` gives, so that no further package is needed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ember_widgets.util import quiet

_TELEMETRY = "openvino_telemetry"


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    try:
        return importlib.util.find_spec("openvino") is not None
    except ValueError:  # a test hides it
        return False


def version() -> str:
    """Its version, as graphs of another one may not be read."""
    return str(_library().__version__)


def convert(part: nn.Module, given: tuple[Tensor, ...], path: Path) -> None:
    """Write a part as a graph in OpenVINO's format, in float32 and for inputs of exactly these shapes.

    Args:
        part: A module in float32.
        given: Its inputs.
        path: Where to write it, ending in .xml; the weights go beside it, into a .bin file.
    """
    library = _library()
    with torch.no_grad(), quiet.ignoring(Warning):
        model = library.convert_model(torch.export.export(part.eval(), given))
    model.reshape({port: list(tensor.shape) for port, tensor in zip(model.inputs, given, strict=True)})
    library.save_model(model, path, compress_to_fp16=False)


class OpenVINO:
    """A part that was written by `convert`, ready to run.

    Args:
        path: The .xml file.
        bfloat16: Compute in bfloat16, else in float32.
        n_threads: How many threads it uses.
    """

    def __init__(self, path: Path, *, bfloat16: bool, n_threads: int) -> None:
        library = _library()
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": n_threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = library.Core().compile_model(path, "CPU", settings)
        self._request: Any = compiled.create_infer_request()
        self._shapes = [tuple(port.shape) for port in compiled.inputs]
        self._outputs = list(compiled.outputs)

    def fits(self, given: Sequence[Tensor]) -> bool:
        """Whether the inputs have the shapes of the graph, on the CPU."""
        return [tuple(t.shape) for t in given] == self._shapes and all(t.device.type == "cpu" for t in given)

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """See `Runner`."""
        arrays = [tensor.detach().float().contiguous().numpy() for tensor in given]
        made = self._request.infer(arrays, share_inputs=True)
        dtype = given[0].dtype
        return tuple(torch.from_numpy(np.array(made[port])).to(dtype) for port in self._outputs)


def _library() -> Any:
    """The package. On import its converter sends usage data, unless this other package is missing."""
    if "openvino" not in sys.modules and _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            del sys.modules[_TELEMETRY]
    import openvino

    return openvino
