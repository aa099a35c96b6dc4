"""Where a pipeline's parts lie when memory is short: on the device while they work, else in main memory.

diffusers' own offloading hooks the forward pass of the whole UNet. A staged UNet never calls that, so this
module moves the parts itself.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch

PARTS = {"text": ("text_encoder", "text_encoder_2"), "unet": ("unet",), "vae": ("vae",)}
KEEP = ("all", "all but text", "one at a time")


class Placement:
    """Moves parts of a pipeline between the device and main memory.

    Args:
        pipeline: A `StableDiffusionXLPipeline`.
        device: Where parts work.
        keep: "all" on the device; "all but text": the text encoders only while they encode; "one at a time".

    Raises:
        ValueError: Another `keep`.
    """

    def __init__(self, pipeline: Any, device: Any, keep: str = "all") -> None:
        if keep not in KEEP:
            raise ValueError(f"keep={keep!r} is unknown; choose one of {', '.join(map(repr, KEEP))}")
        self.pipeline = pipeline
        self.device = torch.device(device)
        self.keep = keep
        if keep == "all but text":
            self._move("unet", self.device)
            self._move("vae", self.device)
            self._move("text", torch.device("cpu"))
        elif keep == "one at a time":
            for part in PARTS:
                self._move(part, torch.device("cpu"))

    @contextlib.contextmanager
    def at_work(self, part: str) -> Iterator[None]:
        """Have a part of `PARTS` on the device inside the block."""
        if self.keep == "one at a time":
            for other in PARTS:
                if other != part:
                    self._move(other, torch.device("cpu"))
            self._move(part, self.device)
        elif self.keep == "all but text" and part == "text":
            self._move(part, self.device)
        try:
            yield
        finally:
            if part == "text" and self.keep != "all":
                self._move(part, torch.device("cpu"))
                free(self.device)

    def check(self) -> None:
        """Refuse parts that lie elsewhere.

        Raises:
            ValueError: The user has moved a part of the pipeline to another device.
        """
        if self.keep != "all":
            return
        for name in chain.from_iterable(PARTS.values()):
            module = getattr(self.pipeline, name, None)
            weight = None if module is None else next(module.parameters(), None)
            if weight is not None and weight.device.type != self.device.type:
                raise ValueError(
                    f"the pipeline's {name} was moved to {weight.device}, but this painter works on "
                    f"{self.device}; move it back, or make a new Painter"
                )

    def _move(self, part: str, device: torch.device) -> None:
        for name in PARTS[part]:
            module = getattr(self.pipeline, name, None)
            if module is not None and module.device.type != device.type:
                module.to(device)


def free(device: torch.device) -> None:
    """Return unused memory to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether products there are faster in bfloat16 than in float32."""
    if device.type == "cpu":
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older torch
        return any(capabilities.get(units) for units in ("amx_bf16", "avx512_bf16"))
    # From compute capability 8 on (A100, RTX 30). A T4 only emulates it.
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
