"""What a user may not change in a pipeline, because a staged UNet does not run it.

A staged UNet calls the modules inside the blocks of a UNet, and not the blocks' own forward passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from diffusers import UNet2DConditionModel
from diffusers.models.unets import unet_2d_blocks as blocks
from torch import nn

_FORWARDS = {
    kind.forward
    for kind in (
        UNet2DConditionModel,
        blocks.DownBlock2D,
        blocks.CrossAttnDownBlock2D,
        blocks.UNetMidBlock2DCrossAttn,
        blocks.UpBlock2D,
        blocks.CrossAttnUpBlock2D,
    )
}
"""The forward passes that a staged UNet does step by step."""
_METHODS = ("prepare_latents", "upcast_vae")
"""Methods of a pipeline that are done here in another way."""
_ADVICE = "a painter does not run that; change the modules inside the blocks instead, or undo it"


def check_class(unet: Any) -> None:
    """Refuse what is not diffusers' UNet.

    Raises:
        ValueError: For instance, it is compiled as a whole.
    """
    if not isinstance(unet, UNet2DConditionModel):
        raise ValueError(
            f"the pipeline's unet is of class {type(unet).__name__}, not UNet2DConditionModel; "
            "give SDXL-Turbo or a model of its architecture, and to compile it, use compile=True of "
            "Painter.from_pretrained"
        )


def check_blocks(unet: Any) -> None:
    """Refuse a UNet whose own forward pass, or that of a block, is not diffusers' own.

    Raises:
        ValueError: It was replaced, or is compiled, or has a hook.
    """
    for path, module in _containers(unet):
        state = vars(module)
        # accelerate leaves the class's own method in the module when it removes its hooks.
        if getattr(module.forward, "__func__", None) not in _FORWARDS:
            found = f"{path}.forward is not that of diffusers"
        elif state.get("_compiled_call_impl") is not None:
            found = f"{path} is compiled as a whole"
        elif module._forward_hooks or module._forward_pre_hooks:
            found = f"{path} has a forward hook"
        else:
            continue
        raise ValueError(f"{found}: {_ADVICE}")


def check_methods(pipeline: Any) -> None:
    """Refuse a pipeline or scheduler whose methods were replaced, if that would have no effect here.

    Raises:
        ValueError: A method was replaced.
    """
    scheduler = pipeline.scheduler
    replaced = [f"pipeline.{name}" for name in _METHODS if name in vars(pipeline)]
    replaced += [f"scheduler.{name}" for name in vars(scheduler) if hasattr(type(scheduler), name)
                 and callable(getattr(type(scheduler), name))]  # fmt: skip
    if replaced:
        raise ValueError(f"{replaced[0]} was replaced, and a painter does not call it; undo that")


def _containers(unet: Any) -> Iterator[tuple[str, nn.Module]]:
    yield "unet", unet
    yield "unet.mid_block", unet.mid_block
    for name in ("down_blocks", "up_blocks"):
        for i, block in enumerate(getattr(unet, name)):
            yield f"unet.{name}.{i}", block
