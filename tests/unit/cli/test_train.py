"""`ember-widgets train`: what it takes, and one line for each mistake."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from ember_widgets.cli import main
from ember_widgets.cli.errors import UserError
from ember_widgets.cli.train import count, minutes, train


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("300M", 300_000_000),
        ("2.5B", 2_500_000_000),
        ("400k", 400_000),
        ("400K", 400_000),
        ("1_000_000", 1_000_000),
        ("1,000", 1000),
        ("7", 7),
        ("0.0005M", 500),
        ("1.1G", 1_100_000_000),  # not 1100000000.0000001
    ],
)
def test_counts_are_read_as_people_write_them(text: str, number: int) -> None:
    assert count(text) == number


@pytest.mark.parametrize("text", ["", "M", "-3", "0", "1.5", "0.0001k", "1e6", "3 T", "inf", "300M patches"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a count; give a whole number, such as 400k"):
        count(text)


@pytest.fixture
def fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Starts a training that must fail as for a user's mistake; returns its one line."""
    captions = tmp_path / "captions.txt"
    captions.write_text("a cat\na dog\n")

    def run(*arguments: str) -> str:
        usual = ("--model", "embedded", "--prompts", str(captions), "--patches", "1k", "--batch", "64")
        assert main.main(("train", *usual, "--out", str(tmp_path / "run"), "--quiet", *arguments)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert not (tmp_path / "run").exists()
        return printed.err.removeprefix("ember-widgets: ").strip()

    return run


def test_a_mistake_is_one_line(fails: Callable[..., str], tmp_path: Path) -> None:
    assert "nope.txt: there is no such file" in fails("--prompts", "nope.txt")
    assert fails("--patches", "10") == (
        "n_patches=10, but a batch has 64; give more patches or a smaller batch"
    )
    assert "lr=-1.0 must be above 0" in fails("--lr", "-1")
    assert "dtype='int4' is unknown" in fails("--dtype", "int4")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "latin.txt is not in UTF-8 (byte 3 is 0xe9)" in fails("--prompts", str(tmp_path / "latin.txt"))
    (tmp_path / "empty.txt").write_text("\n\n")
    assert fails("--prompts", str(tmp_path / "empty.txt")).startswith("prompts is empty; give at least one")


def test_a_model_is_needed_and_no_sae(fails: Callable[..., str], tmp_path: Path) -> None:
    usual = ("train", "--prompts", "nope.txt", "--patches", "1k", "--out", str(tmp_path / "run"))
    with pytest.raises(UserError, match="^no model is given; give --model, or --embedded$"):
        train(parsed(*usual))
    assert "--revision does not go with the embedded model" in fails("--revision", "main")


def parsed(*arguments: str) -> argparse.Namespace:
    return main._parser().parse_args(arguments)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "soon"])
def test_what_is_no_time_between_checkpoints_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text!r} is not a time; give minutes, 0 or more"):
        minutes(text)
    assert minutes("2.5") == 2.5


def test_a_wrong_count_shows_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["train", "--model", "m", "--prompts", "p", "--out", "o", "--patches", "many"])
    assert ended.value.code == 2
    assert "argument --patches: 'many' is not a count" in capsys.readouterr().err


def test_its_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["train", "--help"])
    printed = capsys.readouterr().out
    assert "torchrun --nproc-per-node 8 -m ember_widgets.cli.main train" in printed
    assert "--patches 300M" in printed
