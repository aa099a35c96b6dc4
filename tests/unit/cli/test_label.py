"""`ember-widgets label`: what it takes, and one line for each mistake."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from ember_widgets.cli import label as command
from ember_widgets.cli import main
from ember_widgets.cli.errors import UserError
from ember_widgets.cli.label import feature_list, price_of_tokens


def test_features_are_read_as_people_write_them() -> None:
    assert feature_list("1,2, 10-12,2") == [1, 2, 10, 11, 12]
    assert feature_list("7") == [7]
    for text in ("", "x", "1,,2", "-3", "3-", "1.5", "5-99999999999"):
        with pytest.raises(argparse.ArgumentTypeError, match="names no features; give numbers"):
            feature_list(text)
    with pytest.raises(argparse.ArgumentTypeError, match="'9-3' runs backwards"):
        feature_list("1,9-3")


def test_prices_are_numbers() -> None:
    assert price_of_tokens("0.15") == 0.15
    for text in ("", "-1", "nan", "inf", "cheap"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a price"):
            price_of_tokens(text)


@pytest.fixture
def fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Starts a labelling that must fail as for a user's mistake; returns its one line."""

    def run(*arguments: str) -> str:
        assert main.main(("label", "--collection", str(tmp_path / "none"), *arguments)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("ember-widgets: ").strip()

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --vlm, a model on a server, or --transformers, a model loaded here"),
        (("--vlm", "a", "--transformers", "b"), "give either --vlm"),
        (("--transformers", "b", "--base-url", "http://x"), "--base-url is of a server, but --transformers"),
        (("--vlm", "a", "--sae", "b"), "--sae does not go with the embedded model, which has its own"),
        (("--vlm", "a", "--price-in", "1"), "give --price-in and --price-out together, or neither"),
        (("--vlm", "a"), "there is no collection in"),
    ],
)
def test_a_mistake_is_one_line(fails: Callable[..., str], arguments: tuple[str, ...], message: str) -> None:
    assert message in fails("--model", "embedded", *arguments)


def test_the_embedded_model_leaves_the_device_to_who_is_asked(fails: Callable[..., str]) -> None:
    usual = ("--embedded", "--device", "cuda")
    assert "the embedded model runs on the CPU" in fails(*usual, "--vlm", "a")
    assert "there is no collection" in fails(*usual, "--transformers", "a")


def test_another_model_needs_an_sae(fails: Callable[..., str]) -> None:
    assert fails("--vlm", "a") == "no model is given; give --model and --sae, or --embedded"
    assert fails("--model", "some/model", "--vlm", "a").startswith("--sae is missing; give the hub id")


def test_an_interruption_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(options: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_label", interrupted)
    arguments = ("label", "--model", "embedded", "--collection", "x", "--vlm", "a")
    assert main.main(arguments) == command.INTERRUPTED == 130
    assert "what was answered is kept, and the same command goes on" in capsys.readouterr().err


def test_without_a_server_or_a_key_the_options_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    options = argparse.Namespace(transformers=None, vlm="a", base_url=None, in_flight=8)
    with pytest.raises(UserError, match="give --base-url of your own server, or set OPENAI_API_KEY"):
        command.make_client(options)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert command.make_client(options).model == "a"
