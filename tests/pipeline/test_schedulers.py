"""Unedited pictures are the pipeline's own with every scheduler that diffusers offers for SDXL."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from ember_widgets import Painter
from tests.pipeline import tiny

SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler",
    "EDMEulerScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
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
