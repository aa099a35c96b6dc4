"""A photograph comes in as users have it: turned, transparent, of any shape; or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ember_widgets.model.photo import square


def test_the_middle_is_taken_and_resized() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    found = square(wide, 64)
    assert (found.size, found.mode) == ((64, 64), "RGB")
    assert np.asarray(found)[:, 2:-2].min() > 250


def test_a_camera_held_upright_is_upright(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32] = 255  # bright above, as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise when shown
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    for given in (str(tmp_path / "photo.jpg"), tmp_path / "photo.jpg", Image.open(tmp_path / "photo.jpg")):
        shown = np.asarray(square(given, 64)).mean((0, 2))
        assert shown[40:].min() > 200  # then it is bright on the right
        assert shown[:24].max() < 50


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "LA", "1"])
def test_any_mode_becomes_rgb(mode: str) -> None:
    assert square(Image.new(mode, (20, 20)), 16).mode == "RGB"


def test_what_is_transparent_lies_on_white_paper() -> None:
    assert np.asarray(square(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), 16)).min() == 255


BAD: list[tuple[Any, type[Exception], str]] = [
    (
        7,
        TypeError,
        "image=int is not a picture; give a PIL image, a file, or an array (height, width, 3) uint8",
    ),
    (np.zeros((4, 4)), ValueError, "image is an array of float64, shape (4, 4); give a PIL image, a file"),
    ("absent.png", FileNotFoundError, "image='absent.png': there is no such file; give a PIL image"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD)
def test_what_is_no_picture_is_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        square(given, 16)
    assert str(caught.value).startswith(message)


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"is not a picture that can be read \("):
        square(file, 16)
