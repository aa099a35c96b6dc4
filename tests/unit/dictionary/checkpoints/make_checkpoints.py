"""Let each SAE library save every SAE class that it has, with what it computes from them.

`make_checkpoints.sh` runs this once per library, in an environment that has this library; it is for
maintainers, and CI does not run it. Each case is a folder:

    LIBRARY/CASE/checkpoint/...         what the library wrote
    LIBRARY/CASE/case.json              class, arguments for `load_sae`
    LIBRARY/CASE/expected.safetensors   inputs, codes and reconstruction by the library; not for classes
                                        that have no codes per patch

All numbers are random and nothing is trivial: decoder rows are not of unit length, biases and thresholds are
not 0. Weights have few bits, and cases share them, so that they compress; biases have all bits, so that no
two codes tie.
"""

# The libraries are not where the type checker runs.
# mypy: disable-error-code="import-not-found,arg-type"

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from safetensors.torch import save_file
from torch import Tensor

D, F, K, PATCHES = 64, 256, 9, 8
HOOK = "mid_block.attentions.0"


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def few_bits(values: Tensor, steps: int = 16) -> Tensor:
    return (values * steps).round() / steps


X = few_bits(random(PATCHES, D, seed=0) * 2)
ENCODER = few_bits(random(D, F, seed=1) * 0.3)
LENGTHS = torch.tensor([0.5, 1.0, 1.5, 2.0]).repeat(F // 4)
DECODER = few_bits(random(F, D, seed=2) * 0.3) * LENGTHS[:, None]
UNIT_DECODER = random(F, D, seed=3).sign() / 8  # rows of length 1
BIAS, OTHER_BIAS = random(F, seed=4), random(F, seed=5)
CENTRE = random(D, seed=6)
THRESHOLD = random(F, seed=7).abs() + 0.5
MAGNITUDES = random(F, seed=8) * 0.3


def keep(
    folder: Path,
    sae_class: str,
    codes: Tensor | None = None,
    reconstruction: Tensor | None = None,
    *,
    load: str = ".",
    inputs: Tensor = X,
    **arguments: Any,
) -> None:
    """Keep what a library computed, and how the checkpoint is to be loaded."""
    case = {"class": sae_class, "load": load, "arguments": arguments}
    (folder / "case.json").write_text(json.dumps(case, indent=1))
    if codes is not None and reconstruction is not None:
        tensors = {"inputs": inputs, "codes": codes, "reconstruction": reconstruction}
        save_file(
            {name: t.detach().float().contiguous().clone() for name, t in tensors.items()},
            folder / "expected.safetensors",
        )


def fill(module: torch.nn.Module, **values: Tensor) -> None:
    """Set parameters and buffers by name; dots are written as two underscores."""
    state = module.state_dict()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(few_bits(parameter))
        for name, value in values.items():
            state[name.replace("__", ".")].copy_(value)


def dictionary_learning(out: Path) -> None:
    import dictionary_learning.trainers as trainers
    from dictionary_learning import dictionary
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
    from dictionary_learning.trainers.standard import StandardTrainerAprilUpdate
    from dictionary_learning.utils import load_dictionary

    common = {"activation_dim": D, "dict_size": F, "layer": 0, "lm_name": "unet", "steps": 30_000}
    common |= {"device": "cpu"}
    relu = {
        "encoder__weight": ENCODER.T, "encoder__bias": BIAS, "bias": CENTRE, "decoder__weight": DECODER.T,
    }  # fmt: skip
    gated = {
        "decoder_bias": CENTRE, "encoder__weight": ENCODER.T, "r_mag": MAGNITUDES, "gate_bias": BIAS,
        "mag_bias": OTHER_BIAS, "decoder__weight": DECODER.T,
    }  # fmt: skip
    top = {
        "encoder__weight": ENCODER.T, "encoder__bias": BIAS, "b_dec": CENTRE, "decoder__weight": DECODER.T,
    }  # fmt: skip
    named = {"W_enc": ENCODER, "b_enc": BIAS, "W_dec": DECODER, "b_dec": CENTRE}
    level = torch.tensor(3.5)

    def save(
        case: str, trainer: Any, values: dict[str, Tensor], *, dtype: torch.dtype | None = None,
        config: dict[str, Any] | None = None, buffer: dict[str, Any] | None = None, **encode: Any,
    ) -> Path:  # fmt: skip
        """As `dictionary_learning.training.trainSAE` saves; read by `load_dictionary`."""
        folder = out / case
        place = folder / "checkpoint"
        place.mkdir(parents=True)
        sae = trainer.ae
        fill(sae, **values)
        if dtype is not None:
            sae.to(dtype)
        torch.save({name: t.cpu() for name, t in sae.state_dict().items()}, place / "ae.pt")
        content: dict[str, Any] = {"trainer": {**trainer.config, **(config or {})}}
        if buffer:
            content["buffer"] = buffer
        (place / "config.json").write_text(json.dumps(content, indent=4))
        loaded, _ = load_dictionary(str(place), "cpu")
        loaded = loaded.float()
        codes = loaded.encode(X, **encode)
        keep(folder, type(sae).__name__, codes, loaded.decode(codes))
        return folder

    def name_hook(trainer: Any) -> Any:
        trainer.submodule_name = HOOK
        return trainer

    save("autoencoder", name_hook(trainers.StandardTrainer(**common)), relu)
    save("autoencoder-bfloat16", name_hook(trainers.StandardTrainer(**common)), relu, dtype=torch.bfloat16)
    save("autoencoder-april-update", name_hook(StandardTrainerAprilUpdate(**common)), relu)
    save("autoencoder-p-anneal", name_hook(trainers.PAnnealTrainer(**common)), relu)
    save("autoencoder-normalized", name_hook(trainers.StandardTrainer(**common)), relu,
         config={"norm_factor": 3.25})  # fmt: skip
    save("gated", name_hook(trainers.GatedSAETrainer(**common)), gated)
    save("gated-anneal", trainers.GatedAnnealTrainer(**common), gated)
    save("jumprelu", name_hook(trainers.JumpReluTrainer(**common)), {**named, "threshold": THRESHOLD})
    save("topk", name_hook(trainers.TopKTrainer(k=K, **common)), top)
    save("topk-with-threshold", name_hook(trainers.TopKTrainer(k=K, **common)), {**top, "threshold": level})
    save("batchtopk", name_hook(trainers.BatchTopKTrainer(k=K, **common)), {**top, "threshold": level})
    save("batchtopk-uncalibrated", name_hook(trainers.BatchTopKTrainer(k=K, **common)), top,
         use_threshold=False)  # fmt: skip
    matryoshka = {"group_fractions": [0.25, 0.25, 0.5], "k": K, **common}
    save("matryoshka", name_hook(MatryoshkaBatchTopKTrainer(**matryoshka)), {**named, "threshold": level})
    save("matryoshka-uncalibrated", name_hook(MatryoshkaBatchTopKTrainer(**matryoshka)), named,
         use_threshold=False)  # fmt: skip
    save("reads-the-input", name_hook(trainers.TopKTrainer(k=K, **common)), top, buffer={"io": "in"})
    save("transcoder", name_hook(trainers.TopKTrainer(k=K, **common)), top, buffer={"io": "in_and_out"})

    # The library has this class and reads it, but no trainer of its own makes it by default.
    trainer = name_hook(trainers.StandardTrainer(**common))
    trainer.ae = dictionary.AutoEncoderNew(D, F)
    new = {name: value for name, value in relu.items() if name != "bias"} | {"decoder__bias": CENTRE}
    save("autoencoder-new", trainer, new, config={"dict_class": "AutoEncoderNew"})

    # Checkpoints made while training lie in a folder of their own, without the configuration.
    for case, trainer_class, values, activation in (
        ("bare-gated", trainers.GatedSAETrainer, gated, None),
        ("bare-topk", trainers.TopKTrainer, top, "topk"),
        ("bare-topk-unsaid", trainers.TopKTrainer, top, None),
        ("bare-batchtopk", trainers.BatchTopKTrainer, {**top, "threshold": level}, "batchtopk"),
        ("bare-matryoshka", MatryoshkaBatchTopKTrainer, {**named, "threshold": level}, None),
    ):
        options = matryoshka if trainer_class is MatryoshkaBatchTopKTrainer else common
        options = options if "gated" in case else {"k": K, **options}
        folder = save(case, trainer_class(**options), values)
        (folder / "checkpoint" / "config.json").unlink()
        (folder / "checkpoint" / "ae.pt").rename(folder / "checkpoint" / "ae_100.pt")
        content = json.loads((folder / "case.json").read_text())
        content["load"] = "ae_100.pt"
        content["arguments"] = {} if activation is None else {"activation": activation}
        (folder / "case.json").write_text(json.dumps(content, indent=1))


def sparsify(out: Path) -> None:
    from sparsify import SparseCoder, SparseCoderConfig

    def save(
        case: str, *, dtype: torch.dtype = torch.float32, codes_wanted: bool = True, **config: Any
    ) -> None:
        folder = out / case
        settings = {"num_latents": F, "k": K, **config}
        sae = SparseCoder(D, SparseCoderConfig(**settings), dtype=dtype)
        fill(sae, encoder__weight=ENCODER.T, encoder__bias=BIAS, W_dec=DECODER, b_dec=CENTRE)
        if sae.W_skip is not None:
            fill(sae, W_skip=few_bits(random(D, D, seed=9) * 0.3))
        sae.save_to_disk(folder / "checkpoint")
        if not codes_wanted:
            keep(folder, "SparseCoder")
            return
        loaded = SparseCoder.load_from_disk(folder / "checkpoint").float()
        top = loaded.encode(X)
        codes = torch.zeros(PATCHES, F).scatter(1, top.top_indices, top.top_acts)
        keep(folder, "SparseCoder", codes, loaded.decode(top.top_acts, top.top_indices))

    save("topk")
    save("topk-expansion", num_latents=0, expansion_factor=F // D)
    save("topk-multi", multi_topk=True)
    save("topk-not-normalized", normalize_decoder=False)
    save("topk-bfloat16", dtype=torch.bfloat16)
    save("topk-float16", dtype=torch.float16)
    save("groupmax", activation="groupmax", k=8)
    save("groupmax-bfloat16", activation="groupmax", k=16, dtype=torch.bfloat16)
    save("transcoder", transcode=True, codes_wanted=False)
    save("skip", skip_connection=True, codes_wanted=False)
    save("skip-transcoder", transcode=True, skip_connection=True, codes_wanted=False)


def overcomplete(out: Path) -> None:
    # They import torchvision and an older matplotlib, and are not needed.
    sys.modules["overcomplete.models"] = sys.modules["overcomplete.visualization"] = MagicMock()
    import overcomplete.sae as oc

    def save(
        case: str, sae: Any, values: dict[str, Tensor], *, whole: bool = False, fused: bool = True,
        codes_wanted: bool = True, **arguments: Any,
    ) -> None:  # fmt: skip
        folder = out / case
        (folder / "checkpoint").mkdir(parents=True)
        fill(sae, **values)
        if isinstance(sae, oc.BatchTopKSAE):
            sae.train()
            for part in (X[:4], X[4:]):  # measures the running threshold
                sae.encode(part)
            arguments["threshold"] = float(sae.running_threshold)
        if fused:
            sae.eval()  # puts the normalised dictionary into the state dict
        torch.save(sae if whole else sae.state_dict(), folder / "checkpoint" / "sae.pt")
        sae.eval()
        if codes_wanted:
            _, codes = sae.encode(X)
            keep(folder, type(sae).__name__, codes, sae.decode(codes), load="sae.pt", **arguments)
        else:
            keep(folder, type(sae).__name__, load="sae.pt", **arguments)

    linear = {"encoder__final_block__0__weight": ENCODER.T, "encoder__final_block__0__bias": BIAS}
    unit = {**linear, "dictionary___weights": UNIT_DECODER}
    nearly_unit = UNIT_DECODER * torch.tensor([0.96875, 1.0, 1.015625, 1.03125]).repeat(F // 4)[:, None]
    scaled = {"dictionary_params": {"use_multiplier": True}}
    grown = {"dictionary__multiplier": torch.tensor(0.7)}
    topk = {"k": K, "activation": "topk"}

    save("topk", oc.TopKSAE(D, F, top_k=K), unit, **topk)
    save("topk-unsaid", oc.TopKSAE(D, F, top_k=K), unit, k=K)
    save("topk-in-training", oc.TopKSAE(D, F, top_k=K), {**linear, "dictionary___weights": nearly_unit},
         fused=False, **topk)  # fmt: skip
    save("topk-multiplier", oc.TopKSAE(D, F, top_k=K, **scaled), {**unit, **grown}, **topk)
    save("topk-never-normalized", oc.TopKSAE(D, F, top_k=K), {**linear, "dictionary___weights": DECODER},
         fused=False, codes_wanted=False, **topk)  # fmt: skip
    save("topk-other-normalization", oc.TopKSAE(D, F, top_k=K, dictionary_params={"normalization": "max_l2"}),
         {**linear, "dictionary___weights": DECODER}, codes_wanted=False, **topk)  # fmt: skip
    save("topk-untied", oc.TopKSAE(D, F, top_k=K).untied(bias=True),
         {"encoder__weight": ENCODER.T, "encoder__bias": BIAS, "dictionary___weights": UNIT_DECODER},
         **topk)  # fmt: skip
    save("topk-tied", oc.TopKSAE(D, F, top_k=K, **scaled).tied(bias=True),
         {"encoder__bias": BIAS, "dictionary___weights": UNIT_DECODER, **grown}, **topk)  # fmt: skip
    save("batchtopk", oc.BatchTopKSAE(D, F, top_k=4 * K), unit, activation="batchtopk")
    save("jump", oc.JumpSAE(D, F), {**unit, "thresholds": THRESHOLD.log()})
    save("relu", oc.SAE(D, F), unit, threshold=0.0, activation="jumprelu")
    save("relu-unsaid", oc.SAE(D, F), unit)
    save("quantized", oc.QSAE(D, F), unit, codes_wanted=False, **topk)
    save("matching-pursuit", oc.MpSAE(D, F, k=K), {"dictionary___weights": UNIT_DECODER},
         codes_wanted=False, **topk)  # fmt: skip
    save("orthogonal-matching-pursuit", oc.OMPSAE(D, F, k=K), {"dictionary___weights": UNIT_DECODER},
         codes_wanted=False, **topk)  # fmt: skip
    points = few_bits(random(300, D, seed=10))
    save("archetypal-topk", oc.RATopKSAE(D, F, points, top_k=K), linear, codes_wanted=False, **topk)
    save("archetypal-jump", oc.RAJumpSAE(D, F, points), linear, codes_wanted=False)
    for encoder in ("mlp_ln_1", "mlp_bn_1", "mlp_bn_3"):
        save(f"topk-{encoder.replace('_', '-')}", oc.TopKSAE(D, F, top_k=K, encoder_module=encoder), unit
             if encoder != "mlp_bn_3" else {"dictionary___weights": UNIT_DECODER},
             codes_wanted=False, **topk)  # fmt: skip
    save("topk-attention", oc.TopKSAE((4, D), F, top_k=K, encoder_module="attention_1b"),
         {"dictionary___weights": UNIT_DECODER}, codes_wanted=False, **topk)  # fmt: skip
    save("whole-module", oc.TopKSAE(D, F, top_k=K), unit, whole=True, codes_wanted=False, **topk)


def saelens(out: Path) -> None:
    import sae_lens
    from sae_lens import SAE
    from sae_lens.saes.sae import SAEMetadata

    plain = {"W_enc": ENCODER, "b_enc": BIAS, "W_dec": DECODER, "b_dec": CENTRE}
    gated = {name: value for name, value in plain.items() if name != "b_enc"}
    gated |= {"b_gate": BIAS, "b_mag": OTHER_BIAS, "r_mag": MAGNITUDES}
    jump = {**plain, "threshold": THRESHOLD}

    def make(name: str, values: dict[str, Tensor], **config: Any) -> Any:
        settings = {
            "d_in": D,
            "d_sae": F,
            "metadata": SAEMetadata(hook_name=HOOK, model_name="unet"),
            **config,
        }
        sae = getattr(sae_lens, name)(getattr(sae_lens, f"{name}Config")(**settings))
        fill(sae, **values)
        return sae

    def kept(folder: Path, name: str, **options: Any) -> None:
        loaded = SAE.load_from_disk(folder / "checkpoint", dtype="float32", **options)
        codes = loaded.encode(X)
        keep(folder, name, codes, loaded.decode(codes))

    def save(
        case: str, name: str, values: dict[str, Tensor], *, codes_wanted: bool = True, **config: Any
    ) -> None:
        sae = make(name, values, **config)
        inference = getattr(sae, "save_inference_model", sae.save_model)
        inference(out / case / "checkpoint")
        if codes_wanted:
            kept(out / case, name)
        else:
            keep(out / case, name)

    for case, name, values, config in (
        ("standard", "StandardSAE", plain, {}),
        ("gated", "GatedSAE", gated, {}),
        ("topk", "TopKSAE", plain, {"k": K}),
        ("jumprelu", "JumpReLUSAE", jump, {}),
    ):
        save(case, name, values, **config)
        save(f"{case}-uncentred", name, values, apply_b_dec_to_input=False, **config)
    save("standard-bfloat16", "StandardSAE", plain, dtype="bfloat16")
    save("gated-float16", "GatedSAE", gated, dtype="float16")
    save("topk-rescaled", "TopKSAE", plain, k=K, rescale_acts_by_decoder_norm=True)
    save("topk-rescaled-uncentred", "TopKSAE", plain, k=K, rescale_acts_by_decoder_norm=True,
         apply_b_dec_to_input=False)  # fmt: skip
    save("jumprelu-negative-thresholds", "JumpReLUSAE", {**plain, "threshold": THRESHOLD - 1.2})

    # SAEs as they are trained, saved for inference
    save("standard-trained", "StandardTrainingSAE", plain)
    save("gated-trained", "GatedTrainingSAE", gated)
    save("topk-trained", "TopKTrainingSAE", plain, k=K)
    save("jumprelu-trained", "JumpReLUTrainingSAE", jump)
    level = {**plain, "topk_threshold": torch.tensor(3.5, dtype=torch.double)}
    widths = {"matryoshka_widths": [F // 4, F // 2, F]}
    for rescaled in (False, True):
        end = "-rescaled" if rescaled else ""
        batch = {"k": K, "rescale_acts_by_decoder_norm": rescaled}
        save(f"batchtopk-trained{end}", "BatchTopKTrainingSAE", level, **batch)
        save(f"matryoshka-trained{end}", "MatryoshkaBatchTopKTrainingSAE", level, **widths, **batch)
        # As checkpoints of the training itself; they mean what is saved for inference.
        for case, name, more in (
            ("batchtopk", "BatchTopKTrainingSAE", {}),
            ("matryoshka", "MatryoshkaBatchTopKTrainingSAE", widths),
        ):
            folder = out / f"{case}-in-training{end}"
            sae = make(name, level, **more, **batch)
            sae.save_inference_model(folder / "checkpoint")
            kept(folder, name)
            sae.save_model(folder / "checkpoint")
    folder = out / "batchtopk-in-training-uncalibrated"
    sae = make("BatchTopKTrainingSAE", plain, k=K, rescale_acts_by_decoder_norm=False)
    sae.save_model(folder / "checkpoint")
    codes = sae.encode(X)
    keep(folder, "BatchTopKTrainingSAE", codes, sae.decode(codes))

    # normalisations
    for norm in ("expected_average_only_in", "layer_norm", "constant_norm_rescale", "covariance_whitening"):
        save(f"standard-{norm.replace('_', '-')}", "StandardSAE", plain, normalize_activations=norm,
             codes_wanted=False)  # fmt: skip
    sae = make("StandardSAE", plain, normalize_activations="expected_average_only_in")
    sae.fold_activation_norm_scaling_factor(1.5)
    sae.save_model(out / "standard-folded" / "checkpoint")
    kept(out / "standard-folded", "StandardSAE")
    sae = make("JumpReLUSAE", jump)
    sae.fold_W_dec_norm()
    sae.save_model(out / "jumprelu-folded" / "checkpoint")
    kept(out / "jumprelu-folded", "JumpReLUSAE")
    folder = out / "standard-hook-z"
    make("StandardSAE", plain).save_model(folder / "checkpoint")
    file = folder / "checkpoint" / "cfg.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"reshape_activations": "hook_z"}))
    keep(folder, "StandardSAE")

    # classes that are no SAEs of single patches
    save("abstopk", "AbsTopKSAE", plain, codes_wanted=False, k=K)
    save("matching-pursuit", "MatchingPursuitSAE", {"W_dec": DECODER, "b_dec": CENTRE}, codes_wanted=False)
    save("temporal", "TemporalSAE", {}, codes_wanted=False, n_heads=2, bottleneck_factor=8, kval_topk=K)
    for case, name in (
        ("transcoder", "Transcoder"),
        ("skip-transcoder", "SkipTranscoder"),
        ("jumprelu-transcoder", "JumpReLUTranscoder"),
        ("jumprelu-skip-transcoder", "JumpReLUSkipTranscoder"),
    ):
        save(case, name, plain, codes_wanted=False, d_out=D, apply_b_dec_to_input=False)

    # configurations from before version 6
    old = {"model_name": "unet", "hook_point": HOOK, "d_in": D, "d_sae": F, "dtype": "torch.float32"}
    old |= {"device": "cpu", "apply_b_dec_to_input": True, "finetuning_scaling_factor": False}
    old |= {"sae_lens_training_version": "3.11.0", "normalize_activations": "none", "context_size": 128}
    for case, values, changes in (
        ("old-relu", plain, {"activation_fn_str": "relu"}),
        ("old-without-architecture", plain, {}),
        ("old-topk", plain, {"architecture": "standard", "activation_fn_str": "topk",
                             "activation_fn_kwargs": {"k": K}}),
        ("old-topk-hook-name", plain, {"hook_name": HOOK, "activation_fn": "topk",
                                       "activation_fn_kwargs": {"k": K}}),
        ("old-gated", gated, {"architecture": "gated", "activation_fn_str": "relu"}),
        ("old-jumprelu", jump, {"architecture": "jumprelu", "activation_fn_str": "relu"}),
        ("old-not-normalized", plain, {"normalize_activations": False}),
        ("old-uncentred", plain, {"apply_b_dec_to_input": False}),
        ("old-scaled-by-one", {**plain, "scaling_factor": torch.ones(F)}, {}),
    ):  # fmt: skip
        place = out / case / "checkpoint"
        place.mkdir(parents=True)
        save_file(
            {name: value.contiguous() for name, value in values.items()}, place / "sae_weights.safetensors"
        )
        (place / "cfg.json").write_text(json.dumps(old | changes))
        kept(out / case, f"{case} (before version 6)")
    for case, values, changes in (
        ("old-normalized", plain, {"normalize_activations": True}),
        ("old-scaled", {**plain, "scaling_factor": LENGTHS}, {"finetuning_scaling_factor": True}),
        ("old-tanh-relu", plain, {"activation_fn_str": "tanh-relu"}),
    ):
        place = out / case / "checkpoint"
        place.mkdir(parents=True)
        save_file(
            {name: value.contiguous() for name, value in values.items()}, place / "sae_weights.safetensors"
        )
        (place / "cfg.json").write_text(json.dumps(old | changes))
        keep(out / case, f"{case} (before version 6)")


LIBRARIES: dict[str, Callable[[Path], None]] = {
    "dictionary_learning": dictionary_learning,
    "sparsify": sparsify,
    "overcomplete": overcomplete,
    "saelens": saelens,
}

if __name__ == "__main__":
    library, place = sys.argv[1:]
    torch.manual_seed(0)
    with torch.no_grad():
        LIBRARIES[library](Path(place) / library)
