"""painter.inspect against a recomputation by hand: hooks on the pipeline, patch by patch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ember_widgets import SAE, Painter, Scene
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.painter.inspection import Inspection

SITE = "down_blocks.2.attentions.1"
BEHIND = "mid_block.attentions.0"
PROMPT = "a lion in a meadow"


def hooked(painter: Painter, site: str, n_steps: int = 1, edit: Tensor | None = None) -> list[NDArray[Any]]:
    """Update of the site at every step of a plain run of the pipeline, each (256, d_model).

    Args:
        edit: (1, d_model, 16, 16), added to the steered site's output at every step.
    """
    seen: list[NDArray[Any]] = []
    unet = painter.pipeline.unet

    def add(module: Any, args: Any, output: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (output[0] if edit is None else output[0] + edit,)

    def keep(module: Any, args: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        seen.append((output[0] - args[0])[0].flatten(1).T.double().numpy())

    handles = [
        unet.get_submodule(SITE).register_forward_hook(add),
        unet.get_submodule(site).register_forward_hook(keep),
    ]
    painter.pipeline.set_progress_bar_config(disable=True)
    try:
        generator = torch.Generator().manual_seed(3)
        painter.pipeline(PROMPT, num_inference_steps=n_steps, guidance_scale=0.0, generator=generator)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def by_hand(sae: SAE, a: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Codes, energy and what is missed, patch by patch in float64, the SAE's threshold applied by hand."""
    assert sae.threshold is not None
    W_enc, b_enc, W_dec, b_dec, threshold = (
        t.double().numpy() for t in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec, sae.threshold)
    )
    codes = np.zeros((256, sae.n_features))
    energy, missed = np.zeros(256), np.zeros(256)
    for patch, x in enumerate(a):
        pre = (x - b_dec) @ W_enc + b_enc
        for feature in np.flatnonzero(pre > np.maximum(threshold, 0)):
            codes[patch, feature] = pre[feature]
        rest = x - b_dec
        energy[patch] = rest @ rest
        for feature in np.flatnonzero(codes[patch]):
            rest = rest - codes[patch, feature] * W_dec[feature]
        missed[patch] = rest @ rest
    return codes.reshape(16, 16, -1), energy.reshape(16, 16), missed.reshape(16, 16)


def check(inspection: Inspection, sae: SAE, a: NDArray[Any]) -> None:
    codes, energy, missed = by_hand(sae, a)
    np.testing.assert_allclose(inspection.codes, codes, atol=2e-3)
    rounding = inspection.energy == 0  # a factor is gone, and there is almost nothing left to explain
    assert energy[rounding].max(initial=0) < 1e-3 * float((sae.unit * sae.W_dec.norm(dim=1)).square().mean())
    np.testing.assert_allclose(inspection.energy[~rounding], energy[~rounding], rtol=1e-3)
    np.testing.assert_allclose(inspection.missed, missed, rtol=2e-2, atol=1e-4 * energy.mean())


@pytest.fixture(scope="module")
def painter() -> Painter:
    """In float32 wherever this runs: in bfloat16 the run by hand would round otherwise."""
    return Painter.embedded(dtype="float32")


@pytest.fixture(scope="module")
def scene(painter: Painter) -> Scene:
    return painter.analyze(PROMPT, seed=3)


@pytest.fixture(scope="module")
def steps(painter: Painter) -> Scene:
    return painter.analyze(PROMPT, seed=3, n_steps=3)


def test_codes_energy_and_what_is_missed_are_those_of_the_hooked_run(painter: Painter, scene: Scene) -> None:
    check(painter.inspect(scene), painter.saes[SITE], hooked(painter, SITE)[0])
    assert np.array_equal(painter.inspect(scene).codes, painter.activations(scene))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_every_step_can_be_inspected(painter: Painter, steps: Scene, step: int) -> None:
    inspection = painter.inspect(steps, step=step)
    assert inspection.step == step
    check(inspection, painter.saes[SITE], hooked(painter, SITE, 3)[step])


