"""The fixed parts of a pipeline as modules whose inputs and outputs are plain tensors, and their export.

A picture is drawn by a few calls of these parts; what happens between them (noise, scheduler, edits) is not
part of the network. They hold the pipeline's own modules, so that they give the pipeline's own numbers, and a
runtime that takes ONNX graphs runs them in the kernel or in a browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ember_widgets.model.sdxl.staged_unet import StagedUNet, UNetState
from ember_widgets.util import quiet

OPSET = 20
_TALKATIVE = "torch.onnx._internal.exporter._registration"  # says that torchvision is missing


class Prefix(nn.Module):
    """The UNet up to and including a site.

    (sample, t, text, text_embeds, time_ids) -> (hidden_in, hidden_out, emb, *skips), see `UNetState`.

    Args:
        stage: The UNet cut at the site.
    """

    def __init__(self, stage: StagedUNet) -> None:
        super().__init__()
        self.unet = stage.unet
        self._stage = stage

    def forward(
        self, sample: Tensor, t: Tensor, text: Tensor, text_embeds: Tensor, time_ids: Tensor
    ) -> tuple[Tensor, ...]:
        """From noisy latents to the site's output."""
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        state = self._stage.prefix(sample, t, text, added)
        return state.hidden_in, state.hidden_out, state.emb, *state.skips


class Embedding(nn.Module):
    """What the UNet makes of the timestep and the pooled text.

    (hidden_in, t, text, text_embeds, time_ids) -> emb. A style is read by the layers after the site only:
    this is the part of the prefix that it changes.

    Args:
        stage: The UNet cut at the site.
    """

    def __init__(self, stage: StagedUNet) -> None:
        super().__init__()
        self.unet = stage.unet
        self._stage = stage

    def forward(
        self, hidden_in: Tensor, t: Tensor, text: Tensor, text_embeds: Tensor, time_ids: Tensor
    ) -> Tensor:
        """The embedding, (batch, d)."""
        state = UNetState(hidden_in, hidden_in, (), hidden_in, text)
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        return self._stage.reworded(state, t, text, added).emb


class Suffix(nn.Module):
    """The UNet after a site: (hidden_out, emb, text, *skips) -> the prediction, shaped as the latents.

    Args:
        stage: The UNet cut at the site.
    """

    def __init__(self, stage: StagedUNet) -> None:
        super().__init__()
        self.unet = stage.unet
        self._stage = stage

    def forward(self, hidden_out: Tensor, emb: Tensor, text: Tensor, *skips: Tensor) -> Tensor:
        """From the site's (edited) output to the prediction."""
        return self._stage.suffix(UNetState(hidden_out, hidden_out, tuple(skips), emb, text), hidden_out)


class Decoder(nn.Module):
    """latents -> pixels, (batch, 3, height, width) in -1..1, before the image processor.

    Args:
        vae: The pipeline's VAE.
    """

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents in the sampler's scale."""
        return decoded(self.vae, latents)


class TextEncoders(nn.Module):
    """Token ids of the two tokenizers -> (text, pooled), as the pipeline's `encode_prompt` has them.

    Args:
        text_encoder, text_encoder_2: The pipeline's.
    """

    def __init__(self, text_encoder: Any, text_encoder_2: Any) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.text_encoder_2 = text_encoder_2

    def forward(self, ids: Tensor, ids_2: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, tokens) twice -> (batch, tokens, d_text) and (batch, d_pooled)."""
        first = self.text_encoder(ids, output_hidden_states=True)
        second = self.text_encoder_2(ids_2, output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second[0]


def decoded(vae: Any, latents: Tensor) -> Tensor:
    """The pixels of latents in the sampler's scale, by the pipeline's rules."""
    config = vae.config
    if getattr(config, "latents_mean", None) is not None and getattr(config, "latents_std", None) is not None:
        mean, std = moments(config, latents)
        latents = latents * std / config.scaling_factor + mean
    else:
        latents = latents / config.scaling_factor
    pixels: Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels


def moments(config: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a VAE's latents per channel; 0 and 1 if it has none."""
    found = []
    for name, neutral in (("latents_mean", 0.0), ("latents_std", 1.0)):
        value = getattr(config, name, None)
        n_channels = like.shape[1]
        moment = torch.full((n_channels,), neutral) if value is None else torch.tensor(value)
        found.append(moment.view(1, n_channels, 1, 1).to(like.device, like.dtype))
    return found[0], found[1]


@dataclass(frozen=True)
class Example:
    """Inputs of a part, and the names of its inputs and outputs.

    Attributes:
        given: Tensors of the shapes that the graph shall have.
        inputs, outputs: A name for each.
    """

    given: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def skip_names(n: int) -> tuple[str, ...]:
    """Names of the skips of a state."""
    return tuple(f"skip_{i}" for i in range(n))


def check_exporter() -> None:
    """Refuse to go on without what `to_onnx` needs.

    Raises:
        ImportError: The packages `onnx` and `onnxscript` are not installed.
    """
    try:
        import onnxscript  # noqa: F401  (it needs onnx)
    except ImportError as fault:
        raise ImportError(
            "graphs are exported with the packages onnx and onnxscript; "
            "install them with  pip install 'ember-widgets[page]'"
        ) from fault


def to_onnx(part: nn.Module, example: Example, path: Path) -> None:
    """Write a part as an ONNX graph, with its weights inside the file.

    Args:
        part: One of the classes above, in the dtype that the graph shall compute in.
        example: Its inputs; the graph has exactly their shapes.
        path: Where to write it.

    Raises:
        ImportError: As `check_exporter`.
    """
    check_exporter()
    with torch.no_grad(), quiet.ignoring(Warning), quiet.without_logs_of(_TALKATIVE):
        torch.onnx.export(
            part.eval(),
            example.given,
            path,
            input_names=example.inputs,
            output_names=example.outputs,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
