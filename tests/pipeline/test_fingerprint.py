"""`ember-widgets info` says whether the embedded model draws what it drew when it was released."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import ember_widgets as ember
from ember_widgets import Painter
from ember_widgets.cli import main
from ember_widgets.embedded import fingerprint
from ember_widgets.painter import open as opening


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the embedded model that may be changed."""
    folder = tmp_path / "assets"
    shutil.copytree(Path(ember.__file__).parent / "embedded" / "assets", folder)
    monkeypatch.setattr(opening, "ASSETS", folder)
    return folder


def change(file: Path, begin: str, by: float) -> None:
    """Noise in those weights of a file whose names begin so: `by` times their own spread."""
    g = torch.Generator().manual_seed(0)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    state = {name: tensor.clone() for name, tensor in load_file(file).items()}
    for name, tensor in state.items():
        if name.startswith(begin) and tensor.ndim > 1:
            state[name] = tensor + (torch.randn(tensor.shape, generator=g) * tensor.std() * by).to(
                tensor.dtype
            )
    save_file(state, file, metadata=metadata)


def test_the_pictures_are_those_of_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["info"]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("  pictures: as released (values differ by at most ")


@pytest.mark.parametrize(
    ("file", "begin", "by"),
    [
        ("pipeline/text_encoder/model.safetensors", "", 0.5),
        ("pipeline/text_encoder_2/model.safetensors", "", 0.5),
        ("pipeline/unet/diffusion_pytorch_model.safetensors", "up_blocks.0.attentions.0", 0.1),
        ("pipeline/vae/diffusion_pytorch_model.safetensors", "decoder", 0.1),
        ("sae/sae.safetensors", "W_dec", 0.1),
    ],
)
def test_other_weights_are_noticed(
    assets: Path, file: str, begin: str, by: float, capsys: pytest.CaptureFixture[str]
) -> None:
    change(assets / file, begin, by)
    assert main.main(["info"]) == 2
    printed = capsys.readouterr()
    assert "Embedded model: " in printed.out
    assert "pictures: as released" not in printed.out
    assert printed.err.startswith("ember-widgets: the embedded model's pictures are not as released: values")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2"])
def test_random_text_encoders_are_noticed(part: str) -> None:
    """As transformers 5.0 to 5.5 made them."""
    painter = Painter.embedded(dtype="float32")
    module = getattr(painter.pipeline, part)
    torch.manual_seed(0)
    module.load_state_dict(type(module)(module.config).state_dict())
    found = fingerprint.draw(Painter(painter.pipeline, painter.saes, name="x", labels=painter.labels))
    released = fingerprint.draw(Painter.embedded(dtype="float32"))
    assert abs(found.astype(int) - released).max() > 50


def test_a_model_that_cannot_be_loaded_is_told_with_the_rest(
    assets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (assets / "pipeline" / "model_index.json").write_text("[]")
    assert main.main(["info"]) == 2
    printed = capsys.readouterr()
    assert "diffusers" in printed.out
    assert printed.err.startswith("ember-widgets: the embedded model cannot draw: ")
    assert "model_index.json is damaged" in printed.err
