"""From weights to a painter: devices, dtypes, decoders, memory; and what happens when something is short."""

from __future__ import annotations

import dataclasses
import json
import logging
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ember_widgets import SAE, Painter, Scene, load_sae
from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.model.placement import Placement
from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl import loading
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.model.sdxl.layout import pipeline_files
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.run import train_sae
from tests.pipeline import ldm, tiny

PROMPT = "a lion in a meadow"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("saved")
    tiny.pipeline(place).save_pretrained(place / "model", safe_serialization=True)
    return place / "model"


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    return tiny.pipeline(tmp_path)


def load(folder: Path, **asked: Any) -> Painter:
    given: dict[str, Any] = {"sae": tiny.sae(), "device": "cpu", "dtype": "float32"}
    return Painter.from_pretrained(folder, **(given | asked))


def pixels(painter: Painter, scene: Scene) -> Any:
    return np.asarray(painter.render(scene))


# what is chosen


@pytest.mark.parametrize(
    ("device", "capability", "dtype"),
    [("cuda", (9, 0), torch.bfloat16), ("cuda", (8, 0), torch.bfloat16), ("cuda", (7, 5), torch.float16)],
    ids=["H100", "A100", "T4"],
)
def test_auto_is_bfloat16_where_it_is_fast(
    device: str, capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    assert loading.pick_dtype("auto", torch.device(device)) == dtype


def test_auto_is_float16_on_a_mac() -> None:
    assert loading.pick_dtype("auto", torch.device("mps")) == torch.float16


@pytest.mark.parametrize(
    ("units", "dtype"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_goes_by_what_a_cpu_computes_in(
    units: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
    assert loading.pick_dtype("auto", torch.device("cpu")) == dtype


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_best_device_is_taken(cuda: bool, mps: bool, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert loading.pick_device(None).type == found


@pytest.mark.parametrize(("gib", "short"), [(8, True), (10.5, True), (12, False), (80, False)])
def test_text_encoders_are_let_go_where_the_gpu_is_small(
    gib: float, short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = SimpleNamespace(total_memory=int(gib * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
    assert loading.memory_is_short(torch.device("cuda")) is short
    assert not loading.memory_is_short(torch.device("cpu"))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"device": "cuda"}, "device='cuda', but PyTorch sees no CUDA GPU here; give device='cpu', or install"),
    ({"device": "gpu"}, "device='gpu' is unknown; choose 'cuda', 'mps', 'cpu', or None"),
    ({"dtype": "int8"}, "dtype='int8' is unknown; choose one of auto, bfloat16, float16, float32"),
    (
        {"compile": True, "cpu_offload": True},
        "compile=True and cpu_offload=True exclude each other: compiled code needs the weights to "
        "stay where they are, and offloading moves them; choose one",
    ),
    ({"sae": {}}, "sae={} names no site; give at least one, as {'down.2.1': ...}"),
    (
        {"sae": {"down.1.0": tiny.sae()}},
        "site='down.1.0', but this UNet has no such attention block; choose one",
    ),
    (
        {"sae": {"down.2.1": tiny.sae()}, "site": "up.0.1"},
        "site='up.0.1', but sae={...} names the site of each SAE; leave site= out",
    ),
    ({"guidance": 99}, "guidance=99 is outside 0..50; give 0 for SDXL-Turbo, 5 to 8 for SDXL base"),
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells of a machine without a GPU")
@pytest.mark.parametrize(("asked", "message"), BAD)
def test_what_cannot_be_is_refused_in_one_sentence(folder: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        load(folder, **asked)
    assert str(caught.value).startswith(message)


def test_the_site_of_an_sae_in_memory_can_be_given(folder: Path) -> None:
    assert load(folder, sae=tiny.sae("down.2.1"), site="up.0.1").space.sites == (tiny.SITES["up.0.1"],)


def test_a_file_with_labels_of_several_sites_gives_each_site_its_own(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.tsv"
    file.write_text("site\tfeature\tlabel\ndown.2.1\t3\ta cat\nup.0.1\t3\tfur\nup.0.1\t4\tgrass\n")
    assert dict(load(folder, sae=tiny.sae("up.0.1"), labels=file).labels) == {3: "fur", 4: "grass"}
    both = {site: tiny.sae(site) for site in ("down.2.1", "up.0.1")}
    after = both["down.2.1"].n_features
    assert dict(load(folder, sae=both, labels=file).labels) == {
        3: "a cat",
        3 + after: "fur",
        4 + after: "grass",
    }
    file.write_text(f"feature\tlabel\n3\ta cat\n{3 + after}\tfur\n")  # counted as a scene counts them
    assert dict(load(folder, sae=both, labels=file).labels) == {3: "a cat", 3 + after: "fur"}
    file.write_text("nothing of the kind")
    with pytest.raises(ValueError, match="labels.tsv"):
        load(folder, labels=file)


def test_what_is_no_sae_and_no_scene_is_refused(pipe: Any) -> None:
    for sae in ("folder", {"down.2.1": "folder"}, None):
        with pytest.raises(TypeError, match=r"sae=.* is not an SAE; load it with ember.load_sae, or use"):
            Painter(pipe, sae, name="x")  # type: ignore[arg-type]
    painter = Painter(pipe, tiny.sae(), name="x")
    with pytest.raises(TypeError, match="scene=None is not a Scene; make one with painter.analyze"):
        painter.render(None)  # type: ignore[arg-type]


def test_a_placement_that_does_not_exist_is_refused(pipe: Any) -> None:
    with pytest.raises(
        ValueError, match="keep='al' is unknown; choose one of 'all', 'all but text', 'one at"
    ):
        Placement(pipe, "cpu", "al")


def test_files_are_chosen_part_by_part() -> None:
    names = ["model_index.json", "README.md", "sd_xl_turbo_1.0.safetensors", "unet/config.json"]
    names += [f"unet/diffusion_pytorch_model{v}.safetensors" for v in ("", ".fp16", ".non_ema")]
    names += ["unet/model.onnx", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"]
    names += [
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
    ]
    names += ["text_encoder/model.safetensors.index.json", "text_encoder/model.fp16.safetensors"]
    names += ["tokenizer/vocab.json", "tokenizer/merges.txt", "vae_1_0/diffusion_pytorch_model.safetensors"]
    sizes = dict.fromkeys(names, 1)
    plain = pipeline_files(sizes, None)
    assert [f for f in plain if f.startswith("text_encoder/")] == [
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
        "text_encoder/model.safetensors.index.json",
    ]
    assert [f for f in plain if f.startswith("unet/")] == [
        "unet/diffusion_pytorch_model.safetensors",
        "unet/config.json",
    ]
    half = pipeline_files(sizes, "fp16")
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in half
    assert "vae/diffusion_pytorch_model.safetensors" in half  # it has no half-size one
    assert [f for f in half if f.startswith("text_encoder/")] == ["text_encoder/model.fp16.safetensors"]
    assert not {"README.md", "sd_xl_turbo_1.0.safetensors", "unet/model.onnx"} & {*plain, *half}


# what is loaded


def test_a_folder_draws_as_the_pipeline_it_came_from(folder: Path, pipe: Any) -> None:
    ours = load(folder)
    scene = ours.analyze(PROMPT, seed=4)
    plain = pipe(
        PROMPT, num_inference_steps=1, guidance_scale=0.0, generator=torch.Generator().manual_seed(4)
    )
    assert np.array_equal(pixels(ours, scene), np.asarray(plain.images[0]))


def test_weights_lie_where_processors_read_from_best(folder: Path) -> None:
    for part in load(folder).pipeline.components.values():
        for weight in part.parameters() if isinstance(part, torch.nn.Module) else ():
            assert weight.data_ptr() % 64 == 0


def test_sdxl_base_draws_at_512(tmp_path: Path) -> None:
    big = tiny.pipeline(tmp_path, tiny.base_scheduler(), sample_size=128)
    big.save_pretrained(tmp_path / "base", safe_serialization=True)
    painter = load(tmp_path / "base", guidance=5.0)
    scene = painter.analyze(PROMPT, n_steps=2)
    asked = {"num_inference_steps": 2, "guidance_scale": 5.0, "height": 512, "width": 512}
    plain = big(PROMPT, generator=torch.Generator().manual_seed(0), **asked)
    assert np.array_equal(pixels(painter, scene), np.asarray(plain.images[0]))


def test_an_sae_is_put_where_its_file_says_unless_told(folder: Path, tmp_path: Path) -> None:
    from ember_widgets.dictionary.load import save_sae

    save_sae(tiny.sae("up.0.1"), tmp_path / "sae", format="saelens")
    assert list(load(folder, sae=tmp_path / "sae").saes) == [tiny.SITES["up.0.1"]]
    assert list(load(folder, sae=tmp_path / "sae", site="mid.0").saes) == [tiny.SITES["mid.0"]]


def test_the_folder_of_a_training_run_is_an_sae(folder: Path, tmp_path: Path) -> None:
    width, random = tiny.sae("up.0.1").d_model, torch.Generator().manual_seed(0)
    patches = [torch.randn(64, width, generator=random) for _ in range(4)]
    run = train_sae(
        patches, TrainConfig(n_patches=256, batch=64, expansion=2, k=4), site="up.0.1", folder=tmp_path
    )
    assert {"checkpoints", "history.csv", "settings.json"} < {file.name for file in tmp_path.iterdir()}
    (site, sae), *others = load(folder, sae=tmp_path).saes.items()
    assert (site, others) == (tiny.SITES["up.0.1"], [])
    assert torch.equal(sae.encode(patches[0]), run.sae.encode(patches[0]))


def test_a_single_file_draws_as_the_pipeline_it_came_from(folder: Path, pipe: Any, tmp_path: Path) -> None:
    file = ldm.save(pipe, tmp_path / "sd_xl_tiny.safetensors")
    painter = load(file, config=folder)
    scene = painter.analyze(PROMPT, seed=4)
    plain = pipe(
        PROMPT, num_inference_steps=1, guidance_scale=0.0, generator=torch.Generator().manual_seed(4)
    )
    assert np.array_equal(pixels(painter, scene), np.asarray(plain.images[0]))


def test_a_single_file_that_was_cut_off_says_so(folder: Path, pipe: Any, tmp_path: Path) -> None:
    file = ldm.save(pipe, tmp_path / "sd_xl_tiny.safetensors")
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="a weights file is damaged .*; copy it again"):
        load(file, config=folder)


def test_a_file_that_could_run_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"x")
    with pytest.raises(
        ValueError, match="is not a .safetensors file; other files can run code and are refused"
    ):
        load(tmp_path / "model.ckpt")


def test_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no model_index.json; give a folder in diffusers' layout"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no model at .*; give a hub id 'owner/name', a folder"):
        load(tmp_path / "absent")


# what may not be black


def test_float16_that_overflows_is_decoded_once_more_in_float32(
    pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze(PROMPT)
    latents = painter.backbone.run(painter.backbone.start(Run(PROMPT, 0, 1)))
    wanted = pixels(painter, scene)
    decode, calls = pipe.vae.decode, []

    def overflowing(z: torch.Tensor, **given: Any) -> Any:
        calls.append(z.dtype)
        found = decode(z, **given)
        return (found[0] * float("nan"),) if len(calls) == 1 else found

    monkeypatch.setattr(pipe.vae, "decode", overflowing)
    pipe.vae.register_to_config(force_upcast=False)
    pipe.vae.to(torch.bfloat16)
    picture = np.asarray(painter.backbone.decode(latents))
    assert calls == [torch.bfloat16, torch.float32]
    assert pipe.vae.dtype == torch.bfloat16
    assert np.abs(picture.astype(int) - wanted).mean() < 3  # its weights were rounded meanwhile
    assert picture.std() > 1


def test_what_is_not_finite_in_float32_either_is_never_a_black_picture(
    pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze()
    monkeypatch.setattr(pipe.vae, "decode", lambda z, **_: (z.repeat(1, 1, 8, 8)[:, :3] * float("inf"),))
    with pytest.raises(FloatingPointError, match="the VAE returned values that are not finite in float32; "):
        painter.render(scene)
    monkeypatch.undo()
    assert pixels(painter, scene).std() > 0


def test_a_unet_that_overflows_is_named(pipe: Any) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze(n_factors=2)
    with pytest.raises(FloatingPointError, match="the UNet returned values that are not finite in float32; "):
        painter.render(scene.scale(0, 1e30))


def test_half_precision_on_a_cpu_is_the_pipelines_own_and_nobody_complains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tiny.pipeline(tmp_path).to(torch.bfloat16)
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze(PROMPT, seed=1, n_steps=2)
    plain = pipe(
        PROMPT, num_inference_steps=2, guidance_scale=0.0, generator=torch.Generator().manual_seed(1)
    )
    assert np.array_equal(pixels(painter, scene), np.asarray(plain.images[0]))
    assert painter.activations(scene).dtype == np.float32
    caplog.clear()
    photograph = painter.analyze(image=np.full((64, 64, 3), 99, np.uint8))
    assert pixels(painter, photograph).shape == (512, 512, 3)
    assert caplog.text == ""


# what may not run out


def test_out_of_memory_names_the_arguments_and_leaves_the_painter_usable(
    pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze(PROMPT)
    before = pixels(painter, scene)

    held: list[Any] = []

    def full(*_: Any, **__: Any) -> Any:
        large = torch.zeros(1000)
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(pipe.vae, "decode", full)
    with pytest.raises(MemoryError) as caught:
        painter.render(scene)
    text = str(caught.value)
    assert text.startswith(
        "cpu ran out of memory while drawing (CUDA out of memory. Tried to allocate 2.00 GiB.)"
    )
    for argument in ("dtype='auto'", "release_text_encoders=True", "cpu_offload=True"):
        assert argument in text
    assert held[0]() is None  # the error, which notebooks keep, holds on to no tensor
    monkeypatch.undo()
    assert np.array_equal(pixels(painter, scene), before)


def test_other_runtime_errors_pass(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze()
    monkeypatch.setattr(pipe.vae, "decode", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        painter.render(scene)


@pytest.mark.parametrize("keep", ["all but text", "one at a time"])
def test_parts_lie_on_the_device_only_while_they_work(keep: str) -> None:
    """ "meta" stands for a GPU: what was moved there can be seen, though not used."""
    moves: list[tuple[str, str]] = []
    fake = SimpleNamespace(**{n: _Part(n, moves) for n in ("text_encoder", "text_encoder_2", "unet", "vae")})
    placement = Placement(fake, "meta", keep)
    moves.clear()
    with placement.at_work("text"):
        assert fake.text_encoder.device.type == fake.text_encoder_2.device.type == "meta"
        assert keep == "all but text" or fake.unet.device.type == "cpu"
    assert fake.text_encoder.device.type == "cpu"
    with placement.at_work("unet"):
        assert fake.unet.device.type == "meta"
    with placement.at_work("vae"):
        assert fake.vae.device.type == "meta"
        assert fake.unet.device.type == ("meta" if keep == "all but text" else "cpu")


class _Part:
    def __init__(self, name: str, moves: list[tuple[str, str]]) -> None:
        self.name, self.moves, self.device = name, moves, torch.device("cpu")

    def to(self, device: Any) -> None:
        self.device = torch.device(device)
        self.moves.append((self.name, self.device.type))


@pytest.mark.parametrize("asked", [{"cpu_offload": True}, {"release_text_encoders": True}])
def test_saving_memory_changes_no_picture(folder: Path, asked: dict[str, bool]) -> None:
    plain, saving = load(folder), load(folder, **asked)
    scene = plain.analyze(PROMPT, seed=2).scale(0, 2.0)
    assert np.array_equal(pixels(saving, scene), pixels(plain, scene))


@pytest.mark.parametrize("keyword", ["placement", "seats"])
def test_where_parts_lie_is_given_by_its_name_and_by_its_old_one(pipe: Any, keyword: str) -> None:
    placement = Placement(pipe, "cpu")
    painter = Painter(pipe, tiny.sae(), name="x", **{keyword: placement})  # type: ignore[arg-type]
    assert isinstance(painter.backbone, SDXL)
    assert painter.backbone.placement is placement


def test_a_text_is_encoded_once(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, encode = Sampler(pipe, "down.2.1"), type(pipe).encode_prompt
    asked: list[str] = []

    def spy(pipeline: Any, text: str, **given: Any) -> Any:
        asked.append(text)
        return encode(pipeline, text, **given)

    # Of the class: where the pipeline itself was changed, nothing is kept.
    monkeypatch.setattr(type(pipe), "encode_prompt", spy)
    for seed in range(3):
        sampler.start(Run("a cat", seed, 1))
    sampler.start(Run("a dog", 0, 1))
    assert asked == ["a cat", "a dog"]


def test_compiled_blocks_are_those_of_the_pipeline_too(pipe: Any) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze(PROMPT, seed=4).scale(0, 3.0)
    before = pixels(painter, scene)
    loading.compile_blocks(pipe.unet, backend="eager")  # traced as for a GPU, without a compiler
    kinds = {type(m).__name__ for m in pipe.unet.modules() if m._compiled_call_impl is not None}
    assert kinds == {"ResnetBlock2D", "BasicTransformerBlock"}
    assert np.abs(pixels(painter, scene).astype(int) - before).max() <= 1
    plain = pipe(
        PROMPT, num_inference_steps=1, guidance_scale=0.0, generator=torch.Generator().manual_seed(4)
    )
    unedited = pixels(painter, painter.analyze(PROMPT, seed=4))
    assert np.array_equal(unedited, np.asarray(plain.images[0]))


def test_what_follows_the_site_is_compiled_anew_if_the_model_changes(pipe: Any) -> None:
    painter = Painter(pipe, tiny.sae(), name="x")
    scene = painter.analyze(PROMPT, seed=4).scale(0, 3.0)
    before = pixels(painter, scene).astype(int)
    sampler = painter.backbone.sampler  # type: ignore[attr-defined]
    sampler.compile(backend="eager")  # as on a GPU, without a compiler
    assert np.abs(pixels(painter, scene).astype(int) - before).max() <= 1
    compiled = sampler._compiled
    assert compiled is not None
    with torch.no_grad():
        pipe.unet.conv_out.weight.mul_(0.5)
    changed = pixels(painter, scene).astype(int)
    assert sampler._compiled is not compiled
    plain = Painter(pipe, tiny.sae(), name="x")
    assert np.abs(pixels(plain, scene).astype(int) - changed).max() <= 1
    handle = pipe.unet.up_blocks[0].resnets[0].register_forward_hook(lambda *_: None)
    painter.render(scene)
    assert sampler._compiled is None
    handle.remove()


# what a file leaves open


def undecided(painter: Painter, target: str, folder: Path) -> Path:
    """A state dict without a word of what it encodes, made of directions that the target really has."""
    start = painter.backbone.start(Run("a garden with a house and a tree", 0, 1))
    vectors = start.first.hidden_out[0].flatten(1).T
    if target == "update":
        vectors = vectors - start.first.hidden_in[0].flatten(1).T
    bias = vectors.mean(0)
    centred = vectors - bias
    directions = centred / centred.norm(dim=1, keepdim=True)
    state = {"W_enc": directions.T, "W_dec": directions, "b_enc": torch.zeros(256), "b_dec": bias}
    torch.save({name: tensor.contiguous() for name, tensor in state.items()}, folder / "sae.pt")
    return folder / "sae.pt"


@pytest.mark.parametrize("target", ["update", "output"])
def test_what_is_encoded_is_measured_said_and_remembered(
    pipe: Any, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EMBER_WIDGETS_CACHE", str(tmp_path / "cache"))
    file = undecided(Painter(pipe, tiny.sae(), name="x"), target, tmp_path)
    sae = load_sae(file, activation="batchtopk", k=1)
    assert len(sae.alternatives) == 3
    with caplog.at_level(logging.WARNING, "ember_widgets"):
        painter = Painter(pipe, sae, name="x")
    kept = next(iter(painter.saes.values()))
    assert isinstance(kept, LoadedSAE)
    assert kept.target == target
    assert kept.alternatives == ()
    assert f"read as {target}, centred (" in caplog.text
    assert "% unexplained, 1.0 codes a patch" in caplog.text
    assert kept.measured in repr(kept)
    calibration = next((tmp_path / "cache" / "calibration").iterdir())
    assert json.loads(calibration.read_text())["source"] == str(file)
    caplog.clear()
    again = Painter(pipe, sae, name="x")
    assert (next(iter(again.saes.values())).target, caplog.text) == (target, "")
    with torch.no_grad():
        pipe.unet.conv_in.bias.add_(1)  # another model that is called the same
    Painter(pipe, sae, name="x")
    assert "does not say what it encodes" in caplog.text


def test_typical_activations_that_a_file_lacks_are_measured(pipe: Any, tmp_path: Path) -> None:
    known = Painter(pipe, tiny.sae(), name="x")
    scene = known.analyze("a garden with a house and a tree")
    codes = known.activations(scene).reshape(256, -1)
    fields = {field.name: getattr(tiny.sae(), field.name) for field in dataclasses.fields(SAE)}
    painter = Painter(pipe, LoadedSAE(**fields, unit_known=False), name="x")
    unit = next(iter(painter.saes.values())).unit.numpy()
    means = np.array([row[row > 0].mean() if (row > 0).any() else np.nan for row in codes.T])
    seen = np.isfinite(means)
    np.testing.assert_allclose(unit[seen], means[seen], rtol=1e-5)
    assert (unit[~seen] > 0).all()
