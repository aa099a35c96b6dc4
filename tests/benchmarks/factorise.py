"""Encoding and factorising one picture at SDXL-Turbo's size, next to the plain ways.

    python -m tests.benchmarks.factorise [--repeats 5] [--cpu-time]

256 patches, 1,280 channels, 10,240 features of which 10 fire per patch, made by chance out of 5 overlapping
blobs: no weights needed. Timed in turns, so that the ratios hold on a busy machine too.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ember_widgets.dictionary.factors import Factors
from ember_widgets.dictionary.sae import SAE
from ember_widgets.painter.steering import edits
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene
from tests.benchmarks.render import asked, timed

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
    repeats, clock = asked(__doc__, 5)
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
            clock,
        )
        name = f"factorise, {n_factors} factors"
        print(f"{name:28s}{took['ours']:9.1f} ms{took['dense']:9.1f} ms{took['dense'] / took['ours']:8.1f}")

    for activation in ("topk", "batchtopk"):
        encode(activation, repeats, clock)
    edit(codes, repeats, clock)


def an_sae(activation: str) -> SAE:
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(D_MODEL, N_FEATURES, generator=generator) / D_MODEL**0.5
    return SAE(
        W_enc=W, b_enc=torch.zeros(N_FEATURES), W_dec=W.T.contiguous(), b_dec=torch.zeros(D_MODEL),
        activation=activation, k=K, threshold=None, site="down_blocks.2.attentions.1", target="update",
        unit=torch.ones(N_FEATURES),
    )  # fmt: skip


def encode(activation: str, repeats: int, clock: Callable[[], float]) -> None:
    """Next to a dense pass that sorts all codes; and next to the matrix product alone, the floor."""
    sae = an_sae(activation)
    x = torch.randn(256, D_MODEL, generator=torch.Generator().manual_seed(1))

    def plain() -> torch.Tensor:
        z = torch.relu((x - sae.b_dec) @ sae.W_enc + sae.b_enc)
        rows, k = (z, K) if activation == "topk" else (z.view(1, -1), K * 256)
        values, indices = rows.sort(dim=-1, descending=True)
        return torch.zeros_like(rows).scatter(-1, indices[:, :k], values[:, :k])

    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: sae.encode(x),
        "plain": plain,
        "product": lambda: x @ sae.W_enc,
    }
    took = timed(ways, repeats, clock)
    ours, dense, product = took.values()
    print(f"{'encode, ' + activation:28s}{ours:9.1f} ms{dense:9.1f} ms{dense / ours:8.1f}", end="")
    print(f"   of it the matrix product {product:.1f} ms")


def edit(codes: NDArray[np.float32], repeats: int, clock: Callable[[], float]) -> None:
    """A stroke's change of the site's output, next to the equation as it is written."""
    sae, factors = an_sae("topk"), Factors.fit(codes, 5)
    names = tuple("abcde")
    scene = Scene(
        prompt="", seed=0, n_steps=1, strengths=factors.strengths, remainder=np.ones((16, 16), np.float32),
        basis=factors.basis, names=names, colors=palette(5), base_strengths=factors.strengths,
        base_basis=factors.basis, unit=np.ones(N_FEATURES, np.float32), model={},
    )  # fmt: skip
    painted = [scene.scale(0, 1 + i / 100) for i in range(1, 8)]
    strokes = itertools.cycle(painted)

    def plain() -> torch.Tensor:
        now = next(strokes)
        made = torch.tensor(now.strengths.reshape(256, 5)) @ torch.tensor(now.basis)
        begun = torch.tensor(now.base_strengths.reshape(256, 5)) @ torch.tensor(now.base_basis)
        return (made - begun) @ sae.W_dec

    took = timed({"ours": lambda: edits(next(strokes), [sae]), "plain": plain}, repeats, clock)
    ours, dense = took.values()
    print(f"{'edit, 5 factors':28s}{ours:9.1f} ms{dense:9.1f} ms{dense / ours:8.1f}")


if __name__ == "__main__":
    main()
