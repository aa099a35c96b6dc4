"""What the embedded model is trained on: losses, and codes as painting would put them at the site."""

from __future__ import annotations

import shutil
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
from ember_widgets.embedded.nearest_layout import (
    Places,
    nearest_labels,
    nearest_places,
    places_of,
    squared_distances,
)
from ember_widgets.embedded.train import copy_start
from ember_widgets.embedded.train_sae import drawn_layout
from ember_widgets.embedded.train_unet import code_loss, settle_loss
from ember_widgets.embedded.vocabulary import LABELS

GRASS, LION, PINE, PAPER = (LABELS.index(name) for name in ("grass", "lion", "pine", "paper"))


def grass_with(*names: int) -> Tensor:
    """Labels (1, 16, 16): grass, with these things one below the other."""
    labels = torch.full((1, 16, 16), GRASS)
    for i, label in enumerate(names):
        labels[0, 4 * i : 4 * i + 4, 4:8] = label
    return labels


def places(*options: Tensor) -> Places:
    """One thing on grass, which may be where each of the labels (1, 16, 16) has it."""
    labels = torch.full((1, captions.MAX_THINGS, len(options), 16, 16), -1)
    for k, option in enumerate(options):
        labels[:, 0, k] = torch.where(option == GRASS, -1, option)
    return Places(torch.full((1, 16, 16), GRASS), labels, torch.zeros(labels.shape[:3], dtype=torch.long))


def update_of(labels: Tensor) -> Tensor:
    """What the site adds when it says exactly these labels."""
    return architecture.site_codes()[labels].permute(0, 3, 1, 2)


def test_with_one_place_the_loss_is_cross_entropy_and_mse() -> None:
    codes, labels = architecture.site_codes(), grass_with(LION)
    update = 5 * torch.randn(1, architecture.D_MODEL, 16, 16, generator=torch.Generator().manual_seed(0))
    ce, mse = code_loss(update, places(labels), codes)
    torch.testing.assert_close(mse, (update - update_of(labels)).pow(2).mean() / codes[1].pow(2).mean())
    distance = (update[:, None] - codes[None, :, :, None, None]).pow(2).sum(2)
    weight = torch.where(torch.arange(len(codes)) >= vocabulary.FIRST_THING, 3.0, 1.0)
    logits = -distance / 2 / (codes[1].pow(2).sum() / 10)
    torch.testing.assert_close(ce, F.cross_entropy(logits, labels, weight=weight))


def test_of_several_places_the_nearest_counts_and_half_of_each_is_right_for_none() -> None:
    codes = architecture.site_codes()
    here, there = grass_with(LION), grass_with(LION).roll(6, 2)
    for exact in (here, there):
        assert float(code_loss(update_of(exact), places(here, there), codes)[1]) < 1e-5
    both = torch.where(there == LION, there, here)
    for wrong in ((update_of(here) + update_of(there)) / 2, update_of(both)):
        assert float(code_loss(wrong, places(here, there), codes)[1]) > 0.01


def test_each_thing_is_chosen_by_itself_and_what_stands_in_front_hides_the_other() -> None:
    spec = captions.Spec((LION, PINE, LION), interaction=-1)
    noise = np.random.default_rng(0).standard_normal((4, 64, 64), dtype=np.float32)
    choices, codes = captions.caption_choices(spec, noise, 100), architecture.site_codes()
    asked = places_of([choices])
    for chosen in ((1, 0, 1), (0, 1, 0), (1, 1, 0)):
        labels = torch.from_numpy(scenes.label_patches(choices.layout(chosen)))[None]
        distances2 = squared_distances(update_of(labels), codes)
        assert tuple(nearest_places(distances2, asked)[0, :3].tolist()) == chosen
        assert torch.equal(nearest_labels(distances2, asked), labels)


@pytest.mark.parametrize(("loss", "mixed"), [(code_loss, True), (settle_loss, False)])
@pytest.mark.parametrize("chance", [0.4, 0.6])
def test_a_settled_patch_takes_the_likelier_label_almost_whole(
    loss: Callable[[Tensor, Places, Tensor], tuple[Tensor, Tensor]], mixed: bool, chance: float
) -> None:
    codes, here, there = architecture.site_codes(), grass_with(LION), grass_with(LION).roll(6, 2)
    seen = (here == LION)[:, None]  # what is asked of the patches that one of the two places has
    losses = []
    for share in (shares := np.linspace(0, 1, 41)):
        patches = share * update_of(here) + (1 - share) * update_of(torch.full_like(here, GRASS))
        is_here, is_there = (
            sum(map(float, loss(torch.where(seen, patches, update_of(labels)), of, codes)))
            for labels, of in ((here, within(here, there)), (there, within(there, here)))
        )
        losses.append(chance * is_here + (1 - chance) * is_there)
    best = shares[int(np.argmin(losses))]
    assert abs(best - (chance if mixed else round(chance))) < (0.15 if mixed else 0.21)


def within(labels: Tensor, other: Tensor) -> Places:
    """A thing that has to be where these labels have it, and that could also have been elsewhere."""
    asked = places(labels)
    asked.labels[:, 1, 0] = torch.where(other == LION, GRASS, -1)
    return asked


def test_the_layout_drawn_is_the_one_that_the_site_says() -> None:
    spec = captions.Spec((LION, PINE))
    for seed in range(8):
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((4, 64, 64), dtype=np.float32))
        choices = captions.caption_choices(spec, noise.numpy(), 1.0)
        wanted = choices.layout([len(places) - 1 for places in choices.places])
        update = update_of(torch.from_numpy(scenes.label_patches(wanted))[None])
        assert drawn_layout(spec, noise, update[0].flatten(1).T).things == wanted.things


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
    (state, styles, after), (state2, styles2, after2) = made
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


def test_a_start_that_predicts_something_else_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ASSETS / "pipeline", source)
    file = source / "scheduler" / "scheduler_config.json"
    file.write_text(file.read_text().replace('"sample"', '"epsilon"'))
    with pytest.raises(ValueError, match="source predicts 'epsilon', but this recipe trains .* 'sample'"):
        copy_start(source, tmp_path)
    assert not (tmp_path / "start").exists()


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
