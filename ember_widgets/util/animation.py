"""Pictures one after the other, as a GIF, WebP or MP4 file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from PIL import Image

FORMS = ("gif", "webp", "mp4")
"""The forms, as files end in them."""

MP4_FPS = 50
"""Frames per second of an MP4 file, in which a picture is shown for a whole number of frames."""

HOLD = 3
"""The last picture stays so many times as long."""


def encoded(images: Sequence[Image.Image], form: str, ms: int) -> bytes:
    """Pictures one after the other; GIF and WebP repeat for ever. The last one stays three times as long.

    Args:
        images: at least one; all get the size of the last.
        form: one of `FORMS`.
        ms: how long each is shown.

    Raises:
        ImportError: "mp4", and PyAV is not installed.
    """
    size = images[-1].size
    frames = [image.convert("RGB").resize(size) for image in images]
    times = [ms] * (len(frames) - 1) + [HOLD * ms]
    if form == "mp4":
        return _mp4(frames, times)
    stream = io.BytesIO()
    options: dict[str, Any] = {"quality": 85} if form == "webp" else {}
    frames[0].save(stream, form, save_all=True, append_images=frames[1:], duration=times, loop=0, **options)
    return stream.getvalue()


def check_mp4() -> None:
    """Refuse MP4 before anything is drawn if PyAV is not installed.

    Raises:
        ImportError: it is not; the message says how to get it.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "MP4 files need PyAV: pip install 'ember-widgets[video]'; or choose .gif or .webp"
        ) from error


def _mp4(frames: Sequence[Image.Image], times: Sequence[int]) -> bytes:
    check_mp4()
    import av

    width, height = (side + side % 2 for side in frames[0].size)  # yuv420p halves both sides
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=Fraction(MP4_FPS), options={"crf": "18"})
        video.width, video.height = width, height
        video.pix_fmt = "yuv420p"  # the only one that every browser plays
        for frame, ms in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_image(frame.resize((width, height)))
            for _ in range(max(1, round(ms * MP4_FPS / 1000))):
                container.mux(video.encode(picture))
        container.mux(video.encode())
    return stream.getvalue()
