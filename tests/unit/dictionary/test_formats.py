"""Everyone's SAEs: what each format's files say, what they leave open, and what is refused.

`test_checkpoints` compares codes with the libraries' own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ember_widgets import SAE, load_sae
from ember_widgets.dictionary.load import save_sae
from tests.unit.damage import LONG_NUMBERS

F, D, N = 40, 12, 256
K = torch.tensor(3)
ARTICLES = {
    "ember": "an",
    "sdxl-unbox": "an",
    "saelens": "an",
    "dictionary_learning": "a",
    "sparsify": "a",
    "overcomplete": "an",
    "goodfire": "a",
    "state_dict": "a",
}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + 7 * sum(shape)))


def patches() -> Tensor:
    return random(N, D, seed=99) * 3


def batch_top(values: Tensor, k: int) -> Tensor:
    """The k·n largest of all n rows stay."""
    level = values.flatten().sort(descending=True).values[k * len(values) - 1]
    return values * (values >= level)


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), "utf-8")


def saelens(folder: Path, architecture: str, **config: Any) -> None:
    w_enc, w_dec, b_enc, b_dec = random(D, F), random(F, D) * 0.7, random(F), random(D)
    tensors = {"W_enc": w_enc, "W_dec": w_dec, "b_enc": b_enc, "b_dec": b_dec}
    config = {"d_in": D, "d_sae": F, "dtype": "float32", "architecture": architecture, **config}
    config["metadata"] = {"hook_name": "unet.up_blocks.0.attentions.1"}
    if architecture == "jumprelu":
        tensors["threshold"] = random(F).abs() * config.pop("level", 1.0)
    save_file(tensors, folder / "sae_weights.safetensors")
    write_json(folder / "cfg.json", config)


def dictionary_learning(folder: Path, dict_class: str, threshold: float) -> None:
    state = {
        "b_dec": random(D),
        "encoder.weight": random(F, D),
        "encoder.bias": random(F),
        "decoder.weight": random(D, F),
        "k": torch.tensor(6, dtype=torch.int),
        "threshold": torch.tensor(threshold),
    }
    torch.save(state, folder / "ae.pt")
    trainer = {"dict_class": dict_class, "activation_dim": D, "dict_size": F, "k": 6, "layer": 0}
    write_json(folder / "config.json", {"trainer": trainer | {"submodule_name": "mid_block.attentions.0"}})


def sparsify(folder: Path) -> None:
    weight, bias, w_dec, b_dec = random(F, D), random(F), random(F, D), random(D)
    tensors = {"encoder.weight": weight, "encoder.bias": bias, "W_dec": w_dec, "b_dec": b_dec}
    save_file(tensors, folder / "sae.safetensors")
    config = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": F}
    config |= {"k": 5, "multi_topk": False, "skip_connection": False, "transcode": False, "d_in": D}
    write_json(folder / "cfg.json", config)


def unbox(folder: Path) -> None:
    state = {
        "pre_bias": random(D),
        "latent_bias": random(F),
        "encoder.weight": random(F, D),
        "decoder.weight": random(D, F),
        "stats_last_nonzero": torch.zeros(F, dtype=torch.long),
    }
    write_json(folder / "config.json", {"n_dirs_local": F, "d_model": D, "k": 4, "auxk": 8})
    torch.save({"state_dict": state}, folder / "state_dict.pth")
    torch.save(random(F).abs(), folder / "mean.pt")


WRITERS: dict[str, Callable[[Path], None]] = {
    "sdxl-unbox": unbox,
    "saelens standard": lambda f: saelens(f, "standard"),
    "saelens topk": lambda f: saelens(f, "topk", k=5),
    "saelens jumprelu": lambda f: saelens(f, "jumprelu"),
    "dictionary_learning topk": lambda f: dictionary_learning(f, "AutoEncoderTopK", 0.5),
    "dictionary_learning batchtopk": lambda f: dictionary_learning(f, "BatchTopKSAE", 1.5),
    "sparsify": sparsify,
}


@pytest.mark.parametrize(
    ("name", "site", "target"),
    [
        ("saelens topk", "up_blocks.0.attentions.1", "output"),
        ("dictionary_learning topk", "mid_block.attentions.0", "output"),
        ("sparsify", "down_blocks.2.attentions.1", "output"),
        ("sdxl-unbox", "down_blocks.2.attentions.1", "update"),
    ],
)
def test_site_and_target_are_what_the_format_says(tmp_path: Path, name: str, site: str, target: str) -> None:
    WRITERS[name](tmp_path)
    sae = load_sae(tmp_path)
    assert (sae.site, sae.target) == (site, target)
    given = load_sae(tmp_path, site="up.0.0", target="update")
    assert (given.site, given.target) == ("up_blocks.0.attentions.0", "update")


@pytest.mark.parametrize("turned", ["encoder.weight", "W_dec"])
def test_a_weight_that_lies_the_other_way_is_turned_by_its_shape(tmp_path: Path, turned: str) -> None:
    from safetensors.torch import load_file

    sparsify(tmp_path)
    tensors = load_file(tmp_path / "sae.safetensors")
    before = load_sae(tmp_path)
    tensors[turned] = tensors[turned].T.contiguous()
    save_file(tensors, tmp_path / "sae.safetensors")
    after = load_sae(tmp_path)
    assert torch.equal(after.W_dec, before.W_dec)
    assert torch.equal(after.encode(patches()), before.encode(patches()))


# tensors that do not say what they are


def goodfire(folder: Path, **extra: Tensor) -> tuple[Path, dict[str, Tensor]]:
    """A flat state dict, called as Goodfire's; only decoder.weight is known of the true file."""
    state = {"encoder.weight": random(F, D), "encoder.bias": random(F), "decoder.weight": random(D, F)}
    state |= {"decoder.bias": random(D)} | extra
    file = folder / "SDXL-Turbo-SAE-ldown_blocks.2.attentions.1.pt"
    torch.save(state, file)
    return file, state


