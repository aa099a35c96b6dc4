"""Pictures and scenes over the wire are the local painter's, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops

import ember_widgets as ember
from ember_widgets.serve.wire import inspections
from tests.pipeline.serve.wire_client import WireClient, connected
from tests.serving import running


@pytest.fixture(scope="module")
def client(painter: ember.Painter) -> Iterator[WireClient]:
    with running(painter) as url, connected(url) as client:
        yield client


def same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same pixels."""
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def test_a_painted_picture(painter: ember.Painter, client: WireClient) -> None:
    scene = client.scene("analyze", prompt="a castle on a hill", seed=3, n_steps=1, n_factors=4)
    local = painter.analyze("a castle on a hill", seed=3, n_factors=4)
    assert scene == local
    painted = scene.paint(0, "centre", 1.3).erase("floor")
    assert same(client.picture("render", scene=painted), painter.render(painted))


def test_an_inspection(painter: ember.Painter, client: WireClient) -> None:
    scene = painter.analyze("a cat", seed=1)
    frame = client.call("inspect", scene=scene)
    assert frame.type == "answer", frame.head
    found, local = inspections.unpacked(frame.head["value"], frame.buffers), painter.inspect(scene)
    for name in ("codes", "energy", "missed", "missed_by_factors", "unit"):
        assert getattr(found, name).tobytes() == getattr(local, name).tobytes()
    for name in ("site", "step", "space", "positional"):
        assert getattr(found, name) == getattr(local, name)
