"""Convolutions that are computed before upsampling give what they give after it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ember_widgets.model.sdxl.upsampling import UpsampledConv, UpsampledConvs, before_upsampling
from ember_widgets.painter.painter import Painter

TWICE = nn.Upsample(scale_factor=2)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_one_convolution(bias: bool) -> None:
    conv, x = nn.Conv2d(5, 7, 3, padding=1, bias=bias), torch.randn(2, 5, 4, 9)
    torch.testing.assert_close(UpsampledConv(conv)(x), conv(TWICE(x)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(2, 2), (4, 9), (16, 3)])
@torch.no_grad()
def test_two_convolutions_up_to_the_border(size: tuple[int, int]) -> None:
    first = nn.Conv2d(5, 7, 3, padding=1, bias=False)
    second, x = nn.Conv2d(7, 3, 3, padding=1), torch.randn(1, 5, *size)
    torch.testing.assert_close(UpsampledConvs(first, second)(x), second(first(TWICE(x))), atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_embedded_model_computes_the_same() -> None:
    pipe = Painter.embedded(dtype="float32").pipeline
    unet, vae, latents = copy.deepcopy(pipe.unet), copy.deepcopy(pipe.vae), torch.randn(1, 4, 64, 64)
    before_upsampling(unet, vae)
    kinds = [type(module) for part in (unet, vae) for module in part.modules()]
    # Two in the UNet and two in the decoder, of which one holds another for its border.
    assert (kinds.count(UpsampledConv), kinds.count(UpsampledConvs)) == (4, 1)
    torch.testing.assert_close(vae.decode(latents).sample, pipe.vae.decode(latents).sample, atol=1e-4, rtol=0)
    text = {"encoder_hidden_states": torch.randn(1, 32, 64)}
    added = {"text_embeds": torch.randn(1, 64), "time_ids": torch.zeros(1, 6)}
    found, expected = (u(latents, 999.0, **text, added_cond_kwargs=added).sample for u in (unet, pipe.unet))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_other_decoders_stay_as_they_are() -> None:
    layers = [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 3, 1)]
    vae = nn.Module()
    vae.decoder = nn.Module()
    vae.decoder.layers = nn.Sequential(*layers)
    before_upsampling(nn.Module(), vae)
    assert list(vae.decoder.layers) == layers
