"""The oracles: which label of the embedded world does each patch of a 256×256 picture show?

Two small networks that were trained on drawn scenes only, never on pictures of the model. They are built and
trained differently, on other scenes, so that what both read does not depend on the errors of one. The first
also reads pictures for `label_server`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ember_widgets.embedded import vocabulary

Array = NDArray[Any]
N_STYLES = len(vocabulary.STYLES) + 1  # the first: none
ASSETS = Path(__file__).parent / "assets"
WEIGHTS, JUDGE_WEIGHTS = ASSETS / "oracle.safetensors", ASSETS / "judge.safetensors"
# Files of version 4 do not name their labels.
LABELS_OF_4 = (
    "paper", *vocabulary.SKIES[:4], *vocabulary.GROUNDS, *(look.name for look in vocabulary.LOOKS[:29]),
)  # fmt: skip


class Oracle(nn.Module):
    """Pictures (B, 3, 256, 256) in [-1, 1] to logits of labels and of styles.

    Args:
        body: Pictures to features (B, width, 16, 16).
        width: Channels of the features.
        names: The labels it was trained on, all of them in `vocabulary.LABELS`; it reads no others.
    """

    def __init__(self, body: nn.Module, width: int, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.known = [vocabulary.LABELS.index(name) for name in names]
        self.body = body
        self.labels = nn.Conv2d(width, len(names), 1)
        self.style = nn.Linear(width, N_STYLES)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of labels (B, n_names, 16, 16) and of styles (B, 5)."""
        features = self.body(pixels)
        return self.labels(features), self.style(features.mean((2, 3)))

    @torch.no_grad()
    def read(self, pictures: Array) -> tuple[Array, Array, Array]:
        """What pictures show.

        Args:
            pictures: (B, 256, 256, 3) uint8.

        Returns:
            Labels (B, 16, 16), indices into `vocabulary.LABELS`; the log-probabilities of all labels
            (B, n_labels, 16, 16), -inf for those it does not know; and styles (B,), indices into
            `vocabulary.STYLES`, -1 for none.
        """
        known, style = self(pixels_of(pictures))
        labels = known.new_full((len(known), len(vocabulary.LABELS), *known.shape[2:]), -torch.inf)
        labels[:, self.known] = known.log_softmax(1)
        found: Array = labels.argmax(1).numpy()
        return found, labels.numpy(), style.argmax(1).numpy() - 1


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


def new_oracle(names: Sequence[str] = vocabulary.LABELS) -> Oracle:
    """An untrained residual network that goes down to the 16×16 patches and is dilated there."""
    body = nn.Sequential(
        nn.Conv2d(3, 32, 8, 4, 2), Block(32),
        nn.Conv2d(32, 64, 4, 2, 1), Block(64), Block(64),
        nn.Conv2d(64, 128, 4, 2, 1), Block(128), Block(128, 2), Block(128, 4), Block(128),
        nn.GroupNorm(8, 128),
    )  # fmt: skip
    return Oracle(body, 128, names)


class WideBlock(nn.Module):
    """A block of ConvNeXt (Liu et al. 2022): every channel looks around alone, then they are mixed."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, side, padding=side // 2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.mix = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, width, H, W) and what this block adds to it."""
        mixed: Tensor = x + self.mix(F.gelu(self.widen(self.norm(self.around(x)))))
        return mixed


class UNet(nn.Module):
    """A U-Net of ConvNeXt's blocks: 4×4 pixels at a time, down to 8×8 and up again to the 16×16 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 48, 4, 4), WideBlock(48, 3),
            nn.Conv2d(48, 96, 2, 2), WideBlock(96, 3), WideBlock(96, 3),
            nn.Conv2d(96, 160, 2, 2), WideBlock(160, 5), WideBlock(160, 5),
        )  # fmt: skip
        self.deep = nn.Sequential(nn.Conv2d(160, 160, 2, 2), WideBlock(160, 5), WideBlock(160, 5))
        self.up = nn.Sequential(WideBlock(160, 5), nn.GroupNorm(1, 160))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, 256, 256) to features (B, 160, 16, 16)."""
        fine = self.down(pixels)
        found: Tensor = self.up(fine + F.interpolate(self.deep(fine), scale_factor=2.0))
        return found


def new_judge(names: Sequence[str] = vocabulary.LABELS) -> Oracle:
    """The second oracle, untrained."""
    return Oracle(UNet(), 160, names)


def pixels_of(pictures: Array) -> Tensor:
    """Pictures (B, 256, 256, 3) uint8 as the networks take them, (B, 3, 256, 256) in [-1, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


@cache
def load_oracle(weights: Path = WEIGHTS) -> Oracle:
    """The oracle, with the weights that ship with the package or others."""
    return _loaded(new_oracle, weights)


@cache
def load_judge(weights: Path = JUDGE_WEIGHTS) -> Oracle:
    """The second oracle, with the weights that ship with the package or others."""
    return _loaded(new_judge, weights)


def _loaded(new: Callable[[Sequence[str]], Oracle], weights: Path) -> Oracle:
    with safe_open(weights, "pt") as file:
        described = (file.metadata() or {}).get("labels")
    reader = new(LABELS_OF_4 if described is None else json.loads(described))
    reader.load_state_dict({name: weight.float() for name, weight in load_file(weights).items()})
    return reader.eval().requires_grad_(False)
