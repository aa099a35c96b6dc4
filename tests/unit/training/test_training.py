"""Training: an SAE finds the dictionary its data was made of; a cut-off training goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ember_widgets import SAE
from ember_widgets.embedded.muon import Muon, orthogonalised, suits
from ember_widgets.embedded.training_loop import schedule, train
from ember_widgets.scene.grid import Grid
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import measure, positional_features, typical_activations
from ember_widgets.training.run import train_sae

D, BATCH = 16, 256


def batches(patches: torch.Tensor) -> Iterator[torch.Tensor]:
    """Of the patches in random order, over and over again."""
    generator = torch.Generator().manual_seed(0)
    while True:
        yield patches[torch.randint(len(patches), (BATCH,), generator=generator)]


def trained(patches: torch.Tensor, n_steps: int, **settings: float) -> SAE:
    """An SAE of four features for each channel."""
    config = TrainConfig(
        **{"n_patches": n_steps * BATCH, "expansion": 4, "batch": BATCH, "lr": 2e-3} | settings  # type: ignore[arg-type]
    )
    return train_sae(batches(patches), config).sae


@pytest.fixture(scope="module")
def planted() -> tuple[torch.Tensor, torch.Tensor]:
    """20 orthogonal-ish directions, and 20,000 vectors that are sums of 2 of them plus an offset."""
    generator = torch.Generator().manual_seed(0)
    directions = nn.functional.normalize(torch.randn(20, D, generator=generator), dim=1)
    chosen = torch.rand(20_000, 20, generator=generator).topk(2, dim=1).indices
    amounts = torch.zeros(20_000, 20).scatter(1, chosen, 3 + torch.rand(20_000, 2, generator=generator))
    return directions, amounts @ directions + 5.0


@pytest.fixture(scope="module")
def found(planted: tuple[torch.Tensor, torch.Tensor]) -> SAE:
    return trained(planted[1], 500, k=2, lr=4e-3)


def test_an_sae_reconstructs_what_it_was_trained_on(
    found: SAE, planted: tuple[torch.Tensor, torch.Tensor]
) -> None:
    quality = measure(found, planted[1])
    assert quality.fvu < 0.1
    assert 1.5 < quality.l0 < 3


def test_an_sae_finds_the_planted_directions(found: SAE, planted: tuple[torch.Tensor, torch.Tensor]) -> None:
    similarity = (planted[0] @ nn.functional.normalize(found.W_dec, dim=1).T).max(1).values
    assert int((similarity > 0.9).sum()) >= 18


def test_the_unit_is_the_mean_activation_weighted_by_itself(
    found: SAE, planted: tuple[torch.Tensor, torch.Tensor]
) -> None:
    codes = found.encode(planted[1])
    feature = int(codes.sum(0).argmax())
    active = codes[:, feature]
    unit = (active**2).sum() / active.sum()
    torch.testing.assert_close(typical_activations(found, planted[1])[feature], unit)
    torch.testing.assert_close(found.unit[feature], unit, rtol=0.1, atol=0)  # measured while it was trained


def reading(n: int) -> SAE:
    """Feature i is dimension i."""
    eye = torch.eye(n)
    return SAE(
        W_enc=eye,
        b_enc=torch.zeros(n),
        W_dec=eye,
        b_dec=torch.zeros(n),
        activation="topk",
        k=n,
        threshold=None,
        target="update",
        site="down.2.1",
        unit=torch.ones(n),
    )


def test_positional_features_are_those_of_the_border_whatever_the_picture() -> None:
    images = torch.zeros(10, 16, 16, 2)
    images[:, 0, :, 0] = 1.0  # the top row of every image
    images[:, 8, 8, 1] = 1.0  # the middle
    assert positional_features(reading(2), images.flatten(1, 2)) == [0]


def test_no_feature_is_positional_where_nearly_all_patches_are_border() -> None:
    images = torch.eye(9).expand(10, 9, 9)  # each patch has a feature of its own
    assert positional_features(reading(9), images, grid=Grid(3, 3)) == []
    larger = torch.zeros(10, 4, 4, 9)
    larger[:, :, 0, 0] = 1.0
    assert positional_features(reading(9), larger.flatten(1, 2), grid=Grid(4, 4)) == [0]


STEPS = 120


def fitted(folder: Path, stop_at: int | None = None) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """A small network after training, and its average; all kinds of randomness take part."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))

    def step(n: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        if n == stop_at:
            raise InterruptedError
        x = torch.randn(8, 2) + float(rng.normal())
        return {"loss": (network(x)[:, 0] - x.prod(1)).pow(2).mean()}

    averages = train(
        "product", {"network": network}, list(network.parameters()), step,
        out=folder, steps=STEPS, seed=5, warmup=10, every_s=0.0,
    )  # fmt: skip
    return network, averages["network"]


def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected, expected_averages = fitted(whole)
    for stop_at in (30, 105):
        with pytest.raises(InterruptedError):
            fitted(parts, stop_at)
        assert torch.load(parts / "product.pt", weights_only=True)["n"] == stop_at
    network, averages = fitted(parts)
    for name, weight in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight), name
        assert torch.equal(averages[name], expected_averages[name]), name
    steps = [json.loads(line)["step"] for line in (parts / "product.jsonl").read_text().splitlines()]
    assert steps == [100]
    assert not list(parts.glob("*.tmp"))


