"""Fourteen faults, each in a real JupyterLab with a real kernel.

 1 the page is reloaded             8 a checkpoint was cut off
 2 the kernel is restarted          9 a checkpoint is a pickle that runs code
 3 a render is interrupted         10 the hub is down
 4 a render raises                 11 two views
 5 memory runs out                 12 the widget is closed during a render
 6 the picture is not finite       13 the home is read-only
 7 the disk is full                14 another process writes the same files

Whatever happens: nothing that was painted is lost, the widget says in one message and in plain words what is
wrong, and afterwards painting goes on.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

import ember_widgets as ember
from ember_widgets import Scene
from ember_widgets.features.collection import Collection
from ember_widgets.features.labels import Labels
from tests.lab.browser import new_context
from tests.lab.full_disk import FullDisk, full_disk, read_only
from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView
from tests.pipeline import hub as stand_in

# A test says in `make` which widget the second cell shows.
CELLS = [
    "import ember_widgets as ember\nfrom tests.lab.fake_painter import FakePainter",
    "widget = make()\nwidget",
]
FAKE = """
painter = FakePainter(delay_ms=20)
before = painter.analyze("a meadow", seed=3, n_factors=5)
make = lambda: ember.PaintWidget(painter, before)
"""
# Loaded once for all tests: that takes longer than the tests do.
REAL = """
if "real" not in globals():
    real = ember.Painter.embedded()
