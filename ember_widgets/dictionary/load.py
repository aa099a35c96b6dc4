"""Load and save SAEs. No code in a file is ever run.

The formats are in `formats`, one file each. The names of a checkpoint's tensors say which format it has; the
shape of a weight says whether it is transposed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ember_widgets.dictionary.checkpoint import Checkpoint
from ember_widgets.dictionary.formats.ember import EMBER
from ember_widgets.dictionary.formats.format import Format, Given, NotThisFormat, Reading
from ember_widgets.dictionary.formats.table import FORMATS
from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.dictionary.sae import ACTIVATIONS, SAE
from ember_widgets.dictionary.source import weights_file
from ember_widgets.scene import site_names
from ember_widgets.scene.site_names import DEFAULT_SITE as DEFAULT_SITE
from ember_widgets.util import checks
from ember_widgets.util.hub import Hub
from ember_widgets.util.words import first_line


def load_sae(
    source: str | os.PathLike[str] | Mapping[str, Tensor],
    *,
    format: str | None = None,
    site: str | None = None,
    target: str | None = None,
    k: int | None = None,
    threshold: float | Tensor | None = None,
    activation: str | None = None,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> LoadedSAE:
    """Read an SAE checkpoint.

    Args:
        source: A folder or file; a hub id ("owner/name", or "owner/name/folder/in/it"); or a state dict.
        format: Its name, such as "saelens"; None recognises it by its tensors.
        site: diffusers module path or short name ("down.2.1") of the block the SAE belongs to; None = what
            the checkpoint says, else down.2.1. If the source has SAEs of several sites, it chooses one.
        target: "update" (output − input) or "output"; None takes what the checkpoint says.
        k: Codes kept per patch; None = as the checkpoint says.
        threshold: Scalar or (n_features,), codes not above it are 0; None = as the checkpoint says.
        activation: "topk", "batchtopk", "jumprelu" or "groupmax" (see `SAE`), where the checkpoint
            does not say.
        revision, cache_dir, token, local_files_only: For the hub, as in `Painter.from_pretrained`.

    Returns:
        The SAE on the CPU, float32. Where the file leaves open what it encodes, the other readings are its
        `alternatives`, and a painter decides by measuring.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: The format is unknown, the file is damaged or would run code, or there are several SAEs;
            or its class is not supported, or it does not say which codes are kept.
        TypeError: An argument is of another kind.
        ConnectionError, PermissionError: From the hub; the message names the argument to change.

    Example:
        >>> sae = load_sae("surokpro2/sdxl-saes", site="up.0.1")    # doctest: +SKIP
    """
    if format is not None and format not in FORMATS:
        raise ValueError(
            f"format={format!r} is unknown; choose one of {', '.join(FORMATS)}, or None to recognise it"
        )
    if target not in (None, "update", "output"):
        raise ValueError(f"target={target!r} is unknown; choose 'update' (output − input) or 'output'")
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)}")
    site = None if site is None else site_names.full(checks.text("site", site))
    given = Given(target, k, None if threshold is None else _level(threshold), activation)
    named = None
    if isinstance(source, Mapping):
        checkpoint = Checkpoint.of_state_dict(source)
    else:
        hub = Hub(None if cache_dir is None else Path(cache_dir), token, local_files_only)
        checks.path("source", source)
        file = weights_file(source, site, hub, revision)
        checkpoint = Checkpoint.of_file(file, str(source))
        named = site_names.named_in(file.resolve().as_posix()) or site_names.named_in(str(source))
    try:
        first, *others = (
            _sae(reading, site or reading.site or named or DEFAULT_SITE, checkpoint)
            for reading in _read(checkpoint, format, given)
        )
    except (TypeError, ValueError, OverflowError) as error:
        if checkpoint.file is None or checkpoint.source in str(error):
            raise
        raise ValueError(f"{checkpoint.source}: {error}") from error
    if given == Given():
        first, *others = (dataclasses.replace(one, as_read=one.contents) for one in (first, *others))
    elif EMBER.recognises(checkpoint):
        # Icons and statistics lie beside our own file: they stay if what is given is what it says anyway.
        said = _read(checkpoint, format, Given())
        if len(said) == 1:
            first = dataclasses.replace(first, as_read=_sae(said[0], first.site, checkpoint).contents)
    return dataclasses.replace(first, alternatives=tuple(others))


def save_sae(sae: SAE, folder: str | os.PathLike[str], *, format: str = "ember") -> Path:
    """Write an SAE, atomically; `load_sae(folder)` reads it back with the same codes.

    Args:
        sae: What to write. What its file left open stays open.
        folder: Where to write; it is made if needed.
        format: "ember", our own, exact; or "saelens", which SAELens loads too.

    Returns:
        The file with the weights.

    Raises:
        ValueError: An unknown format, or an SAE that SAELens cannot store.
        OSError: It cannot be written there; an SAE that was there before is whole.
    """
    if not isinstance(sae, SAE):
        raise TypeError(f"sae={checks.shown(sae)} is not an SAE; load one with ember.load_sae")
    return sae.save(folder, format=format)


def _level(threshold: object) -> Tensor:
    try:
        return torch.as_tensor(threshold, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):  # which of them depends on what it is
        raise TypeError(
            f"threshold={checks.shown(threshold)} is not a number; give one, or one for each feature"
        ) from None


def _read(checkpoint: Checkpoint, name: str | None, given: Given) -> list[Reading]:
    """Every way to read a checkpoint, the likeliest first."""
    if not checkpoint.tensors and not EMBER.recognises(checkpoint):
        raise ValueError(f"{checkpoint.source} holds no tensors; give one of: {', '.join(FORMATS)}")
    format = _format_of(checkpoint, name)
    like = f"{checkpoint.source} looks like {format.article} {format.name} SAE"
    try:
        return format.read(checkpoint, given)
    except NotThisFormat as error:
        raise ValueError(f"{like}, but {error}") from None
    except KeyError as error:
        raise ValueError(
            f"{like}, but {error} is missing; download it again, or give format= another"
        ) from None
    except RuntimeError as error:  # PyTorch's, for shapes that cannot be combined
        raise ValueError(
            f"{like}, but its tensors do not fit together ({first_line(error)}); download it again, or give "
            "format= another"
        ) from None


def _format_of(checkpoint: Checkpoint, name: str | None) -> Format:
    if name is None or EMBER.recognises(checkpoint):  # our own files say so themselves
        return next(format for format in FORMATS.values() if format.recognises(checkpoint))
    return FORMATS[name]


def _sae(reading: Reading, site: str, checkpoint: Checkpoint) -> LoadedSAE:
    unit, known = _unit(reading, checkpoint)
    return LoadedSAE(
        W_enc=reading.W_enc,
        b_enc=reading.b_enc,
        W_dec=reading.W_dec,
        b_dec=reading.b_dec,
        activation=reading.activation,
        k=reading.k,
        threshold=reading.threshold,
        target=reading.target,
        site=site,
        unit=unit,
        positional=reading.positional,
        # For our own format the file itself, because icons and statistics are beside it.
        source=str(checkpoint.file) if EMBER.recognises(checkpoint) else checkpoint.source,
        sha256=checkpoint.sha256,
        unit_known=known,
        measured=reading.measured,
    )


def _unit(reading: Reading, checkpoint: Checkpoint) -> tuple[Tensor, bool]:
    """The unit, and whether it is known; features that never fired get the median of the others."""
    unit, n_features = reading.unit, len(reading.b_enc)
    if unit is not None and reading.unit_known is not None:
        return unit, reading.unit_known
    if unit is not None and len(unit) != n_features:
        raise ValueError(
            f"{checkpoint.unit_file} has typical activations of {len(unit)} features, but the SAE has "
            f"{n_features}; they are of two SAEs"
        )
    if unit is None or not bool((unit > 0).any()):
        return torch.ones(n_features), False
    return torch.where(unit > 0, unit, unit[unit > 0].median()), True
