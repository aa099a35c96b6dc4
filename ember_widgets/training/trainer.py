"""Trainer: the weights of one SAE in training, and its optimiser's step.

Weights, gradients and the optimiser's means are float32. The gradients are written out by hand (a test
compares them with PyTorch's), since only the codes kept take part, and because they are then made, clipped
and applied some features at a time: all of them together are never held. They are made twice, the first time
for their norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.adam import adam

from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.placement import computes_in_bfloat16
from ember_widgets.training import batchtopk
from ember_widgets.training.batchtopk import Codes
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.ranks import Ranks

BETAS = (0.9, 0.999)
EPS = 1e-8
TYPICAL_DECAY = 0.999
WINDOW = 10
"""A running mean begins with a short memory: of the last tenth of the steps, until that is long enough."""
FEATURES = 256
"""Features whose gradients are made at a time, on a CPU."""
AUX_ROWS = 512
MEDIAN_ROUNDS = 50
SMALL = 1e-3
"""Below this, the concave penalty is flat."""

Block = tuple[slice, Tensor, Tensor]
"""Some features, and the gradients of their rows of W_enc and W_dec."""


class StepLoss(NamedTuple):
    """What a step found, before it changed the weights.

    Attributes:
        fvu: Fraction of variance unexplained, with the codes that the batch keeps.
        l0: Codes kept per patch.
        dead: Share of features that are dead.
        threshold: Running mean of the smallest code kept, in the activations' own scale.
    """

    fvu: float
    l0: float
    dead: float
    threshold: float


class Trainer:
    """One SAE in training.

    Args:
        config: How it is trained.
        d_model: Length of a patch's vector.
        device: Where it is trained.
        ranks: The processes that train it together; each gives its own part of every batch to `step`.

    Attributes:
        n_steps_done: Steps so far.
    """

    def __init__(
        self,
        config: TrainConfig,
        d_model: int,
        *,
        device: torch.device | str = "cpu",
        ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
    ) -> None:
        self.config, self.d_model, self.ranks = config, d_model, ranks
        self.device = torch.device(device)
        n_features = config.n_features(d_model)
        generator = torch.Generator().manual_seed(config.seed)
        W_dec = F.normalize(torch.randn(n_features, d_model, generator=generator), dim=1).to(self.device)
        self.weights = {
            "W_enc": W_dec * config.encoder_length,  # (n_features, d_model), as W_dec
            "W_dec": W_dec,
            "b_enc": torch.zeros(n_features, device=self.device),
            "b_dec": torch.zeros(d_model, device=self.device),
        }
        self._means = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self._squares = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        zeros = torch.zeros(n_features, device=self.device)
        self._silent = zeros.to(torch.int64)
        self._typical = torch.stack([zeros, zeros])  # Σcode, Σcode²
        self.n_steps_done = 0
        self._scale = self._variance = 1.0
        self._threshold = self._smallest = 0.0
        self._has_begun = False

    @property
    def n_features(self) -> int:
        """Number of dictionary elements."""
        return len(self.weights["b_enc"])

    def begin(self, sample: Tensor) -> None:
        """Set the scale of the activations and b_dec, their geometric median.

        Args:
            sample: (n, d_model), n ≥ 2, this process's; those of all count.
        """
        x = self.ranks.gathered(sample.to(self.device, torch.float32).contiguous())
        centre = (
            _geometric_median(x) if self.config.centred else torch.zeros(self.d_model, device=self.device)
        )
        length = float((x - centre).norm(dim=1).mean())
        if not length > 0 or not math.isfinite(length) or bool((x == x[0]).all()):
            raise ValueError(
                "the activations are all the same, or not finite; nothing can be learned from them. Give "
                "those of a site's block, (n, d_model), and batches of more than one"
            )
        self._scale = math.sqrt(self.d_model) / length
        self._variance = float(((x - x.mean(0)) * self._scale).pow(2).sum(1).mean())
        self.weights["b_dec"].copy_(centre * self._scale)
        self._has_begun = True

    @torch.no_grad()
    def step(self, batch: Tensor) -> StepLoss:
        """Take one step of the optimiser.

        Args:
            batch: This process's share of the batch, (batch / world, d_model), any float dtype.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if not self._has_begun:
            self.begin(batch)
        # Two tensors of the batch's size: this one, and the error, which becomes the loss's gradient.
        centred = batch.to(self.device, torch.float32) * self._scale
        centred -= self.weights["b_dec"]
        n_patches = len(centred) * self.ranks.world
        codes = batchtopk.largest(
            centred,
            self.weights["W_enc"],
            self.weights["b_enc"],
            n_patches * self.config.k,
            level=self._smallest * batchtopk.BELOW if self.n_steps_done else None,
            coarse=self._is_coarse,
            ranks=self.ranks,
        )
        error = batchtopk.decoded(
            codes.values, codes.rows, codes.features, self.weights["W_dec"], len(centred)
        )
        torch.sub(centred, error, out=error)
        counts = codes.counts
        found = torch.stack([_squares(error), counts.sum().float()])
        squares, n_codes = self.ranks.sum(found).tolist()
        if not math.isfinite(squares):
            raise FloatingPointError(
                f"the loss of step {self.n_steps_done + 1:,} is not finite: the activations hold NaN or "
                "infinity, or the learning rate is too high; look at the activations, or give a smaller lr"
            )
        fired = self.ranks.sum((counts > 0).to(torch.int64)) > 0
        self._silent = (self._silent + n_patches).masked_fill_(fired, 0)
        dead = (self._silent > self.config.is_dead_after).nonzero().squeeze(1)
        aux = self._aux(centred, error, dead, n_patches)
        gradients = Gradients(self, centred, error, codes, n_patches, dead, aux)
        self._update(gradients)
        self._remember(codes)
        return StepLoss(
            fvu=squares / n_patches / self._variance,
            l0=n_codes / n_patches,
            dead=len(dead) / self.n_features,
            threshold=self._threshold / self._scale,
        )

    @property
    def _is_coarse(self) -> bool:
        if self.config.coarse is not None:
            return self.config.coarse
        return computes_in_bfloat16(self.device)

    def _aux(
        self, centred: Tensor, error: Tensor, dead: Tensor, n_patches: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        """Gradients of the loss by which dead features learn what is left: their largest codes explain it.

        Returns:
            Of the dead features' W_enc, W_dec and b_enc, and of b_dec; None if there is nothing to do.
        """
        k = min(self.config.aux_codes(self.d_model), len(dead))
        if not k or not self.config.aux_weight:
            return None
        W_enc, W_dec = self.weights["W_enc"][dead], self.weights["W_dec"][dead]
        b_enc = self.weights["b_enc"][dead]
        mean = self.ranks.sum(error.sum(0)) / n_patches
        left = float(self.ranks.sum((error - mean).pow(2).sum()))  # all processes' residual variance
        if not left > 0:
            return None
        dW_enc, dW_dec = torch.zeros_like(W_enc), torch.zeros_like(W_dec)
        db_enc, db_dec = torch.zeros_like(b_enc), torch.zeros_like(error[0])
        for start in range(0, len(centred), AUX_ROWS):
            part = slice(start, start + AUX_ROWS)
            x, rest = centred[part], error[part]
            codes = torch.addmm(b_enc, x, W_enc.T).relu_()
            if k < len(dead):
                smallest = codes.topk(k, dim=1).values[:, -1:]
                codes.masked_fill_(codes < smallest, 0)
            grad = (codes @ W_dec - rest) * (2 * self.config.aux_weight / left)
            dW_dec.addmm_(codes.T, grad)
            d_codes = (grad @ W_dec.T).masked_fill_(codes <= 0, 0)
            dW_enc.addmm_(d_codes.T, x)
            d_bias = d_codes.sum(0)
            db_enc += d_bias
            db_dec -= d_bias @ W_enc
        return dW_enc, dW_dec, db_enc, db_dec

    def _update(self, gradients: Gradients) -> None:
        """Clip the gradients and apply Adam (Kingma, Ba 2015, arXiv:1412.6980).

        The decoder's rows keep their length of 1.
        """
        biases = gradients.biases
        norm = sum(float(g.pow(2).sum()) for g in biases.values())
        norm += sum(float(_squares(e) + _squares(d)) for _, e, d in gradients.blocks())
        factor = min(1.0, self.config.clip / (math.sqrt(norm) + 1e-6))
        lr = self.config.lr_at(self.n_steps_done, self.d_model)
        self.n_steps_done += 1
        for name, gradient in biases.items():
            self._adam(name, slice(None), gradient.mul_(factor), lr)
        for part, encoder, decoder in gradients.blocks():
            self._adam("W_enc", part, encoder.mul_(factor), lr)
            self._adam("W_dec", part, decoder.mul_(factor), lr)
            rows = self.weights["W_dec"][part]
            rows /= torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_(min=1e-12)

    def _adam(self, name: str, part: slice, gradient: Tensor, lr: float) -> None:
        adam(
            [self.weights[name][part]],
            [gradient],
            [self._means[name][part]],
            [self._squares[name][part]],
            [],
            [torch.tensor(self.n_steps_done - 1.0, device=self.device)],  # it counts this step itself
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=lr,
            weight_decay=0.0,
            eps=EPS,
            maximize=False,
        )

    def _remember(self, codes: Codes) -> None:
        """Keep the running means: the threshold, and how strong each feature is where it is active."""
        self._smallest = codes.smallest
        n = self.n_steps_done
        decay = min(self.config.threshold_decay, n / (n + WINDOW))
        if n == 1:
            self._threshold = self._smallest
        self._threshold = decay * self._threshold + (1 - decay) * self._smallest
        sums = torch.zeros_like(self._typical)
        sums[0].index_add_(0, codes.features, codes.values)
        sums[1].index_add_(0, codes.features, codes.values.pow(2))
        self._typical.mul_(TYPICAL_DECAY).add_(self.ranks.sum(sums))

    def sae(self, *, site: str, target: str) -> SAE:
        """The SAE as it is now, for activations in their own scale; on the CPU.

        Args:
            site: Module path of the block.
            target: "update" or "output".
        """
        total, squares = self._typical.cpu()
        unit = torch.ones_like(total)
        active = total > 0
        unit[active] = squares[active] / total[active]
        if bool(active.any()):
            unit[~active] = unit[active].median()
        weights = {name: value.cpu() for name, value in self.weights.items()}
        return SAE(
            W_enc=weights["W_enc"].T.contiguous(),
            b_enc=weights["b_enc"] / self._scale,
            W_dec=weights["W_dec"].clone(),
            b_dec=weights["b_dec"] / self._scale,
            activation="batchtopk",
            k=self.config.k,
            threshold=torch.tensor(max(self._threshold, 1e-9) / self._scale),
            target=target,
            site=site,
            unit=(unit / self._scale).clamp(min=1e-9),
        )

    # for checkpoints

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on."""
        numbers = [self._scale, self._variance, self._threshold, self._smallest, self.n_steps_done]
        tensors = {
            **self.weights,
            **{f"mean.{name}": value for name, value in self._means.items()},
            **{f"square.{name}": value for name, value in self._squares.items()},
        }
        return tensors | {
            "silent": self._silent,
            "typical": self._typical,
            "numbers": torch.tensor([*numbers, self._has_begun], dtype=torch.float64),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state`."""
        for name, value in self.state().items():
            if name != "numbers":
                value.copy_(state[name])
        scale, variance, threshold, smallest, n_steps, has_begun = state["numbers"].tolist()
        self._scale, self._variance, self._threshold, self._smallest = scale, variance, threshold, smallest
        self.n_steps_done, self._has_begun = int(n_steps), bool(has_begun)


class Gradients:
    """The gradients of one step, made some features at a time.

    Several processes, and a GPU, hold all of them at once: they are added up over the processes, and on a GPU
    many small products are slow.
    """

    def __init__(
        self,
        trainer: Trainer,
        centred: Tensor,
        error: Tensor,
        codes: Codes,
        n_patches: int,
        dead: Tensor,
        aux: tuple[Tensor, Tensor, Tensor, Tensor] | None,
    ) -> None:
        self._trainer, self._x, self._codes, self._dead, self._aux = trainer, centred, codes, dead, aux
        config, weights, ranks = trainer.config, trainer.weights, trainer.ranks
        # Of the loss: the mean over patches of |error|², as a share of the variance.
        self._grad = error.mul_(-2 / n_patches / trainer._variance)
        self._d_codes = batchtopk.dots(weights["W_dec"], self._grad, codes.starts, codes.rows)
        if config.concave_penalty:
            slope = config.concave_penalty / n_patches * 0.5
            self._d_codes += slope / (codes.values + SMALL).sqrt()
        db_enc = torch.zeros_like(weights["b_enc"]).index_add_(0, codes.features, self._d_codes)
        db_dec = self._grad.sum(0) - db_enc @ weights["W_enc"]
        if aux is not None:
            db_enc.index_add_(0, dead, aux[2])
            db_dec += aux[3]
        self.biases = {"b_enc": ranks.sum(db_enc)}
        if config.centred:
            self.biases["b_dec"] = ranks.sum(db_dec)
        self._whole: Block | None = None
        if ranks.world > 1 or centred.is_cuda:
            whole = slice(0, trainer.n_features)
            encoder, decoder = self._of(whole)
            self._whole = whole, ranks.sum(encoder), ranks.sum(decoder)

    def blocks(self) -> Iterator[Block]:
        """Those of W_enc and W_dec; of W_dec without what is parallel to its rows, which keep their length.

        They may be changed; the next call makes them anew.
        """
        size = FEATURES if self._whole is None else self._trainer.n_features
        for start in range(0, self._trainer.n_features, size):
            part = slice(start, min(start + size, self._trainer.n_features))
            if self._whole is None:
                encoder, decoder = self._of(part)
            else:
                _, encoder, decoder = self._whole
            rows = self._trainer.weights["W_dec"][part]
            along = torch.einsum("fd,fd->f", decoder, rows)
            decoder.addcmul_(along[:, None], rows, value=-1)
            yield part, encoder, decoder

    def _of(self, part: slice) -> tuple[Tensor, Tensor]:
        codes, first = self._codes, int(self._codes.starts[part.start])
        those = slice(first, int(codes.starts[part.stop]))
        counts, rows = codes.counts[part], codes.rows[those]
        encoder = batchtopk.gathered(self._d_codes[those], rows, counts, self._x)
        decoder = batchtopk.gathered(codes.values[those], rows, counts, self._grad)
        if self._aux is not None:
            low, high = torch.searchsorted(
                self._dead, torch.tensor([part.start, part.stop], device=rows.device)
            )
            at = self._dead[low:high] - part.start
            encoder.index_add_(0, at, self._aux[0][low:high])
            decoder.index_add_(0, at, self._aux[1][low:high])
        return encoder, decoder


def _squares(x: Tensor) -> Tensor:
    """The sum of the squares of all numbers in it."""
    return x.flatten().dot(x.flatten())


def _geometric_median(x: Tensor) -> Tensor:
    """Where the sum of distances to all points is least, by Weiszfeld's iteration (1937)."""
    centre = x.mean(0)
    for _ in range(MEDIAN_ROUNDS):
        weights = 1 / (x - centre).norm(dim=1).clamp(min=1e-6)
        centre = (weights[:, None] * x).sum(0) / weights.sum()
    return centre