def test_goodfires_file_keeps_ten_codes_a_patch_and_leaves_the_rest_to_measuring(tmp_path: Path) -> None:
    file, state = goodfire(tmp_path)
    sae = load_sae(file)
    assert (sae.k, sae.activation, sae.site) == (10, "batchtopk", "down_blocks.2.attentions.1")
    readings = [sae, *sae.alternatives]
    assert [r.target for r in readings] == ["update", "output", "update", "output"]
    for reading, bias in zip(readings, [state["decoder.bias"]] * 2 + [torch.zeros(D)] * 2, strict=True):
        before = torch.relu((patches() - bias) @ state["encoder.weight"].T + state["encoder.bias"])
        torch.testing.assert_close(reading.encode(patches()), batch_top(before, 10), atol=1e-5, rtol=1e-5)


def test_a_target_that_is_given_is_not_measured(tmp_path: Path) -> None:
    file, _ = goodfire(tmp_path, **{"decoder.bias": torch.zeros(D)})
    assert load_sae(file, target="output").alternatives == ()


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module.sae."])
def test_a_state_dict_of_any_naming_is_told_by_names_and_shapes(prefix: str) -> None:
    encoder, bias, dictionary = random(F, D), random(F), random(F, D)
    state = {
        "encoder_linear.weight": encoder,
        "encoder_linear.bias": bias,
        "decoder_linear.weight": dictionary,
        "num_batches_not_active": torch.zeros(F),
        "epoch": torch.tensor(7),
    }
    state = {prefix + name: tensor for name, tensor in state.items()}
    sae = load_sae(state, threshold=1.0, target="output")
    before = torch.relu(patches() @ encoder.T + bias)
    torch.testing.assert_close(sae.encode(patches()), before * (before > 1.0), atol=1e-5, rtol=1e-5)
    assert torch.equal(sae.W_dec, dictionary)
    assert (sae.activation, sae.k) == ("jumprelu", None)


def test_hashes_tell_state_dicts_apart() -> None:
    state = {"W_enc": random(D, F), "W_dec": random(F, D)}
    one, other = (load_sae(s, threshold=1.0) for s in (state, state | {"W_dec": random(F, D) + 1}))
    assert one.sha256 != other.sha256
    assert len(one.sha256) == 64


# what is refused

DAMAGE: list[tuple[str, dict[str, Any], str]] = [
    ("saelens standard", {"normalize_activations": "layer_norm"}, "this SAE rescales its input"),
    ("sparsify", {"transcode": True}, "this is a transcoder"),
    ("sparsify", {"skip_connection": True}, "this is a transcoder"),
]


