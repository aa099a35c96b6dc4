"""The codes that BatchTopK keeps of a batch, and the products with them, without the matrix of all codes.

Of n patches' n·n_features codes the n·k largest are kept, k/n_features of them. Only the encoder's product
has to be computed in full; it is computed some features at a time, so that all of it is never held. All other
products, the gradients' too, run over the codes kept.

Where the device is faster in bfloat16, the full product is made in it, and only finds candidates: a bound of
the error that rounding can make says which codes could be among the largest. These are computed again in
float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ember_widgets.training.ranks import Ranks
from ember_widgets.util import quiet

FEATURES = 512
"""Features whose codes are computed at a time, on a CPU."""
FEATURES_GPU = 4096
SOME = 64
"""Patches that the first step's level is estimated from."""
BELOW = 0.9
"""Candidates are the codes above so much of the smallest code kept last."""
ROUNDING = 2**-8
"""Largest error of rounding to bfloat16, as a share of the number."""
ERROR = 2 * ROUNDING * (1 + 8 * ROUNDING)
"""The same of a code: the product is rounded, and its sum with the bias again."""
LONG = 256
"""One patch of so many may be so long that rounding could hide any of its codes. With more of them, the full
product in float32 is faster."""

# PyTorch warns at the first of these tensors, and only then, that they are in beta. Filters of warnings
# belong to all threads, so they are not changed at every step.
with quiet.ignoring(UserWarning):
    torch.sparse_csr_tensor(
        torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0), (0, 1)
    )


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
    coarse: bool = False,
    ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
) -> Codes:
    """The n largest codes above 0 of relu(x·W_encᵀ + b_enc), of all processes together.

    Args:
        x: (n_patches, d_model) float32, this process's.
        W_enc: (n_features, d_model) float32: the transpose of `SAE.W_enc`, whose rows lie together.
        b_enc: (n_features,).
        n: How many.
        level: Where to look first; None = estimated from some patches.
        coarse: Whether to find candidates in bfloat16. The codes found are the same.
        ranks: The processes.
    """
    level = _estimate(x, W_enc, b_enc, n, ranks) if level is None else level
    while True:
        places, values = _above(x, W_enc, b_enc, level, n, coarse)
        found = int(ranks.sum(torch.tensor(len(values), device=x.device)))
        if found >= n or level <= 0:
            break
        level = level / 2 if level > 1e-6 else 0.0
    if ranks.world == 1:
        if len(values) > n:
            kept = values.topk(n, sorted=False).indices.sort().values
            places, values = places[kept], values[kept]
    elif found > n:
        top = values.topk(min(n, len(values)), sorted=False).values
        top = ranks.gathered(F.pad(top, (0, n - len(top)), value=-math.inf))
        kept = values >= top.topk(n).values[-1]
        places, values = places[kept], values[kept]
    features, rows = places // len(x), places % len(x)
    starts = starts_of(torch.bincount(features, minlength=len(W_enc)))
    low = values.min() if len(values) else values.new_tensor(math.inf)
    smallest = float(ranks.least(low.clone()))
    return Codes(rows, features, values, starts, smallest if math.isfinite(smallest) else 0.0)


