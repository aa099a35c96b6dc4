"""What the wheel holds: a file left out of it is missed by users only, never in a checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from ember_widgets import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "ember_widgets"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    # hatchling itself, not pip: its isolated build would download hatchling again.
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


@pytest.mark.parametrize(
    "name",
    [
        "ember_widgets/widgets/static/paint.js",
        "ember_widgets/widgets/static/panels.js",
        "ember_widgets/widgets/static/paint.css",
        "ember_widgets/embedded/assets/MODEL_CARD.md",
        "ember_widgets/widgets/static/inspect.css",
        "ember_widgets/page/static/wasm.wasm.gz",
        "ember_widgets/notebooks/01_paint.ipynb",
        "ember_widgets/notebooks/02_inspect.ipynb",
        "ember_widgets/notebooks/03_factors.ipynb",
    ],
)
def test_the_wheel_holds_what_the_package_reads_at_run_time(wheel: zipfile.Path, name: str) -> None:
    assert (wheel / name).is_file()
    assert (wheel / name).read_bytes()


@pytest.mark.parametrize("folder", ["widgets/static", "page/static", "embedded/assets"])
def test_the_wheel_holds_every_built_and_trained_file(wheel: zipfile.Path, folder: str) -> None:
    files = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / folder).rglob("*") if path.is_file()}

    assert files
    missing = {name for name in files if not (wheel / "ember_widgets" / name).is_file()}
    assert missing == {
        name for name in files if "assets/card/" in name or name.endswith("/judge.safetensors")
    }


def test_the_wheel_says_that_it_has_types(wheel: zipfile.Path) -> None:
    assert (wheel / "ember_widgets" / "py.typed").is_file()  # empty, but type checkers look for it


def test_the_wheel_holds_the_notebooks_and_nothing_else_of_their_folder(wheel: zipfile.Path) -> None:
    names = {path.name for path in (REPOSITORY / "notebooks").glob("*.ipynb")}

    assert names
    assert {path.name for path in (wheel / "ember_widgets" / "notebooks").iterdir()} == names


def test_the_wheel_holds_every_module_and_nothing_else_of_the_repository(wheel: zipfile.Path) -> None:
    modules = {path.relative_to(REPOSITORY).as_posix() for path in PACKAGE.rglob("*.py")}
    names = set(wheel.root.namelist())

    assert modules - names == set()
    assert {name.split("/")[0] for name in names} == {
        "ember_widgets",
        f"ember_widgets-{__version__}.dist-info",
    }
    assert not [name for name in names if "__pycache__" in name or "node_modules" in name]


def test_the_wheel_has_the_command_the_licences_and_the_version(wheel: zipfile.Path) -> None:
    information = wheel / f"ember_widgets-{__version__}.dist-info"

    assert "ember-widgets = ember_widgets.cli.main:main" in (information / "entry_points.txt").read_text()
    assert (information / "licenses" / "LICENSE").is_file()
    assert (information / "licenses" / "NOTICE").is_file()
    for text in (REPOSITORY / "licenses").iterdir():
        assert (information / "licenses" / "licenses" / text.name).is_file()
    assert Parser().parsestr((information / "METADATA").read_text())["Version"] == __version__


def test_the_wheel_is_small_enough_to_ship(wheel: zipfile.Path) -> None:
    total = sum(entry.compress_size for entry in wheel.root.infolist())

    assert total < 32e6, f"the wheel has {total / 1e6:.1f} MB"
