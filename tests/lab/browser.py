"""Debian's Chromium under Playwright, without a screen and without reaching for the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, sync_playwright

CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses its sandbox to root, who runs tests in containers.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # /dev/shm is tiny in containers.
)
VIEWPORT = (1280, 1000)


def find_chromium() -> str:
    named = os.environ.get("EMBER_CHROMIUM")
    for candidate in [named] if named else CANDIDATES:
        path = shutil.which(candidate)
        if path is not None:
            return path
    raise FileNotFoundError(
        "no Chromium found; run `make test` as a user who may install packages, or "
        "`apt-get install chromium`, or name one in EMBER_CHROMIUM"
    )


@contextmanager
def launch() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def new_context(browser: Browser, *, dark: bool = False) -> BrowserContext:
    width, height = VIEWPORT
    return browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
