"""Does an edit work on other seeds? The same edit drawn on each, and how much the picture changes.

For each seed two pictures are drawn: the seed's own, and that with the edit. The change of a patch is the
mean absolute difference of the two over its pixels and colours, from 0 to 1. Differences of up to `ROUNDING`
count as none, because so much is rounding.

The effect is a ratio: the change of the edited patches against the same patches unedited, in units of what
another seed does. 1 means that the edit changes a patch as much as another seed changes a patch of the
unedited picture, on average. With c[s] the mean change of the edited patches of seed s, and u the mean change
of all patches between the unedited pictures of two seeds, over all pairs of seeds:

    effect[s] = c[s] / u          effect = mean of effect[s]

Its 95 % interval is over seeds: Student's t with n_seeds − 1 degrees of freedom. u is a yardstick, and taken
as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.scene.difference import (
    NOTABLE,
    beyond_patches,
    edited_patches,
    is_blank,
    patch_change,
)
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.cancelled import raise_if_cancelled

N_SEEDS = 8
MAX_SEEDS = 32
VISIBLE = 0.04
"""A patch whose change is larger than this counts as changed: 10 of 255, which shows at a glance. On the
embedded model 98 % of the patches beyond an edit stay below it; a test measures it."""
ROUNDING = 2
"""Colour values (of 255) that differ by up to this are equal: other dtypes and threads differ by as much."""
SIDE = 128
"""Width and height of the pictures that are kept, in pixels."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % interval.

    Example:
        >>> print(Interval(2.14, 1.4, 2.83))
        2.1 [1.4, 2.8]
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = self.rounded
        return f"{value} [{low}, {high}]"

    @property
    def rounded(self) -> tuple[str, str, str]:
        """Mean, low and high as they are shown: one decimal, or two if the mean is below 1."""
        digits = 2 if abs(self.value) < 1 else 1
        value, low, high = (f"{round(x, digits) + 0.0:.{digits}f}" for x in (self.value, self.low, self.high))
        return value, low, high


