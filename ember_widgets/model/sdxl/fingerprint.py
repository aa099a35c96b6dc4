"""What a pipeline computes with, as one hash: the same in any process and on any device."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from ember_widgets.model.engine.watch import sample

_PLAIN = (bool, int, float, str)
_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")


def fingerprint(pipeline: Any) -> bytes:
    """Hash of a sample of all weights, of the modules' settings, the scheduler's and the tokenizers' size."""
    digest = hashlib.sha256()
    for name in _NETWORKS:
        network = getattr(pipeline, name, None)
        if isinstance(network, nn.Module):
            for path, module in network.named_modules():
                digest.update(repr((path, type(module).__name__, _settings(vars(module)))).encode())
            digest.update(_sampled([p.detach() for p in network.parameters()]))
    config = {k: v for k, v in dict(pipeline.scheduler.config).items() if not k.startswith("_")}
    digest.update(repr((type(pipeline.scheduler).__name__, sorted(config.items(), key=str))).encode())
    tokenizers = (pipeline.tokenizer, pipeline.tokenizer_2)
    digest.update(repr([len(one) for one in tokenizers if one is not None]).encode())
    return digest.digest()


def has_adapters(pipeline: Any) -> bool:
    """Whether a LoRA or another adapter is loaded, beside the weights."""
    return any(getattr(getattr(pipeline, name, None), "peft_config", None) for name in _NETWORKS)


def _settings(state: dict[str, Any]) -> list[tuple[str, Any]]:
    """A module's numbers and texts, and the classes of other objects in it."""
    found = []
    for name, value in state.items():
        if name == "training" or (name.startswith("_") and "adapter" not in name):
            continue
        if isinstance(value, _PLAIN):
            found.append((name, value))
        elif isinstance(value, (dict, list, tuple)):
            inside = list(value.items()) if isinstance(value, dict) else value
            found.append((name, repr([one for one in inside if _is_plain(one)])))
        elif hasattr(value, "__dict__") and not isinstance(value, (Tensor, nn.Module)):
            found.append((name, type(value).__name__))
    return found


def _is_plain(value: Any) -> bool:
    return all(isinstance(one, _PLAIN) for one in (value if isinstance(value, tuple) else (value,)))


def _sampled(weights: list[Tensor]) -> bytes:
    found: dict[Any, list[Tensor]] = {}
    for weight in weights:
        if not weight.is_meta:
            found.setdefault((weight.dtype, weight.device), []).append(sample(weight))
    parts = [torch.cat(samples).bfloat16().float().cpu().numpy().tobytes() for samples in found.values()]
    return b"".join(parts)
