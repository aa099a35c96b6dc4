"""A shard of a collection: up to 32 pictures' codes, sparse, in one file of arrays."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.util import arrays

SIDE = 256


@dataclass(frozen=True)
class Record:
    """One picture's codes, sparse: per patch, per active feature."""

    prompt: str
    seed: int
    counts: NDArray[np.uint32]
    features: NDArray[np.int32]
    values: NDArray[np.float32]
    picture: bytes = field(default=b"")

    @classmethod
    def of(cls, prompt: str, seed: int, codes: NDArray[np.float32], picture: Image.Image | None) -> Record:
        """Make one from codes (n_patches, n_features) and a picture, which is kept at 256×256 pixels."""
        patches, features = np.nonzero(codes)
        stream = io.BytesIO()
        if picture is not None:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            small.save(stream, "JPEG", quality=85, subsampling=0)
        return cls(
            prompt,
            seed,
            np.bincount(patches, minlength=len(codes)).astype(np.uint32),
            features.astype(np.int32),
            codes[patches, features],
            stream.getvalue(),
        )


def packed(records: list[Record]) -> dict[str, NDArray[Any]]:
    """A shard's arrays: codes, pictures, sums per feature, each feature's strongest patch per picture."""
    features = np.concatenate([r.features for r in records])
    values = np.concatenate([r.values for r in records])
    counts = np.concatenate([r.counts for r in records])
    n_patches = len(records[0].counts)
    where = np.repeat(np.arange(len(counts)), counts)  # picture · n_patches + patch
    used, place = np.unique(features, return_inverse=True)
    exact = values.astype(np.float64)

    # The strongest patch of each feature in each picture: the last of those sorted by strength.
    images = where // n_patches
    order = np.lexsort((-where, values, images, features))
    f, i = features[order], images[order]
    last = order[np.append((f[1:] != f[:-1]) | (i[1:] != i[:-1]), True)] if len(order) else order
    pictures = [np.frombuffer(r.picture, np.uint8) for r in records]
    return {
        "prompts": np.frombuffer(json.dumps([r.prompt for r in records]).encode(), np.uint8),
        "seeds": np.array([r.seed for r in records], np.int64),
        "ends": np.append(0, counts.cumsum()).astype(np.uint32),
        "code_features": features,
        "code_values": values,
        "pictures": np.concatenate(pictures),
        "picture_ends": np.cumsum([0, *(len(p) for p in pictures)]),
        "features": used,
        "active": np.bincount(place, minlength=len(used)),
        "total": np.bincount(place, exact, len(used)),
        "squares": np.bincount(place, exact**2, len(used)),
        "peak_features": features[last],
        "peak_images": images[last].astype(np.int32),
        "peak_patches": (where[last] % n_patches).astype(np.min_scalar_type(n_patches - 1)),
        "peak_values": values[last],
    }


@contextlib.contextmanager
def load(shard: Path) -> Iterator[arrays.Arrays]:
    """Open a shard; its arrays are read one by one, while the block runs.

    Raises:
        ValueError: The shard is damaged.
    """
    with arrays.opened(shard, "delete it, and collect its pictures again") as file:
        yield file


def indices(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The array, if all of it are indices below the count.

    Raises:
        ValueError: They are not; numpy would count negative ones from the end.
    """
    if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() < count):
        raise ValueError(f"it holds indices that are not below {count}")
    return array


def peaks_in(
    file: arrays.Arrays, n_features: int, n_pictures: int, n_patches: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[np.float32]]:
    """The strongest patch of each feature in each picture of an open shard.

    Args:
        file: the shard.
        n_features: of the collection.
        n_pictures: of the shard.
        n_patches: of each picture.

    Returns:
        features, pictures (counted in the shard), patches and activations, (n,) each; sorted by feature.

    Raises:
        ValueError: They do not fit together.
    """
    features = indices(file["peak_features"], n_features)
    images = indices(file["peak_images"], n_pictures)
    patches, values = indices(file["peak_patches"], n_patches), file["peak_values"]
    if features.ndim != 1 or {images.shape, patches.shape, values.shape} != {features.shape}:
        raise ValueError("its peaks do not fit together")
    if values.dtype != np.float32 or not ((values > 0) & np.isfinite(values)).all():
        raise ValueError("it holds activations that are not above 0")
    return features, images, patches, values


def codes_in(
    file: arrays.Arrays, n_features: int, n_rows: int
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float32]]:
    """The codes of an open shard as rows of a sparse matrix, a row per patch, picture after picture.

    Args:
        file: the shard.
        n_features: of the collection.
        n_rows: pictures times patches.

    Returns:
        where each row ends, after a first 0, (n_rows + 1,); features and activations, (n,) each.

    Raises:
        ValueError: They do not fit together.
    """
    ends, values = file["ends"].astype(np.int64), file["code_values"]
    features = indices(file["code_features"], n_features)
    if (
        ends.shape != (n_rows + 1,)
        or ends[0] != 0
        or np.diff(ends).min(initial=0) < 0
        or features.shape != values.shape
        or features.shape != (ends[-1],)
        or values.dtype != np.float32
    ):
        raise ValueError("its codes and its patches do not fit together")
    return ends, features, values
