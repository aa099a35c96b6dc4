"""SDXL's true geometry with random weights, on a CPU: run by hand, `pytest -m slow -s`, with 20 GB free.

What it proves without the weights: the staged UNet is the diffusers UNet at full size and in bfloat16; every
site has the shape that public SAEs expect; an SAE of 10,240 features fits. It prints times
and the memory peak.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel

from ember_widgets import SAE, Painter
from ember_widgets.embedded import architecture
from tests.pipeline import tiny

pytestmark = pytest.mark.slow

D_MODEL, N_FEATURES = 1280, 10_240
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.bfloat16, torch.float16] if DEVICE == "cuda" else [torch.bfloat16]


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


@pytest.fixture(scope="module", params=DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
def pipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("full")
    tokenizer = architecture.build_tokenizer(folder / "tokenizer")
    with dtype_of_new(request.param):
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
    return parts.to(request.param).to(DEVICE)


def sae(site: str) -> SAE:
    g = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(N_FEATURES, D_MODEL, generator=g), dim=1)
    return SAE(
        W_enc=directions.T.contiguous(),
        b_enc=torch.zeros(N_FEATURES),
        W_dec=directions,
        b_dec=torch.zeros(D_MODEL),
        activation="topk",
        k=10,
        threshold=None,
        target="update",
        site=site,
        unit=torch.ones(N_FEATURES),
        sha256="0" * 64,
    )


def timed(what: str, work: Any) -> Any:
    started = time.perf_counter()
    result = work()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    print(f"{what:44s}{time.perf_counter() - started:8.2f} s")
    return result


def peak_gb() -> float:
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def test_full_size(pipe: Any) -> None:
    """One test: each pass takes minutes on a CPU, and all share the first."""
    n_parameters = sum(p.numel() for p in pipe.unet.parameters())
    assert n_parameters == 2_567_463_684
    print(f"\n{DEVICE}, {pipe.unet.dtype}, {torch.get_num_threads()} threads, {n_parameters / 1e9:.2f} B")
    painter = Painter(pipe, {"down.2.1": sae("down_blocks.2.attentions.1")}, name="full")
    scene = timed("analyze", lambda: painter.analyze("a lion", seed=1))
    assert painter.activations(scene).shape == (16, 16, N_FEATURES)
    unedited = np.asarray(timed("render, unedited", lambda: painter.render(scene)))
    generator = torch.Generator().manual_seed(1)
    asked = {"num_inference_steps": 1, "guidance_scale": 0.0, "generator": generator}
    plain = timed("the pipeline itself", lambda: pipe("a lion", **asked).images[0])
    assert unedited.shape == (512, 512, 3)
    assert np.array_equal(unedited, np.asarray(plain))

    edited = scene.scale(0, 5.0)
    found = np.asarray(timed("render, edited", lambda: painter.render(edited)))
    one = next(iter(painter.saes.values()))
    moved = torch.tensor(edited.strengths - edited.base_strengths, device=DEVICE).view(256, -1)
    change = (moved @ (torch.tensor(edited.basis, device=DEVICE) @ one.W_dec)).T.reshape(1, D_MODEL, 16, 16)

    def hook(_: Any, args: Any, output: Any) -> Any:
        return (output[0] + change.to(output[0].dtype),)

    shapes: dict[str, tuple[int, ...]] = {}
    blocks = {site: pipe.unet.get_submodule(site) for site in tiny.SITES.values()}
    handles = [blocks[one.site].register_forward_hook(hook)]
    for site, block in blocks.items():
        handles.append(
            block.register_forward_hook(lambda *a, site=site: shapes.update({site: tuple(a[2][0].shape)}))
        )
    try:
        generator.manual_seed(1)
        hooked = np.asarray(timed("the pipeline with a hook", lambda: pipe("a lion", **asked).images[0]))
    finally:
        for handle in handles:
            handle.remove()
    assert shapes == dict.fromkeys(tiny.SITES.values(), (1, D_MODEL, 16, 16))
    assert np.array_equal(found, hooked)
    assert not np.array_equal(found, unedited)
    print(f"memory peak {peak_gb():.1f} GB")
