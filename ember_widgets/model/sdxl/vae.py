"""Latents to pictures and pictures to latents, by the pipeline's own rules of upcast and scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets.model.engine.export import Part
from ember_widgets.model.engine.runner import Runner
from ember_widgets.model.engine.watch import Watch
from ember_widgets.model.placement import Placement
from ember_widgets.model.sdxl.parts import Decoder, decoded, moments
from ember_widgets.model.sdxl.upsampling import before_upsampling


class Vae:
    """Decodes latents and encodes photographs.

    Args:
        pipeline: A `StableDiffusionXLPipeline`. It is not changed.
        placement: Where the pipeline's parts lie.
        preview_vae: A small decoder for previews, or None.

    Attributes:
        runner: What decodes, where it fits; None = the VAE's own modules.
    """

    def __init__(self, pipeline: Any, placement: Placement, preview_vae: Any = None) -> None:
        self.pipeline = pipeline
        self.placement = placement
        self.preview_vae = preview_vae
        self.runner: Runner | None = None
        # The casts here, like moves, give the weights other memory with the same values.
        self._watch = Watch(moving=True)

    @torch.no_grad()
    def decode(self, latents: Tensor, *, preview: bool = False) -> Image.Image:
        """See `Backbone.decode`. The rules of upcast and scaling are the pipeline's own.

        Where float16 overflows, the latents are decoded again in float32, so that no picture is black.
        """
        vae = self.pipeline.vae
        if preview and self.preview_vae is not None:
            pixels = decoded(self.preview_vae, latents.to(self.preview_vae.dtype))
            if all(_are_finite(latents, pixels)):
                return self._picture(pixels)
        with self.placement.at_work("vae"):
            dtype = next(vae.parameters()).dtype  # `vae.dtype` looks at all of them
            if dtype == torch.float16 and getattr(vae.config, "force_upcast", False):
                pixels = _in_float32(vae, latents)
            else:
                pixels = self._decoded(latents.to(dtype))
            are_finite = _are_finite(latents, pixels)
            if are_finite == [True, False] and dtype != torch.float32:
                pixels = _in_float32(vae, latents)
                are_finite = _are_finite(latents, pixels)
        if not are_finite[0]:
            # bfloat16 holds numbers as large as float32 does.
            wider = ", or load the painter with dtype='bfloat16' or 'float32'"
            raise FloatingPointError(
                f"the UNet returned values that are not finite in {_name(latents.dtype)}; "
                f"weaken the strengths{wider if latents.dtype == torch.float16 else ''}"
            )
        if not are_finite[1]:
            raise FloatingPointError(
                f"the VAE returned values that are not finite in {_name(pixels.dtype)}; "
                "weaken the strengths, or load the painter with another vae="
            )
        return self._picture(pixels)

    @torch.no_grad()
    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        """See `Backbone.encode`."""
        from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img import (
            retrieve_latents,
        )

        pipe, vae = self.pipeline, self.pipeline.vae
        pixels = pipe.image_processor.preprocess(image).to(self.placement.device, torch.float32)
        with self.placement.at_work("vae"):
            dtype = vae.dtype
            _cast(vae, torch.float32)
            try:
                # The mean, not a random sample: the same photograph gives the same start.
                latents = retrieve_latents(vae.encode(pixels), sample_mode="argmax")
            finally:
                _cast(vae, dtype)
        mean, std = moments(vae.config, latents)
        latents = (latents - mean) * vae.config.scaling_factor / std
        found: NDArray[np.float32] = latents[0].float().cpu().numpy()
        return found

    def _picture(self, pixels: Tensor) -> Image.Image:
        pipe = self.pipeline
        if pipe.watermark is not None:
            pixels = pipe.watermark.apply_watermark(pixels)
        shares = pipe.image_processor.postprocess(pixels, output_type="pt")
        # As the image processor does it, but only a quarter of the bytes leave the device.
        rgb = (shares[0].float() * 255).round().to(torch.uint8).permute(1, 2, 0)
        return Image.fromarray(np.ascontiguousarray(rgb.cpu().numpy()))

    def _decoded(self, latents: Tensor) -> Tensor:
        if self.runner is not None and self.runner.fits([latents]):
            return self.runner(latents)[0]
        return decoded(self.pipeline.vae, latents)

    def version(self) -> int | None:
        """Another number after any change of the VAE, see `Watch`."""
        return self._watch.version(self.pipeline.vae)

    def part(self, latents: Tensor) -> Part:
        """The decoder, with an example of what it decodes."""
        dtype = next(self.pipeline.vae.parameters()).dtype
        return Part(Decoder(self.pipeline.vae), (latents.to(dtype),), before_upsampling)

    def forget(self) -> None:
        """Make the next version another one."""
        self._watch.forget()


def _are_finite(*tensors: Tensor) -> list[bool]:
    """Whether each tensor is finite; all at once, because every result that is read waits for the device."""
    found: list[bool] = torch.stack([torch.isfinite(_extremes(t)).all() for t in tensors]).tolist()
    return found


def _extremes(tensor: Tensor) -> Tensor:
    """On a CPU the smallest and largest value, found ten times faster; not finite if any value is not."""
    return torch.stack(torch.aminmax(tensor)) if tensor.device.type == "cpu" else tensor


def _in_float32(vae: Any, latents: Tensor) -> Tensor:
    dtype = vae.dtype
    _cast(vae, torch.float32)
    try:
        return decoded(vae, latents.float())
    finally:
        _cast(vae, dtype)


def _cast(vae: Any, dtype: torch.dtype) -> None:
    """Cast without the warning that diffusers' own `to` gives."""
    torch.nn.Module.to(vae, dtype=dtype)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
