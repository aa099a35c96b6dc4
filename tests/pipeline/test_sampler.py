"""The loop is the pipelines' own, step by step: with and without guidance, from noise or a photograph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline
from PIL import Image
from torch import Tensor

from ember_widgets import Painter, Scene
from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.model.sdxl.staged_unet import StagedUNet
from tests.pipeline import tiny

PROMPT = "a lion in a meadow"


@pytest.fixture(scope="module")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny.pipeline(tmp_path_factory.mktemp("turbo"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny.pipeline(tmp_path_factory.mktemp("base"), tiny.base_scheduler())


def picture(pipe: Any, prompt: str, seed: int, **asked: Any) -> Any:
    return np.asarray(pipe(prompt, generator=torch.Generator("cpu").manual_seed(seed), **asked).images[0])


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4])
@pytest.mark.parametrize("prompt", ["", PROMPT])
def test_timesteps_latents_time_ids_and_text_are_the_pipelines_own(
    turbo: Any, prompt: str, n_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    forward = turbo.unet.forward

    def spy(sample: Tensor, timestep: Tensor, **given: Any) -> Any:
        seen.append({"sample": sample.clone(), "t": timestep.clone(), **given})
        return forward(sample, timestep, **given)

    monkeypatch.setattr(turbo.unet, "forward", spy)
    final = tiny.latents(turbo, prompt, 7, num_inference_steps=n_steps, guidance_scale=0.0)
    monkeypatch.undo()
    sampler = Sampler(turbo, "down.2.1")
    start = sampler.start(Run(prompt, 7, n_steps))
    assert [float(t) for t in start.timesteps] == [float(call["t"]) for call in seen]
    assert torch.equal(start.text, seen[0]["encoder_hidden_states"])
    for name, value in seen[0]["added_cond_kwargs"].items():
        assert torch.equal(start.added[name], value)
    assert start.added["time_ids"].tolist() == [[512, 512, 0, 0, 512, 512]]
    assert start.latents.shape == (1, 4, 64, 64)
    assert torch.equal(sampler.run(start), final)


@pytest.mark.parametrize(("n_steps", "guidance"), [(1, 7.5), (3, 5.0), (6, 1.5)])
def test_guidance_is_the_pipelines_own(base: Any, n_steps: int, guidance: float) -> None:
    painter = Painter(base, tiny.sae(), name="base", guidance=guidance)
    scene = painter.analyze(PROMPT, seed=3, n_steps=n_steps)
    assert scene.guidance == guidance
    plain = picture(base, PROMPT, 3, num_inference_steps=n_steps, guidance_scale=guidance)
    assert plain.shape == (512, 512, 3)
    assert np.array_equal(np.asarray(painter.render(scene)), plain)


@contextmanager
def hooked(pipe: Any, changes: dict[str, Tensor], steps: range | None = None) -> Iterator[None]:
    """Add a change to the conditional half of blocks' outputs, as any forward hook would."""
    with ExitStack() as stack:
        for site, change in changes.items():
            calls = iter(range(10_000))

            def hook(
                _: Any, args: Any, output: Any, change: Tensor = change, calls: Iterator[int] = calls
            ) -> Any:
                if steps is not None and next(calls) not in steps:
                    return output
                out = output[0].clone()
                out[-1:] = out[-1:] + change
                return (out,)

            handle = pipe.unet.get_submodule(site).register_forward_hook(hook)
            stack.callback(handle.remove)
        yield


def change_of(scene: Scene, painter: Painter, site: str) -> Tensor:
    """What scaled factors add at a site, computed plainly; the remainder is untouched."""
    begin = 0
    for name, sae in painter.saes.items():
        if name == site:
            moved = torch.tensor(scene.strengths - scene.base_strengths).view(256, -1)
            basis = torch.tensor(scene.basis[:, begin : begin + sae.n_features])
            return (moved @ (basis @ sae.W_dec)).T.reshape(1, -1, 16, 16)
        begin += sae.n_features
    raise AssertionError(site)


def latents_of(painter: Painter, scene: Scene) -> Tensor:
    from ember_widgets.painter import steering

    backbone = painter.backbone
    start = backbone.start(steering.run_of(scene))
    latents: Tensor = backbone.run(start, *steering.edits(scene, list(painter.saes.values())))
    return latents


@pytest.mark.parametrize("steps", [None, (0, 2), (2, 4)])
def test_with_guidance_edits_steer_the_conditional_half_at_the_steps_asked_for(
    base: Any, steps: tuple[int, int] | None
) -> None:
    painter = Painter(base, tiny.sae(), name="base", guidance=6.0)
    scene = painter.analyze(PROMPT, seed=1, n_steps=4, n_factors=3, edit_steps=steps).scale(0, 3.0)
    site = tiny.SITES["down.2.1"]
    asked = {"num_inference_steps": 4, "guidance_scale": 6.0}
    with hooked(base, {site: change_of(scene, painter, site)}, None if steps is None else range(*steps)):
        wanted = tiny.latents(base, PROMPT, 1, **asked)
    found = latents_of(painter, scene)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, tiny.latents(base, PROMPT, 1, **asked), atol=1e-2)


