"""What a scene makes of the site's output is the equation, whatever was done to the palette."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ember_widgets import SAE
from ember_widgets.model.runs import SiteState
from ember_widgets.painter import steering
from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene

D_MODEL = 6
N_FEATURES = 8


def an_sae(random: torch.Generator) -> SAE:
    return SAE(
        W_enc=torch.zeros(D_MODEL, N_FEATURES),
        b_enc=torch.zeros(N_FEATURES),
        W_dec=torch.randn(N_FEATURES, D_MODEL, generator=random),
        b_dec=torch.randn(D_MODEL, generator=random),
        activation="topk",
        k=1,
        threshold=None,
        target="output",
        site="down_blocks.2.attentions.1",
        unit=torch.ones(N_FEATURES),
    )


def steered(scene: Scene) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The change that the painter makes of the site's output, and the one that the equation asks for."""
    random = torch.Generator().manual_seed(1)
    sae = an_sae(random)
    target = torch.randn(256, D_MODEL, generator=random)
    out = target.T.reshape(1, D_MODEL, 16, 16)
    state = SiteState(torch.zeros_like(out), out)
    edit = steering.edits(scene, [sae])[0]
    change = state.hidden_out if edit is None else edit(0, state)
    change = change - state.hidden_out

    decoder, bias = sae.W_dec.double().numpy(), sae.b_dec.double().numpy()
    now = scene.strengths.reshape(256, -1).astype(np.float64) @ scene.basis.astype(np.float64) @ decoder
    then = scene.base_strengths.reshape(256, -1).astype(np.float64) @ scene.base_basis.astype(np.float64)
    remainder = target.double().numpy() - then @ decoder - bias
    wanted = now - then @ decoder - (1 - scene.remainder.reshape(256, 1)) * remainder
    return change[0].flatten(1).T.numpy(), wanted


@pytest.mark.parametrize(
    "scene",
    [
        make_scene().remove("lion"),
        make_scene().remove(0).remove(0).remove(0),
        make_scene().duplicate("lion").paint("lion 2", "left", 0.7),
        make_scene().duplicate("lion").remove("lion").set_weight("lion 2", 3, 2.0),
        make_scene().reorder([2, 0, 1]).paint("sky", "floor"),
        make_scene().add_factor({2: 1.0}).reorder([3, 1, 0, 2]).paint("feature 2", "right", opacity=0.4),
        make_scene().erase("centre").set_weight(0, 1, 3.0),
        make_scene().remove("lion").erase("centre"),
    ],
    ids=[
        "removed",
        "all removed",
        "copied",
        "copy for original",
        "turned",
        "added and turned",
        "erased",
        "removed and erased",
    ],
)
def test_it_is_the_equation(scene: Scene) -> None:
    change, wanted = steered(scene)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(change, wanted, atol=2e-4)


@pytest.mark.parametrize(
    "scene",
    [
        make_scene(),
        make_scene().reorder([2, 0, 1]),
        make_scene().duplicate("lion"),
        make_scene().duplicate("lion").reorder([3, 0, 1, 2]),
    ],
)
def test_a_palette_that_is_only_arranged_changes_nothing_at_all(scene: Scene) -> None:
    assert not steered(scene)[0].any()


def by_hand(scene: Scene, sae: SAE, target: torch.Tensor, step: int) -> np.ndarray[Any, Any]:
    """The change at a step as docs/how-it-works.md has it, factor by factor and patch by patch."""
    decoder, bias = sae.W_dec.double().numpy(), sae.b_dec.double().numpy()
    steps = scene.factor_steps or (None,) * scene.n_factors
    acting = [f for f, one in enumerate(steps) if one is not None and one[0] <= step < one[1]]
    analysed = {f: origin for origin, f in scene.analysed_factors.items()}
    change = np.zeros((256, D_MODEL))
    for p, (row, col) in enumerate(np.ndindex(16, 16)):
        rho = float(scene.remainder[row, col])
        strengths = scene.strengths[row, col].astype(float)
        now = np.zeros(D_MODEL)
        then = [
            rho * scene.base_strengths[row, col, analysed[f]] if f in analysed else 0.0
            for f in range(len(steps))
        ]
        cover = [
            0.0 if len(steps[f] or ()) == 3 else min(1.0, max(0.0, strengths[f] - then[f])) for f in acting
        ]
        for f, one in enumerate(steps):
            rests = one is not None and f not in acting
            amount = then[f] if rests else strengths[f]
            weights = scene.base_basis[analysed[f]] if rests and f in analysed else scene.basis[f]
            for layer, hidden in zip(acting, cover, strict=True):
                start, stop, *_ = steps[layer] or ()
                mine = (-1, 0) if one is None or rests else (one[0], -one[1])
                if (start, -stop) > mine:
                    amount *= 1 - hidden
            now += amount * (weights.astype(float) @ decoder)
        for hidden in cover:
            rho *= 1 - hidden
        made = sum(
            float(scene.base_strengths[row, col, o]) * (scene.base_basis[o].astype(float) @ decoder)
            for o in range(len(scene.base_basis))
        )
        change[p] = now - made - (1 - rho) * (target[p].double().numpy() - made - bias)
    return change


