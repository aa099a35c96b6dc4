"""overcomplete: state dicts of its SAEs with a linear encoder; the library has no file format.

Except for JumpSAE, the tensors do not say which codes are kept, so the caller does. The library normalises
the dictionary when it is used, by a rule that is not in the state dict. What cannot be told is refused; the
caller can give it as plain matrices.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ember_widgets.dictionary.checkpoint import Checkpoint, Tensors
from ember_widgets.dictionary.formats import state_dict
from ember_widgets.dictionary.formats.format import Format, Given, NotThisFormat, Reading, without_prefix

WEIGHTS, POINTS, THRESHOLDS = "dictionary._weights", "dictionary.W", "thresholds"
ENCODERS = {
    "encoder.final_block.0.weight": "encoder.final_block.0.bias",
    "encoder.weight": "encoder.bias",
    "encoder.tied_to._weights": "encoder.bias",  # the dictionary itself
}
KNOWN = {
    *(WEIGHTS, "dictionary.multiplier", "encoder.tied_to.multiplier", THRESHOLDS),
    *ENCODERS.keys(),
    *ENCODERS.values(),
}

NEARLY_UNIT = 0.1
"""How far from 1 the lengths of rows may be: one training step lies between normalising and saving."""

INSTEAD = (
    "if its encoder is one linear layer, give "
    "load_sae({'W_enc': ..., 'b_enc': ..., 'W_dec': sae.get_dictionary()}, ...)"
)

OTHERS = "give a TopKSAE, BatchTopKSAE or JumpSAE"


def recognises(checkpoint: Checkpoint) -> bool:
    """By the names of its dictionary."""
    return any(name.endswith((WEIGHTS, POINTS)) for name in checkpoint.tensors)


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """A reading for each target, as nothing says what it encodes."""
    state = without_prefix(checkpoint.tensors, (WEIGHTS, POINTS))
    W_dec = _dictionary(state)
    W_enc, b_enc = _encoder(state, W_dec)
    activation, k, threshold = _activation(state, given)
    if threshold is not None:
        # The library keeps codes that equal the threshold, and an SAE of ours those above it.
        threshold = torch.nextafter(threshold, torch.tensor(-torch.inf))
    reading = Reading(
        W_enc=W_enc,
        b_enc=b_enc,
        W_dec=W_dec,
        b_dec=torch.zeros(W_dec.shape[1]),
        activation=activation,
        k=k,
        threshold=threshold,
        unit=checkpoint.unit,
    )
    given.check(reading)
    return [replace(reading, target=target) for target in state_dict.targets(given)]


def _activation(state: Tensors, given: Given) -> tuple[str, int | None, Tensor | None]:
    """As the caller says; JumpSAE's own thresholds say it."""
    if THRESHOLDS in state:
        return "jumprelu", None, state[THRESHOLDS].exp()
    return state_dict.activation(given)


def _dictionary(state: Tensors) -> Tensor:
    """As the library uses it: (n_features, d_model)."""
    if WEIGHTS not in state:
        raise NotThisFormat(
            "its dictionary is made of data points (RATopKSAE, RAJumpSAE), and the state dict does not say "
            "all that it takes; " + INSTEAD
        )
    weights = state[WEIGHTS]
    if weights.ndim != 2:
        raise NotThisFormat(f"{WEIGHTS} must be a matrix, not {tuple(weights.shape)}")
    lengths = weights.norm(dim=1, keepdim=True)
    if bool(((lengths - 1).abs() > NEARLY_UNIT).any()):
        raise NotThisFormat(
            "the rows of its dictionary are not of length 1, and the state dict does not say how the library "
            "normalises them; call sae.eval() before sae.state_dict(). With a normalization other than 'l2', "
            + INSTEAD
        )
    multiplier = state.get("dictionary.multiplier", torch.tensor(0.0))
    dictionary: Tensor = weights / lengths * multiplier.exp()
    return dictionary


def _encoder(state: Tensors, W_dec: Tensor) -> tuple[Tensor, Tensor]:
    """W_enc and b_enc."""
    if "Q" in state:
        raise NotThisFormat(f"quantized SAEs (QSAE) are not supported; {OTHERS}")
    if unknown := sorted(state.keys() - KNOWN):
        raise NotThisFormat(
            "its encoder is more than one linear layer, and that is not supported "
            f"({', '.join(unknown[:3])}); give one with encoder_module='linear'"
        )
    weight = next((name for name in ENCODERS if name in state), None)
    if weight is None:
        raise NotThisFormat(
            f"it has no encoder: SAEs of matching pursuit (MpSAE, OMPSAE) are not supported; {OTHERS}"
        )
    tied = weight == "encoder.tied_to._weights"
    W_enc = W_dec if tied else state[weight]
    if W_enc.shape != W_dec.shape:
        raise NotThisFormat(
            f"{weight} has shape {tuple(W_enc.shape)}, but {WEIGHTS} has {tuple(W_dec.shape)}; "
            "they should be the same"
        )
    return W_enc.T.contiguous(), state.get(ENCODERS[weight], torch.zeros(len(W_dec)))


OVERCOMPLETE = Format("overcomplete", recognises, read, article="an")
