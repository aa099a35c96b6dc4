"""sparsify (EleutherAI): top-k per patch, or the largest of each of k groups."""

from __future__ import annotations

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats.format import (
    Format,
    Given,
    NotThisFormat,
    Reading,
    kept,
    linear,
    only,
    sized,
)

NAMES = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}


def recognises(checkpoint: Checkpoint) -> bool:
    """By its tensors: an encoder named as a layer beside a decoder that is not."""
    return checkpoint.has("encoder.weight", "W_dec", "b_dec")


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    config = checkpoint.config
    if config.flag("transcode") or config.flag("skip_connection") or checkpoint.has("W_skip"):
        raise NotThisFormat(
            "this is a transcoder, or it has a skip connection: its features alone do not make up what it "
            "reads; give one trained with transcode=False and skip_connection=False"
        )
    activation = config.text("activation", "topk")
    if activation not in ("topk", "groupmax") or config.flag("signed"):
        what = "signed=True" if config.flag("signed") else f"activation={activation!r}"
        raise NotThisFormat(f"{what} is not supported; give one trained with topk or groupmax")
    only(checkpoint, NAMES.values())
    weights = linear(checkpoint.tensors, NAMES, by_torch=("W_enc",))
    k = kept(config.whole("k"), given)
    reading = Reading(**weights, activation=activation, k=k, unit=checkpoint.unit)
    # num_latents=0 stands for a multiple of the channels.
    features = config.whole("num_latents") if config.entries.get("num_latents") else None
    sized(reading, checkpoint, config.whole("d_in"), features)
    return [given.applied_to(reading)]


SPARSIFY = Format("sparsify", recognises, read)