LAYERED = make_scene(n_steps=4)


@pytest.mark.parametrize(
    "scene",
    [
        LAYERED.paint("lion", "left", 0.7, steps=(2, 4)),
        LAYERED.set_steps("sky", (1, 3)).paint("sky", "floor", 1.8).set_weight("sky", 2, 3.0),
        LAYERED.set_steps("sky", (0, 2), mode="add").paint("sky", "floor", 1.8, opacity=0.3),
        LAYERED.paint("sky", "left", 0.8, steps=(1, 3))
        .paint("lion", "everything", 0.6, steps=(2, 4))
        .paint("meadow", "floor", -0.5, steps=(2, 3)),
        LAYERED.erase("centre").set_steps("sky", (2, 4)).move("sky", 1, 2, "left").remove("lion"),
        LAYERED.duplicate("sky").reorder([3, 0, 1, 2]).set_steps(0, (3, 4)).paint(0, "right"),
    ],
    ids=["a copy", "analysed", "added", "several", "erased and moved", "copy before the original"],
)
def test_layers_are_the_equation_at_every_step(scene: Scene) -> None:
    random = torch.Generator().manual_seed(1)
    sae = an_sae(random)
    target = torch.randn(256, D_MODEL, generator=random)
    out = target.T.reshape(1, D_MODEL, 16, 16)
    edit = steering.edits(scene, [sae])[0]
    assert edit is not None
    for step in range(4):
        change = (edit(step, SiteState(torch.zeros_like(out), out)) - out)[0].flatten(1).T.numpy()
        np.testing.assert_allclose(change, by_hand(scene, sae, target, step), atol=2e-4)


def test_a_layer_without_anything_painted_changes_nothing_at_all() -> None:
    sae = an_sae(torch.Generator())
    layered = LAYERED.set_steps("sky", (2, 4)).set_steps("lion", (0, 1), mode="add")
    assert steering.edits(layered, [sae]) == [None]
    # Nor does one that acts at none of the picture's steps.
    late = LAYERED.paint("sky", "left", steps=(2, 4))
    assert steering.edits(late.replace(n_steps=2), [sae]) == [None]
    assert steering.edits(late.replace(edit_steps=(0, 2)), [sae]) == [None]


def test_at_steps_where_no_layer_acts_the_change_is_the_same_bit_by_bit() -> None:
    random = torch.Generator().manual_seed(1)
    sae = an_sae(random)
    out = torch.randn(1, D_MODEL, 16, 16, generator=random)
    state = SiteState(torch.zeros_like(out), out)
    below = LAYERED.paint("lion", "floor", opacity=0.3).set_weight("sky", 1, 2.0)
    plain, layered = (
        steering.edits(scene, [sae])[0] for scene in (below, below.paint("meadow", "left", steps=(2, 4)))
    )
    assert plain is not None
    assert layered is not None
    for step in (0, 1):
        assert torch.equal(plain(step, state), layered(step, state))
    assert not torch.equal(plain(2, state), layered(2, state))


def test_a_stroke_does_not_multiply_basis_and_decoder_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sae = an_sae(torch.Generator())
    scene = make_scene().paint("sky", "floor")
    steering.edits(scene, [sae])
    monkeypatch.setattr(torch, "tensor", spied := Spied(torch.tensor))
    steering.edits(scene.paint("sky", "left").scale("lion", 1.5), [sae])
    assert scene.basis.shape not in spied.shapes
    steering.edits(scene.set_weight("sky", 1, 3.0), [sae])
    assert scene.basis.shape in spied.shapes
    assert len(steering._known[sae]) == 3  # the basis, the other basis, and the difference


class Spied:
    """A function that notes the shapes it was called with."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, array: np.ndarray[Any, Any], **given: Any) -> torch.Tensor:
        self.shapes.append(array.shape)
        made: torch.Tensor = self.function(array, **given)
        return made


def test_weights_that_are_changed_in_place_are_noticed() -> None:
    sae = an_sae(torch.Generator().manual_seed(1))
    basis = np.eye(2, N_FEATURES, dtype=np.float32)
    before = steering._directions(basis, sae)
    sae.W_dec.mul_(2)
    assert torch.equal(steering._directions(basis, sae), 2 * before)


def test_what_is_kept_goes_with_the_sae_and_is_little() -> None:
    sae = an_sae(torch.Generator())
    scene = make_scene()
    for weight in range(1, 20):
        steering.edits(scene.set_weight("sky", 1, float(weight)), [sae])
    assert len(steering._known[sae]) == steering.KEPT
    before = len(steering._known)
    del sae
    assert len(steering._known) == before - 1