SAES = {site: tiny.sae(site, 64 + 8 * i) for i, site in enumerate(tiny.SITES)}


@pytest.mark.parametrize("n_steps", [1, 3])
def test_several_sites_unedited_are_the_pipelines_picture(turbo: Any, n_steps: int) -> None:
    painter = Painter(turbo, dict(reversed(SAES.items())), name="turbo")
    assert list(painter.saes) == list(tiny.SITES.values())
    scene = painter.analyze(PROMPT, seed=2, n_steps=n_steps, n_factors=2)
    assert scene.n_factors == 8
    plain = picture(turbo, PROMPT, 2, num_inference_steps=n_steps, guidance_scale=0.0)
    assert np.array_equal(np.asarray(painter.render(scene)), plain)


@pytest.mark.parametrize("n_steps", [1, 2])
def test_several_sites_steered_are_so_many_forward_hooks(turbo: Any, n_steps: int) -> None:
    painter = Painter(turbo, SAES, name="turbo")
    scene = painter.analyze(PROMPT, seed=2, n_steps=n_steps, n_factors=2)
    scene = scene.scale(0, 2.0).scale(5, 0.2).scale(7, 4.0)
    changes = {site: change_of(scene, painter, site) for site in painter.saes}
    assert [bool(change.any()) for change in changes.values()] == [True, False, True, True]
    asked = {"num_inference_steps": n_steps, "guidance_scale": 0.0}
    with hooked(turbo, changes):
        wanted = tiny.latents(turbo, PROMPT, 2, **asked)
    torch.testing.assert_close(latents_of(painter, scene), wanted, atol=1e-4, rtol=1e-4)


def test_a_later_site_alone_starts_from_what_is_known(turbo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter(turbo, SAES, name="turbo")
    scene = painter.analyze(PROMPT, seed=2, n_factors=2)
    painter.render(scene)
    ends: list[str] = []
    run_to = StagedUNet.run_to

    def counted(self: StagedUNet, state: Any, out: Any, site: str) -> Any:
        ends.append(site)
        return run_to(self, state, out, site)

    monkeypatch.setattr(StagedUNet, "run_to", counted)
    painter.render(scene.scale(7, 2.0))
    assert ends == []
    painter.render(scene.scale(0, 2.0))
    assert ends == list(painter.saes)[1:]


def photograph() -> Image.Image:
    rows, cols = np.mgrid[:512, :512]
    pixels = np.stack([rows / 2, cols / 2, (rows // 64 + cols // 64) % 2 * 255], -1)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize(
    ("n_steps", "strength", "n_all"), [(1, 0.5, 2), (2, 0.5, 4), (3, 1.0, 3), (1, 0.3, 4)]
)
def test_a_photograph_starts_where_the_image_to_image_pipeline_starts(
    turbo: Any, n_steps: int, strength: float, n_all: int
) -> None:
    painter = Painter(turbo, tiny.sae(), name="turbo")
    scene = painter.analyze(PROMPT, image=photograph(), seed=5, n_steps=n_steps, image_strength=strength)
    assert scene.image is not None
    parts = {
        name: part
        for name, part in turbo.components.items()
        if name not in ("feature_extractor", "image_encoder")
    }
    pipe = StableDiffusionXLImg2ImgPipeline(**parts, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    asked: dict[str, Any] = {"num_inference_steps": n_all, "strength": strength, "guidance_scale": 0.0}
    asked["image"] = torch.tensor(scene.image)[None]
    assert np.array_equal(np.asarray(painter.render(scene)), picture(pipe, PROMPT, 5, **asked))


def test_a_photographs_latents_are_the_encoders_mean(turbo: Any) -> None:
    painter = Painter(turbo, tiny.sae(), name="turbo")
    scene = painter.analyze(image=photograph())
    pixels = torch.from_numpy(np.array(photograph())).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        mean = turbo.vae.encode(pixels).latent_dist.mean * 0.13025
    assert scene.image is not None
    np.testing.assert_allclose(scene.image, mean[0].numpy(), atol=1e-5)


def test_a_guided_photograph(base: Any) -> None:
    painter = Painter(base, tiny.sae(), name="base", guidance=4.0)
    scene = painter.analyze(PROMPT, image=photograph(), n_steps=5)
    parts = {
        name: part
        for name, part in base.components.items()
        if name not in ("feature_extractor", "image_encoder")
    }
    pipe = StableDiffusionXLImg2ImgPipeline(**parts, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    asked: dict[str, Any] = {"num_inference_steps": 10, "strength": 0.5, "guidance_scale": 4.0}
    asked["image"] = torch.tensor(scene.image)[None]
    assert np.array_equal(np.asarray(painter.render(scene)), picture(pipe, PROMPT, 0, **asked))
