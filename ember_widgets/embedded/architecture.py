"""The untrained networks of the embedded model: SDXL's family, small enough for a CPU.

Everything is a stock diffusers/transformers class, so that `from_pretrained` needs nothing of ours. Latents
are 64×64 like SDXL-Turbo's, hence `down_blocks.2.attentions.1` works on 16×16 patches here too.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, EulerDiscreteScheduler, UNet2DConditionModel
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ember_widgets.embedded import captions, vocabulary
from ember_widgets.util import files

D_MODEL = 160
D_CODES, N_ORTHOGONAL = 64, 38
D_TEXT = 64
MAX_TOKENS = captions.MAX_WORDS + 2
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


def build_vae() -> AutoencoderTiny:
    """256×256 pixels to 64×64×4 latents of about unit variance, 4× smaller each way."""
    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(0, 1, 3),
        num_decoder_blocks=(3, 2, 0),
        upsampling_scaling_factor=2,
        latent_channels=4,
        scaling_factor=1.0,
    )


def build_unet() -> UNet2DConditionModel:
    """A UNet as SDXL's with 9M parameters: text cross-attention only at 16×16; predicts the clean latents."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 64, D_MODEL),
        layers_per_block=(1, 2, 2),
        transformer_layers_per_block=[[1], [1, 1], [1, 2]],
        reverse_transformer_layers_per_block=[[1, 1, 1], 1, 1],
        attention_head_dim=[1, 2, 5],
        cross_attention_dim=D_TEXT,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=D_TEXT + 6 * 8,
        norm_num_groups=8,
    )


def build_scheduler() -> EulerDiscreteScheduler:
    """SDXL-Turbo's timesteps and noise, for a network that predicts the clean latents.

    A prediction of noise or v has to hold the input's noise exactly, or some of it stays in the picture; so
    small a network passes on 6 % of it at t=249. The clean latents it can draw from the codes at every
    timestep. SDXL-Turbo's own scheduler, the ancestral one, refuses that prediction.
    """
    return EulerDiscreteScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="sample",
        timestep_spacing="trailing",
    )


def build_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write CLIP's vocabulary files and load them: each word of a caption one token, all else in bytes."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = [*letters, *(c + "</w>" for c in letters)]
    merges: list[tuple[str, str]] = []
    for word in caption_words():
        parts = _bpe([*word[:-1], word[-1] + "</w>"], merges)
        while len(parts) > 1:  # what earlier words' merges leave apart is joined by new, lower-ranked ones
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
            vocab.append(parts[0])
    vocab += [BOS, EOS]
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "vocab.json": json.dumps({t: i for i, t in enumerate(vocab)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n",
    }
    for name, text in texts.items():  # several training processes may do this at once
        files.write(folder / name, text.encode())
    return CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        bos_token=BOS, eos_token=EOS, unk_token=EOS, pad_token=EOS, model_max_length=MAX_TOKENS,
    )  # fmt: skip


def _bpe(parts: list[str], merges: list[tuple[str, str]]) -> list[str]:
    """Apply byte-pair merges, best rank first."""
    rank = {pair: i for i, pair in enumerate(merges)}
    while pairs := [(rank[p], i) for i, p in enumerate(pairwise(parts)) if p in rank]:
        i = min(pairs)[1]
        parts = [*parts[:i], parts[i] + parts[i + 1], *parts[i + 2 :]]
    return parts


def caption_words() -> list[str]:
    """Every word that a caption can hold."""
    phrases = (vocabulary.GROUND_PHRASES, vocabulary.SKY_PHRASES, vocabulary.BACKDROP_PHRASES)
    places = (phrase for group in (*phrases, vocabulary.STYLE_PHRASES) for phrase in group)
    looks = range(vocabulary.FIRST_THING, len(vocabulary.LABELS))
    words = tuple(vocabulary.look(label).words for label in looks)
    several = tuple(
        captions.plural(vocabulary.look(label).words[0]) for label in looks if captions.is_countable(label)
    )
    groups = (*places, *words, several, captions.GLUE)
    return sorted(set(" ".join(phrase for group in groups for phrase in group).split()))


