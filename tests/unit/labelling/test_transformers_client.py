"""The client for models of transformers, with a small one of random weights."""

from __future__ import annotations

import asyncio
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ember_widgets.labelling import questions
from ember_widgets.labelling.question import Question, Reply, Unusable
from ember_widgets.labelling.run import label_features
from ember_widgets.labelling.sheet import encoded
from ember_widgets.labelling.transformers_client import TransformersClient
from tests.unit.labelling.bench import Drawings

TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA with one layer; its tokens are bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("models") / "tiny-llava"
    torch.manual_seed(0)
    words = ["<pad>", "</s>", "<unk>", "<image>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [], unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **small, num_hidden_layers=2, image_size=32, patch_size=8, projection_dim=16
        ),
        text_config=LlamaConfig(
            **small,
            vocab_size=len(words),
            num_hidden_layers=1,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        ),
        image_token_index=3,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        PreTrainedTokenizerFast(
            tokenizer_object=tokens,
            pad_token="<pad>",
            eos_token="</s>",
            unk_token="<unk>",
            additional_special_tokens=["<image>"],
        ),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def question(color: str) -> Question:
    return Question("id", "label", questions.LABEL, encoded(Image.new("RGB", (320, 200), color)), {})


def asked(client: TransformersClient, *some: Question) -> list[Reply]:
    async def run() -> list[Reply]:
        try:
            return [await client.ask(one) for one in some]
        finally:
            await client.close()

    return asyncio.run(run())


def test_answers_about_the_picture_and_without_chance(folder: Path) -> None:
    client = TransformersClient(str(folder), max_new_tokens=16)
    assert (client.model, client.in_flight) == ("tiny-llava", 1)
    red, again, blue = asked(client, question("red"), question("red"), question("blue"))
    assert red == again
    assert red.text != blue.text
    assert red.tokens_in == len(questions.LABEL) + 16  # a token for each letter and for each patch
    assert (red.tokens_out, red.is_cut_off) == (16, True)


def test_leaves_the_loop_free_while_it_answers(folder: Path) -> None:
    async def run() -> int:
        client, n = TransformersClient(str(folder), max_new_tokens=64), 0
        answer = asyncio.create_task(client.ask(question("red")))
        while not answer.done():
            await asyncio.sleep(0.001)
            n += 1
        await client.close()
        return n

    assert asyncio.run(run()) > 10


def test_is_asked_by_a_run(folder: Path, tmp_path: Path) -> None:
    client = TransformersClient(str(folder), max_new_tokens=16)
    run = label_features([1], Drawings(), client, folder=tmp_path, progress=False)
    assert (run.counts["unreadable"], run.is_finished) == (1, True)
    assert "cut off after 16 tokens" in run.faults[1]


def test_says_what_a_model_lacks(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model folder at"):
        TransformersClient(str(tmp_path / "nothing"))
    with pytest.raises(Unusable, match="cannot be loaded as an image-text-to-text model"):
        asked(TransformersClient(str(tmp_path)), question("red"))

    plain = shutil.copytree(folder, tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    with pytest.raises(Unusable, match="has no chat template .*give an instruction-tuned model"):
        asked(TransformersClient(str(plain)), question("red"))


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="it is installed")
def test_names_a_package_that_a_processor_needs(folder: Path, tmp_path: Path) -> None:
    """Qwen2-VL reads videos too, for which its processor needs torchvision."""
    kinds = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(kinds), "utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}', "utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, tmp_path)
    with pytest.raises(Unusable, match="needs a package that is not installed: pip install torchvision"):
        asked(TransformersClient(str(tmp_path)), question("red"))


@pytest.mark.parametrize("more", [{"dtype": "int4"}, {"max_new_tokens": 1}])
def test_checks_its_arguments(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'auto', 'float32'|outside 16..32768"):
        TransformersClient("a/b", **more)