@pytest.mark.parametrize("step", [0, 1, 3])
def test_steps_after_the_one_asked_for_are_not_run(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter.embedded()
    scene = painter.analyze(PROMPT, seed=3, n_steps=4).scale(0, 1.5)
    calls = {"_prefix": 0, "_rest": 0}
    for name in calls:
        plain = getattr(Sampler, name)

        def counted(*given: Any, name: str = name, plain: Any = plain) -> Any:
            calls[name] += 1
            return plain(*given)

        monkeypatch.setattr(Sampler, name, counted)
    painter.inspect(scene, step=step)
    # The first step up to the site is known; the step asked for is not run beyond the site.
    assert calls == {"_prefix": step, "_rest": step}


def test_shares_are_those_of_the_sums_of_squares(painter: Painter, scene: Scene) -> None:
    sae, a = painter.saes[SITE], hooked(painter, SITE)[0]
    _, energy, missed = by_hand(sae, a)
    inspection = painter.inspect(scene)
    assert inspection.explained() == pytest.approx(1 - missed.sum() / energy.sum(), abs=1e-3)
    for patch in [(0, 0), (7, 9), (15, 15)]:
        assert inspection.explained([patch]) == pytest.approx(1 - missed[patch] / energy[patch], abs=5e-3)

    made = scene.strengths.reshape(256, -1).astype(float) @ scene.basis @ sae.W_dec.double().numpy()
    left = ((a - made - sae.b_dec.double().numpy()) ** 2).sum(1).reshape(16, 16)
    by_factors = inspection.explained(by_factors=True)
    assert by_factors == pytest.approx(1 - left.sum() / energy.sum(), abs=1e-3)
    few = painter.inspect(painter.analyze(scene.prompt, seed=scene.seed, n_factors=2))
    assert few.explained(by_factors=True) < few.explained() - 0.01
    np.testing.assert_allclose(inspection.unexplained(by_factors=True), (left / energy).clip(0, 1), atol=5e-3)


def test_an_edit_shows_where_it_was_made_and_what_later_steps_make_of_it(
    painter: Painter, steps: Scene
) -> None:
    edited = steps.scale(0, 0)
    W_dec = painter.saes[SITE].W_dec
    strengths = torch.tensor((edited.strengths - steps.strengths).reshape(256, -1))
    delta = (strengths @ (torch.tensor(steps.basis) @ W_dec)).T.reshape(1, -1, 16, 16)
    run = hooked(painter, SITE, 3, delta)

    # `keep` sees the update with what `add` added to it: the two hooks run in the order they were put in.
    check(painter.inspect(edited, step=0), painter.saes[SITE], run[0])
    check(painter.inspect(edited, step=2), painter.saes[SITE], run[2])
    unedited = painter.inspect(edited, step=2, edited=False)
    check(unedited, painter.saes[SITE], hooked(painter, SITE, 3)[2])
    assert painter.inspect(edited, step=2).change(unedited).max() > 0.1


def test_the_factors_of_an_unedited_run_are_those_of_the_picture(painter: Painter, steps: Scene) -> None:
    edited = steps.scale(0, 0)

    def share(scene: Scene, step: int, **others: Any) -> float:
        return painter.inspect(scene, step=step, **others).explained(by_factors=True)

    for step in (0, 2):
        assert share(edited, step, edited=False) == share(steps, step)
        assert share(edited, step) != share(steps, step)
    later = edited.replace(edit_steps=(1, 3))
    assert share(later, 0) == share(steps, 0)
    assert share(later, 2) != share(steps, 2)


def make_sae(d_model: int, site: str) -> SAE:
    """A random SAE of 64 features, for a site where nothing was trained."""
    torch.manual_seed(0)
    decoder = torch.nn.functional.normalize(torch.randn(64, d_model), dim=1)
    return SAE(
        W_enc=decoder.T.contiguous(),
        b_enc=torch.zeros(64),
        W_dec=decoder,
        b_dec=torch.zeros(d_model),
        activation="jumprelu",
        k=None,
        threshold=torch.tensor(0.1),
        target="update",
        site=site,
        unit=torch.ones(64),
    )


def test_a_site_behind_the_first_has_features_and_factors_of_its_own(painter: Painter) -> None:
    first = painter.saes[SITE]
    several = Painter(
        painter.pipeline,
        {SITE: first, BEHIND: make_sae(first.d_model, BEHIND)},
        name="two sites",
        labels={3: "third", first.n_features + 5: "fifth behind"},
    )
    scene = several.analyze(PROMPT, seed=3)
    inspection = several.inspect(scene, site="mid.0")
    sae, a = several.saes[BEHIND], hooked(painter, BEHIND)[0]

    check(inspection, sae, a)
    assert (inspection.site, inspection.begin) == (BEHIND, first.n_features)
    assert inspection.labels(several.labels) == {5: "fifth behind"}
    here = scene.basis[:, first.n_features :].astype(float) @ sae.W_dec.double().numpy()
    left = ((a - scene.strengths.reshape(256, -1) @ here) ** 2).sum()
    assert inspection.explained(by_factors=True) == pytest.approx(1 - left / (a**2).sum(), abs=1e-3)
    # What is erased at the first site changes what arrives at the second, and nothing was painted there.
    edited = scene.scale(0, 0)
    assert several.inspect(edited, site=BEHIND).change(inspection).max() > 0.1
    unedited = several.inspect(edited, site=BEHIND, edited=False)
    assert np.array_equal(unedited.codes, inspection.codes)


def test_an_sae_put_in_later_is_looked_through_and_steers_nothing(painter: Painter, scene: Scene) -> None:
    painter.saes[BEHIND] = sae = make_sae(painter.saes[SITE].d_model, BEHIND)
    try:
        inspection = painter.inspect(scene, site=BEHIND)
        check(inspection, sae, hooked(painter, BEHIND)[0])
        assert inspection.missed_by_factors is None
        with pytest.raises(ValueError) as caught:
            inspection.explained(by_factors=True)
        assert "no factors at mid_block.attentions.0" in str(caught.value)
    finally:
        del painter.saes[BEHIND]


def test_an_sae_put_in_later_may_lie_on_another_device(
    painter: Painter, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sae = make_sae(painter.saes[SITE].d_model, BEHIND)
    object.__setattr__(sae, "W_dec", sae.W_dec.to("meta"))
    monkeypatch.setitem(painter.saes, BEHIND, sae)
    monkeypatch.setattr(Inspection, "of", lambda sae, target, **others: target.device)
    device: Any = painter.inspect(scene, site=BEHIND)
    assert device == torch.device("meta")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_blank_canvas_has_nothing_to_explain(dtype: str) -> None:
    painter = Painter.embedded(dtype=dtype)
    inspection = painter.inspect(painter.blank("a lion"))
    assert inspection.energy.max() == 0
    assert np.isnan(inspection.explained())
    assert inspection.unexplained().max() == 0


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"step": 1}, "step=1 is outside 0..0; steps count from 0"),
        (
            {"site": "up.0.1"},
            "site='up_blocks.0.attentions.1' has no SAE here; choose one of down_blocks.",
        ),
    ],
)
def test_what_cannot_be_inspected_is_refused(
    painter: Painter, scene: Scene, wish: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as caught:
        painter.inspect(scene, **wish)
    assert str(caught.value).startswith(text)


def test_a_scene_of_another_sae_is_refused(painter: Painter, scene: Scene) -> None:
    with pytest.raises(ValueError, match="made with SAE 'another'"):
        painter.inspect(scene.replace(model={**scene.model, "sae": "another"}))
