"""Real processes that train: killed at three moments, two together, and under `torchrun`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ember_widgets.dictionary.load import load_sae
from ember_widgets.training.run import train_sae
from tests.pipeline import training_processes

SCRIPT = Path(training_processes.__file__)
ROOT = SCRIPT.parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
S = 120.0


def start(*arguments: object, **environment: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=ENVIRONMENT | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    process = start(SCRIPT, "killed", tmp_path_factory.mktemp("killed"))
    out, err = process.communicate(timeout=S)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("between", ["step-10.checkpoint", "step-5.checkpoint"]),
        ("while", ["step-10.checkpoint", "step-5.checkpoint"]),
        ("after", ["step-10.checkpoint", "step-15.checkpoint", "step-5.checkpoint"]),
    ],
)
def test_killed_at_any_moment_it_goes_on_to_the_same_bits(
    killed: dict[str, Any], moment: str, left: list[str]
) -> None:
    found = killed[moment]
    assert found["signal"] == signal.SIGKILL
    assert [name for name in found["left"] if not name.startswith(".")] == left
    assert any(name.startswith(".step-15.") for name in found["left"]) == (moment == "while")
    assert len(killed["whole"]["history"]) == 1 + training_processes.STEPS
    assert found["resumed"] == killed["whole"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], int, str]]:
    """What two processes found, how they ended, and what they said."""
    folder = tmp_path_factory.mktemp("shared")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        start(SCRIPT, "shared", folder, RANK=rank, WORLD_SIZE=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        for rank in range(2)
    ]
    found = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=S)
        finally:
            process.kill()
        assert out, err
        found.append((json.loads(out.splitlines()[0]), process.returncode, err))
    return found


def test_two_processes_have_the_loss_curve_of_one(shared: list[tuple[dict[str, Any], int, str]]) -> None:
    batches = torch.split(training_processes.activations(), training_processes.BATCH)
    one = train_sae(batches, training_processes.shared_config())
    (first, _, _), (second, _, _) = shared

    assert first["fvu"] == pytest.approx([row.fvu for row in one.history], rel=1e-4)
    assert first["threshold"] == pytest.approx([row.threshold for row in one.history], rel=1e-4)
    assert first["dead"] == [row.dead for row in one.history]
    assert max(first["dead"]) > 0.05  # some die, and are revived
    for what in ("fvu", "threshold", "dead", "whole"):
        assert first[what] == second[what]


def test_ctrl_c_in_one_process_ends_all_after_the_same_step(
    shared: list[tuple[dict[str, Any], int, str]],
) -> None:
    for found, _, _ in shared:
        assert found["stopped"] == [False, 13]
        assert found["resumed"]["weights"] == found["whole"]["weights"]
        assert found["resumed"]["history"] == found["whole"]["history"]


def test_what_each_process_skipped_is_added_up(shared: list[tuple[dict[str, Any], int, str]]) -> None:
    assert [found["skipped"] for found, _, _ in shared] == [[5, 5], [5, 5]]


def test_a_process_that_fails_ends_all(shared: list[tuple[dict[str, Any], int, str]]) -> None:
    (first, first_status, err), (second, second_status, _) = shared
    for when in ("first batch", "later"):
        assert second[when] == "ValueError: this process has no more"
        assert first[when].startswith("OtherProcessFailed: another process of this training failed")
    assert (first["refused"], second["refused"]) == ("ValueError", "OtherProcessFailed")
    assert second_status == -signal.SIGKILL
    assert first_status == 1, err  # it does not wait for the one that was killed


@pytest.mark.slow
def test_the_command_under_torchrun_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    captions, out = tmp_path / "captions.txt", tmp_path / "run"
    captions.write_text("\n".join(training_processes.PROMPTS))
    command = [
        *("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
        *("-m", "ember_widgets.cli.main", "train", "--model", "embedded", "--prompts", captions),
        *("--site", "down.2.1", "--expansion", "1", "--k", "4", "--batch", "64", "--patches", "4k"),
        *("--buffer", "512", "--out", out, "--checkpoint-minutes", "0", "--quiet"),
    ]
    process = start(*command)
    ends = time.monotonic() + S
    while not list(out.glob("checkpoints/step-?.checkpoint")) and time.monotonic() < ends:
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=S)
    assert not (out / "finished.json").exists()
    assert load_sae(out).n_features == 160
    assert len(list(out.glob("checkpoints/step-*-1-of-2.checkpoint"))) in (1, 2)

    process = start(*command[:-2], "10", "--quiet")
    printed, err = process.communicate(timeout=S)
    assert process.returncode == 0, err
    assert "160 features of 160 channels" in printed
    rows = (out / "history.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[1]) for row in rows] == list(range(1, 63))
    assert torch.isfinite(load_sae(out).W_dec).all()
