"""The painter with recorded work draws the same pictures, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ember_widgets import Painter, Scene
from ember_widgets.model.engine.graphs import Graphs, Recorded
from ember_widgets.model.engine.traces import Traced
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.model.sdxl.vae import Vae


def scenes(painter: Painter) -> list[Scene]:
    one = painter.analyze("a lion in a meadow", seed=3)
    many = painter.analyze("a cat on a beach", seed=4, n_steps=3).scale(0, 1.4)
    styled = painter.analyze("a cat on a beach", seed=4, style="pixel art")
    return [one, one.scale(0, 1.5), one.scale(0, 0.5), many, styled, one.erase("left"), many]


def parts(painter: Painter) -> tuple[Sampler, Vae]:
    assert isinstance(painter.backbone, SDXL)
    return painter.backbone.sampler, painter.backbone.vae


@pytest.mark.parametrize("kind", [Recorded, Traced])
def test_pictures_by_recorded_work_are_the_same(
    painter: Painter, monkeypatch: pytest.MonkeyPatch, kind: type[Recorded] | type[Traced]
) -> None:
    def drawn(kind: type[Recorded] | type[Traced] | None) -> list[np.ndarray]:
        for name in names:
            monkeypatch.setattr(*name, Graphs(kind))
        return [np.asarray(painter.render(scene)) for scene in (*scenes(painter), *scenes(painter))]

    # On a GPU what precedes the site is not recorded.
    sampler, vae = parts(painter)
    names: list[tuple[Any, str]] = [(sampler, "_graphs"), (vae, "_graphs")]
    if kind is Traced:
        names.append((sampler, "_prefix_graphs"))
    plain, ours = drawn(None), drawn(kind)
    for picture, expected in zip(ours, plain, strict=True):
        assert np.array_equal(picture, expected)
    for name in names:
        recorded = list(getattr(*name)._recorded.values())
        assert recorded
        assert all(one._trace is not None for one in recorded if isinstance(one, Traced))
    sampler.forget()
    vae.forget()
    assert not any(getattr(*name)._recorded for name in names)


def test_the_embedded_models_pictures_come_from_traces() -> None:
    painter = Painter.embedded()
    scene = painter.analyze("a lion in a meadow", seed=3)
    for strength in (1.1, 1.2, 1.3):
        painter.render(scene.scale(0, strength))
    for part in parts(painter):
        graphs = part._graphs
        (traced,) = graphs._recorded.values()
        assert isinstance(traced, Traced)
        assert traced._trace is not None
