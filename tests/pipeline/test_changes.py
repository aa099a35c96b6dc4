"""Whatever a user changes in a pipeline, the next picture is the pipeline's own, or one error says why not.

Every change is made after pictures of the same prompt and seed were drawn, so that all caches are full.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionXLPipeline,
)
from diffusers.models.attention_processor import Attention, AttnProcessor
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from ember_widgets import Collection, Painter, Scene
from ember_widgets.embedded import architecture
from ember_widgets.model.placement import Placement
from ember_widgets.model.sdxl.sampler import Sampler
from ember_widgets.painter.protocol import version_of
from ember_widgets.painter.starts import Starts
from ember_widgets.util.user_folders import cache_folder
from ember_widgets.widgets.paint.run_key import run_key
from tests.pipeline import tiny

PROMPT, SEED, N_STEPS = "a lion in a <odd> meadow", 3, 2


class Drawn:
    """A painter whose caches are full, and the pictures that it and its pipeline draw."""

    def __init__(self, folder: Path, placement: str = "all") -> None:
        self.pipe = tiny.pipeline(folder, sample_size=32)
        self.folder = folder
        self.painter = Painter(
            self.pipe, tiny.sae(), name="tiny", placement=Placement(self.pipe, "cpu", placement)
        )
        self.scene = self.painter.analyze(PROMPT, seed=SEED, n_steps=N_STEPS)
        for strength in (1.1, 1.2):
            self.painter.render(self.scene.scale(0, strength))

    def ours(self, scene: Scene | None = None) -> np.ndarray:
        return np.asarray(self.painter.render(scene or self.scene), np.int16)

    def own(self) -> np.ndarray:
        """The picture of the pipeline itself."""
        generator = torch.Generator("cpu").manual_seed(SEED)
        asked: dict[str, Any] = {"num_inference_steps": N_STEPS, "guidance_scale": 0.0}
        return np.asarray(self.pipe(PROMPT, generator=generator, **asked).images[0], np.int16)

    def check(self, before: np.ndarray | None) -> np.ndarray:
        """Compare the two, and the pipeline's with the picture before the change; None = it may be equal."""
        ours, own = self.ours(), self.own()
        assert np.array_equal(ours, own), f"differs by {np.abs(ours - own).max()}/255"
        assert before is None or not np.array_equal(own, before), "the change cannot be seen"
        return own


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    return Drawn(tmp_path)


def other(drawn: Drawn) -> Any:
    """A pipeline of the same layout with other weights."""
    torch.manual_seed(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "manual_seed", lambda seed: None)
        return tiny.pipeline(drawn.folder / "other", sample_size=32)


@torch.no_grad()
def in_place(module: Any, factor: float = 1.1) -> None:
    for p in module.parameters():
        p.mul_(factor)


def data_in_place(module: Any) -> None:
    for p in module.parameters():
        p.data.mul_(1.1)


def data_replaced(module: Any) -> None:
    for p in module.parameters():
        p.data = p.data * 1.1


def data_twice(drawn: Drawn) -> None:
    data_replaced(drawn.pipe.unet)
    drawn.ours()
    data_in_place(drawn.pipe.unet)  # in the new memory


def one_value(weight: Tensor) -> None:
    """Where no sample is taken."""
    with torch.no_grad():
        weight[(0,) * weight.ndim].add_(3)


def scheduler(kind: Any, **changes: Any) -> Callable[[Drawn], object]:
    def change(drawn: Drawn) -> None:
        drawn.pipe.scheduler = kind.from_config(drawn.pipe.scheduler.config, **changes)

    return change


def textual_inversion(drawn: Drawn) -> None:
    pipe = drawn.pipe
    for encoder in (pipe.text_encoder, pipe.text_encoder_2):
        vector = torch.full((1, encoder.config.hidden_size), 0.5)
        pipe.load_textual_inversion({"<odd>": vector}, text_encoder=encoder, tokenizer=pipe.tokenizer)
        pipe.tokenizer = drawn.pipe.tokenizer_2  # both are one object in this pipeline
        if encoder is pipe.text_encoder:
            pipe.tokenizer = architecture.build_tokenizer(drawn.folder / "again")
    assert "<odd>" in pipe.tokenizer_2.get_vocab()


