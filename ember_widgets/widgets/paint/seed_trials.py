"""What a browser shows of an edit on other seeds: small pictures, and a map of where they change."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ember_widgets.painter.robustness import VISIBLE, SeedTrial, edited_here
from ember_widgets.widgets.shared import pictures
from ember_widgets.widgets.shared.pictures import Picture

SIDE = 112
"""Of a small picture, in pixels."""
MAP_SIDE = 240
EMBER = (255, 143, 78)


class SeedTrials:
    """The trials of one edit as they come.

    Args:
        n_seeds: how many will come.
    """

    def __init__(self, n_seeds: int) -> None:
        self._n_seeds = n_seeds
        self._changed: list[NDArray[np.bool_]] = []
        self._edited: list[NDArray[np.bool_]] = []
        self._brightness = np.zeros((MAP_SIDE, MAP_SIDE))

    def add(self, trial: SeedTrial) -> tuple[str, str, str]:
        """Take one more; returns its seed, and the data URLs of its pictures without and with the edit."""
        changed = trial.change > VISIBLE
        self._changed.append(changed)
        self._edited.append(edited_here(trial.scene))
        side = (MAP_SIDE, MAP_SIDE)
        self._brightness += np.asarray(trial.edited.convert("L").resize(side), np.float64)
        after = trial.edited.convert("RGB").resize((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
        _outline(after, changed)
        urls = [Picture.of(image, 0).url(SIDE) for image in (trial.unedited, after)]
        return str(trial.scene.seed), urls[0], urls[1]

    def map_url(self) -> str:
        """The map as a data URL: the more seeds changed in a patch, the stronger its colour.

        Below it is the mean of the pictures, dark and grey; the line is around the patches that were edited.
        """
        count = np.sum(self._changed, axis=0) / self._n_seeds
        patches = Image.fromarray((255 * count).astype(np.uint8))
        alpha = np.asarray(patches.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.NEAREST), np.float64) / 255
        grey = 24 + 0.3 * self._brightness / len(self._changed)
        colored = grey[..., None] * (1 - alpha[..., None]) + np.array(EMBER) * alpha[..., None]
        image = Image.fromarray(colored.clip(0, 255).astype(np.uint8))
        _outline(image, np.any(self._edited, axis=0))
        return f"data:image/png;base64,{base64.b64encode(pictures.png(image)).decode('ascii')}"


def _outline(image: Image.Image, patches: NDArray[np.bool_]) -> None:
    """Draw lines around patches, white on black so that they show on any picture."""
    rows, cols = patches.shape
    height, width = image.height / rows, image.width / cols
    padded = np.pad(patches, 1)
    lines = [
        ((col - 1) * width, row * height, col * width, row * height)
        for row, col in np.argwhere(padded[1:] != padded[:-1])
    ] + [
        (col * width, (row - 1) * height, col * width, row * height)
        for row, col in np.argwhere(padded[:, 1:] != padded[:, :-1])
    ]
    draw = ImageDraw.Draw(image)
    for color, thickness in (("black", 4), ("white", 2)):
        for line in lines:
            draw.line(line, color, thickness)
