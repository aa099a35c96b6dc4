"""Variations, borrowing, style, files and parts of the widget, by hand in the browser."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.lab.notebook import Notebook
from tests.lab.view import PaintView


def fill(view: PaintView, name: str, text: str) -> None:
    view.part(name).fill(text)
    view.part(name).press("Enter")
    view.settle()


def test_the_number_of_factors_changes_live(view: PaintView) -> None:
    view.pick(2)
    view.use("paint", size=1)
    view.drag([(1, 1)])
    view.settle()
    fill(view, "n-factors", "7")
    expect(view.part("factor-6")).to_be_visible()
    assert view.notebook.ask("widget.scene == painter.refit(before.paint(2, [(1, 1)]), 7)")
    assert view.part("seed").input_value() == "3"
    view.part("undo").click()
    expect(view.part("factor-5")).to_have_count(0)
    assert view.notebook.ask("widget.scene == before.paint(2, [(1, 1)])")


def test_enter_in_a_field_draws_what_it_says_on_the_same_seed(view: PaintView) -> None:
    fill(view, "steps", "2")
    assert view.notebook.ask("(widget.scene.n_steps, widget.scene.seed)") == [2, 3]
    fill(view, "steps", "2")
    assert view.notebook.ask("(widget.scene.n_steps, widget.scene.seed)") == [2, 4]


def test_a_number_typed_beside_another_prompt_waits_for_draw(view: PaintView) -> None:
    view.part("prompt").fill("a lake")
    fill(view, "n-factors", "3")
    assert view.notebook.ask("widget.scene == before")
    view.part("draw").click()
    expect(view.part("factor-3")).to_have_count(0)
    view.settle()
    assert view.notebook.ask("widget.scene == painter.analyze('a lake', seed=3, n_factors=3)")


def test_a_style_redraws_the_same_painting(view: PaintView) -> None:
    before = view.picture()
    fill(view, "style", "in sepia")
    assert view.notebook.ask("widget.scene == before.restyle('in sepia')")
    assert view.part("seed").input_value() == "3"
    assert view.patch_changes(before).max() > 0


def test_factors_of_a_prompt_are_borrowed(view: PaintView) -> None:
    view.part("search-palette").fill("a pyramid at sunset")
    view.part("fetch").click()
    expect(view.part("source")).to_have_text("From a pyramid at sunset")
    expect(view.root.get_by_role("region", name="Factors to borrow")).to_contain_text("lion")
    view.part("borrow-lion").click()
    expect(view.part("factor-5")).to_have_attribute("aria-pressed", "true")
    view.settle()
    other = "painter.analyze('a pyramid at sunset', seed=3, n_factors=5)"
    assert view.notebook.ask(f"widget.scene == before.borrow({other}, 'lion')")
    view.part("source-close").click()
    expect(view.part("borrow-lion")).to_have_count(0)


def test_a_factor_of_a_file_is_borrowed(view: PaintView, tmp_path: Path) -> None:
    view.notebook.tell(f"before.rename(1, 'a castle').save({str(tmp_path / 'other.json')!r})")
    with view.page.expect_file_chooser() as chooser:
        view.part("borrow-open").click()
    chooser.value.set_files(tmp_path / "other.json")
    view.part("borrow-a castle").click()
    expect(view.part("factor-5")).to_contain_text("a castle")
    view.settle()
    assert view.notebook.ask("widget.scene == before.borrow(before.rename(1, 'a castle'), 1)")


def test_a_seed_of_the_strip_is_taken_with_the_painting(view: PaintView) -> None:
    view.use("paint", size=1)
    view.drag([(1, 1)])
    view.settle()
    view.part("seeds").click()
    for seed in (4, 5, 6, 7):
        expect(view.part(f"seed-{seed}").locator("img")).to_be_visible()
    view.part("seed-6").click()
    expect(view.part("seed-7").locator("img")).to_be_visible()
    view.settle()
    assert view.notebook.ask("widget.scene == before.paint(0, [(1, 1)]).replace(seed=6)")


def test_a_sweep_is_shown_and_saved(view: PaintView) -> None:
    view.part("more-1").click()
    view.part("sweep").click()
    expect(view.part("sheet")).to_be_visible()
    with view.page.expect_download() as download:
        view.part("sheet-save").click()
    with Image.open(download.value.path()) as sheet:
        assert sheet.format == "PNG"
    view.part("sheet-close").click()
    expect(view.part("sheet")).to_have_count(0)


def test_the_film_is_recorded(view: PaintView) -> None:
    for col in (2, 5):
        view.use("paint", size=2)
        view.drag([(1, col)])
        view.settle()
    with view.page.expect_download() as download:
        view.part("record").click()
    assert download.value.suggested_filename == "a-meadow-3.gif"
    with Image.open(download.value.path()) as film:
        assert getattr(film, "n_frames", 1) == 3


def test_the_picture_is_copied(view: PaintView) -> None:
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.part("copy-picture").click()
    data: list[int] | None = None
    for _ in range(50):
        data = view.page.evaluate(
            """async () => {
              const [item] = await navigator.clipboard.read();
              if (!item?.types.includes('image/png')) return null;
              return [...new Uint8Array(await (await item.getType('image/png')).arrayBuffer())];
            }"""
        )
        if data:
            break
        view.page.wait_for_timeout(100)
    assert data is not None
    with Image.open(io.BytesIO(bytes(data))) as picture:
        assert picture.size == tuple(reversed(view.picture().shape[:2]))


def test_parts_share_the_scene_and_the_picked_factor(fresh_view: PaintView) -> None:
    notebook: Notebook = fresh_view.notebook
    notebook.add_and_run_cell(
        "import ipywidgets\n"
        "picture = ember.Picture(widget)\n"
        "ipywidgets.HBox([picture, ember.FactorSliders(picture)])"
    )
    picture, sliders = PaintView(notebook, 1), PaintView(notebook, 2)
    expect(sliders.part("factor-2")).to_be_visible()
    expect(sliders.part("grid")).to_have_count(0)
    expect(picture.part("factor-2")).to_have_count(0)
    sliders.pick(2)
    expect(fresh_view.part("factor-2")).to_have_attribute("aria-pressed", "true")
    assert notebook.ask("[widget.selected_factor, picture.selected_factor]") == [2, 2]
    picture.drag([(3, 3)])
    picture.settle()
    fresh_view.settle()
    sliders.part("strength-0").fill("0.5")
    sliders.settle()
    assert notebook.ask("picture.scene is widget.scene")
    painted = "widget.scene.remainder[3, 3] == 0 and widget.scene.strengths[3, 3, 2] == 1"
    assert notebook.ask(f"bool({painted})")
    expect(fresh_view.part("strength-0")).to_have_value("0.5")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_saved_page_works_without_kernel_and_network(
    view: PaintView, page: Page, tmp_path: Path, dark: bool, screenshots: Path
) -> None:
    view.use("paint", size=2)
    view.drag([(3, 3)])
    view.settle()
    shown = view.picture()
    view.notebook.tell(f"widget.to_html({str(tmp_path / 'page.html')!r})")
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.goto(f"file://{tmp_path / 'page.html'}")
    saved = PaintView.__new__(PaintView)
    saved.notebook, saved.page, saved.root = view.notebook, page, page.get_by_test_id("ember-paint")
    expect(saved.part("status")).to_have_text("Saved page")
    page.wait_for_timeout(300)
    assert (saved.picture() == shown).all()
    expect(saved.part("factor-4")).to_be_visible()
    expect(saved.part("draw")).not_to_be_visible()
    expect(saved.part("strength-1")).to_be_disabled()
    expect(saved.part("keep")).not_to_be_visible()
    saved.part("compare-split").click()
    saved.drag([(8, 8), (10, 10)])
    saved.part("compare-now").click()
    assert (saved.picture() == shown).all()
    assert not faults
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    page.screenshot(path=screenshots / f"saved-page-{'dark' if dark else 'light'}.png")
    if not dark:  # nobody may look for a kernel, however long the page is open
        page.wait_for_timeout(10_000)
        expect(saved.part("status")).to_have_text("Saved page")
        expect(saved.part("lost")).to_have_count(0)


def test_a_factor_is_compared_with_its_top_feature(view: PaintView) -> None:
    view.part("more-1").click()
    expect(view.part("top-only")).to_be_disabled()
    fill(view, "search-drawer", "lantern at night")
    assert view.notebook.ask("widget.scene == before.set_weight(1, 10, 1.0)")
    painted = view.picture()
    view.part("top-only").click()
    expect(view.part("top-only")).to_have_attribute("aria-pressed", "true")
    expect(view.part("tag")).to_have_text("meadow: only feature #1")
    assert view.patch_changes(painted).max() > 20
    view.part("top-only").click()
    expect(view.part("tag")).to_have_count(0)
    assert view.patch_changes(painted).max() == 0
    assert view.notebook.ask("widget.scene == before.set_weight(1, 10, 1.0)")
    view.part("top-only").focus()
    view.page.keyboard.press("Enter")
    expect(view.part("tag")).to_be_visible()
    view.pick(0)
    view.use("paint", size=1)
    view.drag([(1, 1)])
    expect(view.part("tag")).to_have_count(0)
    expect(view.part("step-2")).to_be_visible()
    expect(view.part("step-3")).to_have_count(0)


def test_where_two_sites_are_steered_each_is_painted_apart(view: PaintView) -> None:
    view.notebook.tell(
        "before = before.replace("
        "sites={'down_blocks.2.attentions.1': 3, 'up_blocks.0.attentions.1': 21}); widget.scene = before"
    )
    expect(view.part("factor-0")).to_contain_text("down.2.1")
    expect(view.part("factor-4")).to_contain_text("up.0.1")
    view.settle()
    for row in (0, 4):  # the name has room of its own, above the site
        label = view.part(f"factor-{row}").locator(".e-label")
        name, site = label.bounding_box(), label.locator("small").bounding_box()
        assert name is not None
        assert site is not None
        assert name["width"] > 40
        assert site["y"] > name["y"] + 8
    view.use("paint", size=2)
    view.pick(4)
    view.drag([(3, 3), (12, 12)])
    view.pick(1)
    view.drag([(3, 12), (12, 3)])
    view.settle()
    assert view.notebook.ask("float(widget.scene.remainder.min())") == 0
    program = view.notebook.ask("widget.to_python()")
    assert program.count("scene.paint(") == 2, "what the page did is what Python does"
    view.part("search-palette").fill("lantern")
    expect(view.part("found-9")).to_contain_text("up.0.1")
    view.part("more-0").click()
    view.part("search-drawer").fill("lantern")
    expect(view.part("found")).to_contain_text("No feature found")


def test_a_stroke_is_previewed_and_says_so(view: PaintView) -> None:
    view.notebook.tell(
        """full = painter.render
