"""Factors: the SAE codes of one picture, split into a few parts to paint with.

Non-negative matrix factorisation of the patches' codes: activations ≈ strengths · basis, where both are >= 0.
Each row of the basis is a bundle of features that go together in this picture ("sky", "lion", ...), and its
strengths say where and how much of it there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.dictionary.threads import one_blas_thread
from ember_widgets.scene.grid import Grid
from ember_widgets.util import checks, quiet
from ember_widgets.util.checks import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """The factors of one picture, the one with the largest share of its codes first.

    Args:
        strengths: (rows, cols, n_factors) float32 >= 0. 1.0 = the factor's own typical activation in the
            picture.
        basis: (n_factors, n_features) float32 >= 0, in units of SAE codes.
        ignore: features that were left out when the factors were fitted, such as positional ones.

    Example:
        >>> import numpy as np
        >>> activations = np.zeros((16, 16, 100), np.float32)
        >>> activations[:8, :, 3] = 2.0   # feature 3 above, feature 7 below
        >>> activations[8:, :, 7] = 0.5
        >>> factors = Factors.fit(activations, n_factors=2)
        >>> factors.basis.argmax(axis=1)
        array([3, 7])
        >>> factors.strengths[0, 0].round(3), factors.strengths[15, 0].round(3)
        (array([1., 0.], dtype=float32), array([0., 1.], dtype=float32))
    """

    strengths: FloatArray
    basis: FloatArray
    ignore: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        basis = checks.frozen_array("basis", self.basis, ("n_factors", "n_features"))
        strengths = checks.frozen_array("strengths", self.strengths, ("rows", "cols", len(basis)))
        object.__setattr__(self, "basis", basis)
        object.__setattr__(self, "strengths", strengths)

    @classmethod
    def fit(
        cls, activations: FloatArray, n_factors: int, ignore: Iterable[int] | NDArray[np.bool_] | None = None
    ) -> Factors:
        """Find the factors of a picture. The same activations give the same factors.

        Args:
            activations: (rows, cols, n_features) float32 >= 0, the SAE's codes of every patch.
            n_factors: how many, 1 to the number of patches; 3 to 8 read best.
            ignore: features to leave out of the fit, as indices or as bool (n_features,). Their weights in
                the basis are computed afterwards, and ``transform`` uses them.

        Returns:
            The factors, by their share in the picture's codes, largest first.

        Raises:
            TypeError, ValueError: activations of another shape, negative, not finite or all zero; more
                factors than there are active patches or active features; an unknown feature in ``ignore``.
        """
        codes, grid = _codes(activations)
        n_factors = checks.n_factors(n_factors, grid.n_patches)
        ignored = feature_mask(ignore, codes.shape[1])
        # Of ten thousand features a picture has a few hundred: nothing below looks at the others.
        active = np.flatnonzero(codes.max(axis=0))
        codes, late = codes[:, active].astype(np.float64), ignored[active]
        _check_there_are(n_factors, codes, codes[:, ~late])

        weights = np.zeros((n_factors, len(active)))
        strengths, weights[:, ~late] = _factorise(codes[:, ~late], n_factors)
        weights[:, late] = _non_negative_mix(codes[:, late].T, strengths.T).T
        strengths = _non_negative_mix(codes, weights)

        typical = np.array([typical_strength(column) for column in strengths.T])
        strengths, weights = strengths / typical, weights * typical[:, None]
        energy = (strengths**2).sum(axis=0) * (weights**2).sum(axis=1)
        order = np.argsort(-energy, kind="stable")
        basis = np.zeros((n_factors, len(ignored)), np.float32)
        basis[:, active] = weights[order]
        return cls(
            strengths=strengths[:, order].reshape(*grid.shape, n_factors).astype(np.float32),
            basis=basis,
            ignore=tuple(np.flatnonzero(ignored).tolist()),
        )

    def transform(self, activations: FloatArray) -> FloatArray:
        """How strong each of these factors is in a picture, this one or another.

        Args:
            activations: (rows, cols, n_features) float32 >= 0, the SAE's codes of every patch.

        Returns:
            (rows, cols, n_factors) float32 >= 0, the strengths whose sum of factors comes nearest to the
            activations. For the activations that were fitted these are ``strengths``.

        Raises:
            TypeError, ValueError: activations of another shape, negative or not finite.
        """
        codes, grid = _codes(activations, self.basis.shape[1])
        used = (self.basis != 0).any(axis=0)
        strengths = _non_negative_mix(
            codes[:, used].astype(np.float64), self.basis[:, used].astype(np.float64)
        )
        return strengths.reshape(*grid.shape, len(self.basis)).astype(np.float32)


def typical_strength(strengths: NDArray[np.float64]) -> float:
    """How strong a factor is where it is: the mean of its strengths, weighted by themselves.

    A plain mean would say more about how large the factor is in the picture than about how strong, and a
    maximum would be one patch's. So a factor on 200 patches and one on 3 can both be painted at strength 1.0.

    Args:
        strengths: (n,) >= 0 in any unit.

    Returns:
        Σs² / Σs in that unit; 1.0 for a factor that is nowhere.
    """
    total = strengths.sum()
    return float((strengths**2).sum() / total) if total > 0 else 1.0


def n_distinct(maps: NDArray[np.float32], *, alike: float = 0.9) -> int:
    """How many of the maps (rows, cols, n) differ from every earlier one, by their cosine similarity."""
    columns = maps.reshape(-1, maps.shape[2])
    columns = columns / np.linalg.norm(columns, axis=0)
    first: list[int] = []
    for i, column in enumerate(columns.T):
        if all(column @ columns[:, k] < alike for k in first):
            first.append(i)
    return len(first)


def unit_rows(rows: NDArray[Any]) -> NDArray[np.float64]:
    """The rows (n, m) at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12))


