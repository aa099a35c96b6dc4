"""The values that a painter and a backbone exchange: a run, its start, the state at a site, an edit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Words = Any
"""A text as a backbone reads it; only that backbone looks inside."""


@dataclass(frozen=True)
class SiteState:
    """What enters and what leaves a site's block at one step.

    A backbone may use a subclass that also holds what its rest needs.

    Attributes:
        hidden_in: The block's input, (batch, d_model, rows, cols). With guidance, the unconditional half of
            the batch comes first.
        hidden_out: The block's output, same shape.
    """

    hidden_in: Tensor
    hidden_out: Tensor


Edit = Callable[[int, SiteState], Tensor]
"""(step, state) -> the site's output to go on with, shaped as `SiteState.hidden_out`."""


@dataclass(frozen=True)
class Run:
    """What to generate, before any edit.

    Attributes:
        prompt, seed, n_steps, guidance: As in `Scene`.
        image: Latents of a photograph to start from, (channels, height, width), or None.
        image_strength: How much of the photograph is drawn anew.
    """

    prompt: str
    seed: int
    n_steps: int
    guidance: float = 0.0
    image: NDArray[np.float32] | None = field(default=None, compare=False)
    image_strength: float = 0.5

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal if and only if the runs are equal, photographs included."""
        digest = "" if self.image is None else hashlib.sha256(self.image.tobytes()).hexdigest()
        strength = self.image_strength if digest else 0.0
        return self.prompt, self.seed, self.n_steps, self.guidance, digest, strength


@dataclass(frozen=True)
class Start:
    """Everything of a run that no edit can change, up to the sites at the first step.

    A backbone uses a subclass that also holds what it needs to go on.

    Attributes:
        states: The first step at each of the backbone's sites, in the order of `Backbone.sites`, unedited.
    """

    states: tuple[SiteState, ...]

    @property
    def first(self) -> SiteState:
        """The first step at the first site."""
        return self.states[0]
