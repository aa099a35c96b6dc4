"""Painters for the tests of the atlas: with an SAE, and one that labels features as a script says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.collection import Collection
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Label, Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.labelling.forecast import LabelForecast
from ember_widgets.labelling.run import LabelProgress, LabelRun
from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene
from tests.unit.widgets.paint.paint_bench import FakePainter

N = 60
DEAD = (3, 17)
POSITIONAL = (5, 6)


def make_sae(n: int = N) -> SAE:
    torch.manual_seed(0)
    return SAE(
        W_enc=torch.randn(16, n),
        b_enc=torch.zeros(n),
        W_dec=torch.randn(n, 16) * torch.rand(n, 1),
        b_dec=torch.zeros(16),
        activation="topk",
        k=4,
        threshold=None,
        target="update",
        site="down_blocks.2.attentions.1",
        unit=torch.rand(n) + 0.5,
        positional=POSITIONAL,
        sha256="ab" * 32,
    )


class Painter(FakePainter):
    """With an SAE, labels, icons and statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.saes = {"down_blocks.2.attentions.1": make_sae()}
        self.labels = Labels({7: "cat", 9: "cat asleep", 3: "cathedral", 20: "<b>dog</b>"}, n_features=N)
        self.icons = Icons(N, self.draw_icons)
        frequency = np.linspace(0.5, 0.001, N, dtype=np.float32)
        frequency[list(DEAD)] = 0
        self.statistics = Statistics(frequency, np.where(frequency > 0, 2.0, 0.0).astype(np.float32), 100)

    def icon(self, feature: int) -> Image.Image:
        return self.draw_icons([feature])[0]

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """A square of a colour; feature 9 draws nothing."""
        pictures = [Image.new("RGB", (64, 64), "white") for _ in features]
        for picture, feature in zip(pictures, features, strict=True):
            if feature != 9:
                picture.paste((feature, 0, 0), (20, 20, 44, 44))
        return pictures


SITE = "down_blocks.2.attentions.1"
SAE_NAME = "ab" * 8
MODEL = "a-judge"


def label(
    text: str, causal: float, detection: float = 0.9, category: str = "object", note: str = ""
) -> Label:
    """As a vision-language model gives it."""
    scores, counts = {"detection": detection, "causal": causal}, {"detection": 10, "causal": 10}
    return Label(text, "", scores, counts, category, note, model=MODEL, date="2026-11-29")


class Client:
    """A vision-language model that is never asked: the painter has the answers."""

    model = MODEL
    in_flight = 2

    async def ask(self, question: Any) -> Any:
        raise AssertionError("asked")

    async def close(self) -> None:
        """Nothing is open."""


class LabellingPainter(Painter):
    """Labels features as a script says; without one, "thing 12", shown by painting in 9 of 10 pairs.

    Args:
        script: {feature: its label, or why it has none}.
        each_s: How long each feature takes.

    Attributes:
        asked: The features of each run.
        steps: Cleared, the next feature waits for it.
        breaks: Raised by the next run or forecast.
    """

    def __init__(self, script: Mapping[int, Label | str] | None = None, each_s: float = 0.0) -> None:
        super().__init__()
        self.script, self.each_s = dict(script or {}), each_s
        self.asked: list[list[int]] = []
        self.steps = threading.Event()
        self.steps.set()
        self.breaks: Exception | None = None
        self.cost: float | None = None
        self.concepts: ConceptBank | None = None

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        model = {"id": "embedded", "sae": SAE_NAME, "site": SITE}
        return make_scene(n_factors, N, prompt=prompt, seed=seed, n_steps=n_steps, model=model)

    def label_forecast(self, features: Iterable[int] | None = None, **more: Any) -> LabelForecast:
        """Three calls for each feature, 10 s for each call."""
        if self.breaks is not None:
            raise self.breaks
        n = len(list(features or ()))
        return LabelForecast(n, 3 * n, 49 * n, 4000 * n, 60 * n, 10.0 * n, self.cost)

    def label(
        self,
        features: Iterable[int] | None = None,
        *,
        on_label: Callable[[LabelProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        **more: Any,
    ) -> LabelRun:
        """Label one after the other."""
        features = list(features or ())
        self.asked.append(features)
        given, faults, n_done = dict[int, Label](), dict[int, str](), 0
        for feature in features:
            if not self.steps.wait(10):
                raise TimeoutError("the test forgot to let it go on")
            if cancelled is not None and cancelled():
                break
            time.sleep(self.each_s)
            if self.breaks is not None:
                raise self.breaks
            answer = self.script.get(feature, label(f"thing {feature}", 0.9))
            n_done += 1
            if isinstance(answer, Label):
                given[feature] = answer
            else:
                faults[feature] = answer
            if on_label is not None:
                got = given.get(feature)
                on_label(LabelProgress(n_done, len(features), feature, got, faults.get(feature, "")))
        self.labels.add(Labels(given))
        counts = {"labelled": len(given), "refused": len(faults)}
        is_finished = n_done == len(features)
        return LabelRun(Labels(given), counts, faults, is_finished, 0, 0, self.cost, "USD", 0.0, Path(), "")


def make_collection(folder: Path, n_pictures: int = 2) -> Collection:
    """Pictures in which every feature but the dead ones is active."""
    collection = Collection.create(folder, N, {"id": "embedded", "sae": SAE_NAME})
    for seed in range(n_pictures):
        codes = np.zeros((16, 16, N), np.float32)
        codes[4:12, 4:12] = 1 + np.random.default_rng(seed).random(N)
        codes[..., list(DEAD)] = 0
        collection.add("a scene", seed, codes, Image.new("RGB", (64, 64), (40 * seed, 90, 120)))
    collection.flush()
    return collection
