"""The paint widget on a model that another process serves: painted on, cut off, and connected again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from ember_widgets import Scene
from tests.lab.conftest import OpenNotebook
from tests.lab.model_server import ModelServer
from tests.lab.view import PaintView

CELLS = [
    """import sys

import ember_widgets as ember

painter = ember.connect({url!r}, timeout_s=3)
before = painter.analyze("a sun and a pine in the snow", seed=30)
local = "torch" in sys.modules""",
    "widget = ember.PaintWidget(painter, before)\nwidget",
]


@pytest.fixture(scope="module")
def model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def view(open_notebook: OpenNotebook, model_server: ModelServer) -> PaintView:
    view = PaintView(open_notebook([CELLS[0].format(url=model_server.url), CELLS[1]]))
    view.settle()
    return view


def test_a_remote_model_is_painted_on_and_comes_back(
    view: PaintView, model_server: ModelServer, screenshots: Path
) -> None:
    assert view.notebook.ask("local") is False
    pine = view.notebook.ask("before.names.index('pine')")
    picture = view.picture()
    view.pick(pine)
    view.use("paint", size=3)
    view.drag([(5, 3), (11, 3)])
    view.settle()
    assert view.patch_changes(picture)[5:12, 2:5].mean() > 4
    expect(view.part("reconnecting")).to_have_count(0)

    # It is killed in the middle of a stroke, and stays away for longer than a call waits.
    seen = view.picture()
    view.drag([(5, 8), (8, 8)], release=False)
    model_server.kill()
    expect(view.part("reconnecting")).to_contain_text("nothing is lost")
    expect(view.part("status")).to_have_text("Reconnecting")
    cut_off = view.picture()  # the stroke's beginning may be in it
    view.page.mouse.move(*view.point((11, 8)), steps=4)
    view.page.mouse.up()
    view.drag([(11, 12), (11, 14)])
    view.root.screenshot(path=screenshots / "remote-reconnecting.png")
    assert view.cut_off() == []
    # The kernel has it too: a page that is reloaded now shows it.
    strength = f"widget.scene.strengths[11, 13, {pine}].item()"
    until = time.monotonic() + 10
    while view.notebook.ask(strength) < 0.5:
        assert time.monotonic() < until, "the stroke did not reach the kernel"
    expect(view.part("error")).to_contain_text("no connection to", timeout=20_000)
    np.testing.assert_array_equal(view.picture(), cut_off)

    model_server.start()
    expect(view.part("reconnecting")).to_have_count(0, timeout=30_000)
    expect(view.part("error")).to_have_count(0)
    view.settle()
    changes = view.patch_changes(seen)
    assert changes[5:12, 7:10].mean() > 4
    assert changes[10:13, 11:15].mean() > 4
    view.root.screenshot(path=screenshots / "remote-back.png")
    shown = np.array(view.notebook.ask("__import__('numpy').asarray(painter.render(widget.scene)).tolist()"))
    np.testing.assert_array_equal(view.picture(), shown)

    view.part("share").click()
    expect(view.part("share-title")).to_be_focused()
    view.root.screenshot(path=screenshots / "remote-share.png")
    assert view.cut_off() == []
    view.part("share-title").fill("Two pines")
    view.part("share-title").press("Enter")
    expect(view.part("notice")).to_contain_text("Shared: the picture is in the gallery.")
    expect(view.part("share-title")).to_have_count(0)
    view.root.screenshot(path=screenshots / "remote-shared.png")
    link = view.part("notice-link").get_attribute("href")
    assert link is not None
    assert link.startswith(f"{model_server.url}/gallery#")
    with httpx.Client(trust_env=False) as client:
        (entry,) = client.get(f"{model_server.url}/v1/gallery").json()["pictures"]
        assert (entry["title"], entry["id"]) == ("Two pines", link.partition("#")[2])
        data = client.get(f"{model_server.url}/v1/gallery/{entry['id']}.png").content
    assert Scene.from_bytes(data).strengths[11, 13, pine] > 0.5
