"""Checkpoints: each format gives the same SAE; damaged, foreign and dangerous files are refused."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from ember_widgets import SAE, load_sae
from ember_widgets.dictionary.load import save_sae

F, D = 12, 5


@pytest.fixture
def unbox(tmp_path: Path) -> Path:
    """A folder as sdxl-unbox's training writes it."""
    folder = tmp_path / "unet.down_blocks.2.attentions.1_k3_hidden12" / "final"
    folder.mkdir(parents=True)
    g = torch.Generator().manual_seed(0)
    state = {
        "pre_bias": torch.randn(D, generator=g),
        "latent_bias": torch.randn(F, generator=g),
        "encoder.weight": torch.randn(F, D, generator=g),
        "decoder.weight": torch.randn(D, F, generator=g),
        "stats_last_nonzero": torch.zeros(F, dtype=torch.long),
    }
    (folder / "config.json").write_text(json.dumps({"n_dirs_local": F, "d_model": D, "k": 3, "auxk": 4}))
    torch.save({"state_dict": state}, folder / "state_dict.pth")
    torch.save(torch.linspace(0, 11, F), folder / "mean.pt")
    return folder


def test_sdxl_unbox_is_read_as_its_own_code_computes(unbox: Path) -> None:
    sae = load_sae(unbox)
    state = torch.load(unbox / "state_dict.pth", weights_only=True)["state_dict"]
    x = torch.randn(7, D, generator=torch.Generator().manual_seed(1))
    pre = (x - state["pre_bias"]) @ state["encoder.weight"].T + state["latent_bias"]
    values, indices = pre.topk(3)
    expected = torch.zeros(7, F).scatter(1, indices, values.relu())
    torch.testing.assert_close(sae.encode(x), expected)
    torch.testing.assert_close(sae.decode(expected), expected @ state["decoder.weight"].T + state["pre_bias"])
    assert (sae.activation, sae.k, sae.target, sae.site) == (
        "topk",
        3,
        "update",
        "down_blocks.2.attentions.1",
    )


def test_mean_activation_becomes_the_unit_and_silent_features_get_the_median(unbox: Path) -> None:
    unit = load_sae(unbox).unit
    assert unit[5] == 5.0
    assert unit[0] == torch.linspace(0, 11, F)[1:].median()


def test_a_transposed_square_free_matrix_is_oriented_by_its_shape(unbox: Path) -> None:
    before = load_sae(unbox)
    saved = torch.load(unbox / "state_dict.pth", weights_only=True)
    saved["state_dict"]["decoder.weight"] = saved["state_dict"]["decoder.weight"].T.contiguous()
    torch.save(saved, unbox / "state_dict.pth")
    assert torch.equal(load_sae(unbox).W_dec, before.W_dec)


@pytest.mark.parametrize("threshold", [None, torch.tensor(0.5), torch.linspace(0, 1, F)])
def test_our_own_format_comes_back_exactly(
    unbox: Path, tmp_path: Path, threshold: torch.Tensor | None
) -> None:
    source = load_sae(unbox)
    sae = SAE(
        **{n: getattr(source, n) for n in ("W_enc", "b_enc", "W_dec", "b_dec", "target", "site", "unit")},
        activation="batchtopk",
        k=3,
        threshold=threshold,
        positional=(2, 7),
    )
    file = save_sae(sae, tmp_path / "ours")
    for place in (tmp_path / "ours", file):
        back = load_sae(place)
        for name in ("W_enc", "b_enc", "W_dec", "b_dec", "unit"):
            assert torch.equal(getattr(back, name), getattr(sae, name))
        assert (back.activation, back.k, back.positional) == ("batchtopk", 3, (2, 7))
        assert (back.threshold is None) == (threshold is None)
        if threshold is not None:
            assert torch.equal(torch.as_tensor(back.threshold), threshold)
    assert [f.name for f in (tmp_path / "ours").iterdir()] == ["sae.safetensors"]


def test_site_and_target_can_be_given(unbox: Path) -> None:
    sae = load_sae(unbox, site="mid_block.attentions.0", target="output")
    assert (sae.site, sae.target) == ("mid_block.attentions.0", "output")


def test_the_hash_tells_checkpoints_apart(unbox: Path) -> None:
    first = load_sae(unbox).sha256
    saved = torch.load(unbox / "state_dict.pth", weights_only=True)
    saved["state_dict"]["pre_bias"][0] += 1
    torch.save(saved, unbox / "state_dict.pth")
    assert len(first) == 64
    assert load_sae(unbox).sha256 != first


def test_the_key_follows_what_decides_codes(unbox: Path) -> None:
    sae = load_sae(unbox)
    assert sae.key == sae.sha256
    assert sae.at("mid_block.attentions.0").to("cpu").key == sae.key
    with torch.no_grad():
        other_weights = dataclasses.replace(sae, W_dec=sae.W_dec * 2)
    others = [
        load_sae(unbox, k=4),
        load_sae(unbox, target="output"),
        load_sae(unbox, threshold=0.5),
        dataclasses.replace(sae, k=4),
        dataclasses.replace(sae, threshold=torch.tensor(0.5)),
        other_weights,
    ]
    keys = [one.key for one in others]
    assert sae.key not in keys
    assert keys[0] != keys[1] != keys[2]
    assert load_sae(unbox, k=4).key == keys[0]
    assert {one.sha256 for one in others} == {sae.sha256}


