"""A tiny SDXL with random weights: the true layout, blocks and schedulers, drawn in a blink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from ember_widgets import SAE
from ember_widgets.embedded import architecture

CHANNELS = (16, 32, 64)
SITES = {
    "down.2.1": "down_blocks.2.attentions.1",
    "mid.0": "mid_block.attentions.0",
    "up.0.0": "up_blocks.0.attentions.0",
    "up.0.1": "up_blocks.0.attentions.1",
}


def unet(sample_size: int = 64) -> UNet2DConditionModel:
    """SDXL's UNet, 20 times narrower and with one transformer layer per block."""
    return UNet2DConditionModel(
        sample_size=sample_size,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=CHANNELS,
        layers_per_block=2,
        transformer_layers_per_block=[1, 1, 1],
        attention_head_dim=[2, 4, 8],
        cross_attention_dim=architecture.D_TEXT,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=architecture.D_TEXT + 6 * 8,
        norm_num_groups=4,
    )


def vae(mid_block_add_attention: bool = False) -> AutoencoderKL:
    """SDXL's VAE, 8 times smaller each way, with its scaling and its need of float32."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8),
        layers_per_block=1,
        norm_num_groups=2,
        latent_channels=4,
        sample_size=512,
        scaling_factor=0.13025,
        force_upcast=True,
        mid_block_add_attention=mid_block_add_attention,
    )


def text_encoders(tokenizer: Any) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """SDXL's pair: of different widths, which a single file's reader goes by."""

    def config(width: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=architecture.MAX_TOKENS,
            projection_dim=architecture.D_TEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )

    return CLIPTextModel(config(24)), CLIPTextModelWithProjection(config(40))


def preview_vae() -> AutoencoderTiny:
    """taesdxl's shape."""
    return AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4, 4), decoder_block_out_channels=(4, 4, 4, 4), scaling_factor=1.0
    )


def turbo_scheduler() -> EulerAncestralDiscreteScheduler:
    """SDXL-Turbo's."""
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing"
    )


def base_scheduler() -> EulerDiscreteScheduler:
    """SDXL base's."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )


def pipeline(folder: Path, scheduler: Any | None = None, sample_size: int = 64) -> StableDiffusionXLPipeline:
    """The whole of it; `folder` gets the tokenizer's files."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = architecture.build_tokenizer(folder / "tokenizer")
        text_encoder, text_encoder_2 = text_encoders(tokenizer)
        parts = StableDiffusionXLPipeline(
            vae=vae().eval(),
            text_encoder=text_encoder.eval(),
            text_encoder_2=text_encoder_2.eval(),
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            unet=unet(sample_size).eval(),
            scheduler=scheduler or turbo_scheduler(),
            add_watermarker=False,
        )
        parts.vae.decoder.conv_out.weight.data *= 8  # more contrast than random weights have
    for part in (parts.unet, parts.vae):
        part.to(memory_format=torch.channels_last)  # as a painter loads them
    parts.set_progress_bar_config(disable=True)
    return parts


def sae(site: str = "down.2.1", n_features: int = 96, **changes: Any) -> SAE:
    """Random directions, all positive codes likely."""
    g = torch.Generator().manual_seed(sum(site.encode()))
    directions = torch.randn(n_features, CHANNELS[-1], generator=g)
    fields: dict[str, Any] = {
        "W_enc": directions.T / CHANNELS[-1],
        "b_enc": torch.zeros(n_features),
        "W_dec": directions,
        "b_dec": torch.randn(CHANNELS[-1], generator=g) * 0.05,
        "activation": "topk",
        "k": 8,
        "threshold": None,
        "target": "update",
        "site": SITES.get(site, site),
        "unit": torch.ones(n_features),
        "sha256": f"{sum(site.encode()):064d}",
    }
    return SAE(**(fields | changes))


def latents(pipe: Any, prompt: str, seed: int, **asked: Any) -> Tensor:
    """What the pipeline itself denoises to."""
    generator = torch.Generator("cpu").manual_seed(seed)
    result: Tensor = pipe(prompt, generator=generator, output_type="latent", **asked).images
    return result
