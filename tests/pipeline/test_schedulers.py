"""Unedited pictures are the pipeline's own with every scheduler that diffusers offers for SDXL."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from ember_widgets import Painter
from ember_widgets.model.runs import Run
from tests.pipeline import tiny

EULER = "EulerDiscreteScheduler"
SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler",
    "EDMEulerScheduler",
    "EulerAncestralDiscreteScheduler",
    EULER,
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Painter:
    pipe = tiny.pipeline(tmp_path_factory.mktemp("tiny"), sample_size=32)
    return Painter(pipe, tiny.sae(), name="tiny", guidance=3.0)


def test_none_is_missing(painter: Painter) -> None:
    known = {kind.__name__ for kind in painter.pipeline.scheduler.compatibles}
    assert sorted(known - set(SCHEDULERS)) == []


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context")  # diffusers' KDPM2
@pytest.mark.parametrize("guidance", [0.0, 3.0])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_unedited_scene_is_the_pipelines_own_picture(painter: Painter, name: str, guidance: float) -> None:
    if name == "DPMSolverSDEScheduler" and find_spec("torchsde") is None:
        pytest.skip("diffusers asks for torchsde")
    pipe: Any = painter.pipeline
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
    scene = painter.blank("a lion", seed=3, n_steps=4, guidance=guidance)
    unedited = scene.replace(remainder=np.ones_like(scene.remainder))
    generator = torch.Generator("cpu").manual_seed(3)
    own = pipe("a lion", num_inference_steps=4, guidance_scale=guidance, generator=generator).images[0]
    assert np.array_equal(np.asarray(painter.render(unedited)), np.asarray(own))


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context")
@pytest.mark.parametrize(
    "name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2DiscreteScheduler"]
)
def test_edits_apply_in_all_steps_however_often_the_unet_runs(painter: Painter, name: str) -> None:
    pipe: Any = painter.pipeline
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
    backbone = painter.model.backbone
    start = backbone.start(Run("a lion", 3, 4))
    steps = []

    def notes(step: int, state: Any) -> Any:
        steps.append(step)
        return state.hidden_out

    backbone.run(start, notes)
    assert steps == ([0, 1, 2, 3] if name == EULER else [0, 0, 1, 1, 2, 2, 3])
    for step in range(4):
        steps.clear()
        backbone.reach(start, [notes], step, backbone.sites[0])
        assert steps[-1] == step
        assert len(steps) == start.first_of(step) + 1
