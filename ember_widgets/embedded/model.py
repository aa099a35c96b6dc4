"""The networks while they are trained: UNet and text encoders with what every stage needs around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from torch import Tensor, nn

from ember_widgets.dictionary.load import DEFAULT_SITE
from ember_widgets.embedded import architecture, scenes
from ember_widgets.model.sdxl import loading
from ember_widgets.model.sdxl.staged_unet import StagedUNet, UNetState

TRUNK = ("mid_block.", "up_blocks.0.resnets.", "up_blocks.0.attentions.")
UPPER = ("up_blocks.0.upsamplers.", "up_blocks.1.", "up_blocks.2.", "conv_norm_out.", "conv_out.")
TO_SIDES = (  # as far as `sides.LAYER`
    "mid_block.",
    *(f"up_blocks.0.{part}.{i}." for i in (0, 1) for part in ("resnets", "attentions")),
)
# What each stage trains, in the order of the recipe; the composer trains the text encoders too.
PARTS = {
    "composer": ("conv_in.", "time_embedding.", "add_embedding.", "down_blocks."),
    # The 16×16 level, which the site ends, and what leads to it: without that, no gradient is asked of the
    # level's input, and PyTorch 2.13 ends with a segmentation fault in the backward pass.
    "settle": ("down_blocks.1.downsamplers.", "down_blocks.2."),
    "sides": TO_SIDES,
    "trunk": TRUNK,
    "upper": UPPER,
    "renderer": (*TRUNK, *UPPER),
}


class Model(nn.Module):
    """UNet and text encoders, cut in two at the site."""

    def __init__(self, out: Path, device: str, *, compile: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokenizer = architecture.build_tokenizer(out / "tokenizer")
        self.unet = architecture.build_unet()
        architecture.open_noise_path(self.unet)
        self.text_encoder, self.text_encoder_2 = architecture.build_text_encoders(self.tokenizer)
        if (out / "start").exists():
            self._start_from(out / "start")
        if device == "cpu":
            self.unet.set_attn_processor(AttnProcessor())  # the backward pass of SDPA is slow there
        self.to(device)
        self.unet.to(memory_format=torch.channels_last)
        self.staged = StagedUNet(self.unet, DEFAULT_SITE)
        if compile:
            # Not all of it at once: where the compiler gives up between two parts (it does in upsamplers),
            # no gradient passes under autocast, and what lies before is not trained.
            loading.compile_blocks(self.unet)
        self.device_name = device
        alphas = architecture.build_scheduler().alphas_cumprod.float()
        self.alphas: Tensor = alphas.to(device)

    def _start_from(self, folder: Path) -> None:
        """Take over a pipeline's weights; what it knows of a word goes to the word's number of today."""
        take_over(self.unet, weights_in(folder / "unet"), "unet")
        before, now = vocabulary_in(folder / "tokenizer"), self.tokenizer.get_vocab()
        known = {i: before[token] for token, i in now.items() if token in before}
        for name, encoder in (("text_encoder", self.text_encoder), ("text_encoder_2", self.text_encoder_2)):
            weights = weights_in(folder / name)
            key = next(k for k in encoder.state_dict() if k.endswith("token_embedding.weight"))
            old = weights[key]
            table = torch.randn(len(now), old.shape[1]) * old.std()  # what the words not known begin with
            table[list(known)] = old[list(known.values())]
            take_over(encoder, weights | {key: table}, name)

    def tokens(self, captions: list[str]) -> Tensor:
        return tokens_of(self.tokenizer, captions).to(self.device_name)

    def noisy(self, x0: Tensor | None, noise: Tensor, t: int) -> Tensor:
        """The UNet's input at timestep t; at 999 the scheduler passes nothing but noise."""
        a, s = self.alphas[t].sqrt(), (1 - self.alphas[t]).sqrt()
        x = s * noise if x0 is None else a * x0 + s * noise
        return x.contiguous(memory_format=torch.channels_last)

    def prefix(self, x: Tensor, t: int, tokens: Tensor) -> UNetState:
        first = self.text_encoder(tokens, output_hidden_states=True).hidden_states[-2]
        second = self.text_encoder_2(tokens, output_hidden_states=True)
        text = torch.cat([first, second.hidden_states[-2]], -1)
        size = float(scenes.SIZE)
        time_ids = torch.tensor([size, size, 0, 0, size, size], device=x.device).repeat(len(x), 1)
        added = {"text_embeds": second.text_embeds, "time_ids": time_ids}
        return self.staged.prefix(x, torch.tensor(t, device=x.device), text, added)

    def suffix(self, state: UNetState, update: Tensor) -> Tensor:
        """The clean latents that are predicted when `update` is what the site adds to its input."""
        hidden_out = state.hidden_in + update.to(state.hidden_in.dtype)
        return self.staged.suffix(state, hidden_out)

    def only(self, stage: str) -> list[nn.Parameter]:
        """The parameters that a stage trains; all others are frozen."""
        chosen = [p for n, p in self.unet.named_parameters() if n.startswith(PARTS[stage])]
        if stage == "composer":
            chosen += [*self.text_encoder.parameters(), *self.text_encoder_2.parameters()]
        for p in self.parameters():
            p.requires_grad_(False)
        for p in chosen:
            p.requires_grad_(True)
        return chosen

    def embeddings(self) -> list[nn.Parameter]:
        """Tables of the text encoders, whose rows are not used together."""
        encoders = (self.text_encoder, self.text_encoder_2)
        return [p for e in encoders for n, p in e.named_parameters() if "embedding" in n]

    def parts(self) -> dict[str, nn.Module]:
        return {"unet": self.unet, "text_encoder": self.text_encoder, "text_encoder_2": self.text_encoder_2}


