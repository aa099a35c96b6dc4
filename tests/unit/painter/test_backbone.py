"""A painter paints with any backbone: one that is not SDXL, and whose grid is not square."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets import SAE, Painter, Scene
from ember_widgets.model.backbone import Backbone
from ember_widgets.model.runs import Edit, Run, SiteState, Start
from ember_widgets.painter.protocol import CAPABILITIES, capabilities
from ember_widgets.scene.grid import Grid
from ember_widgets.util.cancelled import Cancelled, raise_if_cancelled

SITE, D_MODEL, N_FEATURES = "layers.3", 6, 12
GRID = Grid(4, 6)


@dataclass(frozen=True)
class ToyStart(Start):
    """A start that knows its number of steps."""

    n_steps: int


class Toy:
    """One layer. Its picture shows three of the channels that leave the site at the last step."""

    pipeline = None
    sites = (SITE,)
    grid = GRID
    device = torch.device("cpu")
    picture_side = 24
    has_preview_decoder = False
    previews_in_one_step = True

    def width(self, site: str) -> int:
        return D_MODEL

    def weights(self) -> Iterable[bytes]:
        return [b"toy"]

    def version(self) -> object:
        return 0

    def forget(self) -> None:
        pass

    def start(self, run: Run) -> ToyStart:
        seed = sum(run.prompt.encode()) + run.seed
        noise = torch.rand(1, D_MODEL, *self.grid.shape, generator=torch.Generator().manual_seed(seed))
        return ToyStart((SiteState(noise, 2 * noise),), run.n_steps)

    def repeated(self, start: ToyStart, n: int) -> ToyStart:
        (state,) = start.states
        return replace(start, states=(SiteState(*(t.expand(n, *t.shape[1:]) for t in vars(state).values())),))

    def run(
        self,
        start: ToyStart,
        *edits: Edit | None,
        style: Any = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Tensor:
        out = start.first.hidden_out
        for step in range(start.n_steps):
            raise_if_cancelled(cancelled)
            out = self.reach(start, edits, step, SITE).hidden_out
        return out if style is None else out * style

    def reach(
        self, start: ToyStart, edits: Sequence[Edit | None], step: int, site: str, style: Any = None
    ) -> SiteState:
        state = start.first
        return state if not edits or edits[0] is None else replace(state, hidden_out=edits[0](step, state))

    def words(self, prompt: str, guided: bool = False) -> float:
        return 1 / (1 + len(prompt))

    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        return np.zeros((1, 2, 2), np.float32)

    def decode(self, latents: Tensor, *, preview: bool = False) -> Image.Image:
        pixels = (latents[0, :3].clamp(0, 4) * 60).to(torch.uint8).permute(1, 2, 0).numpy()
        return Image.fromarray(pixels).resize((24, 24), Image.Resampling.NEAREST)

    @contextlib.contextmanager
    def memory(self, doing: str, *caches: Callable[[], None]) -> Iterator[None]:
        yield


class Square(Toy):
    """With SDXL-Turbo's grid."""

    grid = Grid(16, 16)

    def weights(self) -> Iterable[bytes]:
        return [b"square"]


def sae(site: str = SITE) -> SAE:
    directions = torch.cat([torch.eye(D_MODEL), -torch.eye(D_MODEL)])
    return SAE(
        W_enc=directions.T.contiguous(),
        b_enc=torch.zeros(N_FEATURES),
        W_dec=directions,
        b_dec=torch.zeros(D_MODEL),
        activation="topk",
        k=4,
        threshold=None,
        target="update",
        site=site,
        unit=torch.ones(N_FEATURES),
        sha256="0" * 64,
    )


@pytest.fixture
def painter() -> Painter:
    return Painter(Toy(), sae(), name="toy")


def pixels(painter: Painter, scene: Scene) -> NDArray[np.int16]:
    return np.asarray(painter.render(scene), np.int16)


def test_a_toy_is_a_backbone() -> None:
    assert isinstance(Toy(), Backbone)


def test_a_scene_has_the_backbones_grid(painter: Painter) -> None:
    scene = painter.analyze("a", n_factors=3)
    assert scene.strengths.shape == (4, 6, 3)
    assert scene.remainder.shape == painter.blank().remainder.shape == (4, 6)
    assert painter.activations(scene).shape == (4, 6, N_FEATURES)
    assert painter.grid == GRID
    assert painter.space.sites == (SITE,)


def test_unedited_is_the_backbones_own_picture(painter: Painter) -> None:
    backbone, scene = Toy(), painter.analyze("a", seed=3, n_factors=3, n_steps=2)
    plain = backbone.decode(backbone.run(backbone.start(Run("a", 3, 2))))
    assert np.array_equal(pixels(painter, scene), np.asarray(plain))


def test_edits_change_the_patches_that_they_touch(painter: Painter) -> None:
    scene = painter.analyze("a", n_factors=3)
    for edited in (
        scene.paint(0, [(1, 5)], 3.0),
        scene.erase([(1, 5)]),
        scene.add_factor({2: 1.0}).paint(3, [(1, 5)], 2.0),
    ):
        changed = np.abs(pixels(painter, edited) - pixels(painter, scene)).sum(-1) > 0
        assert changed[6:12, 20:].all()
        assert changed.sum() == 6 * 4