def test_steps_that_a_checkpoint_does_not_hold_are_logged_once(tmp_path: Path) -> None:
    fitted(tmp_path)
    log = tmp_path / "product.jsonl"
    log.write_text(log.read_text() + json.dumps({"step": 200}) + "\n")
    fitted(tmp_path)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [100]


def test_a_loss_that_not_all_steps_have_is_averaged_over_those_that_do(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(1))

    def step(n: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        losses = {"loss": weight.sum()}
        return losses | ({"rare": torch.tensor(4.0)} if n % 10 == 0 else {})

    train("rare", {"all": nn.ParameterList([weight])}, [weight], step, out=tmp_path, steps=100)
    assert json.loads((tmp_path / "rare.jsonl").read_text())["rare"] == 4


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [schedule(n, 1000, 50) for n in range(1000)]
    assert rates[0] == pytest.approx(1 / 50)
    assert rates[49:600] == pytest.approx([1.0] * 551)
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=0.001)


def test_the_concave_penalty_keeps_a_direction_in_one_feature() -> None:
    """Vectors of one direction each leave k = 4 codes to spare; by themselves they are split over them."""
    generator = torch.Generator().manual_seed(0)
    directions = nn.functional.normalize(torch.randn(6, D, generator=generator), dim=1)
    chosen = torch.randint(6, (8000,), generator=generator)
    data = directions[chosen] * (3 + torch.rand(8000, 1, generator=generator))
    data = data + 0.05 * torch.randn(8000, D, generator=generator)
    shares = []
    for penalty in (0.0, 0.03):
        codes = trained(
            data, 400, k=4, lr=4e-3, concave_penalty=penalty, centred=False, encoder_length=1.0
        ).encode(data)
        shares.append(float((codes.max(1).values / codes.sum(1).clamp(min=1e-6)).mean()))
    assert shares[1] > 0.85
    assert shares[1] > shares[0] + 0.1


def test_an_uncentred_sae_says_nothing_for_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.rand(4000, D, generator=generator) + 2
    sae = trained(data, 50, k=3, centred=False)
    assert not sae.decode(torch.zeros(1, 4 * D)).any()


def test_muon_gives_every_direction_of_a_matrix_the_same_step() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((32, 48), (48, 32)):
        steep = torch.randn(*shape, generator=generator) @ torch.diag(torch.logspace(-1.5, 1.5, shape[1]))
        values = torch.linalg.svdvals(orthogonalised(steep).float())
        assert values.max() < 1.3
        assert values.median() > 0.6


def test_muon_minimises_and_keeps_to_matrices() -> None:
    torch.manual_seed(0)
    weight, wanted = nn.Parameter(torch.randn(32, 32)), torch.randn(32, 32)
    assert suits(weight)
    assert not suits(nn.Parameter(torch.zeros(32)))
    assert not suits(nn.Parameter(torch.zeros(4, 32, 3, 3)))  # to latents
    optimizer = Muon([weight], 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = (weight - 0.2 * wanted).pow(2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss < 0.01 * (0.2 * wanted).pow(2).mean()
