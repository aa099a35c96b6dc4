"""Goodfire's SAE of SDXL-Turbo: a state dict that does not say which codes it keeps.

The model card does: BatchTopK with 10 codes per patch. What the SAE encodes is not known, as for any other
state dict.
"""

from __future__ import annotations

from dataclasses import replace

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats import state_dict
from ember_widgets.dictionary.formats.format import Format, Given, Reading

K = 10
FILE_START = "SDXL-Turbo-SAE-l"  # on the hub, "ldown_blocks.2.attentions.1.pt" follows


def recognises(checkpoint: Checkpoint) -> bool:
    """By the name of its file, as its tensors do not identify it."""
    return checkpoint.file is not None and checkpoint.file.name.startswith(FILE_START)


def read(checkpoint: Checkpoint, given: Given) -> list[Reading]:
    """Every reading that the caller leaves open."""
    k = given.k if given.k is not None else K
    return state_dict.read(checkpoint, replace(given, k=k, activation=given.activation or "batchtopk"))


GOODFIRE = Format("goodfire", recognises, read)
