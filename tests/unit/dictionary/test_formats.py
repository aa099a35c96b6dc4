"""Everyone's SAEs: files written as each project documents them, and codes equal to that project's formula.

Each formula below is written anew from the project's documentation, with its own names and its own order of
operations, and shares nothing with the readers.
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

F, D, N = 40, 12, 256
ARTICLES = {
    "ember": "an",
    "sdxl-unbox": "an",
    "saelens": "an",
    "dictionary_learning": "a",
    "sparsify": "a",
    "goodfire": "a",
    "state_dict": "a",
}
Codes = Callable[[Tensor], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + 7 * sum(shape)))


def patches() -> Tensor:
    return random(N, D, seed=99) * 3


def top(values: Tensor, k: int) -> Tensor:
    """The k largest of each row stay."""
    kept = torch.zeros_like(values)
    for row, line in zip(kept, values, strict=True):
        best = line.argsort(descending=True)[:k]
        row[best] = line[best]
    return kept


def batch_top(values: Tensor, k: int) -> Tensor:
    """The k·n largest of all n rows stay."""
    level = values.flatten().sort(descending=True).values[k * len(values) - 1]
    return values * (values >= level)


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), "utf-8")


def saelens(folder: Path, architecture: str, **config: Any) -> Codes:
    w_enc, w_dec, b_enc, b_dec = random(D, F), random(F, D) * 0.7, random(F), random(D)
    tensors = {"W_enc": w_enc, "W_dec": w_dec, "b_enc": b_enc, "b_dec": b_dec}
    config = {"d_in": D, "d_sae": F, "dtype": "float32", "architecture": architecture, **config}
    config["metadata"] = {"hook_name": "unet.up_blocks.0.attentions.1"}
    if architecture == "jumprelu":
        tensors["threshold"] = random(F).abs() * config.pop("level", 1.0)
    save_file(tensors, folder / "sae_weights.safetensors")
    write_json(folder / "cfg.json", config)

    def encode(x: Tensor) -> Tensor:
        if config.get("apply_b_dec_to_input", True):
            x = x - b_dec
        before = x @ w_enc + b_enc
        if config.get("rescale_acts_by_decoder_norm"):
            before = before * w_dec.norm(dim=-1)
        if architecture == "topk":
            return torch.relu(top(before, config["k"]))
        if architecture == "jumprelu":
            return torch.relu(before) * (before > tensors["threshold"])
        return torch.relu(before)

    return encode


def dictionary_learning(folder: Path, dict_class: str, threshold: float) -> Codes:
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

    def encode(x: Tensor) -> Tensor:
        after = torch.relu(
            torch.nn.functional.linear(x - state["b_dec"], state["encoder.weight"], state["encoder.bias"])
        )
        if dict_class == "AutoEncoderTopK":
            return top(after, 6)
        kept: Tensor = after * (after > threshold) if threshold >= 0 else batch_top(after, 6)
        return kept

    return encode


def dictionary_learning_relu(folder: Path) -> Codes:
    state = {
        "bias": random(D),
        "encoder.weight": random(F, D),
        "encoder.bias": random(F),
        "decoder.weight": random(D, F),
    }
    torch.save(state, folder / "ae.pt")
    write_json(folder / "config.json", {"trainer": {"dict_class": "AutoEncoder", "layer": 0}})
    return lambda x: torch.relu((x - state["bias"]) @ state["encoder.weight"].T + state["encoder.bias"])


def dictionary_learning_jump(folder: Path) -> Codes:
    state = {"W_enc": random(D, F), "b_enc": random(F), "W_dec": random(F, D), "b_dec": random(D)}
    state["threshold"] = random(F).abs()
    torch.save(state, folder / "ae.pt")
    write_json(folder / "config.json", {"trainer": {"dict_class": "JumpReluAutoEncoder"}})

    def encode(x: Tensor) -> Tensor:
        before = x @ state["W_enc"] + state["b_enc"]
        jumped: Tensor = torch.relu(before * (before > state["threshold"])) * state["W_dec"].norm(dim=1)
        return jumped

    return encode


def sparsify(folder: Path) -> Codes:
    weight, bias, w_dec, b_dec = random(F, D), random(F), random(F, D), random(D)
    tensors = {"encoder.weight": weight, "encoder.bias": bias, "W_dec": w_dec, "b_dec": b_dec}
    save_file(tensors, folder / "sae.safetensors")
    config = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": F}
    config |= {"k": 5, "multi_topk": False, "skip_connection": False, "transcode": False, "d_in": D}
    write_json(folder / "cfg.json", config)
    return lambda x: top(torch.relu((x - b_dec) @ weight.T + bias), 5)


def unbox(folder: Path) -> Codes:
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
    return lambda x: torch.relu(
        top((x - state["pre_bias"]) @ state["encoder.weight"].T + state["latent_bias"], 4)
    )


WRITERS: dict[str, Callable[[Path], Codes]] = {
    "sdxl-unbox": unbox,
    "saelens standard": lambda f: saelens(f, "standard"),
    "saelens topk": lambda f: saelens(f, "topk", k=5),
    "saelens topk rescaled": lambda f: saelens(f, "topk", k=5, rescale_acts_by_decoder_norm=True),
    "saelens jumprelu": lambda f: saelens(f, "jumprelu"),
    "saelens jumprelu uncentred": lambda f: saelens(f, "jumprelu", apply_b_dec_to_input=False),
    "saelens topk before version 6": lambda f: saelens(
        f, "topk", k=5, activation_fn_str="topk", activation_fn_kwargs={"k": 5}
    ),
    "dictionary_learning topk": lambda f: dictionary_learning(f, "AutoEncoderTopK", 0.5),
    "dictionary_learning batchtopk": lambda f: dictionary_learning(f, "BatchTopKSAE", 1.5),
    "dictionary_learning batchtopk uncalibrated": lambda f: dictionary_learning(f, "BatchTopKSAE", -1.0),
    "dictionary_learning relu": dictionary_learning_relu,
    "dictionary_learning jumprelu": dictionary_learning_jump,
    "sparsify": sparsify,
}


@pytest.mark.parametrize("name", WRITERS)
def test_codes_are_those_of_the_projects_own_formula(tmp_path: Path, name: str) -> None:
    encode = WRITERS[name](tmp_path)
    x = patches()
    expected = encode(x)
    assert 0 < (expected > 0).float().mean() < 1
    sae = load_sae(tmp_path)
    torch.testing.assert_close(sae.encode(x), expected, atol=1e-5, rtol=1e-5)
    assert not sae.alternatives


def decoded(folder: Path, codes: Tensor) -> Tensor:
    """What the projects make of codes, from the files alone."""
    if (folder / "ae.pt").exists():
        state = torch.load(folder / "ae.pt", weights_only=True)
        if "W_dec" in state:
            vectors: Tensor = codes / state["W_dec"].norm(dim=1) @ state["W_dec"] + state["b_dec"]
            return vectors
        bias = state.get("b_dec", state.get("bias"))
        return torch.as_tensor(codes @ state["decoder.weight"].T + bias)
    from safetensors.torch import load_file

    state = load_file(next(folder.glob("*.safetensors")))
    config = json.loads((folder / "cfg.json").read_text())
    lengths = state["W_dec"].norm(dim=1) if config.get("rescale_acts_by_decoder_norm") else 1
    return codes / lengths @ state["W_dec"] + state["b_dec"]


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "sdxl-unbox"])
def test_what_is_decoded_is_what_the_project_decodes(tmp_path: Path, name: str) -> None:
    codes = WRITERS[name](tmp_path)(patches())
    torch.testing.assert_close(
        load_sae(tmp_path).decode(codes), decoded(tmp_path, codes), atol=1e-4, rtol=1e-4
    )


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

    encode = sparsify(tmp_path)
    tensors = load_file(tmp_path / "sae.safetensors")
    before = load_sae(tmp_path)
    tensors[turned] = tensors[turned].T.contiguous()
    save_file(tensors, tmp_path / "sae.safetensors")
    after = load_sae(tmp_path)
    assert torch.equal(after.W_dec, before.W_dec)
    torch.testing.assert_close(after.encode(patches()), encode(patches()), atol=1e-5, rtol=1e-5)


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
        "encoder.final_block.0.weight": encoder,
        "encoder.final_block.0.bias": bias,
        "dictionary._weights": dictionary,
        "dictionary.multiplier": torch.tensor(0.3),
    }
    state = {prefix + name: tensor for name, tensor in state.items()}
    sae = load_sae(state, threshold=1.0, target="output")
    before = torch.relu(patches() @ encoder.T + bias)
    torch.testing.assert_close(sae.encode(patches()), before * (before > 1.0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sae.W_dec, dictionary * torch.tensor(0.3).exp())


def test_hashes_tell_state_dicts_apart() -> None:
    state = {"W_enc": random(D, F), "W_dec": random(F, D)}
    one, other = load_sae(state, k=3), load_sae(state | {"W_dec": random(F, D) + 1}, k=3)
    assert one.sha256 != other.sha256
    assert len(one.sha256) == 64


# what is refused

DAMAGE: list[tuple[str, dict[str, Any], str]] = [
    ("saelens standard", {"normalize_activations": "layer_norm"}, "this SAE rescales its input"),
    ("saelens standard", {"architecture": "gated"}, "architecture='gated' is not supported"),
    ("sparsify", {"activation": "groupmax"}, "activation='groupmax' is not supported"),
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
        "it needs one of W_enc, encoder.weight, encoder_linear.weight, encoder.final_block.0.weight, "
        "enc.weight"
    )


def test_a_state_dict_that_says_no_k_asks_for_it() -> None:
    with pytest.raises(ValueError, match=r"give load_sae\(\.\.\., k=10\) or threshold="):
        load_sae({"W_enc": random(D, F), "W_dec": random(F, D)})


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
    sae = load_sae({"W_enc": random(D, F), "W_dec": random(F, D)}, k=np.int64(3), target="output")
    sae = dataclasses.replace(sae, positional=tuple(np.array([3, 5])))
    back = load_sae(save_sae(sae, tmp_path))
    assert (back.k, back.positional, type(sae.k)) == (3, (3, 5), int)
    save_sae(dataclasses.replace(sae, activation="topk"), tmp_path / "theirs", format="saelens")
    with pytest.raises(TypeError, match=r"k=2\.5 is not a whole number; give an int 1\.\.40"):
        load_sae({"W_enc": random(D, F), "W_dec": random(F, D)}, k=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "article"), ARTICLES.items())
def test_names_have_their_article(name: str, article: str) -> None:
    with pytest.raises(ValueError, match=f"looks like {article} {name} SAE, but"):
        load_sae({"nothing": random(3)}, format=name)


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    """They are refused before they are made contiguous: 16 GiB here."""
    repeated = torch.zeros(1).expand(2**20, 2**12)
    torch.save({"W_enc": repeated, "W_dec": repeated.T}, tmp_path / "sae.pt")
    with pytest.raises(ValueError, match=r"its tensors claim 34,359,738,368: they repeat what is stored; "):
        load_sae(tmp_path / "sae.pt", k=3)


@pytest.mark.parametrize(
    ("name", "file", "change"),
    [
        ("saelens standard", "cfg.json", {"metadata": [1]}),
        ("dictionary_learning topk", "config.json", {"trainer": "none"}),
        ("sparsify", "cfg.json", {"k": []}),
    ],
)
def test_a_configuration_of_the_wrong_kind_is_refused(
    tmp_path: Path, name: str, file: str, change: dict[str, Any]
) -> None:
    WRITERS[name](tmp_path)
    write_json(tmp_path / file, json.loads((tmp_path / file).read_text()) | change)
    with pytest.raises(
        ValueError, match=r"SAE, but something in it is of the wrong kind \(.*\); download it again"
    ):
        load_sae(tmp_path)


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
    sae: SAE = load_sae({"W_enc": random(D, F), "W_dec": random(F, D)}, k=3)
    with pytest.raises(
        ValueError, match="SAELens stores a BatchTopK SAE with its threshold, and this one has none"
    ):
        save_sae(sae, tmp_path, format="saelens")
    with pytest.raises(ValueError, match="format='onnx' cannot be written"):
        save_sae(sae, tmp_path, format="onnx")