painter = real
before = painter.analyze("a meadow", seed=3, n_factors=5)
make = lambda: ember.PaintWidget(painter, before)
"""
STROKE = ".paint(1, [({row}, col) for col in range(6, 10)])"
SOON_MS = 60_000


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: LabServer) -> Iterator[Notebook]:
    name = server.write_notebook("test_faults.ipynb", CELLS)
    with new_context(browser) as context:
        yield Notebook(context.new_page(), server.address(name))
    server.stop_kernel(name)


class Painting:
    """What is painted in the first view of the notebook, and the same as Python.

    Args:
        notebook: its second cell shows the widget.
        make: statements that define `make` and `before`, the scene of the widget.
        least: how much a stroke changes the picture in its patches at least, 0..255.
    """

    def __init__(self, notebook: Notebook, make: str, least: float) -> None:
        self.notebook = notebook
        self.view = PaintView(notebook)
        self.scene = "before"
        self._make = make
        self._least = least

    def show(self) -> None:
        self.notebook.tell("import ember_widgets as ember; from tests.lab.fake_painter import FakePainter")
        self.notebook.tell(self._make)
        self.notebook.run_all()
        self.scene = "before"

    def stroke(self, row: int) -> None:
        """Paint with factor 1 in a row: of the real painter, grass in the sky."""
        self.view.pick(1)
        self.view.use("paint", size=1)
        self.view.drag([(row, 6), (row, 9)])
        self.scene += STROKE.format(row=row)

    def is_whole(self) -> None:
        """Every stroke is there, in the browser and in the kernel."""
        assert self.view.differences_from(self.scene) == []

    def is_drawn(self) -> None:
        """The picture shown is the one that the painter draws of it."""
        self.is_whole()
        expected, limit = self.picture_of(self.scene), time.monotonic() + SOON_MS / 1000
        # On a busy machine the page may not have heard yet that the kernel draws.
        while not np.array_equal(picture := self.view.picture(), expected) and time.monotonic() < limit:
            self.view.settle()
        np.testing.assert_array_equal(picture, expected)

    def picture_of(self, scene: str) -> NDArray[np.uint8]:
        """What the painter draws of a scene now."""
        self.notebook.tell(
            "import base64, io\n_test_file = io.BytesIO()\n"
            f"painter.render({scene}).save(_test_file, 'png', compress_level=1)"
        )
        data = base64.b64decode(self.notebook.ask("base64.b64encode(_test_file.getvalue()).decode()"))
        return np.asarray(Image.open(io.BytesIO(data)))

    def goes_on(self, row: int) -> None:
        """Another stroke is painted and drawn, and nothing complains."""
        self.view.settle()
        picture = self.view.picture()
        self.stroke(row)
        self.is_drawn()
        assert self.view.patch_changes(picture)[row, 6:10].mean() > self._least
        expect(self.view.root.get_by_role("alert")).to_have_count(0)
        self.notebook.check_outputs()

    def message(self, part: str = "error") -> str:
        """The one message of the widget; nothing complains anywhere else."""
        alert = self.view.root.get_by_role("alert")
        expect(alert).to_have_count(1, timeout=SOON_MS)
        expect(alert).to_have_attribute("data-testid", part)
        self.notebook.check_outputs()
        text: str = alert.locator("p").inner_text()
        return text


def is_busy(view: PaintView) -> None:
    """Wait until the kernel draws."""
    expect(view.root).to_have_attribute("data-busy", "true")


@pytest.fixture
def painting(notebook: Notebook) -> Iterator[Painting]:
    """A new widget with a new fake painter; `painter` in the kernel, and `before` its first scene."""
    painting = Painting(notebook, FAKE, least=20)
    painting.show()
    painting.view.settle()
    yield painting
    notebook.keep_cells(len(CELLS))
    notebook.tell("widget.close()")


@pytest.fixture
def real(notebook: Notebook) -> Iterator[Painting]:
    """A new widget with the embedded model."""
    painting = Painting(notebook, REAL, least=3)
    painting.show()
    painting.view.settle()
    yield painting
    # Whatever a failed test left changed must not fail the next one.
    notebook.tell("vars(painter.pipeline.vae).pop('decode', None); widget.close()")


def test_after_a_reload_of_the_page_what_was_painted_is_still_there(painting: Painting) -> None:
    """1. Also what was painted last, whose picture is still being drawn."""
    view = painting.view
    painting.stroke(4)
    painting.is_whole()
    painting.notebook.save()
    view.part("strength-0").fill("0.5")
    painting.scene += ".scale(0, 0.5)"
    painting.is_whole()
    painting.notebook.tell("painter.delay_ms = 1500")
    painting.stroke(5)
    painting.notebook.reload()
    painting.is_drawn()
    assert view.part("strength-0").input_value() == "0.5"
    painting.notebook.tell("painter.delay_ms = 20")
    painting.goes_on(6)


def test_after_a_kernel_restart_the_painting_is_saved_and_opened_again(
    painting: Painting, screenshots: Path, tmp_path: Path
) -> None:
    """2. The scene is in the picture, which the browser has."""
    view = painting.view
    painting.stroke(4)
    painting.is_whole()
    picture = view.picture()
    painted = painting.scene
    painting.notebook.restart_kernel()
    view.part("undo").click()  # whatever is asked of the kernel
    assert painting.message("lost") == (
        "The kernel is gone. Save the painting, re-run the cell, and open the file there."
    )
    assert view.patch_changes(picture).max() == 0
    view.root.screenshot(path=screenshots / "fault-kernel-gone.png")
    with view.page.expect_download() as download:
        view.part("lost-save").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "painting.png"

    painting.show()
    painting.is_whole()
    with view.page.expect_file_chooser() as chooser:
        view.part("open").click()
    chooser.value.set_files(file)
    painting.scene = painted
    expect(view.part("step-1")).to_be_visible()
    painting.is_drawn()
    assert view.patch_changes(picture).max() == 0
    painting.goes_on(5)


def test_an_interrupt_does_not_reach_what_the_widget_draws(painting: Painting) -> None:
    """3. It is meant for the cell that runs: here one that waits for the picture."""
    painting.notebook.tell("painter.delay_ms = 1500")
    painting.stroke(4)
    is_busy(painting.view)
    painting.notebook.begin("widget.wait()")
    painting.view.page.wait_for_timeout(100)
    painting.notebook.interrupt()
    assert painting.notebook.end() == "KeyboardInterrupt"
    painting.is_drawn()
    painting.notebook.tell("painter.delay_ms = 20")
    painting.goes_on(5)


def test_a_render_that_is_interrupted_in_a_cell_leaves_the_painter_whole(real: Painting) -> None:
    """3. The real model, interrupted at other places each time while the widget waits for it."""
    undisturbed = real.picture_of(f"before{STROKE.format(row=4)}{STROKE.format(row=5)}")
    real.stroke(4)
    for pause_ms in (60, 90, 130, 170, 210):
        # Other strengths each time, as by hand: a scene that was just drawn would be no work.
        real.notebook.begin("i = 0\nwhile True:\n    painter.render(before.scale(0, 1 + i / 100)); i += 1")
        real.view.page.wait_for_timeout(pause_ms)
        real.notebook.interrupt()
        assert real.notebook.end() == "KeyboardInterrupt"
    real.stroke(5)
    real.is_drawn()
    np.testing.assert_array_equal(real.view.picture(), undisturbed)
    real.goes_on(6)


def test_a_render_that_raises_is_repeated(painting: Painting, screenshots: Path) -> None:
    """4."""
    view = painting.view
    painting.notebook.tell("painter.fault = 'the lamp is off'")
    painting.stroke(4)
    assert painting.message() == "RuntimeError: the lamp is off"
    painting.stroke(5)
    painting.is_whole()
    assert painting.message() == "RuntimeError: the lamp is off"
    assert painting.notebook.ask("str(widget.last_error)") == "the lamp is off"
    view.root.screenshot(path=screenshots / "fault-exception.png")
    painting.notebook.tell("painter.fault = ''")
    view.part("retry").click()
    expect(view.part("error")).to_be_hidden()
    painting.is_drawn()
    painting.goes_on(6)


def test_memory_runs_out(real: Painting, screenshots: Path) -> None:
    """5. In the real model. The error names what to change, and holds no memory itself."""
    view = real.view
    real.notebook.tell("""
