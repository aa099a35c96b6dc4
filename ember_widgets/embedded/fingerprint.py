"""Whether the embedded model draws what it drew when it was released.

`python -m ember_widgets.embedded.fingerprint` writes `assets/fingerprint.png`, which a release ships: an
unedited picture, which goes through the text encoders, the UNet and the VAE, and one that is painted with
features of the SAE. Both are made small, because processors round differently, in single pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.painter.open import ASSETS
from ember_widgets.painter.painter import Painter

FILE = ASSETS / "fingerprint.png"
PROMPT, SEED = "a lion and a castle on sand at sunset", 0
PAINTED = {"day": (0, 9, 0, 16), "grass": (9, 16, 0, 16), "lion": (6, 13, 4, 12)}
"""Labels of features, and where they are painted: first row, end, first column, end."""
SHRINK = 4
TOLERANCE = 3
"""The largest difference of two values, of 255, that is taken for rounding; between processors 1 was seen."""


def draw(painter: Painter) -> NDArray[np.uint8]:
    """Both pictures side by side, (64, 128, 3)."""
    scene = painter.blank()
    numbers = {label: feature for feature, label in painter.labels.items()}
    for label, (top, bottom, left, right) in PAINTED.items():
        patches = [(row, col) for row in range(top, bottom) for col in range(left, right)]
        scene = scene.add_factor({numbers[label]: 1.0}, name=label).paint(label, patches)
    pictures = [painter.render(painter.analyze(PROMPT, seed=SEED, n_factors=1)), painter.render(scene)]
    return np.hstack([np.asarray(picture.reduce(SHRINK)) for picture in pictures])


def difference() -> int:
    """The largest difference between what the embedded model draws here and the released pictures, of 255."""
    with Image.open(FILE) as released:
        wanted = np.asarray(released.convert("RGB"), np.int16)
    return int(np.abs(draw(Painter.embedded(dtype="float32")) - wanted).max())


def make_fingerprint() -> None:
    """Write the pictures that the embedded model draws now, as those of the release."""
    Image.fromarray(draw(Painter.embedded(dtype="float32"))).save(FILE, optimize=True)


if __name__ == "__main__":
    make_fingerprint()
