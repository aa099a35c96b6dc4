"""Pictures of the widget for people to look at, and what can be told of them without eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.lab.browser import new_context
from tests.lab.conftest import FAKE_CELLS
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.test_access import violations
from tests.lab.view import PaintView

CONTRAST = """root => {
  const channels = color => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const texts = [...root.querySelectorAll('*')].filter(element =>
    [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()) &&
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
    !element.closest(':disabled'));
  return texts.map(element => {
    const [one, two] = [channels(getComputedStyle(element).color), ground(element)].map(luminance);
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    return [element.textContent.trim(), contrast];
  });
}"""

OVERFLOW = "root => root.scrollWidth - root.clientWidth"


@pytest.fixture(scope="module")
def dark_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with LabServer(tmp_path_factory.mktemp("lab-dark"), dark=True) as server:
        yield server


@pytest.fixture
def dark_page(browser: Browser) -> Iterator[Page]:
    with new_context(browser, dark=True) as context:
        yield context.new_page()


def test_the_light_theme_is_legible(view: PaintView, screenshots: Path) -> None:
    check_and_shoot(view, screenshots / "lab-light.png")


def test_the_dark_theme_is_legible(dark_page: Page, dark_server: LabServer, screenshots: Path) -> None:
    view = opened_in_the_dark(dark_page, dark_server, "dark.ipynb", FAKE_CELLS)

    assert dark_page.locator("body").get_attribute("data-jp-theme-light") == "false"
    check_and_shoot(view, screenshots / "lab-dark.png")


def test_a_narrow_notebook_still_shows_all_of_the_widget(fresh_view: PaintView, screenshots: Path) -> None:
    view = fresh_view
    view.page.set_viewport_size({"width": 800, "height": 1000})
    view.settle()
    view.root.screenshot(path=screenshots / "lab-narrow.png")

    box = view.part("grid").bounding_box()
    assert box is not None
    assert box["width"] > 300
    assert view.root.evaluate("root => root.clientWidth") < 480
    assert view.root.evaluate(OVERFLOW) == 0


def check_and_shoot(view: PaintView, path: Path) -> None:
    view.pick(0)
    view.use("paint", size=3)
    view.drag([(9, 4), (9, 11)])
    view.page.mouse.move(0, 0)
    view.settle()
    view.page.screenshot(path=path)
    assert view.root.evaluate(OVERFLOW) == 0
    view.part("side-by-side").click()
    view.page.mouse.move(0, 0)
    view.settle()
    view.root.screenshot(path=path.with_stem(f"{path.stem}-side-by-side"))

    contrasts = [(re.sub(r"\s+", " ", text), contrast) for text, contrast in view.root.evaluate(CONTRAST)]

    # WCAG's bound for large text and controls; small text of the notebook itself is no better in places.
    assert contrasts
    assert [(text, contrast) for text, contrast in contrasts if contrast < 3] == []


def test_the_studio_in_use(view: PaintView, screenshots: Path) -> None:
    view.pick(0)
    view.use("paint", size=3)
    view.part("soft").check()
    view.drag([(9, 4), (9, 11)])
    view.use("rect")
    view.drag([(3, 3), (8, 9)])
    view.use("gain")
    view.part("more-0").click()
    view.part("search-palette").fill("lantern")
    view.settle()
    view.page.mouse.move(0, 0)
    view.root.screenshot(path=screenshots / "studio.png")
    assert view.root.evaluate(OVERFLOW) == 0
    view.use("move")
    view.drag([(5, 5), (9, 8)], release=False)
    view.root.screenshot(path=screenshots / "studio-moving.png")
    view.page.mouse.up()
    view.part("compare-split").click()
    view.part("search-palette").fill("")
    view.part("zoom").fill("384")
    view.settle()
    view.root.screenshot(path=screenshots / "studio-split.png")
    view.part("help").click()
    view.root.screenshot(path=screenshots / "studio-keys.png")
    view.part("keys-close").click()
    view.part("python").click()
    view.part("program").wait_for()
    view.root.screenshot(path=screenshots / "studio-python.png")


def test_small_and_dark_every_part_is_whole(
    dark_page: Page, dark_server: LabServer, screenshots: Path
) -> None:
    view = opened_in_the_dark(dark_page, dark_server, "dark-360.ipynb", FAKE_CELLS)
    view.page.set_viewport_size({"width": 1280, "height": 2400})  # or the page scrolls under the camera
    view.root.evaluate("root => { root.style.width = '360px'; }")

    def check(name: str) -> None:
        view.page.mouse.move(0, 0)
        view.settle()
        view.root.screenshot(path=screenshots / f"dark-360-{name}.png")
        assert view.cut_off() == [], name
        assert violations(view) == [], name
        faint = [(text, value) for text, value in view.root.evaluate(CONTRAST) if value < 3]
        assert faint == [], name

    check("rest")
    view.part("more-1").click()
    view.part("search-drawer").fill("lantern at night")
    view.part("found-10").click()
    view.settle()
    view.part("top-only").click()
    expect(view.part("tag")).to_contain_text("only")
    view.part("search-drawer").fill("lantern")
    expect(view.part("found")).to_be_visible()
    check("drawer")
    view.part("more-1").click()
    view.part("search-palette").fill("a pyramid at sunset")
    view.part("fetch").click()
    expect(view.part("source")).to_have_text("From a pyramid at sunset")
    check("borrow")
    view.part("seeds").click()
    for seed in (4, 7):
        expect(view.part(f"seed-{seed}").locator("img")).to_be_visible()
    check("seeds")
    view.part("more-0").click()
    view.part("sweep").click()
    expect(view.part("sheet")).to_be_visible()
    check("sweep")
    view.part("sheet-close").click()
    view.part("python").click()
    expect(view.part("program")).to_be_visible()
    check("python")


PARTS = [
    FAKE_CELLS[0],
    """before = painter.analyze("a meadow", seed=3, n_factors=5)
widget = ember.Picture(painter, before)
widget""",
    "sliders = ember.FactorSliders(widget)\nsliders",
]


def test_small_and_dark_the_parts_apart_are_whole(
    dark_page: Page, dark_server: LabServer, screenshots: Path
) -> None:
    picture = opened_in_the_dark(dark_page, dark_server, "dark-360-parts.ipynb", PARTS)
    for view, name in ((picture, "picture"), (PaintView(picture.notebook, 1), "sliders")):
        view.root.wait_for()
        view.root.evaluate("root => { root.style.width = '360px'; }")
        if name == "sliders":
            view.part("more-2").click()
        view.settle()
        view.root.screenshot(path=screenshots / f"dark-360-{name}.png")
        assert view.cut_off() == [], name
        assert violations(view) == [], name


def opened_in_the_dark(page: Page, server: LabServer, name: str, cells: list[str]) -> PaintView:
    notebook = Notebook(page, server.address(server.write_notebook(name, cells)))
    notebook.run_all()
    view = PaintView(notebook)
    view.settle()
    return view