@pytest.mark.parametrize(("name", "change", "message"), DAMAGE)
def test_what_would_give_wrong_codes_is_refused(
    tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    WRITERS[name](tmp_path)
    config = json.loads((tmp_path / "cfg.json").read_text())
    write_json(tmp_path / "cfg.json", config | change)
    with pytest.raises(ValueError, match=message):
        load_sae(tmp_path)


def test_a_state_dict_without_an_encoder_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        load_sae({"decoder.weight": random(D, F), "extra": random(3)}, k=10)
    assert str(caught.value) == (
        "a state dict looks like a state_dict SAE, but no encoder among its tensors (decoder.weight, extra); "
        "it needs one of W_enc, encoder.weight, encoder_linear.weight, enc.weight"
    )


@pytest.mark.parametrize(
    ("extra", "given"),
    [
        ({}, {}),
        ({}, {"k": 3}),
        ({}, {"activation": "topk"}),
        ({}, {"activation": "batchtopk"}),
        ({}, {"activation": "jumprelu", "k": 3}),
        ({"k": K}, {}),
        ({"k": K, "threshold": torch.tensor(0.5)}, {}),
        ({"threshold": torch.tensor(-1.0)}, {}),
    ],
)
def test_a_state_dict_that_does_not_say_which_codes_are_kept_asks_for_it(
    extra: dict[str, Tensor], given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError) as caught:
        load_sae({"W_enc": random(D, F), "W_dec": random(F, D), **extra}, **given)
    assert str(caught.value) == (
        "a state dict looks like a state_dict SAE, but it does not say which codes are kept; give "
        "load_sae(..., activation='topk', k=10) for the 10 largest of each patch, activation='batchtopk', "
        "k=10 for 10 per patch on average, or activation='jumprelu', threshold=0.5 for all above 0.5 "
        "(0 for a ReLU)"
    )


@pytest.mark.parametrize(
    ("extra", "given", "kept"),
    [
        ({}, {"activation": "topk", "k": 3}, ("topk", 3, None)),
        ({}, {"activation": "batchtopk", "k": 3}, ("batchtopk", 3, None)),
        ({}, {"activation": "groupmax", "k": 4}, ("groupmax", 4, None)),
        ({}, {"threshold": 0.5}, ("jumprelu", None, 0.5)),
        ({}, {"activation": "batchtopk", "threshold": 0.5}, ("batchtopk", None, 0.5)),
        ({}, {"threshold": 0.5, "k": 3}, ("batchtopk", 3, 0.5)),
        ({"threshold": torch.tensor(0.5)}, {}, ("jumprelu", None, 0.5)),
        ({"threshold": torch.tensor(0.5), "k": K}, {"activation": "topk"}, ("topk", 3, None)),
        ({"threshold": torch.tensor(-1.0), "k": K}, {"activation": "batchtopk"}, ("batchtopk", 3, None)),
    ],
)
def test_which_codes_are_kept_is_what_the_caller_or_a_threshold_says(
    extra: dict[str, Tensor], given: dict[str, Any], kept: tuple[str, int | None, float | None]
) -> None:
    sae = load_sae({"W_enc": random(D, F), "W_dec": random(F, D), **extra}, **given)
    assert (sae.activation, sae.k, None if sae.threshold is None else float(sae.threshold)) == kept


def test_an_activation_that_contradicts_or_is_unknown_is_refused() -> None:
    state = {"W_enc": random(D, F), "W_dec": random(F, D)}
    with pytest.raises(ValueError, match=r"activation='topk' has no threshold; leave threshold= or "):
        load_sae(state, activation="topk", k=3, threshold=0.5)
    with pytest.raises(ValueError, match="activation='relu' is unknown; choose one of topk, batchtopk, jump"):
        load_sae(state, activation="relu")


@pytest.mark.parametrize("name", ["W_skip", "b_gate", "log_threshold", "blocks.1.weight"])
def test_a_state_dict_with_a_tensor_of_unknown_use_is_refused(name: str) -> None:
    state = {"W_enc": random(D, F), "W_dec": random(F, D), name: random(F)}
    with pytest.raises(ValueError, match=rf"it has tensors that are not known \({name}\), and codes without"):
        load_sae(state, threshold=0.5)


def test_a_whole_pickled_model_is_refused_with_advice(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(3, 4), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"if it is a whole pickled model, save its state_dict\(\)"):
        load_sae(tmp_path / "model.pt")


def test_a_cut_off_file_is_refused_and_says_so(tmp_path: Path) -> None:
    file, _ = goodfire(tmp_path)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"If it was cut off, download it again"):
        load_sae(file)


