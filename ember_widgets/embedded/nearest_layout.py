"""The layout of a caption that is nearest to what the site says, among all that nearly the same noise gives.

A training that asks for the one exact layout teaches the composer, which reads the noise with some error,
to draw half of a thing in each of two places; if the nearest layout counts, either place is right and a
mixture of both is not (multiple choice learning, Guzman-Rivera et al. 2012). Each thing is chosen by itself:
three things with three places each have 27 layouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ember_widgets.embedded import scenes
from ember_widgets.embedded.captions import MAX_THINGS, Choices, bottom

WEIGHT = 3.0  # of a patch that a thing may be in


class Places(NamedTuple):
    """Where the things of captions may stand, as patches.

    A thing with fewer places than others has its first one several times; captions with fewer things have
    some that are nowhere.

    Attributes:
        background: int64 labels (B, 16, 16).
        labels: int64 labels (B, 4 things, n places, 16, 16); -1 = the thing is not there.
        front: How far in front of the others, (B, 4, n) int64.
    """

    background: Tensor
    labels: Tensor
    front: Tensor


def places_of(captions: Sequence[Choices]) -> Places:
    """The choices of some captions as patches."""
    most = max(len(places) for choices in captions for places in (*choices.places, ((),)))
    size = (len(captions), MAX_THINGS, most)
    labels, front = np.full((*size, scenes.GRID, scenes.GRID), -1), np.zeros(size, int)
    for b, choices in enumerate(captions):
        for i, places in enumerate(choices.places):
            for k, things in enumerate(places):
                layout = scenes.Layout(labels[b, i, k], things)
                labels[b, i, k], front[b, i, k] = scenes.label_patches(layout), bottom(things[0])
            labels[b, i, len(places) :], front[b, i, len(places) :] = labels[b, i, 0], front[b, i, 0]
    background = np.stack([choices.background for choices in captions])
    return Places(*(torch.from_numpy(part) for part in (background, labels, front)))


def squared_distances(update: Tensor, codes: Tensor) -> Tensor:
    """From each patch of (B, D, 16, 16) to each code (n_labels, D), as (B, n_labels, 16, 16).

    1 is the length of a code of one attribute.
    """
    update = update.float()
    size2 = codes.pow(2).sum(1)
    products = torch.einsum("bdrc,kd->bkrc", update, codes)
    return (update.pow(2).sum(1, keepdim=True) - 2 * products + size2[:, None, None]) / size2[1]


def nearest_places(distances2: Tensor, places: Places) -> Tensor:
    """Which of its places each thing is nearest to, (B, 4)."""
    b, things, n = places.labels.shape[:3]
    wanted = torch.where(places.labels < 0, places.background[:, None, None], places.labels)
    distance = distances2.gather(1, wanted.flatten(1, 2)).view(b, things, n, *wanted.shape[3:])
    around = (places.labels >= 0).any(2, keepdim=True)  # elsewhere it makes no difference
    return (distance * around).sum((3, 4)).argmin(2)


def nearest_labels(distances2: Tensor, places: Places) -> Tensor:
    """The labels (B, 16, 16) with each thing in the place that it is nearest to."""
    chosen = nearest_places(distances2, places)
    b, things = chosen.shape
    of = torch.arange(b, device=chosen.device)[:, None], torch.arange(things, device=chosen.device), chosen
    labels = places.labels[of]
    # Of two that stand equally far in front, the later one is drawn later.
    front = things * places.front[of] + torch.arange(things, device=chosen.device)
    seen = torch.where(labels < 0, -1, front[..., None, None]).amax(1, keepdim=True)
    there = (labels >= 0) & (front[..., None, None] == seen)
    return torch.where(there.any(1), torch.where(there, labels, 0).sum(1), places.background)


def patch_weights(places: Places) -> Tensor:
    """How much each patch counts, (B, 16, 16), as shares of 1: `WEIGHT` where a thing may be.

    Whether it is there or not: where only what is there counts more, a network that is not sure draws it in
    both places.
    """
    weights = torch.where((places.labels >= 0).any(2).any(1), WEIGHT, 1.0)
    return weights / weights.sum((1, 2), keepdim=True)
