"""Prompts as the UNet reads them. The last few are kept, since one prompt is read for many pictures."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from ember_widgets.model.placement import Placement

CACHED_TEXTS = 16

Text = tuple[Tensor, Tensor]
"""Token embeddings (batch, tokens, d_text), and the pooled text (batch, d_pooled)."""


class Texts:
    """Encodes prompts with a pipeline's text encoders.

    Args:
        pipeline: A `StableDiffusionXLPipeline`.
        placement: Where the pipeline's parts lie.
    """

    def __init__(self, pipeline: Any, placement: Placement) -> None:
        self.pipeline = pipeline
        self.placement = placement
        self._kept: OrderedDict[tuple[str, bool], Text] = OrderedDict()

    @torch.no_grad()
    def encode(self, prompt: str, guided: bool = False) -> Text:
        """Encode a prompt; with guidance, the unconditional half comes first."""
        key = (prompt, guided)
        if key not in self._kept:
            device = self.placement.device
            with self.placement.at_work("text"):
                text, no_text, pooled, no_pooled = self.pipeline.encode_prompt(
                    prompt, device=device, do_classifier_free_guidance=guided
                )
            if guided:
                text, pooled = torch.cat([no_text, text]), torch.cat([no_pooled, pooled])
            self._kept[key] = (text.to(device), pooled.to(device))
            while len(self._kept) > CACHED_TEXTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def forget(self) -> None:
        """Free all that is kept."""
        self._kept.clear()
