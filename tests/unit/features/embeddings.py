"""A small text embedding, written by model2vec itself: eight words, of which some mean nearly the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

VECTORS = {
    "[UNK]": (0, 0, 0, 0),
    "a": (0, 0, 0, 0),
    "cat": (1, 0, 0, 0),
    "kitten": (0.95, 0.3122, 0, 0),
    "dog": (0.27, 0.78, 0.56, 0),
    "puppy": (0.2, 0.75, 0.63, 0),
    "car": (0, 0, 0, 1),
    "red": (0.1, 0.1, 0.1, 0.1),
}


def saved(folder: Path) -> Path:
    """Write it."""
    words = list(VECTORS)
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    model = StaticModel(np.array(list(VECTORS.values()), np.float32), tokenizer)
    model.save_pretrained(folder)
    return folder


def in_cache(folder: Path, cache: Path, repo: str) -> Path:
    """Put it where the hub's client keeps what it downloaded; returns the folder of its files."""
    place = cache / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    return Path(shutil.copytree(folder, place / "snapshots" / "abc"))
