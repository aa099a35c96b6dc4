"""`ember-widgets demo`, the way a person meets the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.lab import leash
from tests.lab.server import REPOSITORY


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """What the demo prints where there is no browser."""
    command = [sys.executable, "-m", "ember_widgets.cli.main", "demo", "--no-browser"]
    demo = leash.start(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "0"},
        text=True,
    )
    with demo:
        assert demo.stdin is not None
        assert demo.stdout is not None
        lines = [demo.stdout.readline() for _ in range(2)]
        yield re.sub(r"^.*: (?=http)", "", lines[1].strip())
        demo.stdin.close()


def test_the_demo_prints_an_address_that_opens_the_first_notebook(address: str, page: Page) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab/tree/01_paint\.ipynb\?token=\w+", address)

    page.goto(address, wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)

    assert page.locator(".jp-Notebook").is_visible()
    # Nothing lies over it: by default JupyterLab asks whether to fetch its news, soon after it has started.
    page.wait_for_timeout(8000)
    assert page.locator(".Toastify__toast, .jp-Dialog").all_inner_texts() == []
