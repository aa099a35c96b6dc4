"""A labelling run: every feature's questions are asked, a bounded number at once, and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ember_widgets.features import label_file
from ember_widgets.features.labels import Label, Labels
from ember_widgets.labelling import journal as journals
from ember_widgets.labelling import scores as score
from ember_widgets.labelling.forecast import amount, cost, label_forecast, price_of
from ember_widgets.labelling.journal import Asked, Journal, Line, Standing
from ember_widgets.labelling.question import Failed, LabelClient, Price, Question, Refused, Unusable
from ember_widgets.labelling.questions import SCHEMAS, Named, printable, prompt_hash
from ember_widgets.util import checks
from ember_widgets.util.checks import plural
from ember_widgets.util.words import duration

LABELS = "labels.json"
MOST_FAILURES = 5
"""After so many failures in a row a run ends: the next one would fail the same way."""
SAVE_EVERY_S = 30.0
POLL_S = 0.1

T = TypeVar("T")


class SourceChanged(RuntimeError):
    """What draws the sheets is no longer what it was, so no more can be drawn; the run ends with this."""


class Source(Protocol):
    """Draws what questions show. Called in worker threads, one call at a time.

    It may raise `SourceChanged`; any other error is one of this sheet.

    The order on the sheets of scores is random, but the same for the same identity and feature. What a score
    is measured against is kept in the journal beside the answer, so that a resumed run draws nothing again.
    """

    @property
    def identity(self) -> str:
        """Of painter, collection and how sheets are drawn; part of every question's id."""

    def label_sheet(self, feature: int) -> bytes | None:
        """The sheet of a label question, encoded; None = the feature is active in no picture."""

    def detection_sheet(self, feature: int) -> tuple[bytes, list[bool]] | None:
        """The sheet, and per picture whether the feature is active there; None = too few pictures."""

    def causal_sheet(self, feature: int) -> tuple[bytes, list[str]] | None:
        """The sheet, and per pair "A" or "B", where the feature was painted; None = it cannot be painted."""


@dataclass(frozen=True)
class LabelProgress:
    """A feature is done.

    Args:
        n_done: How many features are done, of those that were to be labelled.
        n: How many were to be labelled.
        feature: The one that is done.
        label: Its label, with its scores; None = it has got none.
        fault: Why it has no label, or lacks a score; "" = nothing is wrong.
    """

    n_done: int
    n: int
    feature: int
    label: Label | None
    fault: str = ""


