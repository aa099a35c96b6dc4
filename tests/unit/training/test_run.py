"""A training from its first batch to its SAE: interrupted, gone on with, and in whose folder."""

from __future__ import annotations

import csv
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ember_widgets.dictionary.load import load_sae, save_sae
from ember_widgets.dictionary.sae import SAE
from ember_widgets.scene import site_names
from ember_widgets.training import checkpoint
from ember_widgets.training import run as run_module
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import measure
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.run import Part, Reporter, Row, TrainingRun, train, train_sae
from ember_widgets.training.shards import Shards
from ember_widgets.training.stream import TensorBatches
from ember_widgets.training.trainer import Trainer

D_MODEL, BATCH, STEPS = 8, 16, 30
SITE = "down_blocks.2.attentions.1"


def config(**changed: Any) -> TrainConfig:
    usual = {"n_patches": STEPS * BATCH, "batch": BATCH, "expansion": 2, "k": 2, "lr": 1e-2, "dead_after": 40}
    return TrainConfig(**usual | changed)


def activations(n: int = STEPS * BATCH, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(12, D_MODEL, generator=generator)
    return torch.rand(n, 12, generator=generator).pow(4) @ directions


class Stream:
    """Activations in portions that are no batches; something happens before a portion."""

    def __init__(self, x: Tensor, at: int = -1, happens: Any = None) -> None:
        self._portions: tuple[Tensor, ...] = torch.split(x, 11)
        self._at, self._happens = at, happens
        self.n_given = 0

    def __iter__(self) -> Iterator[Tensor]:
        for i, portion in enumerate(self._portions):
            if i == self._at:
                self._happens()
            self.n_given += 1
            yield portion


class Calls(Reporter):
    """Calls something after a step, and notes what it is told."""

    def __init__(self, at: int = -1, happens: Any = None) -> None:
        self._at, self._happens = at, happens
        self.steps: list[int] = []
        self.found: list[Row] = []
        self.n_closed = 0

    def step(self, n_steps_done: int, seconds: float) -> None:
        self.steps.append(n_steps_done)
        if n_steps_done == self._at:
            self._happens()

    def rows(self, rows: list[Row]) -> None:
        self.found.extend(rows)

    def close(self) -> None:
        self.n_closed += 1


class Killed(Exception):
    """Stands for the end of the process: nothing is saved after it."""


def kill() -> None:
    raise Killed


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def weights(sae: SAE) -> dict[str, Tensor]:
    return {"W_enc": sae.W_enc, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec} | {
        name: value for name in ("threshold", "unit") if isinstance(value := getattr(sae, name), Tensor)
    }


def assert_same(one: TrainingRun, other: TrainingRun) -> None:
    """Bit by bit, but for the time it took."""
    assert one.saes.keys() == other.saes.keys()
    for name, sae in one.saes.items():
        for key, value in weights(sae).items():
            assert torch.equal(value, weights(other.saes[name])[key]), key
    assert [row._replace(seconds=0) for row in one.history] == [
        row._replace(seconds=0) for row in other.history
    ]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """The run that nothing interrupts."""
    return train_sae(Stream(activations()), config(), folder=tmp_path_factory.mktemp("whole") / "run")


def test_a_run_without_a_folder_is_the_same(whole: TrainingRun) -> None:
    calls = Calls()
    run = train_sae(Stream(activations()), config(), reporters=[calls])

    assert_same(run, whole)
    assert run.folder is None
    assert calls.steps == list(range(1, STEPS + 1))
    assert calls.found == run.history
    assert calls.n_closed == 1
    assert run.is_finished
    assert [row.n_patches for row in run.history] == [BATCH * step for step in range(1, STEPS + 1)]


def test_the_table_holds_the_history_exactly(whole: TrainingRun) -> None:
    assert whole.folder is not None
    assert [row["fvu"] for row in table(whole.folder)] == [repr(row.fvu) for row in whole.history]
    assert (whole.folder / "sae.safetensors").exists()
    assert list((whole.folder / "checkpoints").iterdir()) == []  # a finished run needs none


@pytest.mark.parametrize(("every", "at"), [(1, 2), (4, 8), (7, 29)])
def test_a_killed_run_goes_on_exactly(every: int, at: int, whole: TrainingRun, tmp_path: Path) -> None:
    calls = Calls(at, kill)
    with pytest.raises(Killed):
        train_sae(Stream(activations()), config(), folder=tmp_path, reporters=[calls], checkpoint_steps=every)
    assert calls.n_closed == 1

    run = train_sae(Stream(activations()), config(), folder=tmp_path, checkpoint_steps=every)
    assert_same(run, whole)
    assert whole.folder is not None
    assert table(tmp_path) == table(whole.folder)


def test_rows_between_checkpoints_average_the_same_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint falls within the steps that a row is the mean of."""
    monkeypatch.setattr(run_module, "ROWS", 10)
    expected = train_sae(Stream(activations()), config())
    assert [row.step for row in expected.history] == list(range(3, STEPS + 1, 3))
    with pytest.raises(Killed):
        train_sae(
            Stream(activations()), config(), folder=tmp_path, reporters=[Calls(9, kill)], checkpoint_steps=7
        )
    assert_same(train_sae(Stream(activations()), config(), folder=tmp_path), expected)


def test_a_line_that_was_cut_off_is_written_anew(whole: TrainingRun, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train_sae(
            Stream(activations()),
            config(),
            folder=tmp_path,
            reporters=[Calls(9, kill)],
            checkpoint_steps=7,
        )
    file = tmp_path / "history.csv"
    file.write_bytes(file.read_bytes()[:-20])

    train_sae(Stream(activations()), config(), folder=tmp_path)
    assert whole.folder is not None
    assert table(tmp_path) == table(whole.folder)


def test_a_finished_run_is_returned_at_once(whole: TrainingRun) -> None:
    stream = Stream(activations())
    again = train_sae(stream, config(), folder=whole.folder)

    assert stream.n_given == 0
    assert again.is_finished
    assert again.history == whole.history
    assert_same(again, whole)


def test_resume_false_begins_anew(whole: TrainingRun, tmp_path: Path) -> None:
    train_sae(Stream(activations(seed=1)), config(lr=0.5), folder=tmp_path)

    assert_same(train_sae(Stream(activations()), config(), folder=tmp_path, resume=False), whole)


@pytest.mark.parametrize("where", ["step", "stream"])
def test_an_interrupted_run_has_an_sae_and_goes_on_exactly(
    where: str, whole: TrainingRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(signal.SIGINT)
    at = {"step": (-1, 12), "stream": (17, -1)}[where]
    stream, calls = Stream(activations(), at[0], interrupt), Calls(at[1], interrupt)
    stopped = train_sae(stream, config(), folder=tmp_path, reporters=[calls])

    assert not stopped.is_finished
    assert 10 < stopped.history[-1].step < 15
    assert "interrupted" in repr(stopped)
    assert "the training ends after this step" in caplog.text
    assert signal.getsignal(signal.SIGINT) is before
    sae = load_sae(tmp_path)
    assert float(measure(sae, activations(seed=0)).fvu) < 1
    assert_same(train_sae(Stream(activations()), config(), folder=tmp_path), whole)


def test_a_second_interrupt_ends_it_at_once(whole: TrainingRun, tmp_path: Path) -> None:
    def twice() -> None:
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        train_sae(Stream(activations(), 17, twice), config(), folder=tmp_path, checkpoint_steps=5)
    assert not (tmp_path / "sae.safetensors").exists()
    assert_same(train_sae(Stream(activations()), config(), folder=tmp_path), whole)


def test_an_interrupt_before_the_first_step_leaves_nothing_to_keep(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(
            {"sae": Part(SITE, config())},
            Interrupted(Stream(activations())),
            target="update",
            folder=tmp_path,
        )


class Interrupted(TensorBatches):
    """Interrupted in the middle of its first batch, and looks whether it was, as pictures do."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, SITE, BATCH)

    def next(self) -> dict[str, Tensor]:
        from ember_widgets.training import interrupts

        interrupt()
        interrupts.raise_if_asked()
        return super().next()


def test_in_a_thread_it_trains_too(whole: TrainingRun) -> None:
    found: list[TrainingRun] = []
    thread = threading.Thread(target=lambda: found.append(train_sae(Stream(activations()), config())))
    thread.start()
    thread.join()
    assert_same(found[0], whole)


def several() -> dict[str, Part]:
    return {
        "one": Part(SITE, config()),
        "larger": Part(SITE, config(expansion=3)),
        "denser": Part(SITE, config(k=4)),
    }


def test_several_dictionaries_on_one_stream_go_on_exactly(whole: TrainingRun, tmp_path: Path) -> None:
    def start(**others: Any) -> TrainingRun:
        batches = TensorBatches(Stream(activations()), SITE, BATCH)
        return train(several(), batches, target="output", folder=tmp_path, **others)

    with pytest.raises(Killed):
        start(reporters=[Calls(12, kill)], checkpoint_steps=5)
    run = start()

    assert list(run.saes) == ["one", "larger", "denser"]
    assert [sae.n_features for sae in run.saes.values()] == [16, 24, 16]
    assert torch.equal(run.saes["one"].W_dec, whole.sae.W_dec)
    assert load_sae(tmp_path / "denser").k == 4
    assert [row.dictionary for row in run.history] == ["one", "larger", "denser"] * STEPS
    with pytest.raises(ValueError, match=r"trained 3 dictionaries; choose one: run.saes\[...\]"):
        _ = run.sae


def test_a_run_that_begins_anew_removes_the_dictionaries_before_it(
    whole: TrainingRun, tmp_path: Path
) -> None:
    def start_several() -> TrainingRun:
        batches = TensorBatches(Stream(activations()), SITE, BATCH)
        return train(several(), batches, target="output", folder=tmp_path, resume=False)

    def start_one() -> TrainingRun:
        return train_sae(Stream(activations()), config(), folder=tmp_path, resume=False)

    def found() -> list[str]:
        return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("sae.safetensors"))

    start_several()
    (tmp_path / "denser" / "notes.txt").write_text("mine")
    assert_same(start_one(), whole)
    assert found() == ["sae.safetensors"]
    assert [(tmp_path / name).exists() for name in several()] == [False, False, True]
    start_several()
    assert found() == [f"{name}/sae.safetensors" for name in ("denser", "larger", "one")]


