"""sdxl-unbox (surkovv/sdxl-unbox): top-k per patch of what a block adds.

Its mean.pt holds each feature's mean activation where it is active: the unit of brush strength.
"""

from __future__ import annotations

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats.format import Format, Given, Reading, kept, linear

NAMES = {
    "W_enc": "encoder.weight",
    "b_enc": "latent_bias",
    "W_dec": "decoder.weight",
    "b_dec": "pre_bias",
}


def recognises(checkpoint: Checkpoint) -> bool:
    """By a configuration key or by tensor names that no other project uses."""
    return "n_dirs_local" in checkpoint.config or checkpoint.has("encoder.weight", "pre_bias", "latent_bias")


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    weights = linear(checkpoint.tensors, NAMES, by_torch=("W_enc", "W_dec"))
    k = kept(checkpoint.config.whole("k"), given)
    reading = Reading(**weights, activation="topk", k=k, target="update", unit=checkpoint.unit)
    return [given.applied_to(reading)]


SDXL_UNBOX = Format("sdxl-unbox", recognises, read, article="an")
