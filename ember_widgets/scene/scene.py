"""Scene: all that is needed to draw a picture again, and the edits that lead from one to the next.

A scene is a value: it never changes, every edit returns a new one, and a failed edit changes nothing. So
undo is a list of scenes, and sharing a picture is saving one.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene import factor_edits, patch_edits, scene_file
from ember_widgets.scene.edit_transfer import Transfer, transfer
from ember_widgets.scene.factor_rows import FactorRow
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid, Patches
from ember_widgets.scene.palette import free_name, next_color, palette, with_ending
from ember_widgets.scene.scene_edit import SceneEdit, check_same_picture
from ember_widgets.scene.site_sae import check_site_sae
from ember_widgets.scene.steps import Drawn, Layers, Maps, Steps, includes, said
from ember_widgets.util import checks, files, png
from ember_widgets.util.checks import FloatArray

MOST_SCENES = 1000
"""How many scenes ``tween`` gives at most."""


class Picture(Protocol):
    """What a scene needs of the picture that a painter renders: a PIL image has it."""

    def save(self, fp: Any, format: str) -> None:
        """Write the picture to a stream."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scene:
    """An immutable picture recipe: what was generated, and what was painted over it.

    A *factor* is a weighted sum of SAE features with a strength in each patch of the grid (16×16 in
    SDXL-Turbo). The painter adds to the model's activations the change that the factors make
    (S·H − S0·H0) and takes away what is left of the original where the remainder mask is below 1. An
    unedited scene changes nothing at all.

    A factor is given by its index or its name. Patches are given as a bool array (rows, cols), an iterable
    of (row, col) pairs, or the name of an area ("everything", "floor", "centre", "left", "right").
    Scenes compare by value. Arrays are read-only.

    Args:
        prompt: text the picture was generated from; may be empty. Like every text of a scene, it has up to
            10,000 characters, and no half of a surrogate pair.
        seed: seed of the noise, 0..2**63-1.
        n_steps: sampling steps, 1..4.
        strengths: S, (rows, cols, n_factors) float32. 1.0 = as strong as the model itself makes that factor;
            any finite value is allowed, negative ones subtract.
        remainder: (rows, cols) float32 in [0, 1], how much stays of what the factors do not explain; 1 = all.
        basis: H, (n_factors, n_features) float32, each factor's features in units of SAE codes.
        names: a name per factor, all different.
        colors: a colour per factor, "#rrggbb".
        base_strengths: S0, (rows, cols, n_base) float32, the strengths of the analysed picture.
        base_basis: H0, (n_base, n_features) float32, their basis as analysed.
        unit: (n_features,) float32 > 0, each feature's typical activation; 1.0 in a weight means this much.
        model: which model and SAE this belongs to, str to str ("id", "revision", "site", "sae", ...).
        origins: per factor the analysed one that it is or was copied from, 0..n_base-1; -1 for one that was
            added. None = the first n_base factors are the analysed ones, in that order.
        guidance: scale of classifier-free guidance, 0..50; above 1 there may be up to 100 steps, and edits
            steer the conditional half.
        edit_steps: (start, stop), the steps that edits apply at, counted as by ``range``; None = all.
        image: (channels, height, width) float32, the latents of the photograph that sampling started from, in
            the sampler's scale and without noise. None = it started from noise alone. The photograph itself
            is not kept.
        image_strength: how much of that photograph is drawn anew, 0.05..1.
        sites: where several sites are steered, how many features each has: {site: n_features}, in the
            order of the features and of the network. A factor belongs to the site of its features. The
            remainder mask is the first site's: what the others do not explain follows from the picture as
            painted, and stays. None = one site.
        factor_ids: a number per factor, all different, 0 or more, that stays with the factor when it is
            renamed or moved in the palette, and is not used again after the factor is removed.
            Ids are not compared by ``==``. None = 0, 1, 2, ...
        next_factor_id: the id of the next factor that is added; None = the first above all ids.
        style: text that only the layers after the last steered site read, appended to the prompt: how things
            look, not where they are. "" = the prompt alone.
        factor_steps: per factor the sampling steps that it acts at, as (start, stop); None = all steps. A
            factor with steps is a *layer*: see `set_steps`. (start, stop, "add") is a layer that covers
            nothing. Steps beyond ``n_steps`` are kept, and do nothing. None = every factor acts at all steps.

    Raises:
        TypeError: a field of the wrong type.
        ValueError: a field out of range, or of a shape that does not fit the others.

    Example:
        >>> import numpy as np
        >>> strengths, basis = np.ones((16, 16, 1)), np.eye(1, 4)
        >>> scene = Scene(prompt="", seed=0, n_steps=1, strengths=strengths, remainder=np.ones((16, 16)),
        ...               basis=basis, names=("sky",), colors=("#56b4e9",), base_strengths=strengths,
        ...               base_basis=basis, unit=np.ones(4), model={})
        >>> scene.scale("sky", 0.5).strengths[0, 0]
        array([0.5], dtype=float32)
    """

    prompt: str
    seed: int
    n_steps: int
    strengths: FloatArray
    remainder: FloatArray
    basis: FloatArray
    names: tuple[str, ...]
    colors: tuple[str, ...]
    base_strengths: FloatArray
    base_basis: FloatArray
    unit: FloatArray
    model: Mapping[str, str]
    origins: tuple[int, ...] | None = None
    style: str = ""
    guidance: float = 0.0
    edit_steps: tuple[int, int] | None = None
    image: FloatArray | None = None
    image_strength: float = 0.5
    sites: Mapping[str, int] | None = None
    factor_ids: tuple[int, ...] | None = None
    next_factor_id: int | None = None
    factor_steps: tuple[Steps | None, ...] | None = None

    def __post_init__(self) -> None:
        basis = checks.factor_rows("basis", self.basis, "n_features")
        n_factors, n_features = basis.shape
        base_basis = checks.factor_rows("base_basis", self.base_basis, n_features)
        n_base = len(base_basis)
        if n_base > n_factors and self.origins is None:
            raise ValueError(
                f"base_basis has {n_base} rows, but basis only {n_factors}; "
                "say with origins which of them each factor is"
            )
        strengths = checks.frozen_array("strengths", self.strengths, (*_grid_of(self.strengths), n_factors))
        rows, cols = strengths.shape[:2]
        if not rows or not cols:
            raise ValueError(f"strengths has shape {strengths.shape}; give one patch or more")
        guidance = checks.guidance(self.guidance)
        factor_ids = checks.factor_ids(self.factor_ids, n_factors)
        checked: dict[str, Any] = {
            "prompt": checks.text("prompt", self.prompt),
            "style": checks.text("style", self.style),
            "seed": checks.seed(self.seed),
            "n_steps": checks.n_steps(self.n_steps, guidance),
            "guidance": guidance,
            "image_strength": checks.image_strength(self.image_strength),
            "strengths": strengths,
            "remainder": checks.frozen_array("remainder", self.remainder, (rows, cols)),
            "basis": basis,
            "names": checks.factor_names(self.names, n_factors),
            "colors": checks.factor_colors(self.colors, n_factors),
            "base_strengths": checks.frozen_array(
                "base_strengths", self.base_strengths, (rows, cols, n_base)
            ),
            "base_basis": base_basis,
            "unit": checks.frozen_array("unit", self.unit, (n_features,)),
            "model": MappingProxyType(checks.model(self.model)),
            "origins": checks.origins(
                _first(n_base, n_factors) if self.origins is None else self.origins, n_factors, n_base
            ),
        }
        checked["factor_ids"] = factor_ids
        checked["next_factor_id"] = checks.next_factor_id(self.next_factor_id, factor_ids)
        checked["edit_steps"] = checks.edit_steps(self.edit_steps, checked["n_steps"])
        checked["factor_steps"] = checks.factor_steps(self.factor_steps, n_factors)
        if self.image is not None:
            checked["image"] = checks.frozen_array("image", self.image, ("channels", "height", "width"))
        if self.sites is not None:
            checked["sites"] = MappingProxyType(checks.sites(self.sites, n_features))
        if checked["remainder"].min() < 0 or checked["remainder"].max() > 1:
            raise ValueError(
                "remainder has values outside 0..1; "
                "give how much of the original stays in each patch (1 = all)"
            )
        if (checked["unit"] <= 0).any():
            raise ValueError("unit has values <= 0; give each feature's typical activation, all above 0")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @cached_property
    def grid(self) -> Grid:
        """The patches of the picture."""
        return Grid.of(self.remainder)

    @cached_property
    def space(self) -> FeatureSpace:
        """Which site each feature belongs to."""
        return FeatureSpace.of(self.sites or {self.model.get("site", ""): self.n_features})

    @property
    def n_factors(self) -> int:
        """How many factors there are; 0 on a blank canvas."""
        return len(self.basis)

    @property
    def n_features(self) -> int:
        """How many features the SAE has."""
        return len(self.unit)

    @cached_property
    def analysed_factors(self) -> Mapping[int, int]:
        """Which factor each analysed one is now: {index into base_basis: factor}.

        A copy has the same origin as the factor that it was copied from, but a higher id. An analysed factor
        that was removed is missing, unless a copy of it is left.
        """
        by_age = sorted(range(self.n_factors), key=lambda f: -self._ids[f])
        now = {self._origins[f]: f for f in by_age}  # the oldest comes last and stays
        now.pop(-1, None)
        return MappingProxyType(now)

    @cached_property
    def layers(self) -> Layers:
        """The factors as layers over each other; see `set_steps`."""
        return Layers(
            steps=self.factor_steps or (None,) * self.n_factors,
            sites=self._factor_sites,
            first_site=self.space.sites[0],
            analysed=self.analysed_factors,
            **{
                name: getattr(self, name)
                for name in ("strengths", "remainder", "basis", "base_strengths", "base_basis")
            },
        )

    def drawn(self, acting: Sequence[int]) -> Drawn:
        """What is drawn at a step at which these layers act: the scene itself if it has no layers."""
        if self.factor_steps is None:
            every = range(self.n_factors)
            return Drawn(self.strengths, self.remainder, self.basis, self.analysed_factors, every)
        return self.layers.drawn(acting)

    def site(self, factor: int | str) -> str:
        """The site that a factor belongs to: module path, "" where the scene does not say.

        Raises:
            TypeError, ValueError: an unknown factor.
        """
        f = self._factor(factor)
        return self._factor_sites[f]

    def feature(self, feature: int, site: str) -> int:
        """The index among this scene's features of a feature of one site's SAE.

        Args:
            feature: index into that SAE.
            site: module path or short name, such as "up.0.1".

        Raises:
            TypeError, ValueError: an unknown feature, or a site that is not steered here.
        """
        return self.space.index(feature, site)

    # Edits of what a factor is

    def set_weight(self, factor: int | str, feature: int, weight: float) -> Scene:
        """Set how much of a feature is in a factor.

        Args:
            factor: index or name.
            feature: index into the SAE, 0..n_features-1.
            weight: 1.0 = the feature's typical activation, 0 = none of it, negative subtracts it.

        Returns:
            The scene with the factor changed in every patch.

        Raises:
            TypeError, ValueError: an unknown factor or feature, weight not finite.
        """
        f = self._factor(factor)
        basis = factor_edits.writable(self.basis)
        feature = checks.feature_index(feature, self.n_features)
        basis[f, feature] = self._amount(feature, weight)
        factor_edits.check_one_site(basis[f], self.names[f], self.space)
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
        row = self.basis[self._factor(factor)]
        if top is not None:
            top = checks.integer("top", top, 1, self.n_features, hint="leave it out for all features")
        return factor_edits.weights(row, self.unit, top)

    def add_factor(
        self,
        features: Mapping[int, float] | FactorRow,
        name: str | None = None,
        color: str | None = None,
    ) -> Scene:
        """Add a factor made of features; paint with it afterwards.

        Args:
            features: {feature: weight}, 1.0 = the feature's typical activation; or a concept of a bank, such
                as `bank["lion"]`, which is added bit for bit, so that it is the same in every scene.
            name: None = "feature 123", "factor 5" for more than one feature, or the concept's name. A name
                that is taken gets a number after it.
            color: "#rrggbb"; None = the next colour of the palette.

        Returns:
            The scene with one more factor, the last, with strength 0 everywhere.

        Raises:
            TypeError, ValueError: an unknown feature or none, weight not finite, an invalid name or colour,
                or a concept of another site or SAE.
        """
        color = next_color(self.colors) if color is None else color
        if isinstance(features, FactorRow):
            made = self._row_of(features)
            return self._append(made, features.name if name is None else name, color)
        if not isinstance(features, Mapping) or not features:
            given = checks.shown(features)
            raise TypeError(
                f"features={given}; give at least one, as {{feature: weight}}, e.g. {{7: 1.0}}, or a concept "
                "of a bank, e.g. bank[0]"
            )
        row = np.zeros(self.n_features)
        for feature, weight in features.items():
            feature = checks.feature_index(feature, self.n_features)
            row[feature] = self._amount(feature, weight)
        factor_edits.check_one_site(row, "a factor", self.space)
        if name is None:
            name = f"feature {next(iter(features))}" if len(features) == 1 else f"factor {self.n_factors}"
        return self._append(row, name, color)

    def _row_of(self, factor: FactorRow) -> NDArray[np.float32]:
        """A factor made elsewhere as a row of this scene's basis.

        Raises:
            ValueError: it is of another site or SAE.
        """
        check_site_sae(
            f"{checks.shown(factor.name)} is",
            (factor.site, factor.sae, len(factor.row)),
            "this scene",
            self.model,
            self.space,
            "make concepts with this scene's SAE, or analyse the picture with a painter of theirs",
        )
        row = np.zeros(self.n_features, np.float32)
        row[self.space.columns(factor.site)] = factor.row
        return row

    def borrow(self, other: Scene, factor: int | str) -> Scene:
        """Take over a factor of another picture, to paint with it here.

        Args:
            other: a scene of the same SAE.
            factor: index or name of the factor there.

        Returns:
            This scene with one more factor, the last, with strength 0 everywhere. It keeps its name (with a
            number after it if that is taken) and its colour (unless that is taken).

        Raises:
            TypeError: ``other`` is not a scene.
            ValueError: an unknown factor, or the scenes' SAEs differ.
        """
        self.check_lender(other)
        f = other._factor(factor)
        color = next_color(self.colors) if other.colors[f] in self.colors else other.colors[f]
        return self._append(other.basis[f], other.names[f], color)

    def check_lender(self, other: Scene) -> None:
        """Refuse a scene whose factors cannot be borrowed here.

        Raises:
            TypeError: ``other`` is not a scene.
            ValueError: the scenes' SAEs differ.
        """
        if not isinstance(other, Scene):
            raise TypeError(f"other={checks.shown(other)} is not a Scene; load one with Scene.load(path)")
        self.check_sae(
            other.model.get("sae"), other.n_features, "the other scene", "factors can only be borrowed from"
        )

    def check_sae(self, sae: str | None, n_features: int, whose: str, only: str) -> None:
        """Refuse what belongs to another SAE; ``whose`` and ``only`` are parts of the message.

        Raises:
            ValueError: the SAEs differ.
        """
        if n_features != self.n_features:
            raise ValueError(
                f"{whose}'s SAE has {n_features} features, this one's {self.n_features}; "
                f"{only} a scene of the same SAE"
            )
        ours = self.model.get("sae")
        if sae != ours:
            raise ValueError(
                f"{whose}'s SAE is {checks.shown(sae)}, this one's {checks.shown(ours)}; "
                "their features mean different things, so analyse the other picture with this painter first"
            )

    def keep_top(self, factor: int | str, top: int = 1) -> Scene:
        """Reduce a factor to its strongest features, to see how much of the picture these make.

        Args:
            factor: index or name.
            top: how many features stay, 1..n_features; the others get weight 0.

        Raises:
            TypeError, ValueError: an unknown factor, or a top out of range.
        """
        f = self._factor(factor)
        kept = list(self.weights(f, top))
        basis = factor_edits.writable(self.basis)
        basis[f] = 0
        basis[f, kept] = self.basis[f, kept]
        return self.replace(basis=basis)

    def reset_weights(self, factor: int | str) -> Scene:
        """Give a factor back the weights that it was analysed with.

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
        basis = factor_edits.writable(self.basis)
        basis[f] = self.base_basis[origin]
        return self.replace(basis=basis)

    # Edits of the palette

    def duplicate(self, factor: int | str) -> Scene:
        """Copy a factor, to paint with it or to change what it is made of.

        Returns:
            The scene with one more factor, the last, with strength 0 everywhere, the same steps, and
            a colour of its own.

        Raises:
            TypeError, ValueError: an unknown factor.
        """
        f = self._factor(factor)
        scene = self._append(self.basis[f], self.names[f], next_color(self.colors), self._origins[f])
        if self.factor_steps is None:
            return scene
        return scene.replace(factor_steps=(*self.factor_steps, self.factor_steps[f]))

    def remove(self, factor: int | str) -> Scene:
        """Take a factor out of the picture and off the palette.

        Raises:
            TypeError, ValueError: an unknown factor.
        """
        f = self._factor(factor)
        return self._arranged([i for i in range(self.n_factors) if i != f])

    def reorder(self, order: Iterable[int | str]) -> Scene:
        """Put the factors in another order; the picture stays.

        Args:
            order: every factor once, by index or name.

        Raises:
            TypeError, ValueError: an unknown factor, one that is missing, or one given twice.
        """
        given = checks.listed("order", order, hint="give every factor once, by index or name")
        indices = [self._factor(factor) for factor in given]
        if sorted(indices) != list(range(self.n_factors)):
            raise ValueError(
                f"order={checks.shown(indices)} is not every factor once; "
                f"give the {checks.plural(self.n_factors, 'factor')} in another order"
            )
        return self._arranged(indices)

    def recolor(self, factor: int | str, color: str) -> Scene:
        """Give a factor another colour, "#rrggbb".

        Raises:
            TypeError, ValueError: an unknown factor, or not a colour.
        """
        f = self._factor(factor)
        colors = list(self.colors)
        colors[f] = checks.color("color", color)
        return self.replace(colors=tuple(colors))

    def rename(self, factor: int | str, name: str) -> Scene:
        """Give a factor another name.

        Raises:
            TypeError, ValueError: an unknown factor, or a name that is empty or another factor's.
        """
        f = self._factor(factor)
        names = list(self.names)
        names[f] = checks.text("name", name)
        return self.replace(names=tuple(names))

    # Edits of where factors are, and how strong

    def paint(
        self,
        factor: int | str,
        patches: Patches,
        strength: float = 1.0,
        *,
        opacity: float | NDArray[Any] = 1.0,
        mode: Literal["over", "add"] = "over",
        steps: tuple[int, int] | None = None,
    ) -> Scene:
        """Paint a factor onto patches.

        Args:
            factor: index or name.
            patches: bool (rows, cols) or (row, col) pairs.
            strength: 1.0 = as strong as the model itself makes it; negative subtracts.
            opacity: 0..1, how much of the stroke counts; (rows, cols) of them for a soft edge.
            mode: "over" covers: the patch fades from what it held (at the factor's site) to this factor
                alone, and so does the remainder. "add" leaves everything and adds ``opacity * strength``.
                A factor with steps covers at its steps only; see `set_steps`.
            steps: (start, stop), the sampling steps that the stroke acts at, as `range` counts them: of four
                steps, (0, 2) are the first two, which decide the composition, and (2, 4) the last two, which
                decide details. If the factor acts at other steps, a copy of it is painted, called
                "sky (steps 3-4)"; it is added once, and found again by the next stroke. None = the steps that
                the factor acts at, which are all unless `set_steps` says otherwise.

        Returns:
            The painted scene.

        Raises:
            TypeError, ValueError: an unknown factor or mode, patches outside the grid, strength not finite,
                opacity outside 0..1, steps that the picture does not have.
        """
        f, where = self._factor(factor), self.grid.mask(patches)
        strength, shares = checks.strength(strength), self.grid.shares("opacity", opacity)
        if mode not in ("over", "add"):
            raise ValueError(
                f"mode={checks.shown(mode)} is unknown; choose 'over' (cover what is there) or 'add'"
            )
        scene = self
        if steps is not None:
            scene, f = self._with_layer(f, checks.step_range("steps", steps, self.n_steps), mode == "add")
        over = mode == "over"
        return scene._edited(patch_edits.paint(scene._editable(f), f, where, strength, shares, over))

    def erase(self, patches: Patches, factor: int | str | None = None, *, heal: bool = False) -> Scene:
        """Take everything, or one factor, out of patches.

        Args:
            patches: bool (rows, cols) or (row, col) pairs.
            factor: index or name of the factor to take out; None takes out all.
            heal: fill the patches with the background at their height (all factors but the erased one), not
                leave them empty.

        Returns:
            The scene without it. The remainder, which still shows what stood there, goes to 0 too; only
            ``factor`` without ``heal``, which leaves the rest of the patch as it is, keeps it.

        Raises:
            TypeError, ValueError: an unknown factor, or patches outside the grid.
        """
        f, where = None if factor is None else self._factor(factor), self.grid.mask(patches)
        return self._edited(patch_edits.erase(self._editable(f), f, where, heal))

    def scale(self, factor: int | str, gain: float, patches: Patches | None = None) -> Scene:
        """Multiply a factor's strength.

        Args:
            factor: index or name.
            gain: 0 takes the factor out, 1 changes nothing, negative subtracts.
            patches: bool (rows, cols) or (row, col) pairs; None = everywhere.

        Returns:
            The scaled scene.

        Raises:
            TypeError, ValueError: an unknown factor, patches outside the grid, gain not finite.
        """
        f = self._factor(factor)
        gain = checks.number("gain", gain, hint="give a number (0 = gone, 1 = as it is, 2 = twice as strong)")
        where = self.grid.mask("everything" if patches is None else patches)
        strengths = factor_edits.writable(self.strengths)
        strengths[where, f] *= gain
        return self.replace(strengths=strengths)

    def move(
        self,
        factor: int | str | None,
        d_row: int,
        d_col: int,
        patches: Patches | None = None,
        heal: bool = True,
    ) -> Scene:
        """Move a factor's region, or everything in some patches, to another place.

        The strengths and the remainder travel; at the new place they replace what was there. What would leave
        the grid is lost. A move by (0, 0) changes nothing.

        Args:
            factor: index or name; None = all factors, and then ``patches`` must be given.
            d_row: rows down, fewer than the grid has; negative is up.
            d_col: columns to the right, fewer than the grid has; negative is left.
            patches: the region to carry, bool (rows, cols) or (row, col) pairs; None = where the factor is
                stronger than a quarter (``REGION_SHARE``) of its strongest patch.
            heal: fill the vacated patches with the background at their height, with the other factors if one
                factor was moved; False leaves them empty.

        Returns:
            The scene with the region moved. The remainder of vacated patches is 0.

        Raises:
            TypeError, ValueError: an unknown factor, neither factor nor patches, patches outside the grid, a
                shift that leaves the grid.
        """
        f = None if factor is None else self._factor(factor)
        rows, cols = self.grid.shape
        hint = "farther than {} patches everything is off the grid; use erase to remove it"
        d_row = checks.integer("d_row", d_row, 1 - rows, rows - 1, hint=hint.format(rows - 1))
        d_col = checks.integer("d_col", d_col, 1 - cols, cols - 1, hint=hint.format(cols - 1))
        if patches is not None:
            source = self.grid.mask(patches)
        elif f is not None:
            source = self.grid.region(self.strengths[:, :, f])
        else:
            raise TypeError("factor=None moves everything in some patches; say which with patches=")
        if d_row == d_col == 0:
            return self
        return self._edited(patch_edits.move(self._editable(f), f, source, (d_row, d_col), heal))

    # Edits of when factors act

    def set_steps(
        self,
        factor: int | str,
        steps: tuple[int, int] | None,
        mode: Literal["over", "add"] | None = None,
    ) -> Scene:
        """Let a factor act at some sampling steps only: early ones compose, late ones draw details.

        Such a factor is a layer over the others. At its steps it covers what is below as far as it was
        painted there: by its strength less that of the unedited picture, 0..1. At other steps it is as it
        was analysed, and an added factor is not there at all. So its strokes leave all factors as they are
        that act at other steps too. Of two layers, the one that starts later lies above; if both start
        together, the one that stops earlier. Layers of the same steps are painted over each other as other
        factors are.

        Args:
            factor: index or name.
            steps: (start, stop), as `range` counts: (2, 4) are the third and the fourth. None = all steps;
                what it covers at its steps is then covered at all.
            mode: "over" covers what is below, "add" covers nothing. None = as the factor is now; "over" if it
                acts at all steps.

        Returns:
            The scene. What the factor had covered when it acted at all steps, is again as it was analysed at
            those steps that it does not act at any more (as far as strengths tell), unless ``mode="add"``.

        Raises:
            TypeError, ValueError: an unknown factor or mode, or steps that the picture does not have.
        """
        f = self._factor(factor)
        now = list(self.factor_steps or [None] * self.n_factors)
        before = now[f]
        if mode not in (None, "over", "add"):
            raise ValueError(
                f"mode={checks.shown(mode)} is unknown; choose 'over' (cover what is below) or 'add'"
            )
        if steps is None:
            if before is None:
                return self
            now[f] = None
            strengths, remainder = self.layers.folded(f)
            return self.replace(strengths=strengths, remainder=remainder, factor_steps=tuple(now))
        start, stop = checks.step_range("steps", steps, self.n_steps)
        is_added = mode == "add" or (mode is None and before is not None and len(before) == 3)
        now[f] = (start, stop, "add") if is_added else (start, stop)
        if before is not None or is_added:
            return self.replace(factor_steps=tuple(now))
        strengths, remainder = self.layers.uncovered(f)
        return self.replace(strengths=strengths, remainder=remainder, factor_steps=tuple(now))

    def at_step(self, step: int) -> Scene:
        """What the scene is at one sampling step, as a scene whose factors all act at all steps.

        Args:
            step: 0..n_steps-1.

        Raises:
            TypeError, ValueError: not a step of the picture.
        """
        step = checks.integer("step", step, 0, self.n_steps - 1, hint="steps count from 0")
        if self.factor_steps is None:
            return self
        drawn = self.drawn(self.layers.acting(step))
        strengths, basis = np.zeros_like(self.strengths), self.basis.copy()
        strengths[..., drawn.factors], basis[drawn.factors] = drawn.strengths, drawn.basis
        return self.replace(strengths=strengths, basis=basis, remainder=drawn.remainder, factor_steps=None)

    # Edits as values

    def __sub__(self, before: Scene) -> SceneEdit:
        """What was done to a scene of this picture: ``edit = after - before``, for ``apply``.

        It holds what differs in the factors (strengths, weights, names, colours, steps and order), in the
        remainder, ``style`` and ``edit_steps``. ``scene - scene.original()`` is all that was painted,
        weighted, added and removed: ``original`` keeps the style, ``edit_steps``, and the names and colours
        of analysed factors, so a change of those is not in that edit.

        Raises:
            ValueError: the two scenes are of two pictures.
        """
        if not isinstance(before, Scene):
            return NotImplemented
        return SceneEdit.between(before, self)

    def copy_patches(self, patches: Patches) -> SceneEdit:
        """What some patches hold, to put it on another scene with ``apply``.

        Args:
            patches: bool (rows, cols) or (row, col) pairs, one or more.

        Returns:
            An edit that covers these patches, and their remainder, with the factors that are here now.

        Raises:
            TypeError, ValueError: patches outside the grid, or none.
        """
        return SceneEdit.of_patches(self, patches)

    def apply(self, edit: SceneEdit) -> Scene:
        """Do to this scene what was done to another one.

        ``before.apply(after - before)`` is ``after``. On another picture the edit lies over what is there:
        in each patch the same share of it stays, and the same strengths are added. The edit's factors are
        looked up here by what they are made of (a cosine of 0.8 or more; of equally close ones the name
        decides). One that is not here is added if the edit paints it, and left out if the edit only changes
        it. Where both give a factor other weights, a name or a colour, the edit's are kept;
        ``conflicts`` says which.

        Args:
            edit: ``after - before``, or ``scene.copy_patches(patches)``.

        Returns:
            The scene with the edit on it.

        Raises:
            TypeError: not an edit.
            ValueError: it is of another SAE, other sites or another grid; or a strength would be too large.
        """
        return self.transfer(edit).scene

    def conflicts(self, edit: SceneEdit) -> tuple[str, ...]:
        """What ``apply(edit)`` decides where both disagree, or where there is nothing to change.

        Returns:
            A sentence for each; none if the edit fits as it is.

        Raises:
            TypeError, ValueError: as ``apply``.
        """
        return self.transfer(edit).notes

    def transfer(self, edit: SceneEdit) -> Transfer[Scene]:
        """``apply`` and ``conflicts`` in one, and the names of the factors that were added."""
        if not isinstance(edit, SceneEdit):
            raise TypeError(
                f"edit={checks.shown(edit)} is not a SceneEdit; make one with after - before, "
                "or with scene.copy_patches(patches)"
            )
        return transfer(edit, self)

    # Edits of how the picture is drawn

    def restyle(self, style: str) -> Scene:
        """Draw the same things in another style, e.g. "pixel art"; "" takes it away.

        Raises:
            TypeError, ValueError: not text, or too long.
        """
        return self.replace(style=checks.text("style", style))

    # Scenes between two

    def tween(self, other: Scene, n: int) -> list[Scene]:
        """Scenes on the way from this one to another edit of the same picture.

        What is in another place there travels: a factor's strengths here are paired with those there by
        optimal transport and move along straight lines, over the other factors, instead of fading out here
        and in there. What stays in its place, and what only one of the scenes has, fades. Weights and the
        remainder change evenly. Style, names, colours and all else that has no middle are those of the nearer
        scene.

        Args:
            other: another edit of this picture: the same prompt, seed, steps and analysis.
            n: how many scenes, 2..1000.

        Returns:
            n scenes; the first is this one and the last is ``other``. ``painter.record`` draws them as a
            moving picture.

        Raises:
            TypeError: ``other`` is not a scene.
            ValueError: it is not an edit of this picture, or n is out of range.

        Example:
            >>> way = scene.tween(scene.move("lion", 0, 6), n=12)  # doctest: +SKIP
            >>> painter.record(way, "lion.webp")                   # doctest: +SKIP
        """
        # SciPy takes time to load, and only this needs it.
        from ember_widgets.scene.tween import tween

        hint = "give how many scenes, the first and the last included"
        n = checks.integer("n", n, 2, MOST_SCENES, hint=hint)
        self.check_same_picture(other)
        return tween(self, other, n)

    def check_same_picture(self, other: Scene) -> None:
        """Refuse what is not another edit of this picture.

        Raises:
            TypeError: ``other`` is not a scene.
            ValueError: it differs in more than edits.
        """
        if not isinstance(other, Scene):
            raise TypeError(f"other={checks.shown(other)} is not a Scene; load one with Scene.load(path)")
        check_same_picture(self, other)

    # Files and copies

    def save(self, path: str | os.PathLike[str], picture: Picture | None = None) -> None:
        """Write the scene to a file that ``Scene.load`` reads back exactly.

        The file appears whole or not at all; one that was there is replaced.

        Args:
            path: the file. It is JSON, unless it is called ``.png``.
            picture: what ``painter.render(scene)`` gave, for a PNG with the scene inside it.

        Raises:
            OSError: the file cannot be written there.
            ValueError: a PNG without a picture, a picture for a file that is not a PNG, or a scene that is
                too large for ``load``.
        """
        path = checks.path("path", path)
        if (path.suffix.lower() == ".png") != (picture is not None):
            raise ValueError(
                f"cannot save to {path}: a .png, and nothing else, holds a picture; "
                "use scene.save('scene.json') or scene.save('scene.png', painter.render(scene))"
            )
        files.write(path, self.to_bytes(picture))

    def to_bytes(self, picture: Picture | None = None) -> bytes:
        """What ``save`` writes: JSON, or a PNG with the scene inside it if there is a picture.

        Raises:
            TypeError: ``picture`` is not a picture.
            ValueError: the scene is too large for ``load``.
        """
        if picture is not None and not hasattr(picture, "save"):
            raise TypeError(f"picture={checks.shown(picture)} is not a picture; give painter.render(scene)")
        text = scene_file.text(self.plain_fields())
        if picture is None:
            return text.encode()
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return png.with_text(stream.getvalue(), scene_file.FORMAT, text)

    def plain_fields(self) -> dict[str, Any]:
        """The fields as they are written: {name: JSON value or array}, without those of default value.

        ``Scene(**fields)`` is this scene again.
        """
        fields = self._fields() | {"model": dict(self.model)}
        n_base = len(self.base_basis)
        if n_base <= self.n_factors and self.origins == _first(n_base, self.n_factors):
            del fields["origins"]  # the default
        if self._ids == tuple(range(self.n_factors)) and self._next_id == self.n_factors:
            del fields["factor_ids"], fields["next_factor_id"]
        if not self.style:
            del fields["style"]
        if self.image is None and self.image_strength == 0.5:
            del fields["image_strength"]  # the default
        if self.guidance == 0:
            del fields["guidance"]
        if self.sites is not None:
            fields["sites"] = dict(self.sites)
        absent = ("edit_steps", "image", "sites", "factor_steps")
        return {name: value for name, value in fields.items() if name not in absent or value is not None}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scene:
        """Read a scene that ``save`` wrote, or a PNG that has one inside.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: the file is foreign, damaged or of a newer version; the message says what is wrong
                with it.
        """
        source = checks.path("path", path)
        try:
            return cls.from_bytes(scene_file.load(source))
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot load {source}: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Scene:
        """Read what ``to_bytes`` gave.

        Raises:
            ValueError: it is foreign, damaged or of a newer version.
        """
        if not isinstance(data, (bytes, bytearray)):
            raise TypeError(f"data={checks.shown(data)} is not bytes; give what scene.to_bytes() gave")
        fields = scene_file.read(bytes(data))
        n_base, n_factors = (len(np.atleast_1d(fields[name])) for name in ("base_basis", "basis"))
        # Version 0.1 left origins out also where the last of the analysed factors were removed.
        if n_base > n_factors:
            fields = {"origins": _first(n_base, n_factors)} | fields
        return cls(**fields)

    def original(self) -> Scene:
        """The scene with the strengths, weights and order of its factors as they were analysed.

        It renders as the unedited picture in the scene's style. ``style``, ``edit_steps``, and the names and
        colours of factors that are still there stay as they are now.
        """
        n_base = len(self.base_basis)
        names, colors = [""] * n_base, list(palette(n_base))
        next_id = self._next_id + n_base
        ids = list(range(self._next_id, next_id))
        for origin, f in self.analysed_factors.items():
            names[origin], colors[origin], ids[origin] = self.names[f], self.colors[f], self._ids[f]
        for f in range(n_base):
            names[f] = names[f] or free_name(f"factor {f + 1}", names)
        return self.replace(
            strengths=self.base_strengths,
            basis=self.base_basis,
            remainder=np.ones(self.grid.shape),
            names=tuple(names),
            colors=tuple(colors),
            origins=tuple(range(n_base)),
            factor_ids=tuple(ids),
            next_factor_id=next_id,
            factor_steps=None,
        )

    def replace(self, **changes: Any) -> Scene:
        """A copy with fields replaced, checked like a new scene.

        Factors keep their ids and steps. If their number or ``base_basis`` changes, they are other factors:
        they get new ids unless ``factor_ids`` gives them, and act at all steps unless ``factor_steps`` says
        which.

        Raises:
            TypeError, ValueError: an unknown field, or a value that does not fit.
        """
        fields = self._fields()
        if unknown := sorted(changes.keys() - fields.keys()):
            raise TypeError(f"a scene has no field {', '.join(unknown)}; choose from {', '.join(fields)}")
        basis = changes.get("basis", self.basis)
        n_factors = len(basis) if hasattr(basis, "__len__") else self.n_factors
        analysed_again = changes.get("base_basis", self.base_basis) is not self.base_basis
        # These are other factors, so none of them may have the id of an old one.
        others = n_factors != self.n_factors or analysed_again
        if "factor_ids" not in changes and others:
            ids = range(self._next_id, self._next_id + n_factors)
            changes |= {"factor_ids": tuple(ids), "next_factor_id": None}
        if others:
            changes = {"factor_steps": None} | changes
        return Scene(**fields | changes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scene):
            return NotImplemented
        # Ids are not compared: they change nothing that is drawn, and an edit that was undone and made again
        # gives the same scene.
        mine, theirs = self._fields(), other._fields()
        if list(self.sites or ()) != list(other.sites or ()):
            return False  # mappings are equal in any order, but the features are counted in this one
        if self.factor_steps and self.analysed_factors != other.analysed_factors:
            return False  # of copies with other steps, it makes a difference which one was analysed
        return all(
            np.array_equal(value, theirs[name])
            if isinstance(value, np.ndarray) or isinstance(theirs[name], np.ndarray)
            else value == theirs[name]
            for name, value in mine.items()
            if name not in ("factor_ids", "next_factor_id")
        )

    def __repr__(self) -> str:
        style = f"style={self.style!r}, " if self.style else ""
        return (
            f"Scene(prompt={self.prompt!r}, {style}seed={self.seed}, n_steps={self.n_steps}, "
            f"names={self.names!r}, n_features={self.n_features})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles go through the constructor, so that their arrays are read-only too.
        return _rebuilt, (self.plain_fields(),)

    def _factor(self, factor: int | str) -> int:
        return checks.factor_index(factor, self.names)

    def _amount(self, feature: int, weight: float) -> float:
        hint = "give a number (1.0 = the feature's typical activation)"
        return checks.number("weight", weight, hint=hint) * float(self.unit[feature])

    @property
    def _origins(self) -> tuple[int, ...]:
        return self.origins or ()  # None is gone after __post_init__

    @property
    def _ids(self) -> tuple[int, ...]:
        return self.factor_ids or ()

    @property
    def _next_id(self) -> int:
        return self.next_factor_id or 0

    @cached_property
    def _factor_sites(self) -> tuple[str, ...]:
        """Per factor its site."""
        rows = [
            row if row.any() or origin < 0 else self.base_basis[origin]
            for row, origin in zip(self.basis, self._origins, strict=True)
        ]
        return tuple(factor_edits.site(row, self.space) for row in rows)

    def _editable(self, f: int | None) -> patch_edits.Editable:
        """What an edit of a factor (None = of all) works on."""
        sites, first = self._factor_sites, self.space.sites[0]
        steps = self.factor_steps or (None,) * self.n_factors
        same_site = np.array(
            [
                f is None or (site == sites[f] and includes(steps[f], theirs))
                for site, theirs in zip(sites, steps, strict=True)
            ],
            np.bool_,
        )
        masks_remainder = f is None or (sites[f] == first and steps[f] is None)
        return patch_edits.Editable(self.strengths, self.remainder, same_site, masks_remainder)

    def _with_layer(self, f: int, steps: tuple[int, int], is_added: bool) -> tuple[Scene, int]:
        """The scene with a factor of the same weights that acts at some steps, and its index."""
        now = self.factor_steps or (None,) * self.n_factors
        if (now[f] or (0, self.n_steps))[:2] == steps:
            return self, f
        wanted: Steps = (*steps, "add") if is_added else steps
        for other, theirs in enumerate(now):
            if theirs == wanted and np.array_equal(self.basis[other], self.basis[f]):
                return self, other
        name = with_ending(self.names[f], f" ({said(wanted)})")
        scene = self._append(self.basis[f], name, next_color(self.colors))
        return scene.replace(factor_steps=(*now, wanted)), self.n_factors

    def _edited(self, maps: Maps) -> Scene:
        strengths, remainder = maps
        return self.replace(strengths=strengths, remainder=remainder)

    def _append(self, row: NDArray[Any], name: str, color: str, origin: int = -1) -> Scene:
        return self.replace(
            strengths=np.concatenate([self.strengths, np.zeros((*self.grid.shape, 1))], axis=2),
            basis=np.concatenate([self.basis, row[None]]),
            names=(*self.names, free_name(checks.text("name", name), self.names)),
            colors=(*self.colors, color),
            origins=(*self._origins, origin),
            factor_ids=(*self._ids, self._next_id),
            next_factor_id=self._next_id + 1,
            factor_steps=self.factor_steps and (*self.factor_steps, None),
        )

    def _arranged(self, factors: list[int]) -> Scene:
        return self.replace(
            strengths=self.strengths[..., factors],
            basis=self.basis[factors],
            names=tuple(self.names[f] for f in factors),
            colors=tuple(self.colors[f] for f in factors),
            origins=tuple(self._origins[f] for f in factors),
            factor_ids=tuple(self._ids[f] for f in factors),
            factor_steps=self.factor_steps and tuple(self.factor_steps[f] for f in factors),
        )

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def checked_scene(value: object, name: str = "scene") -> Scene:
    """``value`` if it is a scene.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, Scene):
        raise TypeError(
            f"{name}={checks.shown(value)} is not a Scene; make one with painter.analyze or painter.blank, "
            "or load one with ember.Scene.load"
        )
    return value


def _grid_of(strengths: object) -> tuple[int | str, int | str]:
    """Rows and columns as an array has them, or their names, for messages."""
    shape = np.shape(strengths) if isinstance(strengths, np.ndarray) else ()
    return (shape[0], shape[1]) if len(shape) == 3 else ("rows", "cols")


def _first(n_base: int, n_factors: int) -> tuple[int, ...]:
    return tuple(f if f < n_base else -1 for f in range(n_factors))


def _rebuilt(fields: dict[str, Any]) -> Scene:
    return Scene(**fields)
