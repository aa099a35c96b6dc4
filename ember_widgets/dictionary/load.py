"""Checkpoints: every public SAE format becomes one `SAE`. Nothing in a file is ever run.

Formats: our own ("ember", one `sae.safetensors` with everything in it), "sdxl-unbox", "saelens",
"dictionary_learning", "sparsify", and "state_dict": tensors of nobody knows which project, among them
Goodfire's. Which one a file is of is told by the names of its tensors; how a weight lies, by its shape.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.dictionary import source as sae_source
from ember_widgets.dictionary import tensor_files
from ember_widgets.dictionary.formats import formats
from ember_widgets.dictionary.formats.formats import NotThisFormat, Reading
from ember_widgets.dictionary.sae import SAE
from ember_widgets.dictionary.source import FORMATS
from ember_widgets.scene import site_names
from ember_widgets.scene.site_names import DEFAULT_SITE as DEFAULT_SITE
from ember_widgets.util import files
from ember_widgets.util import hub as hub_access

EMBER_FILE = "sae.safetensors"
SAELENS_FILE = "sae_weights.safetensors"
GOODFIRE_K = 10


def load_sae(
    source: str | os.PathLike[str] | Mapping[str, Tensor],
    *,
    format: str | None = None,
    site: str | None = None,
    target: str | None = None,
    k: int | None = None,
    threshold: float | Tensor | None = None,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> SAE:
    """Read an SAE checkpoint.

    Args:
        source: A folder or file; a hub id ("owner/name", or "owner/name/folder/in/it"); or a state dict.
        format: One of `FORMATS`; None recognises it by its tensors.
        site: diffusers module path or short name ("down.2.1") of the block the SAE belongs to; None takes
            what the checkpoint says, and else down.2.1. Where there are SAEs of several sites, it chooses.
        target: "update" (output − input) or "output"; None takes what the checkpoint says.
        k: Codes kept per patch, where the checkpoint does not say.
        threshold: Scalar or (n_features,), codes not above it are 0, where the checkpoint does not say.
        revision, cache_dir, token, local_files_only: For the hub, as in `Painter.from_pretrained`.

    Returns:
        The SAE on the CPU, float32. Where the file leaves open what it encodes, the other readings are its
        `alternatives`, and a painter decides by measuring.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: The format is unknown, the file is damaged or would run code, or there are several SAEs.
        ConnectionError, PermissionError: The hub; the message names the knob.

    Example:
        >>> sae = load_sae("surokpro2/sdxl-saes", site="up.0.1")    # doctest: +SKIP
    """
    if format is not None and format not in FORMATS:
        raise ValueError(
            f"format={format!r} is unknown; choose one of {', '.join(FORMATS)}, or None to recognise it"
        )
    if target not in (None, "update", "output"):
        raise ValueError(f"target={target!r} is unknown; choose 'update' (output − input) or 'output'")
    site = None if site is None else site_names.full(site)
    if isinstance(source, Mapping):
        tensors = {name: torch.as_tensor(value).detach().cpu() for name, value in source.items()}
        config, mean, label, digest = {}, None, "a state dict", tensor_files.sha256_of_tensors(tensors)
        named = None
    else:
        file = sae_source.weights_file(
            source,
            site,
            hub_access.Hub(None if cache_dir is None else Path(cache_dir), token, local_files_only),
            revision,
        )
        if file.suffix == ".safetensors":
            tensors, facts = tensor_files.load_safetensors(file)
            if "ember" in facts or format == "ember":
                return _ember(file, tensors, facts, site, target)
        else:
            loaded = tensor_files.load_pickled(file)
            tensors = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else {}
        config, mean = sae_source.config_beside(file.parent), sae_source.unit_beside(file.parent)
        label, digest = str(source), tensor_files.sha256_of_file(file)
        named = site_names.named_in(file.resolve().as_posix()) or site_names.named_in(str(source))
        if k is None and file.name.startswith("SDXL-Turbo-SAE-l"):
            k = GOODFIRE_K
    tensors = {name: value.float() for name, value in tensors.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{label} holds no tensors; give one of: {', '.join(FORMATS)}")
    kind = format or formats.recognised(set(tensors), config)
    try:
        if kind == "ember":
            raise NotThisFormat("it lacks the facts that save_sae writes")
        if kind == "state_dict":
            reading = formats.read_state_dict(tensors, config, mean, k=k, threshold=threshold)
        else:
            reading = formats.READERS[kind](tensors, config, mean)
            reading = _overridden(reading, k, threshold)
    except NotThisFormat as error:
        raise ValueError(f"{label} looks like {_article(kind)} SAE, but {error}") from None
    except KeyError as error:
        raise ValueError(
            f"{label} looks like {_article(kind)} SAE, but {error} is missing; download it again, "
            "or give format= another"
        ) from None
    where = site or reading.site or named or DEFAULT_SITE
    readings = [
        _sae(r, where, label, digest)
        for r in _readings(reading if target is None else _fixed(reading, target))
    ]
    return dataclasses.replace(readings[0], alternatives=tuple(readings[1:]))


def save_sae(sae: SAE, folder: str | os.PathLike[str], *, format: str = "ember") -> Path:
    """Write an SAE, atomically; `load_sae(folder)` reads it back with the same codes.

    Args:
        sae: What to write.
        folder: Where to; it is made if need be.
        format: "ember", our own, exact; or "saelens", which SAELens loads too.

    Returns:
        The file with the weights.

    Raises:
        ValueError: An unknown format, or an SAE that SAELens has no form for.
    """
    if format not in ("ember", "saelens"):
        raise ValueError(f"format={format!r} cannot be written; choose 'ember' (exact) or 'saelens'")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    if format == "saelens":
        return _save_saelens(sae, place)
    tensors = {n: getattr(sae, n).contiguous().cpu() for n in ("W_enc", "b_enc", "W_dec", "b_dec", "unit")}
    if sae.threshold is not None:
        level = torch.as_tensor(sae.threshold, dtype=torch.float32)
        tensors["threshold"] = level.reshape(-1).contiguous().cpu()
    facts = {
        "format": "ember-sae",
        "version": 1,
        "activation": sae.activation,
        "k": sae.k,
        "target": sae.target,
    }
    facts |= {"site": sae.site, "positional": list(sae.positional)}
    if not sae.unit_known:
        facts["unit_known"] = False
    return tensor_files.save_tensors(place / EMBER_FILE, tensors, {"ember": json.dumps(facts)})


# our own format


def _ember(
    file: Path, tensors: dict[str, Tensor], facts: dict[str, str], site: str | None, target: str | None
) -> SAE:
    try:
        told = json.loads(facts["ember"])
        # Half-precision files are fine to ship; codes are always computed in float32.
        tensors = {name: tensor.float() for name, tensor in tensors.items()}
        threshold = tensors.get("threshold")
        return SAE(
            W_enc=tensors["W_enc"],
            b_enc=tensors["b_enc"],
            W_dec=tensors["W_dec"],
            b_dec=tensors["b_dec"],
            activation=told["activation"],
            k=told["k"],
            threshold=threshold[0] if threshold is not None and threshold.numel() == 1 else threshold,
            target=target or told["target"],
            site=site or told["site"],
            unit=tensors["unit"],
            positional=tuple(told["positional"]),
            source=str(file),
            sha256=tensor_files.sha256_of_file(file),
            unit_known=told.get("unit_known", True),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{file} is not a readable SAE file of ours ({error}); write it with save_sae"
        ) from None


# SAELens


def _save_saelens(sae: SAE, folder: Path) -> Path:
    if sae.threshold is None and sae.activation == "batchtopk":
        raise ValueError(
            "SAELens keeps a BatchTopK SAE by its threshold, and this one has none; "
            "give dataclasses.replace(sae, threshold=...) or save it as format='ember'"
        )
    tensors = {n: getattr(sae, n).contiguous().cpu() for n in ("W_enc", "b_enc", "W_dec", "b_dec")}
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
    if sae.unit_known:
        # Beside the weights: SAELens loads those strictly, and would refuse a tensor that it does not know.
        tensor_files.save_tensors(folder / sae_source.UNIT_FILE, {"unit": sae.unit.contiguous().cpu()}, {})
    files.write(folder / "cfg.json", json.dumps(config, indent=2).encode())
    return tensor_files.save_tensors(folder / SAELENS_FILE, tensors, {})


# readings


def _readings(reading: Reading) -> list[Reading]:
    """Every way to read it, the likeliest first: what the literature encodes, as most projects do."""
    targets = ("update", "output") if reading.target is None else (reading.target,)
    centrings = (reading, formats.uncentred(reading)) if reading.centred is None else (reading,)
    return [dataclasses.replace(r, target=target) for r in centrings for target in targets]


def _fixed(reading: Reading, target: str) -> Reading:
    return dataclasses.replace(reading, target=target)


def _overridden(reading: Reading, k: int | None, threshold: float | Tensor | None) -> Reading:
    if k is not None:
        reading = dataclasses.replace(reading, k=k)
    if threshold is not None:
        level = torch.as_tensor(threshold, dtype=torch.float32)
        reading = dataclasses.replace(reading, threshold=level)
    return reading


def _sae(reading: Reading, site: str, source: str, digest: str) -> SAE:
    unit, n_features = reading.unit, len(reading.b_enc)
    if unit is not None and len(unit) != n_features:
        unit = None
    known = unit is not None and bool((unit > 0).any())
    if unit is not None and known:
        # Features that never fired have 0: they get what is typical of the others.
        unit = torch.where(unit > 0, unit, unit[unit > 0].median())
    return SAE(
        W_enc=reading.W_enc,
        b_enc=reading.b_enc,
        W_dec=reading.W_dec,
        b_dec=reading.b_dec,
        activation=reading.activation,
        k=reading.k,
        threshold=reading.threshold,
        target=reading.target or "update",
        site=site,
        unit=unit if unit is not None and known else torch.ones(n_features),
        positional=reading.positional,
        source=source,
        sha256=digest,
        unit_known=known,
    )


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeious' and kind != 'state_dict' else 'a'} {kind}"
