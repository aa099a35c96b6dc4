"""The codes that BatchTopK keeps of a batch, and the products with them, without the dense matrix of all codes.

Of n patches' n·n_features codes the n·k largest are kept, k/n_features of them. Only the encoder's product has to be
computed in full; it is computed some rows at a time, so that a part of it is compared while it is still in the
processor's cache. All other products, the gradients' too, run over the codes kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ember_widgets.training.ranks import Ranks

ROWS = 256
"""Patches whose codes are computed at a time, on a CPU."""
ROWS_GPU = 4096
PAIRS = 2048
"""Pairs of a patch and a feature that are worked on at a time."""
BELOW = 0.9
"""Candidates are the codes above so much of the smallest code kept last."""


@dataclass(frozen=True)
class Codes:
    """The codes kept of a batch, in the order of their features.

    Attributes:
        rows: (n,) int64, the patch of each.
        features: (n,) int64, rising.
        values: (n,) float32, above 0.
        starts: (n_features + 1,) int64: feature f has the codes starts[f]..starts[f + 1].
        smallest: The smallest code kept, of all processes; 0 if none was above 0.
    """

    rows: Tensor
    features: Tensor
    values: Tensor
    starts: Tensor
    smallest: float

    @property
    def counts(self) -> Tensor:
        """(n_features,) int64: how many codes each feature has."""
        return self.starts.diff()


def largest(
    x: Tensor,
    W_enc: Tensor,
    b_enc: Tensor,
    n: int,
    *,
    level: float | None = None,
    coarse: Tensor | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
) -> Codes:
    """The n largest codes above 0 of relu(x·W_encᵀ + b_enc), of all processes together.

    Args:
        x: (n_patches, d_model) float32, this process's.
        W_enc: (n_features, d_model) float32: the transpose of `SAE.W_enc`, whose rows lie together.
        b_enc: (n_features,).
        n: How many.
        level: Where to look first; None = estimated from some patches.
        coarse: W_enc in bfloat16, to find candidates with. What its rounding could hide is a candidate too.
        ranks: The processes.
    """
    level = _estimate(x, W_enc, b_enc, n, ranks) if level is None else level
    while True:
        rows, features, values = _above(x, W_enc, b_enc, level, coarse)
        found = int(ranks.sum(torch.tensor(len(values), device=x.device)))
        if found >= n or level <= 0:
            break
        level = level / 2 if level > 1e-6 else 0.0
    if ranks.world == 1:
        if len(values) > n:
            values, chosen = values.topk(n, sorted=False)
            rows, features = rows[chosen], features[chosen]
    elif found > n:
        top = values.topk(min(n, len(values)), sorted=False).values
        top = ranks.gathered(F.pad(top, (0, n - len(top)), value=-math.inf))
        kept = values >= top.topk(n).values[-1]
        rows, features, values = rows[kept], features[kept], values[kept]
    order = (features * len(x) + rows).argsort()
    rows, features, values = rows[order], features[order], values[order]
    starts = torch.zeros(len(W_enc) + 1, dtype=torch.int64, device=x.device)
    starts[1:] = torch.bincount(features, minlength=len(W_enc)).cumsum(0)
    low = values.min() if len(values) else values.new_tensor(math.inf)
    smallest = float(ranks.least(low.clone()))
    return Codes(rows, features, values, starts, smallest if math.isfinite(smallest) else 0.0)


def _estimate(x: Tensor, W_enc: Tensor, b_enc: Tensor, n: int, ranks: Ranks) -> float:
    some = x[:ROWS]
    share = max(1, n * len(some) // (len(x) * ranks.world))
    codes = torch.addmm(b_enc, some, W_enc.T).flatten()
    low = codes.topk(min(share, codes.numel())).values[-1] * BELOW
    return max(0.0, float(ranks.least(low.clone())))


def _above(
    x: Tensor, W_enc: Tensor, b_enc: Tensor, level: float, coarse: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, features and values of all codes above a level of at least 0."""
    step = ROWS_GPU if x.is_cuda else ROWS
    n_features = len(W_enc)
    rough_level, rough_bias, rough_x = level, b_enc, x
    if coarse is not None:
        # Inputs are rounded by 2⁻⁹ each and the result by 2⁻⁹ again; the bias likewise.
        longest = float(x.norm(dim=1).max() * W_enc.norm(dim=1).max())
        rough_level = level - (longest * 2**-7 + float(b_enc.abs().max()) * 2**-7 + level * 2**-8)
        rough_bias, rough_x = b_enc.bfloat16(), x.bfloat16()
        if rough_level <= 0:  # half of all codes would be candidates
            return _above(x, W_enc, b_enc, level, None)
    weights = (W_enc if coarse is None else coarse).T
    flat, values = [], []
    for start in range(0, len(x), step):
        codes = torch.addmm(rough_bias, rough_x[start : start + step], weights).flatten()
        at = (codes > rough_level).nonzero().squeeze(1)
        if coarse is None:
            values.append(codes[at])
        flat.append(at + start * n_features)
    places = torch.cat(flat)
    rows, features = places // n_features, places % n_features
    if coarse is None:
        return rows, features, torch.cat(values)
    exact = dots(x, W_enc, rows, features) + b_enc[features]
    kept = exact > level
    return rows[kept], features[kept], exact[kept]


def dots(a: Tensor, b: Tensor, rows: Tensor, features: Tensor) -> Tensor:
    """(n,): the products a[row]·b[feature] of pairs.

    Args:
        a: (n_patches, d_model).
        b: (n_features, d_model).
        rows, features: (n,).
    """
    size = len(rows) if a.is_cuda else PAIRS
    parts = [
        torch.einsum("nd,nd->n", a[r], b[f])
        for r, f in zip(rows.split(max(1, size)), features.split(max(1, size)), strict=True)
    ]
    return torch.cat(parts)


def decoded(codes: Tensor, rows: Tensor, features: Tensor, W_dec: Tensor, n_patches: int) -> Tensor:
    """Σ code·W_dec[feature] for each patch: (n_patches, d_model).

    Args:
        codes, rows, features: (n,), in any order.
        W_dec: (n_features, d_model).
        n_patches: How many patches there are.
    """
    order = rows.argsort(stable=True)
    return gathered(codes[order], features[order], torch.bincount(rows, minlength=n_patches), W_dec)


def gathered(weights: Tensor, indices: Tensor, counts: Tensor, table: Tensor) -> Tensor:
    """Weighted sums of a table's rows: (n_sums, d_model).

    Args:
        weights, indices: (n,), those of the first sum first.
        counts: (n_sums,) int64: how many belong to each.
        table: (n_rows, d_model).
    """
    starts = counts.cumsum(0) - counts
    return F.embedding_bag(indices, table, starts, mode="sum", per_sample_weights=weights)
