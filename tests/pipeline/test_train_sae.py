"""`Painter.train_sae`: from prompts to dictionaries to paint with, on the embedded model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.tracking import GeneralTracker

import ember_widgets as ember
from ember_widgets.painter import sae_training
from ember_widgets.training.config import TrainConfig

pytestmark = pytest.mark.pipeline

PROMPTS = ["a cat in the snow", "a ship on the sea", "a castle on a hill", 3]
SETTINGS: dict[str, Any] = {
    "site": ["up.0.1", "down.2.1"],
    "expansion": 2,
    "n_patches": 8 * 256,
    "batch": 256,
    "buffer": 512,
}


@pytest.fixture(scope="module", autouse=True)
def few_pictures() -> Iterator[None]:
    """Dictionaries are measured on few pictures: it is fast, and nothing here is about how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sae_training, "HELD_OUT", 4)
        yield


class Drawing(GeneralTracker):  # type: ignore[misc]
    """A tracker that, at each row of a training, draws with the same painter in another thread."""

    name = "drawing"
    requires_logging_directory = False

    def __init__(self, painter: ember.Painter, scene: ember.Scene) -> None:
        super().__init__(_blank=True)
        self.painter, self.scene = painter, scene
        self.drawn: list[Any] = []
        self.settings: dict[str, Any] = {}

    @property
    def tracker(self) -> None:
        return None

    def start(self) -> None:
        pass

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, Any], step: int | None = None, **others: Any) -> None:
        other = threading.Thread(
            target=lambda: self.drawn.append(self.painter.render(self.scene)), daemon=True
        )
        other.start()
        other.join(timeout=20)

    def _draw(self) -> None:
        self.drawn.append(self.painter.render(self.scene))

    def finish(self) -> None:
        pass


@dataclass
class Trained:
    run: ember.TrainingRun
    folder: Path
    drawn: list[Any]
    settings: dict[str, Any]


