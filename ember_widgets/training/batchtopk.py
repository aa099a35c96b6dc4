"""Train a BatchTopK SAE (Bussmann, Leask, Nanda 2024, arXiv:2412.06410)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene.grid import Grid

AUX_K = 64
DEAD_AFTER = 80  # batches without firing, after which a feature is revived by the auxiliary loss


@dataclass(frozen=True)
class SAEQuality:
    """How good an SAE is on activations.

    Attributes:
        fvu: Fraction of variance unexplained.
        l0: Mean number of active features per patch.
        dead: Share of features that never fire.
    """

    fvu: float
    l0: float
    dead: float


def train_sae(
    activations: Tensor,
    *,
    k: int,
    expansion: int,
    site: str,
    target: str,
    steps: int = 3000,
    batch: int = 2048,
    lr: float = 2e-3,
    merge: float = 0.0,
    centred: bool = True,
    seed: int = 0,
) -> SAE:
    """Fit an SAE to activations.

    Training minimises the reconstruction error with the k·batch largest codes. Features that have not fired
    for a while learn to explain the rest (auxiliary loss of Gao et al. 2024, arXiv:2406.04093). The running
    mean of the smallest code kept becomes the threshold for encoding afterwards, so that a patch's codes do
    not depend on other patches.

    Args:
        activations: (n, d_model) float32.
        k: Codes per patch, on average.
        expansion: n_features / d_model.
        site: Stored in the SAE.
        target: Stored in the SAE, "update" or "output".
        steps: Optimiser steps.
        batch: Patches per step.
        lr: Peak learning rate.
        merge: Weight of a concave penalty, the mean of Σ√code. Without it, an SAE may split a direction over
            several features in patches that need fewer than k.
        centred: Whether the SAE has a b_dec. Without one, a patch without active features decodes to 0.
        seed: Of the initialisation and the order.

    Returns:
        The SAE, with unit decoder rows; `unit` is what `typical_activations` finds.
    """
    generator = torch.Generator().manual_seed(seed)
    n, d_model = activations.shape
    n_features = expansion * d_model
    mean = activations.mean(0) if centred else torch.zeros(d_model)
    scale = d_model**0.5 / (activations - mean).norm(dim=1).mean()
    variance = ((activations - mean) * scale).var(0).sum()

    W_dec = nn.Parameter(F.normalize(torch.randn(n_features, d_model, generator=generator), dim=1))
    W_enc = nn.Parameter(W_dec.detach().T.clone())
    b_enc, b_dec = nn.Parameter(torch.zeros(n_features)), nn.Parameter(torch.zeros(d_model))
    trained = [W_dec, W_enc, b_enc, *([b_dec] if centred else [])]
    optimizer = torch.optim.Adam(trained, lr, betas=(0.9, 0.99))
    silent = torch.zeros(n_features)
    threshold = torch.tensor(0.0)

    for step in trange(steps, desc="SAE", mininterval=10):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, step / 100, (steps - step) / (0.3 * steps))
        x = (activations[torch.randint(n, (batch,), generator=generator)] - mean) * scale
        codes = torch.relu((x - b_dec) @ W_enc + b_enc)
        smallest = codes.detach().flatten().topk(k * batch).values[-1].clamp(min=1e-6)
        kept = codes * (codes >= smallest)
        error = x - (kept @ W_dec + b_dec)
        loss = error.pow(2).sum(1).mean() / variance
        if merge:
            loss = loss + merge * (kept + 1e-3).sqrt().sum(1).mean()
        silent = torch.where((kept > 0).any(0), 0.0, silent + 1)
        dead = silent > DEAD_AFTER
        if int(dead.sum()) > AUX_K:
            values, indices = (codes * dead).topk(AUX_K, dim=1)
            revived = torch.zeros_like(codes).scatter(1, indices, values) @ W_dec
            loss = loss + (error.detach() - revived).pow(2).sum(1).mean() / variance / 32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            W_dec.copy_(F.normalize(W_dec, dim=1))
            threshold = smallest if step == 0 else threshold.lerp(smallest, 0.02)

    with torch.no_grad():  # back from the centred, scaled space to the activations' own
        sae = SAE(
            W_enc=W_enc.detach() * 1.0,
            b_enc=b_enc.detach() / scale,
            W_dec=W_dec.detach().clone(),
            b_dec=b_dec.detach() / scale + mean,
            activation="batchtopk",
            k=k,
            threshold=threshold / scale,
            target=target,
            site=site,
            unit=torch.ones(n_features),
        )
        sae.unit.copy_(typical_activations(sae, activations))
    return sae


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


def measure(sae: SAE, activations: Tensor) -> SAEQuality:
    """Reconstruction and sparsity on activations (n, d_model)."""
    error = variance = active = 0.0
    alive = torch.zeros(sae.n_features, dtype=torch.bool)
    mean = activations.mean(0)
    for part in torch.split(activations, 8192):
        codes = sae.encode(part)
        error += float((part - sae.decode(codes)).pow(2).sum())
        variance += float((part - mean).pow(2).sum())
        active += float((codes > 0).sum())
        alive |= (codes > 0).any(0)
    return SAEQuality(error / variance, active / len(activations), 1 - float(alive.float().mean()))


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
        grid: Rows and columns of patches.
    """
    border = torch.ones(grid.shape, dtype=torch.bool)
    border[1:-1, 1:-1] = False
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
