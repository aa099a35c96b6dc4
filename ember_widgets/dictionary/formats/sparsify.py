"""sparsify (EleutherAI): top-k per patch."""

from __future__ import annotations

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats.format import Format, Given, NotThisFormat, Reading, linear


def recognises(checkpoint: Checkpoint) -> bool:
    """By its tensors: an encoder named as a layer beside a decoder that is not."""
    return checkpoint.has("encoder.weight", "W_dec", "b_dec")


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    tensors, config = checkpoint.tensors, checkpoint.config
    if (activation := config.get("activation", "topk")) != "topk":
        raise NotThisFormat(f"activation={activation!r} is not supported; give one trained with topk")
    if config.get("transcode") or config.get("skip_connection") or "W_skip" in tensors:
        raise NotThisFormat(
            "this is a transcoder: it reads a block's input and predicts its output; painting needs an SAE"
        )
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
    weights = linear(tensors, names, by_torch=("W_enc",))
    reading = Reading(**weights, activation="topk", k=int(config["k"]), unit=checkpoint.unit)
    return [given.applied_to(reading)]


SPARSIFY = Format("sparsify", recognises, read)
