"""The folder of a page: whole or not at all, and never in the place of something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from ember_widgets.cli.main import main
from ember_widgets.page import export, folder
from ember_widgets.painter.painter import Painter
from ember_widgets.scene.scene import Scene
from tests.lab.fake_painter import FakePainter


class Model:
    def check(self, scene: Scene) -> None:
        pass


class Stub(Painter):
    """Draws a grey picture; a page's graphs are not exported."""

    def __init__(self) -> None:
        self.model = cast(Any, Model())

    def render(self, scene: Scene, **_: object) -> Image.Image:
        return Image.new("RGB", (8, 8), "grey")


@pytest.fixture
def scene() -> Scene:
    return FakePainter().analyze('a <b>cat</b> & "dog"', seed=1)


@pytest.fixture(autouse=True)
def no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    def stand_in(painter: Painter, place: Path) -> dict[str, int]:
        facts = {"format": export.FORMAT, "files": {"suffix.onnx": {"file": "suffix.onnx.gz"}}}
        (place / "suffix.onnx.gz").write_bytes(b"a graph")
        (place / export.MANIFEST).write_text(json.dumps(facts))
        return {}

    monkeypatch.setattr(export, "export_model", stand_in)
    monkeypatch.setattr(export, "check", lambda painter: None)
    monkeypatch.setattr(folder, "in_float32", lambda painter: painter)


def test_it_holds_the_widget_the_scene_and_one_version(scene: Scene, tmp_path: Path) -> None:
    page = folder.write_page(Stub(), scene, tmp_path / "site")
    assert page.folder == tmp_path / "site"
    names = {file.name for file in page.folder.iterdir()}
    assert names == set(page.sizes)
    assert {"index.html", "page.js", "worker.js", "service_worker.js", "paint.js", "panels.js"} <= names
    assert Scene.load(page.folder / "scene.png") == scene
    html = (page.folder / "index.html").read_text()
    assert html.count(f"?v={page.version}") == 4
    assert "{{" not in html
    assert "<title>a &lt;b&gt;cat&lt;/b&gt; &amp; &quot;dog&quot;</title>" in html
    assert [file.name for file in tmp_path.iterdir()] == ["site"]


def test_a_prompt_stands_as_it_is(scene: Scene, tmp_path: Path) -> None:
    folder.write_page(Stub(), scene.replace(prompt="a {{alt}} & {{version}} \\1"), tmp_path / "site")
    html = (tmp_path / "site" / "index.html").read_text()
    assert "<title>a {{alt}} &amp; {{version}} \\1</title>" in html
    assert 'alt="A picture of a {{alt}} &amp; {{version}} \\1"' in html


def test_a_link_leads_to_the_new_page(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "site"
    link.symlink_to("real")
    for one in (scene, scene.scale(0, 2.0)):
        assert folder.write_page(Stub(), one, link).folder == tmp_path / "real"
        assert link.is_symlink()
        assert Scene.load(tmp_path / "real" / "scene.png") == one
    assert {path.name for path in tmp_path.iterdir()} == {"real", "site"}


def test_another_scene_is_another_version(scene: Scene, tmp_path: Path) -> None:
    first = folder.write_page(Stub(), scene, tmp_path / "site").version
    assert folder.write_page(Stub(), scene, tmp_path / "site").version == first
    assert folder.write_page(Stub(), scene.scale(0, 2.0), tmp_path / "site").version != first


def test_a_visitor_fetches_one_of_the_runtimes(scene: Scene, tmp_path: Path) -> None:
    page = folder.write_page(Stub(), scene, tmp_path / "site")
    runtimes = {name: size for name, size in page.sizes.items() if name.endswith(".wasm.gz")}
    assert page.fetched(webgpu=False) < page.n_bytes - runtimes["webgpu.wasm.gz"] + 1
    assert page.fetched(webgpu=True) < page.n_bytes - runtimes["wasm.wasm.gz"] + 1


def test_a_page_that_fails_leaves_the_old_one(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site"
    folder.write_page(Stub(), scene, place)
    before = {file.name: file.read_bytes() for file in place.iterdir()}

    def fails(painter: Painter, place: Path) -> dict[str, int]:
        raise OSError("no space left")

    monkeypatch.setattr(export, "export_model", fails)
    with pytest.raises(OSError, match="no space left"):
        folder.write_page(Stub(), scene.scale(0, 2.0), place)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["site"]


def test_something_else_is_left_as_it_is(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds something else than a page, and is left as it is"):
        folder.write_page(Stub(), scene, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    with pytest.raises(FileExistsError, match="is a file; name a folder"):
        folder.write_page(Stub(), scene, tmp_path / "thesis.txt")


def test_a_site_with_a_manifest_of_its_own_is_left_as_it_is(scene: Scene, tmp_path: Path) -> None:
    """Every installable web page has a manifest.json."""
    (tmp_path / export.MANIFEST).write_text('{"name": "My shop", "display": "standalone"}')
    (tmp_path / "orders.html").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is left as it is \(manifest.json, orders"):
        folder.write_page(Stub(), scene, tmp_path)
    assert (tmp_path / "orders.html").read_text() == "mine"


def test_what_was_put_beside_a_page_is_left_as_it_is(scene: Scene, tmp_path: Path) -> None:
    place = tmp_path / "site"
    folder.write_page(Stub(), scene, place)
    (place / "CNAME").write_text("paint.example.org")
    with pytest.raises(FileExistsError, match=r"is left as it is \(CNAME\)"):
        folder.write_page(Stub(), scene.scale(0, 2.0), place)
    assert (place / "CNAME").read_text() == "paint.example.org"
    (place / "CNAME").unlink()
    folder.write_page(Stub(), scene.scale(0, 2.0), place)


class TestTheCommand:
    def test_refuses_a_folder_before_it_loads_anything(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        assert main(["page", "--out", str(tmp_path)]) == 2
        assert "holds something else than a page" in capsys.readouterr().err

    def test_refuses_a_scene_and_a_prompt(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["page", "--out", str(tmp_path / "new"), "--scene", "a.png", "--seed", "3"]) == 2
        assert "so --seed has no effect" in capsys.readouterr().err

    def test_names_a_file_that_is_no_scene(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        picture = tmp_path / "a.png"
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
        assert main(["page", "--out", str(tmp_path / "new"), "--scene", str(picture)]) == 2
        said = capsys.readouterr().err
        assert str(picture) in said
        assert "without a scene in it" in said
        assert not (tmp_path / "new").exists()


def test_a_painter_whose_model_is_elsewhere_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a page carries its model, and a FakePainter has none here"):
        in_float32(FakePainter())


in_float32 = folder.in_float32
"""As it is, and not as `no_graphs` leaves it."""
