"""The way between two steps of the history, as a moving picture."""

from __future__ import annotations

import gc
import io
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ember_widgets.painter.recording import record
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint.film import N_SCENES
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter
from tests.unit.widgets.paint.test_studio import soon

PATCHES = [(3, 4), (3, 5)]


@pytest.fixture
def browser(browser: Browser) -> Browser:
    browser.ask("hello")
    return browser


def made(browser: Browser, step: int, form: str = "webp") -> tuple[dict[str, Any], bytes]:
    """The file that comes for a film."""
    seq = browser.ask("film", step=step, form=form)

    def found() -> tuple[dict[str, Any], bytes] | None:
        files = [(m, b[0]) for m, b in list(browser.heard) if m["type"] == "file" and m["seq"] == seq]
        return files[0] if files else None

    file: tuple[dict[str, Any], bytes] = soon(found)
    return file


def test_a_film_leads_from_a_step_to_the_current_one(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    last = scene.paint(0, PATCHES)
    browser.edit(last)
    widget.wait(SOON_S)
    message, data = made(browser, 0)
    assert message["name"].endswith("-film.webp")
    assert message["mime"] == "image/webp"
    with Image.open(io.BytesIO(data)) as film:
        assert getattr(film, "n_frames", 1) <= N_SCENES  # WebP joins equal pictures
    drawn = [m["n_drawn"] for m in browser.of("film")]
    assert drawn == sorted(drawn)
    assert browser.of("film")[-1] == {**browser.of("film")[-1], "n_drawn": N_SCENES, "n": N_SCENES}


def test_another_form_of_the_same_film_is_not_drawn_again(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.edit(scene.paint(0, PATCHES))
    widget.wait(SOON_S)
    made(browser, 0)
    n = len(painter.rendered)
    message, data = made(browser, 0, "gif")
    assert message["mime"] == "image/gif"
    assert data.startswith(b"GIF")
    assert len(painter.rendered) == n
    browser.ask("stop_film")
    made(browser, 0, "gif")
    assert len(painter.rendered) == n + N_SCENES


def test_pages_that_are_reloaded_leave_no_films_and_a_closed_widget_keeps_none(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    browser.edit(scene.paint(0, PATCHES))
    widget.wait(SOON_S)
    for page in ("first", "second", "third"):
        browser.client = page
        made(browser, 0)
    session = widget._open
    assert session.idle.wait(SOON_S)
    assert list(session.queries._films) == ["third"]
    pictures = [weakref.ref(image) for image in session.queries._films["third"].images]
    assert len(pictures) == N_SCENES
    widget.close()
    gc.collect()
    assert [picture() for picture in pictures] == N_SCENES * [None]


def test_a_film_that_is_stopped_is_not_drawn_on(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene
) -> None:
    browser.edit(scene.paint(0, PATCHES))
    widget.wait(SOON_S)
    n = len(painter.rendered)
    painter.hold()
    browser.ask("film", step=0, form="webp")
    assert painter.entered.wait(SOON_S)
    browser.ask("stop_film")
    painter.gate.set()
    widget.wait(SOON_S)
    assert len(painter.rendered) - n == 1  # the one that was being drawn
    assert not browser.of("file")


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_film_that_is_asked_for_while_another_is_drawn_comes(
    widget: PaintWidget, browser: Browser, painter: FakePainter, scene: Scene, is_stopped: bool
) -> None:
    browser.edit(scene.paint(0, PATCHES))
    widget.wait(SOON_S)
    painter.hold()
    browser.ask("film", step=0, form="webp")
    assert painter.entered.wait(SOON_S)
    if is_stopped:
        browser.ask("stop_film")
    seq = browser.ask("film", step=0, form="gif")
    painter.gate.set()
    soon(lambda: browser.of("file"))
    assert [message["seq"] for message in browser.of("file")] == [seq]


def test_a_film_that_fails_does_not_stop_the_one_that_was_asked_for_meanwhile(
    widget: PaintWidget,
    browser: Browser,
    painter: FakePainter,
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser.edit(scene.paint(0, PATCHES))
    widget.wait(SOON_S)
    render = painter.render
    asked: list[int] = []

    def fails_once(scene: Scene) -> Image.Image:
        if not asked:
            asked.append(browser.ask("film", step=0, form="gif"))
            raise OSError("the disk is full")
        return render(scene)

    monkeypatch.setattr(painter, "render", fails_once)
    browser.ask("film", step=0, form="webp")
    soon(lambda: browser.of("file"))
    assert [message["seq"] for message in browser.of("file")] == asked
    assert browser.of("error")[-1]["message"] == "OSError: the disk is full"


def test_a_step_that_is_another_picture_is_refused(
    widget: PaintWidget, browser: Browser, scene: Scene
) -> None:
    widget.scene = scene.replace(seed=9)
    browser.ask("film", step=0, form="webp")
    assert "they differ in seed (3 and 9)" in browser.of("error")[-1]["message"]
    browser.ask("film", step=77, form="webp")
    assert "step 77 is not in the history any more" in browser.of("error")[-1]["message"]


@pytest.mark.parametrize("other", [{"seed": 9}, {"prompt": "a cat"}, {"n_steps": 2}])
def test_films_are_offered_from_named_steps_of_the_same_picture(
    widget: PaintWidget, browser: Browser, scene: Scene, other: dict[str, Any]
) -> None:
    widget.keep("as drawn")
    assert browser.state()["film_from"] == []
    browser.edit(scene.paint(0, PATCHES))
    browser.edit(scene.paint(1, PATCHES))
    assert browser.state()["film_from"] == [0]
    widget.scene = scene.replace(**other)
    assert browser.state()["film_from"] == []
    browser.ask("go", step=1)
    assert browser.state()["film_from"] == [0]


def test_mp4_without_pyav_is_refused_before_anything_is_drawn(
    browser: Browser, painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    n = len(painter.rendered)
    browser.ask("film", step=0, form="mp4")
    assert "pip install 'ember-widgets[video]'" in browser.of("error")[-1]["message"]
    assert len(painter.rendered) == n


@pytest.mark.parametrize("name", ["way.gif", "way.webp", "way.mp4"])
def test_python_records_any_scenes(painter: FakePainter, scene: Scene, name: str, tmp_path: Path) -> None:
    way = scene.tween(scene.paint(0, PATCHES), 4)
    record(painter, way, tmp_path / name, ms=40, progress=False)
    assert (tmp_path / name).stat().st_size > 100
    assert len(painter.rendered) == 4


def test_wrong_recordings_are_refused(painter: FakePainter, scene: Scene, tmp_path: Path) -> None:
    for arguments, said in (
        ({"path": tmp_path / "film.avi"}, "is not a .gif, .webp or .mp4 file"),
        ({"path": tmp_path / "film.gif", "ms": 3}, "ms=3"),
        ({"path": tmp_path / "film.gif", "scenes": []}, "scenes holds no scene"),
    ):
        with pytest.raises(ValueError, match=said):
            record(painter, **{"scenes": [scene], **arguments})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="scenes=.* is not a list; give scenes"):
        record(painter, scene, tmp_path / "film.gif")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="the folder .* does not exist; make it first"):
        record(painter, [scene], tmp_path / "missing" / "film.gif")
    assert not list(tmp_path.iterdir())
    assert not painter.rendered
