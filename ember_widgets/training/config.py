"""What is decided before a training: sizes, schedule, and where the activations come from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ember_widgets.util import checks

REFERENCE_FEATURES = 16_384
"""The dictionary for which a learning rate of 2e-4 is right; larger ones need a smaller one."""
DEAD_AFTER = 10_000_000
MOST = 10**15
LARGEST = {"expansion": 4096, "k": MOST, "batch": 2**24, "n_patches": MOST, "aux_k": MOST, "dead_after": MOST}


@dataclass(frozen=True)
class TrainConfig:
    """How a BatchTopK SAE is trained (Bussmann, Leask, Nanda 2024, arXiv:2412.06410).

    Attributes:
        n_patches: Patches seen in all; steps = n_patches / batch.
        expansion: n_features / d_model.
        k: Codes kept per patch, on average over a batch.
        batch: Patches in a step, of all processes together.
        lr: Peak learning rate of Adam; None = 2e-4 / √(n_features / 16384), the rule of Gao et al. 2024
            (arXiv:2406.04093).
        warm_up: Share of the steps in which the rate rises to its peak.
        decay: Share of the steps in which it falls to 0, at the end.
        clip: Largest norm of the gradient.
        aux_k: How many codes of dead features explain what is left of a patch; None = d_model / 2, at
            most 256.
        aux_weight: Weight of that loss, which revives dead features; 0 = none.
        dead_after: A feature is dead if it has not been active for so many patches; None = 10 million, or a
            twentieth of the run if that is less.
        threshold_decay: Of the running mean of each batch's smallest kept code, the SAE's threshold.
        concave_penalty: Weight of the mean of Σ√code. It keeps patches that need fewer than k features
            from splitting one direction over several.
        encoder_length: Length of the encoder's rows at first. The same learning rate turns short rows
            faster than long ones. With a concave penalty give 1: short rows give weak codes, which it
            pushes to 0.
        centred: Whether the SAE has a b_dec. Without it, a patch without active features decodes to 0.
        seed: Of the initial weights and of the order of patches.
        coarse: Whether candidates for the largest codes are found in bfloat16 and computed again in float32;
            the codes kept are the same. None = where the device computes in bfloat16.
    """

    n_patches: int
    expansion: int = 8
    k: int = 10
    batch: int = 4096
    lr: float | None = None
    warm_up: float = 0.02
    decay: float = 0.2
    clip: float = 1.0
    aux_k: int | None = None
    aux_weight: float = 1 / 32
    dead_after: int | None = None
    threshold_decay: float = 0.999
    concave_penalty: float = 0.0
    encoder_length: float = 0.3
    centred: bool = True
    seed: int = 0
    coarse: bool | None = None

    def __post_init__(self) -> None:
        given: dict[str, Any] = {}
        for name, most in LARGEST.items():
            if getattr(self, name) is not None or name not in ("aux_k", "dead_after"):
                given[name] = checks.integer(name, getattr(self, name), 1, most, hint="give a number above 0")
        given["seed"] = checks.seed(self.seed)
        for name in ("warm_up", "decay", "threshold_decay"):
            given[name] = checks.share(name, getattr(self, name))
        for name in ("lr", "clip", "aux_weight", "concave_penalty", "encoder_length"):
            if getattr(self, name) is not None:
                given[name] = _positive(
                    name, getattr(self, name), zero=name in ("aux_weight", "concave_penalty")
                )
        if not isinstance(self.centred, bool):
            raise TypeError(f"centred={checks.shown(self.centred)} is not True or False")
        if not isinstance(self.coarse, bool | None):
            raise TypeError(f"coarse={checks.shown(self.coarse)} is not True, False or None")
        if self.n_patches < self.batch:
            raise ValueError(
                f"n_patches={self.n_patches:,}, but a batch has {self.batch:,}; give more patches or a "
                "smaller batch"
            )
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def n_steps(self) -> int:
        """Steps of the optimiser."""
        return self.n_patches // self.batch

    def n_features(self, d_model: int) -> int:
        """How many features the SAE has.

        Raises:
            ValueError: There are fewer than `k`.
        """
        n = self.expansion * d_model
        if self.k > n:
            raise ValueError(
                f"k={self.k}, but expansion={self.expansion} gives {n:,} features for {d_model} channels; "
                f"choose k in 1..{n} (10 to 64 is usual) or a larger expansion"
            )
        return n

    def peak_lr(self, d_model: int) -> float:
        """The learning rate between warm-up and decay."""
        if self.lr is not None:
            return self.lr
        return 2e-4 / math.sqrt(self.n_features(d_model) / REFERENCE_FEATURES)

    def lr_at(self, step: int, d_model: int) -> float:
        """The learning rate of a step, 0..n_steps-1."""
        rising = (step + 1) / max(1, round(self.warm_up * self.n_steps))
        falling = (self.n_steps - step) / max(1, round(self.decay * self.n_steps))
        return self.peak_lr(d_model) * min(1.0, rising, falling)

    @property
    def is_dead_after(self) -> int:
        """`dead_after`, or what stands in its place."""
        return self.dead_after or min(DEAD_AFTER, max(self.batch, self.n_patches // 20))

    def aux_codes(self, d_model: int) -> int:
        """`aux_k`, or what stands in its place."""
        return self.aux_k or max(1, min(256, d_model // 2))

    def as_dict(self) -> dict[str, Any]:
        """The fields, for a file."""
        return dataclasses.asdict(self)


def _positive(name: str, value: object, *, zero: bool) -> float:
    number = checks.number(name, value, hint="give a number above 0")
    if not (number >= 0 if zero else number > 0):
        raise ValueError(f"{name}={checks.shown(value)} must be {'at least' if zero else 'above'} 0")
    return number
