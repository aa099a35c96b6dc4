"""What an SAE file does not say, measured: what it encodes, and how strong its features typically are.

The activations of one picture are encoded in every way the file can be read, and the reading that explains
most of their variance with few codes is kept. The answer is stored, so that a file is measured only once.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.dictionary.sae import SAE
from ember_widgets.util import files
from ember_widgets.util.user_folders import cache_folder

log = logging.getLogger("ember_widgets")

Measure = Callable[[SAE], Tensor]
"""A reading -> what it would encode of one picture, (256, d_model)."""

DENSE = 0.25  # share of all features; a reading that uses more of them is not sparse


@dataclasses.dataclass(frozen=True)
class Fit:
    """How well a reading explains what it encodes.

    Attributes:
        unexplained: Fraction of variance unexplained, 0 is perfect, 1 is no better than the mean.
        l0: Codes per patch, on average.
    """

    unexplained: float
    l0: float


def fit(sae: SAE, vectors: Tensor) -> Fit:
    """Encode and decode vectors (n, d_model), and measure what is lost."""
    vectors = vectors.float()
    codes = sae.encode(vectors)
    lost = (vectors - sae.decode(codes)).square().sum()
    spread = (vectors - vectors.mean(0)).square().sum()
    return Fit(float(lost / spread.clamp_min(1e-12)), float((codes > 0).sum(-1).float().mean()))


def decide(sae: LoadedSAE, model: str, weights: str, measure: Measure) -> LoadedSAE:
    """Decide what the file does not say; an SAE whose file says all is returned as it is.

    Args:
        sae: As `load_sae` gave it.
        model: Name of the model.
        weights: Identifies its weights, since the answer holds for them alone.
        measure: What a reading would encode of one picture.
    """
    if sae.alternatives:
        sae = _chosen(sae, model, weights, measure)
    if not sae.unit_known:
        sae = _with_units(sae, measure(sae))
    return sae


def _chosen(sae: LoadedSAE, model: str, weights: str, measure: Measure) -> LoadedSAE:
    readings: list[SAE] = [dataclasses.replace(sae, alternatives=()), *sae.alternatives]
    file = _cache_file(sae, model)
    known = _read(file, weights)
    if known is not None and 0 <= known[0] < len(readings):
        return _decided(readings[known[0]], sae, known[1])
    fits = [fit(reading, measure(reading)) for reading in readings]
    most = [max(DENSE * r.n_features, 1) if r.k is None else 4 * r.k for r in readings]
    sparse = [i for i, f in enumerate(fits) if 0 < f.l0 <= most[i]] or list(range(len(fits)))
    best = min(sparse, key=lambda i: fits[i].unexplained)
    figures = "; ".join(f"{_words(r, readings)}: {_figures(f)}" for r, f in zip(readings, fits, strict=True))
    measured = f"read as {_words(readings[best], readings)} ({figures})"
    log.warning(
        "%s does not say what it encodes. Measured on one picture, %s. "
        "Kept in %s; load_sae(target=...) decides otherwise.",
        *(sae.source, measured, file),
    )
    facts = {"reading": best, "measured": measured, "source": sae.source, "model": model, "weights": weights}
    _write(file, facts)
    if fits[best].unexplained > 0.9:
        log.warning(
            "%s explains next to nothing of %s: it may be of another model or site (site=...)",
            *(sae.source, sae.site),
        )
    return _decided(readings[best], sae, measured)


def _decided(reading: SAE, loaded: LoadedSAE, measured: str) -> LoadedSAE:
    fields = {field.name: getattr(reading, field.name) for field in dataclasses.fields(SAE)}
    return LoadedSAE(**fields, unit_known=loaded.unit_known, measured=measured)


def _with_units(sae: LoadedSAE, vectors: Tensor) -> LoadedSAE:
    """Each feature's mean where it is active in the picture; the median of these for the others."""
    codes = sae.encode(vectors.float())
    count = (codes > 0).sum(0)
    mean = codes.sum(0) / count.clamp_min(1)
    if not bool(count.any()):
        return sae
    unit = torch.where(count > 0, mean, mean[count > 0].median())
    return dataclasses.replace(sae, unit=unit)


def _words(sae: SAE, among: list[SAE]) -> str:
    several = len({(s.b_enc - among[0].b_enc).abs().max().item() > 0 for s in among}) > 1
    centred = bool(torch.equal(sae.b_enc, among[0].b_enc))
    return f"{sae.target}{'' if not several else ', centred' if centred else ', not centred'}"


def _figures(one: Fit) -> str:
    return f"{one.unexplained:.0%} unexplained, {one.l0:.1f} codes a patch"


def _cache_file(sae: LoadedSAE, model: str) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in f"{model.split('/')[-1]}-{sae.site}")[-60:]
    return cache_folder() / "calibration" / f"{sae.key[:16]}-{name}-{1 + len(sae.alternatives)}.json"


def _read(file: Path, weights: str) -> tuple[int, str] | None:
    """The reading and its figures; None if there are none of these weights."""
    try:
        content = json.loads(file.read_text("utf-8"))
        if content["weights"] != weights:
            return None
        return int(content["reading"]), str(content["measured"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, content: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, json.dumps(content, indent=1).encode())
    except OSError as error:  # measured again next time, and that is all
        log.info("cannot keep the calibration in %s: %s", file, error)
