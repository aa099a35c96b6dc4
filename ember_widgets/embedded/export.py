"""Stage "export": put the trained parts together as a diffusers pipeline and save it into the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.models.attention_processor import AttnProcessor2_0

from ember_widgets.embedded import architecture
from ember_widgets.embedded.model import Model, load_trained
from ember_widgets.embedded.train_vae import load_vae

ASSETS = Path(__file__).parent / "assets"


def export(out: Path, assets: Path = ASSETS) -> None:
    """Write `assets/pipeline` from a run's averaged weights, float16 safetensors.

    Args:
        out: Folder of the run; all training stages are there.
        assets: Where to; an earlier pipeline there is replaced.
    """
    model = Model(out, "cpu")
    load_trained(model, out)
    model.unet.set_attn_processor(AttnProcessor2_0())
    model.unet.to(memory_format=torch.contiguous_format)
    pipeline = StableDiffusionXLPipeline(
        vae=load_vae(out),
        text_encoder=model.text_encoder,
        text_encoder_2=model.text_encoder_2,
        tokenizer=model.tokenizer,
        tokenizer_2=model.tokenizer,
        unet=model.unet,
        scheduler=architecture.build_scheduler(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    ).to(torch.float16)
    folder = assets / "pipeline"
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    # AutoencoderTiny writes a derived entry into its config that it warns about when it reads it back.
    config = folder / "vae" / "config.json"
    content = json.loads(config.read_text("utf-8"))
    content.pop("block_out_channels", None)
    config.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    size = sum(f.stat().st_size for f in assets.rglob("*") if f.is_file())
    print(f"{folder}: all assets {size / 1e6:.1f} MB")
