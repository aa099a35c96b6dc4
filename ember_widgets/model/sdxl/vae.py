"""Latents to pictures and pictures to latents, by the pipeline's own rules of upcast and scaling."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets.model.engine.graphs import Graphs, Recorded
from ember_widgets.model.engine.traces import Traced
from ember_widgets.model.engine.twin import Twin
from ember_widgets.model.placement import Seats


class Decoding:
    """The part of a `Sampler` that has to do with the VAE.

    Args:
        pipeline: A `StableDiffusionXLPipeline`. It is not changed.
        seats: Where the parts lie; None = all on the pipeline's device.
        preview_vae: A small decoder for previews, or None.
    """

    def __init__(self, pipeline: Any, seats: Seats | None = None, preview_vae: Any = None) -> None:
        self.pipeline = pipeline
        self.seats = seats or Seats(pipeline, pipeline._execution_device)
        self.preview_vae = preview_vae
        self._unet_twin, self._vae_twin, self._preview_twin = Twin(), Twin(), Twin()
        # Not where parts come and go, nor where memory is short.
        device = self.seats.device.type if self.seats.keep == "all" else "none"
        if device == "cpu":
            self._unet_graphs = Graphs(Traced, self._unet_twin.watch)
            self._prefix_graphs = Graphs(Traced, self._unet_twin.watch)
            self._vae_graphs = Graphs(Traced, self._vae_twin.watch)
        else:
            kind = Recorded if device == "cuda" else None
            self._unet_graphs, self._vae_graphs = Graphs(kind), Graphs(kind)
            # Not on a GPU: what lies in one graph's memory would have to be copied into the next one's.
            self._prefix_graphs = Graphs(None)

    @torch.no_grad()
    def decode(self, latents: Tensor, *, preview: bool = False) -> Image.Image:
        """Latents to a picture, with the pipeline's upcast and scaling rules.

        What float16 cannot hold is decoded once more in float32: no picture is black by overflow.

        Args:
            latents: From `run`.
            preview: With the small decoder, if there is one.

        Raises:
            FloatingPointError: Values are not finite even so.
        """
        vae = self.pipeline.vae
        if preview and self.preview_vae is not None:
            pixels = _decoded(self._preview_twin.of(self.preview_vae), latents.to(self.preview_vae.dtype))
            if all(_are_finite(latents, pixels)):
                return self._picture(pixels)
        with self.seats.at_work("vae"):
            dtype = next(vae.parameters()).dtype  # `vae.dtype` looks at all of them
            if dtype == torch.float16 and getattr(vae.config, "force_upcast", False):
                pixels = _in_float32(vae, latents)
            else:
                decoder = self._twin(self._vae_twin, vae)
                pixels = self._vae_graphs.run(vae, partial(_decoded, decoder), latents.to(dtype))
            are_finite = _are_finite(latents, pixels)
            if are_finite == [True, False] and dtype != torch.float32:
                pixels = _in_float32(vae, latents)
                are_finite = _are_finite(latents, pixels)
        if not are_finite[0]:
            raise FloatingPointError(
                f"the UNet returned values that are not finite in {_name(latents.dtype)}; "
                "weaken the strengths, or load the painter with dtype='bfloat16' or 'float32'"
            )
        if not are_finite[1]:
            raise FloatingPointError(
                f"the VAE returned values that are not finite in {_name(pixels.dtype)}; "
                "weaken the strengths, or load the painter with dtype='float32' or another vae="
            )
        return self._picture(pixels)

    @torch.no_grad()
    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        """Latents of a picture, (4, height, width) float32, scaled as the sampler has them, without noise."""
        from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img import (
            retrieve_latents,
        )

        pipe, vae = self.pipeline, self.pipeline.vae
        pixels = pipe.image_processor.preprocess(image).to(self.seats.device, torch.float32)
        with self.seats.at_work("vae"):
            dtype = vae.dtype
            _cast(vae, torch.float32)
            try:
                # The middle of what the encoder allows, not a draw from it: same photograph, same start.
                latents = retrieve_latents(vae.encode(pixels), sample_mode="argmax")
            finally:
                _cast(vae, dtype)
        mean, std = _moments(vae.config, latents)
        latents = (latents - mean) * vae.config.scaling_factor / std
        found: NDArray[np.float32] = latents[0].float().cpu().numpy()
        return found

    def _picture(self, pixels: Tensor) -> Image.Image:
        pipe = self.pipeline
        if pipe.watermark is not None:
            pixels = pipe.watermark.apply_watermark(pixels)
        shares = pipe.image_processor.postprocess(pixels, output_type="pt")
        # As the image processor does it, but a quarter of the bytes leave the device.
        rgb = (shares[0].float() * 255).round().to(torch.uint8).permute(1, 2, 0)
        return Image.fromarray(np.ascontiguousarray(rgb.cpu().numpy()))

    def _twin(self, twin: Twin, network: Any) -> Any:
        """What to run in the network's stead, on a processor."""
        stays = self.seats.keep != "one at a time" and self.seats.device.type == "cpu"
        return twin.of(network) if stays else network


def _are_finite(*tensors: Tensor) -> list[bool]:
    """Asked of all at once, since each answer waits for the device."""
    found: list[bool] = torch.stack([torch.isfinite(_extremes(t)).all() for t in tensors]).tolist()
    return found


def _extremes(tensor: Tensor) -> Tensor:
    """Values not finite are among them, and a processor finds them ten times sooner."""
    return torch.stack(torch.aminmax(tensor)) if tensor.device.type == "cpu" else tensor


def _decoded(vae: Any, latents: Tensor) -> Tensor:
    config = vae.config
    if getattr(config, "latents_mean", None) is not None and getattr(config, "latents_std", None) is not None:
        mean, std = _moments(config, latents)
        latents = latents * std / config.scaling_factor + mean
    else:
        latents = latents / config.scaling_factor
    pixels: Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels


def _in_float32(vae: Any, latents: Tensor) -> Tensor:
    dtype = vae.dtype
    _cast(vae, torch.float32)
    try:
        return _decoded(vae, latents.float())
    finally:
        _cast(vae, dtype)


def _cast(vae: Any, dtype: torch.dtype) -> None:
    """Without the warning that diffusers' own `to` has for casts of a model that loads in another dtype."""
    torch.nn.Module.to(vae, dtype=dtype)


def _moments(config: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread per channel, 0 and 1 where the VAE has none."""
    found = []
    for name, neutral in (("latents_mean", 0.0), ("latents_std", 1.0)):
        value = getattr(config, name, None)
        n_channels = like.shape[1]
        moments = torch.full((n_channels,), neutral) if value is None else torch.tensor(value)
        found.append(moments.view(1, n_channels, 1, 1).to(like.device, like.dtype))
    return found[0], found[1]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