class Halved(AttnProcessor):  # type: ignore[misc]
    """A processor of the user's own, with a number inside."""

    def __init__(self) -> None:
        self.share = [0.5]

    def __call__(self, attn: Attention, *given: Any, **named: Any) -> Tensor:
        out: Tensor = super().__call__(attn, *given, **named) * self.share[0]
        return out


class Louder(ResnetBlock2D):  # type: ignore[misc]
    def forward(self, *given: Any, **named: Any) -> Tensor:
        out: Tensor = 1.2 * super().forward(*given, **named)
        return out


def tiled(drawn: Drawn) -> None:
    drawn.pipe.vae.enable_tiling()
    drawn.pipe.vae.tile_sample_min_size, drawn.pipe.vae.tile_latent_min_size = 128, 16


def hooked(module: Any, factor: list[float]) -> Any:
    return module.register_forward_hook(lambda _, args, out: out * factor[0])


def encoder_patched(drawn: Drawn) -> None:
    encode = drawn.pipe.encode_prompt
    drawn.pipe.encode_prompt = lambda prompt, **named: encode("another prompt", **named)


CHANGES: dict[str, Callable[[Drawn], object]] = {
    "a scheduler": scheduler(EulerDiscreteScheduler),
    "a scheduler of second order": scheduler(HeunDiscreteScheduler),
    "a scheduler's setting": scheduler(EulerAncestralDiscreteScheduler, timestep_spacing="leading"),
    "a scheduler's numbers": lambda d: d.pipe.scheduler.alphas_cumprod.mul_(0.9),
    "a scheduler's numbers, unseen": lambda d: d.pipe.scheduler.alphas_cumprod.data.mul_(0.9),
    "a VAE": lambda d: setattr(d.pipe, "vae", other(d).vae),
    "a VAE's weights": lambda d: in_place(d.pipe.vae),
    "tiles": tiled,
    "a text encoder": lambda d: setattr(d.pipe, "text_encoder", other(d).text_encoder),
    "a text encoder's weights": lambda d: in_place(d.pipe.text_encoder),
    "the other text encoder's weights": lambda d: in_place(d.pipe.text_encoder_2),
    "textual inversion": textual_inversion,
    "a way to encode prompts": encoder_patched,
    "a UNet": lambda d: setattr(d.pipe, "unet", other(d).unet),
    "a UNet's weights": lambda d: in_place(d.pipe.unet),
    "a UNet's state": lambda d: d.pipe.unet.load_state_dict(other(d).unet.state_dict()),
    "weights by data": lambda d: data_in_place(d.pipe.unet),
    "weights' data": lambda d: data_replaced(d.pipe.unet),
    "weights' data twice": data_twice,
    "one weight before the site": lambda d: one_value(d.pipe.unet.conv_in.weight),
    "one weight after the site": lambda d: one_value(d.pipe.unet.conv_out.weight),
    "a block before the site": lambda d: setattr(
        d.pipe.unet, "conv_in", torch.nn.Conv2d(4, tiny.CHANNELS[0], 3, padding=1)
    ),
    "FreeU": lambda d: d.pipe.enable_freeu(s1=0.6, s2=0.4, b1=1.1, b2=1.2),
    "attention processors": lambda d: d.pipe.unet.set_attn_processor(Halved()),
    "fused projections": lambda d: (in_place(d.pipe.unet), d.pipe.fuse_qkv_projections()),
    "bfloat16": lambda d: d.pipe.to(torch.bfloat16),
    "a hook before the site": lambda d: hooked(d.pipe.unet.conv_in, [1.5]),
    "a hook after the site": lambda d: hooked(d.pipe.unet.conv_out, [1.5]),
    "a hook in the VAE": lambda d: hooked(d.pipe.vae.decoder.conv_in, [1.5]),
    "a hook in a text encoder": lambda d: d.pipe.text_encoder.get_input_embeddings().register_forward_hook(
        lambda _, args, out: out * 2
    ),
    "a part's forward": lambda d: setattr(
        d.pipe.unet.conv_in, "forward", lambda x: 2 * torch.nn.Conv2d.forward(d.pipe.unet.conv_in, x)
    ),
    "a part's class": lambda d: setattr(d.pipe.unet.down_blocks[0].resnets[0], "__class__", Louder),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_next_picture_is_the_pipelines_own(drawn: Drawn, name: str) -> None:
    before = drawn.own()
    CHANGES[name](drawn)
    drawn.check(before)
    drawn.check(None)


def test_what_stays_the_same_is_kept(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    version = drawn.painter.backbone.version()
    assert version is not None
    monkeypatch.setattr(Sampler, "start", lambda *_: pytest.fail("started again"))
    monkeypatch.setattr(drawn.pipe, "text_encoder_2", drawn.pipe.text_encoder_2)
    for strength in (0.5, 1.0):
        drawn.ours(drawn.scene.scale(0, strength))
    assert drawn.painter.backbone.version() == version


def test_methods_that_were_put_back_are_the_modules_own(
    drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by accelerate, when it removes its hooks."""
    version = drawn.painter.backbone.version()
    for module in (drawn.pipe.unet, drawn.pipe.unet.conv_in):
        monkeypatch.setitem(vars(module), "forward", module.forward)
    drawn.check(None)
    assert drawn.painter.backbone.version() not in (None, version)


def test_what_is_undone_gives_the_first_picture(drawn: Drawn) -> None:
    first = drawn.own()
    drawn.pipe.enable_freeu(s1=0.6, s2=0.4, b1=1.1, b2=1.2)
    drawn.check(first)
    drawn.pipe.disable_freeu()
    assert np.array_equal(drawn.check(None), first)
    handle = hooked(drawn.pipe.unet.conv_in, [1.5])
    drawn.check(first)
    handle.remove()
    assert np.array_equal(drawn.check(None), first)


def test_what_a_users_code_does_is_asked_every_time(drawn: Drawn) -> None:
    """A hook or a processor may read anything; nothing shows that it does something else now."""
    factor, processor = [1.5], Halved()
    handle = hooked(drawn.pipe.unet.conv_in, factor)
    before = drawn.check(drawn.own() * 0)
    factor[0] = 0.5
    drawn.check(before)
    handle.remove()
    drawn.pipe.unet.set_attn_processor(processor)
    before = drawn.check(before)
    processor.share[0] = 1.5
    drawn.check(before)
    encoder = drawn.pipe.text_encoder.get_input_embeddings()
    encoder.register_forward_hook(lambda _, args, out: out * factor[0])
    before = drawn.check(before)
    factor[0] = 3.0
    drawn.check(before)


def test_a_class_that_is_patched(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, before = ResnetBlock2D.forward, drawn.own()

    def louder(self: Any, *given: Any, **named: Any) -> Tensor:
        out: Tensor = 1.2 * forward(self, *given, **named)
        return out

    with monkeypatch.context() as patch:
        patch.setattr(ResnetBlock2D, "forward", louder)
        drawn.check(before)
    assert np.array_equal(drawn.check(None), before)


def lora(folder: Path) -> Path:
    """A LoRA of the UNet, written by diffusers and peft."""
    from peft.utils import get_peft_model_state_dict

    unet = tiny.pipeline(folder).unet
    unet.add_adapter(adapter("to_q", "to_k", "to_v", "to_out.0", "conv1", "proj_in", "time_emb_proj"))
    opened(unet)
    layers = get_peft_model_state_dict(unet)
    StableDiffusionXLPipeline.save_lora_weights(folder / "lora", unet_lora_layers=layers)
    return folder / "lora"


def adapter(*targets: str) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=4, lora_alpha=4, target_modules=list(targets))


@torch.no_grad()
def opened(network: Any) -> None:
    """A LoRA begins with zeros; this one does something."""
    torch.manual_seed(0)
    for name, p in network.named_parameters():
        if "lora_B" in name:
            p.normal_(std=0.3)


@pytest.fixture(scope="module")
def lora_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("peft")
    return lora(tmp_path_factory.mktemp("lora"))


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_the_life_of_a_lora(drawn: Drawn, lora_folder: Path) -> None:
    pipe, plain = drawn.pipe, drawn.own()
    pipe.load_lora_weights(lora_folder, adapter_name="one")
    loaded = drawn.check(plain)
    pipe.set_adapters("one", 0.4)
    weaker = drawn.check(loaded)
    pipe.disable_lora()
    assert np.array_equal(drawn.check(weaker), plain)
    pipe.enable_lora()
    assert np.array_equal(drawn.check(None), weaker)
    pipe.load_lora_weights(lora_folder, adapter_name="two")
    pipe.set_adapters(["one", "two"], [1.0, -0.5])
    both = drawn.check(loaded)
    pipe.delete_adapters("two")
    pipe.set_adapters("one", 1.0)
    assert np.array_equal(drawn.check(both), loaded)
    pipe.fuse_lora(lora_scale=0.7)
    fused = drawn.check(loaded)
    pipe.unfuse_lora()
    drawn.check(fused)
    pipe.unload_lora_weights()
    drawn.check(loaded)


def test_a_lora_that_is_fused_and_then_unloaded(drawn: Drawn, lora_folder: Path) -> None:
    plain = drawn.own()
    drawn.pipe.load_lora_weights(lora_folder)
    drawn.pipe.fuse_lora()
    drawn.pipe.unload_lora_weights()
    drawn.check(plain)


def test_a_lora_in_a_text_encoder(drawn: Drawn) -> None:
    peft = pytest.importorskip("peft")  # transformers' own loading asks for a version that is not out
    plain, encoder = drawn.own(), drawn.pipe.text_encoder_2
    peft.inject_adapter_in_model(adapter("q_proj", "v_proj"), encoder)
    assert np.array_equal(drawn.check(None), plain)
    opened(encoder)
    loaded = drawn.check(plain)
    for module in encoder.modules():
        if hasattr(module, "scaling"):
            module.scaling["default"] = 0.3
    drawn.check(loaded)


def test_edits_go_on_with_a_lora(drawn: Drawn, lora_folder: Path) -> None:
    edited = drawn.scene.scale(0, 3.0)
    before = drawn.ours(edited)
    drawn.pipe.load_lora_weights(lora_folder)
    after = drawn.ours(edited)
    assert not np.array_equal(after, before)
    fresh = Painter(drawn.pipe, tiny.sae(), name="tiny")
    assert np.array_equal(after, np.asarray(fresh.render(edited)))


@pytest.mark.parametrize("placement", ["all but text", "one at a time"])
@pytest.mark.parametrize("name", ["a text encoder's weights", "a UNet's weights", "weights' data", "FreeU"])
def test_where_parts_are_moved_between_devices(tmp_path: Path, placement: str, name: str) -> None:
    drawn = Drawn(tmp_path, placement)
    version = drawn.painter.model.version
    drawn.ours(drawn.scene.replace(style="red"))
    assert version is not None
    assert drawn.painter.model.version == version  # moving is no change
    before = drawn.own()
    CHANGES[name](drawn)
    drawn.check(before)


def test_what_leaves_no_sign_can_be_said(drawn: Drawn) -> None:
    before = drawn.own()
    drawn.ours()  # its own run has set the pipeline's scheduler anew
    for weight in (drawn.pipe.unet.conv_in.weight, drawn.pipe.vae.decoder.conv_in.weight):
        weight.data.permute(1, 2, 3, 0)[1, 1, 1, 1:3] += 3
    drawn.pipe.text_encoder_2.get_input_embeddings().weight.data[1:5, 1:3] += 3
    outdated = drawn.ours()  # what precedes the site was kept
    drawn.painter.forget()
    assert not np.array_equal(drawn.ours(), outdated)
    drawn.check(before)


def test_a_widget_draws_the_unedited_picture_again(drawn: Drawn) -> None:
    before = run_key(drawn.scene, version_of(drawn.painter))
    assert run_key(drawn.scene, version_of(drawn.painter)) == before
    in_place(drawn.pipe.unet)
    after = run_key(drawn.scene, version_of(drawn.painter))
    assert after != before
    drawn.pipe.unet = torch.nn.Identity()
    assert run_key(drawn.scene, version_of(drawn.painter)) not in (before, after)


def test_icons_scenes_and_collections_tell_a_changed_pipeline_apart(
    drawn: Drawn, lora_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter, pipe = drawn.painter, drawn.pipe
    monkeypatch.setattr(Starts, "of", lambda self, run: pytest.fail("the key needs no picture"))
    keys, icons = [painter.key], painter.icons
    pipe.to(torch.bfloat16)
    assert painter.key == keys[0]
    pipe.to(torch.float32)
    pipe.load_lora_weights(lora_folder, adapter_name="one")
    keys.append(painter.key)
    assert Painter(pipe, tiny.sae(), name="again").key == keys[1]  # also if it was there from the beginning
    pipe.set_adapters("one", 0.5)
    keys.append(painter.key)
    assert painter.icons is painter.icons is not icons
    with pytest.raises(
        RuntimeError, match="the pipeline was changed since these icons; ask painter.icons again"
    ):
        icons.make([3], progress=False)
    pipe.unload_lora_weights()
    assert painter.key == keys[0]
    pipe.enable_freeu(s1=0.6, s2=0.4, b1=1.1, b2=1.2)
    keys.append(painter.key)
    pipe.disable_freeu()
    in_place(pipe.text_encoder)
    keys.append(painter.key)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    keys.append(painter.key)
    assert len(set(keys)) == len(keys) == 6
    assert painter.model.is_hashed
    hooked(pipe.unet.conv_in, [1.5])
    assert not painter.model.is_hashed  # so nothing is written to the cache


def plus_one(drawn: Drawn) -> None:
    """Of the parameters that the key is made of."""
    with torch.no_grad():
        next(p for p in drawn.pipe.vae.decoder.parameters() if p.ndim == 1).add_(1)


def test_the_vae_belongs_to_the_model(drawn: Drawn) -> None:
    painter = drawn.painter
    key, icons = painter.key, painter.icons
    original = run_key(drawn.scene, version_of(painter))
    plus_one(drawn)
    assert painter.key != key
    assert painter.icons is not icons
    assert run_key(drawn.scene, version_of(painter)) != original


@torch.no_grad()
def test_a_cast_of_the_vae_and_back_is_no_change(drawn: Drawn) -> None:
    version = drawn.painter.version
    drawn.painter.analyze(image=np.zeros((8, 8, 3), np.uint8))  # encoded in float32
    drawn.pipe.vae.to(torch.float16).to(torch.float32)  # so that the weights are casts
    halved = drawn.painter.version
    assert halved != version
    drawn.pipe.vae.to(torch.float16)
    version = drawn.painter.version
    drawn.painter.backbone.decode(torch.zeros(1, 4, 32, 32, dtype=torch.float16))  # in float32
    assert drawn.painter.version == version
    in_place(drawn.pipe.vae)
    assert drawn.painter.version != version


@pytest.mark.parametrize("part", ["unet.conv_out", "vae.decoder.conv_in"])
def test_nothing_is_kept_while_code_of_the_users_takes_part(drawn: Drawn, part: str, tmp_path: Path) -> None:
    painter, module = drawn.painter, drawn.pipe
    for name in part.split("."):
        module = getattr(module, name)
    clean = painter.icons
    pictures = []
    for factor in (1.5, -1.5):  # another hook makes other icons
        hook = hooked(module, [factor])
        assert painter.version is None
        with pytest.raises(RuntimeError, match="the pipeline was changed since these icons"):
            clean.make([3], progress=False)
        icons = painter.icons
        icons.make([3], progress=False)
        pictures.append(icons.encoded(3))
        hook.remove()
    with pytest.raises(RuntimeError, match="the pipeline was changed since these icons"):
        icons.make([4], progress=False)
    assert pictures[0] != pictures[1]
    assert 3 not in painter.icons
    assert not list((cache_folder() / "icons").glob(f"{painter.key}.zip"))


def test_collections_tell_a_changed_pipeline_apart(drawn: Drawn, tmp_path: Path) -> None:
    painter, folder = drawn.painter, tmp_path / "hooked"

    def collected(folder: Path | None) -> Collection:
        return painter.collect(["a"], folder, pictures=False, progress=False)

    hook = hooked(drawn.pipe.unet.conv_in, [1.5])
    with pytest.raises(ValueError, match="code of your own, such as a hook, takes part .* give a folder="):
        collected(None)
    codes = collected(folder).codes(0)
    assert np.array_equal(collected(folder).codes(0), codes)
    hook.remove()
    with pytest.raises(ValueError, match="was made with other weights of 'tiny' than"):
        collected(folder)
    clean = collected(None)
    assert not np.array_equal(clean.codes(0), codes)
    assert np.array_equal(collected(clean.folder).codes(0), clean.codes(0))
    in_place(drawn.pipe.unet)
    with pytest.raises(ValueError, match="was made with other weights of 'tiny' than"):
        collected(clean.folder)
    assert collected(None).folder != clean.folder


def test_an_sae_that_was_never_saved_has_no_collection_in_the_cache(drawn: Drawn, tmp_path: Path) -> None:
    painter = Painter(drawn.pipe, tiny.sae(sha256=""), name="tiny")
    with pytest.raises(ValueError, match="the SAE was never saved, .* give a folder="):
        painter.collect(["a"], pictures=False, progress=False)
    assert len(painter.collect(["a"], tmp_path / "c", pictures=False, progress=False)) == 1


def test_a_change_while_pictures_are_collected_ends_it(drawn: Drawn, tmp_path: Path) -> None:
    painter, decode = drawn.painter, drawn.painter.backbone.decode

    def changed(latents: Tensor) -> Any:
        in_place(drawn.pipe.unet)
        return decode(latents)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painter.backbone, "decode", changed)
        with pytest.raises(RuntimeError, match="the pipeline was changed while pictures were collected"):
            painter.collect(["a", "b"], tmp_path / "c", progress=False)
    assert Collection.open(tmp_path / "c").runs == [("a", 0)]


def test_statistics_are_of_the_model_as_it_was_measured() -> None:
    painter = Painter.embedded()

    def known() -> tuple[bool, bool]:
        return painter.statistics is not None, len(painter.icons) > 0

    assert known() == (True, True)
    hook = hooked(painter.pipeline.vae.decoder, [1.5])
    assert known() == (False, False)
    hook.remove()
    assert known() == (True, True)


def test_a_scene_of_before_can_be_drawn_after_a_change(drawn: Drawn, lora_folder: Path) -> None:
    drawn.pipe.load_lora_weights(lora_folder)
    after = drawn.painter.analyze(PROMPT, seed=SEED)
    assert after.model["key"] != drawn.scene.model["key"]
    drawn.ours()
    drawn.pipe.unload_lora_weights()
    drawn.ours(after)


REFUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    "a hook on a block": (
        lambda pipe: pipe.unet.up_blocks[1].register_forward_hook(lambda *_: None),
        "unet.up_blocks.1 has a forward hook: a painter does not run that; change the modules inside the "
        "blocks instead, or undo it",
    ),
    "a hook on the UNet": (
        lambda pipe: pipe.unet.register_forward_pre_hook(lambda *_: None),
        "unet has a forward hook: ",
    ),
    "a forward pass": (
        lambda pipe: setattr(pipe.unet, "forward", lambda *given: None),
        "unet.forward is not that of diffusers: ",
    ),
    "a block of another class": (
        lambda pipe: setattr(pipe.unet.mid_block, "__class__", torch.nn.Module),
        "unet.mid_block.forward is not that of diffusers: ",
    ),
    "a compiled UNet": (lambda pipe: pipe.unet.compile(), "unet is compiled as a whole: "),
    "a compiled wrapper": (
        lambda pipe: setattr(pipe, "unet", torch.compile(pipe.unet)),
        "the pipeline's unet is of class OptimizedModule, not UNet2DConditionModel; ",
    ),
    "an image adapter": (
        lambda pipe: setattr(pipe.unet, "encoder_hid_proj", torch.nn.Identity()),
        "this UNet is not of SDXL's family (encoder_hid_proj); ",
    ),
    "a UNet for other pictures": (
        lambda pipe: setattr(pipe, "unet", tiny.unet(64)),
        "the pipeline now has another UNet: latents of 64×64, 64 channels at down_blocks.2.attentions.1 "
        "instead of latents of 32×32, 64 channels at down_blocks.2.attentions.1; make a new Painter for it",
    ),
    "another device": (
        lambda pipe: pipe.vae.to("meta"),
        "the pipeline's vae was moved to meta, but this painter works on cpu; move it back, or make a new ",
    ),
    "another step": (
        lambda pipe: setattr(pipe.scheduler, "step", lambda *given: None),
        "scheduler.step was replaced, and a painter does not call it; undo that",
    ),
    "other noise": (
        lambda pipe: setattr(pipe, "prepare_latents", lambda *given: None),
        "pipeline.prepare_latents was replaced, and a painter does not call it; undo that",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_painted_into_is_refused_by_name(drawn: Drawn, name: str) -> None:
    change, message = REFUSED[name]
    change(drawn.pipe)
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            drawn.ours()
        assert str(caught.value).startswith(message)


def test_what_was_refused_can_be_undone(drawn: Drawn) -> None:
    before, unet = drawn.own(), drawn.pipe.unet
    drawn.pipe.unet = torch.compile(unet)
    with pytest.raises(ValueError, match="OptimizedModule"):
        drawn.ours()
    drawn.pipe.unet = unet
    drawn.pipe.unet.down_blocks[0].register_forward_hook(lambda *_: None).remove()
    assert np.array_equal(drawn.check(None), before)
