"""Prepare a user's photograph for the encoder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ember_widgets.util import files

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 2**26
_GIVE = (
    "give a PIL image, a file, an array (height, width, 3) or a tensor (3, height, width), "
    "uint8 or floats from 0 to 1"
)


def square(image: Any, side: int) -> Image.Image:
    """The middle square of a picture, in RGB.

    Args:
        image: PIL image; path of a file; array (height, width[, 3 or 4]); or tensor (1, 3 or 4, height,
            width). Arrays and tensors are uint8, 0..255, or floats, 0..1. Pictures of 16 bits per channel
            are scaled to 8.
        side: Width and height of the result, in pixels.

    Raises:
        TypeError, ValueError: It is none of these, or cannot be read.
        FileNotFoundError: The file does not exist.
    """
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if not path.exists():
            raise FileNotFoundError(f"image={str(image)!r}: there is no such file; {_GIVE}")
        with files.damage_named(path, _GIVE), files.opened(path) as stream, Image.open(stream) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                opened.draft("RGB", (2 * side, 2 * side))  # a JPEG is read at less than its full size
            return _square(opened, side)
    if isinstance(image, Image.Image):
        return _square(image, side)
    # Nobody has a tensor unless torch is loaded.
    if "torch" in sys.modules and isinstance(image, sys.modules["torch"].Tensor):
        return _square(_of_tensor(image), side)
    if isinstance(image, np.ndarray):
        return _square(_of_array(image), side)
    raise TypeError(f"image={type(image).__name__} is not a picture; {_GIVE}")


def _square(picture: Image.Image, side: int) -> Image.Image:
    width, height = picture.size
    if not width or not height or width * height > MAX_PIXELS:
        raise ValueError(
            f"image has {width}×{height} pixels; give one with 1 to {MAX_PIXELS:,} ({side}×{side} are enough)"
        )
    picture = ImageOps.exif_transpose(picture)  # turned as the camera was held
    if picture.mode.startswith(("I", "F")):
        picture = _in_8_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS)


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or of floats, as grey of 8 bits; Pillow itself would only cut off at 255."""
    values = np.asarray(picture)
    low, high = float(values.min()), float(values.max())
    floats = picture.mode == "F"
    if picture.mode.startswith("I;16"):
        top = 65535.0
    else:  # these modes do not say what white is
        top = next((top for top in ((1.0, 255.0) if floats else (255.0, 65535.0)) if high <= top), 0.0)
    if not (top and low >= 0):
        raise ValueError(
            f"image has the mode {picture.mode!r} and values {low:g}..{high:g}; "
            f"give values from 0 to {1 if floats else 65535}"
        )
    return Image.fromarray(np.rint(values.astype(np.float32) * (255 / top)).astype(np.uint8))


def _of_tensor(image: torch.Tensor) -> Image.Image:
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
        raise ValueError(f"image is a tensor of {image.dtype}, shape {tuple(image.shape)}; {_GIVE}")
    values = image.detach().cpu().movedim(0, 2)
    array = (values.float() if values.is_floating_point() else values).numpy()
    return _of_array(array[..., 0] if array.shape[2] == 1 else array)


def _of_array(image: NDArray[Any]) -> Image.Image:
    fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if not fits or not image.size or (image.dtype != np.uint8 and image.dtype.kind != "f"):
        raise ValueError(f"image is an array of {image.dtype}, shape {image.shape}; {_GIVE}")
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"image is an array of {image.dtype} with values {low:g}..{high:g}; "
                "floats go from 0 to 1, so divide or clip them, or give uint8"
            )
        image = np.rint(image.astype(np.float32) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(image))
