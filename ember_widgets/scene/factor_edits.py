"""Edits of a scene's factors: what they are made of, which there are, what they are called."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene import site_names
from ember_widgets.scene.grid import GRID
from ember_widgets.scene.palette import free_name, next_color
from ember_widgets.util import checks
from ember_widgets.util.checks import FloatArray

if TYPE_CHECKING:
    from typing_extensions import Self


class FactorEdits:
    """The part of a `Scene` that edits its factors; every edit returns a new one."""

    strengths: FloatArray
    basis: FloatArray
    names: tuple[str, ...]
    colors: tuple[str, ...]
    base_basis: FloatArray
    unit: FloatArray
    model: Mapping[str, str]
    origins: tuple[int, ...] | None
    sites: Mapping[str, int] | None

    @abstractmethod
    def replace(self, **changes: Any) -> Self:
        """A copy with fields replaced, checked like a new scene."""

    @property
    def n_factors(self) -> int:
        """How many factors there are; 0 on a blank canvas."""
        return len(self.basis)

    @property
    def n_features(self) -> int:
        """How many features the SAE has."""
        return len(self.unit)

    def site(self, factor: int | str) -> str:
        """The site that a factor belongs to: module path, "" where the scene does not say.

        Raises:
            TypeError, ValueError: an unknown factor.
        """
        f = self._factor(factor)
        return self.model.get("site", "") if self.sites is None else list(self.sites)[self._site_of[f]]

    def feature(self, feature: int, site: str) -> int:
        """The index among this scene's features of a feature of one site's SAE.

        Args:
            feature: index into that SAE.
            site: module path or short name, such as "up.0.1".

        Raises:
            TypeError, ValueError: an unknown feature, or a site that is not steered here.
        """
        known = self.sites or {self.model.get("site", ""): self.n_features}
        name = site_names.full(checks.text("site", site))
        if name not in known:
            raise ValueError(
                f"site={checks.shown(site)} is not steered here; choose one of {', '.join(known)}"
            )
        before = list(known)[: list(known).index(name)]
        return sum(known[other] for other in before) + checks.feature_index(feature, known[name])

    # Edits of what a factor is

    def set_weight(self, factor: int | str, feature: int, weight: float) -> Self:
        """Set how much of a feature is in a factor.

        Args:
            factor: index or name.
            feature: index into the SAE, 0..n_features-1.
            weight: 1.0 = the feature's typical activation, 0 = none of it, negative subtracts it.

        Returns:
            The scene with the factor changed, wherever it stands.

        Raises:
            TypeError, ValueError: an unknown factor or feature, weight not finite.
        """
        f = self._factor(factor)
        basis = writable(self.basis)
        feature = checks.feature_index(feature, self.n_features)
        basis[f, feature] = self._amount(feature, weight)
        self._check_one_site(basis[f], self.names[f])
        return self.replace(basis=basis)

    def weights(self, factor: int | str, top: int | None = None) -> dict[int, float]:
        """What a factor is made of.

        Args:
            factor: index or name.
            top: how many features at most, 1..n_features; None = all that are not 0.

        Returns:
            {feature: weight}, 1.0 = the feature's typical activation; those that add most come first.

        Raises:
            TypeError, ValueError: an unknown factor, or a top out of range.
        """
        row = self.basis[self._factor(factor)].astype(np.float64)
        if top is not None:
            top = checks.integer("top", top, 1, self.n_features, hint="leave it out for all features")
        order = np.argsort(-np.abs(row), kind="stable")[: np.count_nonzero(row)][:top]
        return {int(i): float(row[i] / self.unit[i]) for i in order}

    def add_factor(
        self, features: Mapping[int, float], name: str | None = None, color: str | None = None
    ) -> Self:
        """Add a factor made of features; paint with it afterwards.

        Args:
            features: {feature: weight}, 1.0 = the feature's typical activation.
            name: None = "feature 123", or "factor 5" for more than one feature. A taken name gets a number
                behind it.
            color: "#rrggbb"; None = the next colour of the palette.

        Returns:
            The scene with one more factor, the last, which is nowhere yet.

        Raises:
            TypeError, ValueError: an unknown feature or none, weight not finite, an invalid name or colour.
        """
        if not isinstance(features, Mapping) or not features:
            given = checks.shown(features)
            raise TypeError(f"features={given}; give at least one, as {{feature: weight}}, e.g. {{7: 1.0}}")
        row = np.zeros(self.n_features)
        for feature, weight in features.items():
            feature = checks.feature_index(feature, self.n_features)
            row[feature] = self._amount(feature, weight)
        self._check_one_site(row, "a factor")
        if name is None:
            name = f"feature {next(iter(features))}" if len(features) == 1 else f"factor {self.n_factors}"
        return self._append(row, name, next_color(self.colors) if color is None else color)

    def borrow(self, other: FactorEdits, factor: int | str) -> Self:
        """Take over a factor of another picture, to paint with it here.

        Args:
            other: a scene of the same SAE.
            factor: index or name of the factor there.

        Returns:
            This scene with one more factor, the last, which is nowhere yet. It keeps its name (with a number
            behind it if that is taken) and its colour (unless that is taken).

        Raises:
            TypeError: ``other`` is no scene.
            ValueError: an unknown factor, or the scenes' SAEs differ.
        """
        self.check_lender(other)
        f = other._factor(factor)
        color = next_color(self.colors) if other.colors[f] in self.colors else other.colors[f]
        return self._append(other.basis[f], other.names[f], color)

    def check_lender(self, other: FactorEdits) -> None:
        """Refuse a scene that nothing can be borrowed from.

        Raises:
            TypeError: ``other`` is no scene.
            ValueError: the scenes' SAEs differ.
        """
        if not isinstance(other, FactorEdits):
            raise TypeError(f"other={checks.shown(other)} is not a Scene; load one with Scene.load(path)")
        if other.n_features != self.n_features:
            raise ValueError(
                f"the other scene's SAE has {other.n_features} features, this one's {self.n_features}; "
                "factors can only be borrowed from a scene of the same SAE"
            )
        theirs, ours = other.model.get("sae"), self.model.get("sae")
        if theirs != ours:
            raise ValueError(
                f"the other scene's SAE is {checks.shown(theirs)}, this one's {checks.shown(ours)}; "
                "their features mean different things, so analyse the other picture with this painter first"
            )

    def keep_top(self, factor: int | str, top: int = 1) -> Self:
        """Reduce a factor to its strongest features, to see how much of the picture they alone carry.

        Args:
            factor: index or name.
            top: how many features stay, 1..n_features; the others get weight 0.

        Raises:
            TypeError, ValueError: an unknown factor, or a top out of range.
        """
        f = self._factor(factor)
        kept = list(self.weights(f, top))
        basis = writable(self.basis)
        basis[f] = 0
        basis[f, kept] = self.basis[f, kept]
        return self.replace(basis=basis)

    def reset_weights(self, factor: int | str) -> Self:
        """Make a factor of the features again that it was analysed as.

        Raises:
            TypeError, ValueError: an unknown factor, or one that was added and never analysed.
        """
        f = self._factor(factor)
        origin = self._origins[f]
        if origin < 0:
            raise ValueError(
                f"{checks.shown(self.names[f])} was added, not analysed, so there is nothing to go back to; "
                "use undo, or set_weight for each feature"
            )
        basis = writable(self.basis)
        basis[f] = self.base_basis[origin]
        return self.replace(basis=basis)

    # Edits of the palette

    def duplicate(self, factor: int | str) -> Self:
        """Copy a factor, to paint with it or to change what it is made of.

        Returns:
            The scene with one more factor, the last, which is nowhere yet and has a colour of its own.

        Raises:
            TypeError, ValueError: an unknown factor.
        """
        f = self._factor(factor)
        return self._append(self.basis[f], self.names[f], next_color(self.colors), self._origins[f])

    def remove(self, factor: int | str) -> Self:
        """Take a factor out of the picture and off the palette.

        Raises:
            TypeError, ValueError: an unknown factor.
        """
        f = self._factor(factor)
        return self._arranged([i for i in range(self.n_factors) if i != f])

    def reorder(self, order: Iterable[int | str]) -> Self:
        """Put the factors in another order; the picture stays.

        Args:
            order: every factor once, by index or name.

        Raises:
            TypeError, ValueError: an unknown factor, one that is missing, or one given twice.
        """
        indices = [self._factor(factor) for factor in order]
        if sorted(indices) != list(range(self.n_factors)):
            raise ValueError(
                f"order={checks.shown(indices)} is not every factor once; "
                f"give the {checks.plural(self.n_factors, 'factor')} in another order"
            )
        return self._arranged(indices)

    def recolor(self, factor: int | str, color: str) -> Self:
        """Give a factor another colour, "#rrggbb".

        Raises:
            TypeError, ValueError: an unknown factor, or no colour.
        """
        f = self._factor(factor)
        colors = list(self.colors)
        colors[f] = checks.color("color", color)
        return self.replace(colors=tuple(colors))

    def rename(self, factor: int | str, name: str) -> Self:
        """Give a factor another name.

        Raises:
            TypeError, ValueError: an unknown factor, or a name that is empty or another factor's.
        """
        f = self._factor(factor)
        names = list(self.names)
        names[f] = checks.text("name", name)
        return self.replace(names=tuple(names))

    @property
    def _site_of(self) -> list[int]:
        """Per factor the number of its site. One that is all zero is of the site it was analysed at."""
        ends = np.cumsum(list((self.sites or {}).values()))
        found = []
        for row, origin in zip(self.basis, self._origins, strict=True):
            if not row.any() and origin >= 0:
                row = self.base_basis[origin]
            used = np.flatnonzero(row)
            found.append(int(np.searchsorted(ends, used[0], side="right")) if len(used) else 0)
        return found

    def _check_one_site(self, row: NDArray[Any], name: str) -> None:
        if self.sites is None:
            return
        ends = np.cumsum(list(self.sites.values()))
        touched = sorted({int(np.searchsorted(ends, i, side="right")) for i in np.flatnonzero(row)})
        if len(touched) > 1:
            names = " and ".join(list(self.sites)[i] for i in touched)
            raise ValueError(
                f"{checks.shown(name)} would have features of {names}; a factor belongs to one site, "
                "so make one for each"
            )

    def _factor(self, factor: int | str) -> int:
        return checks.factor_index(factor, self.names)

    def _amount(self, feature: int, weight: float) -> float:
        hint = "give a number (1.0 = the feature's typical activation)"
        return checks.number("weight", weight, hint=hint) * float(self.unit[feature])

    @property
    def _origins(self) -> tuple[int, ...]:
        return self.origins or ()  # None is gone after __post_init__

    def _append(self, row: NDArray[Any], name: str, color: str, origin: int = -1) -> Self:
        return self.replace(
            strengths=np.concatenate([self.strengths, np.zeros((GRID, GRID, 1))], axis=2),
            basis=np.concatenate([self.basis, row[None]]),
            names=(*self.names, free_name(checks.text("name", name), self.names)),
            colors=(*self.colors, color),
            origins=(*self._origins, origin),
        )

    def _arranged(self, factors: list[int]) -> Self:
        return self.replace(
            strengths=self.strengths[..., factors],
            basis=self.basis[factors],
            names=tuple(self.names[f] for f in factors),
            colors=tuple(self.colors[f] for f in factors),
            origins=tuple(self._origins[f] for f in factors),
        )


def writable(array: FloatArray) -> NDArray[np.float64]:
    """A copy to edit. In float64, so that an edit rounds once, at its end, as it does in the browser."""
    return array.astype(np.float64)