def _estimate(x: Tensor, W_enc: Tensor, b_enc: Tensor, n: int, ranks: Ranks) -> float:
    some = x[:: max(1, len(x) // SOME)]
    share = max(1, n * len(some) // (len(x) * ranks.world))
    codes = torch.addmm(b_enc, some, W_enc.T).flatten()
    low = codes.topk(min(share, codes.numel())).values[-1] * BELOW
    return max(0.0, float(ranks.least(low.clone())))


def _above(
    x: Tensor, W_enc: Tensor, b_enc: Tensor, level: float, n: int, coarse: bool
) -> tuple[Tensor, Tensor]:
    """The codes above a level of at least 0, in the order of their features.

    Of more than n codes, those that cannot be among the n largest may be left out.

    Returns:
        Places in the flat matrix of all codes (n_features, n_patches), and the codes.
    """
    rough = Rough.of(x) if coarse else None
    step = FEATURES_GPU if x.is_cuda else FEATURES
    places, values, widths = [], [], []
    for start in range(0, len(W_enc), step):
        part = slice(start, start + step)
        W, b = W_enc[part], b_enc[part]
        rounded = W.bfloat16() if rough else W
        bound = rough.bound(W, rounded, b) if rough else torch.zeros_like(x[:, 0])
        low = _lower(level, bound) if rough else bound + level
        if rough and int((low <= 0).sum()) <= len(x) // LONG:
            codes = torch.addmm(b.bfloat16()[:, None], rounded, rough.x.T)
            low = low.bfloat16()
        else:
            codes = torch.addmm(b[:, None], W, x.T)
        at = (codes > low).flatten().nonzero().squeeze(1)
        places.append(at + start * len(x))
        values.append(codes.flatten()[at].float())
        widths.append(bound[at % len(x)])
    if rough is None:
        return torch.cat(places), torch.cat(values)
    return _made_exact(x, W_enc, b_enc, level, n, torch.cat(places), torch.cat(values), torch.cat(widths))


def _made_exact(
    x: Tensor,
    W_enc: Tensor,
    b_enc: Tensor,
    level: float,
    n: int,
    places: Tensor,
    values: Tensor,
    widths: Tensor,
) -> tuple[Tensor, Tensor]:
    """See `_above`: of codes known to within a width, those that can be among the largest, in float32."""
    if len(places) > n:  # n codes are at least as large as the n-th of the least that these can be
        widths = widths + ERROR * values.abs()
        sure = (values - widths).topk(n, sorted=False).values.min()
        places = places[values + widths >= sure]
    features = places // len(x)
    counts = torch.bincount(features, minlength=len(W_enc))
    values = dots(W_enc, x, starts_of(counts), places % len(x)) + b_enc[features]
    kept = values > level
    return places[kept], values[kept]


@dataclass(frozen=True)
class Rough:
    """Patches in bfloat16, and what bounds the errors of codes computed with them.

    Attributes:
        x: (n_patches, d_model) bfloat16.
        lengths: (n_patches,), of the patches as rounded.
        errors: (n_patches,): length of the difference that rounding made.
    """

    x: Tensor
    lengths: Tensor
    errors: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Rough:
        """(n_patches, d_model) float32, rounded."""
        rounded = x.bfloat16()
        errors = [torch.linalg.vector_norm(a - b, dim=1) for a, b in zip(_cut(x), _cut(rounded), strict=True)]
        return cls(rounded, torch.linalg.vector_norm(rounded, dim=1, dtype=torch.float32), torch.cat(errors))

    def bound(self, W: Tensor, rounded: Tensor, b: Tensor) -> Tensor:
        """By how much codes can differ from those in float32, besides `ERROR` of each: (n_patches,).

        |w·x − w̃·x̃| ≤ |w|·|x − x̃| + |w − w̃|·|x̃|, by Cauchy and Schwarz.

        Args:
            W: Some rows of W_enc, (n, d_model).
            rounded: The same in bfloat16.
            b: Their biases, (n,).
        """
        longest = torch.linalg.vector_norm(W, dim=1).max()
        error = torch.linalg.vector_norm(W - rounded, dim=1).max()
        # Sums are made in float32. On a GPU, parts of them may be added in bfloat16.
        summing = W.shape[1] * 2**-23 + (2 * ROUNDING if W.is_cuda else 0)
        bias = b.abs().max() * (ERROR + 2 * ROUNDING)
        bound: Tensor = self.errors * longest + self.lengths * (error + summing * (longest + error)) + bias
        return bound


def _lower(level: float, bound: Tensor) -> Tensor:
    """What codes above a level are above in bfloat16, however they are rounded; so is this."""
    low = level * (1 - ERROR) - bound
    return low - 2 * ROUNDING * low.abs()


def _cut(x: Tensor) -> tuple[Tensor, ...]:
    return (x,) if x.is_cuda else torch.tensor_split(x, max(1, len(x) // FEATURES))


def starts_of(counts: Tensor) -> Tensor:
    """Where groups begin that lie one after another, and where the last one ends: (n,) int64 -> (n + 1,)."""
    return F.pad(counts.cumsum(0), (1, 0))


def dots(a: Tensor, b: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
    """The products a[i]·b[j] of pairs: (n,).

    Args:
        a, b: (n_a, d_model) and (n_b, d_model).
        starts: (n_a + 1,) int64: row i of a has the pairs starts[i]..starts[i + 1].
        columns: (n,) int64, j of each.
    """
    pairs = torch.sparse_csr_tensor(
        starts, columns, a.new_zeros(len(columns)), (len(a), len(b)), check_invariants=False
    )
    products: Tensor = torch.sparse.sampled_addmm(pairs, a, b.T, beta=0.0)
    return products.values()


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
