"""SAELens: standard, topk, batchtopk and jumprelu, without input normalisation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ember_widgets.dictionary import tensor_files
from ember_widgets.dictionary.checkpoint import UNIT_FILE, Checkpoint
from ember_widgets.dictionary.formats.format import (
    Format,
    Given,
    NotThisFormat,
    Reading,
    linear,
    rescaled,
    uncentred,
)
from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene import site_names
from ember_widgets.util import files

FILE = "sae_weights.safetensors"
WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")


def recognises(checkpoint: Checkpoint) -> bool:
    """By its tensors and its configuration: other projects use the same names for tensors."""
    config = checkpoint.config
    return checkpoint.has(*WEIGHTS) and ("architecture" in config or "d_sae" in config)


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The one reading of such a checkpoint."""
    tensors, config = checkpoint.tensors, checkpoint.config
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
    weights = linear(tensors, {name: name for name in WEIGHTS})
    threshold = tensors.get("threshold")
    if architecture == "standard":
        threshold = torch.tensor(0.0)
    activation = architecture if architecture in ("topk", "batchtopk") and threshold is None else "jumprelu"
    metadata = config.get("metadata") or {}
    hook = str(metadata.get("hook_name") or config.get("hook_name") or "")
    ours = metadata.get("ember") or {}
    reading = Reading(
        **weights,
        activation=activation,
        k=None if k is None else int(k),
        threshold=threshold if activation == "jumprelu" else None,
        target=ours.get("target", "output"),
        site=site_names.named_in(hook),
        unit=checkpoint.unit,
        positional=tuple(int(i) for i in ours.get("positional", ())),
    )
    if not config.get("apply_b_dec_to_input", True):
        reading = uncentred(reading)
    if config.get("rescale_acts_by_decoder_norm"):
        reading = rescaled(reading)
    return [given.applied_to(reading)]


def write(sae: SAE, folder: Path) -> Path:
    """Write `cfg.json` and the weights as SAELens loads them, and the unit beside them.

    Raises:
        ValueError: SAELens cannot store such an SAE.
    """
    if sae.threshold is None and sae.activation == "batchtopk":
        raise ValueError(
            "SAELens stores a BatchTopK SAE with its threshold, and this one has none; "
            "give dataclasses.replace(sae, threshold=...) or save it as format='ember'"
        )
    if isinstance(sae, LoadedSAE) and sae.alternatives:
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
        level = torch.as_tensor(sae.threshold, dtype=torch.float32).cpu()
        tensors["threshold"] = level.expand(sae.n_features).contiguous()
    if not isinstance(sae, LoadedSAE) or sae.unit_known:
        # Beside the weights: SAELens refuses files with a tensor that it does not know.
        tensor_files.save_tensors(folder / UNIT_FILE, {"unit": sae.unit.contiguous().cpu()}, {})
    else:
        (folder / UNIT_FILE).unlink(missing_ok=True)  # an earlier SAE's would be taken for this one's
    files.write(folder / "cfg.json", json.dumps(config, indent=2).encode())
    return tensor_files.save_tensors(folder / FILE, tensors, {})


SAELENS = Format("saelens", recognises, read, write, article="an")
