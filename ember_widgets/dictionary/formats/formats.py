"""What each project's SAE tensors mean: from a state dict and its config to the fields of an `SAE`.

Every reader gets plain tensors, already in float32, and returns a `Reading`. All are brought to one form,
codes = activation((x − b_dec)·W_enc + b_enc), decoded as codes·W_dec + b_dec, by folding what differs into
the weights: an input that is not centred, codes that are scaled by the length of decoder rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ember_widgets.scene import site_names

Tensors = Mapping[str, Tensor]
Config = Mapping[str, Any]

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


class NotThisFormat(ValueError):
    """The file is of the format but cannot be read; the message says why."""


@dataclass(frozen=True)
class Reading:
    """One way to read a checkpoint: canonical tensors, and what it says about itself.

    Attributes:
        W_enc, b_enc, W_dec, b_dec: As in `SAE`.
        activation, k, threshold: As in `SAE`.
        target: "update", "output", or None where the checkpoint leaves it open.
        site: Module path, or None where it does not say.
        unit: Typical activations, or None.
        positional: As in `SAE`.
        centred: Whether b_dec was taken from the input; None where that is open and the other way is
            `uncentred`.
    """

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    activation: str
    k: int | None = None
    threshold: Tensor | None = None
    target: str | None = "output"
    site: str | None = None
    unit: Tensor | None = None
    positional: tuple[int, ...] = ()
    centred: bool | None = True


def uncentred(reading: Reading) -> Reading:
    """The same tensors for an encoder that does not take b_dec from its input."""
    return replace(reading, b_enc=reading.b_enc + reading.b_dec @ reading.W_enc, centred=False)


def rescaled(reading: Reading) -> Reading:
    """The same tensors for codes that are multiplied by the length of their decoder row."""
    lengths = reading.W_dec.norm(dim=1)
    threshold = reading.threshold
    return replace(
        reading,
        W_enc=reading.W_enc * lengths,
        b_enc=reading.b_enc * lengths,
        W_dec=reading.W_dec / lengths[:, None],
        threshold=None if threshold is None else threshold * lengths,
    )


def oriented(weight: Tensor, shape: tuple[int, int], name: str) -> Tensor:
    """The weight, transposed if it must be.

    Raises:
        NotThisFormat: It has neither the shape nor its transpose.
    """
    if tuple(weight.shape) == shape:
        return weight.contiguous()
    if tuple(weight.shape) == shape[::-1]:
        return weight.T.contiguous()
    raise NotThisFormat(f"{name} has shape {tuple(weight.shape)}, but it should be {shape} or its transpose")


def linear(tensors: Tensors, names: Mapping[str, str], *, by_torch: tuple[str, ...] = ()) -> dict[str, Any]:
    """The four canonical tensors, oriented by the lengths of the biases.

    Args:
        tensors: The state dict.
        names: {"W_enc": its name, ...}. A bias that is left out is 0.
        by_torch: Those of W_enc and W_dec that are an `nn.Linear`'s, (out, in). They matter only where
            shapes cannot tell.

    Raises:
        KeyError: A tensor is missing.
    """
    W_enc, W_dec = tensors[names["W_enc"]], tensors[names["W_dec"]]
    if W_enc.ndim != 2 or W_dec.ndim != 2:
        raise NotThisFormat(f"{names['W_enc']} and {names['W_dec']} must be matrices")
    long, short = max(W_enc.shape), min(W_enc.shape)
    n_features = len(tensors[names["b_enc"]]) if "b_enc" in names else None
    d_model = len(tensors[names["b_dec"]]) if "b_dec" in names else None
    if n_features is None:
        n_features = short if d_model == long else long
    if d_model is None:
        d_model = long if n_features == short else short
    if n_features == d_model:  # a square weight: by convention then
        encoder = W_enc.T if "W_enc" in by_torch else W_enc
        decoder = W_dec.T if "W_dec" in by_torch else W_dec
    else:
        encoder = oriented(W_enc, (d_model, n_features), names["W_enc"])
        decoder = oriented(W_dec, (n_features, d_model), names["W_dec"])
    zeros = torch.zeros
    return {
        "W_enc": encoder.contiguous(),
        "b_enc": tensors[names["b_enc"]] if "b_enc" in names else zeros(n_features),
        "W_dec": decoder.contiguous(),
        "b_dec": tensors[names["b_dec"]] if "b_dec" in names else zeros(d_model),
    }


def read_unbox(tensors: Tensors, config: Config, mean: Tensor | None) -> Reading:
    """sdxl-unbox: top-k per patch of the block's update; mean.pt is the typical activation where active."""
    names = {
        "W_enc": "encoder.weight",
        "b_enc": "latent_bias",
        "W_dec": "decoder.weight",
        "b_dec": "pre_bias",
    }
    parts = linear(tensors, names, by_torch=("W_enc", "W_dec"))
    return Reading(**parts, activation="topk", k=int(config["k"]), target="update", unit=mean)


