"""dictionary_learning: all classes of SAEs that its trainers make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats.format import (
    Format,
    Given,
    NotThisFormat,
    Reading,
    gated,
    linear,
    only,
    rescaled,
    sized,
    uncentred,
    whole,
)
from ember_widgets.scene import site_names

LAYERS = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
NAMED = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec")}


def recognises(checkpoint: Checkpoint) -> bool:
    """By its configuration, or by tensors that no other project has."""
    return "trainer" in checkpoint.config or _class_by_tensors(checkpoint) is not None


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    config = checkpoint.config
    trainer = config.part("trainer")
    _check_what_it_reads(config.part("buffer").text("io", "out"), given)
    named = trainer.text("dict_class") or _class_by_tensors(checkpoint) or "of no class"
    if named == "AutoEncoderTopK or BatchTopKSAE":
        named = _class_as_given(given)
    if named not in CLASSES:
        raise NotThisFormat(f"it is {named!r}, and that is not supported; give one of {', '.join(CLASSES)}")
    reading = CLASSES[named](checkpoint)
    sized(reading, checkpoint, trainer.whole("activation_dim"), trainer.whole("dict_size"))
    site = site_names.named_in(trainer.text("submodule_name"))
    return [given.applied_to(replace(reading, site=site, unit=checkpoint.unit))]


def _check_what_it_reads(io: str, given: Given) -> None:
    if io == "in" and given.target is None:
        raise NotThisFormat(
            "it was trained on what a module reads (io='in'), and painting edits what a block gives out; if "
            "some block gives that out, give target='output' and this block as site="
        )
    if io not in ("in", "out"):
        raise NotThisFormat(f"it is a transcoder (io={io!r}); give an SAE, trained on io='out'")


def _class_by_tensors(checkpoint: Checkpoint) -> str | None:
    """The class of a file without a configuration, if its tensors tell it from other projects'."""
    if checkpoint.has("gate_bias", "mag_bias", "r_mag"):
        return "GatedAutoEncoder"
    if checkpoint.has("W_enc", "group_sizes"):
        return "MatryoshkaBatchTopKSAE"
    if checkpoint.has("encoder.weight", "decoder.weight", "b_dec", "k"):
        return "AutoEncoderTopK or BatchTopKSAE"
    return None


def _class_as_given(given: Given) -> str:
    if given.activation not in ("topk", "batchtopk"):
        raise NotThisFormat(
            "AutoEncoderTopK and BatchTopKSAE have the same tensors, and no config.json says which it is; "
            "give load_sae(..., activation='topk' or 'batchtopk'), or put config.json beside it"
        )
    return "AutoEncoderTopK" if given.activation == "topk" else "BatchTopKSAE"


def _relu(checkpoint: Checkpoint) -> Reading:
    names = LAYERS | {"b_dec": "bias"}
    only(checkpoint, names.values())
    weights = linear(checkpoint.tensors, names, by_torch=("W_enc", "W_dec"))
    # The library makes decoder rows unit vectors when it loads such an SAE; so its codes are scaled.
    return rescaled(Reading(**weights, activation="jumprelu", threshold=torch.tensor(0.0)))


def _relu_with_layers(checkpoint: Checkpoint) -> Reading:
    names = LAYERS | {"b_dec": "decoder.bias"}
    only(checkpoint, names.values())
    weights = linear(checkpoint.tensors, names, by_torch=("W_enc", "W_dec"))
    return uncentred(Reading(**weights, activation="jumprelu", threshold=torch.tensor(0.0)))


def _gated(checkpoint: Checkpoint) -> Reading:
    names = LAYERS | {"b_enc": "mag_bias", "b_dec": "decoder_bias"}
    only(checkpoint, [*names.values(), "r_mag", "gate_bias"])
    tensors = checkpoint.tensors
    weights = linear(tensors, names, by_torch=("W_enc", "W_dec"))
    return gated(Reading(**weights, activation="jumprelu"), tensors["r_mag"], tensors["gate_bias"])


def _jump(checkpoint: Checkpoint) -> Reading:
    only(checkpoint, [*NAMED, "threshold"])
    weights = linear(checkpoint.tensors, NAMED)
    return uncentred(Reading(**weights, activation="jumprelu", threshold=checkpoint.tensors["threshold"]))


def _top(checkpoint: Checkpoint) -> Reading:
    names = LAYERS | {"b_dec": "b_dec"}
    # Its threshold is used only where the library is asked for it.
    only(checkpoint, [*names.values(), "k", "threshold"])
    weights = linear(checkpoint.tensors, names, by_torch=("W_enc", "W_dec"))
    return Reading(**weights, activation="topk", k=_k(checkpoint))


def _batch_top(checkpoint: Checkpoint) -> Reading:
    return _calibrated(replace(_top(checkpoint), activation="batchtopk"), checkpoint)


def _matryoshka(checkpoint: Checkpoint) -> Reading:
    only(checkpoint, [*NAMED, "k", "threshold", "group_sizes"])
    weights = linear(checkpoint.tensors, NAMED)
    return _calibrated(Reading(**weights, activation="batchtopk", k=_k(checkpoint)), checkpoint)


def _calibrated(reading: Reading, checkpoint: Checkpoint) -> Reading:
    """With its threshold; one below 0 means that it was never measured."""
    threshold = checkpoint.tensors.get("threshold")
    if threshold is None or bool((threshold < 0).any()):
        return reading
    return replace(reading, threshold=threshold)


def _k(checkpoint: Checkpoint) -> int | None:
    said = checkpoint.config.part("trainer").whole("k")
    stored = whole(checkpoint.tensors, "k") if checkpoint.has("k") else said
    if said not in (None, stored):
        raise NotThisFormat(f"{checkpoint.config.place} says k={said}, and its tensors k={stored}")
    return stored


CLASSES: dict[str, Callable[[Checkpoint], Reading]] = {
    "AutoEncoder": _relu,
    "AutoEncoderNew": _relu_with_layers,
    "GatedAutoEncoder": _gated,
    "JumpReluAutoEncoder": _jump,
    "AutoEncoderTopK": _top,
    "BatchTopKSAE": _batch_top,
    "MatryoshkaBatchTopKSAE": _matryoshka,
}
"""By the name of their class."""

DICTIONARY_LEARNING = Format("dictionary_learning", recognises, read)