import torch, weakref
held = []
def full(*args, **kwargs):
    large = torch.zeros(1000)
    held.append(weakref.ref(large))
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 8 GiB")
painter.pipeline.vae.decode = full
""")
    real.stroke(4)
    message = real.message()
    assert message.startswith("MemoryError: cpu ran out of memory while drawing")
    assert "Everything painted is still there." in message
    assert "cpu_offload=True" in message
    view.root.screenshot(path=screenshots / "fault-memory.png")
    # The picture, and the thumbnails that were tried.
    assert set(real.notebook.ask("[one() is None for one in held]")) == {True}
    real.is_whole()
    real.notebook.tell("del painter.pipeline.vae.decode")
    view.part("retry").click()
    real.is_drawn()
    real.goes_on(5)


def test_memory_runs_out_in_another_painter(painting: Painting) -> None:
    """5. One that explains nothing; what its error holds would be missing when the picture is tried again."""
    painting.notebook.tell("""
import weakref
class Large: pass
def render(scene, drawn=painter.render):
    large = Large()
    held.append(weakref.ref(large))
    raise MemoryError
held, painter.render = [], render
""")
    painting.stroke(4)
    assert painting.message() == (
        "MemoryError: there was not enough memory; close other notebooks, or choose a smaller model or dtype"
    )
    assert set(painting.notebook.ask("[one() is None for one in held]")) == {True}
    painting.notebook.tell("del painter.render")
    painting.view.part("retry").click()
    painting.is_drawn()
    painting.goes_on(5)


def test_a_picture_that_is_not_finite(real: Painting, screenshots: Path) -> None:
    """6. Never black without a word; undo brings the picture back."""
    view = real.view
    real.stroke(4)
    real.is_drawn()
    real.notebook.tell(f"widget.scene = ({real.scene}).scale(0, 1e30)")
    message = real.message()
    assert message.startswith("FloatingPointError: the UNet returned values that are not finite in ")
    assert message.endswith("; weaken the strengths")
    view.root.screenshot(path=screenshots / "fault-not-finite.png")
    view.part("undo").click()
    expect(view.part("error")).to_be_hidden()
    real.is_drawn()
    real.goes_on(5)


@pytest.fixture
def disk(notebook: Notebook, tmp_path: Path) -> Iterator[FullDisk]:
    with full_disk(tmp_path, notebook) as disk:
        notebook.tell(f"from pathlib import Path; folder = Path({str(tmp_path)!r})")
        yield disk


def error_of(notebook: Notebook, statement: str) -> str:
    """The text of the OSError that a statement raises."""
    notebook.tell(
        f"try:\n    {statement}\n    _test_error = ''\nexcept OSError as error:\n    _test_error = str(error)"
    )
    text: str = notebook.ask("_test_error")
    return text


def test_the_disk_is_full_while_a_scene_is_saved(painting: Painting, disk: FullDisk) -> None:
    """7. The file that was there stays whole, and the painting is in the widget."""
    painting.notebook.tell("widget.scene.save(folder / 'scene.png', painter.render(widget.scene))")
    old = (disk.folder / "scene.png").read_bytes()
    painting.stroke(4)
    painting.is_whole()
    disk.fill()
    save = "widget.scene.save(folder / 'scene.png', painter.render(widget.scene))"
    assert error_of(painting.notebook, save) == (
        f"cannot write {disk.folder / 'scene.png'}: {disk.why}; "
        "free some space, or choose a folder that can be written to"
    )
    assert disk.files() == ["scene.png"]
    assert (disk.folder / "scene.png").read_bytes() == old
    painting.goes_on(5)
    disk.free()
    painting.notebook.tell(save)
    assert Scene.load(disk.folder / "scene.png") == Scene.from_bytes(kernel_scene(painting))
    painting.goes_on(6)


def kernel_scene(painting: Painting) -> bytes:
    text: str = painting.notebook.ask("widget.scene.to_bytes().decode()")
    return text.encode()


def test_the_disk_is_full_while_a_label_is_set(painting: Painting, disk: FullDisk) -> None:
    """7. The label is there all the same, and is kept with the next one."""
    file = disk.folder / "labels.json"
    painting.notebook.tell("""
