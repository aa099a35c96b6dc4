"""On a phone and in a narrow cell: nothing sticks out, texts can be read, fingers hit what they want."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.lab.conftest import FAKE_CELLS
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

FINGER_PIXELS = 40

# All faults of what is visible now. A strip of thumbnails scrolls by itself.
FAULTS = """(root, [least, fields]) => {
  const name = element => element.dataset.testid || element.getAttribute('class') || element.tagName;
  const box = element => element.getBoundingClientRect();
  const visible = element => element.checkVisibility({ checkVisibilityCSS: true }) && box(element).width;
  const inStrip = element => element.parentElement.closest('.e-strip');
  const all = [...root.querySelectorAll('*')].filter(visible).filter(element => !inStrip(element));
  const controls = all.filter(element => element.matches('button, input, select, textarea, summary'));
  // The label of a checkbox is touched, too.
  const touched = element => element.type === 'checkbox' ? element.closest('label') : element;
  const width = box(root);
  const faults = [];
  const TEXTS = '.e-row .e-label, button, output, dt, dd, label';
  if (root.scrollWidth > root.clientWidth) faults.push('the widget scrolls sideways');
  for (const element of all) {
    const { left, right } = box(element);
    if (left < width.left - 0.5 || right > width.right + 0.5) faults.push(`${name(element)} sticks out`);
  }
  for (const element of [...controls, ...root.querySelectorAll('.e-strip button')].filter(visible)) {
    const { width, height } = box(touched(element));
    if (Math.min(width, height) < least - 0.5)
      faults.push(`${name(element)} is only ${Math.round(width)} by ${Math.round(height)}`);
  }
  // Buttons inside a field lie over its empty part; a sheet lies over everything.
  const onTop = controls.filter(element => !element.closest('.e-joined'));
  for (const [i, one] of onTop.entries())
    for (const other of onTop.slice(i + 1)) {
      const [a, b] = [one, other].map(element => box(touched(element)));
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 0.5 && down > 0.5 && !one.closest('.e-keys') === !other.closest('.e-keys'))
        faults.push(`${name(one)} lies over ${name(other)}`);
    }
  const pen = document.createElement('canvas').getContext('2d');
  for (const [testid, text] of Object.entries(fields)) {
    const field = root.querySelector(`[data-testid=${testid}]`);
    const style = getComputedStyle(field);
    pen.font = style.font;
    const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (pen.measureText(text).width > room) faults.push(`${testid} is too narrow for ${text}`);
  }
  for (const element of all.filter(element => element.matches(TEXTS)))
    if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth)
      faults.push(`${name(element)} is cut off: ${element.textContent}`);
  return faults;
}"""
# On so small a screen JupyterLab's sidebars would leave the notebook no room.
HIDE_SIDEBARS = """async () => {
  const { commands, shell } = window.jupyterapp;
  if (!shell.leftCollapsed) await commands.execute('application:toggle-left-area');
  for (const side of ['left', 'right']) await commands.execute('application:toggle-side-tabbar', { side });
}"""
SHEETS = {"help": "keys-close", "python": "program-close", "sweep": "sheet-close", "film-make": "film-close"}
FIELDS = {"seed": "12345678", "steps": "100", "n-factors": "16"}


def faults(view: PaintView, least: float) -> list[str]:
    found: list[str] = view.root.evaluate(FAULTS, [least, FIELDS])
    return found


def check_every_part(view: PaintView, least: float) -> None:
    """Open what can be opened, one after the other, and look for faults."""
    view.pick(0)
    view.use("paint", size=3)
    view.part("area-floor").click()
    view.settle()
    view.part("compare-split").click()
    view.part("seeds").click()
    view.part("more-0").click()
    expect(view.part("drawer")).to_be_visible()
    view.part("search-palette").fill("lantern")
    expect(view.part("found-10")).to_be_visible()
    assert faults(view, least) == []
    for tool in ("erase", "move", "gain", "fill"):
        view.use(tool)
        assert faults(view, least) == [], tool
    # A film needs a step with a name.
    view.part("step-0").click()
    view.settle()
    view.part("keep").fill("first")
    view.part("keep").press("Enter")
    view.part("step-1").click()
    expect(view.part("film-make")).to_be_enabled()
    for opens, closes in SHEETS.items():
        view.part(opens).click()
        expect(view.part(closes)).to_be_visible()
        assert faults(view, least) == [], opens
        view.part(closes).click()
    view.part("side-by-side").click()
    assert faults(view, least) == []
    view.part("side-by-side").click()
    view.part("search-palette").fill("")
    # A drawer that is open is open again when the cells are run again.
    view.part("more-0").click()


@pytest.fixture(params=["light", "dark"])
def phone(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[PaintView, str]]:
    """A widget in a page of 390 px that is touched; and the theme."""
    theme: str = request.param
    options: dict[str, Any] = {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
    }
    with (
        LabServer(tmp_path_factory.mktemp("phone"), dark=theme == "dark") as server,
        browser.new_context(**options) as context,
    ):
        name = server.write_notebook("phone.ipynb", FAKE_CELLS)
        notebook = Notebook(context.new_page(), server.address(name))
        notebook.page.evaluate(HIDE_SIDEBARS)
        notebook.run_all()
        view = PaintView(notebook)
        view.settle()
        yield view, theme


def shoot(view: PaintView, path: Path) -> None:
    """A picture of the whole widget, in a window so high that nothing scrolls: scrolling would end touch."""
    size = view.page.viewport_size
    assert size is not None
    view.page.set_viewport_size({"width": size["width"], "height": 3000})
    view.settle()
    view.root.screenshot(path=path)
    view.page.set_viewport_size({"width": size["width"], "height": size["height"]})


def test_on_a_phone_fingers_hit_every_control(phone: tuple[PaintView, str], screenshots: Path) -> None:
    view, theme = phone
    assert view.page.evaluate("matchMedia('(pointer: coarse)').matches")
    assert view.root.evaluate("root => root.clientWidth") > 320
    hint = view.root.locator(".e-hint")
    expect(hint).to_contain_text("Drag to paint.")
    assert "Shift" not in hint.inner_text()  # there is no such key
    from_top = ["undo", "tool-paint", "factor-0", "brush-size", "compare-now"]
    found = tops(view, from_top)
    assert found == sorted(found)
    check_every_part(view, FINGER_PIXELS)
    shoot(view, screenshots / f"phone-{theme}.png")


@pytest.mark.parametrize("width", [260, 390])
def test_in_a_narrow_cell_nothing_sticks_out_and_all_can_be_read(
    view: PaintView, width: int, screenshots: Path
) -> None:
    view.root.evaluate("(root, width) => { root.style.width = `${width}px`; }", width)
    check_every_part(view, 0)
    shoot(view, screenshots / f"narrow-{width}.png")


def tops(view: PaintView, parts: Sequence[str]) -> list[float]:
    """How far below the top of the widget the tops of parts are, in pixels."""
    top = "part => part.getBoundingClientRect().top"
    return [view.part(part).evaluate(top) - view.root.evaluate(top) for part in parts]


@pytest.mark.parametrize("width", [390, 600, 900])
def test_a_note_in_the_form_moves_nothing(view: PaintView, width: int) -> None:
    view.root.evaluate("(root, width) => { root.style.width = `${width}px`; }", width)
    parts = ("style", "seed", "draw", "picture")
    before = tops(view, parts)
    wrong = {"prompt": "a" * 10_001, "style": "a" * 10_001, "seed": "x", "steps": "9", "n-factors": "99"}
    for field, text in wrong.items():
        view.part(field).fill(text)
        note = view.part(f"{field}-note")
        expect(note).to_be_visible()
        assert tops(view, parts) == before, field
        covered = note.evaluate(
            """note => [...document.querySelectorAll('.e-form input')].filter(field => {
                const [a, b] = [note, field].map(element => element.getBoundingClientRect());
                const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                return across > 0.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
            }).map(field => field.dataset.testid)"""
        )
        assert covered == [], field
        view.part(field).press("Escape")
        expect(note).to_be_empty()
