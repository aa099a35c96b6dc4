"""The command line: what it prints, what it writes, and one line where the user must put something right."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from ember_widgets import Scene, __version__
from ember_widgets.cli import demo, info, main
from ember_widgets.cli.errors import UserError
from ember_widgets.embedded import fingerprint
from tests.lab.fake_painter import FakePainter

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs the command line, which must fail as for a user's mistake; returns its one line."""

    def run(*arguments: str) -> str:
        assert main.main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err.strip()

    return run


@pytest.fixture
def scene_path(tmp_path: Path) -> Path:
    path = tmp_path / "scene.json"
    FakePainter().analyze("a lion", seed=3).save(path)
    return path


@pytest.fixture
def fake_painter(monkeypatch: pytest.MonkeyPatch) -> FakePainter:
    """Stands where the painter with the model would be imported from."""
    painter = FakePainter(delay_ms=0)

    class Painter:
        @staticmethod
        def embedded() -> FakePainter:
            return painter

    module = ModuleType("ember_widgets.painter.painter")
    module.Painter = Painter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ember_widgets.painter.painter", module)
    return painter


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Says how much the embedded model's pictures differ from the released ones; nothing is drawn."""
    return lambda found: monkeypatch.setattr(fingerprint, "difference", lambda: found)


def test_info_tells_versions_threads_and_the_model(
    drawn: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(1)
    assert main.main(["info"]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith(f"ember_widgets {__version__} in ")
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in printed
    for library in ("torch ", "diffusers ", "anywidget ", "CPU: ", "Embedded model: "):
        assert library in printed


def test_info_tells_the_model_cards_first_paragraph(
    monkeypatch: pytest.MonkeyPatch,
    drawn: Callable[[int], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    drawn(1)
    card = tmp_path / "MODEL_CARD.md"
    card.write_text("---\nlicense: mit\n---\n# Meadow\n\nDraws meadows.\nAnd trees.\n\n## Data\n\nMany.\n")
    monkeypatch.setattr(info, "MODEL_CARD", card)

    main.main(["info"])

    printed = capsys.readouterr().out
    assert f" MB in {tmp_path}\n  Draws meadows.\n  And trees.\n" in printed
    assert printed.endswith("\n  pictures: as released (values differ by at most 1 of 255)\n")


def test_info_fails_if_the_pictures_are_others(
    drawn: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(40)

    assert main.main(["info"]) == 2

    assert capsys.readouterr().err == (
        "ember-widgets: the embedded model's pictures are not as released: values differ by up to 40 of 255; "
        "run `pip install --force-reinstall ember-widgets`; if that does not help, report all of this "
        "output\n"
    )


def test_info_without_a_model_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(info, "MODEL_CARD", tmp_path / "MODEL_CARD.md")

    assert main.main(["info"]) == 0
    assert capsys.readouterr().out.endswith("Embedded model: missing; reinstall ember-widgets\n")


def test_render_writes_the_picture_of_a_saved_scene(scene_path: Path, fake_painter: FakePainter) -> None:
    output = scene_path.with_name("out.png")

    assert main.main(["render", str(scene_path), "-o", str(output)]) == 0

    with Image.open(output) as written:
        assert written.tobytes() == fake_painter.render(Scene.load(scene_path)).tobytes()


def test_render_of_a_missing_scene(fails: Fails, tmp_path: Path) -> None:
    missing = tmp_path / "no.json"

    assert fails("render", str(missing), "-o", str(tmp_path / "out.png")) == (
        f"ember-widgets: cannot load {missing}: there is no such file"
    )


def test_render_of_a_file_that_is_no_scene(fails: Fails, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.json"
    foreign.write_text("{}")

    assert fails("render", str(foreign), "-o", str(tmp_path / "out.png")) == (
        f'ember-widgets: cannot load {foreign}: it is not a scene (no "format": "ember-scene" in it); '
        "give a file written by scene.save"
    )


def test_render_to_an_unknown_format(fails: Fails, scene_path: Path) -> None:
    assert fails("render", str(scene_path), "-o", "out.txt") == (
        "ember-widgets: cannot tell the picture format from 'out.txt'; end it in .png, .jpg or .webp"
    )


def test_render_to_a_missing_folder(fails: Fails, scene_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"

    assert fails("render", str(scene_path), "-o", str(folder / "out.png")) == (
        f"ember-widgets: folder {folder} does not exist; create it first"
    )


def test_render_of_a_scene_that_the_model_refuses(
    fails: Fails, scene_path: Path, fake_painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(scene: Scene) -> Image.Image:
        raise ValueError("the scene was made with another SAE; load that one")

    monkeypatch.setattr(fake_painter, "render", refuse)

    assert fails("render", str(scene_path), "-o", str(scene_path.with_name("out.png"))) == (
        "ember-widgets: the scene was made with another SAE; load that one"
    )


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main.main([])

    assert exit_.value.code == 2
    assert "demo | download | render | info" in capsys.readouterr().err


def test_demo_without_jupyterlab_names_the_extra(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)

    assert fails("demo") == (
        "ember-widgets: JupyterLab is not installed; run: pip install 'ember-widgets[lab]'"
    )


def test_demo_copies_the_packaged_notebooks_and_keeps_what_the_user_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packaged = tmp_path / "package" / "notebooks"
    packaged.mkdir(parents=True)
    (packaged / "01_paint.ipynb").write_text("new")
    (packaged / "02_more.ipynb").write_text("new")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "01_paint.ipynb").write_text("changed by the user")
    monkeypatch.setattr(demo, "PACKAGE", packaged.parent)

    assert demo.copy_notebooks(folder) == folder

    assert (folder / "01_paint.ipynb").read_text() == "changed by the user"
    assert (folder / "02_more.ipynb").read_text() == "new"


def test_demo_from_a_package_without_notebooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "PACKAGE", tmp_path)

    with pytest.raises(UserError, match="the notebooks are missing from .*; reinstall ember-widgets"):
        demo.copy_notebooks(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_demo_into_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packaged = tmp_path / "notebooks"
    packaged.mkdir()
    (packaged / "01_paint.ipynb").write_text("new")
    monkeypatch.setattr(demo, "PACKAGE", tmp_path)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")

    with pytest.raises(UserError, match="cannot write the notebooks to .*; give --folder"):
        demo.copy_notebooks(in_the_way)
