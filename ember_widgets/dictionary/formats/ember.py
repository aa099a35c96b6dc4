"""Our own format: one `sae.safetensors` with everything in it, also what the original file left open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.dictionary import tensor_files
from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.config import Config
from ember_widgets.dictionary.formats.format import Format, Given, NotThisFormat, Reading, Writable

FILE = "sae.safetensors"
TENSORS = ("W_enc", "b_enc", "W_dec", "b_dec", "unit", "threshold")


def recognises(checkpoint: Checkpoint) -> bool:
    """By the facts in the file's header."""
    return "ember" in checkpoint.header


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """The readings that were saved."""
    if checkpoint.file is None or checkpoint.file.suffix != ".safetensors":
        raise NotThisFormat("it lacks the facts that save_sae writes")
    facts = Config.of_text(f"the header of {checkpoint.file}", checkpoint.header["ember"])
    first = _reading(checkpoint.tensors, facts)
    others = [
        _reading(
            _of_alternative(checkpoint.tensors, i), Config(facts.place, {**facts.entries, **one.entries})
        )
        for i, one in enumerate(facts.parts("alternatives"))
    ]
    readings = [first, *others]
    if given.target is not None:
        readings = [reading for reading in readings if reading.target == given.target] or [first]
    return [given.applied_to(reading) for reading in readings]


def write(sae: Writable, folder: Path) -> Path:
    """Write the SAE, exactly."""
    tensors = _tensors(sae)
    facts: dict[str, Any] = {"format": "ember-sae", "version": 1, **_facts(sae)}
    if not sae.open.unit_known:
        facts["unit_known"] = False
    if sae.open.measured:
        facts["measured"] = sae.open.measured
    if sae.open.alternatives:
        facts["alternatives"] = [_facts(other) for other in sae.open.alternatives]
    for i, other in enumerate(sae.open.alternatives):
        for name, tensor in _tensors(other).items():
            if name not in tensors or not torch.equal(tensor, tensors[name]):
                tensors[f"alternatives.{i}.{name}"] = tensor
    return tensor_files.save_tensors(folder / FILE, tensors, {"ember": json.dumps(facts)})


def remove(folder: Path) -> None:
    """Remove the SAE that `write` wrote there, if it did."""
    file = folder / FILE
    # sparsify's files have the same name; only a file's header is read.
    if file.is_file() and "ember" in tensor_files.header_of(file):
        file.unlink()


def _reading(tensors: dict[str, Tensor], facts: Config) -> Reading:
    threshold = tensors.get("threshold")
    for name in ("activation", "target", "site"):
        if not facts.text(name):
            raise KeyError(name)
    return Reading(
        W_enc=tensors["W_enc"],
        b_enc=tensors["b_enc"],
        W_dec=tensors["W_dec"],
        b_dec=tensors["b_dec"],
        activation=facts.text("activation"),
        k=facts.whole("k"),
        threshold=threshold[0] if threshold is not None and threshold.numel() == 1 else threshold,
        target=facts.text("target"),
        site=facts.text("site"),
        unit=tensors["unit"],
        unit_known=facts.flag("unit_known", True),
        positional=facts.wholes("positional"),
        measured=facts.text("measured", longest=10_000),
    )


def _of_alternative(tensors: dict[str, Tensor], i: int) -> dict[str, Tensor]:
    """The tensors of an alternative; those that it shares with the first reading are stored once."""
    return {
        name: tensors.get(f"alternatives.{i}.{name}", tensors[name]) for name in TENSORS if name in tensors
    }


def _tensors(sae: Writable) -> dict[str, Tensor]:
    tensors = {name: getattr(sae, name).contiguous().cpu() for name in TENSORS[:-1]}
    if sae.threshold is not None:
        tensors["threshold"] = sae.threshold.reshape(-1).contiguous().cpu()
    return tensors


def _facts(sae: Writable) -> dict[str, Any]:
    return {
        "activation": sae.activation,
        "k": sae.k,
        "target": sae.target,
        "site": sae.site,
        "positional": list(sae.positional),
    }


EMBER = Format("ember", recognises, read, write, article="an", files=(FILE,), remove=remove)