def test_its_own_dictionary_is_returned_whatever_lies_below(whole: TrainingRun, tmp_path: Path) -> None:
    other = train_sae(Stream(activations(seed=1)), config()).sae
    for below in ("down.2.1-k10-x8", "shards"):
        save_sae(other, tmp_path / below)
    for _ in range(2):  # trained, and then returned as it is
        assert_same(train_sae(Stream(activations()), config(), folder=tmp_path), whole)
    assert torch.equal(load_sae(tmp_path).W_enc, whole.sae.W_enc)


def test_the_folder_of_shards_is_refused(tmp_path: Path) -> None:
    Shards(tmp_path, {}, 3)
    with pytest.raises(ValueError, match="holds shards; give the training and its shards two folders"):
        train_sae(Stream(activations()), config(), folder=tmp_path)


def test_what_completes_an_sae_is_given_what_it_has_not_seen(tmp_path: Path) -> None:
    held = activations(60, seed=7)[None]

    def finish(sae: SAE, x: Tensor | None) -> Any:
        assert x is held
        return sae, measure(sae, x[0])

    run, again = (
        train(
            {"sae": Part(SITE, config())},
            TensorBatches(Stream(activations()), SITE, BATCH),
            target="update",
            folder=tmp_path,
            held_out=lambda: {SITE: held},
            finish=finish,
        )
        for _ in range(2)
    )
    assert run.quality["sae"] == measure(run.sae, held[0])
    assert again.quality == run.quality


