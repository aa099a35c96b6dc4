"""Values on the wire besides scenes: pictures, and how an SAE explains a run."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image

from ember_widgets.serve.wire.frames import BadFrame
from ember_widgets.util.checks import FloatArray

Form = Literal["png", "exact", "webp", "jpeg"]
FORMS: tuple[Form, ...] = ("png", "exact", "webp", "jpeg")
"""PNG and "exact", a lossless WebP that is made in a third of the time, are for final pictures; the others
are smaller, for previews."""
MAX_PIXELS = 2**22
"""Of a picture that is read: what a small file unpacks to is limited."""
_SAVE: Mapping[Form, dict[str, Any]] = {
    # Level 1 is half again as large as the default and takes a fifth of the time.
    "png": {"format": "PNG", "compress_level": 1},
    "exact": {"format": "WEBP", "lossless": True, "quality": 0, "method": 0},
    "webp": {"format": "WEBP", "quality": 85, "method": 0},
    "jpeg": {"format": "JPEG", "quality": 88, "subsampling": 0},
}


def encoded(picture: Image.Image, form: Form) -> bytes:
    """A picture as a file."""
    stream = io.BytesIO()
    options = dict(_SAVE[form])
    picture.save(stream, options.pop("format"), **options)
    return stream.getvalue()


def decoded(data: bytes) -> Image.Image:
    """The picture in a file, RGB.

    Raises:
        BadFrame: It is not one of `FORMS`, is damaged, or has more than `MAX_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadFrame(
                    f"the picture has {picture.width}×{picture.height} pixels; "
                    f"at most {MAX_PIXELS} are allowed"
                )
            found: Image.Image = picture.convert("RGB")
            found.info.clear()  # WebP's background would go into a GIF that is made of it
            return found
    except BadFrame:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise BadFrame("the picture is not PNG, WebP or JPEG, or is damaged") from None


def packed_codes(codes: FloatArray, buffers: list[bytes]) -> dict[str, Any]:
    """SAE codes, of which most are 0, as JSON and three buffers; exact.

    Args:
        codes: (rows, cols, n_features) float32.
        buffers: Three are appended: how many features are active in each patch, which, and how strongly.
    """
    flat = codes.reshape(-1, codes.shape[-1])
    patches, features = np.nonzero(flat)
    counts = np.bincount(patches, minlength=len(flat))
    first = len(buffers)
    buffers += [
        counts.astype("<u4").tobytes(),
        features.astype("<u4").tobytes(),
        flat[patches, features].astype("<f4").tobytes(),
    ]
    return {"shape": list(codes.shape), "buffer": first}


def unpacked_codes(content: Mapping[str, Any], buffers: Sequence[bytes]) -> FloatArray:
    """The codes that `packed_codes` was given. For answers of a server, which is trusted."""
    first, shape = content["buffer"], tuple(content["shape"])
    counts, features, values = (
        np.frombuffer(buffers[first + i], kind) for i, kind in enumerate(("<u4", "<u4", "<f4"))
    )
    codes = np.zeros((shape[0] * shape[1], shape[2]), np.float32)
    codes[np.repeat(np.arange(len(counts)), counts), features] = values
    return codes.reshape(shape)
