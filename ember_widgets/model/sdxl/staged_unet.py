"""Run an SDXL UNet up to a steering site once, and from the site on once per edit.

An edit at a site changes nothing before it. So the part before (`prefix`) is kept, and each further edit of
the same picture costs only the part after (`suffix`). Both call the UNet's own modules in the UNet's own
order. Together they are bit-equal to `unet(...)`; a test checks this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.utils.torch_utils import apply_freeu
from torch import Tensor, nn

from ember_widgets.model.runs import SiteState
from ember_widgets.model.sdxl.changes import check_blocks, check_class
from ember_widgets.scene import site_names
from ember_widgets.scene.grid import Grid


@dataclass(frozen=True)
class UNetState(SiteState):
    """What enters and leaves a site, and all else that the rest of the UNet needs.

    Attributes:
        skips: Activations that wait for the up blocks.
        emb: Time and pooled-text embedding.
        encoder_hidden_states: Text embedding for the cross-attentions.
    """

    skips: tuple[Tensor, ...]
    emb: Tensor
    encoder_hidden_states: Tensor


@dataclass
class _Run:
    """The values that change during one forward pass."""

    sample: Tensor
    skips: list[Tensor]
    emb: Tensor
    text: Tensor


_Op = Callable[[_Run], None]


class StagedUNet:
    """A UNet cut in two at one attention block; `order` is the position of that block.

    Args:
        unet: A `UNet2DConditionModel` of SDXL's family (`addition_embed_type="text_time"`). It is not
            changed.
        site: Module path of an attention block (`"down_blocks.2.attentions.1"`) or one of the short names
            of `site_names`.

    Raises:
        ValueError: The UNet has no such block, or has parts that SDXL lacks and that this class would skip.
    """

    def __init__(self, unet: Any, site: str) -> None:
        self.unet = unet
        self.site = site_names.full(site)
        _check_family(unet)
        ops = list(_program(unet))
        paths = [path for path, _ in ops]
        if self.site not in paths:
            sites = ", ".join(p for p in paths if "attentions" in p)
            raise ValueError(
                f"site={site!r}, but this UNet has no such attention block; choose one of {sites}"
            )
        self.order = cut = paths.index(self.site)
        self._before = ops[:cut]
        self._block: nn.Module = unet.get_submodule(self.site)
        self._after = ops[cut + 1 :]

    def __reduce__(self) -> tuple[type[StagedUNet], tuple[Any, str]]:
        return StagedUNet, (self.unet, self.site)  # for pickle: operations are made anew

    def prefix(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, added: dict[str, Tensor]
    ) -> UNetState:
        """Run from the noisy latents to the site's output.

        Args:
            sample: Scaled noisy latents (batch, 4, height, width).
            timestep: Scalar tensor, the scheduler's timestep.
            encoder_hidden_states: Text embedding (batch, tokens, d_text).
            added: `{"text_embeds", "time_ids"}` as the SDXL pipeline passes them.
        """
        emb = self._embedding(sample, timestep, encoder_hidden_states, added)
        run = _Run(sample, [], emb, encoder_hidden_states)
        for _, op in self._before:
            op(run)
        hidden_in = run.sample
        hidden_out = _attend(self._block, hidden_in, run.text)
        return UNetState(hidden_in, hidden_out, tuple(run.skips), emb, run.text)

    def grid(self, side: int) -> Grid:
        """The site's rows and columns of patches, for square latents with this side."""
        for path, _ in self._before:
            if "downsamplers" in path:
                side //= 2
            elif "upsamplers" in path:
                side *= 2
        return Grid(side, side)

    def leads_to(self, site: str) -> bool:
        """Whether the site is this one or comes after it."""
        return site == self.site or site in [path for path, _ in self._after]

    def run_to(self, state: UNetState, hidden_out: Tensor, site: str) -> UNetState:
        """Run from the site's (edited) output to a later site.

        Args:
            state: From `prefix`; it is not changed.
            hidden_out: What leaves this site.
            site: Module path of an attention block after it.

        Raises:
            ValueError: The site is not an attention block after this one.
        """
        blocks = [path for path, _ in self._after if "attentions" in path]
        if site not in blocks:
            raise ValueError(
                f"site={site!r} is not an attention block after {self.site}; "
                f"choose one of {', '.join(blocks)}"
            )
        run = _Run(hidden_out, list(state.skips), state.emb, state.encoder_hidden_states)
        for path, op in self._after:
            if path == site:
                break
            op(run)
        out = _attend(self.unet.get_submodule(site), run.sample, run.text)
        return UNetState(run.sample, out, tuple(run.skips), run.emb, run.text)

    def reworded(
        self, state: UNetState, timestep: Tensor, encoder_hidden_states: Tensor, added: dict[str, Tensor]
    ) -> UNetState:
        """The state with another text for what comes after the site; arguments as for `prefix`."""
        emb = self._embedding(state.hidden_in, timestep, encoder_hidden_states, added)
        return replace(state, emb=emb, encoder_hidden_states=encoder_hidden_states)

    def _embedding(self, sample: Tensor, timestep: Tensor, text: Tensor, added: dict[str, Tensor]) -> Tensor:
        """Time and pooled text; only the batch size, dtype and device of the sample matter."""
        emb = self.unet.time_embedding(self.unet.get_time_embed(sample=sample, timestep=timestep), None)
        aug = self.unet.get_aug_embed(emb=emb, encoder_hidden_states=text, added_cond_kwargs=added)
        whole: Tensor = emb + aug
        return whole

    def suffix(self, state: UNetState, hidden_out: Tensor, *, until: str | None = None) -> Tensor:
        """Run from the site's (edited) output to the UNet's prediction (batch, 4, height, width).

        Args:
            state: From `prefix`; it is not changed.
            hidden_out: What leaves the site, (batch, d_model, rows, cols).
            until: Module path to stop before; then its input is returned.
        """
        run = _Run(hidden_out, list(state.skips), state.emb, state.encoder_hidden_states)
        for path, op in self._after:
            if path == until:
                break
            op(run)
        return run.sample