def test_all_else_works_on_that_grid(painter: Painter, tmp_path: Path) -> None:
    scene = painter.analyze("a", n_factors=2, n_steps=2)
    edited = scene.move(0, 0, 1).scale(1, 2.0)
    edited.save(tmp_path / "scene.json")
    assert Scene.load(tmp_path / "scene.json") == edited
    assert painter.refit(edited, 3).strengths.shape == (4, 6, 3)
    assert painter.reseed(edited, 7).seed == 7
    inspection = painter.inspect(edited, step=1)
    assert inspection.counts.shape == (4, 6)
    assert inspection.explained("everything") > 0.5
    assert painter.draw_icons([0, 7])[1].tobytes() == painter.icon(7).tobytes()
    assert painter.sweep(edited, 0, (1.0,), seeds=(0,)).mode == "RGB"
    assert not np.array_equal(pixels(painter, scene.restyle("dark")), pixels(painter, scene))


def test_drawing_can_be_cancelled_by_either_name(painter: Painter) -> None:
    scene = painter.analyze("a", n_factors=2)
    with pytest.raises(Cancelled):
        painter.render(scene, cancelled=lambda: True)
    with pytest.raises(Cancelled):
        painter.render(scene, stale=lambda: True)


def test_a_scene_of_another_grid_is_refused(painter: Painter) -> None:
    class Wide(Toy):
        grid = Grid(5, 6)

    with pytest.raises(ValueError) as caught:
        Painter(Wide(), sae(), name="toy").render(painter.analyze("a", n_factors=2))
    assert str(caught.value) == (
        "this scene has 4×6 patches, but this painter's model has 5×6; load the model it was made with"
    )


def test_saes_of_other_sites_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the SAEs are of layers\.4, but the backbone has the sites layers\.3"
    ):
        Painter(Toy(), sae("layers.4"), name="toy")


def test_a_painter_offers_every_capability_but_a_servers(painter: Painter) -> None:
    of_a_server = {"connection", "share"}
    assert capabilities(painter) == tuple(name for name in CAPABILITIES if name not in of_a_server)


def test_a_start_is_freed_only_while_no_other_thread_uses_the_model(painter: Painter) -> None:
    other = threading.Thread(target=painter.model.release, daemon=True)
    with painter.model.lock:
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join(20)
    assert not other.is_alive()


ONE = [np.int64(1), np.int8(1), np.uint16(1)]


@pytest.mark.parametrize("one", ONE, ids=[str(one.dtype) for one in ONE])
def test_numpys_integers_are_numbers(painter: Painter, one: Any) -> None:
    scene = painter.analyze("a", seed=one, n_steps=one, n_factors=one)
    assert scene == painter.analyze("a", seed=1, n_steps=1, n_factors=1)
    assert type(scene.seed) is type(scene.n_steps) is int
    assert painter.analyze("a", n_factors={SITE: one}).n_factors == 1
    assert painter.blank(seed=one, n_steps=one) == painter.blank(seed=1, n_steps=1)
    two = painter.analyze("a", n_steps=2, n_factors=2)
    assert painter.analyze("a", n_steps=2, n_factors=2, edit_steps=(one, one + one)).edit_steps == (1, 2)
    assert painter.refit(two, one) == painter.refit(two, 1)
    assert painter.reseed(two, one) == painter.reseed(two, 1)
    assert painter.inspect(two, step=one).step == 1
    assert painter.icon(one, seed=one).tobytes() == painter.icon(1, seed=1).tobytes()
    assert painter.draw_icons([one])[0].tobytes() == painter.draw_icons([1])[0].tobytes()
    sheet = painter.sweep(two, one, [one], seeds=(one,), side=np.int64(32))
    assert sheet.tobytes() == painter.sweep(two, 1, [1], seeds=[1], side=32).tobytes()
    square = Painter(Square(), sae(), name="square")
    assert len(square.collect(["a"], seeds=[one], progress=False)) == 1


def test_a_plain_picture_has_as_many_factors_as_things_whatever_type_the_number_has() -> None:
    """A picture of two features, asked for in five factors."""

    class Plain(Toy):
        def start(self, run: Run) -> ToyStart:
            state = torch.zeros(1, D_MODEL, *GRID.shape)
            out = state.clone()
            out[:, 0, :2], out[:, 1, 2:] = 1.0, 1.0
            return ToyStart((SiteState(state, out),), run.n_steps)

    painter = Painter(Plain(), sae(), name="plain")
    assert painter.analyze(n_factors=5).n_factors == 2
    assert painter.analyze(n_factors=np.int64(5)).n_factors == 2


