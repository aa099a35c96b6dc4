"""A state dict of unknown origin: read by the names and shapes of its tensors.

It does not say what it encodes, nor whether b_dec is subtracted from the input: there is one reading for each
possibility, and a painter measures which is right.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ember_widgets.dictionary.checkpoint import Checkpoint, Tensors
from ember_widgets.dictionary.formats.format import (
    Format,
    Given,
    NotThisFormat,
    Reading,
    linear,
    uncentred,
)
from ember_widgets.dictionary.sae import TARGETS

# What the four tensors are called where nothing says which project wrote them.
ROLES = {
    "W_enc": (
        "W_enc",
        "encoder.weight",
        "encoder_linear.weight",
        "encoder.final_block.0.weight",
        "enc.weight",
    ),
    "b_enc": (
        *("b_enc", "encoder.bias", "encoder_linear.bias", "encoder.final_block.0.bias", "enc.bias"),
        "latent_bias",
    ),
    "W_dec": (
        *("W_dec", "decoder.weight", "decoder_linear.weight", "dictionary._weights", "dictionary.dictionary"),
        "dec.weight",
    ),
    "b_dec": ("b_dec", "decoder.bias", "decoder_linear.bias", "pre_bias", "dec.bias", "bias"),
}


def recognises(checkpoint: Checkpoint) -> bool:
    """Whatever no other format recognises."""
    return True


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """Every reading that the caller leaves open."""
    state = _without_prefix(checkpoint.tensors)
    names = {role: found for role, given in ROLES.items() if (found := _first_of(given, state)) is not None}
    for role in ("W_enc", "W_dec"):
        if role not in names:
            raise NotThisFormat(
                f"no {'encoder' if role == 'W_enc' else 'decoder'} among its tensors "
                f"({', '.join(sorted(state)[:8])}); it needs one of {', '.join(ROLES[role])}"
            )
    if names.get("b_dec") == "bias" and names["W_enc"] == "W_enc":
        del names["b_dec"]
    by_torch = tuple(r for r in ("W_enc", "W_dec") if names[r].endswith(".weight"))
    weights = linear(state, names, by_torch=by_torch)
    if "dictionary.multiplier" in state:
        weights["W_dec"] = weights["W_dec"] * state["dictionary.multiplier"].exp()
    threshold = given.threshold
    if threshold is None:
        threshold = state.get("threshold", state.get("running_threshold"))
    level = None if threshold is None else torch.as_tensor(threshold, dtype=torch.float32)
    if level is not None and bool((level < 0).any()):
        level = None
    k = given.k
    if k is None and (stated := state.get("k", checkpoint.config.get("k"))) is not None:
        k = int(stated)
    if k is None and level is None:
        raise NotThisFormat(
            "it says neither how many codes a patch keeps nor above which threshold; "
            "give load_sae(..., k=10) or threshold="
        )
    reading = Reading(
        **weights,
        activation="jumprelu" if k is None else "batchtopk",
        k=k,
        threshold=level,
        unit=checkpoint.unit,
    )
    # The likeliest first: the update before the output, b_dec subtracted before not subtracted.
    targets = TARGETS if given.target is None else (given.target,)
    centrings = (reading, uncentred(reading)) if bool(reading.b_dec.any()) else (reading,)
    return [replace(one, target=target) for one in centrings for target in targets]


def _first_of(names: tuple[str, ...], tensors: Tensors) -> str | None:
    return next((name for name in names if name in tensors), None)


def _without_prefix(tensors: Tensors) -> Tensors:
    """Without what wrappers put before every name, such as "module." or "_orig_mod."."""
    names = list(tensors)
    known = {name for given in ROLES.values() for name in given}
    while names and not known & set(names):
        first = names[0].split(".", 1)[0] + "."
        if not all(name.startswith(first) and len(name) > len(first) for name in names):
            break
        tensors = {name.removeprefix(first): value for name, value in tensors.items()}
        names = list(tensors)
    return tensors


STATE_DICT = Format("state_dict", recognises, read)