# several in one place


def test_the_site_chooses_among_several(tmp_path: Path) -> None:
    for name in ("down_blocks.2.attentions.1", "up_blocks.0.attentions.1"):
        for step in ("step_1000", "final"):
            folder = tmp_path / f"unet.{name}_k10_hidden40" / step
            folder.mkdir(parents=True)
            unbox(folder)
    assert load_sae(tmp_path).site == "down_blocks.2.attentions.1"
    up = load_sae(tmp_path, site="up.0.1")
    assert up.site == "up_blocks.0.attentions.1"
    ups = tmp_path / "unet.up_blocks.0.attentions.1_k10_hidden40"
    (ups / "final" / "state_dict.pth").unlink()
    (ups / "step_2000").mkdir()
    unbox(ups / "step_2000")
    with pytest.raises(ValueError, match=r"holds 2 SAEs \('unet.*step_1000.*\); add the folder of one"):
        load_sae(tmp_path, site="up.0.1")


def test_what_saelens_writes_beside_the_weights_is_not_an_sae(tmp_path: Path) -> None:
    folder = tmp_path / "down_blocks.2.attentions.1"
    folder.mkdir()
    weights = {
        "W_enc": torch.rand(D, F),
        "b_enc": torch.rand(F),
        "W_dec": torch.rand(F, D),
        "b_dec": torch.rand(D),
    }
    save_file(weights, folder / "sae_weights.safetensors")
    save_file({"sparsity": torch.rand(F)}, folder / "sparsity.safetensors")
    save_file({"n_dataset_processed": torch.tensor(7)}, folder / "activations_store_state.safetensors")
    torch.save({"optimizer": {}}, folder / "trainer_state.pt")
    write_json(folder / "cfg.json", {"architecture": "standard", "d_in": D, "d_sae": F})
    assert load_sae(folder).n_features == load_sae(tmp_path).n_features == F


def test_the_folder_itself_comes_before_what_lies_below(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "up.0.1", tmp_path / "down.2.1"):
        place.mkdir(exist_ok=True)
        unbox(place)
    write_json(tmp_path / "config.json", {"n_dirs_local": F, "d_model": D, "k": 7})
    assert load_sae(tmp_path).k == load_sae(tmp_path, site="up.1.0").k == 7
    assert load_sae(tmp_path, site="up.0.1").k == 4


# what is open stays open


@pytest.mark.parametrize("bias", [torch.zeros(D), random(D)])
def test_what_is_open_is_open_after_saving_and_loading(tmp_path: Path, bias: Tensor) -> None:
    file, _ = goodfire(tmp_path, **{"decoder.bias": bias})
    sae = load_sae(file)
    back = load_sae(save_sae(sae, tmp_path / "ours"))
    assert len(sae.alternatives) == (3 if bool(bias.any()) else 1)
    readings = list(zip([sae, *sae.alternatives], [back, *back.alternatives], strict=True))
    for before, after in readings:
        assert (after.target, after.site, after.k) == (before.target, before.site, before.k)
        assert torch.equal(after.encode(patches()), before.encode(patches()))
    given = load_sae(tmp_path / "ours", target="output")
    assert {reading.target for reading in (given, *given.alternatives)} == {"output"}
    assert len(given.alternatives) == len(sae.alternatives) // 2


def test_what_is_open_cannot_be_saved_as_saelens(tmp_path: Path) -> None:
    file, _ = goodfire(tmp_path)
    sae = load_sae(file, threshold=0.5)
    with pytest.raises(ValueError) as caught:
        save_sae(sae, tmp_path / "theirs", format="saelens")
    assert str(caught.value) == (
        "the file of this SAE leaves open what it encodes, and SAELens cannot store that; "
        "give load_sae(..., target='update' or 'output'), save the SAE that a painter has decided on "
        "(painter.saes), or save it as format='ember'"
    )


def test_an_open_sae_moves_with_its_alternatives(tmp_path: Path) -> None:
    file, _ = goodfire(tmp_path)
    moved = load_sae(file).to("cpu").at("mid_block.attentions.0")
    assert [one.site for one in (moved, *moved.alternatives)] == ["mid_block.attentions.0"] * 4
    assert moved.is_open


# numbers and names


