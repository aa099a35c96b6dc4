"""What a training says: the bar, the live table, trackers, the forecast, the report and the figure."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import tracking

from ember_widgets.training import curves, report, summary
from ember_widgets.training.config import TrainConfig
from ember_widgets.training.evaluation import Quality
from ember_widgets.training.forecast import Forecast, Size, step_seconds, what_is_left
from ember_widgets.training.history import Row
from ember_widgets.training.history_file import HistoryFile
from ember_widgets.training.run import train_sae
from ember_widgets.training.trainer import Trainer

pytestmark = pytest.mark.unit


def row(name: str = "sae", step: int = 10, fvu: float = 0.5, seconds: float = 60.0) -> Row:
    return Row(name, step, step * 100, seconds, fvu, 10.0, 0.25, 0.5, 1e-4)


class Kept(tracking.GeneralTracker):  # type: ignore[misc]
    """A tracker of accelerate that keeps what it is told."""

    name = "kept"
    requires_logging_directory = True
    made: list[Kept] = []  # noqa: RUF012

    def __init__(self, run_name: str, logging_dir: str = "", **others: Any) -> None:
        super().__init__(_blank=True)
        self.run_name, self.logging_dir = run_name, logging_dir
        self.settings: dict[str, Any] = {}
        self.logged: list[tuple[dict[str, Any], int | None]] = []
        self.is_finished = False
        Kept.made.append(self)

    @property
    def tracker(self) -> Kept:
        return self

    def start(self) -> None:
        pass

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, Any], step: int | None = None, **others: Any) -> None:
        self.logged.append((values, step))

    def finish(self) -> None:
        self.is_finished = True


class TestTheBar:
    def test_shows_the_last_row(self, capsys: pytest.CaptureFixture[str]) -> None:
        bar = report.Bar(10, 100)
        bar.rows([row(fvu=0.25)])
        bar.step(10, 1.0)
        bar.close()
        assert "FVU 0.250, L0 10.0, dead 25 %" in capsys.readouterr().err

    def test_shows_the_range_of_several(self, capsys: pytest.CaptureFixture[str]) -> None:
        bar = report.Bar(10, 100)
        bar.rows([row("a", fvu=0.25), row("b", fvu=0.125)])
        bar.step(10, 1.0)
        bar.close()
        assert "FVU 0.125–0.250, L0 10.0," in capsys.readouterr().err

    def test_does_not_count_what_was_done_before_as_speed(self) -> None:
        bar = report.Bar(1000, 100)
        bar.step(901, 3600.0)
        assert bar._bar.initial == 90_000
        assert bar._bar.n == 90_100
        bar.close()


class TestTheLiveTable:
    def test_is_one_output_that_changes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from IPython.core.displaypub import CapturingDisplayPublisher
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.display import display

        shell: Any = InteractiveShell.instance()
        captured: Any = CapturingDisplayPublisher
        try:
            monkeypatch.setattr(shell, "display_pub", captured())
            monkeypatch.setattr(report, "REDRAW_S", -1.0)
            table = report.LiveTable(display)
            table.rows([row("a"), row("<b>")])
            table.rows([row("a", step=20, fvu=0.125), row("<b>", step=20)])
            table.close()
            first, second = shell.display_pub.outputs
        finally:
            InteractiveShell.clear_instance()
        assert not first.get("update")
        assert second["update"]
        assert second["transient"]["display_id"] == first["transient"]["display_id"]
        page = second["data"]["text/html"]
        assert "0.125" in page
        assert "2,000" in page
        assert "&lt;b&gt;" in page
        assert page.count("<tr>") == 3

    def test_is_for_notebooks(self) -> None:
        assert report.notebook_display() is None


class TestTrackers:
    def test_get_the_settings_and_every_row(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "kept", Kept)
        reporters = report.reporters(
            20, 100, progress=False, logger="kept", folder=tmp_path, settings={"k": 10, "lr": None}
        )
        run = train_sae([torch.randn(64, 8) for _ in range(4)], config(), reporters=reporters)
        tracker = Kept.made.pop()
        assert tracker.logging_dir == str(tmp_path / "logs")
        assert tracker.settings == {"k": 10, "lr": "None"}
        assert [step for _, step in tracker.logged] == [1, 2, 3, 4]
        assert [values["fvu"] for values, _ in tracker.logged] == [one.fvu for one in run.history]
        assert tracker.is_finished

    def test_may_be_given_as_objects(self) -> None:
        tracker = Kept("mine")
        (told,) = report.reporters(20, 100, progress=False, logger=[tracker])
        told.rows([row("a"), row("b", fvu=0.125)])
        assert tracker.logged[0][0]["b/fvu"] == 0.125
        assert tracker.logged[0][1] == 10

    def test_that_fail_do_not_stop_the_training(self, caplog: pytest.LogCaptureFixture) -> None:
        class Broken(Kept):
            def log(self, values: dict[str, Any], step: int | None = None, **others: Any) -> None:
                raise ConnectionError("no network")

        broken, good = Broken("broken"), Kept("good")
        with caplog.at_level(logging.WARNING, "ember_widgets"):
            (told,) = report.reporters(20, 100, progress=False, logger=[broken, good])
            told.rows([row()])
            told.rows([row(step=20)])
        assert len(good.logged) == 2
        assert caplog.text.count("no network") == 1

    def test_that_are_not_installed_are_named(self) -> None:
        there = {str(name) for name in tracking.get_available_trackers()}
        missing = next(name for name in ("aim", "comet_ml", "clearml", "dvclive") if name not in there)
        with pytest.raises(ImportError, match=f"needs the package {missing}: pip install"):
            report.reporters(20, 100, progress=False, logger=missing, folder=Path("x"))

    def test_that_nobody_knows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="'tensorbord' is unknown to accelerate; it knows .*tensorboard"):
            report.reporters(20, 100, progress=False, logger="tensorbord")
        with pytest.raises(TypeError, match="give a name"):
            report.reporters(20, 100, progress=False, logger=[3])

    def test_need_accelerate(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "accelerate", None)
        with pytest.raises(ImportError, match=r"pip install 'ember-widgets\[train\]'"):
            report.reporters(20, 100, progress=False, logger="tensorboard")


def config(**others: Any) -> TrainConfig:
    return TrainConfig(**{"n_patches": 256, "expansion": 2, "k": 2, "batch": 64, **others})


def forecast(**others: Any) -> Forecast:
    return Forecast(
        **{
            "sizes": {"sae": Size(1280, 10_240)},
            "site_widths": (1280,),
            "n_patches": 102_400_000,
            "batch": 4096,
            "n_pictures": 400_000,
            "n_prompts": 100_000,
            "are_kept": False,
            "buffer": 65_536,
            "buffer_itemsize": 2,
            "picture_s": 0.036,
            "step_s": 0.288,
            "world": 1,
            "device": torch.device("cpu"),
            "folder": None,
            **others,
        }
    )


class TestTheForecast:
    def test_says_it_in_a_few_lines(self, tmp_path: Path) -> None:
        lines = str(forecast(folder=tmp_path / "not" / "there")).splitlines()
        assert len(lines) == 4
        assert "102,400,000 patches of 400,000 pictures" in lines[0]
        assert "each of 100,000 prompts 4.0 times" in lines[0]
        assert "about 6.0 h, as measured here: 4.0 h for the pictures" in lines[1]
        assert "2.0 h for 25,000 steps" in lines[1]
        assert "315 MB for weights and optimiser" in lines[2]
        assert "168 MB for shuffling" in lines[2]
        assert "2 checkpoints and one being written" in lines[3]

    def test_says_when_the_disk_is_too_small(self, tmp_path: Path) -> None:
        large = {"sizes": {"sae": Size(10**6, 10**8)}, "folder": tmp_path}
        assert "free some, or give another folder" in str(forecast(**large))
        assert "free some" not in str(forecast(folder=tmp_path, buffer=100, sizes={"sae": Size(8, 16)}))

    def test_knows_what_a_trainer_holds(self) -> None:
        trainer = Trainer(config(expansion=8), 64)
        trainer.step(torch.randn(64, 64))
        held = sum(value.numel() * value.element_size() for value in trainer.state().values())
        assert forecast(sizes={"sae": Size(64, 512)}).trainer_bytes == pytest.approx(held, rel=0.05)

    def test_measures_steps(self) -> None:
        assert 0 < step_seconds(Trainer(config(), 8), torch.randn(10, 8), 64) < 5

    def test_of_processes_shares_the_pictures(self) -> None:
        assert forecast(world=4).pictures_s == pytest.approx(forecast().pictures_s / 4)

    def test_with_shards_draws_each_prompt_once(self) -> None:
        text = str(forecast(are_kept=True))
        assert "each of 100,000 prompts 4.0 times, drawn once" in text
        assert "about 3.0 h, as measured here: 60 min for the pictures" in text
        assert forecast(are_kept=True, n_prompts=10**9).pictures_s == forecast().pictures_s

    def test_of_a_run_that_goes_on_is_by_its_own_speed(self, tmp_path: Path) -> None:
        assert what_is_left(tmp_path, 10_000) == ""
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "step-20.checkpoint").touch()
        HistoryFile(tmp_path / "history.csv", []).rows([row(step=20, seconds=600), row(step=30, seconds=9e9)])
        text = "going on after 2,000 of 10,000 patches; at the speed so far about 40 min are left"
        assert what_is_left(tmp_path, 10_000) == text


class TestTheReport:
    def test_has_a_line_for_each_dictionary(self) -> None:
        quality = {"a": Quality(fvu=0.1234, l0=9.5, dead=0.5, positional=0.01, redundancy=0.3)}
        table = summary.rows([row("a"), row("b", fvu=0.25)], {"a": 640, "b": 1280}, quality)
        text = summary.text(table, summary.notes(table, n_skipped=2, is_finished=False, place="runs/x"))
        head, a, b, *notes = text.splitlines()
        assert head.split() == list(summary.COLUMNS)
        assert a.split() == ["a", "640", "0.1234", "9.5", "50.0", "%", "1.0", "%", "1,000", "60", "s"]
        assert b.split() == ["b", "1,280", "0.2500*", "10.0*", "25.0", "%*", "–", "1,000", "60", "s"]
        assert "2 prompts were skipped" in notes
        assert "in runs/x" in notes
        assert any("interrupted" in note for note in notes)

    def test_of_a_run_is_printed_and_shown(self) -> None:
        run = train_sae([torch.randn(64, 8) for _ in range(4)], config())
        assert run.report().splitlines()[1].split()[:2] == ["sae", "16"]
        assert run._repr_html_().count("<tr>") == 2
        assert run.plot().axes[0].get_lines()[0].get_xdata().tolist() == [64, 128, 192, 256]


class TestTheFigure:
    def test_has_a_labelled_line_for_each_dictionary(self) -> None:
        names = ["up.0.1-k5", "up.0.1-k10", "mid.0-k5"]
        figure = curves.plot([row(name, step, 0.5 / step) for step in (1, 2, 3) for name in names])
        assert len(figure.axes) == 3
        for ax in figure.axes:
            assert sorted(text.get_text() for text in ax.texts) == sorted(names)
            # All three lines end in one point: their names lie one above the other.
            assert np.diff([text.xy[1] for text in ax.texts]).min() >= curves.GAP - 1e-9
        assert figure.axes[0].get_yscale() == "log"
        assert figure.axes[2].get_lines()[0].get_ydata().tolist() == [25, 25, 25]

    def test_of_one_dictionary_says_where_it_ended(self) -> None:
        figure = curves.plot([row(step=1), row(step=2, fvu=0.125)])
        assert figure.axes[0].get_title(loc="left").endswith("0.125")
        assert figure.axes[1].get_title(loc="left").endswith("L0: 10.0")
        assert not figure.axes[0].texts

    def test_is_not_shown_twice(self) -> None:
        from matplotlib import pyplot

        before = pyplot.get_fignums()
        curves.plot([row()])
        assert pyplot.get_fignums() == before

    def test_needs_rows(self) -> None:
        with pytest.raises(ValueError, match="no rows to plot"):
            curves.plot([])