from ember_widgets.features.labels import Labels
labels = Labels(own_file=folder / "labels.json")
labels.set(1, "a lantern")
""")
    old = file.read_bytes()
    disk.fill()
    assert f"cannot write {file}: {disk.why}" in error_of(painting.notebook, "labels.set(2, 'a lamp')")
    assert painting.notebook.ask("dict(labels)") == {"2": "a lamp", "1": "a lantern"}
    assert disk.files() == ["labels.json"]
    assert file.read_bytes() == old
    painting.goes_on(4)
    disk.free()
    painting.notebook.tell("labels.set(3, 'a lion')")
    assert dict(Labels(own_file=file)) == {1: "a lantern", 2: "a lamp", 3: "a lion"}


def test_the_disk_is_full_while_icons_are_kept(real: Painting, disk: FullDisk) -> None:
    """7. The icons are there all the same, and are kept as soon as there is room."""
    real.notebook.tell("""
from ember_widgets.features.icons import Icons
icons = Icons(painter.n_features, painter.draw_icons, key="k", file=folder / "icons.zip")
icons.make(range(2), progress=False)
""")
    old = (disk.folder / "icons.zip").read_bytes()
    disk.fill()
    assert f"cannot write {disk.folder / 'icons.zip'}: {disk.why}" in error_of(
        real.notebook, "icons.make([2], progress=False)"
    )
    real.notebook.tell("icons.want([3]); icons.wait(60)")
    assert disk.why in real.notebook.ask("str(icons.last_error)")
    assert real.notebook.ask("sorted(icons)") == [0, 1, 2, 3]
    assert disk.files() == ["icons.zip"]
    assert (disk.folder / "icons.zip").read_bytes() == old
    real.goes_on(4)
    disk.free()
    real.notebook.tell("icons.save()")
    kept = 'sorted(Icons(painter.n_features, key="k", file=folder / "icons.zip"))'
    assert real.notebook.ask(kept) == [0, 1, 2, 3]


def test_the_disk_is_full_while_pictures_are_collected(real: Painting, disk: FullDisk) -> None:
    """7. What was collected before stays, and a later call collects what is missing."""
    real.notebook.tell("painter.collect(['a lion'], folder / 'c', seeds=range(3), progress=False)")
    disk.fill()
    more = "painter.collect(['a lion'], folder / 'c', seeds=range(5), progress=False)"
    assert f"{disk.why}" in error_of(real.notebook, more)
    assert disk.files() == ["c/collection.json", "c/peaks.npz", "c/shard-00000.npz"]
    assert Collection.open(disk.folder / "c").runs == [("a lion", seed) for seed in range(3)]
    real.goes_on(4)
    disk.free()
    real.notebook.tell(more)
    assert Collection.open(disk.folder / "c").runs == [("a lion", seed) for seed in range(5)]


SAE = REPOSITORY / "ember_widgets" / "embedded" / "assets" / "sae" / "sae.safetensors"
DETAILS = SAE.parents[1] / "sae-up.0.1" / "sae.safetensors"
OPENING = """
from pathlib import Path
{real}
file = Path({file!r})
open_painter = lambda: ember.Painter(real.pipeline, ember.load_sae({sae}), name="embedded")
make = lambda: ember.PaintWidget(open_painter, prompt="a meadow", seed=3)
"""
# huggingface_hub reads the variable once, when it is imported.
SWITCH = """
import os, huggingface_hub.constants
huggingface_hub.constants.HF_HUB_OFFLINE = {offline}
os.environ.update(HF_HUB_OFFLINE={number!r}, HF_ENDPOINT={url!r})
"""


def unopened(notebook: Notebook, file: Path) -> Painting:
    """A widget that opens its painter with the checkpoint `file`, a variable in the kernel."""
    real = Painting(notebook, OPENING.format(real=REAL, file=str(file), sae="file"), least=3)
    real.show()
    return real


def message_of_opening(real: Painting, screenshot: Path) -> str:
    """The message of a widget whose painter could not be opened."""
    message = real.message()
    real.view.root.screenshot(path=screenshot)
    expect(real.view.part("draw")).to_be_disabled()
    return message


def goes_on_once_opened(real: Painting) -> None:
    """After a retry the widget has its painter, and paints."""
    real.view.part("retry").click()
    expect(real.view.part("factor-0")).to_be_visible(timeout=SOON_MS)
    real.notebook.tell("painter, before = widget.painter, widget.scene")
    real.scene = "before"
    real.goes_on(5)


@pytest.mark.parametrize("name", ["sae.safetensors", "sae.pt"])
def test_a_checkpoint_that_was_cut_off(
    notebook: Notebook, tmp_path: Path, screenshots: Path, name: str
) -> None:
    """8. The widget names the file; once that is whole, it goes on."""
    whole = tmp_path / f"whole-{name}"
    if name == "sae.pt":
        torch.save({"encoder.weight": torch.zeros(96, 32)}, whole)
    else:
        shutil.copyfile(SAE, whole)
    data = whole.read_bytes()
    file = tmp_path / name
    file.write_bytes(data[: len(data) // 2])
    real = unopened(notebook, file)
    message = message_of_opening(real, screenshots / f"fault-cut-off-{name}.png")
    assert message.startswith(f"{file} ")
    assert "cut off" in message
    shutil.copyfile(SAE, file.with_name("sae.safetensors"))
    notebook.tell("file = file.with_name('sae.safetensors')")
    goes_on_once_opened(real)


class Bomb:
    """Makes a folder when pickle reads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_checkpoint_that_runs_code(notebook: Notebook, tmp_path: Path, screenshots: Path) -> None:
    """9. It is refused, and nothing of it was run."""
    mark, file = tmp_path / "it ran", tmp_path / "sae.pt"
    torch.save({"encoder.weight": torch.zeros(96, 32), "more": Bomb(mark)}, file)
    real = unopened(notebook, file)
    message = message_of_opening(real, screenshots / "fault-runs-code.png")
    assert message.startswith(f"{file} cannot be read as plain tensors")
    assert "it calls posix.mkdir" in message
    assert "files that run code are refused" in message
    # PyTorch would explain how to run it all the same.
    assert "can still be loaded" not in message
    assert message.isprintable()
    assert not mark.exists()
    torch.load(file, weights_only=False)
    assert mark.exists()  # it would have
    notebook.tell(f"file = Path({str(SAE)!r})")
    goes_on_once_opened(real)


