"""A state dict of unknown origin: read by the names and shapes of its tensors.

It does not say what it encodes, nor whether b_dec is subtracted from the input: there is one reading for each
possibility, and a painter measures which is right. Which codes are kept cannot be measured: the caller
says it, or a threshold does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from ember_widgets.dictionary.checkpoint import Checkpoint, Tensors
from ember_widgets.dictionary.formats.format import (
    TARGETS,
    Format,
    Given,
    NotThisFormat,
    Reading,
    linear,
    uncentred,
    whole,
    without_prefix,
)

# What the four tensors are called where nothing says which project wrote them.
ROLES = {
    "W_enc": ("W_enc", "encoder.weight", "encoder_linear.weight", "enc.weight"),
    "b_enc": ("b_enc", "encoder.bias", "encoder_linear.bias", "enc.bias", "latent_bias"),
    "W_dec": ("W_dec", "decoder.weight", "decoder_linear.weight", "dec.weight"),
    "b_dec": ("b_dec", "decoder.bias", "decoder_linear.bias", "pre_bias", "dec.bias", "bias"),
}
THRESHOLDS = ("threshold", "running_threshold")

# Words in the names of statistics that trainings keep beside the weights.
STATISTICS = frozenset({"active", "count", "dead", "fired", "freq", "last", "num", "since", "stats", "steps"})


def recognises(checkpoint: Checkpoint) -> bool:
    """Whatever no other format recognises."""
    return True


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """Every reading that the caller leaves open."""
    state = without_prefix(checkpoint.tensors, [name for names in ROLES.values() for name in names])
    names = {role: found for role, given in ROLES.items() if (found := _first_of(given, state)) is not None}
    for role in ("W_enc", "W_dec"):
        if role not in names:
            raise NotThisFormat(
                f"no {'encoder' if role == 'W_enc' else 'decoder'} among its tensors "
                f"({', '.join(sorted(state)[:8])}); it needs one of {', '.join(ROLES[role])}"
            )
    if names.get("b_dec") == "bias" and names["W_enc"] == "W_enc":
        del names["b_dec"]
    _check_known(checkpoint, state, [*names.values(), *THRESHOLDS, "k"])
    by_torch = tuple(r for r in ("W_enc", "W_dec") if names[r].endswith(".weight"))
    weights = linear(state, names, by_torch=by_torch)
    level = next((state[name] for name in THRESHOLDS if name in state), None)
    if level is not None and bool((level < 0).any()):
        level = None  # never measured
    k = whole(state, "k") if "k" in state else checkpoint.config.whole("k")
    kind, k, threshold = activation(given, k, level)
    reading = Reading(**weights, activation=kind, k=k, threshold=threshold, unit=checkpoint.unit)
    # The likeliest first: the update before the output, b_dec subtracted before not subtracted.
    centrings = (reading, uncentred(reading)) if bool(reading.b_dec.any()) else (reading,)
    return [replace(one, target=target) for one in centrings for target in targets(given)]


def targets(given: Given) -> tuple[str, ...]:
    """What the caller says is encoded, or else all that it may be."""
    return TARGETS if given.target is None else (given.target,)


def activation(
    given: Given, k: int | None = None, threshold: Tensor | None = None
) -> tuple[str, int | None, Tensor | None]:
    """Which codes are kept, by what the caller says and then by what the file does.

    Args:
        given: What the caller says.
        k, threshold: What the file says.

    Returns:
        activation, k and threshold of the SAE.

    Raises:
        NotThisFormat: Neither says it.
    """
    kind, alone = given.activation, k is None and given.k is None
    if given.threshold is not None:
        threshold = torch.as_tensor(given.threshold, dtype=torch.float32)
        kind = kind or ("jumprelu" if alone else "batchtopk")
    elif threshold is not None and alone:
        kind = kind or "jumprelu"
    k = k if given.k is None else given.k
    if kind in ("topk", "groupmax"):
        if given.threshold is not None:
            raise NotThisFormat(f"activation={kind!r} has no threshold; leave threshold= or activation= out")
        threshold = None
    missing = {"topk": k is None, "groupmax": k is None, "jumprelu": threshold is None}
    if kind is None or missing.get(kind, k is None and threshold is None):
        raise NotThisFormat(
            "it does not say which codes are kept; give load_sae(..., activation='topk', k=10) for the 10 "
            "largest of each patch, activation='batchtopk', k=10 for 10 per patch on average, or "
            "activation='jumprelu', threshold=0.5 for all above 0.5 (0 for a ReLU)"
        )
    return kind, None if kind == "jumprelu" else k, threshold


def _check_known(checkpoint: Checkpoint, state: Tensors, known: Iterable[str]) -> None:
    """Check that no tensor but statistics of the training would be left out."""
    counters = {name.rsplit(".", 1)[-1] for name in checkpoint.counters}
    unknown = [
        name
        for name in sorted(state.keys() - set(known))
        if name.rsplit(".", 1)[-1] not in counters and not STATISTICS & set(re.split(r"[._]", name.lower()))
    ]
    if unknown:
        raise NotThisFormat(
            f"it has tensors that are not known ({', '.join(unknown[:6])}), and codes without them could be "
            "wrong; leave them out if they do not take part in encoding"
        )


def _first_of(names: tuple[str, ...], tensors: Tensors) -> str | None:
    return next((name for name in names if name in tensors), None)


STATE_DICT = Format("state_dict", recognises, read)
