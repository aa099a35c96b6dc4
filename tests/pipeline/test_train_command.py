"""`ember-widgets train` with a model: what is wrong with the settings is one line, and leaves no folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ember_widgets.cli import main, train
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.painter.painter import Painter


@pytest.fixture(scope="module")
def backbone() -> SDXL:
    found = Painter.embedded().backbone
    assert isinstance(found, SDXL)
    return found


@pytest.fixture
def fails(
    tmp_path: Path, backbone: SDXL, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Starts a training that must fail as for a user's mistake; returns its one line."""
    monkeypatch.setattr(train, "load_model", lambda options: backbone)
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--site", "mid.7"), "has no such attention block; choose one of down_blocks.2.attentions.0"),
        (
            ("--k", "5000"),
            "k=5000, but expansion=8 gives 1,280 features for 160 channels; choose k in 1..1280",
        ),
        (("--buffer", "100"), "buffer=100 is outside 128.."),
        (("--steps", "1"), "steps=1 is outside 0..0"),
        (("--guidance", "99"), "guidance=99.0 is outside 0..50"),
        (("--site", "up.0.1", "--site", "up.0.1"), "; give one or more, each once"),
    ],
)
def test_wrong_settings_are_one_line(
    fails: Callable[..., str], arguments: tuple[str, ...], message: str
) -> None:
    assert message in fails(*arguments)
