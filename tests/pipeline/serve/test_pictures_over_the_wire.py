"""Pictures and scenes over the wire are the local painter's, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

import ember_widgets as ember
from ember_widgets.serve.wire import inspections, scenes, values
from tests.pipeline.serve.wire_client import WireClient, connected
from tests.serving import running


@pytest.fixture(scope="module")
def client(painter: ember.Painter) -> Iterator[WireClient]:
    with running(painter) as url, connected(url) as client:
        yield client


def same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same pixels."""
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_steps": 4, "n_factors": 3},
        {"style": "pixel art"},
        {"n_steps": 2, "edit_steps": (1, 2)},
    ],
)
def test_a_painted_picture(painter: ember.Painter, client: WireClient, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"prompt": "a castle on a hill", "seed": 3, "n_steps": 1} | options
    scene, local = client.scene("analyze", **given), painter.analyze(**given)
    assert scene == local
    painted = scene.paint(0, "centre", 1.3).erase("floor")
    assert same(client.picture("render", scene=painted), painter.render(painted))


def test_a_photograph(painter: ember.Painter, client: WireClient) -> None:
    photo = painter.render(painter.analyze("a boat on a lake", seed=5)).crop((0, 20, 250, 240))
    buffers = [values.encoded(photo, "png")]
    frame = client.call("analyze", prompt="a boat", seed=1, n_steps=1, photo=0, buffers=buffers)
    scene = scenes.unpacked_answer(frame.head["value"], frame.buffers, {})
    assert scene.image is not None
    assert scene == painter.analyze("a boat", seed=1, image=photo)
    painted = scene.scale(0, 1.5)
    assert same(client.picture("render", scene=painted), painter.render(painted))


def test_scenes_to_scenes(painter: ember.Painter, client: WireClient) -> None:
    assert client.scene("blank", prompt="a cat", seed=2, n_steps=1) == painter.blank("a cat", seed=2)
    scene = painter.analyze("a castle on a hill", seed=3).paint(0, "centre")
    assert client.scene("refit", scene=scene, n_factors=3) == painter.refit(scene, 3)
    for edit_only in (False, True):
        found = client.scene("reseed", scene=scene, seed=9, edit_only=edit_only)
        assert found == painter.reseed(scene, 9, edit_only=edit_only)


def test_features(painter: ember.Painter, client: WireClient) -> None:
    scene = painter.analyze("a cat", seed=1)
    frame = client.call("activations", scene=scene)
    codes = values.unpacked_codes(frame.head["value"], frame.buffers)
    assert codes.tobytes() == painter.activations(scene).tobytes()
    assert same(client.picture("icon", feature=7), painter.icon(7))
    frame = client.call("draw_icons", features=[7, 30])
    for entry, local in zip(frame.head["value"], painter.draw_icons([7, 30]), strict=True):
        assert same(values.decoded(frame.buffers[entry["buffer"]]), local)


def test_two_sites() -> None:
    painter = ember.Painter.embedded(sites=("down.2.1", "up.0.1"))
    with running(painter) as url, connected(url) as client:
        scene = client.scene("analyze", prompt="a dog", seed=4, n_steps=1, n_factors=3)
        assert scene == painter.analyze("a dog", seed=4, n_factors=3)
        painted = scene.paint(4, "left", 1.2).paint(0, "right")
        assert same(client.picture("render", scene=painted), painter.render(painted))
        frame = client.call("inspect", scene=painted, site="up.0.1")
        found = inspections.unpacked(frame.head["value"], frame.buffers)
        assert found.codes.tobytes() == painter.inspect(painted, site="up.0.1").codes.tobytes()


def test_an_inspection(painter: ember.Painter, client: WireClient) -> None:
    scene = painter.analyze("a cat", seed=1)
    frame = client.call("inspect", scene=scene)
    assert frame.type == "answer", frame.head
    found, local = inspections.unpacked(frame.head["value"], frame.buffers), painter.inspect(scene)
    for name in ("codes", "energy", "missed", "missed_by_factors", "unit"):
        assert getattr(found, name).tobytes() == getattr(local, name).tobytes()
    for name in ("site", "step", "space", "positional"):
        assert getattr(found, name) == getattr(local, name)
