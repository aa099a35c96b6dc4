"""Convolutions after nearest-neighbour upsampling, computed before it: the same up to rounding, sooner.

Upsampling repeats every pixel, so that a 3×3 kernel sees each of 2×2 pixels several times. Its weights are
summed instead: of 9 multiplications per pixel 4 are left. Of two convolutions in a row with nothing between
them, only one is left. What is computed for a picture becomes almost a fifth less.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# For each of the two new pixels, and for each pixel before upsampling that its kernel sees, the places in the
# kernel that fall on it.
OF_3 = (((0,), (1, 2)), ((0, 1), (2,)))
OF_5 = (((0, 1), (2, 3), (4,)), ((0,), (1, 2), (3, 4)))


class UpsampledConv(nn.Module):
    """A 3×3 convolution of an upsampled picture: (batch, n, rows, cols) -> (batch, m, 2·rows, 2·cols).

    Args:
        conv: With padding 1. Its weights are summed whenever it is run, so that an exported graph holds them
            as they are.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """Convolve what upsampling x would give."""
        rows, cols = x.shape[2:]
        bias = self.conv.bias
        # Place (i, j) of the result sees the pixels i - 1 and i.
        found = functional.conv2d(
            x, _summed(self.conv.weight, OF_3), None if bias is None else bias.repeat(4), padding=1
        )
        quarters = found.chunk(4, dim=1)
        return _interleaved(
            [q[:, :, a : a + rows, b : b + cols] for q, (a, b) in zip(quarters, _CORNERS, strict=True)]
        )


class UpsampledConvs(nn.Module):
    """Two 3×3 convolutions of an upsampled picture, the first of which has no bias.

    Args:
        first, second: With padding 1.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.first, self.second = UpsampledConv(first), second

    def forward(self, x: Tensor) -> Tensor:
        """Convolve twice what upsampling x would give."""
        one, other = self.first.conv.weight, self.second.weight
        # (n, m, 5, 5): both kernels in one.
        kernel = functional.conv2d(one.transpose(0, 1), other.flip(2, 3), padding=2).transpose(0, 1)
        bias = self.second.bias
        found = functional.conv2d(
            x, _summed(kernel, OF_5), None if bias is None else bias.repeat(4), padding=1
        )
        inner = _interleaved(list(found.chunk(4, dim=1)))
        # At the border the second kernel sees zeros where both in one see what the first gives beyond it. Two
        # pixels before upsampling are enough to compute the outermost line as it was.
        top, bottom = self._plain(x[:, :, :2])[:, :, :1], self._plain(x[:, :, -2:])[:, :, -1:]
        left, right = self._plain(x[..., :2])[..., :1], self._plain(x[..., -2:])[..., -1:]
        whole = torch.cat([top, inner[:, :, 1:-1], bottom], dim=2)
        return torch.cat([left, whole[..., 1:-1], right], dim=3)

    def _plain(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x))
        return found


_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def _summed(kernel: Tensor, places: Any) -> Tensor:
    """A kernel for each of the 2×2 new pixels, one after the other: (m, n, k, k) -> (4·m, n, l, l)."""

    def along(weights: Tensor, dim: int, pixel: int) -> Tensor:
        lines = weights.unbind(dim)
        return torch.stack([sum((lines[i] for i in some[1:]), lines[some[0]]) for some in places[pixel]], dim)

    return torch.cat([along(along(kernel, 2, a), 3, b) for a, b in _CORNERS])


def _interleaved(quarters: list[Tensor]) -> Tensor:
    """The new pixels in their order: four times (batch, m, rows, cols) -> (batch, m, 2·rows, 2·cols)."""
    batch, m, rows, cols = quarters[0].shape
    cells = torch.stack(quarters, dim=2).view(batch, m, 2, 2, rows, cols)
    return cells.permute(0, 1, 4, 2, 5, 3).reshape(batch, m, 2 * rows, 2 * cols)


def before_upsampling(*networks: nn.Module) -> None:
    """Let UNets, and decoders of an AutoencoderTiny, convolve before they upsample. They are changed."""
    from diffusers.models.autoencoders.vae import DecoderTiny
    from diffusers.models.upsampling import Upsample2D

    for module in [module for network in networks for module in network.modules()]:
        conv = _fits(getattr(module, "conv", None))
        if isinstance(module, Upsample2D) and conv and module.interpolate and module.norm is None:
            fused = UpsampledConv(conv)
            module.add_module("fused", fused)
            module.forward = fused.forward
        elif isinstance(module, DecoderTiny) and isinstance(module.layers, nn.Sequential):
            module.layers = nn.Sequential(*_fused(list(module.layers)))


def _fused(layers: list[nn.Module]) -> list[nn.Module]:
    """The layers, with those after an upsampling taken together with it."""
    found: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        doubles = isinstance(layer, nn.Upsample) and layer.scale_factor == 2 and layer.mode == "nearest"
        first, second = ([_fits(one) for one in layers[:2]] + [None, None])[:2]
        if not doubles or first is None:
            found.append(layer)
        elif second is None or first.bias is not None:
            found.append(UpsampledConv(first))
            del layers[:1]
        else:
            found.append(UpsampledConvs(first, second))
            del layers[:2]
    return found


def _fits(layer: object) -> nn.Conv2d | None:
    """The layer, if it is a 3×3 convolution with padding 1; else None."""
    if not isinstance(layer, nn.Conv2d):
        return None
    shape = (layer.kernel_size, layer.padding, layer.stride, layer.groups)
    return layer if shape == ((3, 3), (1, 1), (1, 1), 1) else None