@dataclass(frozen=True, eq=False)
class SeedTrial:
    """An edit on one seed.

    Attributes:
        scene: The scene with the edit on this seed; see `Painter.reseed(edit_only=True)`.
        unedited: The seed's own picture; of a blank canvas, the empty canvas.
        edited: The picture with the edit.
        change: (rows, cols) float32, how much each patch changed, 0..1.
    """

    scene: Scene
    unedited: Image.Image
    edited: Image.Image
    change: NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Robustness:
    """How much an edit changes the pictures of other seeds. Arrays are read-only.

    It measures pixels: that a patch changed, not that it shows what was painted.

    Attributes:
        scenes: The scene with the edit, for each seed.
        edited_patches: bool (n_seeds, rows, cols), where each of these scenes is edited. Strokes are in the
            same patches of every seed; changed weights are where the factor is.
        change: (n_seeds, rows, cols) float32, the mean absolute difference of a patch, 0..1.
        seed_change: (n_seeds, n_seeds) float32, the mean change of all patches between the unedited pictures
            of two seeds.
        unedited: (n_seeds, height, width, 3) uint8, small pictures without the edit.
        edited: The same with the edit.
        threshold: A patch whose change is larger counts as changed.
    """

    scenes: tuple[Scene, ...]
    edited_patches: NDArray[np.bool_]
    change: NDArray[np.float32]
    seed_change: NDArray[np.float32]
    unedited: NDArray[np.uint8]
    edited: NDArray[np.uint8]
    threshold: float = VISIBLE

    def __post_init__(self) -> None:
        for name in ("edited_patches", "change", "seed_change", "unedited", "edited"):
            array = getattr(self, name).copy()
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def of(cls, trials: Sequence[SeedTrial], threshold: float = VISIBLE) -> Robustness:
        """What the trials of at least two seeds show."""
        shape = trials[0].scene.grid.shape
        pictures = [np.asarray(trial.unedited.convert("RGB")) for trial in trials]
        between = np.zeros((len(trials), len(trials)), np.float32)
        for i, first in enumerate(pictures):
            for j, second in enumerate(pictures[:i]):
                between[i, j] = between[j, i] = patch_change(first, second, shape, ROUNDING).mean()
        return cls(
            scenes=tuple(trial.scene for trial in trials),
            edited_patches=np.array([edited_here(trial.scene) for trial in trials]),
            change=np.array([trial.change for trial in trials], np.float32),
            seed_change=between,
            unedited=np.array([_small(trial.unedited) for trial in trials]),
            edited=np.array([_small(trial.edited) for trial in trials]),
            threshold=threshold,
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(scene.seed for scene in self.scenes)

    @property
    def changed(self) -> NDArray[np.int64]:
        """(rows, cols), in how many seeds each patch changed."""
        counts: NDArray[np.int64] = (self.change > self.threshold).sum(axis=0)
        return counts

    @property
    def n_changed(self) -> int:
        """In how many seeds the edited patches changed, on average, by more than `threshold`."""
        return int((self._inside > self.threshold).sum())

    @property
    def unit(self) -> float:
        """How much another seed changes a patch of the unedited picture: what 1 stands for in the effects.

        At least what counts as rounding, where seeds hardly differ.
        """
        n = len(self.scenes)
        return max(float(self.seed_change.sum(dtype=np.float64)) / (n * (n - 1)), ROUNDING / 255)

    @property
    def effects(self) -> NDArray[np.float64]:
        """(n_seeds,), the mean change of the edited patches in each seed, in units of `unit`."""
        return self._inside / self.unit

    @property
    def effects_beyond(self) -> NDArray[np.float64] | None:
        """(n_seeds,), the same beyond them; None if there are no patches beyond."""
        return None if self._outside is None else self._outside / self.unit

    @property
    def effect(self) -> Interval:
        """The effect in the edited patches."""
        return self._interval(self._inside)

    @property
    def beyond(self) -> Interval | None:
        """The same of patches that neither are edited nor touch one that is; None if there are none."""
        outside = self._outside
        return None if outside is None else self._interval(outside)

    @property
    def selectivity(self) -> Interval | None:
        """The effect in the edited patches minus that beyond them; None if there are no patches beyond."""
        outside = self._outside
        return None if outside is None else self._interval(self._inside - outside)

    @property
    def summary(self) -> str:
        """The result in a line, and how far it can be trusted in another."""
        value, low, high = self.effect.rounded
        said = f"The edited patches changed {value} times as much as by another seed"
        sure = f"{low} to {high}"
        if self.beyond is not None:
            value, low, high = self.beyond.rounded
            said += f", those beyond {value} times"
            sure += f", and {low} to {high}"
        return (
            f"Changed in {self.n_changed} of {len(self.scenes)} seeds. {said}.\n"
            f"95\u00a0% intervals over seeds: {sure}. This says that pixels changed, not what they show."
        )

    def __repr__(self) -> str:
        return f"changed {self.n_changed} of {len(self.scenes)} seeds; effect {self.effect}"

    @cached_property
    def _inside(self) -> NDArray[np.float64]:
        """(n_seeds,), the mean change of the edited patches; 0 where there are none."""
        return np.array(
            [change[here].mean() if here.any() else 0.0 for change, here in self._pairs], np.float64
        )

    @cached_property
    def _outside(self) -> NDArray[np.float64] | None:
        beyond = [beyond_patches(here) for here in self.edited_patches]
        if not all(there.any() for there in beyond):
            return None
        return np.array(
            [change[there].mean() for change, there in zip(self.change, beyond, strict=True)], np.float64
        )

    @property
    def _pairs(self) -> Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        return zip(self.change, self.edited_patches, strict=True)

    def _interval(self, values: NDArray[np.float64]) -> Interval:
        """The mean of changes in units of `unit`, and its interval."""
        from scipy.special import stdtrit  # takes longer to import than all the rest

        effects = values / self.unit
        value, n = float(effects.mean()), len(effects)
        margin = float(stdtrit(n - 1, 0.975) * effects.std(ddof=1) / np.sqrt(n))
        return Interval(value, value - margin, value + margin)


def robustness(
    scene: Scene,
    seeds: int | Iterable[int],
    *,
    carry: Callable[[int], Scene],
    draw: Callable[[Scene], Image.Image],
    threshold: float = VISIBLE,
    progress: bool = False,
    on_seed: Callable[[SeedTrial], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Robustness:
    """Try an edit on other seeds; see `Painter.robustness`.

    Args:
        scene, seeds, threshold, progress, on_seed, cancelled: As there.
        carry: Gives the edit on another seed's picture.
        draw: Draws a scene.
    """
    from tqdm.auto import tqdm

    numbers = seeds_to_try(scene, seeds)
    threshold = checks.share("threshold", threshold)
    check_edited(scene)
    trials = []
    for seed in tqdm(numbers, desc="seeds", disable=not progress):
        raise_if_cancelled(cancelled)
        edited = carry(seed)
        before, after = draw(without_edit(edited)), draw(edited)
        trial = SeedTrial(edited, before, after, _change(before, after, scene.grid.shape))
        trials.append(trial)
        if on_seed is not None:
            on_seed(trial)
    return Robustness.of(trials, threshold)


def check_edited(scene: Scene) -> None:
    """Refuse a scene in which nothing was edited.

    Raises:
        ValueError: It is as it was analysed, or an empty canvas.
    """
    if not edited_here(scene).any():
        what = "this canvas is empty" if is_blank(scene) else "nothing is painted in this scene"
        raise ValueError(f"{what}, so there is no edit to try on other seeds; paint, move or scale first")


def seeds_to_try(scene: Scene, seeds: object) -> tuple[int, ...]:
    """The seeds that a caller asked for: a number of the next ones, or these.

    Raises:
        TypeError, ValueError: Neither, fewer than two, too many, or one of them twice.
    """
    hint = f"2 at least, because the interval is over seeds, and {MAX_SEEDS} at most"
    if isinstance(seeds, Iterable) and not isinstance(seeds, (str, bytes)):
        numbers = tuple(checks.seed(seed) for seed in seeds)
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"seeds={checks.shown(numbers)} holds a seed twice; give each once")
        checks.integer("len(seeds)", len(numbers), 2, MAX_SEEDS, hint=hint)
        return numbers
    count = checks.integer("seeds", seeds, 2, MAX_SEEDS, hint=hint)
    first = min(scene.seed + 1, checks.MAX_SEED + 1 - count)
    if first <= scene.seed < first + count:  # there are no more above it
        first = scene.seed - count
    return tuple(range(first, first + count))


def edited_here(scene: Scene) -> NDArray[np.bool_]:
    """The patches in which a scene differs from the same without its edit; an empty canvas is no edit."""
    if is_blank(scene):  # the remainder that it lacks is no edit
        return np.asarray(np.abs(scene.strengths).max(axis=-1, initial=0) > NOTABLE)
    return edited_patches(scene)


def without_edit(scene: Scene) -> Scene:
    """The unedited scene: the picture as analysed, or the empty canvas."""
    if is_blank(scene):
        return scene.replace(strengths=np.zeros_like(scene.strengths))
    return scene.original()


def _change(before: Image.Image, after: Image.Image, shape: tuple[int, int]) -> NDArray[np.float32]:
    first, second = (np.asarray(picture.convert("RGB")) for picture in (before, after))
    return patch_change(first, second, shape, ROUNDING)


def _small(picture: Image.Image) -> NDArray[np.uint8]:
    picture = picture.convert("RGB")
    if max(picture.size) > SIDE:
        picture = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