painter.render = lambda scene, preview=False, cancelled=None: full(scene)
painter.previews = lambda scene: True
painter.delay_ms = 80"""
    )
    view.use("paint", size=2)
    view.drag([(1, 1)])
    view.settle()
    expect(view.part("tag")).to_have_count(0)
    view.root.evaluate(
        """root => {
          window.tags = new Set();
          const tell = () => window.tags.add(root.querySelector('[data-testid=tag]')?.textContent ?? '');
          new MutationObserver(tell).observe(root, { childList: true, subtree: true });
        }"""
    )
    view.drag([(12, 3), (12, 12)], release=False)
    view.page.wait_for_function("() => window.tags.has('Preview')")
    view.page.mouse.up()
    expect(view.part("tag")).to_have_count(0)
    view.settle()


def test_a_guided_scene_may_have_many_steps(view: PaintView) -> None:
    expect(view.part("steps")).to_have_attribute("max", "4")
    view.notebook.tell("widget.scene = before.replace(guidance=5.0, n_steps=25)")
    expect(view.part("steps")).to_have_attribute("max", "100")
    expect(view.part("steps")).to_have_value("25")
    view.part("steps").fill("300")
    expect(view.part("steps-note")).to_have_text("1 to 100")
    view.part("steps").blur()
    expect(view.part("steps")).to_have_value("25")


def test_sliders_apart_have_no_picture_to_compare(fresh_view: PaintView) -> None:
    fresh_view.notebook.add_and_run_cell("ember.FactorSliders(widget)")
    sliders = PaintView(fresh_view.notebook, 1)
    sliders.part("more-0").click()
    expect(sliders.part("reset")).to_be_visible()
    expect(sliders.part("top-only")).to_have_count(0)
