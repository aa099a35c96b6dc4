"""Moving pictures, read back by the libraries that play them."""

from __future__ import annotations

import io
import sys

import av
import numpy as np
import pytest
from PIL import Image

from ember_widgets.util import animation

COLORS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]


def pictures(size: tuple[int, int] = (64, 48)) -> list[Image.Image]:
    return [Image.new("RGB", size, color) for color in COLORS]


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_gif_and_webp_hold_every_picture_and_repeat(form: str) -> None:
    with Image.open(io.BytesIO(animation.encoded(pictures(), form, 200))) as film:
        assert film.format == form.upper()
        assert getattr(film, "n_frames", 1) == 3
        assert film.info["loop"] == 0


def test_mp4_shows_every_picture_for_its_time() -> None:
    data = animation.encoded(pictures((63, 47)), "mp4", 200)
    with av.open(io.BytesIO(data)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (64, 48)  # yuv420p has even sides
        assert video.codec_context.pix_fmt == "yuv420p"
        shown = [frame.to_ndarray(format="rgb24").mean(axis=(0, 1)) for frame in container.decode(video)]
    n = round(0.2 * animation.MP4_FPS)
    expected = np.repeat(COLORS, (n, n, 3 * n), axis=0)
    assert len(shown) == len(expected)
    np.testing.assert_allclose(shown, expected, atol=8)


def test_mp4_without_pyav_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'ember-widgets\[video\]'; or choose \.gif or \.webp"):
        animation.encoded(pictures(), "mp4", 200)
