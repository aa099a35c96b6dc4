"""Pictures with one feature painted into their middle: on a blank canvas, or over a picture of the model.

Painting means the same as in a scene: the disc shows nothing of what the model itself composed at the first
site, only what is painted; other patches stay as they are, or are blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from ember_widgets.painter import analysis, steering
from ember_widgets.scene import site_names

if TYPE_CHECKING:
    from ember_widgets.model.runs import Run, Start
    from ember_widgets.painter.steered_model import SteeredModel
    from ember_widgets.scene.scene import Scene

DISC = "centre"
"""The area where a feature is painted to show what it draws."""


def lone_strength(model: SteeredModel, feature: int) -> float:
    """The strength at which a feature is painted on its own; see `Painter.icon`."""
    site = model.space.site(feature)
    return 1.0 if site == site_names.DEFAULT_SITE else float(model.saes[site].k or 1)


def canvas(model: SteeredModel, run: Run, *, blank: bool) -> Scene:
    """What is painted on, as a scene without factors.

    Args:
        model: The model.
        run: What it generates.
        blank: Nothing of the model's own composition is left; False = its picture as it is.
    """
    return analysis.scene_of(model, run, analysis.no_factors(model), [], remainder=0.0 if blank else 1.0)


def draw_canvas(
    model: SteeredModel, run: Run, *, blank: bool, start: Start | None = None, preview: bool = False
) -> Image.Image:
    """What is painted on, before anything is painted; arguments as for `draw_painted`."""
    with model.lock, model.memory("drawing features"):
        start = model.start(run) if start is None else start
        scene = canvas(model, run, blank=blank)
        latents = model.backbone.run(start, *steering.edits(scene, list(model.saes.values())))
        return model.backbone.decode(latents, preview=preview)


def draw_painted(
    model: SteeredModel,
    run: Run,
    features: Sequence[int],
    *,
    blank: bool,
    start: Start | None = None,
    preview: bool = False,
) -> list[Image.Image]:
    """Paint each of several features on the same canvas, one picture per feature.

    A model with one site, without guidance, draws all of them as one batch. Others draw one scene after the
    other, each with the lock of its own, so that painting goes on meanwhile.

    Args:
        model: The model.
        run: Of the canvas.
        features: Features of a scene.
        blank: See `canvas`.
        start: Of this run, if it is known.
        preview: Decode with the small decoder, if there is one.
    """
    if not features:
        return []
    if len(model.saes) == 1 and not run.guidance:
        with model.lock, model.memory("drawing features"):
            start = model.start(run) if start is None else start
            return _batch(model, start, features, blank=blank, preview=preview)
    pictures = []
    for feature in features:
        scene = canvas(model, run, blank=blank).add_factor({feature: 1.0})
        scene = scene.paint(0, DISC, lone_strength(model, feature))
        with model.lock, model.memory("drawing features"):
            one = model.start(run) if start is None else start
            latents = model.backbone.run(one, *steering.edits(scene, list(model.saes.values())))
            pictures.append(model.backbone.decode(latents, preview=preview))
    return pictures


def _batch(
    model: SteeredModel, start: Any, features: Sequence[int], *, blank: bool, preview: bool
) -> list[Image.Image]:
    """The same in one batch, without scenes: the basis of a scene for each would take most of the time."""
    ((site, sae),) = model.saes.items()
    features = [model.space.index(feature, site) for feature in features]
    disc = torch.tensor(model.grid.mask(DISC).reshape(-1, 1)).to(sae.W_dec)
    gone = torch.ones_like(disc) if blank else disc
    backbone = model.backbone
    vectors = [lone_strength(model, f) * sae.unit[f] * sae.W_dec[f] for f in features]
    changes = torch.stack([(disc * vector).T for vector in vectors])

    def steer(step: int, state: Any) -> Tensor:
        out: Tensor = state.hidden_out
        own = (gone * (steering.target(sae, state) - sae.b_dec)).T.reshape(out[-1:].shape)
        return out - own.to(out.dtype) + changes.reshape(len(features), *out.shape[1:]).to(out.dtype)

    latents = backbone.run(backbone.repeated(start, len(features)), steer)
    # One by one: a batch of large pictures takes much memory and no less time.
    return [backbone.decode(one, preview=preview) for one in latents[:, None]]
