"""Fast: runners of a model's fixed parts by a CPU runtime, made in the background and checked.

Until they are ready, and wherever there are none, the model's own modules draw.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from weakref import WeakSet

import torch
from torch import Tensor

from ember_widgets.model.engine import export, openvino
from ember_widgets.model.engine.export import Part
from ember_widgets.model.engine.runner import Runner
from ember_widgets.model.engine.threads import n_threads

LOG = logging.getLogger(__name__)

BOUND = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""By how much a result may differ from PyTorch's in float32, as a share of the largest value."""
LARGEST = 1 << 30
"""Models with more bytes of weights are not exported: a copy takes much memory and saves little time."""


SWITCH = "EMBER_WIDGETS_PREVIEWS"
"""An environment variable: "torch" has PyTorch draw previews, too."""

_ALL: WeakSet[Fast] = WeakSet()


@atexit.register
def _close_all() -> None:
    """No thread may be inside the runtime when Python ends."""
    for one in list(_ALL):
        one.close()


class Fast:
    """The runners of one model's parts; those of its last version are kept.

    Attributes:
        is_offered: Whether the runtime is installed, and not switched off.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: object = None
        self._thread: threading.Thread | None = None
        self._runners: Mapping[str, Runner] = {}
        self._has_warned = False
        self._ended = threading.Event()
        _ALL.add(self)
        self.is_offered = openvino.is_installed() and os.environ.get(SWITCH) != "torch"

    def runners(self, version: object, parts: Callable[[], Mapping[str, Part]]) -> Mapping[str, Runner]:
        """The runners for a version of the model; if there are none, they are made in the background.

        Args:
            version: The model's; None = nothing may be derived from it now.
            parts: Called for its parts, on a CPU, with example inputs, if they are needed.

        Returns:
            {name of a part: its runner}; empty until all are ready.
        """
        with self._lock:
            if version is not None and version == self._version:
                return self._runners
            busy = self._thread is not None and self._thread.is_alive()
            if self.is_offered and version is not None and not busy:
                self._version, self._runners = version, {}
                self._thread = threading.Thread(
                    target=self._make, args=(version, parts()), name="ember-export", daemon=True
                )
                self._thread.start()
            return {}

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for what is being prepared; returns whether runners are ready."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return bool(self._runners)

    def close(self) -> None:
        """Give up what is being prepared."""
        self._ended.set()
        self.wait()

    def _make(self, version: object, parts: Mapping[str, Part]) -> None:
        try:
            weights = {id(w): w for part in parts.values() for w in part.module.parameters()}.values()
            n_bytes = sum(weight.nbytes for weight in weights)
            if n_bytes > LARGEST:
                LOG.info("previews are drawn by PyTorch: the model has %d MB of weights", n_bytes >> 20)
                return
            dtype = next(iter(parts.values())).given[0].dtype
            made = self._loaded(parts, dtype)
        except Exception as fault:  # whatever it is, torch draws
            if not (self._has_warned or self._ended.is_set()):
                self._has_warned = True
                LOG.warning("previews are drawn by PyTorch, since OpenVINO failed: %s", _line(fault))
            return
        with self._lock:
            if version == self._version:
                self._runners = made

    def _loaded(self, parts: Mapping[str, Part], dtype: torch.dtype) -> dict[str, Runner]:
        folder = export.exported(parts, self._ended)
        try:
            return loaded(folder, dtype)
        except ValueError:  # its numbers are wrong; they would be again
            raise
        except Exception as fault:  # a file was cut off, for instance when the power failed
            LOG.info("%s cannot be read (%s), and is made anew", folder, _line(fault))
        return loaded(export.exported(parts, self._ended, anew=True), dtype)


def loaded(folder: Path, dtype: torch.dtype) -> dict[str, Runner]:
    """The runners of exported parts, each of them checked against PyTorch's result.

    Raises:
        ValueError: A result differs from PyTorch's by more than `BOUND`.
    """
    checks: dict[str, list[Tensor]] = torch.load(folder / export.CHECKS, weights_only=True)
    found: dict[str, Runner] = {}
    for name, (n_given, *tensors) in checks.items():
        given, expected = tensors[: int(n_given)], tensors[int(n_given) :]
        runner = openvino.OpenVINO(
            folder / f"{name}.xml", bfloat16=dtype == torch.bfloat16, n_threads=n_threads()
        )
        bound = BOUND.get(dtype, BOUND[torch.float32])
        for made, right in zip(runner(*given), expected, strict=True):
            off = float((made.float() - right).abs().max() / right.abs().max().clamp(min=1e-6))
            if not off <= bound:
                raise ValueError(f"{name} differs from PyTorch's result by {off:.2g} of the largest value")
        found[name] = runner
    return found


def _line(fault: Exception) -> str:
    return next((line for line in str(fault).splitlines() if line), type(fault).__name__)