def test_the_hub_is_down(notebook: Notebook, tmp_path: Path, screenshots: Path) -> None:
    """10. The widget says so; once the hub answers, it goes on, and then needs it no more."""
    with stand_in.serving() as hub:
        hub.repos["someone/sae"] = SAE.parent
        hub.down = True
        opening = OPENING.format(real=REAL, file="x", sae=f"'someone/sae', cache_dir={str(tmp_path)!r}")
        real = Painting(notebook, SWITCH.format(offline=False, number="0", url=hub.url) + opening, least=3)
        real.show()
        message = message_of_opening(real, screenshots / "fault-hub-down.png")
        assert message.startswith("NotInCache: someone/sae is not in the cache")
        assert "the hub cannot be reached" in message
        hub.down = False
        goes_on_once_opened(real)
        hub.down = True
        n_features = notebook.ask(f"ember.load_sae('someone/sae', cache_dir={str(tmp_path)!r}).n_features")
        assert n_features == ember.load_sae(SAE).n_features
        notebook.tell(SWITCH.format(offline=True, number="1", url=""))


def test_two_views_show_and_paint_the_same(painting: Painting) -> None:
    """11. Two views of one widget, and one in another page; a fault shows in all of them, and goes in all."""
    view = painting.view
    painting.notebook.save()
    painting.notebook.add_and_run_cell("widget")
    other, elsewhere = PaintView(painting.notebook, 1), PaintView(painting.notebook.in_another_page())
    views = (view, other, elsewhere)
    painting.stroke(4)
    for one in views:
        one.settle()
    painting.is_drawn()
    for one in views[1:]:
        np.testing.assert_array_equal(one.picture(), view.picture())
    other.part("strength-0").fill("0.5")
    painting.scene += ".scale(0, 0.5)"
    expect(elsewhere.part("strength-0")).to_have_value("0.5")
    expect(view.part("strength-0")).to_have_value("0.5")
    painting.is_drawn()
    painting.notebook.tell("painter.fault = 'the lamp is off'")
    elsewhere.part("undo").click()
    painting.scene = painting.scene.removesuffix(".scale(0, 0.5)")
    for one in views:
        expect(one.part("error")).to_contain_text("the lamp is off")
    painting.is_whole()
    painting.notebook.tell("painter.fault = ''")
    other.part("retry").click()
    for one in views:
        expect(one.part("error")).to_be_hidden()
    elsewhere.page.close()
    painting.goes_on(5)
    other.settle()
    np.testing.assert_array_equal(other.picture(), view.picture())


