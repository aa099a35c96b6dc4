"""The command line: what it prints, what it writes, and one line where the user must put something right."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
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


def test_info_tells_the_versions_of_the_extras_and_which_are_missing(
    drawn: Callable[[int], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(1)
    there = {"openvino": "2026.4.1", "jupyter-scatter": "1.0.1"}

    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(metadata, "version", version)
    main.main(["info"])

    lines = capsys.readouterr().out.splitlines()
    for line in ("  openvino        2026.4.1", "  jupyter-scatter 1.0.1", "  ray             not installed"):
        assert line in lines


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


def test_without_a_command_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "open the notebooks in JupyterLab" in printed.err
    assert "draw a saved scene with the embedded model" in printed.err


def test_python_m_runs_it_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ember_widgets", "render", "no_such_file.json", "-o", "a.png"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("ember-widgets: cannot load no_such_file.json")


def test_render_to_a_folder(fails: Fails, scene_path: Path) -> None:
    folder = scene_path.parent

    assert fails("render", str(scene_path), "-o", str(folder)) == (
        f"ember-widgets: {folder} is a folder; name a file in it, such as {folder / 'picture.png'}"
    )


def test_render_of_a_folder(fails: Fails, tmp_path: Path) -> None:
    assert fails("render", str(tmp_path), "-o", str(tmp_path / "out.png")) == (
        f"ember-widgets: cannot load {tmp_path}: it is a folder; give a file written by scene.save()"
    )


def test_render_to_a_format_that_can_only_be_read(fails: Fails, scene_path: Path) -> None:
    assert fails("render", str(scene_path), "-o", "out.psd") == (
        "ember-widgets: cannot tell the picture format from 'out.psd'; end it in .png, .jpg or .webp"
    )


def test_render_to_what_may_not_be_written(
    fails: Fails, scene_path: Path, fake_painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = scene_path.with_name("out.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert fails("render", str(scene_path), "-o", str(output)) == (
        f"ember-widgets: cannot write {output}: Permission denied; choose another folder"
    )
    monkeypatch.undo()


def test_render_to_a_full_disk_tells_the_systems_reason(
    fails: Fails, scene_path: Path, fake_painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    output = scene_path.with_name("out.png")
    output.write_bytes(b"another picture")

    assert fails("render", str(scene_path), "-o", str(output)).startswith(
        f"ember-widgets: cannot write {output}: No space left on device; free some space"
    )
    assert output.read_bytes() == b"another picture"
    assert {path.name for path in output.parent.iterdir()} == {"out.png", scene_path.name}


def test_render_to_a_format_of_other_pictures(
    fails: Fails, scene_path: Path, fake_painter: FakePainter
) -> None:
    output = scene_path.with_name("out.xbm")
    said = fails("render", str(scene_path), "-o", str(output))
    assert said == f"ember-widgets: cannot write {output}: cannot write mode RGB as XBM"
    assert not output.exists()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hub that no connection leads to; returns an empty cache."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "cache"


def test_download_without_a_network_says_what_a_person_can_do(fails: Fails, no_network: Path) -> None:
    said = fails("download", "--yes", "--cache-dir", str(no_network))

    assert said.startswith("ember-widgets: nothing was fetched: http://127.0.0.1:9 cannot be reached.")
    for way in (
        "Check the connection",
        "HTTPS_PROXY",
        f"copy its folder {no_network}",
        "`ember-widgets demo`",
    ):
        assert way in said
    assert "ember-widgets download" not in said  # that is what was run


def test_download_that_is_forbidden_the_network_says_by_what(
    fails: Fails, no_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert fails("download", "--yes", "--cache-dir", str(no_network)) == (
        "ember-widgets: nothing was fetched: HF_HUB_OFFLINE forbids the network; unset it and run this again"
    )


@pytest.mark.parametrize("given", [("--model", "a/b"), ("--site", "up.0.1"), ("--preview-vae", "none")])
def test_download_of_a_text_embedding_refuses_options_of_a_model(
    fails: Fails, no_network: Path, given: tuple[str, str]
) -> None:
    assert fails("download", "--meaning", "--yes", "--cache-dir", str(no_network), *given) == (
        f"ember-widgets: {given[0]} is of a model, but --meaning fetches only a text embedding; leave out "
        "one or the other"
    )


def test_download_into_a_file(fails: Fails, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below"):
        assert fails("download", "--yes", "--cache-dir", str(place)) == (
            f"ember-widgets: cannot keep downloads in {place}: {file} is a file; give another --cache-dir"
        )


def test_download_into_a_folder_that_cannot_be_written(
    fails: Fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    place = tmp_path / "new"
    assert fails("download", "--yes", "--cache-dir", str(place)) == (
        f"ember-widgets: cannot keep downloads in {place}: Permission denied; give another --cache-dir"
    )


@pytest.mark.parametrize("arguments", [["render"], ["render", "no.json"], ["frob"], ["info", "more"]])
def test_a_wrong_call_is_a_short_message(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main.main(arguments)

    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ember-widgets")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_that_knows_ascii_only_gets_every_message(
    encoding: str, scene_path: Path, fake_painter: FakePainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    scene_path.rename(scene_path.with_name("Löwe.json"))
    output = scene_path.with_name("Löwe.png")

    assert main.main(["render", str(scene_path.with_name("Löwe.json")), "-o", str(output)]) == 0
    assert main.main(["render", str(output.with_name("Bär.json")), "-o", str(output)]) == 2
    assert main.main([]) == 2

    name = "L\\xf6we.png" if encoding == "ascii" else "Löwe.png"
    assert out.buffer.getvalue().decode(encoding).endswith(f"{name}: 256 x 256 pixels\n")
    assert "there is no such file" in err.buffer.getvalue().decode(encoding)


def test_output_that_nobody_reads_to_its_end_is_no_error() -> None:
    command = f"{sys.executable} -m ember_widgets.cli.main info | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)

    assert done.stdout.startswith("ember_widgets ")
    assert done.stderr == ""


def test_demo_without_jupyterlab_names_the_extra(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    monkeypatch.delenv("UV", raising=False)

    assert fails("demo") == (
        "ember-widgets: JupyterLab is not installed; run: pip install 'ember-widgets[atlas,lab,labels]'"
    )


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A uv that started this command, without JupyterLab; it writes down how it is called."""
    program = tmp_path / "uv"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$EMBER_WIDGETS_DEMO" "$@" > {tmp_path / "called"}\nexit 3\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("UV", str(program))
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(None))
    return tmp_path / "called"


