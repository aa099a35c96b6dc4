"""Every kind of SAE can be painted with: gated, groupmax, thresholds and top-k."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ember_widgets import SAE, Painter, load_sae, save_sae
from tests.pipeline import tiny

F, D = 96, tiny.CHANNELS[-1]


def gated() -> SAE:
    """As SAELens calls its tensors."""
    sae, generator = tiny.sae(), torch.Generator().manual_seed(4)
    state = {"W_enc": sae.W_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    for name in ("b_gate", "b_mag", "r_mag"):
        state[name] = torch.randn(F, generator=generator) * 0.02
    return load_sae(state, target="update")


KINDS: dict[str, Callable[[], SAE]] = {
    "gated": gated,
    "groupmax": lambda: tiny.sae(activation="groupmax", k=12),
    "batchtopk": lambda: tiny.sae(activation="batchtopk", k=6),
    "jumprelu": lambda: tiny.sae(activation="jumprelu", k=None, threshold=torch.linspace(-0.1, 0.1, F)),
}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny.pipeline(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_sae_of_this_kind_is_analyzed_inspected_refitted_and_painted_with(
    pipe: Any, kind: str, tmp_path: Path
) -> None:
    sae = KINDS[kind]()
    assert sae.activation == ("jumprelu" if kind == "gated" else kind)
    painter = Painter(pipe, sae, name="tiny")
    scene = painter.analyze("a lion in a meadow", seed=3, n_factors=3)
    codes = painter.activations(scene)
    assert 0 < (codes > 0).mean() < 1
    if kind == "groupmax":
        assert (codes.reshape(16, 16, 12, F // 12) > 0).sum(-1).max() == 1
    np.testing.assert_array_equal(painter.inspect(scene).codes, codes)
    assert painter.refit(scene, 2).n_factors == 2
    painted = scene.scale(0, 0.0)
    before, after = (np.asarray(painter.render(one), np.int16) for one in (scene, painted))
    assert np.abs(before - after).max() > 0
    again = Painter(pipe, load_sae(save_sae(sae, tmp_path)), name="tiny")
    same = again.analyze("a lion in a meadow", seed=3, n_factors=3)
    np.testing.assert_array_equal(again.activations(same), codes)