def test_a_widget_that_is_closed_during_a_render(painting: Painting) -> None:
    """12. It goes without a word and lets go of the painter; its scene is still there to go on from."""
    painting.notebook.tell("painter.delay_ms = 1500")
    painting.stroke(4)
    is_busy(painting.view)
    painting.notebook.tell("closed = widget; widget.close()")
    expect(painting.view.root).to_have_count(0)
    assert painting.notebook.ask("[closed.painter, closed.last_error]") == [None, None]
    painting.notebook.tell("closed.wait(30)")
    assert painting.notebook.ask("[closed.busy, closed.painter, closed.last_error]") == [False, None, None]
    painting.notebook.tell(f"assert closed.scene == {painting.scene}")
    painting.notebook.tell("painter.delay_ms = 20; before = closed.scene")
    painting.notebook.run_all()
    painting.scene = "before"
    painting.goes_on(5)


# Home folders are used only where nothing else is said.
AT_HOME = """
import os
said = {{name: os.environ.pop(name, None) for name in ("EMBER_WIDGETS_CACHE", "EMBER_WIDGETS_DATA")}}
said["HOME"] = os.environ["HOME"]
os.environ["HOME"] = {home!r}
"""
BACK = "os.environ.update({name: value for name, value in said.items() if value is not None})"