@pytest.mark.parametrize("scale", [np.float32(7.5), np.float64(7.5), np.int64(7)])
def test_numpys_floats_are_numbers(painter: Painter, scale: Any) -> None:
    scene = painter.analyze("a", n_factors=2, guidance=scale, image=np.zeros((8, 8, 3), np.uint8),
                            image_strength=np.float32(0.5))  # fmt: skip
    assert scene.guidance == float(scale)
    assert type(scene.guidance) is type(scene.image_strength) is float
    assert painter.icon(0, strength=np.float32(2)).tobytes() == painter.icon(0, strength=2.0).tobytes()
    assert Painter(Toy(), sae(), name="toy", guidance=scale).guidance == float(scale)


@pytest.mark.parametrize("no", [True, np.True_, 1.0, np.float64(1), "1", None])
@pytest.mark.parametrize(
    "call",
    [
        lambda p, s, no: p.analyze(seed=no),
        lambda p, s, no: p.analyze(n_steps=no),
        lambda p, s, no: p.analyze(n_factors="" if no is None else no),  # None is the default
        lambda p, s, no: p.analyze(n_factors={SITE: no}),
        lambda p, s, no: p.blank(seed=no),
        lambda p, s, no: p.blank(n_steps=no),
        lambda p, s, no: p.refit(s, no),
        lambda p, s, no: p.reseed(s, no),
        lambda p, s, no: p.sweep(s, 0, seeds=[no]),
        lambda p, s, no: p.sweep(s, 0, side=no),
        lambda p, s, no: p.inspect(s, step=no),
        lambda p, s, no: p.icon(no),
        lambda p, s, no: p.draw_icons([no]),
        lambda p, s, no: p.collect(["a"], seeds=[no]),
    ],
)
def test_what_is_not_a_whole_number_is_refused(
    painter: Painter, call: Callable[[Painter, Scene, Any], Any], no: Any
) -> None:
    scene = painter.analyze("a", n_factors=2)
    with pytest.raises(TypeError, match="is not a whole number"):
        call(painter, scene, no)


def test_without_a_number_of_factors_there_are_five_at_most(painter: Painter) -> None:
    assert painter.analyze("a") == painter.analyze("a", n_factors=None) == painter.analyze("a", n_factors=5)


@pytest.mark.parametrize("no", [True, np.False_, "0.5"])
@pytest.mark.parametrize(
    "call",
    [
        lambda p, s, no: p.analyze(guidance=no),
        lambda p, s, no: p.analyze(image=np.zeros((8, 8, 3), np.uint8), image_strength=no),
        lambda p, s, no: p.blank(guidance=no),
        lambda p, s, no: p.icon(0, strength=no),
        lambda p, s, no: p.sweep(s, 0, [no]),
        lambda p, s, no: Painter(Toy(), sae(), name="toy", guidance=no),
    ],
)
def test_what_is_not_a_number_is_refused(
    painter: Painter, call: Callable[[Painter, Scene, Any], Any], no: Any
) -> None:
    scene = painter.analyze("a", n_factors=2)
    with pytest.raises(TypeError, match="is not a number"):
        call(painter, scene, no)


@pytest.mark.parametrize("feature", [-1, N_FEATURES])
def test_an_icon_of_no_feature_is_refused(painter: Painter, feature: int) -> None:
    for call in (painter.icon, lambda f: painter.draw_icons([f])):
        with pytest.raises(ValueError, match=f"feature={feature} is outside 0..11"):
            call(feature)


class TestSameWeightsUnderAnotherName:
    """A scene made with a hub id is drawn by the same weights from a folder."""

    def test_a_scene_carries_the_key(self, painter: Painter) -> None:
        assert painter.analyze(n_factors=2).model["key"] == painter.blank().model["key"] == painter.key

    def test_is_accepted(self, painter: Painter) -> None:
        scene = Painter(Toy(), sae(), name="someone/toy").analyze("a", n_factors=2)
        assert np.array_equal(pixels(painter, scene), pixels(painter, painter.analyze("a", n_factors=2)))

    def test_of_other_weights_it_is_refused(self, painter: Painter) -> None:
        class Other(Toy):
            def weights(self) -> Iterable[bytes]:
                return [b"other"]

        scene = Painter(Other(), sae(), name="someone/toy").analyze("a", n_factors=2)
        with pytest.raises(ValueError, match="made with model 'someone/toy', but this painter has 'toy'"):
            painter.render(scene)

    def test_a_scene_without_a_key_is_checked_by_its_name(self, painter: Painter) -> None:
        scene = painter.analyze("a", n_factors=2)
        old = {name: value for name, value in scene.model.items() if name != "key"}
        painter.render(scene.replace(model=old))
        with pytest.raises(ValueError, match="made with model 'someone/toy', but this painter has 'toy'"):
            painter.render(scene.replace(model=old | {"id": "someone/toy"}))

    def test_weights_are_read_once_and_not_before_they_have_to_be(self) -> None:
        read: list[int] = []

        class Counting(Toy):
            def weights(self) -> Iterable[bytes]:
                read.append(1)
                return [b"toy"]

        painter = Painter(Counting(), sae(), name="toy")
        assert read == []
        painter.render(painter.analyze("a", n_factors=2))
        painter.render(painter.analyze("b", n_factors=2))
        assert read == [1]
