"""Checkpoints: every public SAE format becomes one `SAE`. Nothing in a file is ever run.

Formats so far:

- "ember": our own, one `sae.safetensors` with everything in it;
- "sdxl-unbox" (github.com/surkovv/sdxl-unbox): a folder with `config.json`, `state_dict.pth`, `mean.pt`.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.sae import SAE

EMBER_FILE = "sae.safetensors"
DEFAULT_SITE = "down_blocks.2.attentions.1"


def load_sae(
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    site: str | None = None,
    target: str | None = None,
) -> SAE:
    """Read an SAE checkpoint.

    Args:
        source: A folder or file.
        format: One of `FORMATS`; None recognises it by its files.
        site: diffusers module path the SAE belongs to; None takes what the checkpoint says.
        target: "update" or "output"; None takes what the checkpoint says.

    Returns:
        The SAE on the CPU, float32.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: The format is unknown, or the file is damaged.
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"no SAE at {str(source)!r}; give a folder or file with a checkpoint ({_known()})"
        )
    if format is None:
        format = next((name for name, (matches, _) in FORMATS.items() if matches(path)), None)
        if format is None:
            raise ValueError(f"{path} holds no SAE checkpoint that is known; give one of: {_known()}")
    elif format not in FORMATS:
        raise ValueError(
            f"format={format!r} is unknown; choose one of {', '.join(FORMATS)}, or None to recognise it"
        )
    return FORMATS[format][1](path, site, target)


def save_sae(sae: SAE, folder: str | os.PathLike[str]) -> Path:
    """Write our own format, atomically; `load_sae(folder)` reads it back exactly.

    Returns:
        The file written.
    """
    from safetensors.torch import save_file

    path = Path(folder) / EMBER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {n: getattr(sae, n).contiguous().cpu() for n in ("W_enc", "b_enc", "W_dec", "b_dec", "unit")}
    if sae.threshold is not None:
        tensors["threshold"] = (
            torch.as_tensor(sae.threshold, dtype=torch.float32).reshape(-1).contiguous().cpu()
        )
    facts = {
        "format": "ember-sae",
        "version": 1,
        "activation": sae.activation,
        "k": sae.k,
        "target": sae.target,
    }
    facts |= {"site": sae.site, "positional": list(sae.positional)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata={"ember": json.dumps(facts)})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


# ember


def _is_ember(path: Path) -> bool:
    return path.suffix == ".safetensors" if path.is_file() else (path / EMBER_FILE).exists()


def _read_ember(path: Path, site: str | None, target: str | None) -> SAE:
    from safetensors import SafetensorError, safe_open

    file = path if path.is_file() else path / EMBER_FILE
    try:
        with safe_open(file, framework="pt") as f:
            facts = json.loads((f.metadata() or {})["ember"])
            # Half-precision files are fine to ship; codes are always computed in float32.
            tensors = {name: f.get_tensor(name).float() for name in f.keys()}  # noqa: SIM118
        threshold = tensors.get("threshold")
        return SAE(
            W_enc=tensors["W_enc"],
            b_enc=tensors["b_enc"],
            W_dec=tensors["W_dec"],
            b_dec=tensors["b_dec"],
            activation=facts["activation"],
            k=facts["k"],
            threshold=threshold[0] if threshold is not None and threshold.numel() == 1 else threshold,
            target=target or facts["target"],
            site=site or facts["site"],
            unit=tensors["unit"],
            positional=tuple(facts["positional"]),
            source=str(path),
            sha256=_sha256(file),
        )
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{file} is not a readable SAE file of ours ({error}); write it with save_sae"
        ) from None


# sdxl-unbox


def _is_unbox(path: Path) -> bool:
    return path.is_dir() and (path / "config.json").exists() and (path / "state_dict.pth").exists()


def _read_unbox(path: Path, site: str | None, target: str | None) -> SAE:
    config = json.loads((path / "config.json").read_text("utf-8"))
    state = _load_tensors(path / "state_dict.pth")
    state = state.get("state_dict", state)
    try:
        encoder, decoder = state["encoder.weight"], state["decoder.weight"]
        n_features, d_model = config["n_dirs_local"], config["d_model"]
        mean = path / "mean.pt"
        # The mean activation where active, the natural unit of a brush; features that never fired have 0.
        unit = _load_tensors(mean).float() if mean.exists() else torch.ones(n_features)
        unit = torch.where(
            unit > 0, unit, unit[unit > 0].median() if bool((unit > 0).any()) else torch.tensor(1.0)
        )
        return SAE(
            W_enc=_oriented(encoder, (d_model, n_features), "encoder.weight"),
            b_enc=state["latent_bias"].float(),
            W_dec=_oriented(decoder, (n_features, d_model), "decoder.weight"),
            b_dec=state["pre_bias"].float(),
            activation="topk",
            k=int(config["k"]),
            threshold=None,
            target=target or "update",
            site=site or _site_in_name(path.resolve()),
            unit=unit,
            source=str(path),
            sha256=_sha256(path / "state_dict.pth"),
        )
    except KeyError as error:
        raise ValueError(
            f"{path} looks like an sdxl-unbox SAE, but {error} is missing; download it again"
        ) from None


def _site_in_name(path: Path) -> str:
    """sdxl-unbox names folders like "unet.down_blocks.2.attentions.1_k10_hidden5120"."""
    for part in reversed(path.parts):
        if part.startswith("unet."):
            return part.removeprefix("unet.").split("_k")[0]
    return DEFAULT_SITE


# shared


def _load_tensors(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{file} cannot be read as plain tensors ({reason}); files that run code are refused"
        ) from None


def _oriented(weight: Tensor, shape: tuple[int, int], name: str) -> Tensor:
    weight = weight.float()
    if tuple(weight.shape) == shape:
        return weight.contiguous()
    if tuple(weight.shape) == shape[::-1]:
        return weight.T.contiguous()
    raise ValueError(f"{name} has shape {tuple(weight.shape)}, but the config says {shape} or its transpose")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _known() -> str:
    return ", ".join(FORMATS)


_Reader = Callable[[Path, str | None, str | None], SAE]
FORMATS: dict[str, tuple[Callable[[Path], bool], _Reader]] = {
    "ember": (_is_ember, _read_ember),
    "sdxl-unbox": (_is_unbox, _read_unbox),
}
