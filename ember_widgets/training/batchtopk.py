"""The codes that BatchTopK keeps of a batch, and the products with them, without the matrix of all codes.

Of n patches' n·n_features codes the n·k largest are kept, k/n_features of them. Only the encoder's product
has to be computed in full; it is computed some rows at a time, so that all of it is never held. All other
products, the gradients' too, run over the codes kept.

Where the device is faster in bfloat16, the full product is made in it, and only finds candidates: a bound of
the error that rounding can make says which codes could be among the largest. These are computed again in
float32.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ember_widgets.training.ranks import Ranks

ROWS = 512
"""Patches whose codes are computed at a time, on a CPU."""
ROWS_GPU = 4096
BLOCK = 256
"""Rows of weights that are rounded at a time."""
BELOW = 0.9
"""Candidates are the codes above so much of the smallest code kept last."""
ROUNDING = 2**-8
"""Largest error of rounding to bfloat16, as a share of the number."""
ERROR = 2 * ROUNDING * (1 + 8 * ROUNDING)
"""The same of a code: the product is rounded, and its sum with the bias again."""
LONG = 256
"""One patch of so many may be so long that rounding could hide any of its codes. With more of them, the full
product in float32 is faster."""


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


@dataclass(frozen=True)
class Rounded:
    """A matrix in bfloat16, and what bounds the errors of products with it.

    Attributes:
        rows: (n, d_model) bfloat16.
        longest: Length of the longest row, after rounding or before.
        error: Length of the largest difference that rounding made to a row.
    """

    rows: Tensor
    longest: float
    error: float

    @classmethod
    def of(cls, rows: Tensor) -> Rounded:
        """(n, d_model) float32, rounded."""
        rounded = torch.empty_like(rows, dtype=torch.bfloat16)
        lengths = rows.new_empty(2, len(rows))
        step = len(rows) if rows.is_cuda else BLOCK
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            rounded[part] = rows[part]
            lengths[0, part] = torch.linalg.vector_norm(rows[part], dim=1)
            lengths[1, part] = torch.linalg.vector_norm(rows[part] - rounded[part], dim=1)
        length, error = lengths.amax(1).tolist()
        return cls(rounded, length + error, error)


def largest(
    x: Tensor,
    W_enc: Tensor,
    b_enc: Tensor,
    n: int,
    *,
    level: float | None = None,
    coarse: Rounded | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
) -> Codes:
    """The n largest codes above 0 of relu(x·W_encᵀ + b_enc), of all processes together.

    Args:
        x: (n_patches, d_model) float32, this process's.
        W_enc: (n_features, d_model) float32: the transpose of `SAE.W_enc`, whose rows lie together.
        b_enc: (n_features,).
        n: How many.
        level: Where to look first; None = estimated from some patches.
        coarse: W_enc in bfloat16, to find candidates with. The codes found are the same.
        ranks: The processes.
    """
    level = _estimate(x, W_enc, b_enc, n, ranks) if level is None else level
    while True:
        rows, features, values = _above(x, W_enc, b_enc, level, n, coarse)
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
    starts = starts_of(torch.bincount(features, minlength=len(W_enc)))
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
    x: Tensor, W_enc: Tensor, b_enc: Tensor, level: float, n: int, coarse: Rounded | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, features and values of the codes above a level of at least 0, with the rows rising.

    Of more than n codes, those that cannot be among the n largest may be left out.
    """
    if coarse is not None:
        bound = _bound(x, coarse, b_enc)
        low = _lower(level, bound)
        if int((low <= 0).sum()) <= len(x) // LONG:
            return _above_roughly(x, W_enc, b_enc, level, n, coarse, bound)
    places, values = _places(x, W_enc, b_enc, level)
    return places // len(W_enc), places % len(W_enc), values


def _places(x: Tensor, W_enc: Tensor, b_enc: Tensor, level: Tensor | float) -> tuple[Tensor, Tensor]:
    """Where codes are above a level, in the flat matrix of codes, and these codes."""
    step = ROWS_GPU if x.is_cuda else ROWS
    found, values = [], []
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        codes = torch.addmm(b_enc, x[part], W_enc.T)
        at = (codes > (level[part] if isinstance(level, Tensor) else level)).flatten().nonzero().squeeze(1)
        values.append(codes.flatten()[at])
        found.append(at + start * len(W_enc))
    return torch.cat(found), torch.cat(values)


def _above_roughly(
    x: Tensor, W_enc: Tensor, b_enc: Tensor, level: float, n: int, coarse: Rounded, bound: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """See `_above`: candidates by their codes in bfloat16, then computed in float32."""
    low = _lower(level, bound).bfloat16()
    places, rough = _places(x.bfloat16(), coarse.rows, b_enc.bfloat16(), low)
    rows, features = places // len(W_enc), places % len(W_enc)
    if len(rows) > n:  # n codes are at least as large as the n-th of these least values
        rough = rough.float()
        width = bound[rows, 0] + ERROR * rough.abs()
        sure = (rough - width).topk(n, sorted=False).values.min()
        kept = rough + width >= sure
        rows, features = rows[kept], features[kept]
    counts = torch.bincount(rows, minlength=len(x))
    values = dots(x, W_enc, starts_of(counts), features) + b_enc[features]
    kept = values > level
    return rows[kept], features[kept], values[kept]


def _bound(x: Tensor, coarse: Rounded, b_enc: Tensor) -> Tensor:
    """By how much a patch's codes can differ from those in bfloat16, besides `ERROR` of each: (n_patches, 1).

    |x·w − x̃·w̃| ≤ |x − x̃|·|w| + |x̃|·|w − w̃|, by Cauchy and Schwarz.
    """
    rounded = x.bfloat16()
    lengths = torch.linalg.vector_norm(rounded, dim=1, dtype=torch.float32)
    errors: Tensor = torch.linalg.vector_norm(x - rounded, dim=1)
    # Sums are made in float32. On a GPU, parts of them may be added in bfloat16.
    summing = x.shape[1] * 2**-23 + (2 * ROUNDING if x.is_cuda else 0)
    bound = errors * coarse.longest + lengths * (coarse.error + summing * coarse.longest)
    bound = bound + b_enc.abs().max() * (ERROR + 2 * ROUNDING)
    return bound.unsqueeze(1)


def _lower(level: float, bound: Tensor) -> Tensor:
    """What codes above a level are above in bfloat16, however they are rounded; so is this."""
    low = level * (1 - ERROR) - bound
    return low - 2 * ROUNDING * low.abs()


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
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
