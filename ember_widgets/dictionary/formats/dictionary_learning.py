"""dictionary_learning: the AutoEncoder, TopK, BatchTopK and JumpReLU trainers."""

from __future__ import annotations

from typing import Any

import torch

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats.format import (
    Format,
    Given,
    NotThisFormat,
    Reading,
    linear,
    rescaled,
    uncentred,
)
from ember_widgets.scene import site_names


def recognises(checkpoint: Checkpoint) -> bool:
    """By its configuration, or by its tensors if it has none."""
    named = checkpoint.has("encoder.weight", "decoder.weight", "b_dec", "k")
    return "trainer" in checkpoint.config or named


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    tensors, config = checkpoint.tensors, checkpoint.config
    trainer = config.get("trainer") or {}
    threshold, k = tensors.get("threshold"), tensors.get("k", trainer.get("k"))
    hook = str(trainer.get("submodule_name") or "")
    common: dict[str, Any] = {"site": site_names.named_in(hook), "unit": checkpoint.unit}
    if "W_enc" in tensors:
        weights = linear(tensors, {"W_enc": "W_enc", "b_enc": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec"})
        jump = Reading(**weights, activation="jumprelu", threshold=tensors["threshold"], **common)
        return [given.applied_to(rescaled(uncentred(jump)))]
    if "gate_bias" in tensors or "decoder_bias" in tensors:
        raise NotThisFormat("a gated autoencoder is not supported; give a TopK, BatchTopK or JumpReLU one")
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
    names["b_dec"] = "b_dec" if "b_dec" in tensors else "bias"
    weights = linear(tensors, names, by_torch=("W_enc", "W_dec"))
    if k is None and threshold is None:
        relu = Reading(**weights, activation="jumprelu", threshold=torch.tensor(0.0), **common)
        return [given.applied_to(relu)]
    if threshold is not None and float(threshold) < 0:
        threshold = None  # dictionary_learning writes a negative threshold for "never calibrated"
    per_patch = trainer.get("dict_class") == "AutoEncoderTopK"
    reading = Reading(
        **weights,
        activation="topk" if per_patch else "batchtopk",
        k=None if k is None else int(k),
        # AutoEncoderTopK keeps the k largest unless asked to use its threshold.
        threshold=None if per_patch else threshold,
        **common,
    )
    return [given.applied_to(reading)]


DICTIONARY_LEARNING = Format("dictionary_learning", recognises, read)