def build_text_encoders(tokenizer: CLIPTokenizer) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """SDXL's pair of text encoders, two layers each; their hidden states are laid side by side."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=D_TEXT // 2,
        intermediate_size=D_TEXT,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=D_TEXT,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config), CLIPTextModelWithProjection(config)


def open_noise_path(unet: UNet2DConditionModel) -> None:
    """Let the 4×4 means of the four latent channels reach the 16×16 stream unchanged, from initialisation on.

    The layout of a scene is read from these means (`captions.fields`); a randomly initialised encoder hides
    them. Each top-level width keeps its last four channels for them, and no residual branch writes there at
    first.
    """
    state, spare = unet.state_dict(), {32: range(28, 32), 64: range(60, 64), D_MODEL: range(156, 160)}

    def clear(name: str, rows: range) -> None:
        state[f"{name}.weight"][list(rows)] = 0
        state[f"{name}.bias"][list(rows)] = 0

    def shortcut(name: str, source: range, target: range) -> None:
        clear(name, target)
        for a, b in zip(source, target, strict=True):
            state[f"{name}.weight"][b, a] = 1

    def pool(name: str, rows: range) -> None:
        clear(name, rows)
        for c in rows:  # the mean of 2×2 independent values, with gain 2 to keep unit variance
            state[f"{name}.weight"][c, c, 1:, 1:] = 0.5

    for name in state:  # all else starts small, so that normalisation does not hide the four channels
        if name.startswith(("conv_in.weight", "down_blocks")) and name.endswith(
            ("conv_in.weight", "conv2.weight", "conv_shortcut.weight", "downsamplers.0.conv.weight")
        ):
            state[name] *= 0.2
    clear("conv_in", spare[32])
    for i, c in enumerate(spare[32]):
        state["conv_in.weight"][c, i, 1, 1] = 1
    pool("down_blocks.0.downsamplers.0.conv", spare[32])
    shortcut("down_blocks.1.resnets.0.conv_shortcut", spare[32], spare[64])
    pool("down_blocks.1.downsamplers.0.conv", spare[64])
    shortcut("down_blocks.2.resnets.0.conv_shortcut", spare[64], spare[D_MODEL])
    for name, rows in (
        ("down_blocks.0.resnets.0.conv2", spare[32]),
        ("down_blocks.1.resnets.0.conv2", spare[64]),
        ("down_blocks.1.resnets.1.conv2", spare[64]),
        ("down_blocks.2.resnets.0.conv2", spare[D_MODEL]),
    ):
        clear(name, rows)


def site_directions() -> torch.Tensor:
    """Each attribute's direction at the site, (n_attributes, D_MODEL), 1.5·sqrt(D_MODEL) long.

    All lie in `D_CODES` of the D_MODEL dimensions, which are fewer than the attributes: they are in
    superposition (Elhage et al. 2022, arXiv:2209.10652). The first `N_ORTHOGONAL` are orthogonal; the others
    are as far from these and from each other as a few steps down the sum of their cosines' fourth powers
    bring them.
    """
    basis = torch.empty(D_MODEL, D_MODEL)
    nn.init.orthogonal_(basis, generator=torch.Generator().manual_seed(1))
    n = len(vocabulary.ATTRIBUTES)
    units = torch.eye(n, D_CODES)
    units[N_ORTHOGONAL:] = torch.randn(n - N_ORTHOGONAL, D_CODES, generator=torch.Generator().manual_seed(2))
    units = F.normalize(units, dim=1)
    for _ in range(300):
        cosines = (units @ units.T).fill_diagonal_(0)
        units[N_ORTHOGONAL:] -= (cosines**3 @ units)[N_ORTHOGONAL:]
        units = F.normalize(units, dim=1)
    directions: torch.Tensor = 1.5 * D_MODEL**0.5 * units @ basis[:D_CODES]
    return directions


def label_attributes() -> torch.Tensor:
    """Which attributes each label has, 0 or 1, (n_labels, n_attributes)."""
    has = torch.zeros(len(vocabulary.LABELS), len(vocabulary.ATTRIBUTES))
    for i in range(len(vocabulary.LABELS)):
        for attribute in vocabulary.attributes(i):
            has[i, vocabulary.ATTRIBUTES.index(attribute)] = 1
    return has


@cache
def site_codes() -> torch.Tensor:
    """The code of each label at the site, (n_labels, D_MODEL): the sum of its attributes' directions.

    "paper" has code 0, so that an untouched blank canvas is the absence of features; "cat hands on face" is
    cat + hands on face, so that a state can be painted on its own, and "pine" is tree + pine, so that a tree
    can be turned into another by weighting features.
    """
    return label_attributes() @ site_directions()