def test_numpy_integers_are_as_good_as_others(tmp_path: Path) -> None:
    state = {"W_enc": random(D, F), "W_dec": random(F, D)}
    sae = load_sae(state, activation="topk", k=np.int64(3), target="output")
    sae = dataclasses.replace(sae, positional=tuple(np.array([3, 5])))
    back = load_sae(save_sae(sae, tmp_path))
    assert (back.k, back.positional, type(sae.k)) == (3, (3, 5), int)
    save_sae(sae, tmp_path / "theirs", format="saelens")
    with pytest.raises(TypeError, match=r"k=2\.5 is not a whole number; give an int 1\.\.40"):
        load_sae(state, activation="topk", k=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "article"), ARTICLES.items())
def test_names_have_their_article(name: str, article: str) -> None:
    with pytest.raises(ValueError, match=f"looks like {article} {name} SAE, but"):
        load_sae({"nothing": random(3)}, format=name)


UNSAID = {
    "sdxl-unbox": {
        "encoder.weight": random(40, 8),
        "latent_bias": random(40),
        "decoder.weight": random(8, 40),
        "pre_bias": random(8),
    },
    "sparsify": {
        "encoder.weight": random(40, 8),
        "encoder.bias": random(40),
        "W_dec": random(40, 8),
        "b_dec": random(8),
    },
}


@pytest.mark.parametrize("name", UNSAID)
def test_k_is_what_the_caller_says_where_no_configuration_does(name: str) -> None:
    sae = load_sae(UNSAID[name], k=3)
    assert (sae.activation, sae.k) == ("topk", 3)
    with pytest.raises(ValueError, match=r"nothing says how many codes are kept per patch; give load_sae\("):
        load_sae(UNSAID[name])


def test_k_is_what_the_caller_says_where_saelens_configuration_does_not(tmp_path: Path) -> None:
    saelens(tmp_path, "topk", k=None)
    assert load_sae(tmp_path, k=3).k == 3


def test_tensors_that_do_not_fit_together_are_refused() -> None:
    gate = {name: random(40) for name in ("b_mag", "b_gate")} | {"r_mag": random(5)}
    with pytest.raises(ValueError, match=r"an saelens SAE, but its tensors do not fit together \(The size"):
        load_sae({"W_enc": random(8, 40), "W_dec": random(40, 8), "b_dec": random(8), **gate})


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    """They are refused before they are made contiguous: 16 GiB here."""
    repeated = torch.zeros(1).expand(2**20, 2**12)
    torch.save({"W_enc": repeated, "W_dec": repeated.T}, tmp_path / "sae.pt")
    with pytest.raises(ValueError, match=r"its tensors claim 34,359,738,368: they repeat what is stored; "):
        load_sae(tmp_path / "sae.pt", k=3)


DEEP = "[" * 100_000 + "]" * 100_000
DAMAGED: list[tuple[str, str, str, str]] = [
    ("saelens topk", "cfg.json", '{"metadata": [1]}', "metadata is a list, but it must be an object"),
    ("saelens topk", "cfg.json", '{"metadata": {"hook_name": 3}}', "hook_name is 3, but it must be a text"),
    ("saelens topk", "cfg.json", '{"metadata": {"ember": 3}}', "ember is 3, but it must be an object"),
    ("saelens topk", "cfg.json", '{"metadata": {"ember": {"positional": [-1]}}}', "a list of whole"),
    ("saelens topk", "cfg.json", '{"architecture": []}', r"architecture is \[\], but it must be a text"),
    ("saelens topk", "cfg.json", '{"k": Infinity}', "k is inf, but it must be a whole number"),
    ("saelens topk", "cfg.json", '{"k": NaN}', "k is nan, but it must be a whole number"),
    ("saelens topk", "cfg.json", '{"k": 1e400}', "k is inf, but it must be a whole number"),
    ("saelens topk", "cfg.json", '{"k": true}', "k is True, but it must be a whole number"),
    ("saelens topk", "cfg.json", '{"k": 2.5}', r"k is 2\.5, but it must be a whole number"),
    ("saelens topk", "cfg.json", '{"k": -3}', "k is -3, but it must be a whole number"),
    ("saelens topk", "cfg.json", '{"k": null}', "nothing says how many codes are kept per"),
    ("saelens topk", "cfg.json", '{"k": 41}', "k=41"),
    ("saelens topk", "cfg.json", '{"apply_b_dec_to_input": "no"}', "is 'no', but it must be true or false"),
    ("saelens topk", "cfg.json", '{"activation_fn": "topk", "activation_fn_kwargs": 3}', "must be an object"),
    ("saelens topk", "cfg.json", '{"normalize_activations": {}}', "this SAE rescales its input"),
    ("dictionary_learning topk", "config.json", '{"trainer": "none"}', "trainer is 'none', but it must be"),
    ("dictionary_learning topk", "config.json", '{"trainer": {"dict_class": {}}}', "dict_class is {}, but"),
    ("dictionary_learning topk", "config.json", '{"buffer": [1]}', "buffer is a list, but it must be"),
    ("sparsify", "cfg.json", '{"k": []}', r"k is \[\], but it must be a whole number of at least 1"),
    ("sparsify", "cfg.json", '{"num_latents": "40"}', "num_latents is '40', but it must be a whole number"),
    ("sparsify", "cfg.json", '{"transcode": 0}', "transcode is 0, but it must be true or false"),
    ("sdxl-unbox", "config.json", '{"k": {}}', "k is {}, but it must be a whole number"),
    ("sdxl-unbox", "config.json", '{"k": "4"}', "k is '4', but it must be a whole number"),
]  # fmt: skip


