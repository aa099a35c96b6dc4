"""What is asked of a sampler, and everything of it that no edit can change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ember_widgets.model.sdxl.staged_unet import SiteState

Words = tuple[Tensor, Tensor]
"""A text as the UNet reads it: token embeddings (batch, tokens, d_text), and the pooled (batch, d_pooled)."""

Edit = Callable[[int, SiteState], Tensor]
"""(step, state) -> the site's output to go on with, (batch, d_model, 16, 16)."""


@dataclass(frozen=True)
class Run:
    """What is asked for, before any edit.

    Attributes:
        prompt, seed, n_steps, guidance: As in `Scene`.
        image: Latents of a photograph to start from, (4, height, width), or None.
        image_strength: How much of it is made anew.
    """

    prompt: str
    seed: int
    n_steps: int
    guidance: float = 0.0
    image: NDArray[np.float32] | None = field(default=None, compare=False)
    image_strength: float = 0.5

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal runs."""
        digest = "" if self.image is None else hashlib.sha256(self.image.tobytes()).hexdigest()
        strength = self.image_strength if digest else 0.0
        return self.prompt, self.seed, self.n_steps, self.guidance, digest, strength


@dataclass(frozen=True)
class Start:
    """Everything of a run that no edit can change; with guidance, the unconditional half comes first."""

    text: Tensor
    added: dict[str, Tensor]
    latents: Tensor
    noise_state: Tensor
    scheduler: Any
    timesteps: Tensor
    states: tuple[SiteState, ...]
    extra: dict[str, Any] = field(default_factory=dict)  # what the scheduler's steps take besides
    guidance: float = 0.0

    @property
    def first(self) -> SiteState:
        """The first step at the first site."""
        return self.states[0]


def repeated(start: Start, n: int) -> Start:
    """The start of a batch of n runs that begin alike; not for guided ones."""

    def times(tensor: Tensor) -> Tensor:
        return tensor.expand(n, *tensor.shape[1:])

    states = tuple(
        SiteState(
            times(state.hidden_in),
            times(state.hidden_out),
            tuple(times(skip) for skip in state.skips),
            times(state.emb),
            times(state.encoder_hidden_states),
        )
        for state in start.states
    )
    return replace(
        start,
        text=times(start.text),
        added={name: times(tensor) for name, tensor in start.added.items()},
        latents=times(start.latents),
        states=states,
    )
