"""A pipeline as one file, in the layout that SDXL was published in: key by key, from diffusers' names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def _unet_name(name: str) -> str:
    for ours, theirs in UNET.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if match := re.match(r"down_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.+)", name):
        block, kind, j, rest = match.groups()
        place = f"input_blocks.{3 * int(block) + int(j) + 1}.{0 if kind == 'resnets' else 1}"
    elif match := re.match(r"up_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.+)", name):
        block, kind, j, rest = match.groups()
        place = f"output_blocks.{3 * int(block) + int(j)}.{0 if kind == 'resnets' else 1}"
    elif match := re.match(r"down_blocks\.(\d)\.downsamplers\.0\.conv\.(.+)", name):
        return f"input_blocks.{3 * (int(match[1]) + 1)}.0.op.{match[2]}"
    elif match := re.match(r"up_blocks\.(\d)\.upsamplers\.0\.conv\.(.+)", name):
        return f"output_blocks.{3 * int(match[1]) + 2}.2.conv.{match[2]}"
    elif match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
        kind, j, rest = match.groups()
        place = f"middle_block.{2 * int(j) if kind == 'resnets' else 1}"
    else:
        raise KeyError(name)
    if kind == "resnets":
        part, _, last = rest.rpartition(".")
        rest = f"{RESNET[part]}.{last}"
    return f"{place}.{rest}"


def _vae_name(name: str) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)", r"encoder.down.\1.block.\2", name)
    name = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", name)
    name = re.sub(
        r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"decoder.up.{3 - int(m[1])}.block.{m[2]}", name
    )
    name = re.sub(
        r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"decoder.up.{3 - int(m[1])}.upsample", name
    )
    return re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)


def _open_clip(state: State) -> State:
    state = {name.removeprefix("text_model."): tensor for name, tensor in state.items()}
    found = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": torch.tensor(4.6),
    }
    for name, tensor in state.items():
        if name.startswith("final_layer_norm."):
            found[f"ln_final.{name.split('.')[-1]}"] = tensor
        if not (match := re.match(r"encoder\.layers\.(\d+)\.(.+)", name)):
            continue
        place, rest = f"transformer.resblocks.{match[1]}", match[2]
        for ours, theirs in (
            ("layer_norm1", "ln_1"),
            ("layer_norm2", "ln_2"),
            ("mlp.fc1", "mlp.c_fc"),
            ("mlp.fc2", "mlp.c_proj"),
            ("self_attn.out_proj", "attn.out_proj"),
        ):
            if rest.startswith(f"{ours}."):
                found[f"{place}.{theirs}.{rest.split('.')[-1]}"] = tensor
        if rest.startswith("self_attn.q_proj."):
            kind = rest.split(".")[-1]
            three = [state[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
            found[f"{place}.attn.in_proj_{kind}"] = torch.cat(three)
    return found


def save(pipe: Any, file: Path) -> Path:
    """Write all of a pipeline's weights to one .safetensors file."""
    whole: State = {}
    for name, tensor in pipe.unet.state_dict().items():
        whole[f"model.diffusion_model.{_unet_name(name)}"] = tensor
    for name, tensor in pipe.vae.state_dict().items():
        whole[f"first_stage_model.{_vae_name(name)}"] = tensor
    for name, tensor in pipe.text_encoder.state_dict().items():
        inner = name.removeprefix("text_model.")
        whole[f"conditioner.embedders.0.transformer.text_model.{inner}"] = tensor
    for name, tensor in _open_clip(pipe.text_encoder_2.state_dict()).items():
        whole[f"conditioner.embedders.1.model.{name}"] = tensor
    save_file({name: tensor.clone().contiguous() for name, tensor in whole.items()}, file)
    return file
