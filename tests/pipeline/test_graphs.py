"""The painter with recorded work draws the same pictures, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from ember_widgets import Painter, Scene
from ember_widgets._graphs import Graphs


def scenes(painter: Painter) -> list[Scene]:
    one = painter.analyze("a lion in a meadow", seed=3)
    many = painter.analyze("a cat on a beach", seed=4, n_steps=3).scale(0, 1.4)
    styled = painter.analyze("a cat on a beach", seed=4, style="pixel art")
    return [one, one.scale(0, 1.5), one.scale(0, 0.5), many, styled, one.erase("left"), many]


def test_pictures_by_recorded_work_are_the_same(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [np.asarray(painter.render(scene)) for scene in scenes(painter)]
    unet, vae = Graphs(True), Graphs(True)
    monkeypatch.setattr(painter._sampler, "_unet_graphs", unet)
    monkeypatch.setattr(painter._sampler, "_vae_graphs", vae)
    for scene, picture in zip(scenes(painter), plain, strict=True):
        assert np.array_equal(np.asarray(painter.render(scene)), picture)
    assert unet._recorded
    assert vae._recorded
    painter._sampler.forget()
    assert not unet._recorded
