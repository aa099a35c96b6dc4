"""Pictures as bytes: JPEG while the hand moves, PNG when it rests."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from ember_widgets._checks import shown

Kind = Literal["preview", "final"]


@dataclass(frozen=True)
class Picture:
    """A rendered picture and how long it took.

    Args:
        image: RGB.
        ms: time of the rendering, in milliseconds.
    """

    image: Image.Image
    ms: float

    @classmethod
    def of(cls, image: object, ms: float) -> Picture:
        """Check what a painter gave back."""
        if not isinstance(image, Image.Image):
            raise TypeError(f"painter.render() gave {shown(image)}; it has to give a PIL image")
        return cls(image if image.mode == "RGB" else image.convert("RGB"), ms)

    def encoded(self, kind: Kind) -> bytes:
        """JPEG for a preview (4:4:4, so that thin shapes keep their colour), PNG for the final picture."""
        stream = io.BytesIO()
        if kind == "preview":
            self.image.save(stream, "JPEG", quality=85, subsampling=0)
        else:
            self.image.save(stream, "PNG")
        return stream.getvalue()

    def thumbnail(self, side: int) -> bytes:
        """JPEG, small."""
        stream = io.BytesIO()
        self.image.resize((side, side), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=80)
        return stream.getvalue()
