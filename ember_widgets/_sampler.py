"""The sampling loop: what `StableDiffusionXLPipeline.__call__` does with guidance 0, cut open at the site.

Same latents (CPU generator), same scheduler, same decoding rules, so that an unedited run is bit-equal to the
pipeline's own; a test holds that. What precedes the first edit is computed once per (prompt, seed, n_steps).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from ember_widgets.staged_unet import SiteState, StagedUNet

Edit = Callable[[int, SiteState], Tensor]
"""(step, state) -> the site's output to go on with, (1, d_model, 16, 16)."""


@dataclass(frozen=True)
class Start:
    """Everything of a run that no edit can change."""

    text: Tensor
    added: dict[str, Tensor]
    latents: Tensor
    noise_state: Tensor
    scheduler: Any
    first: SiteState


class Sampler:
    """Runs one pipeline's parts.

    Args:
        pipeline: A `StableDiffusionXLPipeline`. It is not changed.
        site: The attention block where edits come in, see `StagedUNet`.
    """

    def __init__(self, pipeline: Any, site: str) -> None:
        self.pipeline = pipeline
        self.staged = StagedUNet(pipeline.unet, site)

    @torch.no_grad()
    def start(self, prompt: str, seed: int, n_steps: int) -> Start:
        """Encode the text, draw the noise and run the first step up to the site."""
        pipe = self.pipeline
        device = pipe._execution_device
        text, _, pooled, _ = pipe.encode_prompt(prompt, device=device, do_classifier_free_guidance=False)
        scheduler = copy.deepcopy(pipe.scheduler)
        scheduler.set_timesteps(n_steps, device=device)
        side = pipe.unet.config.sample_size
        generator = torch.Generator("cpu").manual_seed(seed)
        shape = (1, pipe.unet.config.in_channels, side, side)
        latents = (
            randn_tensor(shape, generator=generator, device=device, dtype=text.dtype)
            * scheduler.init_noise_sigma
        )
        pixels = side * pipe.vae_scale_factor
        encoder = pipe.text_encoder_2
        time_ids = pipe._get_add_time_ids(
            (pixels, pixels),
            (0, 0),
            (pixels, pixels),
            dtype=text.dtype,
            text_encoder_projection_dim=encoder.config.projection_dim,
        )
        added = {"text_embeds": pooled.to(device), "time_ids": time_ids.to(device)}
        t = scheduler.timesteps[0]
        scaled = copy.deepcopy(scheduler).scale_model_input(latents, t)
        first = self.staged.prefix(scaled, t, text, added)
        return Start(text, added, latents, generator.get_state(), scheduler, first)

    @torch.no_grad()
    def words(self, prompt: str) -> tuple[Tensor, Tensor]:
        """A text as the UNet reads it: token by token, and pooled."""
        pipe = self.pipeline
        device = pipe._execution_device
        text, _, pooled, _ = pipe.encode_prompt(prompt, device=device, do_classifier_free_guidance=False)
        return text, pooled.to(device)

    @torch.no_grad()
    def run(self, start: Start, edit: Edit, late: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Denoise from a start, `edit` deciding the site's output at every step.

        Args:
            start: Where from.
            edit: Decides.
            late: What comes after the site reads these words; None = the start's own.

        Returns:
            Final latents (1, 4, height, width).
        """
        scheduler = copy.deepcopy(start.scheduler)  # steps count inside it
        generator = torch.Generator("cpu")
        generator.set_state(start.noise_state)
        extra = self.pipeline.prepare_extra_step_kwargs(generator, 0.0)
        latents = start.latents
        for i, t in enumerate(scheduler.timesteps):
            scaled = scheduler.scale_model_input(latents, t)
            state = start.first if i == 0 else self.staged.prefix(scaled, t, start.text, start.added)
            out = edit(i, state)
            if late is not None:
                state = self.staged.reworded(state, t, late[0], {**start.added, "text_embeds": late[1]})
            prediction = self.staged.suffix(state, out)
            latents = scheduler.step(prediction, t, latents, **extra, return_dict=False)[0]
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Image.Image:
        """Latents to a picture, with the pipeline's upcast and scaling rules.

        Raises:
            FloatingPointError: The decoder returned values that are not finite (float16 overflow).
        """
        pipe = self.pipeline
        config = pipe.vae.config
        upcast = pipe.vae.dtype == torch.float16 and getattr(config, "force_upcast", False)
        if upcast:
            pipe.upcast_vae()
            latents = latents.to(next(iter(pipe.vae.post_quant_conv.parameters())).dtype)
        mean, std = (getattr(config, f"latents_{s}", None) for s in ("mean", "std"))
        if mean is not None and std is not None:
            mean, std = (
                torch.tensor(v).view(1, 4, 1, 1).to(latents.device, latents.dtype) for v in (mean, std)
            )
            latents = latents * std / config.scaling_factor + mean
        else:
            latents = latents / config.scaling_factor
        pixels = pipe.vae.decode(latents, return_dict=False)[0]
        if upcast:
            pipe.vae.to(dtype=torch.float16)
        if not bool(torch.isfinite(pixels).all()):
            raise FloatingPointError(
                f"the VAE returned values that are not finite in {str(pixels.dtype).removeprefix('torch.')}; "
                "weaken the strengths, or load the painter with dtype='float32'"
            )
        if pipe.watermark is not None:
            pixels = pipe.watermark.apply_watermark(pixels)
        image: Image.Image = pipe.image_processor.postprocess(pixels, output_type="pil")[0]
        return image
