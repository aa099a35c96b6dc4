"""Encoding and factorising one picture at SDXL-Turbo's size, next to the plain ways.

    python -m tests.benchmarks.factorise [--repeats 5]

256 patches, 1,280 channels, 10,240 features of which 10 fire per patch, made by chance out of 5 overlapping
blobs: no weights needed. Timed in turns, so that the ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ember_widgets.factors import Factors
from ember_widgets.sae import SAE
from tests.benchmarks.render import timed

D_MODEL, N_FEATURES, K = 1280, 10_240, 10


def picture(rng: np.random.Generator) -> NDArray[np.float32]:
    """Codes (16, 16, 10240) of five blobs with 40 features each, and 4 features of chance per patch."""
    rows, cols = np.mgrid[:16, :16]
    codes = np.zeros((16, 16, N_FEATURES), np.float32)
    for _ in range(5):
        y, x, radius = rng.uniform(2, 14, 3)
        blob = np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / radius**2)[..., None]
        features = rng.choice(N_FEATURES, 40, replace=False)
        codes[..., features] += blob * rng.gamma(1, 1, 40) * (rng.random((16, 16, 40)) < 0.25)
    for patch in codes.reshape(256, -1):
        patch[rng.choice(N_FEATURES, 4, replace=False)] += rng.gamma(1, 0.7, 4)
        patch[np.argsort(patch)[: -K - 1]] = 0
    return codes


def dense(codes: NDArray[np.float32], n_factors: int) -> object:
    """All columns to scikit-learn, as published code does it."""
    from sklearn.decomposition import NMF

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NMF(n_factors, init="nndsvda", random_state=0, max_iter=400).fit_transform(
            codes.reshape(256, -1)
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    codes = picture(rng)
    active = int((codes > 0).any((0, 1)).sum())
    print(f"threads {torch.get_num_threads()}; {active} of {N_FEATURES} features active\n")
    print(f"{'':28s}{'ours':>12s}{'plain':>12s}{'ratio':>8s}")
    for n_factors in (3, 5, 8, 16):
        took = timed(
            {
                "ours": partial(Factors.fit, codes, n_factors),
                "dense": partial(dense, codes, n_factors),
            },
            repeats,
        )
        name = f"factorise, {n_factors} factors"
        print(f"{name:28s}{took['ours']:9.1f} ms{took['dense']:9.1f} ms{took['dense'] / took['ours']:8.1f}")

    generator = torch.Generator().manual_seed(0)
    W = torch.randn(D_MODEL, N_FEATURES, generator=generator) / D_MODEL**0.5
    sae = SAE(
        W_enc=W, b_enc=torch.zeros(N_FEATURES), W_dec=W.T.contiguous(), b_dec=torch.zeros(D_MODEL),
        activation="batchtopk", k=K, threshold=None, site="down_blocks.2.attentions.1", target="update",
        unit=torch.ones(N_FEATURES),
    )  # fmt: skip
    x = torch.randn(256, D_MODEL, generator=generator)

    def sorted_top_k() -> torch.Tensor:
        z = torch.relu((x - sae.b_dec) @ sae.W_enc + sae.b_enc)
        values, indices = z.sort(dim=-1, descending=True)
        return torch.zeros_like(z).scatter(-1, indices[:, :K], values[:, :K])

    took = timed({"ours": lambda: sae.encode(x), "plain": sorted_top_k}, repeats)
    print(f"{'encode':28s}{took['ours']:9.1f} ms{took['plain']:9.1f} ms{took['plain'] / took['ours']:8.1f}")


if __name__ == "__main__":
    main()