def assert_refused(folder: Path, file: Path, message: str) -> None:
    """One ValueError that names the file or its folder."""
    with pytest.raises(ValueError, match=message) as caught:
        load_sae(folder)
    assert (
        str(file) in str(caught.value)
        or f"{folder} looks like" in str(caught.value)
        or (str(caught.value).startswith(f"{folder}: "))
    )
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("name", "file", "change", "message"), DAMAGED)
def test_an_entry_of_the_wrong_kind_is_refused(
    tmp_path: Path, name: str, file: str, change: str, message: str
) -> None:
    WRITERS[name](tmp_path)
    config = json.loads((tmp_path / file).read_text())
    # As text: not everything that is read can be written.
    entries = {key: json.dumps(value) for key, value in config.items() if f'"{key}":' not in change}
    text = "".join(f'"{key}": {value}, ' for key, value in entries.items())
    (tmp_path / file).write_text(f"{{{text}{change[1:]}")
    assert_refused(tmp_path, tmp_path / file, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON, or cut off; download it again"),
        (b'{"trainer": ', "is not JSON, or cut off"),
        (b"\xff\xfe\x00", "is not JSON, or cut off"),
        (DEEP.encode(), "is not JSON, or cut off"),
        (b'{"trainer": ' + DEEP.encode() + b"}", "is not JSON, or cut off"),
        pytest.param(b'{"k": ' + b"9" * 10_000 + b"}", "is not JSON, or cut off", marks=LONG_NUMBERS),
        (b"[1, 2]", "holds a list, not an object; download it again"),
        (b"null", "holds None, not an object"),
        (b'"' + b"a" * (1 << 23) + b'"', "has 8,388,610 bytes; configurations of SAEs are small"),
    ],
    ids=["empty", "cut", "no UTF-8", "deep", "deep inside", "long number", "list", "null", "large"],
)
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("saelens topk", "cfg.json"),
        ("dictionary_learning topk", "config.json"),
        ("sparsify", "cfg.json"),
        ("sdxl-unbox", "config.json"),
    ],
)
def test_a_damaged_configuration_is_refused(
    tmp_path: Path, name: str, file: str, content: bytes, message: str
) -> None:
    WRITERS[name](tmp_path)
    (tmp_path / file).write_bytes(content)
    assert_refused(tmp_path, tmp_path / file, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": None}, "'activation' is missing"),
        ({"activation": "relu"}, "activation='relu' is unknown"),
        ({"activation": []}, r"activation is \[\], but it must be a text"),
        ({"k": "3"}, "k is '3', but it must be a whole number"),
        ({"target": 1}, "target is 1, but it must be a text"),
        ({"site": None}, "'site' is missing"),
        ({"positional": 3}, "positional is 3, but it must be a list of whole numbers"),
        ({"positional": [400]}, "400"),
        ({"alternatives": 3}, "alternatives is 3, but it must be a list of objects"),
        ({"alternatives": [3]}, "alternatives is a list, but it must be a list of objects"),
        ({"unit_known": "yes"}, "unit_known is 'yes', but it must be true or false"),
    ],
)
def test_damaged_facts_in_a_file_of_ours_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    from safetensors import safe_open

    unbox(tmp_path)
    file = save_sae(load_sae(tmp_path), tmp_path / "ours")
    with safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        facts = json.loads(opened.metadata()["ember"])
    save_file(tensors, file, {"ember": json.dumps(facts | change)})
    assert_refused(tmp_path / "ours", file, message)


