"""SAELens: standard, gated, topk, batchtopk and jumprelu SAEs, without input normalisation."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ember_widgets.dictionary import tensor_files
from ember_widgets.dictionary.checkpoint import UNIT_FILE, Checkpoint
from ember_widgets.dictionary.config import Config, shown
from ember_widgets.dictionary.formats.format import (
    Format,
    Given,
    NotThisFormat,
    Reading,
    Writable,
    gated,
    kept,
    linear,
    only,
    rescaled,
    sized,
    uncentred,
)
from ember_widgets.scene import site_names
from ember_widgets.util import files

FILE, CONFIG_FILE = "sae_weights.safetensors", "cfg.json"
WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")
MOST_CONFIG = 1_000_000
GATED = ("b_gate", "b_mag", "r_mag")

# What an SAE of each architecture has besides W_enc, W_dec and b_dec. Batch top-k ones are checkpoints of the
# training: saved for inference they are "jumprelu".
ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "standard": ("b_enc",),
    "gated": GATED,
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "batchtopk": ("b_enc", "threshold", "topk_threshold"),
    "matryoshka_batchtopk": ("b_enc", "threshold", "topk_threshold"),
}


def recognises(checkpoint: Checkpoint) -> bool:
    """By its configuration, or by the tensors of a gated SAE, which no other project calls so."""
    config = checkpoint.config
    named = "d_sae" in config or ("architecture" in config and ("d_in" in config or checkpoint.has(*WEIGHTS)))
    return named or checkpoint.has("W_enc", *GATED)


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    config = checkpoint.config
    architecture, k = _architecture(checkpoint)
    _check_input(config)
    known = {"W_enc", "W_dec", "b_dec", *ARCHITECTURES[architecture]}
    scale = checkpoint.tensors.get("scaling_factor")
    if scale is not None and bool((scale == 1).all()):  # older versions wrote it though it did nothing
        known.add("scaling_factor")
    only(checkpoint, known)
    metadata = config.part("metadata")
    hook = (where.text(key) for where in (metadata, config) for key in ("hook_name", "hook_point"))
    ours = metadata.part("ember")
    reading = replace(
        _encoder(checkpoint, architecture, k, given),
        target=ours.text("target", "output"),
        site=site_names.named_in(next(filter(None, hook), "")),
        unit=checkpoint.unit,
        positional=ours.wholes("positional"),
    )
    sized(reading, checkpoint, config.whole("d_in"), config.whole("d_sae"))
    if not config.flag("apply_b_dec_to_input", True):
        reading = uncentred(reading)
    return [given.applied_to(reading)]


def _architecture(checkpoint: Checkpoint) -> tuple[str, int | None]:
    """Which architecture it says it has, and k."""
    config = checkpoint.config
    bare = "gated" if checkpoint.has(*GATED) else "standard"
    architecture, k = config.text("architecture", bare), config.whole("k")
    activation = config.text("activation_fn", config.text("activation_fn_str", "relu"))
    if activation == "topk":  # before version 6
        return "topk", config.part("activation_fn_kwargs").whole("k")
    if activation != "relu":
        raise NotThisFormat(f"activation_fn={activation!r} is not supported; give one with relu or topk")
    if architecture not in ARCHITECTURES:
        raise NotThisFormat(
            f"architecture={architecture!r} is not supported: it has no codes ≥ 0 of each patch alone, "
            f"whose sum of features is what it gives out; give one of {', '.join(ARCHITECTURES)}"
        )
    return architecture, k


def _check_input(config: Config) -> None:
    norm = config.entries.get("normalize_activations")
    if norm not in ("none", None, False):  # before version 4 it was true or false
        raise NotThisFormat(
            f"normalize_activations={shown(norm)}: this SAE rescales its input, and its weights alone do not "
            "say how; fold it into the weights with SAELens's fold_activation_norm_scaling_factor or "
            "fold_activation_whitening first, or give one trained without"
        )
    if (reshape := config.text("reshape_activations", "none")) != "none":
        raise NotThisFormat(
            f"reshape_activations={reshape!r}: this SAE encodes the heads of an attention layer; "
            "give one of a block's output"
        )


def _encoder(checkpoint: Checkpoint, architecture: str, k: int | None, given: Given) -> Reading:
    """Weights and activation, for an input from which b_dec is subtracted."""
    tensors = checkpoint.tensors
    if architecture == "gated":
        weights = linear(tensors, {name: name for name in WEIGHTS} | {"b_enc": "b_mag"})
        return gated(Reading(**weights, activation="jumprelu"), tensors["r_mag"], tensors["b_gate"])
    weights = linear(tensors, {name: name for name in WEIGHTS})
    if architecture == "standard":
        return Reading(**weights, activation="jumprelu", threshold=torch.tensor(0.0))
    if architecture == "jumprelu":
        return Reading(**weights, activation="jumprelu", threshold=tensors["threshold"])
    level = tensors.get("threshold", tensors.get("topk_threshold"))
    if level is not None and not bool((level > 0).any()):
        level = None  # 0 is what its training starts with
    if level is None:
        k = kept(k, given)
    reading = Reading(**weights, activation="topk" if architecture == "topk" else "batchtopk", k=k)
    if checkpoint.config.flag("rescale_acts_by_decoder_norm"):
        reading = rescaled(reading)
    return replace(reading, threshold=level)  # in units of codes, so not rescaled


def write(sae: Writable, folder: Path) -> Path:
    """Write `cfg.json` and the weights as SAELens loads them, and the unit beside them.

    Raises:
        ValueError: SAELens cannot store such an SAE.
    """
    if sae.threshold is None and sae.activation == "batchtopk":
        raise ValueError(
            "SAELens stores a BatchTopK SAE with its threshold, and this one has none; "
            "give dataclasses.replace(sae, threshold=...) or save it as format='ember'"
        )
    if sae.activation == "groupmax":
        raise ValueError("SAELens has no SAEs with activation='groupmax'; save it as format='ember'")
    if sae.open.alternatives:
        raise ValueError(
            "the file of this SAE leaves open what it encodes, and SAELens cannot store that; "
            "give load_sae(..., target='update' or 'output'), save the SAE that a painter has decided on "
            "(painter.saes), or save it as format='ember'"
        )
    tensors = {name: getattr(sae, name).contiguous().cpu() for name in WEIGHTS}
    config: dict[str, Any] = {
        "architecture": "topk" if sae.threshold is None else "jumprelu",
        "d_in": sae.d_model,
        "d_sae": sae.n_features,
        "dtype": "float32",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "hook_name": sae.site,
            "ember": {"target": sae.target, "positional": list(sae.positional)},
        },
    }
    if sae.threshold is None:
        config |= {"k": sae.k, "rescale_acts_by_decoder_norm": False}
    else:
        tensors["threshold"] = sae.threshold.cpu().expand(sae.n_features).contiguous()
    with contextlib.ExitStack() as together:
        # All are written before the first takes an earlier SAE's place: on a full disk that one stays whole.
        def place(name: str) -> Path:
            return together.enter_context(files.replacing(folder / name))

        tensor_files.save_tensors(place(FILE), tensors, {})
        place(CONFIG_FILE).write_text(json.dumps(config, indent=2), "utf-8")
        if sae.open.unit_known:
            # Beside the weights: SAELens refuses files with a tensor that it does not know.
            tensor_files.save_tensors(place(UNIT_FILE), {"unit": sae.unit.contiguous().cpu()}, {})
    if not sae.open.unit_known:
        (folder / UNIT_FILE).unlink(missing_ok=True)  # an earlier SAE's would be taken for this one's
    return folder / FILE


def remove(folder: Path) -> None:
    """Remove the SAE that `write` wrote there, if it did."""
    with contextlib.suppress(OSError, ValueError):  # unreadable: not ours
        config = files.parsed(files.read(folder / CONFIG_FILE, MOST_CONFIG).decode(), MOST_CONFIG)
        if isinstance(config, dict) and "ember" in (config.get("metadata") or ()):
            for name in (FILE, UNIT_FILE, CONFIG_FILE):
                (folder / name).unlink(missing_ok=True)


SAELENS = Format(
    "saelens", recognises, read, write, article="an", files=(FILE, CONFIG_FILE, UNIT_FILE), remove=remove
)
