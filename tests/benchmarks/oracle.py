"""A judge of pictures: which label of the embedded world does each patch of a 256×256 picture show?

A small convolutional network, trained on drawn scenes only, never on what the model makes of them. The first
use trains it (about ten minutes on two cores) and keeps it in the benchmark's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import trange

from ember_widgets.embedded import captions, scenes, vocabulary
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.training_loop import train

Array = NDArray[Any]
N_STYLES = len(vocabulary.STYLES) + 1  # the first: none
N_TRAIN, N_TEST = 3000, 300


class Block(nn.Module):
    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.spread = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
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
        features = self.body(pixels)
        return self.labels(features), self.style(features.mean((2, 3)))

    @torch.no_grad()
    def read(self, pictures: Array) -> tuple[Array, Array, Array]:
        """Labels (B, 16, 16), log-probabilities (B, n_labels, 16, 16), and styles (B,), -1 for none."""
        labels, style = self(_pixels(pictures))
        found: Array = labels.argmax(1).numpy()
        return found, labels.log_softmax(1).numpy(), style.argmax(1).numpy() - 1


def _pixels(pictures: Array) -> Tensor:
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _layouts(n: int, seed: int) -> list[scenes.Layout]:
    """Half free, half captioned, a third in a style."""
    rng = np.random.default_rng(seed)
    layouts = [random_layout(rng, styled=0.3) for _ in range(n // 2)]
    for _ in range(n - n // 2):
        spec = captions.random_spec(rng, styled=0.3)
        layouts.append(captions.caption_layout(spec, rng.standard_normal((4, 64, 64), dtype=np.float32))[0])
    return layouts


def _drawn(n: int, seed: int) -> tuple[Array, Array, Array]:
    layouts = _layouts(n, seed)
    pictures = np.empty((n, scenes.SIZE, scenes.SIZE, 3), np.uint8)
    labels = np.empty((n, scenes.GRID, scenes.GRID), np.int64)
    for i in trange(n, desc="scenes for the oracle", mininterval=10):
        pictures[i], labels[i] = scenes.draw(layouts[i])
    return pictures, labels, np.array([layout.style for layout in layouts])


def load_oracle(folder: Path, *, minutes: float = 8.0) -> Oracle:
    """The trained oracle of `folder`, which is trained if it is not there yet."""
    torch.manual_seed(0)
    oracle, file = Oracle(), folder / "oracle.pt"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists() or torch.load(file, weights_only=True)["seconds"] < 60 * minutes:
        pictures, labels, styles = _drawn(N_TRAIN, 77)
        rng = np.random.default_rng(78)

        def step(n: int, progress: float) -> dict[str, Tensor]:
            chosen = rng.integers(N_TRAIN, size=24)
            x = _pixels(pictures[chosen])
            if (
                rng.random() < 0.5
            ):  # the model's decoder is a little soft, and its pictures have a little grain
                x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
            x = x + rng.uniform(0, 0.08) * torch.randn_like(x)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found, style = oracle(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(found.float(), torch.from_numpy(labels[chosen]))
            styled = F.cross_entropy(style.float(), torch.from_numpy(styles[chosen] + 1))
            return {"loss": loss + 0.2 * styled, "labels": loss, "style": styled}

        train("oracle", {"oracle": oracle}, list(oracle.parameters()), step, out=folder, minutes=minutes)
    oracle.load_state_dict(torch.load(file, weights_only=True)["averages"]["oracle"])
    return oracle.eval()


def accuracy(oracle: Oracle) -> dict[str, float]:
    """Shares of patches and styles that the oracle reads right, on scenes it was not trained on."""
    pictures, labels, styles = _drawn(N_TEST, 177)
    parts = [oracle.read(pictures[i : i + 25]) for i in range(0, N_TEST, 25)]
    found, style = np.concatenate([p[0] for p in parts]), np.concatenate([p[2] for p in parts])
    things = labels >= vocabulary.FIRST_THING
    return {
        "all patches": float((found == labels).mean()),
        "patches of things": float((found == labels)[things].mean()),
        "styles": float((style == styles).mean()),
    }