def test_the_home_is_read_only(real: Painting, tmp_path: Path) -> None:
    """13. Painting needs nothing there; what does says which file cannot be written, and what to set."""
    with read_only(tmp_path) as home:
        real.notebook.tell(AT_HOME.format(home=str(home)))
        try:
            real.notebook.tell(
                f"painter = ember.Painter(real.pipeline, ember.load_sae({str(SAE)!r}), name='at home')"
            )
            real.notebook.run_all()
            real.goes_on(4)
            # All icons of the other SAE come with the package.
            real.notebook.tell(
                f"other = ember.Painter(real.pipeline, ember.load_sae({str(DETAILS)!r}), name='too')"
            )
            for statement, variable in (
                ("painter.labels.set(3, 'a lamp')", "EMBER_WIDGETS_DATA"),
                ("painter.collect(['a lion'], progress=False)", "EMBER_WIDGETS_CACHE"),
                ("other.icons.make([3], progress=False)", "EMBER_WIDGETS_CACHE"),
            ):
                message = error_of(real.notebook, statement)
                assert str(home) in message
                assert f"set {variable}" in message
            assert real.notebook.ask("3 in other.icons")
            real.goes_on(5)
        finally:
            real.notebook.tell(BACK)


# Runs in two processes at once, each with numbers of its own.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from ember_widgets.features.collection import Collection
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels

def write(kind, folder, first, n=30):
    draw = lambda features: [Image.new("RGB", (64, 64), (f, f, f)) for f in features]
    if kind == "labels":
        labels = Labels(own_file=folder / "labels.json")
    elif kind == "collection":
        collection = Collection.create(folder, 8, {"id": "m", "site": "s", "sae": "x"})
    for i in range(first, first + n):
        if kind == "labels":
            labels.set(i, f"label {i}")
        elif kind == "icons":
            # A notebook for each: one that lives on would write its own icons again.
            Icons(200, draw, key="k", file=folder / "icons.zip").make([i], progress=False)
        else:
            collection.add(f"prompt {i}", i, np.full((256, 8), i + 1, np.float32), None)
            collection.flush()
"""
KINDS = {
    "labels": "sorted(Labels(own_file=folder / 'labels.json'))",
    "icons": "sorted(Icons(200, key='k', file=folder / 'icons.zip'))",
    "collection": "sorted(seed for _, seed in Collection.open(folder).runs)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_writes_the_same_files(painting: Painting, tmp_path: Path, kind: str) -> None:
    """14. Nothing that either of them writes is lost, and what is read meanwhile is whole."""
    folder = tmp_path / "shared"
    folder.mkdir()
    if kind == "collection":
        Collection.create(folder, 8, {"id": "m", "site": "s", "sae": "x"})
    go = tmp_path / "go"
    start = f"while not Path({str(go)!r}).exists(): pass\nfolder = Path({str(folder)!r})\n"
    script = f"{WRITER}\nprint('ready', flush=True)\n{start}write({kind!r}, folder, 100)\n"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        painting.notebook.tell(WRITER)
        painting.notebook.begin(f"{start}write({kind!r}, folder, 0)")
        go.touch()
        painting.stroke(4)  # meanwhile
        assert painting.notebook.end() == "ok"
        assert other.wait(60) == 0
    assert painting.notebook.ask(KINDS[kind]) == [*range(30), *range(100, 130)]
    left = {path.name for path in folder.iterdir() if path.suffix == ".tmp"}
    assert left == set()
    painting.goes_on(5)
