"""Pictures as bytes: JPEG during a stroke, PNG after it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import shown

Kind = Literal["preview", "final"]


@dataclass(frozen=True)
class Picture:
    """A rendered picture and how long it took.

    Args:
        image: RGB.
        ms: time of the rendering, in milliseconds.
        reduced: drawn with the small decoder, so that colours are slightly off.
        scene: what was rendered; None = not known.
    """

    image: Image.Image
    ms: float
    reduced: bool = False
    scene: Scene | None = None

    @classmethod
    def of(cls, image: object, ms: float, reduced: bool = False, scene: Scene | None = None) -> Picture:
        """Check what a painter returned."""
        if not isinstance(image, Image.Image):
            raise TypeError(f"painter.render() gave {shown(image)}; it has to give a PIL image")
        return cls(image if image.mode == "RGB" else image.convert("RGB"), ms, reduced, scene)

    def compressed(self) -> Picture:
        """The same picture, held as PNG until it is looked at."""
        return replace(self, image=Image.open(io.BytesIO(self.encoded("final"))))

    def encoded(self, kind: Kind) -> bytes:
        """JPEG for a preview (4:4:4, so that thin shapes keep their colour), PNG for the final picture.

        The scene is in the PNG: if the kernel dies, a browser still has what was painted.
        """
        if kind == "final":
            return png(self.image) if self.scene is None else self.scene.to_bytes(self.image)
        stream = io.BytesIO()
        self.image.save(stream, "JPEG", quality=85, subsampling=0)
        return stream.getvalue()

    def url(self, side: int) -> str:
        """The thumbnail as a data URL."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.thumbnail(side)).decode('ascii')}"

    def thumbnail(self, side: int) -> bytes:
        """JPEG, small."""
        stream = io.BytesIO()
        self.image.resize((side, side), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=80)
        return stream.getvalue()


def png(image: Image.Image) -> bytes:
    """A picture as PNG."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
