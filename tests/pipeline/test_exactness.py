"""Staging and steering change nothing that they should not: equality bit by bit, not "close"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ember_widgets import Painter, Scene
from ember_widgets.model.sdxl.staged_unet import StagedUNet


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def painter(request: pytest.FixtureRequest) -> Painter:
    return Painter.embedded(dtype=request.param)


PROMPTS = ["", "a lion in a meadow", "a castle and a moon at night", "Ünknown wörds, many of them! 12345"]


def plain(painter: Painter, prompt: str, seed: int, n_steps: int) -> NDArray[np.uint8]:
    """The picture of the pipeline itself."""
    generator = torch.Generator("cpu").manual_seed(seed)
    out = painter.pipeline(prompt, num_inference_steps=n_steps, guidance_scale=0.0, generator=generator)
    return np.asarray(out.images[0])


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_unedited_scene_is_the_pipelines_own_picture(painter: Painter, prompt: str, n_steps: int) -> None:
    for seed in (0, 2**40 + 1):
        scene = painter.analyze(prompt, seed=seed, n_steps=n_steps)
        assert np.array_equal(np.asarray(painter.render(scene)), plain(painter, prompt, seed, n_steps))


def test_the_pipeline_is_untouched_by_rendering(painter: Painter) -> None:
    before = plain(painter, "a cat", 5, 1)
    painter.render(edited(painter, 1))
    assert np.array_equal(plain(painter, "a cat", 5, 1), before)


def edited(painter: Painter, n_steps: int) -> Scene:
    """A scene with a bit of everything: painted, erased, moved, scaled, re-weighted, a feature added."""
    scene = painter.analyze("a lion and a tree in a meadow", seed=3, n_steps=n_steps)
    feature = next(iter(scene.weights(1, top=1)))
    scene = scene.paint(0, [(2, 2), (2, 3), (3, 2)], 1.3, opacity=0.7).scale(1, 0.6)
    scene = scene.erase([(12, 1), (12, 2)], heal=True).move(2, -1, 2)
    scene = scene.set_weight(0, feature, 0.4).add_factor({feature: 1.0})
    return scene.paint(scene.n_factors - 1, [(5, 11), (6, 11)], mode="add")


@pytest.mark.parametrize("n_steps", [1, 4])
def test_an_edit_with_staging_is_the_same_edit_by_a_plain_forward_hook(
    painter: Painter, n_steps: int
) -> None:
    scene = edited(painter, n_steps)
    sae = next(iter(painter.saes.values()))
    block = painter.pipeline.unet.get_submodule(sae.site)
    padded = np.zeros_like(scene.strengths)
    padded[..., : len(scene.base_basis)] = scene.base_strengths
    padded_basis = np.zeros_like(scene.basis)
    padded_basis[: len(scene.base_basis)] = scene.base_basis
    flat = (256, scene.n_factors)
    change = torch.tensor(scene.strengths - padded).view(flat) @ (torch.tensor(scene.basis) @ sae.W_dec)
    change = change + torch.tensor(padded).view(flat) @ (torch.tensor(scene.basis - padded_basis) @ sae.W_dec)
    explained = torch.tensor(padded).view(flat) @ (torch.tensor(padded_basis) @ sae.W_dec) + sae.b_dec
    gone = torch.tensor(1 - scene.remainder).view(-1, 1)

    def hook(_: Any, args: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        update = (output[0].float() - args[0].float())[0].flatten(1).T
        delta = change - gone * (update - explained)
        return (output[0] + delta.T.reshape(output[0].shape).to(output[0].dtype),)

    handle = block.register_forward_hook(hook)
    try:
        hooked = plain(painter, scene.prompt, scene.seed, n_steps)
    finally:
        handle.remove()
    assert np.array_equal(np.asarray(painter.render(scene)), hooked)
    assert not np.array_equal(hooked, plain(painter, scene.prompt, scene.seed, n_steps))


SITES = ["down_blocks.2.attentions.0", "down.2.1", "mid.0", "up.0.0", "up.0.1", "up_blocks.0.attentions.2"]


@pytest.mark.parametrize("site", SITES)
def test_prefix_and_suffix_are_the_unet_wherever_it_is_cut(painter: Painter, site: str) -> None:
    unet = painter.pipeline.unet
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(2, 4, 64, 64, generator=generator).to(unet.dtype)
    text = torch.randn(2, 7, unet.config.cross_attention_dim, generator=generator).to(unet.dtype)
    width = painter.pipeline.text_encoder_2.config.projection_dim
    pooled = torch.randn(2, width, generator=generator).to(unet.dtype)
    added = {"text_embeds": pooled, "time_ids": torch.tensor([[256.0, 256, 0, 0, 256, 256]] * 2)}
    t = torch.tensor(499)
    staged = StagedUNet(unet, site)
    with torch.no_grad():
        whole = unet(sample, t, encoder_hidden_states=text, added_cond_kwargs=added).sample
        state = staged.prefix(sample, t, text, added)
        assert torch.equal(staged.suffix(state, state.hidden_out), whole)
        # The state is kept for further edits, so running the rest must leave it as it is.
        assert torch.equal(staged.suffix(state, state.hidden_out), whole)


def test_a_site_that_is_not_there(painter: Painter) -> None:
    with pytest.raises(
        ValueError, match=r"site='down\.9\.9', but this UNet has no such attention block; choose "
    ):
        StagedUNet(painter.pipeline.unet, "down.9.9")