# What is wrong


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"config": config(k=3)}, r"sae\.k: 2 there, 3 here"),
        ({"config": config(seed=5, lr=0.5)}, r"sae\.lr: 0.01 there, 0.5 here; sae\.seed: 0 there, 5 here"),
        ({"site": "up.0.1"}, r"sae\.site: 'down_blocks.2.attentions.1' there, 'up_blocks.0.attentions.1'"),
        ({"target": "output"}, "target: 'update' there, 'output' here"),
    ],
)
def test_the_folder_of_another_run_says_what_differs(
    changed: dict[str, Any], message: str, whole: TrainingRun
) -> None:
    given: dict[str, Any] = {"config": config(), "folder": whole.folder} | changed
    with pytest.raises(ValueError, match=f"is of another run .*{message}.*resume=False"):
        train_sae(Stream(activations()), **given)


def test_other_threads_and_versions_are_the_same_run(whole: TrainingRun) -> None:
    assert whole.folder is not None
    settings = whole.folder / "settings.json"
    text = settings.read_text()
    try:
        settings.write_text(text.replace('"threads": ', '"threads": 9'))
        assert_same(train_sae(Stream(activations()), config(), folder=whole.folder), whole)
    finally:
        settings.write_text(text)


def test_a_folder_with_something_else_is_left_alone(whole: TrainingRun, tmp_path: Path) -> None:
    save_sae(whole.sae, tmp_path / "sae")
    (tmp_path / "settings.json").write_text('{"editor.tabSize": 4}')
    for folder, message in ((tmp_path / "sae", "holds an SAE"), (tmp_path, "not of a training")):
        before = sorted(folder.rglob("*"))
        for resume in (True, False):
            with pytest.raises(ValueError, match=message):
                train_sae(Stream(activations()), config(), folder=folder, resume=resume)
        assert sorted(folder.rglob("*")) == before


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    def second() -> None:
        train_sae(Stream(activations()), config(), folder=tmp_path)

    with pytest.raises(ValueError, match="another training writes to"):
        train_sae(Stream(activations()), config(), folder=tmp_path, reporters=[Calls(5, second)])
    second()  # the lock ended with the first


