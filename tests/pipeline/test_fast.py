"""Previews by a CPU runtime: close to the final picture, of the model as it is now, and never a condition."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ember_widgets import Painter, Scene
from ember_widgets.model.engine import fast, openvino
from ember_widgets.model.sdxl.backbone import SDXL

needs_openvino = pytest.mark.skipif(not openvino.is_installed(), reason="OpenVINO is not installed")
PROMPT, SEED = "a lion in a meadow", 3


def pixels(painter: Painter, scene: Scene, *, preview: bool = False) -> np.ndarray:
    return np.asarray(painter.render(scene, preview=preview)).astype(int)


def prepared(painter: Painter, scene: Scene) -> bool:
    painter.previews(scene)
    assert isinstance(painter.backbone, SDXL)
    return painter.backbone.fast.wait(300) and painter.previews(scene)


@pytest.fixture(scope="module", autouse=True)
def switched_on() -> Iterator[None]:
    """Other tests have previews drawn by PyTorch, so that no export runs beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(fast.SWITCH, raising=False)
        yield


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fast.SWITCH, "torch")
    painter = Painter.embedded(dtype="float32")
    scene = painter.analyze(PROMPT, seed=SEED).scale(0, 1.4)
    assert not painter.previews(scene)
    assert np.array_equal(pixels(painter, scene, preview=True), pixels(painter, scene))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for all tests here: exporting takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv("EMBER_WIDGETS_CACHE", str(path))
        yield path


@pytest.fixture(scope="module")
def exact(folder: Path) -> Painter:
    return Painter.embedded(dtype="float32")


def scenes(painter: Painter) -> list[Scene]:
    one = painter.analyze(PROMPT, seed=SEED)
    styled = painter.analyze("a cat on a beach", seed=4, style="pixel art").erase("left")
    return [one, one.scale(0, 1.5), one.move(0, d_row=1, d_col=2), styled, painter.blank(seed=5)]


@needs_openvino
def test_previews_are_close_and_finals_are_exact(exact: Painter, folder: Path) -> None:
    drawn = scenes(exact)
    before = [pixels(exact, scene) for scene in drawn]
    assert prepared(exact, drawn[0])
    assert list((folder / "graphs").glob("*/suffix.xml"))
    different = 0
    for scene, final in zip(drawn, before, strict=True):
        assert np.array_equal(pixels(exact, scene), final)
        off = abs(pixels(exact, scene, preview=True) - final)
        assert off.max() <= 1
        different += int(off.sum())
    assert different  # else PyTorch drew them
    plain = exact.pipeline(
        PROMPT, num_inference_steps=1, guidance_scale=0.0, generator=torch.Generator().manual_seed(SEED)
    )
    assert np.array_equal(before[0], np.asarray(plain.images[0]))


@needs_openvino
def test_fast_finals_differ_by_one_of_255_at_most(exact: Painter) -> None:
    painter = Painter.embedded(dtype="float32", finals="fast")
    first = scenes(painter)[0]
    painter.render(first)
    assert isinstance(painter.backbone, SDXL)
    assert painter.backbone.fast.wait(300)
    assert not painter.previews(first)  # its finals are as fast
    different = 0
    for scene in scenes(painter):
        off = abs(pixels(painter, scene) - pixels(exact, scene))
        assert off.max() <= 1
        different += int(off.sum())
    assert different


@needs_openvino
def test_bfloat16_previews_look_the_same(folder: Path) -> None:
    painter = Painter.embedded(dtype="bfloat16")
    scene = painter.analyze(PROMPT, seed=SEED).scale(0, 1.4)
    assert prepared(painter, scene)
    off = pixels(painter, scene, preview=True) - pixels(painter, scene)
    assert 0 < (off**2).mean() < 255**2 / 10**4.5  # 45 dB


@needs_openvino
def test_a_changed_model_is_drawn_by_torch_until_it_is_exported(folder: Path) -> None:
    painter = Painter.embedded(dtype="float32")
    scene = painter.analyze(PROMPT, seed=SEED).scale(0, 1.4)
    assert prepared(painter, scene)
    before = pixels(painter, scene, preview=True)
    with torch.no_grad():
        painter.pipeline.unet.up_blocks[-1].resnets[0].conv1.weight.mul_(0.5)
    final = pixels(painter, scene)
    assert abs(final - before).max() > 10
    assert np.array_equal(pixels(painter, scene, preview=True), final)
    assert prepared(painter, scene)
    assert abs(pixels(painter, scene, preview=True) - final).max() <= 1


@needs_openvino
def test_with_hooks_torch_draws(exact: Painter) -> None:
    scene = exact.analyze(PROMPT, seed=SEED).scale(0, 1.4)
    assert prepared(exact, scene)
    block: Any = exact.pipeline.unet.up_blocks[-1].resnets[0]
    handle = block.register_forward_hook(lambda module, given, made: made * 0)
    try:
        assert not exact.previews(scene)
        assert np.array_equal(pixels(exact, scene, preview=True), pixels(exact, scene))
    finally:
        handle.remove()


@needs_openvino
def test_what_no_graph_fits_is_drawn_by_torch(exact: Painter) -> None:
    scene = exact.analyze(PROMPT, seed=SEED, guidance=3.0).scale(0, 1.4)
    assert prepared(exact, exact.analyze(PROMPT, seed=SEED))
    final, preview = pixels(exact, scene), pixels(exact, scene, preview=True)
    assert abs(preview - final).max() <= 1  # decoded by the runtime, of the same latents


def test_without_the_runtime_everything_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBER_WIDGETS_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "openvino", None)
    painter = Painter.embedded(dtype="float32", finals="fast")
    scene = painter.analyze(PROMPT, seed=SEED).scale(0, 1.4)
    assert not painter.previews(scene)
    assert np.array_equal(pixels(painter, scene, preview=True), pixels(painter, scene))
    assert not os.listdir(tmp_path)


def test_finals_are_exact_or_fast() -> None:
    with pytest.raises(ValueError, match="finals='quick'; choose one of exact, fast"):
        Painter.embedded(finals="quick")
