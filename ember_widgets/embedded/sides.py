"""Where sprites stand in painted shapes, as a small network is taught it.

What a shape is filled with follows from its outline (`packing.py`), which may be ten patches away. Pixels
alone teach that slowly: as long as the network does not know where the sprites stand, all it can draw is
their blurred mean. Asked in each patch how far the sides of its sprite are away, it learns it in minutes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from ember_widgets.embedded import architecture, scenes
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.scenes import CELL, GRID, Array, Layout, Thing

NONE = GRID  # where no sprite is seen
FADED = 0.1
LAYER = "up_blocks.0.attentions.1"  # the last layer but one at 16×16: what follows draws what it knows
AFTER_LAYER = "up_blocks.0.resnets.2"


def sprite_sides(layout: Layout) -> Array:
    """How far the sides of the foremost sprite are away from each patch.

    Returns:
        (4, 16, 16) int64: rows to its top and bottom, columns to its left and right; 0 means that the patch
        is at that side, `NONE` that no sprite is seen there.
    """
    sides = np.full((4, GRID, GRID), NONE)
    rows, cols = np.mgrid[:GRID, :GRID]
    for thing in layout.things:
        for row, col, height, width in _boxes(thing):
            away = np.stack([rows - row, row + height - 1 - rows, cols - col, col + width - 1 - cols])
            inside: Array = np.asarray((away >= 0).all(0))
            seen = _seen(thing.label, height, width, thing.shape is None)
            inside[inside] = seen[(rows - row)[inside], (cols - col)[inside]]
            sides[:, inside] = np.minimum(away[:, inside], GRID - 1)
    return sides


def _boxes(thing: Thing) -> tuple[tuple[int, int, int, int], ...]:
    """Row and column on the grid, height and width of each sprite of a thing."""
    if thing.shape is None:
        return ((thing.row, thing.col, thing.height, thing.width),)
    within = scenes.sprite_boxes(thing.label, thing.shape)
    return tuple((thing.row + row, thing.col + col, height, width) for row, col, height, width in within)


@lru_cache(maxsize=4000)
def _seen(label: int, height: int, width: int, whole_tile: bool) -> Array:
    """The patches (height, width) of its box that a sprite covers by more than 5 %, bool."""
    opacity = (scenes.sprite if whole_tile else scenes.filling)(label, height, width)[1]
    seen: Array = opacity.reshape(height, CELL, width, CELL).mean((1, 3)) > 0.05
    return seen


class Shapes(Dataset[dict[str, Any]]):
    """Random layouts that are not drawn, by the number of the step.

    Args:
        steps: Length of the training.
        batch: Layouts per step.
        process: Number of the process that trains.
    """

    def __init__(self, steps: int, batch: int, process: int) -> None:
        self._steps, self._batch, self._process = steps, batch, process

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, n: int) -> dict[str, Tensor]:
        """What is painted: "labels", "below" and "opacity" (B, 16, 16); and "sides" (B, 4, 16, 16)."""
        rng = np.random.default_rng([31, self._process, n])
        layouts = [random_layout(rng, faded=FADED) for _ in range(self._batch)]
        maps = zip(*map(scenes.painted_patches, layouts), strict=True)
        labels, below, opacity = (torch.from_numpy(np.stack(each)) for each in maps)
        sides = torch.from_numpy(np.stack([sprite_sides(layout) for layout in layouts]))
        return {"labels": labels, "below": below, "opacity": opacity.float(), "sides": sides}


class Reader(nn.Module):
    """Reads the sides from what `LAYER` gave in the UNet's last run; only training has it.

    Args:
        unet: It runs through `LAYER` before each call.
        trained: The run's folder, whose stage "sides" may have trained the reader before.
    """

    def __init__(self, unet: UNet2DConditionModel, trained: Path | None = None) -> None:
        super().__init__()
        self.head = nn.Conv2d(architecture.D_MODEL, 4 * (NONE + 1), 1)
        if trained is not None and (trained / "sides.pt").exists():
            saved = torch.load(trained / "sides.pt", weights_only=True, map_location="cpu")
            self.load_state_dict(saved["averages"]["reader"])
        unet.get_submodule(LAYER).register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, given: Any, output: Any) -> None:
        self._values: Tensor = output[0]

    def forward(self, sides: Tensor) -> tuple[Tensor, Tensor]:
        """`sides_loss` of the sides (B, 4, 16, 16) that are there."""
        return sides_loss(self.head(self._values), sides)


def sides_loss(logits: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """How well sides are read.

    Args:
        logits: (B, 4·(NONE + 1), 16, 16).
        sides: (B, 4, 16, 16), see `sprite_sides`.

    Returns:
        Cross-entropy, patches without a sprite counting a quarter; and of the patches with a sprite the share
        whose four sides are all right.
    """
    by_side = logits.float().view(-1, 4, NONE + 1, GRID, GRID).transpose(1, 2)
    weight = torch.where(sides < NONE, 1.0, 0.25)
    loss = (F.cross_entropy(by_side, sides, reduction="none") * weight).sum() / weight.sum()
    there = sides[:, 0] < NONE
    right = (by_side.detach().argmax(1) == sides).all(1) & there
    return loss, right.sum() / there.sum().clamp(1)
