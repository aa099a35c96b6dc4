"""Prompts as the UNet reads them. The last few are kept, since one prompt is read for many pictures.

They are kept only while text encoders, tokenizers and pipeline stay as they are.
"""

from __future__ import annotations

import bisect
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ember_widgets.model.backbone import Cut
from ember_widgets.model.engine.watch import Watch
from ember_widgets.model.placement import Placement
from ember_widgets.util import quiet

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
        tokenizers = self._tokenizers
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

    @torch.no_grad()
    def encode_all(self, prompts: Sequence[str], guided: bool = False) -> Text:
        """Encode prompts together; with guidance, the unconditional halves come first. None is kept."""
        return self._encoded(list(prompts), guided)

    def _encoded(self, prompt: str | list[str], guided: bool) -> Text:
        device = self.placement.device
        # A text that is too long is cut; `cut` says where, and the widget shows it.
        with self.placement.at_work("text"), quiet.without_logs(*self._tokenizers, self.pipeline):
            text, no_text, pooled, no_pooled = self.pipeline.encode_prompt(
                prompt, device=device, do_classifier_free_guidance=guided
            )
        if guided:
            text, pooled = torch.cat([no_text, text]), torch.cat([no_pooled, pooled])
        return text.to(device), pooled.to(device)

    def cut(self, text: str) -> Cut | None:
        """Where the text encoders stop reading a text; None if they read all of it."""
        with quiet.without_logs(*self._tokenizers):
            cuts = [self._cut_by(tokenizer, text) for tokenizer in self._tokenizers]
        return min((cut for cut in cuts if cut is not None), key=lambda cut: cut.end, default=None)

    def _cut_by(self, tokenizer: Any, text: str) -> Cut | None:
        most = tokenizer.model_max_length

        def fits(part: str) -> bool:
            whole = self.pipeline.maybe_convert_prompt(part, tokenizer)
            n_tokens: int = len(tokenizer(whole).input_ids)
            return n_tokens <= int(most)

        if fits(text):
            return None
        words = list(re.finditer(r"\S+", text))
        n_read = bisect.bisect_left(words, True, key=lambda word: not fits(text[: word.end()]))
        n_tokens = most - tokenizer.num_special_tokens_to_add()
        return Cut(n_tokens, words[n_read - 1].end() if n_read else 0)

    @property
    def _tokenizers(self) -> list[Any]:
        pipe = self.pipeline
        return [one for one in (pipe.tokenizer, pipe.tokenizer_2) if one is not None]

    def forget(self) -> None:
        """Free all that is kept."""
        self._kept.clear()