def latent_side(unet: Any) -> int:
    """Height and width of the latents that a UNet is run on.

    Raises:
        ValueError: They are not square, or cannot be halved as often as the UNet halves them.
    """
    size, unit = unet.config.sample_size, 2**unet.num_upsamplers
    if not isinstance(size, int) or size < unit or size % unit:
        raise ValueError(
            f"this UNet is configured with sample_size={size}; "
            f"give one whole number that is a multiple of {unit}, such as 64 or 96"
        )
    return size


def _check_family(unet: Any) -> None:
    check_class(unet)
    config = unet.config
    foreign = {
        "in_channels": config.in_channels != config.out_channels,  # a model for inpainting
        "addition_embed_type": config.addition_embed_type != "text_time",
        "class_embedding": unet.class_embedding is not None,
        "encoder_hid_proj": unet.encoder_hid_proj is not None,
        "time_embed_act": unet.time_embed_act is not None,
        "center_input_sample": bool(config.center_input_sample),
        "time_cond_proj_dim": config.time_cond_proj_dim is not None,
    }
    if any(foreign.values()):
        names = ", ".join(name for name, is_foreign in foreign.items() if is_foreign)
        raise ValueError(
            f"this UNet is not of SDXL's family ({names}); give SDXL-Turbo or a model of its architecture"
        )
    check_blocks(unet)


def _attend(block: nn.Module, sample: Tensor, text: Tensor) -> Tensor:
    out: Tensor = block(sample, encoder_hidden_states=text, return_dict=False)[0]
    return out


def _program(unet: Any) -> Sequence[tuple[str, _Op]]:
    """The UNet's forward pass as a flat list of (module path, operation), in order."""
    ops: list[tuple[str, _Op]] = []

    def resnet(path: str) -> None:
        module = unet.get_submodule(path)

        def op(run: _Run) -> None:
            run.sample = module(run.sample, run.emb)

        ops.append((path, op))

    def attention(path: str) -> None:
        module = unet.get_submodule(path)

        def op(run: _Run) -> None:
            run.sample = _attend(module, run.sample, run.text)

        ops.append((path, op))

    def plain(path: str) -> None:
        module = unet.get_submodule(path)

        def op(run: _Run) -> None:
            run.sample = module(run.sample)

        ops.append((path, op))

    def push(run: _Run) -> None:
        run.skips.append(run.sample)

    def join(block: Any) -> None:
        def op(run: _Run) -> None:
            sample, skip = run.sample, run.skips.pop()
            freeu = {name: getattr(block, name, None) for name in ("s1", "s2", "b1", "b2")}
            if all(freeu.values()):  # it writes into the sample, which is kept
                sample, skip = apply_freeu(block.resolution_idx, sample.clone(), skip, **freeu)
            run.sample = torch.cat([sample, skip], dim=1)

        ops.append(("", op))

    plain("conv_in")
    ops.append(("", push))
    for i, block in enumerate(unet.down_blocks):
        attends = bool(getattr(block, "has_cross_attention", False))
        for j in range(len(block.resnets)):
            resnet(f"down_blocks.{i}.resnets.{j}")
            if attends:
                attention(f"down_blocks.{i}.attentions.{j}")
            ops.append(("", push))
        if block.downsamplers is not None:
            plain(f"down_blocks.{i}.downsamplers.0")
            ops.append(("", push))
    resnet("mid_block.resnets.0")
    for j in range(len(unet.mid_block.attentions)):
        attention(f"mid_block.attentions.{j}")
        resnet(f"mid_block.resnets.{j + 1}")
    for i, block in enumerate(unet.up_blocks):
        attends = bool(getattr(block, "has_cross_attention", False))
        for j in range(len(block.resnets)):
            join(block)
            resnet(f"up_blocks.{i}.resnets.{j}")
            if attends:
                attention(f"up_blocks.{i}.attentions.{j}")
        if block.upsamplers is not None:
            plain(f"up_blocks.{i}.upsamplers.0")
    for path in ("conv_norm_out", "conv_act", "conv_out"):
        plain(path)
    return ops
