"""A vision-language model of the `transformers` package, on this machine and without a server."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from ember_widgets.labelling.question import Question, Reply, Unusable
from ember_widgets.util import checks


class TransformersClient:
    """Asks an image-text-to-text model that `transformers` loads; one question at a time.

    The model is loaded, and downloaded if `model` is an id, with the first question. It answers without
    sampling: the same question has the same answer.

    Args:
        model: Hub id such as "Qwen/Qwen2.5-VL-3B-Instruct", or a folder. Its weights have to be safetensors,
            and code that comes with it is not run. Models that read videos too need torchvision.
        device: "cuda", "mps", "cpu", ...; None = the first of these that there is.
        dtype: "auto" = as its weights are saved; or "float32", "bfloat16", "float16".
        max_new_tokens: Where an answer is cut off, 16..32768. Models that think aloud need a few thousand.

    Raises:
        FileNotFoundError: `model` looks like a folder, but is not there.
        TypeError, ValueError: An argument is outside its range.
    """

    def __init__(
        self, model: str, *, device: str | None = None, dtype: str = "auto", max_new_tokens: int = 512
    ) -> None:
        path = Path(checks.text("model", model)).expanduser()
        if not path.is_dir() and (path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1):
            raise FileNotFoundError(f"no model folder at {model!r}; give a folder or a hub id")
        if dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise ValueError(
                f"dtype={checks.shown(dtype)} is not known; give 'auto', 'float32', 'bfloat16' or 'float16'"
            )
        self._source = str(path) if path.is_dir() else model
        self._name = path.name if path.is_dir() else model
        self._device = device
        self._dtype = dtype
        self._max_new_tokens = checks.integer(
            "max_new_tokens", max_new_tokens, 16, 32768, hint="an answer has 60 or so"
        )
        self._loaded: tuple[Any, Any] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"TransformersClient({self._source!r})"

    @property
    def model(self) -> str:
        """The hub id, or the name of the folder."""
        return self._name

    @property
    def in_flight(self) -> int:
        """1: a second question would only wait."""
        return 1

    async def ask(self, question: Question) -> Reply:
        """Answer a question.

        Raises:
            Unusable: The model cannot be loaded, or needs a package that is missing.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "vision-language-model")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    async def close(self) -> None:
        """Release the model and its memory; the next question loads it again."""
        thread, self._thread, self._loaded = self._thread, None, None
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)

    def _answer(self, question: Question) -> Reply:
        import torch

        if self._loaded is None:
            self._loaded = self._load()
        processor, network = self._loaded
        with Image.open(io.BytesIO(question.picture)) as picture:
            sheet = picture.convert("RGB")
        turn = {
            "role": "user",
            "content": [{"type": "image", "image": sheet}, {"type": "text", "text": question.text}],
        }
        try:
            inputs = processor.apply_chat_template(
                [turn], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        except ImportError as fault:
            raise Unusable(_missing(self._source, fault)) from None
        except ValueError as fault:
            if getattr(processor, "chat_template", None):
                raise
            raise Unusable(
                f"{self._source} has no chat template ({fault}); give an instruction-tuned model"
            ) from None
        inputs = inputs.to(network.device, network.dtype)
        n_in = inputs["input_ids"].shape[1]
        tokenizer = processor.tokenizer
        # One question has nothing to pad; without an id, a warning is logged each time.
        padding = next((x for x in (tokenizer.pad_token_id, tokenizer.eos_token_id) if x is not None), 0)
        try:
            with torch.inference_mode():
                ids = network.generate(
                    **inputs, do_sample=False, max_new_tokens=self._max_new_tokens, pad_token_id=padding
                )[0, n_in:]
        except torch.OutOfMemoryError as fault:
            raise Unusable(
                f"{network.device} has too little memory for {self._source}; give a smaller model, or "
                "device='cpu'"
            ) from fault
        return Reply(
            tokenizer.decode(ids, skip_special_tokens=True),
            tokens_in=n_in,
            tokens_out=len(ids),
            is_cut_off=len(ids) >= self._max_new_tokens,
        )

    def _load(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        device = self._device or (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
        try:
            processor = AutoProcessor.from_pretrained(self._source, trust_remote_code=False)
            if not hasattr(processor, "image_processor"):  # only the tokenizer could be loaded
                raise ValueError("it has no processor of pictures")
            network = AutoModelForImageTextToText.from_pretrained(
                self._source,
                dtype=self._dtype if self._dtype == "auto" else getattr(torch, self._dtype),
                use_safetensors=True,
                trust_remote_code=False,
            )
            return processor, network.to(device).eval()
        except ImportError as fault:
            raise Unusable(_missing(self._source, fault)) from None
        except (OSError, ValueError, KeyError, RuntimeError) as fault:
            reason = " ".join(str(fault).split())[:300]
            raise Unusable(
                f"{self._source} cannot be loaded as an image-text-to-text model ({reason}); give the hub id "
                "or the folder of one, such as 'Qwen/Qwen2.5-VL-3B-Instruct'"
            ) from fault


def _missing(model: str, fault: ImportError) -> str:
    """Which package a model needs."""
    packages = [name for name in ("torchvision", "accelerate", "av", "timm") if name in str(fault).lower()]
    advice = f"pip install {' '.join(packages)}" if packages else " ".join(str(fault).split())[:300]
    return f"{model} needs a package that is not installed: {advice}"
