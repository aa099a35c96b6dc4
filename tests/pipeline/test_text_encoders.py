"""The text encoders of the embedded model have the weights that their files have, not random ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ember_widgets as ember

ASSETS = Path(ember.__file__).parent / "embedded" / "assets" / "pipeline"


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2"])
def test_every_weight_of_the_file_is_in_the_module(painter: ember.Painter, part: str) -> None:
    module = getattr(painter.pipeline, part)
    # Some versions of transformers leave the prefix out of a module's names.
    loaded = {name.removeprefix("text_model."): value for name, value in module.state_dict().items()}
    saved = load_file(ASSETS / part / "model.safetensors")
    assert len(saved) > 10
    for name, value in saved.items():
        found = loaded[name.removeprefix("text_model.")]
        assert torch.equal(found.cpu(), value.to(found.dtype)), name
