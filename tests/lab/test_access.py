"""For everyone: screen readers, pens and fingers, small screens and large ones, eyes that motion hurts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.lab.view import PaintView

EMPTY_ROW = 9

# What axe finds in the widget; the rest of the page is JupyterLab's.
AXE = """async ([script, root]) => {
  if (!window.axe) (0, eval)(script);
  const found = await window.axe.run(root, { resultTypes: ['violations'] });
  return found.violations.map(({ id, impact, nodes }) =>
    [id, impact, nodes.map(node => node.html.slice(0, 200)).slice(0, 3)]);
}"""

POINTER = """(grid, [pointerType, kind, x, y, pressure]) => {
  const at = { clientX: x, clientY: y, pressure };
  const init = { ...at, pointerType, pointerId: 77, isPrimary: true, bubbles: true };
  grid.setPointerCapture = () => {};
  grid.dispatchEvent(new PointerEvent(kind, { ...init, button: 0, buttons: kind === 'pointerup' ? 0 : 1 }));
}"""


def violations(view: PaintView) -> list[Any]:
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    found: list[Any] = view.page.evaluate(AXE, [script, view.root.element_handle()])
    return [violation for violation in found if violation[1] in ("serious", "critical")]


def test_axe_finds_nothing_serious(view: PaintView) -> None:
    view.pick(0)
    view.use("paint", size=2)
    view.drag([(EMPTY_ROW, 5)])
    view.settle()
    assert violations(view) == []
    view.part("more-0").click()
    view.part("search-palette").fill("lantern")
    expect(view.part("found-9")).to_be_visible()
    view.part("compare-split").click()
    assert violations(view) == []
    view.part("help").click()
    assert violations(view) == []
    view.part("keys-close").click()
    view.part("python").click()
    expect(view.part("program")).to_be_visible()
    assert violations(view) == []


def test_every_control_can_be_reached_by_tab_and_shows_that_it_has_the_focus(view: PaintView) -> None:
    view.part("prompt").focus()
    reached, unseen = set(), []
    for _ in range(150):
        view.page.keyboard.press("Tab")
        name, outline, shadow = view.page.evaluate(
            """() => {
              const at = document.activeElement, style = getComputedStyle(at);
              return [at.dataset.testid ?? '', style.outlineStyle, style.boxShadow];
            }"""
        )
        if name:
            reached.add(name)
            if outline == "none" and shadow == "none":
                unseen.append(name)
    controls = view.root.evaluate(
        """root => [...root.querySelectorAll('button, input, canvas[tabindex]')]
          .filter(control => !control.disabled && control.checkVisibility())
          .map(control => control.dataset.testid)"""
    )
    assert unseen == []
    assert set(controls) - reached - {"prompt"} == set()


@pytest.mark.parametrize(("pointer", "painted"), [("pen", [0.5, 0.25, 0]), ("touch", [1, 1, 0])])
def test_a_pen_paints_as_strongly_as_it_presses_and_a_finger_fully(
    view: PaintView, pointer: str, painted: list[float]
) -> None:
    view.pick(0)
    view.use("paint", size=1)
    view.part("grid").scroll_into_view_if_needed()
    for kind, col, pressure in (("pointerdown", 5, 0.5), ("pointermove", 6, 0.25), ("pointerup", 6, 0)):
        x, y = view.point((EMPTY_ROW, col))
        view.part("grid").evaluate(POINTER, [pointer, kind, x, y, pressure])
    view.settle()

    assert view.notebook.ask(f"widget.scene.strengths[{EMPTY_ROW}, 5:8, 0].tolist()") == painted


def test_at_360_pixels_nothing_is_cut_off(view: PaintView, screenshots: Path) -> None:
    view.root.evaluate("root => { root.style.width = '360px'; }")
    view.part("more-0").click()
    view.settle()
    view.root.screenshot(path=screenshots / "lab-360.png")

    assert view.cut_off() == []
    assert view.root.evaluate("root => root.scrollWidth - root.clientWidth") == 0


@pytest.mark.parametrize("pixels", [256, 768])
def test_the_picture_can_have_any_size(view: PaintView, pixels: int) -> None:
    view.part("zoom").fill(str(pixels))
    box = view.part("grid").bounding_box()
    assert box is not None
    assert abs(box["width"] - pixels) < 1
    assert abs(box["height"] - pixels) < 1
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(EMPTY_ROW, 5), (EMPTY_ROW, 6)])
    assert view.differences_from(f"before.paint(0, [({EMPTY_ROW}, 5), ({EMPTY_ROW}, 6)])") == []


def test_nothing_moves_for_those_who_asked_for_stillness(view: PaintView) -> None:
    view.page.emulate_media(reduced_motion="reduce")
    try:
        durations = view.root.evaluate(
            """root => [...root.querySelectorAll('*')].map(element => getComputedStyle(element))
              .filter(style => style.animationName !== 'none' || style.transitionDuration !== '0s').length"""
        )
        assert durations == 0
    finally:
        view.page.emulate_media(reduced_motion="no-preference")


def test_in_high_contrast_what_is_on_and_what_has_the_focus_can_be_seen(
    view: PaintView, screenshots: Path
) -> None:
    def style(part: str, name: str) -> str:
        value: str = view.part(part).evaluate("(part, name) => getComputedStyle(part)[name]", name)
        return value

    view.pick(0)
    view.use("paint", size=2)
    color = style("icon-0", "borderColor")
    view.page.emulate_media(forced_colors="active")
    try:
        for on, off in (("tool-paint", "tool-erase"), ("factor-0", "factor-1"), ("mode-over", "mode-add")):
            assert style(on, "backgroundColor") != style(off, "backgroundColor"), on
        assert style("icon-0", "borderColor") == color
        # The system paints the slider's own colours over, and these are its only ones.
        assert style("brush-size", "forcedColorAdjust") == "none"
        view.part("prompt").focus()
        assert style("prompt", "outlineStyle") == "solid"
        view.root.screenshot(path=screenshots / "lab-contrast.png")
    finally:
        view.page.emulate_media(forced_colors="none")


def test_in_a_page_that_runs_from_right_to_left_sliders_fit_what_they_show(view: PaintView) -> None:
    view.page.evaluate("document.documentElement.dir = 'rtl'")
    try:
        view.part("compare-split").click()
        assert view.part("split").evaluate("part => getComputedStyle(part).direction") == "ltr"
        view.part("prompt").fill("أسد في مرج")
        assert view.part("prompt").evaluate("part => getComputedStyle(part).direction") == "rtl"
    finally:
        view.page.evaluate("document.documentElement.dir = ''")


def test_the_picture_keeps_its_size_whatever_the_pointer_is_over(view: PaintView) -> None:
    def width() -> float:
        box = view.part("grid").bounding_box()
        assert box is not None
        return box["width"]

    view.use("paint", size=2)
    view.page.mouse.move(0, 0)
    sizes = {width()}
    for patch in ((2, 2), (12, 3), (15, 15), (4, 9)):
        view.page.mouse.move(*view.point(patch))
        view.page.wait_for_timeout(50)
        sizes.add(width())
        assert view.cut_off() == []
    assert len(sizes) == 1


def test_every_icon_is_drawn(view: PaintView) -> None:
    view.part("more-1").click()
    expect(view.part("drawer")).to_be_visible()
    paths = view.root.evaluate("root => [...root.querySelectorAll('svg path')].map(p => p.getAttribute('d'))")
    assert len(paths) > 30
    assert all(paths)


def test_the_overlay_fades_and_lines_show(view: PaintView) -> None:
    alpha = """grid => grid.getContext('2d').getImageData(0, 0, grid.width, grid.height).data
      .filter((_, i) => i % 4 === 3).reduce((most, value) => Math.max(most, value), 0)"""
    view.pick(4)
    view.part("eye-4").click()  # its outline is gone with its tint, so that only tints are left
    view.page.mouse.move(0, 0)
    view.page.wait_for_timeout(100)
    strong = view.part("grid").evaluate(alpha)
    view.part("overlay-opacity").fill("0.1")
    view.page.wait_for_timeout(100)
    assert 0 < view.part("grid").evaluate(alpha) < strong / 2
    view.part("lines").click()
    view.page.wait_for_timeout(100)
    assert view.part("grid").evaluate(alpha) > 40
