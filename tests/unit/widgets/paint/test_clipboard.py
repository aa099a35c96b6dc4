"""Copy in one widget, paste in another: what is put there, what is said, and the program that does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import clipboard
from ember_widgets.widgets.paint.clipboard import CLIPBOARD
from ember_widgets.widgets.paint.history import State
from ember_widgets.widgets.paint.widget import PaintWidget
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import SOON_S, Browser, FakePainter, two_sites

HERE = [(3, 4), (3, 5)]
NUMBERS = [3 * 16 + 4, 3 * 16 + 5]


def things(*names: str, seed: int = 3) -> Scene:
    """A scene whose factors are one feature each."""
    kinds = ("sky", "lion", "meadow", "tree")
    basis = np.eye(4, 8)[[kinds.index(name) for name in names]]
    return make_scene(len(names), names=names, basis=basis, base_basis=basis, seed=seed)


@pytest.fixture(autouse=True)
def nothing_copied() -> Iterator[None]:
    CLIPBOARD.copied = None
    yield
    CLIPBOARD.copied = None


class Page:
    """A widget and its browser."""

    def __init__(self, scene: Scene) -> None:
        self.widget = PaintWidget(FakePainter(), scene)
        self.browser = Browser(self.widget)
        self.browser.ask("hello")

    def copy(self, patches: list[int]) -> str:
        self.browser.ask("copy", patches=patches)
        return str(self.browser.of("notice")[-1]["text"])

    def paste(self) -> dict[str, Any]:
        self.browser.ask("paste", revision=self.browser.state()["revision"])
        self.widget.wait(SOON_S)
        return self.browser.of("notice")[-1]

    @property
    def scene(self) -> Scene:
        return self.widget.scene


@pytest.fixture
def source() -> Page:
    return Page(things("sky", "lion"))


@pytest.fixture
def target() -> Page:
    return Page(things("sky", "meadow", seed=4))


def run(widget: PaintWidget) -> Scene:
    names: dict[str, Any] = {"painter": FakePainter()}
    exec(widget.to_python(), names)
    scene: Scene = names["scene"]
    return scene


def test_patches_copied_in_one_widget_are_pasted_in_another(source: Page, target: Page) -> None:
    source.widget.scene = source.scene.paint("lion", HERE, 0.7).paint("sky", HERE, 0.2, mode="add")
    before = target.scene

    assert source.copy(NUMBERS) == "Copied 2 patches of sky, lion. Ready to paste, here or in another widget."
    notice = target.paste()

    assert notice["text"] == "Pasted 2 patches of sky, lion; lion added."
    assert notice["patches"] == NUMBERS
    assert target.scene == before.apply(source.scene.copy_patches(HERE))
    assert np.allclose(target.scene.strengths[3, 4], [0.2, 0, 0.7])
    assert target.browser.state()["names"] == ["sky", "meadow", "lion"]
    assert target.widget.undo()
    assert target.scene == before


@pytest.mark.parametrize("numbers", [NUMBERS, []])
def test_what_acts_at_some_steps_only_is_pasted_so(source: Page, target: Page, numbers: list[int]) -> None:
    before = target.widget.scene = target.scene.replace(n_steps=4).scale("sky", 0.5)
    analysed = source.widget.scene = source.scene.replace(n_steps=4)
    drawn = source.widget.scene = analysed.set_steps("lion", (2, 4)).paint("lion", HERE, 3.0)
    edit = drawn.copy_patches(HERE) if numbers else drawn - analysed

    source.copy(numbers)
    target.paste()

    assert target.scene == before.apply(edit)
    assert target.scene.factor_steps == (None, None, (2, 4))
    assert run(target.widget) == target.scene
    if not numbers:
        source.widget.scene = analysed
        source.paste()
        assert source.scene == drawn


def test_a_paste_says_what_acts_only_at_steps_that_the_picture_does_not_have(
    source: Page, target: Page
) -> None:
    source.widget.scene = source.scene.replace(n_steps=4).set_steps("lion", (2, 4)).paint("lion", HERE)
    source.copy(NUMBERS)
    says = target.paste()["text"]
    assert says.endswith("lion added; 'lion' acts at steps 3-4, which this picture does not have.")


def test_patches_are_pasted_in_the_same_widget_too(source: Page) -> None:
    source.copy(NUMBERS)
    source.widget.scene = source.scene.paint("sky", HERE)
    before = source.scene
    says = source.paste()["text"]
    assert says == "Pasted 2 patches of sky, lion; the edit lies over what was painted in 2 patches."
    assert np.array_equal(source.scene.strengths[3, 4:6], things("sky", "lion").strengths[3, 4:6])
    assert source.widget.undo()
    assert source.scene == before


def test_patches_that_are_there_already_are_pasted_beside_them(source: Page) -> None:
    start = source.widget.scene = source.scene.erase("everything").paint("lion", HERE)
    source.copy(NUMBERS)
    for copies, right in ((1, 2), (2, 4)):
        notice = source.paste()
        assert notice["text"] == "Pasted 2 patches of lion."
        assert notice["patches"] == [number + right for number in NUMBERS]
        wanted = start.paint("lion", [(3, 4 + i) for i in range(2 * copies + 2)])
        assert np.array_equal(source.scene.strengths, wanted.strengths)
    assert run(source.widget) == source.scene
    assert source.widget.undo()
    assert source.widget.undo()
    assert source.scene == start


@pytest.mark.parametrize(
    ("patches", "lands"),
    [
        ([(3, 15)], [(3, 14)]),
        ([(r, c) for r in (2, 3) for c in range(16)], [(r, c) for r in (4, 5) for c in range(16)]),
        ([(r, c) for r in range(1, 16) for c in range(16)], [(r, c) for r in range(15) for c in range(16)]),
        ("everything", "everything"),
    ],
)
def test_a_paste_stays_within_the_grid(source: Page, patches: Any, lands: Any) -> None:
    scene = source.widget.scene = source.scene.erase("everything").paint("lion", patches)
    source.copy(np.flatnonzero(scene.grid.mask(patches)).tolist())
    notice = source.paste()
    assert notice["patches"] == np.flatnonzero(scene.grid.mask(lands)).tolist()
    assert np.array_equal(source.scene.strengths, scene.paint("lion", lands).strengths)


def test_sliders_count_in_what_is_copied_and_stay_where_it_is_pasted(source: Page, target: Page) -> None:
    source.browser.edit(source.scene, gains=[0.5, 1])
    target.browser.edit(target.scene, gains=[1, 0.25])
    source.copy(NUMBERS)
    target.paste()
    assert np.allclose(target.scene.strengths[3, 4, 0], 0.5 * things("sky", "lion").strengths[3, 4, 0])
    assert target.browser.state()["gains"] == [1, 0.25, 1]


def test_without_patches_all_edits_are_copied(source: Page, target: Page) -> None:
    before = target.scene
    assert source.copy([]) == "Nothing is painted or selected here, so there is nothing to copy."
    assert target.paste()["text"] == "Nothing was copied yet: select patches and copy them first."

    source.widget.scene = source.scene.paint("lion", HERE).set_weight("sky", 6, 0.5)
    assert source.copy([]) == (
        "Copied this painting's edits (re-weights 1 feature of 'sky'; paints 'lion' in 2 patches; "
        "covers 2 patches). Ready to paste, here or in another widget."
    )
    notice = target.paste()

    assert notice["patches"] is None
    assert target.scene == before.apply(source.scene - source.scene.original())
    assert target.scene.names == ("sky", "meadow", "lion")


@pytest.mark.parametrize("patches", [NUMBERS, []])
def test_the_program_makes_what_was_pasted(source: Page, target: Page, patches: list[int]) -> None:
    source.widget.scene = source.scene.paint("lion", HERE).scale("sky", 0.4)
    source.copy(patches)
    target.widget.scene = target.scene.paint("meadow", "left")
    target.paste()
    target.browser.edit(target.scene.paint("meadow", [(0, 0)]))
    target.widget.wait(SOON_S)
    program = target.widget.to_python()
    assert "scene = scene.apply(opened(" in program
    assert len(program) < 60_000
    assert run(target.widget) == target.scene


def test_a_pasted_edit_is_in_the_saved_scene(source: Page, target: Page) -> None:
    source.copy(NUMBERS)
    target.paste()
    assert Scene.from_bytes(target.scene.to_bytes()) == target.scene


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (
            things("sky").replace(model={"sae": "another"}),
            "Not pasted: the edit's SAE is 'sha256:1234'",
        ),
        (two_sites(), "Not pasted: the edit steers"),
    ],
)
def test_what_does_not_fit_is_refused_in_place(source: Page, scene: Scene, says: str) -> None:
    target = Page(scene)
    source.copy(NUMBERS)
    assert target.paste()["text"].startswith(says)
    assert target.scene == scene
    assert target.browser.of("error") == []
    assert not target.widget.undo()


def test_of_a_blank_canvas_what_is_painted_is_copied_and_not_the_emptiness(target: Page) -> None:
    lion = np.eye(1, 8, 1, dtype=np.float32)
    nothing = np.zeros((16, 16, 1), np.float32)
    blank = make_scene(
        1,
        names=("lion",),
        strengths=nothing,
        remainder=np.zeros((16, 16)),
        basis=lion,
        base_strengths=nothing[..., :0],
        base_basis=lion[:0],
        origins=(-1,),
    )
    source = Page(blank)
    assert source.copy([]) == "Nothing is painted or selected here, so there is nothing to copy."
    assert CLIPBOARD.copied is None
    source.widget.scene = painted = blank.paint("lion", HERE, 0.7)
    assert source.copy([]) == "Copied 2 patches of lion. Ready to paste, here or in another widget."
    before = target.widget.scene = target.scene.scale("sky", 0.5)
    notice = target.paste()
    assert target.scene == before.apply(painted.copy_patches(HERE))
    assert notice["patches"] == NUMBERS
    assert run(target.widget) == target.scene
    assert np.delete(target.scene.remainder.ravel(), NUMBERS).all()


def test_a_patch_outside_the_grid_is_refused(source: Page) -> None:
    source.browser.ask("copy", patches=[256])
    assert "patch 256 is outside the grid; patches go 0..255" in source.browser.of("error")[-1]["message"]
    source.browser.ask("copy", patches=["a"])
    assert "patches='a' is not a whole number" in source.browser.of("error")[-1]["message"]


def test_a_paste_on_an_outdated_scene_is_refused(source: Page, target: Page) -> None:
    source.copy(NUMBERS)
    before = target.scene
    target.browser.ask("paste", revision=99)
    assert target.browser.state()["why"] == "refused"
    assert target.scene == before


class TestWithoutASession:
    def test_what_was_copied_is_put_on_a_state(self) -> None:
        edit = clipboard.copied(things("sky", "lion").paint("lion", HERE, 0.7), NUMBERS)
        assert edit is not None
        first = State.of(things("sky", "meadow", seed=4), ("scene = first",))
        now = first.edited(first.painted.strengths, first.painted.remainder, np.array([0.5, 2], np.float32))
        pasted = clipboard.pasted(edit, now, first, first)
        assert pasted.state.painted == first.painted.apply(edit.edit)
        assert pasted.state.gains.tolist() == [0.5, 2, 1]
        assert pasted.state.code == ("scene = first", f"scene = scene.apply({edit.code})")
        assert pasted.words.startswith("Pasted 2 patches of lion; lion added")
        assert pasted.patches is not None
        assert np.flatnonzero(pasted.patches).tolist() == NUMBERS

    def test_what_does_not_fit_is_refused(self) -> None:
        edit = clipboard.copied(things("sky", "lion").paint("lion", HERE), NUMBERS)
        assert edit is not None
        state = State.of(two_sites())
        with pytest.raises(ValueError, match="the edit steers"):
            clipboard.pasted(edit, state, state, state)
