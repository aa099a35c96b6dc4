"""Labelling many features from the atlas: first what it takes, then its progress, and a way to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ember_widgets.features.collection import Collection
from ember_widgets.features.labels import Label
from ember_widgets.labelling.forecast import LabelForecast
from ember_widgets.labelling.question import LabelClient
from ember_widgets.labelling.run import LabelProgress, LabelRun
from ember_widgets.painter.protocol import LabelsFeatures
from ember_widgets.util.checks import plural
from ember_widgets.util.words import duration
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.paint.requests import last_line, sentence

SHOW_EVERY_S = 0.4
Stage = Literal["idle", "counting", "asking", "running", "stopping", "done"]
BUSY: tuple[Stage, ...] = ("counting", "running", "stopping")
_OUTCOMES = {
    "refused": "refused",
    "unreadable": "not readable",
    "failed": "failed",
    "silent": "active in no picture",
}


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Args:
        stage: "asking" shows a forecast and waits for a yes.
        text: What to say of it.
        share: Of the features that are done, 0..1.
        fault: The last thing that went wrong, in one line.
    """

    stage: Stage = "idle"
    text: str = ""
    share: float = 0.0
    fault: str = ""

    def content(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {"stage": self.stage, "text": self.text, "share": self.share, "fault": self.fault}


class BatchLabelling:
    """Labels features in a thread of its own, one batch at a time.

    Args:
        painter: Labels them.
        collection: The pictures in which they are shown.
        client: Answers.
        on_progress: Takes every new `Progress`, from any thread.
        on_labels: Called with new labels {feature: label}, from any thread. The painter adds them to its own
            when the batch has ended; until then it is up to this call.
        on_fault: Called with what ended a batch or a forecast.

    Attributes:
        now: How far it is.
    """

    def __init__(
        self,
        painter: LabelsFeatures,
        collection: Collection,
        client: LabelClient,
        *,
        on_progress: Callable[[Progress], None],
        on_labels: Callable[[Mapping[int, Label]], None],
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self.now = Progress()
        self._painter, self._collection, self._client = painter, collection, client
        self._on_progress, self._on_labels, self._on_fault = on_progress, on_labels, on_fault
        self._features: tuple[int, ...] = ()
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._new: dict[int, Label] = {}
        self._told = 0.0
        self._worker = Worker("atlas labels", on_error=self._failed)

    @property
    def busy(self) -> bool:
        """Whether a forecast or a batch is under way."""
        return self.now.stage in BUSY

    def ask(self, features: Sequence[int]) -> None:
        """Count what labelling these features takes, and say it; `start` then begins."""
        with self._lock:
            if self.busy or not features:
                return
            self._features = tuple(features)
            self._say(Progress("counting", f"Counting what {_features(len(features))} take…"))
        self._worker.put("forecast", self._count)

    def start(self, features: Sequence[int] | None = None) -> None:
        """Label the features of the forecast, or these.

        Raises:
            RuntimeError: A batch is under way.
        """
        with self._lock:
            if self.busy:
                raise RuntimeError("features are being labelled; wait, or call atlas.stop_labelling() first")
            if features is None and self.now.stage != "asking":
                return  # the click came twice, or from a page that missed the end
            self._features = self._features if features is None else tuple(features)
            self._stopping.clear()
            n = len(self._features)
            self._say(Progress("running", f"0 of {_features(n)}"))
        self._worker.put("label", self._run)

    def stop(self) -> None:
        """Ask nothing more; open calls are finished, and every answer is kept."""
        self._stopping.set()
        with self._lock:
            if self.now.stage == "running":
                self._say(replace(self.now, stage="stopping", text="Stopping: open calls are finished…"))

    def dismiss(self) -> None:
        """Take back a forecast, or the last line of a batch that ended."""
        with self._lock:
            if not self.busy:
                self._say(Progress())

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is under way; False if that took longer than `timeout` seconds."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop, and tell nobody any more."""
        self._stopping.set()
        with self._lock:
            self._on_progress = self._on_labels = self._on_fault = _ignore
        self._worker.close()

    def _count(self) -> None:
        forecast = self._painter.label_forecast(
            self._features, collection=self._collection, client=self._client
        )
        self._say(Progress("asking", in_words(forecast, self._client.model)))

    def _run(self) -> None:
        run = self._painter.label(
            self._features,
            collection=self._collection,
            client=self._client,
            progress=False,
            on_label=self._labelled,
            cancelled=self._stopping.is_set,
        )
        self._tell_labels({feature: run.labels.entry(feature) for feature in run.labels})
        with self._lock:
            self._say(Progress("done", outcome(run, len(self._features)), 1.0, _last_fault(run)))

    def _labelled(self, progress: LabelProgress) -> None:
        with self._lock:
            fault = f"Feature {progress.feature}: {progress.fault}" if progress.fault else self.now.fault
            if progress.label is not None:
                self._new[progress.feature] = progress.label
            share = progress.n_done / max(progress.n, 1)
            text = f"{progress.n_done:,} of {_features(progress.n)}"
            if progress.label is not None:
                text += f" · “{progress.label.text}”"
            if self.now.stage == "stopping":
                text = self.now.text
            now = replace(self.now, text=text, share=share, fault=fault)
            if time.monotonic() - self._told < SHOW_EVERY_S:
                self.now = now
                return
            self._told = time.monotonic()
            self._say(now)
        self._tell_labels()

    def _failed(self, fault: BaseException) -> None:
        with self._lock:
            n = f"{_features(len(self._features))} not labelled"
            kept = "; what was answered is kept." if self.now.stage in ("running", "stopping") else "."
            self._say(Progress("done", n + kept, self.now.share, sentence(fault)))
            report = self._on_fault
        self._tell_labels()
        report(fault)

    def _say(self, now: Progress) -> None:
        self.now = now
        self._on_progress(now)

    def _tell_labels(self, more: Mapping[int, Label] | None = None) -> None:
        with self._lock:
            new, self._new = self._new | dict(more or {}), {}
            tell = self._on_labels
        if new:
            tell(new)


def in_words(forecast: LabelForecast, model: str) -> str:
    """A forecast as people say it."""
    if not forecast.n_calls:
        return "All of these were asked before: the answers are taken from the journal, no call is made."
    parts = [
        f"{_features(forecast.n_features)}: {plural(forecast.n_calls, 'call')} to {model}",
        f"{forecast.n_pictures:,} pictures",
        f"about {duration(forecast.seconds)}" if forecast.seconds is not None else "time not known yet",
        f"about {forecast.cost:,.2f} {forecast.currency}"
        if forecast.cost is not None
        else f"about {forecast.tokens_in + forecast.tokens_out:,} tokens",
    ]
    return ", ".join(parts) + "."


def outcome(run: LabelRun, n: int) -> str:
    """How a batch ended."""
    said = [f"{run.counts.get('labelled', 0):,} of {_features(n)} labelled"]
    said += [f"{run.counts[key]:,} {word}" for key, word in _OUTCOMES.items() if run.counts.get(key)]
    if not run.is_finished and run.counts.get("labelled", 0) == n:
        said.append("some without scores yet")
    end = ", ".join(said) + "."
    if run.is_finished:
        return end
    return f"Stopped{': ' + run.stopped if run.stopped else ''}. {end} All answers are kept."


def _last_fault(run: LabelRun) -> str:
    if not run.faults:
        return ""
    feature, text = list(run.faults.items())[-1]
    return f"Feature {feature}: {last_line(ValueError(text))}"


def _features(n: int) -> str:
    return f"{n:,} feature{'' if n == 1 else 's'}"


def _ignore(_: object) -> None:
    """Nobody listens any more."""