def tokens_of(tokenizer: Any, captions: list[str]) -> Tensor:
    """The numbers of the captions' words, padded to the same length."""
    ids: Tensor = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return ids


def weights_in(folder: Path) -> dict[str, Tensor]:
    """The weights of a pipeline's part, float32."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise ValueError(f"{folder} should hold one file of weights (.safetensors), not {len(files)}")
    return {name: weight.float() for name, weight in load_file(files[0]).items()}


def vocabulary_in(folder: Path) -> dict[str, int]:
    """The number of each token of a saved tokenizer; newer versions of transformers save one file for all."""
    if (folder / "vocab.json").exists():
        numbers: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))
    else:
        content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        numbers = content["model"]["vocab"]
        numbers |= {token["content"]: token["id"] for token in content["added_tokens"]}
    return numbers


def take_over(module: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Load weights to start from.

    Raises:
        ValueError: They are those of another network.
    """
    wanted = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in weights.items()}
    if wanted != given:
        differ = [k for k in sorted(wanted.keys() | given.keys()) if wanted.get(k) != given.get(k)]
        k = differ[0]
        raise ValueError(
            f"cannot start from these weights: {len(differ)} tensors of {name} are missing or differ, "
            f"the first is {k}, {given.get(k)} instead of {wanted.get(k)}; give a pipeline of the same shapes"
        )
    module.load_state_dict(weights)


def load_trained(model: Model, out: Path, until: str = "") -> None:
    """Take over what the stages so far have trained, or what those before a certain one have.

    Where two trained the same part, the later one in the recipe's order counts, whichever ran last: the times
    of files change when a folder is copied.
    """
    for stage, names in PARTS.items():
        if stage == until:
            break
        file = out / f"{stage}.pt"
        if not file.exists():
            continue
        averages = torch.load(file, weights_only=True, map_location="cpu")["averages"]
        unet = {k: v for k, v in averages["unet"].items() if k.startswith(names)}
        model.unet.load_state_dict(unet, strict=False)
        if stage == "composer":
            model.text_encoder.load_state_dict(averages["text_encoder"])
            model.text_encoder_2.load_state_dict(averages["text_encoder_2"])