def test_the_key_follows_a_change_of_any_feature() -> None:
    """Icons and statistics of the SAE as it was are not used."""
    g = torch.Generator().manual_seed(0)
    n, d = 1024, 640
    weights = {"W_enc": torch.rand(d, n, generator=g), "W_dec": torch.rand(n, d, generator=g)}
    sae = load_sae({**weights, "b_enc": torch.zeros(n)}, activation="topk", k=3, target="update")
    as_it_was = sae.key
    for feature in range(0, n, 100):
        for name, at in (("W_enc", (slice(None), feature)), ("W_dec", feature), ("b_enc", feature)):
            whole = getattr(sae, name)
            before = whole[at].clone()
            whole[at] += 0.5
            assert sae.key != as_it_was, f"{name} of feature {feature}"
            whole[at] = before
    assert sae.key == as_it_was


def test_what_is_given_counts_for_our_own_format_too(unbox: Path, tmp_path: Path) -> None:
    save_sae(load_sae(unbox), tmp_path / "ours")
    sae = load_sae(tmp_path / "ours")
    same = load_sae(tmp_path / "ours", target=sae.target, k=sae.k, activation=sae.activation)
    assert same.key == sae.key == sae.sha256
    other, above = load_sae(tmp_path / "ours", k=2), load_sae(tmp_path / "ours", threshold=0.5)
    assert (other.k, above.threshold) == (2, torch.tensor(0.5))
    assert len({sae.key, other.key, above.key, load_sae(tmp_path / "ours", target="output").key}) == 4


@pytest.mark.parametrize("source", ["", "x" * 5000, "a\0b"])
def test_what_is_no_name_of_a_file_is_not_there(source: str) -> None:
    with pytest.raises(FileNotFoundError, match="no SAE at .*; give a folder or file"):
        load_sae(source)


def test_an_sae_whose_tensors_share_memory_can_be_saved(unbox: Path, tmp_path: Path) -> None:
    sae = load_sae(unbox)
    tied = dataclasses.replace(sae, W_enc=sae.W_dec.T)
    assert torch.equal(load_sae(save_sae(tied, tmp_path / "tied")).W_enc, sae.W_dec.T)


class Evil:
    """Touches a file when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (self.path, 0o700)


def test_a_checkpoint_that_runs_code_is_refused_and_runs_nothing(unbox: Path, tmp_path: Path) -> None:
    victim = tmp_path / "touched"
    (unbox / "state_dict.pth").write_bytes(pickle.dumps(Evil(str(victim)), protocol=2))
    with pytest.raises(
        ValueError,
        match=r"cannot be read as plain tensors \(it calls posix.mkdir\); files that run code are refused",
    ):
        load_sae(unbox)
    assert not victim.exists()


@pytest.mark.parametrize(
    "content", [{"state_dict": [1]}, {1: torch.zeros(2)}, {"state_dict": {1: torch.ones(2)}}]
)
def test_a_file_whose_tensors_have_no_names(tmp_path: Path, content: dict[object, object]) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a.pt does not hold tensors by their names; give the state dict of"):
        load_sae(tmp_path / "a.pt")


def test_what_is_not_a_tensor_is_left_out_of_a_state_dict_as_of_a_file(unbox: Path) -> None:
    """A training's checkpoint also holds settings, and the state of its optimiser."""
    whole = torch.load(unbox / "state_dict.pth", weights_only=True)
    said = load_sae(whole, format="state_dict", activation="topk", k=3)
    assert said.n_features == F
    more = {**whole["state_dict"], "config": {"k": 3}, "name": "mine", "optimizer": None}
    assert torch.equal(load_sae(more, format="state_dict", activation="topk", k=3).W_enc, said.W_enc)
    with pytest.raises(ValueError, match="a state dict holds no tensors; give one of"):
        load_sae({"model": whole["state_dict"], "name": "mine"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="the state dict does not hold tensors by their names"):
        load_sae({"state_dict": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"site": 5}, "site=5 is not text; give a str"),
        ({"threshold": "high"}, "threshold='high' is not a number; give one, or one for each feature"),
        ({"threshold": {}}, "threshold={} is not a number"),
    ],
)
def test_arguments_of_another_kind_are_named(unbox: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        load_sae(unbox, **given)


def test_tensors_in_memory_without_names() -> None:
    with pytest.raises(ValueError, match="the state dict does not hold tensors by their names"):
        load_sae({1: torch.zeros(2)})  # type: ignore[dict-item]


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the message shortens a long path
    with pytest.raises(FileNotFoundError) as caught:
        load_sae("./absent")
    assert str(caught.value) == (
        "no SAE at './absent'; give a folder or file with a checkpoint "
        "(ember, sdxl-unbox, saelens, dictionary_learning, sparsify, overcomplete, goodfire, state_dict), "
        "or a hub id 'owner/name'"
    )


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        load_sae(tmp_path)
    assert (
        str(caught.value) == f"{tmp_path} holds no SAE checkpoint that is known; give one of: "
        "ember, sdxl-unbox, saelens, dictionary_learning, sparsify, overcomplete, goodfire, state_dict"
    )


def test_an_unknown_format_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        load_sae(tmp_path, format="onnx")
    assert (
        str(caught.value)
        == "format='onnx' is unknown; choose one of ember, sdxl-unbox, saelens, dictionary_learning, "
        "sparsify, overcomplete, goodfire, state_dict, or None to recognise it"
    )


def test_a_cut_off_file_of_ours(unbox: Path, tmp_path: Path) -> None:
    file = save_sae(load_sae(unbox), tmp_path / "ours")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(
        ValueError, match=r"is not a readable safetensors file \(.*\); it was cut off or is something else: "
    ):
        load_sae(file)


def test_an_unbox_folder_with_a_tensor_missing(unbox: Path) -> None:
    saved = torch.load(unbox / "state_dict.pth", weights_only=True)
    del saved["state_dict"]["pre_bias"]
    torch.save(saved, unbox / "state_dict.pth")
    with pytest.raises(ValueError, match="looks like an sdxl-unbox SAE, but 'pre_bias' is missing"):
        load_sae(unbox)
