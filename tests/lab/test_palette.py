"""The palette in the browser: every change there is the scene's own verb."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.lab.view import PaintView


def open_drawer(view: PaintView, factor: int) -> None:
    view.part(f"more-{factor}").click()
    expect(view.part("drawer")).to_be_visible()


def test_a_factor_gets_another_name_and_colour(view: PaintView) -> None:
    open_drawer(view, 2)
    view.part("name").fill("a big cat")
    view.part("name").press("Enter")
    expect(view.part("factor-2")).to_contain_text("a big cat")
    view.part("color").fill("#123456")
    view.settle()

    assert view.notebook.ask("widget.scene == before.rename(2, 'a big cat').recolor(2, '#123456')")


def test_a_name_that_is_taken_is_refused_in_place_and_does_not_stay(view: PaintView) -> None:
    open_drawer(view, 2)
    name = view.part("name")
    name.fill("sky")
    name.press("Enter")

    expect(view.part("name-note")).to_have_text("Another factor has this name")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.blur()
    expect(name).to_have_value("lion")
    expect(view.part("name-note")).to_be_empty()
    assert view.notebook.ask("widget.scene == before")


def test_a_name_of_two_words_is_not_cut_off(view: PaintView) -> None:
    view.notebook.tell("widget.scene = before.rename(0, 'lion with mouth open')")
    name = view.part("factor-0").locator(".e-label")
    expect(name).to_have_text("lion with mouth open")
    assert name.evaluate("label => label.scrollWidth <= label.clientWidth")


def test_the_focus_ring_of_every_slider_is_all_in_view(view: PaintView) -> None:
    n_pixels = 4  # the ring and its distance
    for factor in (0, 4):
        room = view.part(f"strength-{factor}").evaluate(
            """slider => {
              const inner = slider.getBoundingClientRect();
              const outer = slider.closest('.e-palette').getBoundingClientRect();
              return Math.min(inner.top - outer.top, outer.bottom - inner.bottom);
            }"""
        )
        assert room >= n_pixels, factor


def test_text_of_a_name_is_shown_as_text(view: PaintView) -> None:
    view.notebook.tell("widget.scene = before.rename(0, '<img src=x onerror=alert(1)>')")
    expect(view.part("factor-0")).to_contain_text("<img src=x onerror=alert(1)>")


def test_factors_are_copied_moved_and_deleted(view: PaintView) -> None:
    view.part("strength-2").fill("0.5")
    view.settle()
    open_drawer(view, 2)
    view.part("duplicate").click()
    expect(view.part("factor-5")).to_have_attribute("aria-pressed", "true")
    scene = "before.scale(2, 0.5).duplicate(2)"
    assert view.notebook.ask(f"widget.scene == {scene}")
    view.part("up").click()
    expect(view.part("factor-1")).to_contain_text("lion")
    scene += ".reorder([0, 2, 1, 3, 4, 5])"
    view.settle()
    assert view.notebook.ask(f"widget.scene == {scene}")
    assert view.part("strength-1").input_value() == "0.5"
    view.part("remove").click()
    expect(view.part("factor-5")).to_have_count(0)
    view.settle()
    assert view.notebook.ask(f"widget.scene == {scene}.remove('lion')")

    view.part("undo").click()
    expect(view.part("factor-5")).to_have_count(1)


def test_a_drawer_stays_with_its_factor(view: PaintView) -> None:
    open_drawer(view, 1)
    view.part("down").click()
    expect(view.part("more-2")).to_have_attribute("aria-expanded", "true")
    expect(view.part("name")).to_have_value("meadow")
    view.part("remove").click()
    expect(view.part("factor-4")).to_have_count(0)
    expect(view.part("drawer")).to_have_count(0)


def test_a_weight_changes_what_a_factor_is_made_of(view: PaintView) -> None:
    open_drawer(view, 0)
    view.part("weight-0").fill("0.5")
    view.settle()
    assert view.notebook.ask("widget.scene == before.set_weight(0, 0, 0.5)")

    expect(view.part("part-0")).to_have_attribute("src", re.compile("^data:image/"))
    view.part("search-drawer").fill("7")
    expect(view.part("found-7").locator("img")).to_be_visible()
    view.part("found-7").click()
    expect(view.part("weight-7")).to_have_value("1")
    expect(view.part("part-7")).to_have_attribute("src", re.compile("^data:image/"))
    view.settle()
    assert view.notebook.ask("widget.scene == before.set_weight(0, 0, 0.5).set_weight(0, 7, 1)")

    view.part("remove-0").click()
    expect(view.part("weight-0")).to_have_count(0)
    view.part("reset").click()
    expect(view.part("weight-7")).to_have_count(0)
    view.settle()
    assert view.notebook.ask("widget.scene == before")


def test_a_feature_becomes_a_factor_to_paint_with(view: PaintView) -> None:
    view.part("search-palette").fill("nothing of the kind")
    expect(view.part("found")).to_contain_text("No feature found")
    view.part("search-palette").fill("lantern")
    expect(view.part("found-9")).to_contain_text("a lantern")
    view.part("search-palette").press("Enter")
    expect(view.part("factor-5")).to_have_attribute("aria-pressed", "true")
    expect(view.part("factor-5")).to_contain_text("a lantern")

    view.use("paint", size=1)
    view.drag([(9, 8)])

    assert view.differences_from("before.add_factor({9: 1}, name='a lantern').paint(5, [(9, 8)])") == []
    open_drawer(view, 5)
    expect(view.part("reset")).to_be_disabled()


def test_each_factor_shows_what_it_draws_alone(view: PaintView) -> None:
    for factor in range(5):
        expect(view.part(f"icon-{factor}")).to_be_visible()
    # The fake painter draws a factor in its colour; the first one is #4477aa.
    middle = view.part("icon-0").evaluate(
        """async image => {
          await image.decode();
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const context = canvas.getContext('2d');
          context.drawImage(image, 0, 0);
          return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data];
        }"""
    )
    assert [abs(a - b) < 12 for a, b in zip(middle, (0x44, 0x77, 0xAA), strict=False)] == [True] * 3


def test_solo_and_lock_say_so(view: PaintView) -> None:
    open_drawer(view, 1)
    view.part("solo").click()
    expect(view.part("solo")).to_have_attribute("aria-pressed", "true")
    view.part("lock").click()
    expect(view.part("lock")).to_have_attribute("aria-pressed", "true")
    view.pick(1)
    view.use("paint", size=1)
    view.drag([(9, 8)])
    view.settle()
    assert view.notebook.ask("widget.scene == before")


def highlighted(view: PaintView) -> str:
    """The text of the line that a screen reader announces and that is highlighted."""
    text: str = view.part("search-palette").evaluate(
        """field => {
          const line = document.getElementById(field.getAttribute('aria-activedescendant'));
          return line?.getAttribute('aria-selected') === 'true' ? line.textContent : '';
        }"""
    )
    return text


def test_enter_in_the_search_does_what_the_highlighted_line_says(view: PaintView) -> None:
    field = view.part("search-palette")
    field.fill("lantern")
    expect(view.part("found-10")).to_be_visible()
    assert highlighted(view) == "a lantern #9"
    plain = view.part("found-10").evaluate("line => getComputedStyle(line).backgroundColor")
    field.press("ArrowDown")
    expect(view.part("found-10")).to_have_attribute("aria-selected", "true")
    assert highlighted(view) == "a lantern at night #10"
    assert view.part("found-10").evaluate("line => getComputedStyle(line).backgroundColor") != plain
    field.press("Enter")
    expect(view.part("factor-5")).to_contain_text("a lantern at night")
    view.settle()
    assert view.notebook.ask("widget.scene == before.add_factor({10: 1}, name='a lantern at night')")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    field.fill("lantern")
    field.press("Escape")
    expect(field).to_have_value("")
    expect(view.part("found")).to_have_count(0)


def test_words_that_no_feature_has_are_borrowed_from_a_picture_by_enter(view: PaintView) -> None:
    field = view.part("search-palette")
    field.fill("a castle by night")
    expect(view.part("fetch")).to_have_text("Borrow from a picture of “a castle by night”")
    expect(view.part("fetch")).to_have_attribute("aria-selected", "true")
    assert highlighted(view) == "Borrow from a picture of “a castle by night”"
    field.press("Enter")
    expect(view.part("source")).to_have_text("From a castle by night")
    expect(field).to_be_focused()


def test_a_click_on_a_line_keeps_the_focus_in_the_search(view: PaintView) -> None:
    view.part("search-palette").fill("lantern")
    view.part("found-9").click()
    expect(view.part("factor-5")).to_contain_text("a lantern")
    expect(view.part("search-palette")).to_be_focused()


def test_with_a_factor_that_is_added_one_paints(view: PaintView) -> None:
    brush = view.part("tool-paint")
    view.use("move")
    view.part("search-palette").fill("lantern")
    view.part("found-9").click()
    expect(brush).to_have_attribute("aria-pressed", "true")
    view.use("rect")
    view.part("search-palette").fill("a castle by night")
    view.part("search-palette").press("Enter")
    expect(view.part("source")).to_have_text("From a castle by night")
    expect(brush).to_have_attribute("aria-pressed", "false")
    view.root.locator("[data-testid^=borrow-]:not([data-testid=borrow-open])").first.click()
    expect(brush).to_have_attribute("aria-pressed", "true")
    expect(view.part("factor-6")).to_have_attribute("aria-pressed", "true")


def test_the_line_to_borrow_fits_a_narrow_widget(view: PaintView) -> None:
    view.root.evaluate("root => { root.style.width = '330px'; }")
    view.part("search-palette").fill("a castle by night, a moon above its towers, and a lake before it")
    expect(view.part("fetch")).to_be_visible()
    assert view.cut_off() == []