@pytest.fixture(scope="module")
def trained(painter: ember.Painter, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two dictionaries on one stream."""
    folder = tmp_path_factory.mktemp("runs") / "two"
    drawing = Drawing(painter, painter.analyze("a pine in the snow", seed=1))
    run = painter.train_sae(PROMPTS, folder=folder, progress=False, logger=drawing, **SETTINGS)
    return Trained(run, folder, drawing.drawn, drawing.settings)


def test_trains_several_dictionaries_on_one_stream(trained: Trained) -> None:
    run = trained.run
    assert set(run.saes) == {"down.2.1-k10-x2", "up.0.1-k10-x2"}
    assert run.is_finished
    assert run.n_skipped > 0
    assert "prompts were skipped" in run.report()
    for name, sae in run.saes.items():
        fvu = [row.fvu for row in run.history if row.dictionary == name]
        assert len(fvu) == 8
        assert fvu[-1] < 0.95 * fvu[0]
        assert run.quality[name].fvu < 1
        assert ember.load_sae(trained.folder / name).n_features == sae.n_features == 320


def test_others_use_the_painter_meanwhile(painter: ember.Painter, trained: Trained) -> None:
    scene = painter.analyze("a pine in the snow", seed=1)
    assert [picture.tobytes() for picture in trained.drawn] == [painter.render(scene).tobytes()] * 8


def test_trackers_get_how_it_is_trained(trained: Trained) -> None:
    settings = {name: trained.settings[name] for name in ("site", "k", "expansion", "n_patches", "batch")}
    site = "up_blocks.0.attentions.1, down_blocks.2.attentions.1"
    assert settings == {"site": site, "k": 10, "expansion": 2, "n_patches": 2048, "batch": 256}


def test_the_folder_is_of_one_run(painter: ember.Painter, trained: Trained) -> None:
    again = painter.train_sae(PROMPTS, folder=trained.folder, progress=False, **SETTINGS)
    assert again.report() == trained.run.report()
    names = "dictionaries: 'down.2.1-k10-x2, up.0.1-k10-x2' there, 'down.2.1-k5-x2, up.0.1-k5-x2' here"
    with pytest.raises(ValueError, match=rf"of another run \({names}\); give"):
        painter.train_sae(PROMPTS, folder=trained.folder, progress=False, k=5, **SETTINGS)
    with pytest.raises(ValueError, match=r"aux_weight: 0.03125 there, 0.5 here"):
        painter.train_sae(PROMPTS, folder=trained.folder, progress=False, aux_weight=0.5, **SETTINGS)
    weight = next(iter(painter.pipeline.unet.parameters()))
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1)  # another model
    try:
        with pytest.raises(ValueError, match=r"of another run \(model: "):
            painter.train_sae(PROMPTS, folder=trained.folder, progress=False, **SETTINGS)
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_says_what_it_takes_and_paints_with_it(
    painter: ember.Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = painter.train_sae(
        PROMPTS[:3], folder=tmp_path / "one", site="up.0.1", n_patches=1024, batch=512, buffer=1024
    )
    said = capsys.readouterr()
    assert len(said.out.splitlines()) <= 5
    assert "1,024 patches of 4 pictures (each of 3 prompts 1.3 times" in said.out
    assert "for 2 steps" in said.out
    assert "1.02k/1.02k" in said.err
    mine = ember.Painter(painter.pipeline, run.sae, name="embedded")
    scene = mine.analyze("a cat in the snow", seed=3)
    assert (
        mine.render(scene).tobytes() == painter.render(painter.analyze("a cat in the snow", seed=3)).tobytes()
    )


def test_is_silent_if_asked(
    painter: ember.Painter, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.train_sae(PROMPTS, folder=trained.folder, progress=False, **SETTINGS)
    said = capsys.readouterr()
    assert said.out == said.err == ""


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"batchsize": 3}, TypeError, "'batchsize' is not a setting of a training; there are"),
        ({"site": "down.9.9"}, ValueError, "down"),
        ({"k": 10_000}, ValueError, "k=10000"),
        ({"prompts": []}, ValueError, "prompts is empty"),
        ({"logger": "tensorbord"}, ValueError, "'tensorbord' is unknown"),
        ({"n_patches": 10}, ValueError, "n_patches=10"),
        ({"steps": [1]}, ValueError, "steps"),
        ({"steps": []}, ValueError, r"steps=\[\]; give one or more, each once"),
        ({"steps": [0, 0]}, ValueError, r"steps=\[0, 0\]; give one or more, each once"),
        ({"steps": 0}, TypeError, "steps=0 is not a list"),
        ({"batch": 0}, ValueError, "batch=0 is outside 1"),
        ({"k": []}, ValueError, r"k=\[\]; give one or more, each once"),
        ({"k": [5, 5]}, ValueError, "k=.*each once"),
        ({"k": 2.5}, TypeError, "k=2.5 is not a list; give a number above 0, or several"),
        ({"expansion": [1, 0]}, ValueError, "expansion=0 is outside 1"),
        ({"site": 3}, TypeError, "site=3 is not a list; give one site, or several"),
        ({"guidance": "7"}, TypeError, "guidance='7' is not a number"),
        ({"site": []}, ValueError, r"site=\[\]; give one or more, each once"),
    ],
)
def test_refuses_what_it_cannot_do(
    painter: ember.Painter, tmp_path: Path, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        painter.train_sae(**{"prompts": PROMPTS, "folder": tmp_path / "new", "progress": False, **given})
    assert not (tmp_path / "new").exists()


def test_has_a_sensible_number_of_patches(painter: ember.Painter) -> None:
    default_patches, backbone = sae_training.default_patches, painter.backbone
    assert default_patches(backbone, ["up.0.1"], 8, 4096) == 3125 * 4096  # 10,000 for each of 1,280 features
    assert default_patches(backbone, ["up.0.1"], [1, 2], 4096) == 1000 * 4096
    assert default_patches(backbone, ["up.0.1"], np.int64(8), 4096) == 3125 * 4096


def test_numbers_may_be_those_of_numpy() -> None:
    parts = sae_training.parts_of(
        ["up.0.1"],
        TrainConfig(n_patches=4096),
        np.int64(10),
        np.array([4, 8]),  # type: ignore[arg-type]
    )
    assert list(parts) == ["up.0.1-k10-x4", "up.0.1-k10-x8"]