@dataclass(frozen=True)
class LabelRun:
    """What a labelling run did.

    Args:
        labels: Of the features asked for, also where an earlier run in the same folder got the answers.
        counts: Of features: "labelled", "resumed" (of these, those that this run asked nothing about) and
            "silent" (active in no picture). Of questions: "refused", "unreadable", "failed".
        faults: {feature: why it has no label, or lacks a score}.
        is_finished: Whether every feature was dealt with; False after a stop.
        tokens_in: Tokens of questions and pictures in this run, as the server counted them.
        tokens_out: Tokens of answers in this run.
        cost: What this run cost; None without a price.
        currency: Of the cost; "" without a price.
        seconds: How long it took.
        folder: Where journal.jsonl and labels.json are.
        stopped: Why it ended early; "" = it did not.
    """

    labels: Labels
    counts: Mapping[str, int]
    faults: Mapping[int, str]
    is_finished: bool
    tokens_in: int
    tokens_out: int
    cost: float | None
    currency: str
    seconds: float
    folder: Path
    stopped: str = ""

    def __str__(self) -> str:
        n = self.counts
        lines = [f"{plural(n['labelled'], 'feature')} labelled in {duration(self.seconds)}"]
        if n["resumed"]:
            many = "all" if n["resumed"] == n["labelled"] else f"{n['resumed']:,}"
            lines[0] += f", {many} of them by an earlier run"
        if self.labels:
            lines[0] += f": {self.folder / LABELS}"
        if n["silent"]:
            lines.append(f"{plural(n['silent'], 'feature')} active in no picture of the collection.")
        for kind, advice in (
            ("refused", "not asked again unless retry=True"),
            ("unreadable", "not asked again unless retry=True"),
            ("failed", "run again to ask once more"),
        ):
            if n[kind]:
                lines.append(f"{plural(n[kind], 'question')} {kind}; {advice}.")
        if self.tokens_in:
            text = f"{self.tokens_in:,} tokens in, {self.tokens_out:,} out"
            lines.append(
                text + (f": {amount(self.cost, self.currency)}" if self.cost is not None else "") + "."
            )
        for feature, fault in list(self.faults.items())[:3]:
            lines.append(f"  feature {feature}: {fault}")
        if len(self.faults) > 3:
            lines.append(f"  ... and {len(self.faults) - 3:,} more in .faults")
        if not self.is_finished:
            reason = f": {self.stopped}" if self.stopped else ""
            lines.append(f"Stopped before the end{reason}. Run again to go on; what is answered is kept.")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def label_features(
    features: Sequence[int],
    source: Source,
    client: LabelClient,
    *,
    folder: Path,
    scores: bool = True,
    price: Price | None = None,
    progress: bool = True,
    on_label: Callable[[LabelProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    retry: bool = False,
    silent: Collection[int] = (),
) -> LabelRun:
    """Label features; what the journal of the folder already answers is not asked again.

    Args:
        features: Which ones, in the order in which they are asked.
        source: Draws the sheets.
        client: Answers.
        folder: Made if missing; gets journal.jsonl and labels.json.
        scores: Whether each label is scored with a detection and a causal question.
        price: For the cost.
        progress: Whether to print a forecast and show a progress bar.
        on_label: Called from a worker thread after each feature.
        cancelled: Asked between calls; once it says True no new question is asked, open ones are finished.
        retry: Whether to ask again what was refused or could not be read.
        silent: Features that are known to be active in no picture; the forecast leaves them out.

    Raises:
        ConnectionError: The server cannot be reached or does not know the key or the model; what was answered
            before is kept.
        BlockingIOError: Another process labels into this folder.
        SourceChanged: The source says so; what was answered before is kept.
        Exception: Whatever the source raised when no sheet could be drawn.
    """
    price_of(client, price)  # a wrong price is said before anything is asked
    features = list(dict.fromkeys(checks.feature_index(feature, 2**31) for feature in features))
    folder, identity = Path(folder), source.identity
    with journals.opened(folder) as journal:
        earlier = label_file.read(folder / LABELS) if (folder / LABELS).exists() else {}
        if progress:
            forecast = label_forecast(
                features,
                identity,
                client,
                folder=folder,
                scores=scores,
                price=price,
                retry=retry,
                silent=silent,
            )
            print(forecast, flush=True)
        with _bar(len(features), progress) as advance:

            def tell(done: LabelProgress) -> None:
                advance()
                if on_label is not None:
                    on_label(done)

            asking = _Asking(
                features, source, identity, client, journal, scores, retry, tell, cancelled, earlier
            )
            _run_in_thread(asking)
    run = asking.result(price_of(client, price))
    if asking.stopped_by is not None and not asking.lines:
        if not isinstance(asking.stopped_by, Failed):
            raise asking.stopped_by
        raise ConnectionError(asking.stopped) from asking.stopped_by
    if progress:
        print(run, flush=True)
    return run


class _Stopped(Exception):
    """No new call is made."""


@dataclass
class _Asking:
    """A run while it runs, in the event loop of its own thread.

    As many features are open at once as keep all calls busy while the next sheets are drawn.
    """

    features: list[int]
    source: Source
    identity: str
    client: LabelClient
    journal: Journal
    with_scores: bool
    retry: bool
    tell: Callable[[LabelProgress], None]
    cancelled: Callable[[], bool] | None
    earlier: dict[int, Label]

    labels: dict[int, Label] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[Line] = field(default_factory=list)
    n_done: int = 0
    stopped: str = ""
    stopped_by: Exception | None = None
    error: BaseException | None = None
    begin: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)
    failures: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    abort: Callable[[], object] = lambda: None

    def result(self, price: Price | None) -> LabelRun:
        tokens_in = sum(line.tokens_in for line in self.lines)
        tokens_out = sum(line.tokens_out for line in self.lines)
        names = ("labelled", "resumed", "refused", "unreadable", "failed", "silent")
        return LabelRun(
            labels=Labels({f: self.labels[f] for f in self.features if f in self.labels}),
            counts={name: self.counts[name] for name in names},
            faults={feature: self.faults[feature] for feature in self.features if feature in self.faults},
            is_finished=self.n_done == len(self.features),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost=None if price is None else cost(price, tokens_in, tokens_out),
            currency=price.currency if price else "",
            seconds=time.monotonic() - self.begin,
            folder=self.journal.path.parent,
            stopped=self.stopped,
        )

    async def run(self) -> None:
        """Ask everything. What was answered is kept, however this ends."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self.abort = lambda: loop.call_soon_threadsafe(task.cancel)
        self._calls = asyncio.Semaphore(max(1, self.client.in_flight))
        self._drawing = ThreadPoolExecutor(1, "label-sheets")
        saved = asyncio.Event()
        saving = asyncio.create_task(self._save_at_intervals(saved))
        open_: set[asyncio.Task[None]] = set()
        try:
            for feature in self.features:
                while len(open_) >= 2 * max(1, self.client.in_flight):
                    open_ = await self._some_done(open_)
                if self._is_stopped():
                    break
                open_.add(asyncio.create_task(self._feature(feature)))
            while open_:
                open_ = await self._some_done(open_)
        except asyncio.CancelledError:  # at once
            self.stop.set()
            for one in open_:
                one.cancel()
            await asyncio.gather(*open_, return_exceptions=True)
        except BaseException:
            self.stop.set()
            await asyncio.gather(*open_, return_exceptions=True)
            raise
        finally:
            self._drawing.shutdown(wait=False, cancel_futures=True)
            saved.set()
            await saving
            await self.client.close()

    @staticmethod
    async def _some_done(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
        return left

    async def _feature(self, feature: int) -> None:
        n_before = len(self.lines)
        with contextlib.suppress(_Stopped):
            await self._labelled(feature)
            self.n_done += 1
            label = self.labels.get(feature)
            if label is not None and not any(line.feature == feature for line in self.lines[n_before:]):
                self.counts["resumed"] += 1
            self.tell(
                LabelProgress(self.n_done, len(self.features), feature, label, self.faults.get(feature, ""))
            )

    async def _labelled(self, feature: int) -> None:
        source, asked = self.source, Asked(self.identity, "label", feature, self.client.model)

        def sheet() -> tuple[bytes, Sequence[Any]] | None:
            data = source.label_sheet(feature)
            return None if data is None else (data, ())

        standing = await self._settled(asked, sheet)
        if standing is None:
            self.counts["silent"] += 1
            self.faults[feature] = "it is active in no picture of the collection"
        if standing is None or not isinstance(standing.answer, Named) or standing.line is None:
            return
        label = _label(standing.answer, standing.line.at, asked.model)
        self._keep(feature, label)
        if self.with_scores:
            detection, causal = (
                replace(asked, kind=kind, label=label.text) for kind in ("detection", "causal")
            )
            found = await asyncio.gather(
                self._settled(detection, lambda: source.detection_sheet(feature)),
                self._settled(causal, lambda: source.causal_sheet(feature)),
                return_exceptions=True,
            )
            for kind, one in zip(("detection", "causal"), found, strict=True):
                if isinstance(one, Standing) and one.answer is not None and one.line and one.line.truth:
                    measure: Any = score.detection if kind == "detection" else score.causal
                    share, n = measure(one.answer, one.line.truth)
                    label = replace(
                        label, scores={**label.scores, kind: share}, counts={**label.counts, kind: n}
                    )
            self._keep(feature, label)
            for one in found:
                if isinstance(one, BaseException):
                    raise one

    def _keep(self, feature: int, label: Label) -> None:
        self.counts["labelled"] += feature not in self.labels
        self.labels[feature] = label

    async def _settled(
        self, asked: Asked, sheet: Callable[[], tuple[bytes, Sequence[Any]] | None]
    ) -> Standing | None:
        """Ask until there is an answer, a refusal, or nothing readable twice; None = there is no sheet.

        Whatever is wrong is counted and said here.
        """
        retry, drawn = self.retry, None
        try:
            while True:
                standing = self.journal.standing(asked)
                if standing.answer is not None:
                    return standing
                if standing.is_settled and not retry:
                    self._blame(asked, standing.fault, standing.reason)
                    return standing
                retry = False
                if drawn is None:
                    drawn = await self._drawn(sheet)
                if drawn is None:
                    return None
                await self._call(asked, standing.attempt, *drawn)
        except Failed as fault:
            self._blame(asked, "failed", str(fault))
            return standing

    def _blame(self, asked: Asked, fault: str, reason: str) -> None:
        self.counts[fault] += 1
        text = f"{asked.kind} {fault}: {printable(reason)[:300]}"
        earlier = self.faults.get(asked.feature)
        self.faults[asked.feature] = f"{earlier}; {text}" if earlier else text

    async def _drawn(self, sheet: Callable[[], T]) -> T:
        def draw() -> T:
            if self.stop.is_set():
                raise _Stopped
            return sheet()

        self._go_on()
        try:
            drawn = await asyncio.get_running_loop().run_in_executor(self._drawing, draw)
        except (_Stopped, SourceChanged):
            raise
        except Exception as fault:
            text = f"its sheet cannot be drawn ({type(fault).__name__}: {fault})"
            self._count_failure("sheet", text, fault)
            raise Failed(text) from fault
        self.failures["sheet"] = 0
        return drawn

    async def _call(self, asked: Asked, attempt: int, picture: bytes, truth: Sequence[Any]) -> None:
        question = Question(asked.id(attempt), asked.kind, asked.text(attempt), picture, SCHEMAS[asked.kind])
        async with self._calls:
            self._go_on()
            begin = time.monotonic()
            line = Line(question.id, asked.kind, asked.feature, asked.model, 0.0, "", truth=tuple(truth))
            try:
                reply = await self.client.ask(question)
                line = replace(line, text=journals.kept(reply.text), is_cut_off=reply.is_cut_off)
                tokens = reply.tokens_in, reply.tokens_out
            except Refused as fault:
                line = replace(line, text=journals.kept(str(fault)), is_refused=True)
                tokens = fault.tokens_in, fault.tokens_out
            except Failed as fault:
                self._count_failure("call", str(fault), fault)
                raise
            # Nothing is awaited between an answer and its line, so that nothing can come between them.
            now = time.monotonic()
            line = replace(
                line,
                at=time.time(),
                tokens_in=tokens[0],
                tokens_out=tokens[1],
                seconds=now - begin,
                wall_seconds=now - self.last,
            )
            self.journal.add(line)
            self.last = now
            self.lines.append(line)
            self.failures["call"] = 0

    def _count_failure(self, kind: str, text: str, fault: Exception) -> None:
        self.failures[kind] += 1
        if isinstance(fault, Unusable) or self.failures[kind] >= MOST_FAILURES:
            many = (
                "" if isinstance(fault, Unusable) else f"{self.failures[kind]} failures in a row, the last: "
            )
            self.stopped = self.stopped or many + text
            self.stopped_by = self.stopped_by or fault
            self.stop.set()

    def _go_on(self) -> None:
        if self._is_stopped():
            raise _Stopped

    def _is_stopped(self) -> bool:
        if not self.stop.is_set() and self.cancelled is not None and self.cancelled():
            self.stop.set()
        return self.stop.is_set()

    async def _save_at_intervals(self, last: asyncio.Event) -> None:
        """Write labels.json now and then, and at the end; those of other features in it are kept."""
        saved: dict[int, Label] = {}
        while not last.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(last.wait(), SAVE_EVERY_S)
            if saved != self.labels:
                saved = dict(self.labels)
                content = dict(sorted({**self.earlier, **saved}.items()))
                await asyncio.to_thread(label_file.write, self.journal.path.parent / LABELS, content)


def _label(answer: Named, at: float, model: str) -> Label:
    day = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).date()
    return Label(
        answer.label,
        source=model,
        category=answer.category,
        note=answer.note,
        model=model,
        date=day.isoformat(),
        prompt_hash=prompt_hash(),
    )


def _run_in_thread(asking: _Asking) -> None:
    """Run in a thread with an event loop of its own, since a notebook's loop runs already.

    The first Ctrl-C ends it after the open calls, the second at once.

    Raises:
        KeyboardInterrupt: At the second.
        Exception: What went wrong in it.
    """

    done = threading.Event()

    def run() -> None:
        try:
            asyncio.run(asking.run())
        except BaseException as fault:
            asking.error = fault
        finally:
            done.set()

    threading.Thread(target=run, name="labelling", daemon=True).start()
    is_interrupted = False
    # Not Thread.join: interrupted, it takes a thread that runs for one that has ended (Python up to 3.12).
    while not done.is_set():
        try:
            done.wait(POLL_S)
        except KeyboardInterrupt:
            if is_interrupted:
                asking.abort()
                done.wait(5)
                raise
            is_interrupted = True
            asking.stop.set()
    if asking.error is not None:
        raise asking.error


@contextlib.contextmanager
def _bar(n: int, progress: bool) -> Iterator[Callable[[], object]]:
    if not progress:
        yield lambda: None
        return
    from tqdm.auto import tqdm  # a widget in a notebook, a line of text elsewhere

    with tqdm(total=n, unit="feature", desc="labelling") as bar:
        yield bar.update
