"""How good an SAE is for painting: its numbers on pictures that it has not seen, and what it does to them.

Two things are drawn. First, each picture again with its SAE in the way: at every step the site's output is
replaced by what the SAE makes of it,

    x_out' = x_in + decode(encode(x_out − x_in))      target "update"
    x_out' = decode(encode(x_out))                    target "output"

(with guidance, in the conditional half). Second, features that are alive and not positional, chosen at
random: each is added with strength 1, its typical activation, to the square of half the grid's width in
the middle of a picture. Its effect and locality are taken from the two pictures' difference.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.runs import Edit, Run, SiteState
from ember_widgets.painter import steering
from ember_widgets.painter.sae_training import cut_at
from ember_widgets.painter.steered_model import SteeredModel
from ember_widgets.scene import site_names
from ember_widgets.scene.grid import Grid
from ember_widgets.training.evaluation import Quality, completed
from ember_widgets.training.stream import HELD_OUT_SEED, Prompts
from ember_widgets.util import checks

if TYPE_CHECKING:
    from ember_widgets.painter.painter import Painter

EQUAL_DB = 100.0
"""PSNR of equal pictures; the least difference that 8 bits have is about 96 dB in a picture of 64×64."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of several values; nan if there are none.

    Example:
        >>> print(Spread.of([1.0, 3.0]))
        2.0 ± 1.4
    """

    mean: float
    deviation: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of these values."""
        if not values:
            return cls(math.nan, math.nan, 0)
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return cls(float(np.mean(values)), deviation, len(values))

    def __str__(self) -> str:
        digits = 1 if abs(self.mean) >= 1 else 2
        return f"{self.mean:.{digits}f} ± {self.deviation:.{digits}f}"


@dataclass(frozen=True)
class Evaluation:
    """How good an SAE is on pictures of some prompts.

    Attributes:
        site: Module path.
        n_pictures: Pictures that it was measured on.
        quality: FVU, L0, and the shares of dead and positional features on these pictures; redundancy of the
            decoder.
        psnr: Between each picture and the same one drawn with the SAE's reconstruction, in dB; 100 if they
            are equal.
        effect: Mean absolute change of a painted feature in the painted patches, 0..255.
        locality: Share of the squared change that lies in the painted patches, 0..1; features that change
            nothing are left out.
        painted_share: Share of the picture that is painted: the locality of a change that is everywhere
            alike.
        features: Those that were painted.
    """

    site: str
    n_pictures: int
    quality: Quality
    psnr: Spread
    effect: Spread
    locality: Spread
    painted_share: float
    features: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for a log or a JSON file."""
        return dataclasses.asdict(self) | {"features": list(self.features)}

    def __str__(self) -> str:
        q = self.quality
        rows = (
            ("FVU", f"{q.fvu:.3f}", "variance that is not explained"),
            ("L0", f"{q.l0:.1f}", "active features per patch"),
            ("dead", f"{q.dead:.1%}", "features never active on these pictures"),
            ("positional", f"{q.positional:.1%}", "features active along the border whatever is shown"),
            ("redundancy", f"{q.redundancy:.2f}", "cosine to the most similar other feature"),
            ("PSNR", f"{self.psnr} dB", "picture with reconstruction against picture"),
            ("effect", str(self.effect), f"of 255, {len(self.features)} features painted with strength 1"),
            ("locality", str(self.locality), f"of the change is in the painted {self.painted_share:.0%}"),
        )
        head = f"SAE of {self.site} on {self.n_pictures} pictures"
        return "\n".join([head, *(f"  {name:<11}{value:<16}{what}" for name, value, what in rows)])


def evaluate_sae(
    painter: Painter,
    sae: SAE,
    prompts: Any,
    *,
    n_pictures: int = 16,
    seed: int = HELD_OUT_SEED,
    n_features: int = 32,
    n_steps: int = 1,
    guidance: float | None = None,
) -> Evaluation:
    """Measure an SAE on pictures, and what painting with it does.

    Args:
        painter: Whose model draws. It need not steer the SAE's site.
        sae: The dictionary, of any site of that model.
        prompts: A list, a text file with one prompt in each line, or an iterable such as a data set's
            column. The first `n_pictures` are used; fewer are gone through again with other seeds.
        n_pictures: How many pictures, 2..4096.
        seed: Of the first picture; each has the next one. The default is beyond the seeds
            that training uses.
        n_features: How many features are painted, 1..4096; fewer if fewer are alive and not positional.
        n_steps: Denoising steps of each picture; all are measured.
        guidance: Scale of classifier-free guidance; None = the painter's.

    Returns:
        The measurements. The same arguments give the same ones.

    Raises:
        TypeError, ValueError: Something does not fit, or there are no prompts; the message says what to do.
        FloatingPointError: The model's values overflowed.

    Example:
        >>> print(ember.evaluate_sae(painter, sae, ["a lion in a meadow"]))      # doctest: +SKIP
    """
    from ember_widgets.painter.painter import Painter

    if not isinstance(painter, Painter):
        raise TypeError(
            f"painter={checks.shown(painter)} is not an ember.Painter; evaluate an SAE where the model is"
        )
    if not isinstance(sae, SAE):
        raise TypeError(f"sae={checks.shown(sae)} is not an SAE; load a file with ember.load_sae")
    n_pictures = checks.integer("n_pictures", n_pictures, 2, 4096, hint="16 to 64 are enough")
    n_features = checks.integer("n_features", n_features, 1, 4096, hint="32 are enough")
    seed = checks.seed(seed)
    scale = painter.guidance if guidance is None else checks.guidance(guidance)
    n_steps = checks.n_steps(n_steps, scale)
    texts = [checks.text("prompt", one) for one in itertools.islice(Prompts(prompts), n_pictures)]
    runs = [Run(text, seed + i, n_steps, scale) for i, text in enumerate(texts)]
    site = site_names.full(sae.site)
    backbone = painter.backbone if painter.backbone.sites == (site,) else cut_at(painter.backbone, [site])
    with painter.model.lock, backbone.memory("evaluating an SAE"):
        model = SteeredModel(backbone, {site: sae}, name="evaluation", guidance=scale)
        return _evaluated(model, model.saes[site], runs, n_features)


@torch.no_grad()
def _evaluated(model: SteeredModel, sae: SAE, runs: Sequence[Run], n_features: int) -> Evaluation:
    seen, plain, psnr = [], [], []
    for run in runs:
        steps: list[Tensor] = []
        plain.append(drawn(model, run, recorded(sae, steps)))
        seen.append(torch.cat(steps).cpu())
        psnr.append(psnr_of(plain[-1], drawn(model, run, reconstructed(sae))))
    found, quality = completed(sae.to("cpu"), torch.stack(seen), model.grid)
    features = _chosen(found, torch.cat(seen), sae.positional, n_features, runs[0].seed)
    patches = middle(model.grid)
    effects, localities = [], []
    for i, feature in enumerate(features):
        at = i % len(runs)
        edited = drawn(model, runs[at], painted(sae, feature, patches))
        effect, locality = change_of(plain[at], edited, patches)
        effects.append(effect)
        localities += [] if locality is None else [locality]
    return Evaluation(
        sae.site,
        len(runs),
        quality,
        Spread.of(psnr),
        Spread.of(effects),
        Spread.of(localities),
        float(patches.mean()),
        tuple(features),
    )


def drawn(model: SteeredModel, run: Run, edit: Edit) -> NDArray[np.float32]:
    """A run's picture with an edit of the first site, (height, width, 3), 0..255."""
    start = model.start(run, keep=False)
    picture: Image.Image = model.backbone.decode(model.backbone.run(start, edit))
    return np.asarray(picture.convert("RGB"), np.float32)


