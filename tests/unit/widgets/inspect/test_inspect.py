"""PatchInspector in the kernel: what it tells is what is there, whatever the hand or Python does."""

from __future__ import annotations

import gc
import re
import time
import weakref
from collections.abc import Iterator
from html import unescape
from typing import Any

import numpy as np
import pytest
import traitlets
from ipywidgets import Layout
from ipywidgets.widgets.widget import _instances

from ember_widgets import PaintWidget, PatchInspector, Scene
from ember_widgets.features.labels import Label, Labels
from ember_widgets.scene.grid import Grid
from ember_widgets.widgets.inspect import gestures
from ember_widgets.widgets.inspect.canvas import SIDE
from ember_widgets.widgets.inspect.layers import LAYERS
from ember_widgets.widgets.inspect.patch_list import ROW_HEIGHT
from ember_widgets.widgets.shared import views
from tests.unit.widgets.inspect.inspect_bench import BEHIND, SITE, StillPainter

SOON_S = 10.0


@pytest.fixture
def painter() -> StillPainter:
    return StillPainter()


@pytest.fixture
def scene(painter: StillPainter) -> Scene:
    return painter.analyze("a lion", n_steps=2)


@pytest.fixture
def inspector(painter: StillPainter, scene: Scene) -> Iterator[PatchInspector]:
    inspector = PatchInspector(painter, scene)
    yield inspector
    inspector.close()


def send(widget: Any, event: str, **content: Any) -> None:
    """What ipycanvas's view sends."""
    data = {"method": "custom", "content": {"event": event, **content}}
    widget._handle_msg({"content": {"data": data}, "buffers": []})


def hand(inspector: PatchInspector, event: str, row: float, col: float) -> None:
    canvas = inspector._parts.canvas.widget  # type: ignore[union-attr]
    grid = inspector.inspection.grid
    send(canvas, event, x=(col + 0.5) * SIDE / grid.cols, y=(row + 0.5) * SIDE / grid.rows)


def click(inspector: PatchInspector, row: int, col: int) -> None:
    for event in ("mouse_move", "mouse_down", "mouse_up"):
        hand(inspector, event, row, col)


def press(inspector: PatchInspector, key: str, shift: bool = False) -> None:
    canvas = inspector._parts.canvas.widget  # type: ignore[union-attr]
    send(canvas, "key_down", key=key, shift_key=shift, ctrl_key=False, meta_key=False)


def pick(inspector: PatchInspector, row: int) -> None:
    rows = inspector._parts.rows.widget  # type: ignore[union-attr]
    send(rows, "mouse_down", x=5, y=row * ROW_HEIGHT + 3)


def html(inspector: PatchInspector, part: str) -> str:
    value: str = getattr(inspector._parts, part).value
    return value


