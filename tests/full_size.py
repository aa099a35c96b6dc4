"""SDXL's true geometry with random weights: nothing is downloaded; times and memory are the real one's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel

from ember_widgets import SAE
from ember_widgets.embedded import architecture
from tests.pipeline import tiny

D_MODEL, N_FEATURES = 1280, 10_240


@contextmanager
def dtype_of_new(dtype: torch.dtype) -> Iterator[None]:
    """Parameters are made in this dtype at once: in float32 the UNet alone would take 10 GB."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def unet() -> UNet2DConditionModel:
    """As stabilityai/sdxl-turbo configures it: 2.57 billion parameters."""
    return UNet2DConditionModel(
        sample_size=64,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        layers_per_block=2,
        transformer_layers_per_block=[1, 2, 10],
        attention_head_dim=[5, 10, 20],
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def vae() -> AutoencoderKL:
    """As SDXL's."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=True,
    )


def text_encoders(tokenizer: Any) -> tuple[Any, Any]:
    """Encoders of the true widths, 768 and 1280, but two layers each: text is not what is measured."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    common = {
        "vocab_size": len(tokenizer),
        "num_hidden_layers": 2,
        "max_position_embeddings": architecture.MAX_TOKENS,
    }
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    first = CLIPTextConfig(hidden_size=768, num_attention_heads=12, intermediate_size=3072, **common, **ids)
    second = CLIPTextConfig(
        hidden_size=1280, num_attention_heads=20, intermediate_size=5120, projection_dim=1280, **common, **ids
    )
    return CLIPTextModel(first), CLIPTextModelWithProjection(second)


def pipeline(folder: Path, dtype: torch.dtype, device: str) -> StableDiffusionXLPipeline:
    """The whole of it, made on the device; `folder` gets the tokenizer's files."""
    torch.manual_seed(0)
    tokenizer = architecture.build_tokenizer(folder / "tokenizer")
    with dtype_of_new(dtype), torch.device(device):
        encoders = text_encoders(tokenizer)
        parts = StableDiffusionXLPipeline(
            vae=vae().eval(),
            text_encoder=encoders[0].eval(),
            text_encoder_2=encoders[1].eval(),
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            unet=unet().eval(),
            scheduler=tiny.turbo_scheduler(),
            add_watermarker=False,
        )
    parts.set_progress_bar_config(disable=True)
    return parts.to(dtype).to(device)


def sae(site: str, d_model: int = D_MODEL, n_features: int = N_FEATURES) -> SAE:
    """A dictionary of random directions."""
    g = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(n_features, d_model, generator=g), dim=1)
    return SAE(
        W_enc=directions.T.contiguous(),
        b_enc=torch.zeros(n_features),
        W_dec=directions,
        b_dec=torch.zeros(d_model),
        activation="topk",
        k=10,
        threshold=None,
        target="update",
        site=site,
        unit=torch.ones(n_features),
        sha256="0" * 64,
    )