class Distribution:
    def __init__(self, direct_url: str | None):
        self.direct_url = direct_url

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.direct_url


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for uv is a shell script")
def test_demo_started_by_uvx_starts_again_with_jupyterlab(uv: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main.main(["demo", "--folder", str(tmp_path / "mine"), "--no-browser"]) == 3
    finally:
        signal.signal(signal.SIGTERM, before)

    assert uv.read_text(encoding="utf-8").splitlines() == [
        "1",
        *("tool", "run", "--python", f"{sys.version_info.major}.{sys.version_info.minor}"),
        *("--from", f"ember-widgets[atlas,lab,labels]=={__version__}"),
        *("ember-widgets", "demo", "--folder", str(tmp_path / "mine"), "--no-browser"),
    ]


def test_demo_started_by_uvx_does_so_only_once(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, uv: Path
) -> None:
    monkeypatch.setenv("EMBER_WIDGETS_DEMO", "1")

    assert "JupyterLab is not installed" in fails("demo")
    assert not uv.exists()


@pytest.mark.parametrize(
    ("came_from", "asked_for"),
    [
        (
            '{"archive_info": {}, "url": "file:///tmp/ember_widgets-9-py3-none-any.whl"}',
            "file:///tmp/ember_widgets-9-py3-none-any.whl",
        ),
        (
            '{"vcs_info": {"vcs": "git", "commit_id": "12ab"}, "url": "https://example.org/ember.git"}',
            "git+https://example.org/ember.git@12ab",
        ),
    ],
    ids=["file", "repository"],
)
def test_demo_asks_uv_for_what_was_installed(
    monkeypatch: pytest.MonkeyPatch, came_from: str, asked_for: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(came_from))

    assert demo.requirement() == f"ember-widgets[atlas,lab,labels] @ {asked_for}"


@pytest.fixture
def jupyterlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Has a demo start a script in place of JupyterLab."""

    def stand_in(script: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"#!{sys.executable}\nimport socket, sys, time\n{script}")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    monkeypatch.setattr(demo, "find_spec", lambda name: sys)
    monkeypatch.setattr(demo, "write_settings", lambda folder: folder)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return stand_in


def test_the_demos_address_can_be_opened_when_it_is_printed(
    jupyterlab: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jupyterlab("""
port = next(int(word.split("=")[1]) for word in sys.argv if word.startswith("--ServerApp.port="))
time.sleep(0.3)
with socket.create_server(("127.0.0.1", port)) as server:
    time.sleep(1)
""")
    answers: list[int] = []

    def printed(*texts: str, **_: object) -> None:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/lab/tree/01_paint\.ipynb\?token=", texts[0]):
            with socket.socket() as probe:
                answers.append(probe.connect_ex(("127.0.0.1", int(found[1]))))

    monkeypatch.setattr("builtins.print", printed)
    assert demo.demo(tmp_path, browser=False) == 0
    assert answers == [0]


def test_a_demo_that_does_not_start_prints_no_address(
    jupyterlab: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jupyterlab("sys.exit(3)")
    assert demo.demo(tmp_path, browser=False) == 3
    assert "http" not in capsys.readouterr().out


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

    with pytest.raises(UserError, match="cannot write .*: File exists; give --folder for the notebooks"):
        demo.copy_notebooks(in_the_way)


def test_the_demos_settings_are_the_installations_without_news(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("jupyterlab")
    installed = tmp_path / "lab" / "settings"
    installed.mkdir(parents=True)
    (installed / "overrides.json").write_text("{}")
    monkeypatch.setenv("JUPYTERLAB_DIR", str(tmp_path / "lab"))
    folder = tmp_path / "demo"
    folder.mkdir()

    demo.write_settings(folder)

    assert (folder / "overrides.json").read_text() == "{}"
    (ours,) = (folder / "overrides.d").iterdir()
    assert '"fetchNews": "false"' in ours.read_text()
    assert [path.name for path in installed.rglob("*")] == ["overrides.json"]