def recorded(sae: SAE, seen: list[Tensor]) -> Edit:
    """An edit that changes nothing; `seen` gets what the SAE encodes at each step, (n_patches, d_model)."""

    def edit(step: int, state: SiteState) -> Tensor:
        seen.append(steering.target(sae, state))
        return state.hidden_out

    return edit


def reconstructed(sae: SAE) -> Edit:
    """An edit that replaces the site's output by the SAE's reconstruction."""

    def edit(step: int, state: SiteState) -> Tensor:
        vectors = sae.decode(sae.encode(steering.target(sae, state))).T.reshape(state.hidden_out[-1:].shape)
        if sae.target == "update":
            vectors = vectors + state.hidden_in[-1:].float()
        return torch.cat([state.hidden_out[:-1], vectors.to(state.hidden_out.dtype)])

    return edit


def painted(sae: SAE, feature: int, patches: NDArray[np.bool_]) -> Edit:
    """An edit that adds a feature's typical activation to some patches, as `Scene.paint(mode="add")` does."""
    added = torch.zeros(patches.size, sae.d_model, device=sae.W_dec.device)
    added[torch.from_numpy(patches.ravel()).to(added.device)] = sae.unit[feature] * sae.W_dec[feature]

    def edit(step: int, state: SiteState) -> Tensor:
        out = state.hidden_out
        half = out[-1:] + added.T.reshape(out[-1:].shape).to(out.dtype)
        return torch.cat([out[:-1], half])

    return edit


def middle(grid: Grid) -> NDArray[np.bool_]:
    """The square of half the grid's height and width in its middle."""
    patches = np.zeros(grid.shape, bool)
    rows, cols = grid.shape
    patches[rows // 4 : rows // 4 + max(rows // 2, 1), cols // 4 : cols // 4 + max(cols // 2, 1)] = True
    return patches


def psnr_of(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio of two pictures in dB."""
    error = float(np.square(one - other).mean())
    return EQUAL_DB if error == 0 else 10 * math.log10(255**2 / error)


def change_of(
    plain: NDArray[np.float32], edited: NDArray[np.float32], patches: NDArray[np.bool_]
) -> tuple[float, float | None]:
    """Effect and locality of an edit of some patches, see `Evaluation`; no locality if nothing changed."""
    change = np.abs(edited - plain).mean(axis=2)
    square = np.square(edited - plain).sum(axis=2)
    # Which patch a pixel is of; sides need not be multiples of rows and columns.
    rows, cols = (np.arange(n) * side // n for n, side in zip(change.shape, patches.shape, strict=True))
    inside = patches[np.ix_(rows, cols)]
    total = float(square.sum())
    return float(change[inside].mean()), float(square[inside].sum()) / total if total else None


def _chosen(sae: SAE, activations: Tensor, positional: Sequence[int], n: int, seed: int) -> list[int]:
    """Features at random: alive here, and positional neither here nor as the SAE says."""
    alive = torch.zeros(sae.n_features, dtype=torch.bool)
    for part in torch.split(activations, 4096):
        alive |= (sae.encode(part) > 0).any(0)
    alive[list({*positional, *sae.positional})] = False
    candidates = alive.nonzero().flatten()
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))
    return sorted(int(f) for f in candidates[order[:n]])
