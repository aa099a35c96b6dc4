"""Other front ends: Notebook 7 and marimo open the widget, paint, and Python sees it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.lab import leash
from tests.lab.conftest import FAKE_CELLS
from tests.lab.notebook import LIMIT_MS
from tests.lab.server import REPOSITORY, START_LIMIT_S, LabServer, free_port

MARIMO = """
import marimo

app = marimo.App()


@app.cell
def _():
    import pathlib

    import marimo as mo

    import ember_widgets as ember
    from tests.lab.fake_painter import FakePainter

    painter = FakePainter()
    before = painter.analyze("a meadow", seed=3, n_factors=5)
    widget = ember.PaintWidget(painter, before)

    def tell(change):
        wanted = before.paint("lion", [(8, 8)])
        painted = change["new"].strengths[8, 8].tolist() == wanted.strengths[8, 8].tolist()
        pathlib.Path({answer!r}).write_text(f"painted: {{painted}}")

    widget.observe(tell, "scene")
    mo.ui.anywidget(widget)
    return
"""


def dab(page: Page, grid: Locator, row: int, col: int) -> None:
    """Paint one patch with the picked factor."""
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + (col + 0.5) * box["width"] / 16, box["y"] + (row + 0.5) * box["height"] / 16)
    page.mouse.down()
    page.mouse.up()


def paint_the_lion(page: Page) -> None:
    """Wait for the widget and its picture, then paint the factor "lion" at (8, 8)."""
    root = page.get_by_test_id("ember-paint")
    root.wait_for(timeout=LIMIT_MS)
    expect(root).to_have_attribute("data-kind", "final", timeout=LIMIT_MS)
    root.get_by_text("lion", exact=True).click()
    root.get_by_test_id("brush-size").fill("1")
    before = root.get_attribute("data-seq")
    dab(page, root.get_by_test_id("grid"), 8, 8)
    expect(root).not_to_have_attribute("data-seq", before or "", timeout=LIMIT_MS)
    expect(root).to_have_attribute("data-kind", "final", timeout=LIMIT_MS)


def ask(server: LabServer, notebook: str, expression: str) -> Any:
    """The value of an expression in the notebook's kernel, asked past the page."""
    (session,) = [s for s in server._api("sessions") if s["path"] == notebook]
    client = BlockingKernelClient()
    client.load_connection_file(str(server.runtime / f"kernel-{session['kernel']['id']}.json"))
    client.start_channels()
    try:
        reply = client.execute_interactive(
            "import json as _json",
            store_history=False,
            user_expressions={"answer": f"_json.dumps({expression})"},
            output_hook=lambda message: None,
            timeout=LIMIT_MS / 1000,
        )
    finally:
        client.stop_channels()
    answer = reply["content"]["user_expressions"]["answer"]
    assert answer["status"] == "ok", answer
    return json.loads(answer["data"]["text/plain"].strip("'"))


def test_notebook_7_paints_and_python_sees_it(server: LabServer, page: Page) -> None:
    pytest.importorskip("notebook")
    name = server.write_notebook("notebook-7.ipynb", FAKE_CELLS)
    page.goto(f"{server.base}/notebooks/{name}?token={server.token}", wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=LIMIT_MS)
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=LIMIT_MS
    )
    has_run = page.locator(".jp-InputPrompt", has_text=re.compile(r"\[[*\d]+\]:")).first
    for _ in range(3):  # once, nothing ran after the menu was used
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        with contextlib.suppress(TimeoutError):
            has_run.wait_for(timeout=20_000)
            break
    paint_the_lion(page)
    assert ask(server, name, "widget.scene == before.paint('lion', [(8, 8)])")
    server.stop_kernel(name)


@pytest.fixture
def marimo_app(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a running app, and the file that its Python writes to."""
    pytest.importorskip("marimo")
    app, answer, port = tmp_path / "app.py", tmp_path / "answer.txt", free_port()
    app.write_text(MARIMO.format(answer=str(answer)))
    log = tmp_path / "log.txt"
    with log.open("wb") as stream:
        process = leash.start(
            [
                *(sys.executable, "-m", "marimo", "-q", "run", str(app), "--headless", "--no-token"),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            env=LabServer.environment_in(tmp_path) | {"PYTHONPATH": str(REPOSITORY)},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    limit = time.monotonic() + START_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=10):
                break
        except OSError:
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"marimo did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.2)
    yield address, answer
    if process.stdin is not None:
        process.stdin.close()
    process.wait(30)


def test_marimo_paints_and_python_sees_it(marimo_app: tuple[str, Path], page: Page) -> None:
    address, answer = marimo_app
    page.goto(address, wait_until="domcontentloaded")
    paint_the_lion(page)
    limit = time.monotonic() + LIMIT_MS / 1000
    while not answer.exists() and time.monotonic() < limit:
        page.wait_for_timeout(100)
    assert answer.read_text() == "painted: True"
