"""What the embedded model is trained on: losses, and codes as painting would put them at the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ember_widgets.embedded import architecture, captions, scenes, vocabulary
from ember_widgets.embedded.batches import FULL, Batches
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.model import Model, take_over, vocabulary_in, weights_in
from ember_widgets.embedded.muon import orthogonalised
from ember_widgets.embedded.train import copy_start
from ember_widgets.embedded.train_sae import drawn_layout
from ember_widgets.embedded.train_unet import code_loss, settle_loss
from ember_widgets.embedded.vocabulary import LABELS

GRASS, LION, PINE, PAPER = (LABELS.index(name) for name in ("grass", "lion", "pine", "paper"))


def labels_of(*names: int) -> Tensor:
    """Layouts (1, n, 16, 16): grass, with something on it in one place each."""
    labels = torch.full((1, len(names), 16, 16), GRASS)
    for i, label in enumerate(names):
        labels[0, i, 4 * i : 4 * i + 4, 4:8] = label
    return labels


def test_with_one_layout_the_loss_is_cross_entropy_and_mse() -> None:
    codes, labels = architecture.site_codes(), labels_of(LION)
    update = 5 * torch.randn(1, architecture.D_MODEL, 16, 16, generator=torch.Generator().manual_seed(0))
    ce, mse = code_loss(update, labels, codes)
    target = codes[labels[:, 0]].permute(0, 3, 1, 2)
    torch.testing.assert_close(mse, (update - target).pow(2).mean() / codes[1].pow(2).mean())
    distance = (update[:, None] - codes[None, :, :, None, None]).pow(2).sum(2)
    weight = torch.where(torch.arange(len(codes)) >= vocabulary.FIRST_THING, 3.0, 1.0)
    logits = -distance / 2 / (codes[1].pow(2).sum() / 10)
    torch.testing.assert_close(ce, F.cross_entropy(logits, labels[:, 0], weight=weight))


def test_of_several_layouts_the_nearest_counts_and_half_of_each_is_right_for_none() -> None:
    codes, labels = architecture.site_codes(), labels_of(LION, PINE)
    first, second = codes[labels[0]].permute(0, 3, 1, 2)[:, None]
    for exact in (first, second):
        assert float(code_loss(exact, labels, codes)[1]) < 1e-5
    assert float(code_loss((first + second) / 2, labels, codes)[1]) > 0.01


@pytest.mark.parametrize(("loss", "least", "most"), [(code_loss, 0.5, 0.75), (settle_loss, 0.9, 1.0)])
def test_where_the_thing_is_likelier_a_settled_patch_takes_it_almost_whole(
    loss: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]], least: float, most: float
) -> None:
    codes = architecture.site_codes()
    lion, grass = labels_of(LION), torch.full((1, 1, 16, 16), GRASS)
    losses = []
    for share in (shares := np.linspace(0, 1, 41)):
        update = (share * codes[lion[:, 0]] + (1 - share) * codes[grass[:, 0]]).permute(0, 3, 1, 2)
        lion_off, grass_off = (sum(map(float, loss(update, labels, codes))) for labels in (lion, grass))
        losses.append(0.6 * lion_off + 0.4 * grass_off)
    assert least <= shares[int(np.argmin(losses))] <= most


def test_the_layout_drawn_is_the_one_that_the_site_says() -> None:
    spec, told = captions.Spec((LION, PINE)), 0
    for seed in range(8):
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((4, 64, 64), dtype=np.float32))
        near = captions.near_layouts(spec, noise.numpy(), 4, np.random.default_rng(seed))
        wanted = scenes.label_patches(near[-1])
        update = architecture.site_codes()[torch.from_numpy(wanted).flatten()]
        drawn = scenes.label_patches(drawn_layout(spec, noise, update, np.random.default_rng(seed)))
        assert (drawn != wanted).mean() < 0.02
        told += bool((wanted != scenes.label_patches(near[0])).any())
    assert told >= 3  # else the exact layout would always do


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    made = Batches(Model(tmp_path_factory.mktemp("model"), "cpu"), None, 64, 0)
    torch.manual_seed(0)
    return made


def strength_of(codes: Tensor, name: str) -> Tensor:
    """How strong an attribute is in the middle of the codes (B, D, 16, 16), per sample."""
    direction = architecture.site_directions()[vocabulary.ATTRIBUTES.index(name)]
    return codes[:, :, 8, 8] @ direction / direction.pow(2).sum()


@pytest.mark.parametrize("opacity", [0.2, 0.5, 0.9, 1.0])
def test_a_thing_is_as_strong_as_it_is_opaque(batches: Batches, opacity: float) -> None:
    labels = torch.full((64, 16, 16), LION)
    codes = batches.perturbed(labels, torch.full_like(labels, GRASS), torch.full(labels.shape, opacity))
    lion, grass = strength_of(codes, "lion"), strength_of(codes, "grass")
    if opacity == 1:
        assert float(lion.mean()) > FULL
        assert float(grass.abs().max()) < 0.1  # hidden
    else:
        assert float(lion.mean()) == pytest.approx(0.1 + opacity * (FULL - 0.1), abs=0.08)
        share = grass / grass.max()
        assert float((share > 0.6).float().mean()) > 0.2  # left below
        if opacity > 0.6:
            assert float((share < 0.3).float().mean()) > 0.2  # or covered


def test_paper_below_adds_nothing(batches: Batches) -> None:
    labels = torch.full((64, 16, 16), PAPER)
    codes = batches.perturbed(labels, labels, torch.ones(labels.shape))
    assert float(codes.abs().mean()) < 0.5


def test_a_context_depends_on_its_number_alone(tmp_path: Path) -> None:
    made = []
    for earlier in ((), (0, 3, 35)):
        batches = Batches(Model(tmp_path, "cpu"), None, 2, 0)
        batches.encoded = {"styles": np.array([-1, 0, 1])}
        for n in earlier:
            batches.context(n, np.random.default_rng(n))
        torch.manual_seed(7)
        made.append((*batches.context(38, np.random.default_rng(1)), torch.rand(1)))
    (x, state, styles, after), (x2, state2, styles2, after2) = made
    assert torch.equal(x, x2)
    assert torch.equal(state.hidden_in, state2.hidden_in)
    assert styles == styles2
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))  # the step's own randomness is as it was
    assert torch.equal(after, after2)


def test_a_start_gives_each_word_what_the_pipeline_knew_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_start(ASSETS / "pipeline", tmp_path)
    words = architecture.caption_words()
    monkeypatch.setattr(architecture, "caption_words", lambda: sorted([*words, "aardvark"]))
    model = Model(tmp_path, "cpu")
    before, now = vocabulary_in(tmp_path / "start" / "tokenizer"), model.tokenizer.get_vocab()
    assert "aardvark</w>" in now.keys() - before.keys()
    table = model.text_encoder.get_input_embeddings().weight
    old = weights_in(tmp_path / "start" / "text_encoder")
    rows = next(weight for name, weight in old.items() if name.endswith("token_embedding.weight"))
    for token in ("cat</w>", architecture.EOS, "a</w>"):
        assert torch.equal(table[now[token]], rows[before[token]])
    assert float(table[now["aardvark</w>"]].detach().std()) == pytest.approx(float(rows.std()), rel=0.6)
    assert model.text_encoder.config.eos_token_id == now[architecture.EOS]


def test_a_start_of_other_shapes_is_refused() -> None:
    weights = torch.nn.Linear(2, 3).state_dict()
    with pytest.raises(ValueError, match=r"1 tensors of unet.*weight, \(3, 2\) instead of \(3, 4\)"):
        take_over(torch.nn.Linear(4, 3), weights, "unet")


@pytest.mark.parametrize("shape", [(24, 60), (60, 24)])
def test_matrices_are_orthogonalised_together_as_each_alone(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    together = orthogonalised(matrices)
    for matrix, result in zip(matrices, together, strict=True):
        torch.testing.assert_close(result, orthogonalised(matrix), atol=0.02, rtol=0.02)  # bfloat16
    singular = torch.linalg.svdvals(together)
    assert 0.6 < float(singular.min()) < float(singular.max()) < 1.3