def read(inspector: PatchInspector, part: str = "list") -> str:
    """A part's text, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html(inspector, part))).split())


class TestPointing:
    def test_the_features_listed_are_the_patch_s_own_strongest_first(
        self, inspector: PatchInspector, painter: StillPainter
    ) -> None:
        hand(inspector, "mouse_move", 4, 9)
        sae = painter.saes[SITE]
        x = painter.activations[SITE, 0].reshape(16, 16, -1)[4, 9].double().numpy()
        b_dec, W_enc = sae.b_dec.double().numpy(), sae.W_enc.double().numpy()
        pre = (x - b_dec) @ W_enc
        by_hand = [int(f) for f in np.argsort(-pre)[:3] if pre[f] > 0]

        assert inspector.hovered == (4, 9)
        assert list(inspector.features) == by_hand
        rest = x - b_dec - sum(pre[f] * sae.W_dec[f].double().numpy() for f in by_hand)
        share = 1 - rest @ rest / ((x - b_dec) @ (x - b_dec))
        text = read(inspector)
        assert text.startswith(f"Patch (4, 9) 3 features active · SAE explains {100 * share:.0f} %")
        for feature in by_hand:
            assert f"{pre[feature]:.2f} {pre[feature] / 2:.1f}×" in text
            assert f"#{feature} " in text

    def test_bars_are_as_long_as_the_activation_is_of_the_picture_s_largest(
        self, inspector: PatchInspector
    ) -> None:
        hand(inspector, "mouse_move", 4, 9)
        codes = inspector.inspection.codes
        widths = [
            float(w) for w in re.findall(r"ember-first' style='width:([\d.]+)%", html(inspector, "list"))
        ]
        assert widths == [
            pytest.approx(100 * codes[4, 9, f] / codes.max(), abs=0.06) for f in inspector.features
        ]

    def test_the_share_of_the_factors_stands_beside_that_of_the_sae(
        self, inspector: PatchInspector, painter: StillPainter, scene: Scene
    ) -> None:
        hand(inspector, "mouse_move", 2, 2)
        sae = painter.saes[SITE]
        x = painter.activations[SITE, 0].reshape(16, 16, -1)[2, 2].double().numpy() - sae.b_dec.numpy()
        left = x - scene.strengths[2, 2].astype(float) @ scene.basis @ sae.W_dec.double().numpy()
        assert f"factors {100 * (1 - left @ left / (x @ x)):.0f} %" in read(inspector)

    def test_a_pointer_that_leaves_takes_its_patch_along(self, inspector: PatchInspector) -> None:
        hand(inspector, "mouse_move", 4, 9)
        hand(inspector, "mouse_out", 4, 16)
        assert inspector.hovered is None
        assert "Point at a patch" in read(inspector)

    def test_within_a_patch_nothing_is_sent(
        self, inspector: PatchInspector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand(inspector, "mouse_move", 4, 9)
        drawn: list[Any] = []
        monkeypatch.setattr(inspector._view, "list", lambda sight: drawn.append(1))
        hand(inspector, "mouse_move", 4.2, 9.3)
        assert drawn == []
        hand(inspector, "mouse_move", 4, 10)
        assert drawn == [1]


class TestPinning:
    def test_a_click_pins_and_a_second_one_lets_go(self, inspector: PatchInspector) -> None:
        click(inspector, 3, 5)
        hand(inspector, "mouse_move", 10, 10)
        assert inspector.patch == (3, 5)
        assert read(inspector).startswith("Patch (3, 5) pinned")
        click(inspector, 3, 5)
        assert inspector.patch is None

    def test_shift_click_compares(self, inspector: PatchInspector) -> None:
        click(inspector, 3, 5)
        press(inspector, "Shift", shift=True)
        click(inspector, 8, 8)
        codes = inspector.inspection.codes
        a, b = codes[3, 5].astype(float), codes[8, 8].astype(float)
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)

        assert (inspector.patch, inspector.compared) == ((3, 5), (8, 8))
        assert set(inspector.features) == set(np.flatnonzero(a + b))
        text = read(inspector)
        assert f"Patch (3, 5) against (8, 8) similarity {cosine:.2f} " in text
        unit = inspector.inspection.unit
        for feature in inspector.features:
            values = [
                f"{codes[at][feature]:.2f} {codes[at][feature] / unit[feature]:.1f}×"
                for at in ((3, 5), (8, 8))
            ]
            assert " ".join(values) in text
        assert "patch (3, 5) patch (8, 8) typical activation" in text
        click(inspector, 1, 1)
        assert (inspector.patch, inspector.compared) == ((1, 1), None)

    @pytest.mark.parametrize("released", ["time", "key"])
    def test_a_click_after_shift_was_released_pins(
        self, released: str, inspector: PatchInspector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gestures, "SHIFT_S", 0.05 if released == "time" else 60.0)
        compare = inspector._parts.compare  # type: ignore[union-attr]
        click(inspector, 3, 5)
        press(inspector, "Shift", shift=True)
        assert compare.value
        if released == "key":
            press(inspector, "ArrowDown")
        end = time.monotonic() + 10
        while compare.value and time.monotonic() < end:
            time.sleep(0.01)
        click(inspector, 8, 8)
        assert (inspector.patch, inspector.compared) == ((8, 8), None)

    def test_the_compare_button_stays_on_until_the_click(self, inspector: PatchInspector) -> None:
        click(inspector, 3, 5)
        inspector._parts.compare.value = True  # type: ignore[union-attr]
        press(inspector, "Shift", shift=True)
        press(inspector, "ArrowDown")
        click(inspector, 8, 8)
        assert (inspector.patch, inspector.compared) == ((3, 5), (8, 8))
        assert inspector._parts.compare.value is False  # type: ignore[union-attr]

    def test_0_picks_the_tenth_feature(
        self, inspector: PatchInspector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        picked: list[int] = []
        keys = gestures.Gestures(inspector)
        keys.parts = inspector._parts  # type: ignore[assignment]
        monkeypatch.setattr(keys, "pick", picked.append)
        for key in "190":
            keys.key(key, False)
        assert picked == [0, 8, 9]

    def test_dragging_takes_the_mean_of_a_region(self, inspector: PatchInspector) -> None:
        hand(inspector, "mouse_move", 6, 7)
        hand(inspector, "mouse_down", 6, 7)
        hand(inspector, "mouse_move", 3, 9)
        hand(inspector, "mouse_up", 3, 9)
        mean = inspector.inspection.codes[3:7, 7:10].astype(float).reshape(12, -1).mean(0)

        assert inspector.region == (3, 7, 6, 9)
        assert inspector.features[0] == mean.argmax()
        now = inspector.inspection
        share = 1 - now.missed[3:7, 7:10].sum() / now.energy[3:7, 7:10].sum()
        text = read(inspector)
        assert text.startswith("12 patches mean of rows 3–6, columns 7–9 3 features active · SAE explains")
        assert f"SAE explains {100 * share:.0f} %" in text
        assert f"{mean.max():.2f}" in text

    def test_keys_do_what_the_pointer_does(self, inspector: PatchInspector) -> None:
        for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
            press(inspector, key)
        assert inspector.hovered == (9, 10)
        press(inspector, "Enter")
        assert inspector.patch == (9, 10)
        press(inspector, "1")
        assert inspector.selected_feature == inspector.features[0]
        press(inspector, "Escape")
        assert inspector.patch is None
        assert inspector.last_error is None

    def test_python_pins_too_and_what_is_outside_is_refused(self, inspector: PatchInspector) -> None:
        inspector.patch = (15, 0)
        assert read(inspector).startswith("Patch (15, 0) pinned")
        with pytest.raises(traitlets.TraitError, match=r"patch=\(16, 0\) is outside the grid"):
            inspector.patch = (16, 0)
        with pytest.raises(traitlets.TraitError, match="is not a box"):
            inspector.region = (3, 0, 2, 5)

    def test_traits_can_be_observed_and_linked(self, painter: StillPainter, scene: Scene) -> None:
        one, two = PatchInspector(painter, scene), PatchInspector(painter, scene)
        seen: list[Any] = []
        one.observe(lambda change: seen.append(change.new), "patch")
        traitlets.link((one, "patch"), (two, "patch"))
        click(one, 2, 3)
        assert seen == [(2, 3)]
        assert read(two).startswith("Patch (2, 3) pinned")
        one.close()
        two.close()


class TestAFeature:
    def test_a_click_in_the_list_shows_where_it_is(self, inspector: PatchInspector) -> None:
        click(inspector, 3, 5)
        pick(inspector, 1)
        feature = inspector.features[1]
        codes = inspector.inspection.codes[..., feature]
        on = int((codes > 0).sum())

        assert inspector.selected_feature == feature
        assert inspector.layer == "feature"
        card = read(inspector, "card")
        assert f"on {on} patch" in card
        assert f": {codes.max():.2f} = {codes.max() / 2:.1f}× typical" in card
        pick(inspector, 1)
        assert inspector.selected_feature is None
        assert inspector.layer == "picture"

    def test_its_shares_in_the_factors_are_told(self, inspector: PatchInspector, scene: Scene) -> None:
        feature = int(scene.basis[0].argmax())
        inspector.selected_feature = feature
        share = scene.basis[0, feature] / scene.basis[0].sum()
        assert f"{scene.names[0]} ({100 * share:.0f} %)" in read(inspector, "card")

    def test_a_dead_feature_says_so(self, inspector: PatchInspector, painter: StillPainter) -> None:
        dead = np.flatnonzero(~inspector.inspection.codes.any((0, 1)))
        codes = inspector.inspection.codes.copy()
        feature = int(dead[0]) if len(dead) else 0
        codes[..., feature] = 0
        object.__setattr__(inspector.inspection, "codes", codes)
        inspector.selected_feature = feature
        assert "not active in this picture" in read(inspector, "card")
        assert "is not active in this picture" in read(inspector, "legend")

    def test_it_is_found_by_label_or_number(self, inspector: PatchInspector) -> None:
        find = inspector._parts.find  # type: ignore[union-attr]
        find.value = "lion"
        assert inspector.selected_feature == 1
        find.value = "17"
        assert inspector.selected_feature == 17
        find.value = "zebra"
        assert read(inspector, "status") == (
            "No feature is called 'zebra'; give a number 0..39 or a word of a label"
        )
        assert inspector.selected_feature == 17

    def test_a_label_is_text_whatever_is_in_it(self, inspector: PatchInspector) -> None:
        inspector.selected_feature = 2
        assert "&lt;b&gt;meadow&lt;/b&gt;" in html(inspector, "card")
        assert "<b>meadow" not in html(inspector, "card") + html(inspector, "legend")

    def test_icons_come_once_the_pointer_rests(
        self, inspector: PatchInspector, painter: StillPainter
    ) -> None:
        click(inspector, 3, 5)
        until = time.monotonic() + SOON_S
        while html(inspector, "list").count("<img") < len(inspector.features) and time.monotonic() < until:
            time.sleep(0.02)
        assert html(inspector, "list").count("<img") == len(inspector.features)
        assert sorted(painter.drawn) == sorted(inspector.features)

    def test_one_that_the_sae_has_not_is_refused(self, inspector: PatchInspector) -> None:
        with pytest.raises(ValueError, match=r"feature=40 is outside 0\.\.39"):
            inspector.selected_feature = 40


class TestPartners:
    def test_a_feature_is_taken_to_the_brush(self, painter: StillPainter, scene: Scene) -> None:
        brush = PaintWidget(painter, scene)
        inspector = PatchInspector(painter, scene, brush=brush)
        inspector.selected_feature = 1
        inspector._parts.use.click()  # type: ignore[union-attr]
        assert brush.scene.names == (*scene.names, "lion")
        assert brush.scene.weights("lion") == {1: pytest.approx(1.0)}
        assert "“lion” is your brush now" in read(inspector, "status")
        inspector._parts.use.click()  # type: ignore[union-attr]
        assert brush.scene.names[-1] == "lion 2"
        brush.undo()
        assert brush.scene.names[-1] == "lion"
        inspector.close()
        brush.close()

    def test_without_a_scene_it_follows_the_brush(self, painter: StillPainter, scene: Scene) -> None:
        brush = PaintWidget(painter, scene)
        inspector = PatchInspector(painter, brush=brush)
        assert inspector.scene == scene
        edited = scene.scale(0, 3)
        brush.scene = edited
        brush.wait(SOON_S)
        until = time.monotonic() + SOON_S
        while inspector.scene != edited and time.monotonic() < until:
            time.sleep(0.02)
        assert inspector.scene == edited
        inspector.close()
        brush.close()

    def test_a_feature_is_found_in_the_atlas(self, painter: StillPainter, scene: Scene) -> None:
        class Atlas:
            chosen: list[int] = []  # noqa: RUF012

            def select(self, features: list[int]) -> None:
                self.chosen.extend(features)

        atlas = Atlas()
        inspector = PatchInspector(painter, scene, atlas=atlas)
        inspector.selected_feature = 5
        inspector._parts.show.click()  # type: ignore[union-attr]
        assert atlas.chosen == [5]
        inspector.close()

    @pytest.mark.parametrize(
        ("wish", "text"),
        [
            ({"brush": 3}, "brush=3 is not a PaintWidget"),
            ({"atlas": 3}, r"atlas=3 has no select\(\)"),
            ({"scene": 3}, "is not a Scene"),
            ({"scene": None}, "there is no scene to inspect"),
            ({"painter": object()}, r"has no analyze\(\); give a Painter"),
        ],
    )
    def test_what_is_none_is_refused(
        self, painter: StillPainter, scene: Scene, wish: dict[str, Any], text: str
    ) -> None:
        given: dict[str, Any] = {"painter": painter, "scene": scene, **wish}
        with pytest.raises((TypeError, traitlets.TraitError), match=text):
            PatchInspector(given.pop("painter"), given.pop("scene"), **given)


class TestScenes:
    def test_an_edit_shows_beside_the_unedited_run(self, inspector: PatchInspector, scene: Scene) -> None:
        inspector.patch = (5, 5)
        before = inspector.inspection.codes[5, 5]
        inspector.scene = scene.scale(0, 4.0)
        now = inspector.inspection.codes[5, 5]

        assert set(inspector.features) == set(np.flatnonzero(before + now))
        assert "edited unedited typical activation" in read(inspector)
        widths = re.findall(r"ember-second' style='width:([\d.]+)%", html(inspector, "list"))
        assert [float(w) > 0 for w in widths] == [before[f] > 0 for f in inspector.features]
        inspector.layer = "change"
        inspector.scene = scene
        assert inspector.layer == "picture"
        with pytest.raises(traitlets.TraitError, match="needs an edited scene"):
            inspector.layer = "change"

    def test_what_an_edit_does_further_on_shows_at_another_site_and_step(
        self, inspector: PatchInspector, scene: Scene, painter: StillPainter
    ) -> None:
        inspector.scene = scene.scale(0, 4.0)
        inspector.site, inspector.step = BEHIND, 1
        expected = painter.inspect(inspector.scene, step=1, site=BEHIND)
        assert np.array_equal(inspector.inspection.codes, expected.codes)
        inspector.patch = (5, 5)
        assert "factors" not in read(inspector)
        assert "unedited" in read(inspector)
        inspector.scene = painter.analyze(n_steps=1)  # a step fewer
        assert inspector.step == 0

    def test_a_scene_of_another_sae_is_refused_and_changes_nothing(
        self, inspector: PatchInspector, scene: Scene
    ) -> None:
        foreign = scene.replace(model={**scene.model, "sae": "another"})
        with pytest.raises(ValueError, match="made with SAE 'another'"):
            inspector.scene = foreign
        assert inspector.scene == scene
        with pytest.raises(ValueError, match="made with SAE 'another'"):
            PatchInspector(inspector._painter, foreign)

    @pytest.mark.parametrize("layer", ["factors", "strongest", "unexplained_by_factors", "similarity"])
    def test_every_layer_can_be_drawn_of_a_scene_with_one_factor_and_of_a_blank_one(
        self, painter: StillPainter, layer: str
    ) -> None:
        for scene in (painter.analyze(n_factors=1), painter.blank()):
            inspector = PatchInspector(painter, scene)
            inspector.layer = layer
            inspector.patch = (0, 0)
            assert html(inspector, "legend")
            assert inspector.last_error is None
            inspector.close()

    def test_a_label_says_in_the_list_and_on_the_card_how_well_it_stands_up(
        self, painter: StillPainter, scene: Scene
    ) -> None:
        inspector = PatchInspector(painter, scene)
        hand(inspector, "mouse_move", 4, 9)
        feature = inspector.features[0]
        scores, counts = {"detection": 0.8, "causal": 0.9}, {"detection": 10, "causal": 10}
        label = Label("<i>a pine", "", scores, counts, "object", "or a fir", "a-judge", "2026-11-29")
        painter.labels.add(Labels({feature: label}))
        click(inspector, 4, 9)
        assert f"<i>a pine #{feature} painting shows it: 9 of 10 " in read(inspector)
        pick(inspector, 0)
        card = read(inspector, "card")
        assert "labelled by a-judge, 2026-11-29" in card
        assert "recognised in pictures: 8 of 10 (95 % interval 49–94 %, chance 50 %)" in card
        assert "or a fir" in card
        inspector.close()

    def test_a_label_set_from_python_shows_at_once(self, painter: StillPainter, scene: Scene) -> None:
        inspector = PatchInspector(painter, scene)
        click(inspector, 4, 9)
        feature = inspector.features[0]
        painter.labels.set(feature, "a lighthouse")
        assert f"a lighthouse #{feature}" in read(inspector)
        inspector.close()
        painter.labels.set(feature, "a pier")
        assert inspector.last_error is None

    def test_an_sae_without_labels_shows_numbers(self, painter: StillPainter, scene: Scene) -> None:
        del painter.labels
        inspector = PatchInspector(painter, scene)
        inspector.patch = (0, 0)
        assert f"feature #{inspector.features[0]} " in read(inspector)
        inspector.close()

    def test_an_error_while_pointing_is_shown(
        self, inspector: PatchInspector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(sight: object) -> None:
            raise RuntimeError("out of paint")

        monkeypatch.setattr(inspector._view, "list", fail)
        hand(inspector, "mouse_move", 4, 9)
        assert read(inspector, "status") == "RuntimeError: out of paint"
        assert isinstance(inspector.last_error, RuntimeError)


def test_a_new_page_gets_everything_drawn_again(
    inspector: PatchInspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    canvas = inspector._parts.canvas  # type: ignore[union-attr]
    for name in ("draw_picture", "draw_layer", "draw_marks"):
        monkeypatch.setattr(canvas, name, lambda *_, name=name: drawn.append(name))
    send(canvas.widget, "client_ready")
    assert drawn == ["draw_picture", "draw_layer", "draw_marks"]


def test_closing_ends_its_parts_and_lets_go_of_the_painter(painter: StillPainter, scene: Scene) -> None:
    inspector = PatchInspector(painter, scene)
    parts = inspector._parts
    assert parts is not None
    inspector.close()
    assert parts.canvas.widget.comm is None
    assert parts.find.comm is None
    assert inspector._painter is None
    inspector.close()  # again
    for name, value in (("scene", scene), ("step", 1), ("site", BEHIND)):
        with pytest.raises(RuntimeError, match="this inspector is closed; make a new one: PatchInspector"):
            setattr(inspector, name, value)


def test_no_scene_is_refused_and_the_one_before_stays(inspector: PatchInspector, scene: Scene) -> None:
    with pytest.raises(traitlets.TraitError, match="expected a Scene, not the NoneType None"):
        inspector.scene = None  # type: ignore[assignment]
    inspector.patch = (1, 1)
    assert (inspector.scene, inspector.patch) == (scene, (1, 1))


def test_what_went_wrong_can_be_observed_and_not_set(inspector: PatchInspector) -> None:
    seen: list[Any] = []
    inspector.observe(lambda change: seen.append(change["new"]), "last_error")
    inspector._parts.find.value = "no such label"  # type: ignore[union-attr]
    assert seen == [inspector.last_error]
    assert "no feature is called 'no such label'" in str(inspector.last_error)
    with pytest.raises(traitlets.TraitError, match="read-only"):
        inspector.last_error = None


def test_a_layout_is_taken_as_by_the_other_widgets(painter: StillPainter, scene: Scene) -> None:
    layout = Layout(width="300px")
    inspector = PatchInspector(painter, scene, layout=layout)
    assert inspector.layout is layout
    inspector.close()
    assert layout.comm is not None  # it is the user's
    layout.close()
    with pytest.raises(TypeError, match="PatchInspector has no keyword layuot=; did you mean layout="):
        PatchInspector(painter, scene, layuot=layout)


def test_a_saved_notebook_keeps_a_picture(inspector: PatchInspector) -> None:
    assert inspector._repr_mimebundle_()["image/png"].startswith("iVBOR")


class TestAnotherGrid:
    @pytest.fixture
    def fine(self) -> StillPainter:
        return StillPainter(grid=Grid(24, 24))

    def test_every_layer_and_patch_of_24_rows_can_be_shown(self, fine: StillPainter) -> None:
        scene = fine.analyze("a lion")
        inspector = PatchInspector(fine, scene.paint(0, [(23, 23)], 2.0))
        hand(inspector, "mouse_move", 23, 22)
        assert inspector.hovered == (23, 22)
        assert read(inspector).startswith("Patch (23, 22) ")
        click(inspector, 20, 21)
        assert inspector.patch == (20, 21)
        press(inspector, "ArrowDown")
        assert inspector.hovered == (21, 21)
        inspector.selected_feature = int(inspector.features[0])
        codes = inspector.inspection.codes[..., inspector.selected_feature]
        n = int((codes > 0).sum())
        assert f"on {n} patch" in read(inspector, "card")
        assert f"({100 * n / 576:.0f} %)" in read(inspector, "card")
        for layer in LAYERS:
            inspector.layer = layer
        inspector.region = (0, 0, 23, 23)
        assert read(inspector).startswith("576 patches mean of rows 0–23, columns 0–23")
        with pytest.raises(traitlets.TraitError, match=r"patch=\(24, 0\) .* go 0..23"):
            inspector.patch = (24, 0)
        assert inspector.last_error is None
        inspector.close()

    def test_pins_of_another_grid_are_dropped(self, fine: StillPainter, painter: StillPainter) -> None:
        coarse = painter.analyze("a lion")
        inspector = PatchInspector(fine, fine.analyze("a lion"))
        inspector.patch = (20, 20)
        fine.grid, fine.activations = painter.grid, painter.activations
        inspector.scene = coarse
        assert inspector.patch is None
        inspector.patch = (15, 15)
        assert inspector.last_error is None
        inspector.close()


def test_a_painter_that_cannot_inspect_is_refused(painter: StillPainter, scene: Scene) -> None:
    class Minimal:
        def analyze(self, prompt: str = "") -> Scene:
            return scene

        def render(self, scene: Scene) -> Any:
            return painter.render(scene)

    with pytest.raises(TypeError, match=r"has no inspect\(\), or no saes; PatchInspector needs both"):
        PatchInspector(Minimal(), scene)  # type: ignore[arg-type]


def test_a_class_of_painters_is_refused(scene: Scene) -> None:
    with pytest.raises(TypeError, match=r"StillPainter.* is a class; give a painter that is made of it"):
        PatchInspector(StillPainter, scene)  # type: ignore[arg-type]


def test_a_closed_inspector_leaves_no_widget(painter: StillPainter, scene: Scene) -> None:
    PatchInspector(painter, scene).close()  # the canvases' manager is made once
    before = set(_instances)
    PatchInspector(painter, scene).close()
    assert set(_instances) == before


def test_a_click_above_the_list_picks_nothing(inspector: PatchInspector) -> None:
    inspector.patch = (4, 9)
    pick(inspector, -1)
    assert inspector.selected_feature is None


def test_a_closed_inspector_says_so_where_it_is_shown(inspector: PatchInspector) -> None:
    inspector.close()
    message = "This PatchInspector is closed; make a new one: PatchInspector(painter, inspector.scene)"
    assert inspector._repr_mimebundle_() == ({"text/plain": message}, {})


def keys_of(inspector: PatchInspector) -> Any:
    return inspector.children[-1]


def show(inspector: PatchInspector, n: int) -> None:
    """A page says how many views it has."""
    message = {"method": "custom", "content": {"client": "page", "n": n}}
    keys_of(inspector)._handle_msg({"content": {"data": message}, "buffers": []})


def test_an_inspector_that_nobody_sees_releases_its_runs_and_inspects_again_when_shown(
    painter: StillPainter, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "REST_S", 0.05)
    inspector = PatchInspector(painter, scene.scale(0, 0.5))
    inspector.step, inspector.site, inspector.patch = 1, BEHIND, (4, 9)
    show(inspector, 1)
    runs = [weakref.ref(inspector._now), weakref.ref(inspector._before)]
    codes, features, picture = (
        inspector.inspection.codes,
        inspector.features,
        inspector._picture.image.tobytes(),
    )
    bundle = inspector._repr_mimebundle_()
    time.sleep(0.2)
    assert None not in [run() for run in runs]
    show(inspector, 0)
    end = time.monotonic() + 10
    while any(run() for run in runs):
        assert time.monotonic() < end
        time.sleep(0.05)
        gc.collect()
    assert inspector._repr_mimebundle_() == bundle
    inspector.patch = (4, 10)
    inspector.patch = (4, 9)
    assert inspector.features == features
    assert np.array_equal(inspector.inspection.codes, codes)
    assert inspector._picture.image.tobytes() == picture
    inspector.close()
