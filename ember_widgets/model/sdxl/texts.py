"""Prompts as the UNet reads them. The last few are kept, since one prompt is read for many pictures.

They are kept only while text encoders, tokenizers and pipeline stay as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from ember_widgets.model.engine.watch import Watch
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
        self._watch = Watch(moving=placement.keep != "all")
        self._kept: OrderedDict[tuple[str, bool], Text] = OrderedDict()
        self._version: object = None

    def version(self) -> object:
        """Another value after any change of what encodes prompts; None while nothing may be kept."""
        pipe = self.pipeline
        tokenizers = [one for one in (pipe.tokenizer, pipe.tokenizer_2) if one is not None]
        version = self._watch.version(pipe.text_encoder, pipe.text_encoder_2, *tokenizers, pipe)
        return None if version is None else (version, *map(len, tokenizers))

    @torch.no_grad()
    def encode(self, prompt: str, guided: bool = False) -> Text:
        """Encode a prompt; with guidance, the unconditional half comes first."""
        version = self.version()
        if version is None:
            return self._encoded(prompt, guided)
        if version != self._version:
            self._kept.clear()
            self._version = version
        key = (prompt, guided)
        if key not in self._kept:
            self._kept[key] = self._encoded(prompt, guided)
            self._version = self.version()  # transformers adds to its modules when they first run
            while len(self._kept) > CACHED_TEXTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _encoded(self, prompt: str, guided: bool) -> Text:
        device = self.placement.device
        with self.placement.at_work("text"):
            text, no_text, pooled, no_pooled = self.pipeline.encode_prompt(
                prompt, device=device, do_classifier_free_guidance=guided
            )
        if guided:
            text, pooled = torch.cat([no_text, text]), torch.cat([no_pooled, pooled])
        return text.to(device), pooled.to(device)

    def forget(self) -> None:
        """Free all that is kept."""
        self._kept.clear()
