"""`ember-widgets download`: sizes and licences first, then everything, once, resumable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ember_widgets import Painter
from ember_widgets.cli import main
from tests.pipeline import hub as stand_in
from tests.pipeline.test_hub import MODEL, SAES, VAE, hub, repositories

__all__ = ["hub", "repositories"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as a user would."""
    command = [sys.executable, "-m", "ember_widgets.cli.main", "download", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, stdin=subprocess.DEVNULL)


def test_it_tells_sizes_and_licences_first_and_fetches_nothing_unasked(
    hub: stand_in.Hub, tmp_path: Path
) -> None:
    hub.licences[MODEL] = "sai-nc-community"
    done = run("--cache-dir", str(tmp_path))
    assert done.returncode == 2
    assert "give --yes" in done.stderr
    assert f"To be kept in {tmp_path}:" in done.stdout
    assert "the model; licence: sai-nc-community" in done.stdout
    assert "an SAE of down.2.1; licence: mit" in done.stdout
    assert "To fetch now: " in done.stdout
    assert not hub.gets


def test_it_fetches_all_that_is_needed_once_and_then_offline_is_enough(
    hub: stand_in.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--cache-dir", str(tmp_path), "--yes", "--site", "down.2.1", "--site", "up.0.1"]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "%" in done.stderr  # progress
    assert f"ember.Painter.from_pretrained('{MODEL}', sae='{SAES}', cache_dir='{tmp_path}')" in done.stdout
    assert f"{MODEL}/unet/diffusion_pytorch_model.fp16.safetensors" in hub.gets
    assert set(hub.gets.values()) == {1}
    hub.gets.clear()
    again = run(*arguments)
    assert "To fetch now: 0 B." in again.stdout
    assert not hub.gets
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    painter = Painter.from_pretrained(
        MODEL,
        sae={"down.2.1": SAES, "up.0.1": SAES},
        preview_vae=VAE,
        dtype="bfloat16",
        device="cpu",
        cache_dir=tmp_path,
    )
    assert np.asarray(painter.render(painter.analyze())).shape == (512, 512, 3)


def test_a_wrong_revision_is_one_line(
    hub: stand_in.Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["download", "--cache-dir", str(tmp_path), "--revision", "v9"]) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        f"ember-widgets: revision='v9' is not in {MODEL}; "
        "give a branch, tag or commit of it, or leave revision out\n"
    )
