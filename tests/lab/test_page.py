"""The page that paints without Python: what `ember-widgets page` writes, on a plain static server."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

import ember_widgets as ember
from ember_widgets.cli.main import main
from tests.lab.browser import new_context
from tests.lab.page_scenes import scenes
from tests.lab.server import REPOSITORY
from tests.lab.site import StaticServer
from tests.lab.test_access import violations
from tests.lab.test_narrow import FINGER_PIXELS, faults
from tests.lab.view import PaintView

MOST_BYTES = 24_000_000
"""What a visitor may have to fetch."""


@pytest.fixture(scope="module")
def painter() -> ember.Painter:
    return ember.Painter.embedded(dtype="float32")


@pytest.fixture(scope="module")
def scene(painter: ember.Painter) -> ember.Scene:
    return painter.analyze("a cat and a house in a meadow", seed=5)


@pytest.fixture(scope="module")
def site(
    painter: ember.Painter, scene: ember.Scene, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StaticServer]:
    folder = tmp_path_factory.mktemp("page")
    scene.save(folder / "scene.png", painter.render(scene))
    assert main(["page", "--out", str(folder / "site"), "--scene", str(folder / "scene.png")]) == 0
    with StaticServer(folder / "site") as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with new_context(browser) as context:
        yield context


@pytest.fixture
def view(context: BrowserContext, site: StaticServer) -> PaintView:
    return opened(context.new_page(), site)


def opened(page: Page, site: StaticServer) -> PaintView:
    page.goto(site.url)
    view = PaintView(page)
    view.root.wait_for(timeout=60_000)
    expect(view.part("draw")).to_be_visible()
    view.settle()
    return view


def saved(view: PaintView) -> bytes:
    """The file that the page saves: a picture with its scene inside."""
    with view.page.expect_download() as download:
        view.part("save").click()
    return Path(download.value.path()).read_bytes()


def stroke(view: PaintView, factor: int = 0) -> None:
    view.pick(factor)
    view.use("paint", size=3)
    view.drag([(4, 3), (4, 7)])
    view.page.mouse.move(0, 0)
    view.settle()


def test_it_is_fetched_from_its_own_host_alone_and_is_small(
    context: BrowserContext, site: StaticServer
) -> None:
    page = context.new_page()
    urls, n_bytes = [], 0
    context.on("request", lambda request: urls.append(request.url))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    opened(page, site)
    elsewhere = [url for url in urls if not url.startswith((site.url, "blob:", "data:"))]
    assert elsewhere == []
    assert errors == []
    names = {
        url.removeprefix(site.url).partition("?")[0] or "index.html"
        for url in urls
        if url.startswith(site.url)
    }
    n_bytes = sum((site.folder / name).stat().st_size for name in names)
    assert "suffix.onnx.gz" in names
    assert not any(name.startswith("webgpu") for name in names)
    assert n_bytes <= MOST_BYTES


def test_its_first_picture_is_pythons(view: PaintView, painter: ember.Painter, scene: ember.Scene) -> None:
    expect(view.page.locator("#engine")).to_contain_text("WebAssembly")
    expect(view.part("status")).to_contain_text("ms")
    theirs = np.asarray(painter.render(scene), np.int16)
    assert np.abs(view.picture() - theirs).max() <= 1


def test_it_paints_undoes_and_says_how_in_python(view: PaintView, painter: ember.Painter) -> None:
    before = view.picture()
    stroke(view, 1)
    changes = view.patch_changes(before)
    assert changes[4, 4] > 10
    assert changes[13:].max() < 10
    view.part("python").click()
    program = view.part("program").input_value()
    view.part("program-close").click()
    namespace: dict[str, Any] = {"painter": painter}
    exec(program, namespace)
    assert namespace["scene"] == ember.Scene.from_bytes(saved(view))
    view.part("undo").click()
    view.settle()
    assert np.array_equal(view.picture(), before)
    view.part("redo").click()
    view.settle()
    assert view.patch_changes(before)[4, 4] > 10


def test_what_it_saves_python_draws_the_same(view: PaintView, painter: ember.Painter) -> None:
    stroke(view, 1)
    view.use("move")
    view.drag([(4, 5), (7, 9)])
    view.page.mouse.move(0, 0)
    view.settle()
    data = saved(view)
    scene = ember.Scene.from_bytes(data)
    with Image.open(io.BytesIO(data)) as picture:
        theirs = np.asarray(picture.convert("RGB"), np.int16)
    assert np.array_equal(theirs, view.picture())
    ours = np.asarray(painter.render(scene), np.int16)
    assert np.abs(ours - theirs).max() <= 1


def test_it_opens_what_python_saved(
    view: PaintView, painter: ember.Painter, scene: ember.Scene, tmp_path: Path
) -> None:
    painted = scene.paint(0, [(r, c) for r in range(3, 6) for c in range(3, 6)]).move(1, d_row=-2, d_col=1)
    path = tmp_path / "painted.png"
    painted.save(path, painter.render(painted))
    with view.page.expect_file_chooser() as chooser:
        view.part("open").click()
    chooser.value.set_files(path)
    expect(view.part("undo")).to_be_enabled()
    view.settle()
    theirs = np.asarray(painter.render(painted), np.int16)
    assert np.abs(view.picture() - theirs).max() <= 1
    back = ember.Scene.from_bytes(saved(view))
    assert back == painted


def test_twenty_pictures_are_pythons(view: PaintView, painter: ember.Painter, tmp_path: Path) -> None:
    differences = []
    for i, painted in enumerate(scenes(painter)):
        path = tmp_path / f"{i}.json"
        painted.save(path)
        with view.page.expect_file_chooser() as chooser:
            view.part("open").click()
        chooser.value.set_files(path)
        expect(view.part("prompt")).to_have_value(painted.prompt)
        expect(view.part("seed")).to_have_value(str(painted.seed))
        view.settle()
        theirs = np.asarray(painter.render(painted), np.int16)
        differences.append(int(np.abs(view.picture() - theirs).max()))
    assert len(differences) == 20
    assert max(differences) <= 1, differences


def test_another_prompt_gives_pythons_factors(view: PaintView, painter: ember.Painter) -> None:
    view.part("prompt").fill("a dog in the snow")
    view.part("draw").click()
    expect(view.part("n-found").or_(view.part("factor-0"))).to_be_visible()
    expect(view.part("status")).to_contain_text("final", timeout=60_000)
    view.settle()
    found = ember.Scene.from_bytes(saved(view))
    assert found.prompt == "a dog in the snow"
    expected = painter.analyze(found.prompt, seed=found.seed, n_factors=found.n_factors)
    assert found.names == expected.names
    np.testing.assert_allclose(found.strengths, expected.strengths, atol=0.02)


def test_a_reloaded_page_has_what_was_painted(view: PaintView) -> None:
    stroke(view, 1)
    before, scene = view.picture(), ember.Scene.from_bytes(saved(view))
    view.page.wait_for_timeout(1500)
    view.page.reload()
    view.root.wait_for(timeout=60_000)
    view.settle()
    assert np.abs(view.picture() - before).max() <= 1
    assert ember.Scene.from_bytes(saved(view)) == scene
    view.page.on("dialog", lambda dialog: dialog.accept())
    view.page.locator("#again").click()
    expect(view.page.locator("#again")).to_be_hidden()
    view.root.wait_for(timeout=60_000)
    view.settle()
    assert np.abs(view.picture() - before).max() > 10


def test_a_reload_at_once_keeps_sliders_and_tools(view: PaintView) -> None:
    view.pick(1)
    view.use("paint", size=5)
    before = view.picture()
    view.part("strength-1").fill("0")
    expect(view.part("undo")).to_be_enabled()
    view.page.reload()
    view.root.wait_for(timeout=60_000)
    view.settle()
    expect(view.part("strength-1")).to_have_value("0")
    expect(view.part("factor-1")).to_have_attribute("aria-pressed", "true")
    expect(view.part("brush-size")).to_have_value("5")
    assert np.abs(view.picture() - before).max() > 10
    view.part("strength-1").fill("1")
    view.page.mouse.move(0, 0)
    view.settle()
    assert np.array_equal(view.picture(), before)


def test_a_scene_that_an_earlier_page_kept_as_a_file_is_opened(view: PaintView, scene: ember.Scene) -> None:
    kept = scene.rename(0, "kept before")
    view.part("strength-1").fill("0.5")
    expect(view.page.locator("#again")).to_be_visible()
    view.page.evaluate(KEEP, list(kept.to_bytes()))
    view.page.reload()
    view.root.wait_for(timeout=60_000)
    view.settle()
    assert ember.Scene.from_bytes(saved(view)) == kept


KEEP = """file => new Promise(resolve => {
  indexedDB.open("ember_widgets", 1).onsuccess = ({ target: { result: database } }) => {
    const store = database.transaction("scenes", "readwrite").objectStore("scenes");
    store.getAllKeys().onsuccess = ({ target: { result: keys } }) => {
      const [key] = keys.filter(key => !key.endsWith(" tools"));
      store.put(Uint8Array.from(file), key).onsuccess = () => resolve(null);
    };
  };
})"""


def test_other_pages_of_its_site_are_left_alone(view: PaintView, site: StaticServer) -> None:
    other = site.folder / "other"
    other.mkdir(exist_ok=True)
    (other / "index.html").write_text("another project")
    page = view.page.context.new_page()
    page.goto(f"{site.url}other/")
    expect(page.locator("body")).to_have_text("another project")
    for text in ("before", "after"):
        (other / "state.txt").write_text(text)
        fetched = page.evaluate("fetch('state.txt', {cache: 'no-store'}).then(answer => answer.text())")
        assert fetched == text
    page.goto(f"{site.url}index.html")
    PaintView(page).root.wait_for(timeout=60_000)
    kept = page.evaluate(
        "async () => (await (await caches.open((await caches.keys())[0])).keys()).map(({ url }) => url)"
    )
    assert not any("other" in url for url in kept)
    assert any("suffix.onnx.gz" in url for url in kept)


def test_it_opens_without_a_network(browser: Browser, site: StaticServer) -> None:
    with new_context(browser) as context:
        opened(context.new_page(), site)
        site.stop()
        try:
            view = opened(context.new_page(), site)
            before = view.picture()
            stroke(view, 1)
            assert view.patch_changes(before)[4, 4] > 10
        finally:
            site.start()


def test_it_works_where_no_service_worker_can_be(browser: Browser, site: StaticServer) -> None:
    with browser.new_context(service_workers="block") as context:
        view = opened(context.new_page(), site)
        assert view.page.evaluate("crossOriginIsolated") is False
        expect(view.page.locator("#engine")).to_contain_text("1 thread")
        before = view.picture()
        stroke(view, 1)
        assert view.patch_changes(before)[4, 4] > 10


def test_a_missing_file_is_named(browser: Browser, site: StaticServer) -> None:
    with browser.new_context(service_workers="block") as context:
        page = context.new_page()
        page.route("**/suffix.onnx.gz", lambda route: route.fulfill(status=404))
        page.goto(site.url)
        expect(page.get_by_role("alert")).to_contain_text("suffix.onnx.gz", timeout=60_000)
        expect(page.get_by_role("alert")).to_contain_text("404")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_legible_and_fits_a_phone(
    browser: Browser, site: StaticServer, screenshots: Path, theme: Any
) -> None:
    with new_context(browser, dark=theme == "dark") as context:
        view = opened(context.new_page(), site)
        stroke(view, 1)
        view.page.screenshot(path=screenshots / f"page-{theme}.png", full_page=True)
        assert violations(view) == []
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with browser.new_context(**phone, color_scheme=theme) as context:
        view = opened(context.new_page(), site)
        view.page.screenshot(path=screenshots / f"page-{theme}-phone.png", full_page=True)
        assert faults(view, FINGER_PIXELS) == []
        assert view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_film_leads_from_a_kept_step_and_all_steps_are_saved(view: PaintView) -> None:
    stroke(view, 1)
    view.part("step-0").click()
    view.settle()
    view.part("keep").fill("first")
    view.part("keep").press("Enter")
    view.part("step-1").click()
    view.settle()
    view.part("film-make").click()
    expect(view.part("film-apng")).to_be_enabled(timeout=60_000)
    for part, n_pictures in (("film-apng", 25), ("record", 2)):
        if part == "record":
            view.part("film-close").click()
        with view.page.expect_download(timeout=60_000) as download:
            view.part(part).click()
        with Image.open(download.value.path()) as film:
            assert (film.format, getattr(film, "n_frames", 1)) == ("PNG", n_pictures)


def test_other_seeds_are_shown_and_taken(view: PaintView, painter: ember.Painter) -> None:
    stroke(view, 1)
    before = ember.Scene.from_bytes(saved(view))
    view.part("seeds").click()
    seed = view.part("seed-6")
    expect(seed.locator("img")).to_be_visible(timeout=60_000)
    seed.click()
    view.settle()
    now, theirs = ember.Scene.from_bytes(saved(view)), painter.reseed(before, 6)
    for name in ("strengths", "remainder", "base_strengths"):
        assert np.allclose(getattr(now, name), getattr(theirs, name), atol=1e-3), name


def test_a_feature_is_found_by_its_label_added_and_painted(view: PaintView) -> None:
    view.part("search-palette").fill("moon")
    view.part("search-palette").press("Enter")
    added = view.root.get_by_role("button", name="moon", exact=True)
    expect(added).to_be_visible()
    view.settle()
    names = ember.Scene.from_bytes(saved(view)).names
    assert names[-1] == "moon"
    before = view.picture()
    stroke(view, len(names) - 1)
    assert view.patch_changes(before)[4, 4] > 5


def test_a_selection_is_copied_and_pasted_beside_itself(view: PaintView) -> None:
    view.use("rect")
    view.drag([(10, 2), (13, 5)])
    before = ember.Scene.from_bytes(saved(view))
    view.part("copy-patches").click()
    expect(view.root).to_contain_text("Copied 16 patches")
    view.part("paste-patches").click()
    expect(view.root).to_contain_text("Pasted 16 patches")
    view.settle()
    after = ember.Scene.from_bytes(saved(view))
    edit = before.copy_patches([(row, col) for row in range(10, 14) for col in range(2, 6)])
    carried = [after.names.index(factor.before.name) for factor in edit.factors if factor.before]
    assert np.array_equal(after.strengths[10:14, 6:10][..., carried], edit.after[10:14, 2:6]), "beside itself"


def test_the_landing_page_of_the_documentation_opens_it(
    context: BrowserContext, site: StaticServer, tmp_path: Path
) -> None:
    out = tmp_path / "docs"
    options = ("--no-run", "--page", str(site.folder), "--out", str(out))
    subprocess.run([sys.executable, str(REPOSITORY / "docs" / "build.py"), *options], check=True, timeout=300)
    with StaticServer(out) as server:
        page = context.new_page()
        page.goto(server.url)
        page.get_by_role("button", name="Paint on this page").click()
        shown = page.frame_locator("iframe.painting-page")
        expect(shown.get_by_test_id("status")).to_contain_text("ms", timeout=60_000)
        expect(page.locator("article img:visible")).to_have_count(0)  # the still picture has gone
        undo = shown.get_by_test_id("undo")
        expect(undo).to_be_disabled()
        shown.get_by_test_id("grid").click()
        expect(undo).to_be_enabled()
        frame = page.locator("iframe.painting-page")
        assert frame.evaluate("f => f.contentDocument.documentElement.scrollHeight <= f.clientHeight + 2")
        page.close()