def read_saelens(tensors: Tensors, config: Config, mean: Tensor | None) -> Reading:
    """SAELens: standard, topk, batchtopk and jumprelu, without input normalisation."""
    if (norm := config.get("normalize_activations", "none")) not in ("none", None):
        raise NotThisFormat(
            f"normalize_activations={norm!r}: this SAE rescales its input, which cannot be undone per patch; "
            "fold it into the weights with SAELens's fold_activation_norm_scaling_factor first"
        )
    architecture = config.get("architecture", "standard")
    k = config.get("k")
    if config.get("activation_fn", config.get("activation_fn_str")) == "topk":  # SAELens before version 6
        architecture, k = "topk", config.get("activation_fn_kwargs", {}).get("k")
    if architecture not in ("standard", "topk", "batchtopk", "jumprelu"):
        raise NotThisFormat(
            f"architecture={architecture!r} is not supported; give standard, topk, batchtopk or jumprelu"
        )
    parts = linear(tensors, {"W_enc": "W_enc", "b_enc": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec"})
    threshold = tensors.get("threshold")
    if architecture == "standard":
        threshold = torch.tensor(0.0)
    activation = architecture if architecture in ("topk", "batchtopk") and threshold is None else "jumprelu"
    metadata = config.get("metadata") or {}
    hook = str(metadata.get("hook_name") or config.get("hook_name") or "")
    ours = metadata.get("ember") or {}
    reading = Reading(
        **parts,
        activation=activation,
        k=None if k is None else int(k),
        threshold=threshold if activation == "jumprelu" else None,
        target=ours.get("target", "output"),
        site=site_names.named_in(hook),
        unit=mean,
        positional=tuple(int(i) for i in ours.get("positional", ())),
    )
    if not config.get("apply_b_dec_to_input", True):
        reading = uncentred(reading)
    return rescaled(reading) if config.get("rescale_acts_by_decoder_norm") else reading


def read_dictionary_learning(tensors: Tensors, config: Config, mean: Tensor | None) -> Reading:
    """dictionary_learning: AutoEncoder, TopK, BatchTopK and JumpReLU trainers."""
    trainer = config.get("trainer") or {}
    threshold, k = tensors.get("threshold"), tensors.get("k", trainer.get("k"))
    hook = str(trainer.get("submodule_name") or "")
    common: dict[str, Any] = {"site": site_names.named_in(hook), "unit": mean}
    if "W_enc" in tensors:
        parts = linear(tensors, {"W_enc": "W_enc", "b_enc": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec"})
        jump = Reading(**parts, activation="jumprelu", threshold=tensors["threshold"], **common)
        return rescaled(uncentred(jump))
    if "gate_bias" in tensors or "decoder_bias" in tensors:
        raise NotThisFormat("a gated autoencoder is not supported; give a TopK, BatchTopK or JumpReLU one")
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
    names["b_dec"] = "b_dec" if "b_dec" in tensors else "bias"
    parts = linear(tensors, names, by_torch=("W_enc", "W_dec"))
    if k is None and threshold is None:
        return Reading(**parts, activation="jumprelu", threshold=torch.tensor(0.0), **common)
    if threshold is not None and float(threshold) < 0:
        threshold = None  # this project's sign for "never calibrated"
    per_patch = trainer.get("dict_class") == "AutoEncoderTopK"
    return Reading(
        **parts,
        activation="topk" if per_patch else "batchtopk",
        k=None if k is None else int(k),
        # AutoEncoderTopK keeps the k largest unless asked to use its threshold.
        threshold=None if per_patch else threshold,
        **common,
    )


def read_sparsify(tensors: Tensors, config: Config, mean: Tensor | None) -> Reading:
    """sparsify: top-k per patch."""
    if (activation := config.get("activation", "topk")) != "topk":
        raise NotThisFormat(f"activation={activation!r} is not supported; give one trained with topk")
    if config.get("transcode") or config.get("skip_connection") or "W_skip" in tensors:
        raise NotThisFormat(
            "this is a transcoder: it reads a block's input and predicts its output; painting needs an SAE"
        )
    names = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
    parts = linear(tensors, names, by_torch=("W_enc",))
    return Reading(**parts, activation="topk", k=int(config["k"]), unit=mean)


def read_state_dict(
    tensors: Tensors, config: Config, mean: Tensor | None, *, k: int | None, threshold: Any
) -> Reading:
    """Tensors of nobody knows which project: told apart by name and shape; the rest is left open.

    Goodfire's file is one of these, with BatchTopK and k = 10.
    """
    state = _without_prefix(tensors)
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
    parts = linear(state, names, by_torch=by_torch)
    if "dictionary.multiplier" in state:
        parts["W_dec"] = parts["W_dec"] * state["dictionary.multiplier"].exp()
    given = threshold if threshold is not None else state.get("threshold", state.get("running_threshold"))
    level = None if given is None else torch.as_tensor(given, dtype=torch.float32)
    if level is not None and bool((level < 0).any()):
        level = None
    if k is None and (stated := state.get("k", config.get("k"))) is not None:
        k = int(stated)
    if k is None and level is None:
        raise NotThisFormat(
            "it says neither how many codes a patch keeps nor above what; "
            "give load_sae(..., k=10) or threshold="
        )
    return Reading(
        **parts,
        activation="jumprelu" if k is None else "batchtopk",
        k=k,
        threshold=level,
        target=None,
        unit=mean,
        centred=None if bool(parts["b_dec"].any()) else True,
    )


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


def recognised(names: set[str], config: Config) -> str:
    """Which format tensors of these names are of."""
    if "n_dirs_local" in config or {"encoder.weight", "pre_bias", "latent_bias"} <= names:
        return "sdxl-unbox"
    if {"encoder.weight", "W_dec", "b_dec"} <= names:
        return "sparsify"
    if "trainer" in config or ({"encoder.weight", "decoder.weight", "b_dec"} <= names and "k" in names):
        return "dictionary_learning"
    if {"W_enc", "W_dec", "b_enc", "b_dec"} <= names and ("architecture" in config or "d_sae" in config):
        return "saelens"
    return "state_dict"


READERS: dict[str, Callable[[Tensors, Config, Tensor | None], Reading]] = {
    "sdxl-unbox": read_unbox,
    "saelens": read_saelens,
    "dictionary_learning": read_dictionary_learning,
    "sparsify": read_sparsify,
}
