"""The options that name a model: what reaches it, and what is refused because it would have no effect."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ember_widgets.cli import main, mcp, model_options

Opened = tuple[str, tuple[Any, ...], dict[str, Any]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Opened]:
    """What a command opens for these options."""

    class Painter:
        @staticmethod
        def embedded(*args: Any, **options: Any) -> Opened:
            return "embedded", args, options

        @staticmethod
        def from_pretrained(*args: Any, **options: Any) -> Opened:
            return "from_pretrained", args, options

    module = ModuleType("ember_widgets.painter.painter")
    module.Painter = Painter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ember_widgets.painter.painter", module)

    def run(*arguments: str) -> Opened:
        options = main._parser().parse_args(arguments)
        if options.command == "mcp":
            mcp._check(options)
            return mcp._opened(options)  # type: ignore[return-value]
        model_options.check(options)
        return model_options.open_painter(options)  # type: ignore[return-value]

    return run


@pytest.mark.parametrize("which", [(), ("--embedded",), ("--model", "embedded")])
def test_an_agents_embedded_model_is_opened_as_the_options_say(
    opened: Callable[..., Opened], which: tuple[str, ...]
) -> None:
    found = opened("mcp", *which, "--site", "up.0.1", "--dtype", "float32")
    assert found == ("embedded", (), {"sites": "up.0.1", "dtype": "float32"})
    assert opened("mcp", *which) == ("embedded", (), {"sites": "down.2.1", "dtype": "auto"})


@pytest.mark.parametrize(
    ("command", "labels"),
    [(("mcp",), "l.json"), (("label", "--collection", "c", "--vlm", "v"), None)],
)
def test_another_model_is_loaded_as_the_options_say(
    opened: Callable[..., Opened], command: tuple[str, ...], labels: str | None
) -> None:
    more = () if labels is None else ("--labels", labels)
    loading = (
        "--device",
        "cuda",
        "--dtype",
        "float16",
        "--variant",
        "none",
        "--revision",
        "main",
        "--token",
        "t",
    )
    name, args, options = opened(*command, "--model", "m", "--sae", "s", "--site", "up.0.1", *loading, *more)
    assert (name, args) == ("from_pretrained", ("m",))
    assert options == {
        "sae": "s",
        "site": "up.0.1",
        "labels": labels,
        "device": "cuda",
        "dtype": "float16",
        "revision": "main",
        "variant": None,
        "cache_dir": None,
        "token": "t",
        "local_files_only": False,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--embedded", "--sae", "zzz"), "--sae does not go with the embedded model, which has its own"),
        (("--sae", "zzz"), "--sae does not go with the embedded model, which has its own"),
        (("--labels", "nope"), "--labels does not go with the embedded model"),
        (("--variant", "none"), "--variant does not go with the embedded model"),
        (("--device", "banana"), "--device banana: the embedded model runs on the CPU; leave out --device"),
        (("--model", "m", "--embedded"), "--model and --embedded exclude each other; give one of them"),
        (("--model", "m"), "--sae is missing; give the hub id, folder or file of the SAE"),
        (("--token-file", "t"), "--token-file is for a server; give --url too"),
        (("--url", "http://x", "--embedded"), "--embedded is of a model here, but --url names a server"),
        (("--url", "http://x", "--sae", "s"), "--sae is of a model here, but --url names a server"),
        (("--url", "http://x", "--dtype", "float32"), "--dtype is of a model here, but --url names a server"),
        (("--url", "http://x", "--local-files-only"), "--local-files-only is of a model here"),
        (("--url", "x"), "--url: url='x' is not the address of a server; give e.g. 'http://127.0.0.1:8777'"),
        (("--url", "http://x", "--token-file", "/none/t"), "--token-file: [Errno 2] No such file"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(("mcp", "--folder", "/none", *arguments)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"ember-widgets: {message}")
    assert printed.count("\n") == 1


def test_none_stands_for_leaving_out() -> None:
    options: argparse.Namespace = main._parser().parse_args(["download", "--variant", "none"])
    assert (options.variant, options.preview_vae) == (None, "madebyollin/taesdxl")
