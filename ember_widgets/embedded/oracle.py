"""The oracle: which label of the embedded world does each patch of a 256×256 picture show?

A small convolutional network that was trained on drawn scenes only, never on pictures of the model. It judges
what the model draws, and is the eyes of `label_server`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from ember_widgets.embedded import vocabulary

Array = NDArray[Any]
N_STYLES = len(vocabulary.STYLES) + 1  # the first: none
WEIGHTS = Path(__file__).parent / "assets" / "oracle.safetensors"


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.spread = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, width, H, W) and what this block adds to it."""
        mixed: Tensor = x + self.mix(F.gelu(self.spread(self.norm(x))))
        return mixed


class Oracle(nn.Module):
    """Pictures (B, 3, 256, 256) in [-1, 1] to logits of labels (B, n_labels, 16, 16) and of styles (B, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 8, 4, 2), Block(32),
            nn.Conv2d(32, 64, 4, 2, 1), Block(64), Block(64),
            nn.Conv2d(64, 128, 4, 2, 1), Block(128), Block(128, 2), Block(128, 4), Block(128),
            nn.GroupNorm(8, 128),
        )  # fmt: skip
        self.labels = nn.Conv2d(128, len(vocabulary.LABELS), 1)
        self.style = nn.Linear(128, N_STYLES)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of labels and of styles."""
        features = self.body(pixels)
        return self.labels(features), self.style(features.mean((2, 3)))

    @torch.no_grad()
    def read(self, pictures: Array) -> tuple[Array, Array, Array]:
        """What pictures show.

        Args:
            pictures: (B, 256, 256, 3) uint8.

        Returns:
            Labels (B, 16, 16), indices into `vocabulary.LABELS`; the log-probabilities of all labels
            (B, n_labels, 16, 16); and styles (B,), indices into `vocabulary.STYLES`, -1 for none.
        """
        labels, style = self(pixels_of(pictures))
        found: Array = labels.argmax(1).numpy()
        return found, labels.log_softmax(1).numpy(), style.argmax(1).numpy() - 1


def pixels_of(pictures: Array) -> Tensor:
    """Pictures (B, 256, 256, 3) uint8 as the network takes them, (B, 3, 256, 256) in [-1, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


@cache
def load_oracle() -> Oracle:
    """The oracle with the weights that ship with the package."""
    oracle = Oracle()
    oracle.load_state_dict({name: weight.float() for name, weight in load_file(WEIGHTS).items()})
    return oracle.eval().requires_grad_(False)