def _factorise(codes: NDArray[Any], n_factors: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NMF: (n, m) -> (n, n_factors), (n_factors, m)."""
    # sklearn and scipy are loaded here and below because they take longer to import than all the rest.
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    # Not "nndsvda": with few features it stops before it finds small objects.
    model = NMF(n_factors, init="nndsvd", random_state=0, max_iter=400, tol=1e-4)
    # Factors after max_iter read as well as later ones.
    with quiet.ignoring(ConvergenceWarning), one_blas_thread():
        strengths = model.fit_transform(codes.astype(np.float32))  # twice as fast as float64
    return strengths.astype(np.float64), model.components_.astype(np.float64)


def _non_negative_mix(targets: NDArray[Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights >= 0 whose sum of rows is nearest to each target: (n, m), (k, m) -> (n, k)."""
    from scipy.optimize import nnls

    if not targets.size:
        return np.zeros((len(targets), len(rows)))
    # Only what lies in the span of the rows can be matched: k numbers per target, however large m is.
    span, mixed = np.linalg.qr(rows.T)
    return np.array([nnls(mixed, target)[0] for target in targets @ span])


def _check_there_are(n_factors: int, active: NDArray[Any], sought: NDArray[Any]) -> None:
    """Refuse more factors than active features or patches: some would be the same."""
    if not active.size:
        raise ValueError("activations are all zero: this image has no active features; give another image")
    if not sought.size:
        raise ValueError("ignore names every active feature of this image; ignore fewer")
    n_patches, n_features = int((sought > 0).any(axis=1).sum()), sought.shape[1]
    limit = min(n_patches, n_features)
    if n_factors > limit:
        raise ValueError(
            f"n_factors={n_factors}, but this image has only {n_features} active features "
            f"in {n_patches} patches; choose 1..{limit}"
        )


def _codes(activations: FloatArray, n_features: int | str = "n_features") -> tuple[NDArray[np.float32], Grid]:
    """Activations as (n_patches, n_features), and the grid of the patches."""
    array = activations
    if not (isinstance(array, np.ndarray) and array.dtype == np.float32 and _is_fine(array, n_features)):
        array = checks.frozen_array("activations", activations, ("rows", "cols", n_features))
        if array.size and array.min() < 0:
            raise ValueError(
                f"activations go down to {array.min()}; SAE codes are never negative, give those"
            )
    grid = Grid.of(array)
    return array.reshape(grid.n_patches, array.shape[2]), grid


def _is_fine(array: NDArray[np.float32], n_features: int | str) -> bool:
    """Whether the array can be used as it is; a copy of ten thousand features takes as long as NMF."""
    if array.ndim != 3 or n_features not in ("n_features", array.shape[2]):
        return False
    # A value that is not finite fails one of the two comparisons.
    return array.size == 0 or bool(array.min() >= 0 and array.max() < np.inf)


def feature_mask(ignore: Iterable[int] | NDArray[np.bool_] | None, n_features: int) -> NDArray[np.bool_]:
    """Features, given as indices or as bool (n_features,), as the latter.

    Raises:
        TypeError, ValueError: An unknown feature, or an array of another length.
    """
    mask = np.zeros(n_features, np.bool_)
    if ignore is None:
        return mask
    if isinstance(ignore, np.ndarray) and ignore.dtype == np.bool_:
        if ignore.shape != mask.shape:
            raise ValueError(f"ignore has shape {ignore.shape}; give indices, or bool ({n_features},)")
        return ignore
    for feature in checks.listed("ignore", ignore, hint=f"give indices, or bool ({n_features},)"):
        mask[checks.feature_index(feature, n_features)] = True
    return mask
