"""The pages of a server in a real browser: how to begin, the gallery, the calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

import ember_widgets as ember
from ember_widgets.serve.server.gallery import Gallery
from ember_widgets.serve.server.tokens import Tokens
from tests.lab.browser import new_context
from tests.serving import running

TOKENS = {"a" * 20: "Ada", "b" * 20: "Ben"}
TITLES = ("Pine and castle", "<b>not bold</b>", "")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    painter = ember.Painter.embedded()
    gallery = Gallery(tmp_path_factory.mktemp("gallery"))
    with running(painter, gallery=gallery, tokens=Tokens(TOKENS)) as url:
        with ember.connect(url, "b" * 20) as ben:
            scene = ben.analyze("a sun and a pine in the snow", seed=30)
            for d_col, title in zip((-6, -3, 0), TITLES, strict=True):
                ben.share(scene.move("pine", 0, d_col), title)
        yield url


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with new_context(browser, dark=request.param) as context:
        yield context.new_page()


def check(page: Page, picture: Path) -> None:
    """The page is accessible, and nothing of it is wider than a phone."""
    page.screenshot(path=picture, full_page=True)
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    size = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=picture.with_stem(f"{picture.stem}-390"), full_page=True)
    assert size is not None
    page.set_viewport_size(size)


def test_a_link_leads_to_the_lines_and_the_gallery(
    url: str, page: Page, screenshots: Path, request: pytest.FixtureRequest
) -> None:
    theme = request.node.callspec.id
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{url}/#token={'a' * 20}")
    expect(page.locator("#state")).to_have_text("Welcome, Ada. The server is up, with the embedded model.")
    code = page.locator("#code").inner_text()
    assert f'ember.connect("{url}", token="{"a" * 20}")' in code
    compile(code, "cell", "exec")
    check(page, screenshots / f"server-join-{theme}.png")

    page.get_by_role("link", name="Gallery").click()
    pictures = page.locator("#pictures li")
    expect(pictures).to_have_count(3)
    expect(pictures.first).to_contain_text("Untitled")
    expect(pictures.nth(1)).to_contain_text("<b>not bold</b>")
    expect(pictures.last.locator("img")).to_have_js_property("complete", True)
    expect(pictures.last.locator("img")).to_have_attribute("alt", "Pine and castle by Ben")
    expect(page.get_by_role("button")).to_have_count(0)  # they are Ben's
    check(page, screenshots / f"server-gallery-{theme}.png")

    page.get_by_role("link", name="For scripts").click()
    expect(page.get_by_role("heading", name="POST /v1/render")).to_be_visible()
    expect(page.locator("#example")).to_contain_text("Bearer $TOKEN")
    check(page, screenshots / f"server-docs-{theme}.png")
    assert errors == []


def test_what_is_ones_own_is_removed(url: str, page: Page) -> None:
    with ember.connect(url, "a" * 20) as ada:
        address = ada.share(ada.analyze("a lion in a meadow", seed=3), "Ada's lion")
    page.goto(f"{url}/gallery#token={'a' * 20}")
    page.goto(address)  # a link to a picture has no token: the page has kept it
    page.reload()
    lion = page.locator("#pictures li", has_text="Ada's lion")
    expect(lion).to_have_attribute("aria-current", "true")
    button = lion.get_by_role("button")
    expect(button).to_have_accessible_name("Remove Ada's lion")
    button.click()
    expect(button).to_have_accessible_name("Remove Ada's lion?")
    page.get_by_role("heading", name="Gallery").click()
    expect(button).to_have_accessible_name("Remove Ada's lion")  # it asks no more
    button.click()
    button.click()
    expect(lion).to_have_count(0)
    expect(page.locator("#pictures li")).to_have_count(3)


def test_a_picture_that_does_not_come_is_asked_for_again_in_its_place(url: str, page: Page) -> None:
    page.goto(f"{url}/gallery#token={'a' * 20}")
    pictures = page.locator("#pictures li")
    expect(pictures).to_have_count(3)
    middle = pictures.nth(1).get_attribute("data-id")
    page.route(f"**/{middle}.png", lambda route: route.abort(), times=1)
    page.reload()
    expect(pictures).to_have_count(2)
    expect(pictures).to_have_count(3, timeout=10_000)
    expect(pictures.nth(1)).to_have_attribute("data-id", middle or "")
    expect(pictures.nth(1).locator("img")).to_have_attribute("src", re.compile("^blob:"))
