"""The film from one step of the history to another, by mouse and by keyboard, in the browser."""

from __future__ import annotations

import base64
import io

import av
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.lab.view import PaintView


@pytest.fixture
def steps(view: PaintView) -> PaintView:
    """A view with a named step, and another stroke after it."""
    view.use("paint", size=2)
    view.pick(2)
    view.drag([(3, 2)])
    view.settle()
    view.part("keep").fill("the left")
    view.part("keep").press("Enter")
    view.drag([(3, 12)])
    view.settle()
    return view


def test_a_film_from_a_kept_step_is_shown_and_saved_in_every_form(steps: PaintView) -> None:
    view = steps
    view.part("film-make").click()
    expect(view.part("film")).to_be_visible(timeout=60_000)
    address = view.part("film").get_attribute("src") or ""
    with Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/webp;base64,")))) as shown:
        assert getattr(shown, "n_frames", 1) > 10
    for form, kind in (("webp", "WEBP"), ("gif", "GIF")):
        with view.page.expect_download() as download:
            view.part(f"film-{form}").click()
        assert download.value.suggested_filename == f"a-meadow-3-film.{form}"
        with Image.open(download.value.path()) as film:
            assert film.format == kind
    with view.page.expect_download() as download:
        view.part("film-mp4").click()
    with av.open(str(download.value.path())) as container:
        assert container.streams.video[0].frames > 25
    view.part("film-close").click()
    expect(view.part("film")).to_have_count(0)
    assert view.notebook.ask("list(widget.kept)") == ["the left"]


def test_a_film_needs_a_kept_step_and_can_be_stopped(view: PaintView) -> None:
    view.use("paint", size=2)
    view.drag([(3, 2)])
    view.settle()
    film = view.part("film-make")
    expect(film).to_have_attribute(
        "title", "Name a step of this picture first: a film leads from it to another"
    )
    view.part("step-0").click()
    view.settle()
    view.part("keep").fill("before")
    view.part("keep").press("Enter")
    expect(film).to_have_attribute(
        "title", "Choose another step of this picture, then make a film from “before” to it"
    )
    view.part("step-1").click()
    view.settle()
    expect(view.part("film-make")).to_have_attribute("title", "Film from “before” to this step")
    view.part("film-make").click()
    view.part("film-close").click()
    expect(view.part("film-progress")).to_have_count(0)
    view.drag([(3, 12)])  # the painter is free at once
    view.settle()


def test_the_film_has_a_title_and_room_and_escape_closes_it(steps: PaintView) -> None:
    view = steps
    view.part("film-make").click()
    film = view.root.get_by_role("dialog").locator("img")
    expect(film).to_be_visible(timeout=60_000)
    box = film.bounding_box()
    assert box
    assert box["width"] == box["height"] == 480
    expect(view.root.get_by_role("heading", name="Film")).to_be_visible()
    assert view.cut_off() == []
    # In its list, letters choose an option.
    view.part("film-from").focus()
    view.page.keyboard.press("e")
    expect(view.part("tool-paint")).to_have_attribute("aria-pressed", "true")
    view.page.keyboard.press("Escape")
    expect(view.root.get_by_role("dialog")).to_have_count(0)
    expect(view.part("film-make")).to_be_focused()


def test_the_keyboard_alone_makes_and_saves_a_film(steps: PaintView) -> None:
    view = steps
    view.part("film-make").focus()
    view.page.keyboard.press("Enter")
    expect(view.part("film")).to_be_visible(timeout=60_000)
    view.part("film-webp").focus()
    with view.page.expect_download() as download:
        view.page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith("-film.webp")
