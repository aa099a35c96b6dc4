"""A photograph comes in as users have it: turned, transparent, of any shape; or is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
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
        "image=int is not a picture; give a PIL image, a file, an array (height, width, 3) or a tensor "
        "(3, height, width), uint8 or floats from 0 to 1",
    ),
    (np.zeros((0, 0, 3), np.uint8), ValueError, "image is an array of uint8, shape (0, 0, 3); give a PIL"),
    (np.zeros((0, 5, 3)), ValueError, "image is an array of float64, shape (0, 5, 3); give a PIL image"),
    (Image.new("RGB", (0, 0)), ValueError, "image has 0×0 pixels; give one with 1 to 67,108,864"),
    (np.zeros((4, 4, 3), np.int64), ValueError, "image is an array of int64, shape (4, 4, 3); give a PIL"),
    (np.zeros((4, 4, 3), np.uint16), ValueError, "image is an array of uint16, shape (4, 4, 3); give a PIL"),
    (np.zeros((3, 4, 5)), ValueError, "image is an array of float64, shape (3, 4, 5); give a PIL image"),
    (np.full((4, 4, 3), 255.0), ValueError, "image is an array of float64 with values 255..255; floats go"),
    (np.full((4, 4, 3), -0.1), ValueError, "image is an array of float64 with values -0.1..-0.1; floats go"),
    (np.full((4, 4, 3), np.nan), ValueError, "image is an array of float64 with values nan..nan; floats go"),
    (torch.full((3, 4, 4), 2.0), ValueError, "image is an array of float32 with values 2..2; floats go"),
    (torch.zeros(5, 4, 3), ValueError, "image is a tensor of torch.float32, shape (5, 4, 3); give a PIL"),
    (torch.zeros(1, 3, 4, 4), ValueError, "image is a tensor of torch.float32, shape (1, 3, 4, 4); give"),
    (torch.zeros(3, 0, 0), ValueError, "image is an array of float32, shape (0, 0, 3); give a PIL image"),
    (Image.new("I", (4, 4), 70_000), ValueError, "image has the mode 'I' and values 70000..70000; give"),
    (Image.new("I", (4, 4), -1), ValueError, "image has the mode 'I' and values -1..-1; give values from"),
    (Image.new("F", (4, 4), 300.0), ValueError, "image has the mode 'F' and values 300..300; give values"),
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
    with pytest.raises(ValueError, match=r"photo\.png is damaged \(OSError: image file is truncated"):
        square(file, 16)


def of_16_bits(low: int = 0, high: int = 65535) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """A grey ramp from left to right."""
    return np.tile(np.linspace(low, high, 64).round().astype(np.uint16), (64, 1))


@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_16_bits_keep_their_brightness(tmp_path: Path, name: str) -> None:
    """They came out white: everything above 255 of 65535 was cut off."""
    ramp = of_16_bits()
    Image.fromarray(ramp).save(tmp_path / name)
    with Image.open(tmp_path / name) as stored:
        assert stored.mode == "I;16"
        assert np.array_equal(np.asarray(stored), ramp)
    shown = np.asarray(square(tmp_path / name, 64)).astype(float)
    assert np.abs(shown - ramp[..., None] / 257).max() <= 0.51


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bits_in_any_mode_keep_their_brightness(mode: str) -> None:
    ramp = of_16_bits(0, 40_000)
    if mode == "I;16B":
        image = Image.frombytes(mode, (64, 64), ramp.astype(">u2").tobytes())
    else:
        image = Image.fromarray(ramp if mode == "I;16" else ramp.astype(np.int32))
    assert image.mode == mode
    shown = np.asarray(square(image, 64)).astype(float)
    assert np.abs(shown - ramp[..., None] / 257).max() <= 0.51


def test_a_dark_picture_of_16_bits_stays_dark() -> None:
    assert np.asarray(square(Image.fromarray(of_16_bits(0, 200)), 64)).max() <= 1


@pytest.mark.parametrize(("mode", "most"), [("I", 255), ("F", 255), ("F", 1)])
def test_modes_that_do_not_say_what_white_is_go_by_their_values(mode: str, most: int) -> None:
    ramp = np.tile(np.linspace(0, most, 64), (64, 1)).astype(np.int32 if mode == "I" else np.float32)
    shown = np.asarray(square(Image.fromarray(ramp), 64)).astype(float)
    assert np.abs(shown - ramp[..., None] * (255 / most)).max() <= 0.51


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_coloured_png_of_16_bits(tmp_path: Path) -> None:
    ramp = np.stack([of_16_bits(), of_16_bits(0, 20_000), of_16_bits(65535, 0)], axis=2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in ramp)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "photo.png").write_bytes(data)
    shown = np.asarray(square(tmp_path / "photo.png", 64)).astype(float)
    assert np.abs(shown - ramp / 257).max() <= 1


def test_floats_and_tensors_are_as_good_as_bytes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    tensor = torch.from_numpy(pixels).movedim(2, 0)
    same: list[Any] = [
        pixels / 255,
        (pixels / 255).astype(np.float32),
        tensor,
        tensor / 255,
        (tensor.double() / 255).requires_grad_(),
        (tensor / 255).movedim(0, 2).contiguous().movedim(2, 0),
    ]
    for given in same:
        assert np.array_equal(np.asarray(square(given, 64)), pixels)
    grey = pixels[..., 0]
    for given in (grey, grey / 255, torch.from_numpy(grey)[None], torch.from_numpy(grey)[None] / 255):
        assert np.array_equal(np.asarray(square(given, 64))[..., 0], grey)
    half = np.asarray(square((tensor / 255).half(), 64)).astype(int)
    assert np.abs(half - pixels).max() <= 1


def test_transparent_colours_of_a_palette_lie_on_white_paper(tmp_path: Path) -> None:
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "photo.png", transparency=1)
    assert np.asarray(square(tmp_path / "photo.png", 16)).min() == 255


def test_a_very_large_jpeg_is_decoded_at_less_than_its_full_size(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 9000), (200, 30, 30)).save(tmp_path / "photo.jpg")
    shown = np.asarray(square(tmp_path / "photo.jpg", 16))
    assert np.abs(shown.astype(int) - (200, 30, 30)).max() < 4
