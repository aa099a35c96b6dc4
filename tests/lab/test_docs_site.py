"""The documentation site, built and opened in Chromium from its files: light, dark, and on a phone."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import ember_widgets as ember
from tests.lab.server import REPOSITORY

NEEDS = ("sphinx", "myst_nb", "pydata_sphinx_theme", "sphinx_copybutton", "sphinx_design")
PAGES = (
    "index.html",
    "gallery.html",
    "notebooks/03_factors.html",
    "serving.html",
    "user-guide.html",
    "how-it-works.html",
    "reference/index.html",
    "reference/scenes.html",
    "reference/values.html",
    "reference/commands.html",
)
PATIENCE_S = 300
HOME = "Paint pictures with a diffusion model"

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDS),
    reason="the site's tools are not installed: pip install -e '.[docs]'",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the built site, with notebooks that were not run. A warning fails the build."""
    out = tmp_path_factory.mktemp("site") / "docs"
    built = subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "build.py", "--no-run", "--out", out],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return out.as_uri() + "/"


class Links(HTMLParser):
    """The ids of a page, and what it points to."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value and not re.match(r"[a-z]+:", value):
                self.targets.add(value)


def test_every_link_inside_the_site_leads_somewhere(site: str) -> None:
    top = Path(url2pathname(urlsplit(site).path))
    seen: dict[Path, Links] = {}
    templates = set((top / "_static").rglob("*.html"))  # the theme's
    for path in set(top.rglob("*.html")) - templates:
        seen[path] = Links()
        seen[path].feed(path.read_text("utf-8"))
    broken = []
    for path, page in seen.items():
        for target in page.targets:
            name, _, anchor = unquote(target).partition("#")
            file = (path.parent / name.partition("?")[0]).resolve() if name else path
            if not file.exists() or (anchor and file in seen and anchor not in seen[file].ids):
                broken.append((path.name, target))
    assert len(seen) > len(PAGES)
    assert broken == []


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1280, 390], ids=["wide", "phone"])
def page(browser: Browser, scheme: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": request.param, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else wrong.append(asked.url),
    )
    yield opened
    context.close()
    assert wrong == []


def test_pages_fit_and_fetch_nothing_from_elsewhere(
    site: str, page: Page, scheme: str, screenshots: Path
) -> None:
    width = page.evaluate("innerWidth")
    for name in PAGES:
        page.goto(site + name)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == [], name
        stem = name.removesuffix(".html").replace("/", "-")
        page.screenshot(path=screenshots / f"docs-{stem}-{scheme}-{width}.png")


def test_the_landing_page_shows_the_picture_of_its_theme(site: str, page: Page, scheme: str) -> None:
    page.goto(site + "index.html")
    expect(page.get_by_text(HOME)).to_be_visible()
    shown = page.locator("article img:visible")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("src", f"_images/paint-{scheme}.png")
    cards = page.locator(".sd-card")
    expect(cards).to_have_count(4)
    cards.filter(has_text="Reference").click()
    expect(page.locator("h1")).to_contain_text("Reference")


def test_the_search_works_from_files(site: str, page: Page) -> None:
    page.goto(site + "serving.html")
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox").locator("visible=true").fill("robustness")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=robustness")
    found = page.get_by_role("link", name="ember_widgets.Painter.robustness", exact=True)
    expect(found).to_be_visible()
    found.click()
    expect(page.locator("[id='ember_widgets.Painter.robustness']")).to_be_in_viewport()


def test_each_painting_of_the_gallery_can_be_painted_on(site: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(site + "gallery.html")
    links = page.get_by_role("link", name="The picture with its scene")
    expect(links).to_have_count(12)
    painter = ember.Painter.embedded()
    files = [Path(url2pathname(urlsplit(str(link.evaluate("a => a.href"))).path)) for link in links.all()]
    scenes = [ember.Scene.load(file) for file in files]
    assert all(scene != scene.original() for scene in scenes)
    with Image.open(files[2]) as picture:
        drawn = np.asarray(picture.convert("RGB"), np.int16)
    again = np.asarray(painter.render(scenes[2]), np.int16)
    assert np.abs(drawn - again).mean() < 1  # the site is built with one thread, which rounds differently
    assert np.abs(drawn - np.asarray(painter.render(scenes[2].original()), np.int16)).mean() > 10
    page.close()