@pytest.mark.parametrize("text", ["[]", "{", DEEP])
def test_facts_that_are_no_object_are_refused(tmp_path: Path, text: str) -> None:
    save_file({"W_enc": random(D, F)}, tmp_path / "sae.safetensors", {"ember": text})
    assert_refused(tmp_path, tmp_path / "sae.safetensors", "the header of .* (is not JSON|holds )")


@pytest.mark.parametrize("name", ["unit.safetensors", "mean.pt"])
@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (random(F, 2), "does not hold one typical activation per feature; download it again, or delete it"),
        (torch.tensor(1.0), "does not hold one typical activation per feature"),
        (random(F - 1), "has typical activations of 39 features, but the SAE has 40; they are of two SAEs"),
    ],
)
def test_typical_activations_of_something_else_are_refused(
    tmp_path: Path, name: str, unit: Tensor, message: str
) -> None:
    unbox(tmp_path)
    if name == "mean.pt":
        torch.save(unit, tmp_path / name)
    else:
        save_file({"unit": unit}, tmp_path / name)
    assert_refused(tmp_path, tmp_path / name, message)


def test_a_unit_file_without_a_unit_is_refused(tmp_path: Path) -> None:
    unbox(tmp_path)
    save_file({"other": random(F)}, tmp_path / "unit.safetensors")
    assert_refused(tmp_path, tmp_path / "unit.safetensors", "does not hold one typical activation per feat")


@pytest.mark.parametrize("shape", [(), (1, F)])
def test_a_bias_of_another_rank_is_refused(shape: tuple[int, ...]) -> None:
    state = {"W_enc": random(D, F), "W_dec": random(F, D), "b_enc": torch.zeros(shape)}
    with pytest.raises(ValueError, match="b_enc must be a list of numbers, not "):
        load_sae(state, threshold=0.5)


def test_a_threshold_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold has shape \(5,\), but W_enc is \(12, 40\); "):
        load_sae({"W_enc": random(D, F), "W_dec": random(F, D)}, threshold=torch.ones(5))


# writing


@pytest.mark.parametrize(
    "name", ["sdxl-unbox", "saelens jumprelu", "dictionary_learning batchtopk", "sparsify"]
)
@pytest.mark.parametrize("format", ["ember", "saelens"])
def test_what_is_saved_has_the_same_codes(tmp_path: Path, name: str, format: str) -> None:
    (tmp_path / "theirs").mkdir()
    WRITERS[name](tmp_path / "theirs")
    sae = dataclasses.replace(load_sae(tmp_path / "theirs"), target="update", positional=(3,))
    save_sae(sae, tmp_path / "ours", format=format)
    back = load_sae(tmp_path / "ours")
    torch.testing.assert_close(back.encode(patches()), sae.encode(patches()), atol=1e-6, rtol=1e-6)
    assert (back.site, back.target, back.positional) == (sae.site, "update", (3,))
    assert (back.unit_known, torch.equal(back.unit, sae.unit)) == (sae.unit_known, True)


def test_saelens_files_are_as_saelens_writes_them(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    unbox(tmp_path / "theirs")
    save_sae(load_sae(tmp_path / "theirs"), tmp_path, format="saelens")
    config = json.loads((tmp_path / "cfg.json").read_text())
    assert {name: config[name] for name in ("architecture", "d_in", "d_sae", "k")} == {
        "architecture": "topk",
        "d_in": D,
        "d_sae": F,
        "k": 4,
    }
    from safetensors.torch import load_file

    shapes = {n: tuple(t.shape) for n, t in load_file(tmp_path / "sae_weights.safetensors").items()}
    assert shapes == {"W_enc": (D, F), "W_dec": (F, D), "b_enc": (F,), "b_dec": (D,)}


def test_saelens_has_no_form_for_batch_top_k_without_a_threshold(tmp_path: Path) -> None:
    sae: SAE = load_sae({"W_enc": random(D, F), "W_dec": random(F, D)}, activation="batchtopk", k=3)
    with pytest.raises(
        ValueError, match="SAELens stores a BatchTopK SAE with its threshold, and this one has none"
    ):
        save_sae(sae, tmp_path, format="saelens")
    with pytest.raises(ValueError, match="format='onnx' cannot be written"):
        save_sae(sae, tmp_path, format="onnx")
