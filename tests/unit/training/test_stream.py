"""Prompts, and what a training may be given as prompts; and what the measurements find in a dictionary."""

from __future__ import annotations

import itertools
from collections import UserList
from pathlib import Path

import pytest
import torch

from ember_widgets.training.evaluation import redundancy
from ember_widgets.training.stream import Prompts


class Column:
    """Can be gone through again and again, like a data set's column, and has no length."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(["one", "two"])


def test_prompts_come_over_and_over(tmp_path: Path) -> None:
    file = tmp_path / "captions.txt"
    file.write_text("one\n\n  two \n", "utf-8")
    for given in (["one", "two"], ("one", "two"), Column(), file, str(file)):
        assert list(itertools.islice(Prompts(given), 5)) == ["one", "two", "one", "two", "one"]


def test_a_file_has_one_prompt_in_each_line_whoever_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "captions.txt"
    file.write_bytes("\ufeffa café\r\na lion\u2028by the sea\ra dog\x0c\n".encode())
    assert Prompts(file).first == ["a café", "a lion\u2028by the sea", "a dog"]
    file.write_bytes("a lion\na café\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"captions\.txt is not in UTF-8 \(byte 12 is 0xe9\); save it in"):
        Prompts(file)


def test_all_of_a_sequence_identifies_it() -> None:
    """Shards of other prompts must not be read, however late these differ."""
    texts = [f"picture {i}" for i in range(2 * Prompts.SAMPLE)]
    other = [*texts[:-1], "another"]
    assert Prompts(UserList(texts)).name == Prompts(texts).name
    assert Prompts(UserList(other)).name != Prompts(UserList(texts)).name


@pytest.mark.parametrize("given", ["a lion", 3, b"a lion"])
def test_what_holds_no_prompts_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="give a list of texts, a text file"):
        Prompts(given)


def test_an_iterator_is_refused() -> None:
    with pytest.raises(TypeError, match="which can be gone through only once; give a list"):
        Prompts(iter(["one"]))


def test_no_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="prompts is empty"):
        Prompts([])


def test_a_dictionary_with_doubled_rows_is_redundant() -> None:
    rows = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    assert redundancy(torch.cat([rows, 2 * rows])) == pytest.approx(1, abs=1e-5)
    assert redundancy(rows) < 0.5
    assert redundancy(rows[:1]) == 0