def test_a_disk_that_fills_up_stops_it_with_a_whole_checkpoint(
    whole: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    fill = Calls(12, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1])))
    try:
        with pytest.raises(OSError, match=r"cannot write .*(checkpoint|csv).*free some space on the disk"):
            train_sae(Stream(activations()), config(), folder=tmp_path, reporters=[fill], checkpoint_steps=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-10.checkpoint",
        "step-5.checkpoint",
    ]
    assert_same(train_sae(Stream(activations()), config(), folder=tmp_path), whole)


def test_a_stream_that_ends_too_early_or_gives_something_else_says_so() -> None:
    with pytest.raises(ValueError, match="the stream ended after 6 of 30 batches; give more activations"):
        train_sae(Stream(activations(100)), config())
    with pytest.raises(ValueError, match=r"the stream gave \(4,\); give tensors \(n, d_model\)"):
        train_sae([torch.zeros(4)], config())


def test_an_iterator_that_was_read_before_cannot_be_gone_on_with(tmp_path: Path) -> None:
    stream, x = iter(Stream(activations())), activations()
    x[200] = torch.nan
    with pytest.raises(FloatingPointError):
        train_sae(Stream(x), config(), folder=tmp_path, checkpoint_steps=5)
    for _ in stream:  # as a notebook's cell leaves it that is run a second time
        pass
    with pytest.raises(ValueError, match=r"ended after 0 of the 10 batches .* the same activations again"):
        train_sae(stream, config(), folder=tmp_path)


def test_nan_stops_it_with_a_whole_checkpoint(tmp_path: Path) -> None:
    x = activations()
    x[200] = torch.nan
    with pytest.raises(FloatingPointError, match="the loss of step 13 is not finite"):
        train_sae(Stream(x), config(), folder=tmp_path, checkpoint_steps=5)
    assert (tmp_path / "checkpoints" / "step-10.checkpoint").exists()


def test_too_little_memory_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    # A real one: no machine has so much.
    monkeypatch.setattr(Trainer, "step", lambda self, x: torch.empty(1 << 60))
    with pytest.raises(MemoryError, match="ran out of memory while training an SAE .*smaller batch"):
        train_sae(Stream(activations()), config())


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="batch=16, but 3 processes share it; give a multiple of 3"):
        train(
            {"sae": Part(SITE, config())},
            TensorBatches([], SITE, 5),
            target="update",
            folder=None,
            ranks=Ranks(0, 3),
        )


def test_dictionaries_on_one_stream_have_the_same_batch() -> None:
    parts = {"a": Part(SITE, config()), "b": Part(SITE, config(batch=8))}
    with pytest.raises(ValueError, match="the same n_patches and batch"):
        train(parts, TensorBatches([], SITE, 8), target="update", folder=None)


@pytest.mark.parametrize(
    ("given", "error"),
    [({"checkpoint_steps": 0}, ValueError), ({"checkpoint_s": "often"}, TypeError), ({"site": 3}, TypeError)],
)
def test_wrong_types_are_refused(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(given))):
        train_sae(Stream(activations()), config(), **given)


def test_sites_are_known_by_short_names(whole: TrainingRun) -> None:
    assert whole.sae.site == site_names.full("down.2.1") == SITE
    assert checkpoint.KEPT == 2
