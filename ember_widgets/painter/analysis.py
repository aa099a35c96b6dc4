"""Analysis: find the factors of a run's picture, site by site, name them, and make a scene of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ember_widgets.dictionary.factor_names import free_factor_name, label_of
from ember_widgets.dictionary.factors import Factors, n_distinct
from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.concepts import ConceptBank, most_factors
from ember_widgets.model.runs import Run
from ember_widgets.painter.steered_model import SteeredModel
from ember_widgets.scene import site_names
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks

VISIBLE_SHARE = 1e-4
"""A feature with less than this share of the energy of a picture's codes cannot be seen in the picture."""


def factors_of(
    model: SteeredModel, labels: Mapping[int, str], run: Run, n_factors: int | Mapping[str, int]
) -> tuple[Factors, list[str]]:
    """The factors of a run's unedited picture, one site after the other, and a name for each.

    Args:
        model: What the picture is generated with.
        labels: {feature of a scene: text}, which factors are named after.
        run: What is generated.
        n_factors: How many at each site, or {site: how many}; see `Painter.analyze`.

    Raises:
        TypeError, ValueError: Too many factors, or a site is missing or unknown.
    """
    counts = _factor_counts(model, n_factors)
    start = model.start(run)
    names: list[str] = []
    strengths, bases = [], []
    for i, (site, sae) in enumerate(model.saes.items()):
        found = _fitted(model.site_codes(start, site), counts[site], sae)
        basis = np.zeros((len(found.basis), model.space.n_features), np.float32)
        basis[:, model.space.columns(site)] = found.basis
        prefix = f"{site_names.short(site)} " if i else ""
        lengths = sae.W_dec.norm(dim=1).cpu().numpy()
        for k, row in enumerate(found.basis):
            texts = {f: labels.get(model.space.index(f, site), "") for f in np.flatnonzero(row).tolist()}
            name = label_of(row, lengths, texts) or f"{prefix}factor {k + 1}"
            names.append(free_factor_name(name, names))
        strengths.append(found.strengths)
        bases.append(basis)
    return Factors(strengths=np.concatenate(strengths, axis=2), basis=np.concatenate(bases)), names


def concepts_of(
    model: SteeredModel, bank: ConceptBank, run: Run, n_factors: int | Mapping[str, int] | None
) -> tuple[Factors, list[str]]:
    """How strong each concept of a bank is in a run's unedited picture; the bank's basis stays as it is.

    Strengths are those of a fit with all concepts, whichever of them are kept.

    Args:
        model: What the picture is generated with.
        bank: The concepts. Other sites than the bank's get no factors.
        run: What is generated.
        n_factors: How many to keep at most, those with the largest share of the picture's codes; None = all
            with a share that can be seen.

    Returns:
        Factors, the one with the largest share first, and the concepts' names.

    Raises:
        TypeError, ValueError: Concepts of another site or SAE, or no such number.
    """
    site = check_bank(model, bank)
    most = most_factors(n_factors, bank)
    codes = model.site_codes(model.start(run), site)
    strengths = bank.transform(codes)
    energy = np.square(strengths).sum((0, 1)) * np.square(bank.basis).sum(1)
    order = np.argsort(-energy, kind="stable")[:most]
    kept = order[energy[order] > VISIBLE_SHARE * np.square(codes).sum()]
    basis = np.zeros((len(kept), model.space.n_features), np.float32)
    basis[:, model.space.columns(site)] = bank.basis[kept]
    return Factors(strengths=strengths[..., kept], basis=basis), [bank.names[k] for k in kept]


def check_bank(model: SteeredModel, bank: object) -> str:
    """Refuse what are not concepts of one of the model's SAEs.

    Returns:
        The bank's site.

    Raises:
        TypeError: It is not a bank.
        ValueError: It is of another site or SAE.
    """
    if not isinstance(bank, ConceptBank):
        raise TypeError(
            f"{checks.shown(bank)} is not a bank of concepts; make one with "
            "painter.collect(prompts).concepts(), or load one with ember.ConceptBank.load(path)"
        )
    return bank.check(model.facts, model.space, "this painter")


def no_factors(model: SteeredModel) -> Factors:
    """The factors of a blank canvas."""
    return Factors(
        strengths=np.zeros((*model.grid.shape, 0), np.float32),
        basis=np.zeros((0, model.space.n_features), np.float32),
    )


def scene_of(
    model: SteeredModel,
    run: Run,
    factors: Factors,
    names: list[str],
    *,
    edit_steps: tuple[int, int] | None = None,
    style: str = "",
    remainder: float = 1.0,
    concepts: str = "",
) -> Scene:
    """The scene of a run and its factors, before any edit.

    Args:
        model: What the run is drawn with.
        run: The run.
        factors: As from `factors_of`.
        names: One per factor.
        edit_steps: See `Painter.analyze`.
        style: See `Painter.analyze`.
        remainder: 1.0 keeps what the factors do not explain, 0.0 takes it away.
        concepts: Key of the bank that the factors are of, "" for none.
    """
    return Scene(
        prompt=run.prompt,
        seed=run.seed,
        n_steps=run.n_steps,
        strengths=factors.strengths,
        remainder=np.full(model.grid.shape, remainder, np.float32),
        basis=factors.basis,
        names=tuple(names),
        colors=palette(len(names)),
        base_strengths=factors.strengths,
        base_basis=factors.basis,
        unit=np.concatenate([one.unit.cpu().numpy() for one in model.saes.values()]),
        model=model.identity | ({"concepts": concepts} if concepts else {}),
        style=style,
        guidance=run.guidance,
        edit_steps=edit_steps,
        image=run.image,
        image_strength=run.image_strength if run.image is not None else 0.5,
        sites={site: one.n_features for site, one in model.saes.items()} if len(model.saes) > 1 else None,
    )


def _factor_counts(model: SteeredModel, n_factors: int | Mapping[str, int]) -> dict[str, int]:
    if not isinstance(n_factors, Mapping):
        return dict.fromkeys(model.saes, n_factors)
    given: dict[str, int] = {}
    for name, n in n_factors.items():
        site = site_names.full(checks.text("a site of n_factors", name))
        if site in given:
            raise ValueError(f"n_factors names {site} twice; give one number for each site")
        given[site] = n
    if given.keys() != model.saes.keys():
        named, steered = ", ".join(given) or "no site", ", ".join(model.saes)
        raise ValueError(
            f"n_factors names {named}, but this painter steers {steered}; give a number for each of these"
        )
    return given


def _fitted(codes: NDArray[np.float32], n_factors: int, sae: SAE) -> Factors:
    n_patches = codes.shape[0] * codes.shape[1]
    count = checks.whole_number("n_factors", n_factors, hint=f"give an int 1..{n_patches}")
    energy = np.square(codes).sum((0, 1))
    seen = set(np.flatnonzero(energy > VISIBLE_SHARE * energy.sum()).tolist()) - set(sae.positional)
    # A plain picture has few visible features: as many factors as there are distinct ones among them.
    # `Factors.fit` refuses a number that is out of range.
    if 0 < len(seen) <= count <= n_patches:
        count = n_distinct(codes[..., sorted(seen)])
    return Factors.fit(codes, count, ignore=sae.positional)
