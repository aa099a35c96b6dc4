"""How often and how strongly each feature of an SAE is active, over many pictures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ember_widgets.util import arrays, checks, files

FILE = "statistics.npz"


@dataclass(frozen=True, eq=False)
class Statistics:
    """Measured over the patches of a collection of pictures.

    Args:
        frequency: (n_features,) float32, share of all patches where the feature is active, 0..1.
        typical: (n_features,) float32, its activation where it is active, Σa² / Σa as the SAE's unit; 0 where
            it never was.
        n_images: how many pictures were measured.
    """

    frequency: NDArray[np.float32]
    typical: NDArray[np.float32]
    n_images: int

    def __post_init__(self) -> None:
        frequency = checks.frozen_array("frequency", self.frequency, ("n_features",))
        object.__setattr__(self, "frequency", frequency)
        object.__setattr__(self, "typical", checks.frozen_array("typical", self.typical, (len(frequency),)))

    @property
    def dead(self) -> NDArray[np.bool_]:
        """(n_features,) bool: features that were active nowhere."""
        dead: NDArray[np.bool_] = self.frequency == 0
        return dead

    def save(self, path: Path, key: str) -> None:
        """Write a file, atomically; ``key`` says which model and SAE it is about."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream, frequency=self.frequency, typical=self.typical, n_images=self.n_images, key=key
        )
        files.write(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path, key: str) -> Statistics | None:
        """Read a file; None if there is none, it is damaged, or is about another model or SAE."""
        with contextlib.suppress(OSError, ValueError), arrays.opened(path, "it is left out") as file:
            if str(file["key"]) == key:
                return cls(file["frequency"], file["typical"], int(file["n_images"]))
        return None


def joined(parts: Sequence[Statistics]) -> Statistics:
    """The statistics of several SAEs as one; features are numbered SAE after SAE."""
    return Statistics(
        np.concatenate([part.frequency for part in parts]),
        np.concatenate([part.typical for part in parts]),
        min(part.n_images for part in parts),
    )
