"""Checkpoints that the SAE libraries themselves saved: codes and reconstruction are theirs, or it is refused.

`checkpoints/make_checkpoints.sh` makes the archive. `python tests/unit/dictionary/test_checkpoints.py` prints
the table of all classes.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ember_widgets import load_sae, save_sae
from ember_widgets.dictionary.loaded import LoadedSAE

ARCHIVE = Path(__file__).parent / "checkpoints" / "checkpoints.tar.xz"

UNSAID = r"it does not say which codes are kept; give load_sae\(\.\.\., activation='topk', k=10\)"
NO_SAE = r"is not supported: it has no codes ≥ 0 of each patch alone"
NORMALIZED = r"this SAE rescales its input, .*; fold it into the weights with SAELens's "
TRANSCODER = r"this is a transcoder, or it has a skip connection: .*; give one trained with transcode=False "
DEEP = r"its encoder is more than one linear layer, and that is not supported \(.*\); give one with encoder"
POINTS = r"its dictionary is made of data points \(RATopKSAE, RAJumpSAE\), .* give load_sae\(\{'W_enc': "
PURSUIT = r"it has no encoder: SAEs of matching pursuit \(MpSAE, OMPSAE\) are not supported; give a TopKSAE"
LENGTHS = r"rows of its dictionary are not of length 1, .*; call sae\.eval\(\) before sae\.state_dict\(\)"

# What is refused, and the text; all other cases in the archive are equal.
REFUSED = {
    "dictionary_learning/bare-topk-unsaid": r"give load_sae\(\.\.\., activation='topk' or 'batchtopk'\)",
    "dictionary_learning/reads-the-input": r"what a module reads \(io='in'\), .*, give target='output' and ",
    "dictionary_learning/transcoder": r"it is a transcoder \(io='in_and_out'\); give an SAE, trained on ",
    "overcomplete/archetypal-jump": POINTS,
    "overcomplete/archetypal-topk": POINTS,
    "overcomplete/matching-pursuit": PURSUIT,
    "overcomplete/orthogonal-matching-pursuit": PURSUIT,
    "overcomplete/quantized": r"quantized SAEs \(QSAE\) are not supported; give a TopKSAE, Batch",
    "overcomplete/relu-unsaid": UNSAID,
    "overcomplete/topk-attention": DEEP,
    "overcomplete/topk-mlp-bn-1": DEEP,
    "overcomplete/topk-mlp-bn-3": DEEP,
    "overcomplete/topk-mlp-ln-1": DEEP,
    "overcomplete/topk-never-normalized": LENGTHS,
    "overcomplete/topk-other-normalization": LENGTHS,
    "overcomplete/topk-unsaid": UNSAID,
    "overcomplete/whole-module": r"if it is a whole pickled model, save its state_dict\(\)",
    "saelens/abstopk": rf"architecture='abstopk' {NO_SAE}",
    "saelens/jumprelu-skip-transcoder": rf"architecture='jumprelu_skip_transcoder' {NO_SAE}",
    "saelens/jumprelu-transcoder": rf"architecture='jumprelu_transcoder' {NO_SAE}",
    "saelens/matching-pursuit": rf"architecture='matching_pursuit' {NO_SAE}",
    "saelens/old-normalized": rf"normalize_activations=True: {NORMALIZED}",
    "saelens/old-scaled": r"it has tensors that are not known \(scaling_factor\), and codes without them ",
    "saelens/old-tanh-relu": r"activation_fn='tanh-relu' is not supported; give one with relu or topk",
    "saelens/skip-transcoder": rf"architecture='skip_transcoder' {NO_SAE}",
    "saelens/standard-constant-norm-rescale": rf"normalize_activations='constant_norm_rescale': {NORMALIZED}",
    "saelens/standard-covariance-whitening": rf"normalize_activations='covariance_whitening': {NORMALIZED}",
    "saelens/standard-expected-average-only-in": rf"'expected_average_only_in': {NORMALIZED}",
    "saelens/standard-hook-z": r"reshape_activations='hook_z': .*; give one of a block's output",
    "saelens/standard-layer-norm": rf"normalize_activations='layer_norm': {NORMALIZED}",
    "saelens/temporal": rf"architecture='temporal' {NO_SAE}",
    "saelens/transcoder": rf"architecture='transcoder' {NO_SAE}",
    "sparsify/skip": TRANSCODER,
    "sparsify/skip-transcoder": TRANSCODER,
    "sparsify/transcoder": TRANSCODER,
}

with tarfile.open(ARCHIVE) as _archive:
    CASES = sorted(
        name.removeprefix("./").removesuffix("/case.json")
        for name in _archive.getnames()
        if name.endswith("/case.json")
    )
EQUAL = [case for case in CASES if case not in REFUSED]


@pytest.fixture(scope="module")
def checkpoints() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder))
        yield Path(folder)


def unpack(folder: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        # Python 3.10 before 3.10.12 knows no filters; the archive is ours.
        more: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **more)


def load(folder: Path, **more: Any) -> LoadedSAE:
    """The checkpoint of a case, with the arguments that it needs."""
    case = json.loads((folder / "case.json").read_text())
    return load_sae(folder / "checkpoint" / case["load"], **case["arguments"], **more)


def assert_near(given: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-5)


def test_every_refusal_is_of_a_case_in_the_archive() -> None:
    assert set(REFUSED) <= set(CASES)
    assert len(CASES) > 100


@pytest.mark.parametrize("case", EQUAL)
def test_codes_and_reconstruction_are_the_librarys(checkpoints: Path, case: str) -> None:
    expected = load_file(checkpoints / case / "expected.safetensors")
    assert 0 < (expected["codes"] > 0).float().mean() < 1
    sae = load(checkpoints / case)
    assert_near(sae.encode(expected["inputs"]), expected["codes"])
    assert_near(sae.decode(expected["codes"]), expected["reconstruction"])


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_wrong_is_refused_by_name_with_advice(checkpoints: Path, case: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[case]) as caught:
        load(checkpoints / case)
    assert str(checkpoints / case) in str(caught.value)


@pytest.mark.parametrize("case", EQUAL)
def test_what_is_saved_in_our_own_format_has_the_same_codes(
    checkpoints: Path, case: str, tmp_path: Path
) -> None:
    inputs = load_file(checkpoints / case / "expected.safetensors")["inputs"]
    sae = load(checkpoints / case)
    save_sae(sae, tmp_path)
    back = load_sae(tmp_path)
    assert torch.equal(back.encode(inputs), sae.encode(inputs))
    assert torch.equal(back.decode(back.encode(inputs)), sae.decode(sae.encode(inputs)))
    assert (back.activation, back.k, back.target, back.site) == (sae.activation, sae.k, sae.target, sae.site)


@pytest.mark.parametrize("case", EQUAL)
def test_what_is_saved_as_saelens_has_the_same_codes_or_is_refused(
    checkpoints: Path, case: str, tmp_path: Path
) -> None:
    inputs = load_file(checkpoints / case / "expected.safetensors")["inputs"]
    sae = load(checkpoints / case, target="output")
    if sae.activation == "groupmax" or (sae.activation == "batchtopk" and sae.threshold is None):
        with pytest.raises(ValueError, match=r"save it as format='ember'"):
            save_sae(sae, tmp_path, format="saelens")
        return
    save_sae(sae, tmp_path, format="saelens")
    assert_near(load_sae(tmp_path).encode(inputs), sae.encode(inputs))


def test_overcomplete_keeps_a_code_that_equals_the_threshold(checkpoints: Path) -> None:
    """Its running threshold is one of the codes that it was measured on."""
    inputs = load_file(checkpoints / "overcomplete" / "relu" / "expected.safetensors")["inputs"]
    file = checkpoints / "overcomplete" / "relu" / "checkpoint" / "sae.pt"
    codes = load_sae(file, activation="jumprelu", threshold=0.0).encode(inputs)
    level = codes[codes > 0].median()
    kept = load_sae(file, activation="batchtopk", threshold=float(level)).encode(inputs)
    assert torch.equal(kept, codes * (codes >= level))


def test_a_decoder_row_of_zeros_stays_one_where_codes_are_scaled_by_lengths(
    checkpoints: Path, tmp_path: Path
) -> None:
    for one in (checkpoints / "dictionary_learning" / "autoencoder" / "checkpoint").iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    state = torch.load(tmp_path / "ae.pt", weights_only=True)
    state["decoder.weight"][:, 3] = 0
    torch.save(state, tmp_path / "ae.pt")
    assert bool((load_sae(tmp_path).W_dec[3] == 0).all())


@pytest.mark.parametrize("k", [torch.tensor(value) for value in ([1, 2], 2.5, 0, float("nan"))])
def test_a_k_that_is_no_whole_number_is_refused(checkpoints: Path, tmp_path: Path, k: Tensor) -> None:
    for one in (checkpoints / "dictionary_learning" / "topk" / "checkpoint").iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    state = torch.load(tmp_path / "ae.pt", weights_only=True)
    torch.save(state | {"k": k}, tmp_path / "ae.pt")
    with pytest.raises(ValueError, match="its tensor 'k' should be one whole number of at least 1"):
        load_sae(tmp_path)


def test_an_sae_of_what_a_module_reads_is_read_where_the_caller_says_which_block_gives_that_out(
    checkpoints: Path,
) -> None:
    sae = load(checkpoints / "dictionary_learning/reads-the-input", target="output", site="up.0.1")
    assert (sae.target, sae.site) == ("output", "up_blocks.0.attentions.1")


@pytest.mark.parametrize("case", ["saelens/topk", "dictionary_learning/gated", "sparsify/groupmax"])
def test_a_checkpoint_that_says_its_activation_is_not_read_with_another(checkpoints: Path, case: str) -> None:
    said = load(checkpoints / case).activation
    with pytest.raises(ValueError, match=f"it says that its activation is '{said}'; leave activation='batch"):
        load(checkpoints / case, activation="batchtopk")
    assert load(checkpoints / case, activation=said).activation == said


@pytest.mark.parametrize(
    ("case", "change", "message"),
    [
        ("dictionary_learning/topk", {"trainer": {"dict_class": "CrossCoder"}}, "'CrossCoder', and that is"),
        (
            "dictionary_learning/topk",
            {"trainer": {"dict_class": "AutoEncoder"}},
            r"not known \(b_dec, k, thr",
        ),
        ("dictionary_learning/topk", {"trainer": {"dict_class": "AutoEncoderTopK", "k": 7}}, "says k=7, and"),
        (
            "dictionary_learning/topk",
            {"trainer": {"dict_class": "AutoEncoderTopK", "dict_size": 9}},
            "of two",
        ),
        (
            "sparsify/topk",
            {"d_in": 65},
            r"\(65, 256\), and its tensors have \(64, 256\); they are of two SAEs",
        ),
        ("saelens/standard", {"architecture": "crosscoder"}, "'crosscoder' is not supported"),
        (
            "saelens/standard",
            {"d_sae": 100},
            r"\(64, 100\), and its tensors have \(64, 256\); they are of two",
        ),
        ("saelens/gated", {"architecture": "standard"}, r"not known \(b_gate, b_mag, r_mag\)"),
        ("sparsify/topk", {"activation": "relu"}, "activation='relu' is not supported"),
        ("sparsify/topk", {"signed": True}, "signed=True is not supported"),
        ("sparsify/groupmax", {"k": 7}, "k=7 must divide the 256 features"),
    ],
)
def test_a_configuration_that_says_something_else_is_refused(
    checkpoints: Path, tmp_path: Path, case: str, change: dict[str, Any], message: str
) -> None:
    for one in (checkpoints / case / "checkpoint").iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    config = next(tmp_path.glob("c*.json"))
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(ValueError, match=message) as caught:
        load_sae(tmp_path)
    assert str(tmp_path) in str(caught.value)


WRONG: list[Any] = [
    None,
    True,
    [],
    [1],
    {},
    "",
    "x",
    "x" * 1000,
    -1,
    0,
    2.5,
    10**30,
    float("inf"),
    float("nan"),
]


def changed(config: Any) -> Iterator[Any]:
    """The configuration with one entry, at any depth, replaced by each wrong value."""
    for key, value in config.items() if isinstance(config, dict) else ():
        for wrong in WRONG:
            yield config | {key: wrong}
        for inner in changed(value):
            yield config | {key: inner}


@pytest.mark.parametrize(
    "case",
    [
        "dictionary_learning/batchtopk",
        "saelens/gated",
        "saelens/topk-rescaled",
        "saelens/old-topk",
        "saelens/batchtopk-in-training",
        "sparsify/groupmax",
    ],
)
def test_any_entry_may_be_anything_and_the_checkpoint_is_read_or_refused(
    checkpoints: Path, tmp_path: Path, case: str
) -> None:
    """A few entries do not matter. With the others wrong, the same SAE is read, or one ValueError says it."""
    for one in (checkpoints / case / "checkpoint").iterdir():
        (tmp_path / one.name).write_bytes(one.read_bytes())
    file = next(tmp_path.glob("c*.json"))
    config = json.loads(file.read_text())
    refused = []
    for wrong in changed(config):
        file.write_text(json.dumps(wrong))
        try:
            load_sae(tmp_path)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert [text for text in refused if str(tmp_path) not in text or len(text) > 600] == []


def table() -> str:
    """A line for each class: equal, or the text of its refusal."""
    lines = ["| library | class | case | result |", "| --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder))
        for case in CASES:
            library, name = case.split("/")
            sae_class = json.loads((Path(folder) / case / "case.json").read_text())["class"]
            try:
                sae = load(Path(folder) / case)
                expected = load_file(Path(folder) / case / "expected.safetensors")
                assert_near(sae.encode(expected["inputs"]), expected["codes"])
                assert_near(sae.decode(expected["codes"]), expected["reconstruction"])
                result = "equal"
            except ValueError as error:
                result = re.sub(r"^.*? SAE, but ", "refused: ", str(error).replace(folder, ""))
            except (AssertionError, OSError) as error:
                result = f"DIFFERENT: {error}".splitlines()[0]
            lines.append(f"| {library} | {sae_class} | {name} | {result} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
