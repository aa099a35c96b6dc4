"""Non-negative least squares for many targets over the same few rows: exact, and fast for a fixed basis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ember_widgets.dictionary.threads import one_blas_thread

SWEEPS = 6
"""Coordinate descent to begin with: it finds most of the rows that take part."""
EXCHANGES = 12
"""Exchanges of rows before the few targets that are left are solved one by one."""
CHUNK = 4096
RIDGE = 1e-9
"""Added to the diagonal of the Gram matrix, relative to it, so that rows that are alike have one solution."""

Matrix = NDArray[np.float64]


def mixes(products: Matrix, gram: Matrix) -> Matrix:
    """Weights ≥ 0 whose sum of rows is nearest to each target.

    A few sweeps of coordinate descent guess which rows take part in each target. The unconstrained problem of
    these rows is then solved, and rows are exchanged until the conditions of an optimum hold: block principal
    pivoting (Kim and Park 2011, "Fast nonnegative matrix factorization", SIAM J. Sci. Comput. 33). Targets
    for which it does not settle are solved by `scipy.optimize.nnls`. So the result is exact, however good
    the guess was.

    Args:
        products: (n_targets, n_rows), each target times each row.
        gram: (n_rows, n_rows), rows times rows; its diagonal is above 0.

    Returns:
        (n_targets, n_rows).
    """
    gram = gram + np.diag(RIDGE * np.diag(gram))
    found = np.zeros(products.shape)
    for begin in range(0, len(products), CHUNK):
        part = products[begin : begin + CHUNK]
        # Elsewhere 0 is the solution: where rows and targets are >= 0, a product of 0 cannot gain.
        some = np.flatnonzero(part.max(axis=1, initial=0) > 0)
        if len(some):
            with one_blas_thread():
                found[begin + some] = _mixes(part[some], gram)
    return found


def _mixes(products: Matrix, gram: Matrix) -> Matrix:
    near = _descended(products, gram)
    passive = near > 1e-6 * near.max(axis=1, keepdims=True)
    scale = np.abs(products).max(axis=1, keepdims=True)
    result = np.zeros_like(products)
    left = np.arange(len(products))
    for _ in range(EXCHANGES):
        values = _solved(products[left], gram, passive[left])
        slopes = products[left] - values @ gram
        negative = passive[left] & (values < 0)
        wanted = ~passive[left] & (slopes > 1e-9 * scale[left])
        settled = ~(negative | wanted).any(axis=1)
        result[left[settled]] = values[settled]
        unsettled = left[~settled]
        passive[unsettled] ^= (negative | wanted)[~settled]
        left = unsettled
        if not len(left):
            return result
    result[left] = _one_by_one(products[left], gram)
    return result


def _descended(products: Matrix, gram: Matrix) -> Matrix:
    """Coordinate descent, all targets at once."""
    targets = np.ascontiguousarray(products.T)
    mix, diagonal = np.zeros_like(targets), np.diag(gram)
    for _ in range(SWEEPS):
        for k, row in enumerate(gram):
            step = (targets[k] - row @ mix) / diagonal[k]
            np.maximum(mix[k] + step, 0, out=mix[k])
    return np.ascontiguousarray(mix.T)


def _solved(products: Matrix, gram: Matrix, passive: NDArray[np.bool_]) -> Matrix:
    """The unconstrained solutions in which only the passive rows take part."""
    width = int(passive.sum(axis=1).max(initial=0))
    result = np.zeros_like(products)
    if not width:
        return result
    # The passive rows of each target first; the places that are left over solve 1 · x = 0.
    rows = np.argsort(~passive, axis=1, kind="stable")[:, :width]
    used = np.take_along_axis(passive, rows, axis=1)
    systems = gram[rows[:, :, None], rows[:, None, :]] * (used[:, :, None] & used[:, None, :])
    places = np.arange(width)
    systems[:, places, places] += ~used
    sides = np.take_along_axis(products, rows, axis=1) * used
    np.put_along_axis(result, rows, np.linalg.solve(systems, sides[..., None])[..., 0], axis=1)
    return result


def _one_by_one(products: Matrix, gram: Matrix) -> Matrix:
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls

    # |target − mix·rows|² and |sides − upper·mix|² differ by a constant.
    upper = cholesky(gram)
    sides = solve_triangular(upper, products.T, trans="T").T
    return np.array([nnls(upper, side)[0] for side in sides])
