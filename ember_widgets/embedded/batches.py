"""Batches to train the UNet on: captioned scenes, and scenes as painting would put them at the site."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ember_widgets.embedded import architecture, captions, scenes, vocabulary
from ember_widgets.embedded.latents import captioned, load_latents
from ember_widgets.embedded.model import Model, tokens_of
from ember_widgets.embedded.nearest_layout import places_of
from ember_widgets.embedded.training_loop import rank
from ember_widgets.model.sdxl.staged_unet import UNetState

N_CONTEXTS = 48
NEARLY = 0.5  # how far below the largest a field may be where a thing may stand too
LATER = (749, 665, 499, 332, 249)  # the timesteps after the first one when a picture takes 2 to 4 steps
HIDDEN, FULL = 0.1, 0.9  # strengths at which a thing begins to show, and at which it is opaque

Context = tuple[UNetState, list[int]]


def later_timestep(rng: np.random.Generator) -> int:
    """A timestep of the second to fourth step: half of them near those of the scheduler, else any."""
    if rng.random() < 0.5:
        return int(rng.choice(LATER)) + int(rng.integers(-20, 21))
    return int(rng.integers(200, 801))


class Painted(NamedTuple):
    """Encoded scenes: latents, codes as painting would put them at the site, weights of the loss, sides."""

    latents: Tensor
    codes: Tensor
    weight: Tensor
    sides: Tensor


class CaptionBatches(Dataset[dict[str, Any]]):
    """Captions and the layouts they ask for, by the number of the step.

    Most are new, at the first timestep; a share `later` are those of encoded scenes, whose pictures are
    known, at later timesteps. What is easier comes first: noise that says clearly where things are, until two
    thirds of the steps are done, and more of the later timesteps, until half of them are.

    Args:
        tokenizer: Of both text encoders.
        steps: Length of the training.
        batch: Captions per step.
        encoded: (number of the first captioned scene among the encoded ones, how many there are).
        later: Share of the steps at later timesteps, in the first half; a third of it in the second.
        lifted: Share of the noises that are made clearer, at the beginning.
        process: Number of the process that trains.
    """

    def __init__(
        self,
        tokenizer: Any,
        steps: int,
        batch: int,
        encoded: tuple[int, int],
        later: float,
        lifted: float,
        process: int,
    ) -> None:
        self._tokenizer, self._steps, self._batch = tokenizer, steps, batch
        self._first, self._n_encoded = encoded
        self._later, self._lifted, self._process = later, lifted, process

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, n: int) -> dict[str, Any]:
        """Timestep, noise, tokens, styles (-1: none), and where things may stand (the parts of `Places`).

        With a later timestep also which encoded scenes these are.
        """
        rng = np.random.default_rng([1, self._process, n, 2])  # steps have three numbers, contexts end with 1
        if rng.random() < (self._later if n < self._steps / 2 else self._later / 3):
            seeds = rng.integers(0, self._n_encoded, self._batch)
            at = {"t": later_timestep(rng), "scenes": torch.from_numpy(self._first + seeds)}
            return at | self._captioned(seeds, 0.75, 0)
        seeds = rng.integers(1 << 30, 1 << 40, self._batch)
        lifted = self._lifted * max(0.0, 1 - 1.5 * n / self._steps)
        return {"t": 999} | self._captioned(seeds, lifted, NEARLY)

    def _captioned(self, seeds: Any, lifted: float, nearly: float) -> dict[str, Tensor]:
        items = [captioned(int(s), lifted) for s in seeds]
        places = places_of([captions.caption_choices(spec, noise, nearly) for spec, noise in items])
        return {
            "noise": torch.from_numpy(np.stack([noise for _, noise in items])),
            "tokens": tokens_of(self._tokenizer, [spec.words for spec, _ in items]),
            "styles": torch.tensor([spec.style for spec, _ in items]),
            **places._asdict(),
        }


class Batches:
    """Makes batches of encoded scenes, with codes as painting would put them at the site."""

    def __init__(self, model: Model, folder: Path | None, batch: int, seed: int) -> None:
        self.model, self.batch, self.seed = model, batch, seed
        self.encoded: dict[str, Any] = {} if folder is None else load_latents(folder, model.device_name)
        self.directions = architecture.site_directions().to(model.device_name)
        self.has = architecture.label_attributes().to(model.device_name)
        self._contexts: dict[int, Context] = {}
        if self.encoded:
            styles = self.encoded["styles"]
            self._of_style = {int(s): np.flatnonzero(styles == s) for s in np.unique(styles)}

    def context(self, n: int, rng: np.random.Generator) -> Context:
        """What of pure noise reaches the renderer beside the codes, and the style each caption asks for.

        Noise and words other than the style have to be ignored, so that a few contexts serve many steps:
        every tenth step a new one joins the last `N_CONTEXTS`, of which step n takes one.
        """
        newest = n // 10
        oldest = max(0, newest - N_CONTEXTS + 1)
        k = int(rng.integers(oldest, newest + 1))
        self._contexts = {i: context for i, context in self._contexts.items() if i >= oldest}
        if k not in self._contexts:
            self._contexts[k] = self._made(k)
        return self._contexts[k]

    def _made(self, k: int) -> Context:
        """Context number k, always the same whatever was made before, and no step's randomness is touched."""
        rng = np.random.default_rng([self.seed, rank(), k, 1])  # the steps have three numbers
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        styles = [int(s) for s in rng.choice(self.encoded["styles"], self.batch)]
        noise = torch.randn(self.batch, 4, 64, 64, generator=generator).to(self.model.device_name)
        x = self.model.noisy(None, noise, 999)
        with torch.no_grad(), torch.autocast(self.model.device_name, dtype=torch.bfloat16):
            state = self.model.prefix(x, 999, self.tokens_of(styles, rng))
        return state, styles

    def tokens_of(self, styles: list[int], rng: np.random.Generator) -> Tensor:
        """Tokens of random captions that ask for these styles."""
        specs = [captions.random_spec(rng, styled=0) for _ in styles]
        styled = [replace(spec, style=s) for spec, s in zip(specs, styles, strict=True)]
        return self.model.tokens([captions.say(spec, rng) for spec in styled])

    def painted(self, styles: list[int], rng: np.random.Generator) -> Painted:
        """Encoded scenes in these styles."""
        chosen = torch.from_numpy(np.array([rng.choice(self._of_style[s]) for s in styles]))
        chosen = chosen.to(self.model.device_name)
        labels, below = (self.encoded[k][chosen].long() for k in ("labels", "below"))
        latents, opacity = (self.encoded[k][chosen].float() for k in ("latents", "opacity"))
        sides = self.encoded["sides"][chosen].long()
        return Painted(latents, self.perturbed(labels, below, opacity), object_weight(labels), sides)

    def perturbed(self, labels: Tensor, below: Tensor, opacity: Tensor) -> Tensor:
        """Codes (B, D, 16, 16) as an SAE, NMF and a person's strokes give them.

        A thing's opacity is its strength, full from `FULL` on; what is below it may be taken away in
        proportion to its cover, or stay. Attributes have strengths of their own, a kind may come without its
        variant (then it is the first) or the other way round, edges bleed, and there is noise.
        """
        b, device = len(labels), labels.device

        def rand(low: float, high: float, *shape: int) -> Tensor:
            return torch.empty(b, *shape, device=device).uniform_(low, high)

        strengths = rand(0.85, 1.2, len(vocabulary.ATTRIBUTES))
        for kind, variants in vocabulary.VARIANTS_OF.items():
            chance = torch.rand(b, device=device)
            strengths[:, vocabulary.ATTRIBUTES.index(kind)] *= chance > 0.12
            strengths[:, vocabulary.ATTRIBUTES.index(variants[0])] *= chance < 0.88
        states = [vocabulary.ATTRIBUTES.index(state) for state in vocabulary.STATES]
        strengths[:, states] *= rand(0.6, 1.3, len(states))
        background, thing = rand(0.5, 1.4, 1, 1), rand(FULL, 1.4, 1, 1)
        thing = torch.where(opacity == 1, thing, HIDDEN + (FULL - HIDDEN) * opacity)
        top = torch.where(labels >= vocabulary.FIRST_THING, thing, background)
        kept = torch.where(rand(0, 1, 1, 1) < 0.5, 1 - opacity, (opacity < 1).float())
        codes = self._codes(labels, strengths, top) + self._codes(below, strengths, kept * background)
        soft = F.avg_pool2d(codes, 3, 1, 1, count_include_pad=False)
        mix = rand(0, 0.45, 1, 1, 1) * (rand(0, 1, 1, 1, 1) < 0.3)
        codes = codes + mix * (soft - codes)
        codes = codes * rand(0.85, 1.15, 1, scenes.GRID, scenes.GRID)
        return codes + 0.3 * rand(0, 1, 1, 1, 1) * torch.randn_like(codes)

    def _codes(self, labels: Tensor, strengths: Tensor, where: Tensor) -> Tensor:
        """Codes (B, D, 16, 16) of labels (B, 16, 16), with strengths of attributes (B, A) and places."""
        attributes = self.has[labels] * strengths[:, None, None] * where[..., None]
        return (attributes @ self.directions).permute(0, 3, 1, 2)


def object_weight(labels: Tensor, weight: float = 3.0) -> Tensor:
    """Loss weight per latent pixel: objects and rims count more; (B, 16, 16) -> (B, 1, 64, 64)."""
    near = F.max_pool2d((labels[:, None] >= vocabulary.FIRST_THING).float(), 3, 1, 1)
    w = (1 + weight * near).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return w / w.mean()
