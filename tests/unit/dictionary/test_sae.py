"""SAE: what encode keeps, what decode gives back, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ember_widgets import SAE
from ember_widgets.dictionary.model_card import Card, Described


def make(**changes: Any) -> SAE:
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(6, 4, generator=generator)
    fields: dict[str, Any] = {
        "W_enc": w.T.contiguous(),
        "b_enc": torch.zeros(6),
        "W_dec": w,
        "b_dec": torch.full((4,), 0.5),
        "activation": "batchtopk",
        "k": 2,
        "threshold": None,
        "target": "update",
        "site": "down_blocks.2.attentions.1",
        "unit": torch.ones(6),
    }
    return SAE(**(fields | changes))


@pytest.fixture
def patches() -> torch.Tensor:
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 9)[:, None]


def dense(sae: SAE, x: torch.Tensor) -> torch.Tensor:
    return torch.relu((x - sae.b_dec) @ sae.W_enc + sae.b_enc)


def test_topk_keeps_the_k_largest_of_every_patch(patches: torch.Tensor) -> None:
    sae = make(activation="topk")
    codes, full = sae.encode(patches), dense(sae, patches)
    for row, all_of_row in zip(codes, full, strict=True):
        expected = all_of_row.clone()
        expected[all_of_row.argsort(descending=True)[2:]] = 0
        assert torch.equal(row, expected)


@pytest.mark.parametrize("threshold", [0.5, np.full(6, 0.5), torch.full((1, 1, 1), 0.5), torch.tensor(0.5)])
def test_tensors_are_float32_whatever_is_given(patches: torch.Tensor, threshold: Any) -> None:
    """`dataclasses.replace(sae, threshold=0.5)` gave an SAE that could not be published."""
    sae, given = make(threshold=threshold), make()
    for name in ("W_enc", "b_enc", "W_dec", "b_dec", "unit"):
        other = make(**{name: getattr(given, name).double().numpy(), "threshold": torch.tensor(0.5)})
        assert torch.equal(other.encode(patches), sae.encode(patches))
        assert getattr(other, name).dtype == torch.float32
    half = make(W_enc=given.W_enc.half(), W_dec=given.W_dec.half())
    assert half.decode(half.encode(patches)).dtype == torch.float32
    assert isinstance(sae.threshold, torch.Tensor)
    assert "| threshold | " in Card("me/sae", [Described(sae)], "ember", "mit").text()


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="W_enc=None is not a tensor; give one of real numbers"):
        make(W_enc=None)


def test_batchtopk_keeps_k_per_patch_on_average_and_more_where_there_is_more(patches: torch.Tensor) -> None:
    sae = make()
    codes, full = sae.encode(patches), dense(sae, patches)
    smallest_kept = codes[codes > 0].min()
    assert int((codes > 0).sum()) == 2 * len(patches)
    assert bool((full[codes == 0] <= smallest_kept).all())
    assert len(set((codes > 0).sum(1).tolist())) > 1


def test_groupmax_keeps_the_largest_of_each_group_of_neighbours(patches: torch.Tensor) -> None:
    sae = make(activation="groupmax", k=2)
    groups, full = sae.encode(patches).view(8, 2, 3), dense(sae, patches).view(8, 2, 3)
    assert torch.equal(groups.amax(2), full.amax(2))
    assert bool(((groups > 0).sum(2) <= 1).all())
    assert bool((groups > 0).any(0).any(0).all())


def test_thresholds_below_0_keep_all(patches: torch.Tensor) -> None:
    sae = make(activation="jumprelu", threshold=torch.tensor([-1.0, 0, 1, -1, 0, 1]))
    kept = dense(sae, patches) * (dense(sae, patches) > torch.tensor([0.0, 0, 1, 0, 0, 1]))
    torch.testing.assert_close(sae.encode(patches), kept)


def test_a_threshold_makes_codes_independent_of_the_other_patches(patches: torch.Tensor) -> None:
    sae = make(threshold=torch.tensor(1.0))
    assert torch.equal(sae.encode(patches)[:3], sae.encode(patches[:3]))
    assert bool((sae.encode(patches)[sae.encode(patches) > 0] > 1.0).all())


def test_decode_of_nothing_is_the_bias() -> None:
    sae = make()
    assert torch.equal(sae.decode(torch.zeros(3, 6)), sae.b_dec.expand(3, 4))


def test_decode_is_linear_in_the_codes(patches: torch.Tensor) -> None:
    sae = make()
    codes = sae.encode(patches)
    torch.testing.assert_close(sae.decode(2 * codes) - sae.b_dec, 2 * (sae.decode(codes) - sae.b_dec))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b_dec": torch.zeros(3)}, "b_dec has shape (3,), but W_enc is (4, 6); b_dec must be (4,)"),
        (
            {"activation": "relu"},
            "activation='relu' is unknown; choose one of topk, batchtopk, jumprelu, groupmax",
        ),
        ({"target": "input"}, "target='input' is unknown; choose 'update' (output − input) or 'output'"),
        (
            {"activation": "jumprelu"},
            "activation='jumprelu' needs a threshold, and none was given; give one or choose 'batchtopk'",
        ),
        ({"k": 0}, "k=0, but batchtopk needs k in 1..6 or a threshold"),
        (
            {"activation": "groupmax", "k": 4},
            "activation='groupmax' needs k groups of the same size and no threshold; k=4 must divide the 6 "
            "features",
        ),
        (
            {"activation": "groupmax", "k": 2, "threshold": torch.tensor(0.5)},
            "activation='groupmax' needs k groups of the same size and no threshold; k=2 must divide the 6 "
            "features",
        ),
        ({"k": -2}, "k=-2, but batchtopk needs k in 1..6 or a threshold"),
        ({"k": 7}, "k=7, but batchtopk needs k in 1..6 or a threshold"),
        ({"k": 0, "threshold": 1.0}, "k=0, but batchtopk needs k in 1..6 or a threshold"),
        ({"k": 7, "threshold": 1.0}, "k=7, but batchtopk needs k in 1..6 or a threshold"),
        ({"k": None}, "k=None, but batchtopk needs k in 1..6 or a threshold"),
        ({"b_enc": torch.tensor(0.0)}, "b_enc has shape (), but W_enc is (4, 6); b_enc must be (6,)"),
        ({"b_dec": torch.tensor(0.0)}, "b_dec has shape (), but W_enc is (4, 6); b_dec must be (4,)"),
        ({"unit": torch.ones(5)}, "unit has shape (5,), but W_enc is (4, 6); unit must be (6,)"),
        ({"W_enc": torch.ones(24)}, "W_enc has shape (24,); it must be (d_model, n_features)"),
        (
            {"threshold": torch.ones(5)},
            "threshold has shape (5,), but W_enc is (4, 6); threshold must be a number or (6,)",
        ),
        (
            {"unit": torch.tensor([1.0, 1, 0, 1, 1, 1])},
            "unit holds values <= 0; give each feature's typical activation, all above 0",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["W_enc", "b_enc", "W_dec", "b_dec", "unit", "threshold"])
def test_values_that_are_not_finite_are_refused_by_name(name: str, value: float) -> None:
    values = torch.ones(6) if name == "threshold" else getattr(make(), name).clone()
    values.view(-1)[2] = value
    with pytest.raises(ValueError, match=f"^{name} holds numbers that are not finite: the file is damaged"):
        make(**{name: values})


def test_half_of_a_k_is_refused() -> None:
    with pytest.raises(TypeError, match=r"k=2\.5 is not a whole number; give an int 1\.\.6"):
        make(k=2.5)


def test_activations_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        make().encode(torch.zeros(2, 5))
    assert str(caught.value) == "x has 5 channels, but this SAE encodes 4; give site activations"
    with pytest.raises(ValueError) as caught:
        make().decode(torch.zeros(2, 5))
    assert str(caught.value) == "codes have 5 features, but this SAE has 6"


@pytest.mark.parametrize("activation", ["topk", "batchtopk"])
@pytest.mark.parametrize("n_features", [6, 1024, 5120, 1000])
def test_codes_of_many_features_are_those_of_sorting_them_all(activation: str, n_features: int) -> None:
    """They are sought in pieces where there are many; 1000 cannot be cut, 6 need not be."""
    generator = torch.Generator().manual_seed(2)
    w = torch.randn(n_features, 4, generator=generator)
    sae = make(
        W_enc=w.T.contiguous(), W_dec=w, b_enc=torch.zeros(n_features), unit=torch.ones(n_features),
        activation=activation, k=3,
    )  # fmt: skip
    x = torch.randn(16, 4, generator=generator)
    full = torch.relu(torch.addmm(sae.b_enc, x - sae.b_dec, sae.W_enc))
    rows = full if activation == "topk" else full.view(1, -1)
    k = 3 if activation == "topk" else 48
    least = rows.sort(dim=1, descending=True).values[:, k - 1 : k]
    assert torch.equal(sae.encode(x), torch.where(rows >= least, rows, 0).view_as(full))


def test_a_threshold_per_feature_takes_only_what_is_above_it(patches: torch.Tensor) -> None:
    sae = make(threshold=torch.tensor([0.0, 1, 2, 3, 4, 5]), activation="jumprelu")
    full = dense(sae, patches)
    torch.testing.assert_close(sae.encode(patches), full * (full > torch.tensor([0.0, 1, 2, 3, 4, 5])))


def test_patches_may_stand_in_a_grid(patches: torch.Tensor) -> None:
    sae = make(activation="topk")
    assert torch.equal(sae.encode(patches.view(2, 4, 4)), sae.encode(patches).view(2, 4, 6))
