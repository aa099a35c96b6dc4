"""How good an SAE is on activations that it was not trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene.grid import Grid

CHUNK = 8192
"""Patches encoded at a time."""


@dataclass(frozen=True)
class Quality:
    """How good an SAE is on activations.

    Attributes:
        fvu: Fraction of variance unexplained.
        l0: Mean number of active features per patch.
        dead: Share of features that are never active there.
        positional: Share of features that are active along the border whatever the picture shows.
        redundancy: Mean of each decoder row's largest cosine similarity to another row.
    """

    fvu: float
    l0: float
    dead: float
    positional: float
    redundancy: float


def completed(sae: SAE, activations: Tensor, grid: Grid) -> tuple[SAE, Quality]:
    """The SAE with its positional features, and how good it is.

    Args:
        sae: As it was trained.
        activations: (n_pictures, n_patches, d_model) that it was not trained on; with several steps, the
            patches of one step after another.
        grid: Rows and columns of patches.
    """
    pictures = activations.reshape(-1, grid.rows * grid.cols, sae.d_model)
    found = dataclasses.replace(sae, positional=tuple(positional_features(sae, pictures, grid=grid)))
    return found, measure(found, activations.flatten(0, 1))


def measure(sae: SAE, activations: Tensor) -> Quality:
    """Reconstruction and sparsity on activations (n, d_model)."""
    error = variance = active = 0.0
    alive = torch.zeros(sae.n_features, dtype=torch.bool)
    mean = activations.mean(0)
    for part in torch.split(activations, CHUNK):
        codes = sae.encode(part)
        error += float((part - sae.decode(codes)).pow(2).sum())
        variance += float((part - mean).pow(2).sum())
        active += float((codes > 0).sum())
        alive |= (codes > 0).any(0)
    return Quality(
        fvu=error / variance,
        l0=active / len(activations),
        dead=1 - float(alive.float().mean()),
        positional=len(sae.positional) / sae.n_features,
        redundancy=redundancy(sae.W_dec),
    )


def redundancy(W_dec: Tensor) -> float:
    """Mean of each row's largest cosine similarity to another row: 1 if every feature has a double.

    0 if there is only one row.
    """
    if len(W_dec) == 1:
        return 0.0
    rows = torch.nn.functional.normalize(W_dec, dim=1)
    nearest = []
    for start in range(0, len(rows), 1024):
        similarity = rows[start : start + 1024] @ rows.T
        similarity[torch.arange(len(similarity)), torch.arange(start, start + len(similarity))] = -1
        nearest.append(similarity.amax(1))
    return float(torch.cat(nearest).mean())


def typical_activations(sae: SAE, activations: Tensor) -> Tensor:
    """How strongly each feature fires where it does: its mean activation weighted by itself.

    Many faint activations next to a few strong ones do not count as typical. The unit of a factor's strength
    is defined in the same way.

    Args:
        activations: (n, d_model), of the pictures that the features should be typical of.

    Returns:
        (n_features,) > 0; features that never fire get the median of the others.
    """
    total, squares = torch.zeros(sae.n_features), torch.zeros(sae.n_features)
    for part in torch.split(activations, 8192):
        codes = sae.encode(part)
        total += codes.sum(0)
        squares += codes.pow(2).sum(0)
    typical = squares / total.clamp(min=1e-9)
    typical[total == 0] = typical[total > 0].median()
    return typical


def positional_features(
    sae: SAE,
    activations: Tensor,
    *,
    border_share: float = 0.8,
    images_share: float = 0.3,
    grid: Grid = Grid(),  # noqa: B008  (it is immutable)
) -> list[int]:
    """Features that are active along the border of the grid whatever the picture shows.

    Args:
        activations: (n_images, n_patches, d_model).
        border_share: At least this share of a feature's activation lies on the border patches.
        images_share: And the feature fires there in at least this share of the images.
        grid: Rows and columns of patches. On a small one more than `border_share` of all patches lie on the
            border, up to 3×4 with the default; then no feature is called positional.
    """
    border = torch.ones(grid.shape, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    if border.float().mean() > border_share:
        return []
    at_border, everywhere = torch.zeros(sae.n_features), torch.zeros(sae.n_features)
    images = torch.zeros(sae.n_features)
    for image in activations:
        codes = sae.encode(image)
        edge = codes[border.flatten()].sum(0)
        at_border += edge
        everywhere += codes.sum(0)
        images += edge > 0
    found = (at_border > border_share * everywhere) & (images > images_share * len(activations))
    return [int(f) for f in found.nonzero().flatten()]
