"""Prepare a user's photograph for the encoder."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

_GIVE = "give a PIL image, a file, or an array (height, width, 3) uint8"


def square(image: Any, side: int) -> Image.Image:
    """The middle square of a picture, in RGB.

    Args:
        image: PIL image, path of a file, or array (height, width[, 3 or 4]) uint8.
        side: Width and height of the result, in pixels.

    Raises:
        TypeError, ValueError: It is none of these, or cannot be read.
        FileNotFoundError: The file does not exist.
    """
    if isinstance(image, (str, os.PathLike)):
        try:
            with Image.open(image) as opened:
                opened.load()
                picture: Image.Image = opened.copy()
                exif = opened.getexif()
                picture.info["exif"] = exif.tobytes() if exif else b""
        except FileNotFoundError:
            raise FileNotFoundError(f"image={str(image)!r}: there is no such file; {_GIVE}") from None
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"image={str(image)!r} is not a picture that can be read ({error}); {_GIVE}"
            ) from None
    elif isinstance(image, Image.Image):
        picture = image
    elif isinstance(image, np.ndarray):
        if (
            image.dtype != np.uint8
            or image.ndim not in (2, 3)
            or (image.ndim == 3 and image.shape[2] not in (3, 4))
        ):
            raise ValueError(f"image is an array of {image.dtype}, shape {image.shape}; {_GIVE}")
        picture = Image.fromarray(image)
    else:
        raise TypeError(f"image={type(image).__name__} is not a picture; {_GIVE}")
    picture = ImageOps.exif_transpose(picture)  # turned as the camera was held
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
