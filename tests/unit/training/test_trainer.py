"""The trainer's step, against the same step written with dense matrices and PyTorch's own gradients."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ember_widgets.training import batchtopk
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.trainer import Gradients, Trainer

D_MODEL, BATCH = 24, 64


def activations(n: int, seed: int = 0) -> Tensor:
    """Sums of a few of 30 directions, about a mean that is not 0."""
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(30, D_MODEL, generator=torch.Generator().manual_seed(99)), dim=1)
    codes = torch.rand(n, 30, generator=generator) * (torch.rand(n, 30, generator=generator) < 0.07)
    return 7 * codes @ directions + 3


def batches(x: Tensor) -> list[Tensor]:
    return [x[start : start + BATCH] for start in range(0, len(x), BATCH)]


def config(**changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "n_patches": 100 * BATCH,
        "expansion": 4,
        "k": 3,
        "batch": BATCH,
        "coarse": False,
    }
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]


class Dense:
    """The same loss with all codes in one matrix."""

    def __init__(self, trainer: Trainer, batch: Tensor) -> None:
        c = trainer.config
        weights = {name: value.clone().requires_grad_() for name, value in trainer.weights.items()}
        x = batch * trainer._scale - weights["b_dec"]
        codes = torch.relu(x @ weights["W_enc"].T + weights["b_enc"])
        smallest = codes.detach().flatten().topk(len(x) * c.k).values[-1]
        kept = codes * (codes >= smallest)
        error = x - kept @ weights["W_dec"]
        loss = error.pow(2).sum(1).mean() / trainer._variance
        if c.concave_penalty:
            loss = loss + c.concave_penalty * ((kept + 1e-3).sqrt() * (kept > 0)).sum(1).mean()
        silent = (trainer._silent + len(x)) * ~(kept > 0).any(0)
        dead = silent > c.is_dead_after
        k = min(c.aux_codes(D_MODEL), int(dead.sum()))
        if k and c.aux_weight:
            values, at = (codes * dead).topk(k, dim=1)
            revived = torch.zeros_like(codes).scatter(1, at, values) @ weights["W_dec"]
            rest = error.detach()
            left = (rest - rest.mean(0)).pow(2).sum()
            loss = loss + c.aux_weight * (rest - revived).pow(2).sum() / left
        self.n_dead, self.loss = int(dead.sum()), loss
        loss.backward()  # type: ignore[no-untyped-call]
        self.gradients = {name: value.grad for name, value in weights.items() if value.grad is not None}
        self.sizes = {name: float(value.abs().max()) for name, value in self.gradients.items()}
        rows = trainer.weights["W_dec"]
        decoder = self.gradients["W_dec"]
        self.gradients["W_dec"] = decoder - (decoder * rows).sum(1, keepdim=True) * rows


def gradients_of_step(trainer: Trainer, batch: Tensor, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """What the step would apply, before it is clipped."""
    found: dict[str, Tensor] = {}

    def note(_: Trainer, gradients: Gradients) -> None:
        found.update(gradients.biases)
        parts = [(encoder.clone(), decoder.clone()) for _, encoder, decoder in gradients.blocks()]
        found["W_enc"], found["W_dec"] = (torch.cat(part) for part in zip(*parts, strict=True))

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", note)
        trainer.step(batch)
    return found


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"concave_penalty": 0.03},
        {"dead_after": 1, "aux_weight": 0.5},
        {"dead_after": 1, "aux_k": 2},
        {"k": 12},
    ],
)
def test_its_gradients_are_those_of_the_dense_loss(
    changes: dict[str, object], coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ember_widgets.training.trainer.FEATURES", 7
    )  # blocks that do not divide the features
    monkeypatch.setattr(batchtopk, "FEATURES", 13)
    trainer = Trainer(config(coarse=coarse, **changes), D_MODEL)
    x = activations(10 * BATCH)
    for batch in batches(x[: 4 * BATCH]):
        trainer.step(batch)
    batch = x[-BATCH:]

    dense = Dense(trainer, batch)
    found = gradients_of_step(trainer, batch, monkeypatch)

    assert (dense.n_dead > 0) == ("dead_after" in changes)
    for name, expected in dense.gradients.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-5 * dense.sizes[name])


def test_its_step_is_adams_with_decoder_rows_of_length_one() -> None:
    trainer = Trainer(config(warm_up=0.0, decay=0.0, lr=1e-3, clip=0.05), D_MODEL)
    x = activations(5 * BATCH)
    trainer.begin(x)
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in trainer.weights.items()}
    adam = torch.optim.Adam(parameters.values(), 1e-3)

    for batch in batches(x):
        for name, value in Dense(trainer, batch).gradients.items():
            parameters[name].grad = value.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), 0.05)
        assert norm > 0.05
        adam.step()
        trainer.step(batch)
        with torch.no_grad():
            parameters["W_dec"].copy_(F.normalize(parameters["W_dec"], dim=1))

    for name, expected in parameters.items():
        torch.testing.assert_close(trainer.weights[name], expected.detach(), rtol=1e-4, atol=1e-6)


class TestLargest:
    def setup_method(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(50, 32, generator=generator) * 6
        self.W = F.normalize(torch.randn(200, 32, generator=generator), dim=1)
        self.b = torch.randn(200, generator=generator) * 0.1

    @pytest.mark.parametrize("coarse", [False, True])
    @pytest.mark.parametrize("level", [None, 0.0, 1.0, 9.0, 1000.0])
    @pytest.mark.parametrize("n", [1, 300])
    def test_they_are_exactly_the_largest_wherever_it_looks_first(
        self, n: int, level: float | None, coarse: bool
    ) -> None:
        codes = batchtopk.largest(self.x, self.W, self.b, n, level=level, coarse=coarse)

        dense = torch.relu(self.x @ self.W.T + self.b)
        smallest = dense.flatten().topk(n).values[-1]
        rows, features = (dense >= smallest).T.nonzero().flip(1).T
        assert codes.rows.tolist() == rows.tolist()
        assert codes.features.tolist() == features.tolist()
        torch.testing.assert_close(codes.values, dense[rows, features])
        assert codes.smallest == pytest.approx(float(smallest))
        assert codes.counts.tolist() == torch.bincount(features, minlength=200).tolist()

    @pytest.mark.parametrize("n_long", [0, 1, 50])
    def test_candidates_in_bfloat16_give_the_same_codes_wherever_the_cut_is(
        self, n_long: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batchtopk, "LONG", 25)  # two of the 50 patches may be too long for bfloat16
        self.x[:n_long] *= 40
        for n in range(50, 1000, 13):
            found, exact = (
                batchtopk.largest(self.x, self.W, self.b, n, level=4.0, coarse=coarse)
                for coarse in (True, False)
            )
            assert len(exact.values) == n
            assert found.features.tolist() == exact.features.tolist()
            assert found.rows.tolist() == exact.rows.tolist()
            torch.testing.assert_close(found.values, exact.values, rtol=1e-5, atol=1e-4)

    def test_codes_of_0_are_not_kept_where_too_few_are_above(self) -> None:
        codes = batchtopk.largest(self.x, self.W, self.b - 14, 5000)

        dense = torch.relu(self.x @ self.W.T + self.b - 14)
        assert 0 < len(codes.values) == int((dense > 0).sum()) < 5000
        assert (codes.values > 0).all()

    def test_nothing_is_kept_where_nothing_is_above(self) -> None:
        codes = batchtopk.largest(self.x, self.W, self.b - 1e4, 10)

        assert len(codes.values) == 0
        assert codes.smallest == 0


def test_it_learns_the_directions_and_its_threshold_keeps_as_many_codes() -> None:
    trainer = Trainer(config(n_patches=900 * BATCH, k=3, lr=3e-3), D_MODEL)
    x = activations(900 * BATCH)
    losses = [trainer.step(batch) for batch in batches(x)]

    sae = trainer.sae(site="down_blocks.2.attentions.1", target="update")
    held_out = activations(2000, seed=1)
    codes = sae.encode(held_out)
    fvu = float((held_out - sae.decode(codes)).pow(2).sum() / (held_out - held_out.mean(0)).pow(2).sum())
    assert losses[0].fvu > 0.3
    assert fvu < 0.05
    assert float((codes > 0).sum(1).float().mean()) == pytest.approx(3, rel=0.25)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(sae.n_features))
    typical = codes.pow(2).sum(0) / codes.sum(0)
    active = codes.sum(0) > 0.01 * codes.sum(0).max()
    assert float((sae.unit[active] / typical[active]).median()) == pytest.approx(1, abs=0.1)


def test_its_threshold_is_the_running_mean_of_each_batchs_smallest_code() -> None:
    trainer = Trainer(config(threshold_decay=0.8), D_MODEL)
    x = activations(60 * BATCH)
    trainer.begin(x)
    expected: float | None = None
    for n, batch in enumerate(batches(x), 1):
        centred = batch * trainer._scale - trainer.weights["b_dec"]
        codes = torch.relu(centred @ trainer.weights["W_enc"].T + trainer.weights["b_enc"])
        smallest = float(codes.flatten().topk(BATCH * 3).values[-1])
        decay = min(0.8, n / (n + 10))  # its memory is short at first
        expected = smallest if expected is None else decay * expected + (1 - decay) * smallest

        assert trainer.step(batch).threshold * trainer._scale == pytest.approx(expected, rel=1e-4)
    sae = trainer.sae(site="down_blocks.2.attentions.1", target="update")
    assert sae.threshold is not None
    assert float(sae.threshold) * trainer._scale == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(8, D_MODEL),
        torch.ones(8, D_MODEL),
        torch.ones(1, D_MODEL),
        torch.full((8, D_MODEL), math.nan),
    ],
)
def test_activations_that_teach_nothing_are_refused(bad: Tensor, centred: bool) -> None:
    with pytest.raises(ValueError, match="the activations are all the same, or not finite"):
        Trainer(config(centred=centred), D_MODEL).step(bad)


def test_a_step_with_nan_is_refused_and_changes_no_weight() -> None:
    trainer = Trainer(config(), D_MODEL)
    x = activations(2 * BATCH)
    trainer.step(x[:BATCH])
    before = {name: value.clone() for name, value in trainer.state().items()}
    x[-1, 3] = math.nan

    with pytest.raises(FloatingPointError, match="the loss of step 2 is not finite"):
        trainer.step(x[BATCH:])
    for name, value in trainer.state().items():
        assert torch.equal(value, before[name]), name


def test_a_trainer_goes_on_from_a_state_bit_by_bit() -> None:
    x = activations(8 * BATCH)
    one, other = (Trainer(config(dead_after=BATCH), D_MODEL) for _ in range(2))
    for batch in batches(x[: 4 * BATCH]):
        one.step(batch)
    other.load_state({name: value.clone() for name, value in one.state().items()})

    for batch in batches(x[4 * BATCH :]):
        assert one.step(batch) == other.step(batch)
    for name, value in one.state().items():
        assert torch.equal(value, other.state()[name]), name


def test_the_filters_of_warnings_are_left_alone() -> None:
    """They belong to all threads; yet PyTorch's warning of sparse tensors in beta is not shown."""
    code = """
import warnings, torch
from ember_widgets.training import batchtopk
def change(*args, **options): raise AssertionError
warnings.simplefilter("error")
warnings.catch_warnings = change
ones = torch.ones(2, 3)
print(batchtopk.dots(ones, ones, torch.tensor([0, 1, 2]), torch.tensor([0, 1])).tolist())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("[3.0, 3.0]\n", "")
