"""Labelling runs with the real client, against a real server on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ember_widgets.features.labels import Labels
from ember_widgets.labelling import questions
from ember_widgets.labelling.question import Price
from ember_widgets.labelling.run import LabelProgress, SourceChanged
from tests.unit.labelling.bench import (
    ANSWERS,
    Drawings,
    Request,
    Sent,
    completion,
    error,
    journal,
    labelled,
    right,
    serving,
)

GARBAGE = completion("I see a lion.")


def later(seconds: float) -> Callable[[Request], Sent]:
    def answer(request: Request) -> Sent:
        sent = right(request)
        sent.after_s = seconds
        return sent

    return answer


def only(kind: str, sent: Sent) -> Callable[[Request], Sent]:
    """Sends this to questions of a kind, and right answers to the others."""
    return lambda request: sent if request.kind == kind else right(request)


class TestARun:
    def test_labels_and_scores_every_feature(self, tmp_path: Path) -> None:
        told: list[LabelProgress] = []
        with serving() as server:
            run = labelled(range(5), server, tmp_path, on_label=told.append, price=Price(1, 10, "EUR"))
        assert run.is_finished
        assert dict(run.labels) == dict.fromkeys(range(5), "red lion")
        label = run.labels.entry(3)
        assert (label.source, label.model, label.category) == ("eyes", "eyes", "object")
        assert label.prompt_hash == questions.prompt_hash()
        assert time.strftime("%Y-") in label.date
        assert dict(label.scores) == {"detection": 1.0, "causal": 1.0}
        assert dict(label.counts) == {"detection": 10, "causal": 10}
        assert run.counts == {
            "labelled": 5,
            "resumed": 0,
            "refused": 0,
            "unreadable": 0,
            "failed": 0,
            "silent": 0,
        }
        assert server.kinds == {"label": 5, "detection": 5, "causal": 5}
        assert all("red lion" in request.text for request in server.requests if request.kind != "label")
        assert (run.tokens_in, run.tokens_out) == (15_000, 300)
        assert run.cost == pytest.approx(0.018)
        assert "0.018 EUR" in str(run)
        assert [done.n_done for done in told] == [1, 2, 3, 4, 5]
        assert {done.feature for done in told} == set(range(5))
        assert all(done.label and done.label.scores and not done.fault for done in told)
        assert Labels.load(tmp_path / "labels.json").search("lion") == [0, 1, 2, 3, 4]

    def test_counts_what_is_right(self, tmp_path: Path) -> None:
        answers = {
            "detection": {"pictures": [1, 2, 3]},
            "causal": {"pairs": ["A", "A", "?", "?"] + ["B"] * 6},
        }

        def answer(request: Request) -> Sent:
            return completion(json.dumps({**ANSWERS, **answers}[request.kind]))

        with serving(answer) as server:
            run = labelled([7], server, tmp_path)
        # Wrong about 2, 5, 7 and 9. Right about 1, 6, 8 and 10; 3 and 4 count half.
        assert dict(run.labels.entry(7).scores) == {"detection": 0.6, "causal": 0.5}

    def test_keeps_as_many_questions_open_as_the_client_takes(self, tmp_path: Path) -> None:
        with serving(later(0.03)) as server:
            labelled(range(12), server, tmp_path, client=server.client(in_flight=3))
        assert server.most_open == 3

    def test_draws_ahead_but_not_without_end(self, tmp_path: Path) -> None:
        source, gate = Drawings(), threading.Event()

        def answer(request: Request) -> Sent:
            gate.wait(5)
            return right(request)

        with serving(answer) as server:
            client = server.client(in_flight=2)
            thread = threading.Thread(
                target=labelled,
                args=(range(20), server, tmp_path),
                kwargs={"source": source, "client": client},
            )
            thread.start()
            deadline = time.monotonic() + 5
            while len(source.drawn) < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)
            n_drawn = len(source.drawn)
            gate.set()
            thread.join()
        assert n_drawn == 4  # of two features that are asked about, and of the next two

    def test_works_where_a_loop_runs_already(self, tmp_path: Path) -> None:
        async def notebook() -> int:
            return len(labelled(range(2), server, tmp_path).labels)

        with serving() as server:
            assert asyncio.run(notebook()) == 2

    def test_leaves_scores_out(self, tmp_path: Path) -> None:
        with serving() as server:
            run = labelled(range(3), server, tmp_path, scores=False)
        assert server.kinds == {"label": 3}
        assert run.labels.entry(0).scores == {}

    def test_asks_nothing_about_features_that_are_active_nowhere(self, tmp_path: Path) -> None:
        with serving() as server:
            run = labelled(range(3), server, tmp_path, source=Drawings(silent=(1,)))
        assert run.counts["silent"] == 1
        assert set(run.labels) == {0, 2}
        assert run.is_finished
        assert "active in no picture" in run.faults[1]

    def test_has_scores_only_where_there_are_pictures(self, tmp_path: Path) -> None:
        class Few(Drawings):
            def detection_sheet(self, feature: int) -> None:
                return None

        with serving() as server:
            run = labelled([1], server, tmp_path, source=Few())
        assert run.labels.entry(1).scores == {"causal": 1.0}
        assert (run.faults, run.counts["failed"]) == ({}, 0)

    def test_says_what_it_will_do_and_what_it_did(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with serving() as server:
            labelled(range(2), server, tmp_path, progress=True)
        said = capsys.readouterr().out
        assert "2 features to label: 6 calls" in said
        assert "2 features labelled in" in said

    def test_keeps_labels_of_other_features_in_the_file(self, tmp_path: Path) -> None:
        with serving() as server:
            labelled([1], server, tmp_path)
            run = labelled([2], server, tmp_path)
        assert set(run.labels) == {2}
        assert set(Labels.load(tmp_path / "labels.json")) == {1, 2}

    def test_refuses_a_folder_in_which_another_one_works(self, tmp_path: Path) -> None:
        def other(_: LabelProgress) -> None:
            with pytest.raises(BlockingIOError, match="another run labels into"):
                labelled([1], server, tmp_path)

        with serving() as server:
            assert labelled([1], server, tmp_path, on_label=other).is_finished

    def test_ends_with_the_error_of_a_callback_and_keeps_what_was_answered(self, tmp_path: Path) -> None:
        def fails(_: LabelProgress) -> None:
            raise KeyError("mine")

        with serving() as server:
            with pytest.raises(KeyError, match="mine"):
                labelled(range(30), server, tmp_path, on_label=fails)
            assert len(journal(tmp_path)) == len(server.requests) < 90
            labelled(range(30), server, tmp_path)
        assert set(server.keys.values()) == {1}


class TestAResumedRun:
    def test_asks_and_draws_nothing_twice(self, tmp_path: Path) -> None:
        source = Drawings()
        with serving() as server:
            first = labelled(range(3), server, tmp_path)
            again = labelled(range(3), server, tmp_path, source=source)
            assert (len(server.requests), source.drawn) == (9, [])
            more = labelled(range(4), server, tmp_path, source=source)
        assert {f: first.labels.entry(f) for f in range(3)} == {f: again.labels.entry(f) for f in range(3)}
        assert (again.counts["labelled"], again.counts["resumed"], again.tokens_in) == (3, 3, 0)
        assert (more.counts["labelled"], more.counts["resumed"]) == (4, 3)
        assert len(server.requests) == 12

    def test_adds_scores_to_labels_that_have_none(self, tmp_path: Path) -> None:
        with serving() as server:
            labelled(range(2), server, tmp_path, scores=False)
            run = labelled(range(2), server, tmp_path)
        assert server.kinds == {"label": 2, "detection": 2, "causal": 2}
        assert run.labels.entry(1).scores["causal"] == 1.0

    @pytest.mark.parametrize("other", ["identity", "model"])
    def test_asks_again_what_is_another_question(self, tmp_path: Path, other: str) -> None:
        with serving() as server:
            labelled([1], server, tmp_path)
            source = Drawings(identity="another collection") if other == "identity" else Drawings()
            client = server.client()
            if other == "model":
                client._model = "other eyes"
            labelled([1], server, tmp_path, source=source, client=client)
        assert len(server.keys) == len(server.requests) == 6


class TestAnAnswerThatCannotBeRead:
    def test_is_asked_for_once_more(self, tmp_path: Path) -> None:
        with serving(lambda r: right(r) if r.text.endswith(questions.RETRY) else GARBAGE) as server:
            run = labelled([1], server, tmp_path)
        assert dict(run.labels) == {1: "red lion"}
        assert run.counts["unreadable"] == 0
        assert len(server.keys) == len(server.requests) == 6

    def test_twice_is_counted_and_not_paid_for_again(self, tmp_path: Path) -> None:
        with serving(only("label", GARBAGE)) as server:
            run = labelled([1], server, tmp_path)
            again = labelled([1], server, tmp_path)
            assert len(server.requests) == 2
            assert (len(run.labels), run.counts["unreadable"], again.counts["unreadable"]) == (0, 1, 1)
            assert again.faults[1] == "label unreadable: it is not JSON"
            assert "1 question unreadable; not asked again unless retry=True" in str(again)
            labelled([1], server, tmp_path, retry=True)
            assert len(server.requests) == 4
            server.answer = right
            assert len(labelled([1], server, tmp_path, retry=True).labels) == 1
            assert len(labelled([1], server, tmp_path).labels) == 1
        assert set(server.keys.values()) == {1}

    def test_of_a_score_leaves_the_label(self, tmp_path: Path) -> None:
        with serving(only("causal", completion('{"pairs": ["A"]}'))) as server:
            run = labelled([1], server, tmp_path)
        assert run.labels.entry(1).scores == {"detection": 1.0}
        assert run.faults[1].startswith("causal unreadable: it is not a list of 10 letters")

    def test_since_it_was_cut_off_says_so(self, tmp_path: Path) -> None:
        with serving(only("label", completion('{"label": "a', finish="length"))) as server:
            run = labelled([1], server, tmp_path)
        assert run.faults[1] == "label unreadable: it was cut off after 20 tokens"


class TestARefusal:
    def test_is_counted_and_not_paid_for_again(self, tmp_path: Path) -> None:
        with serving(only("label", completion(None, refusal="I would rather not"))) as server:
            run = labelled([1], server, tmp_path)
            labelled([1], server, tmp_path)
            assert len(server.requests) == 1
            assert (run.counts["refused"], run.tokens_in) == (1, 1000)
            assert run.faults[1] == "label refused: I would rather not"
            server.answer = right
            assert len(labelled([1], server, tmp_path, retry=True).labels) == 1


class TestAFailure:
    def test_is_counted_and_asked_again_the_next_time(self, tmp_path: Path) -> None:
        with serving(only("causal", error(500, "oops"))) as server:
            run = labelled([1], server, tmp_path)
            assert (run.counts["failed"], run.counts["labelled"], run.is_finished) == (1, 1, True)
            assert "causal failed" in run.faults[1]
            server.answer = right
            again = labelled([1], server, tmp_path)
        assert again.labels.entry(1).scores["causal"] == 1.0
        assert server.kinds == {"label": 1, "detection": 1, "causal": 2}

    def test_of_every_question_ends_the_run_with_one_error(self, tmp_path: Path) -> None:
        fault, message = error(500, "out of order"), "5 failures in a row, the last: .*out of order"
        with serving(lambda request: fault) as server, pytest.raises(ConnectionError, match=message):
            labelled(range(500), server, tmp_path)
        assert len(server.requests) < 30

    def test_of_a_server_that_stops_midway_keeps_what_was_done(self, tmp_path: Path) -> None:
        with serving() as server:
            server.answer = lambda r: right(r) if len(server.requests) <= 30 else error(500, "out of order")
            run = labelled(range(500), server, tmp_path)
            assert not run.is_finished
            assert "out of order" in run.stopped
            assert "Stopped before the end: 5 failures in a row" in str(run)
            assert set(Labels.load(tmp_path / "labels.json")) == set(run.labels)
            n = len(server.requests)
            server.answer = right
            assert labelled(range(20), server, tmp_path).counts["labelled"] == 20
        assert len(journal(tmp_path)) == 60
        assert len(server.requests) - n == 30

    def test_of_the_key_is_said_at_once(self, tmp_path: Path) -> None:
        with serving() as server:
            server.models_status = 401
            with pytest.raises(ConnectionError, match="does not take the key"):
                labelled(range(500), server, tmp_path)
        assert server.requests == []

    def test_to_draw_a_sheet_is_one_of_the_feature(self, tmp_path: Path) -> None:
        class Torn(Drawings):
            def label_sheet(self, feature: int) -> bytes | None:
                if feature in self.silent:
                    raise OSError("picture 7 is missing")
                return super().label_sheet(feature)

        with serving() as server:
            run = labelled(range(5), server, tmp_path, source=Torn(silent=(2,)))
            assert set(run.labels) == {0, 1, 3, 4}
            assert "picture 7 is missing" in run.faults[2]
            with pytest.raises(OSError, match="^picture 7 is missing") as raised:
                labelled(range(10, 40), server, tmp_path, source=Torn(silent=tuple(range(10, 40))))
            assert not isinstance(raised.value, ConnectionError)  # the server is well

    @pytest.mark.parametrize("first", [1, 3])
    def test_of_a_source_that_changed_ends_the_run_and_keeps_what_was_answered(
        self, first: int, tmp_path: Path
    ) -> None:
        class Changed(Drawings):
            def label_sheet(self, feature: int) -> bytes | None:
                if feature >= first:
                    raise SourceChanged("another model")
                return super().label_sheet(feature)

        with serving() as server:
            with pytest.raises(SourceChanged, match="another model"):
                labelled(range(1, 5), server, tmp_path, source=Changed())
            assert server.kinds["label"] == first - 1
        assert set(Labels.load(tmp_path / "labels.json") if first > 1 else ()) == set(range(1, first))


class TestAStop:
    def test_finishes_and_keeps_open_questions(self, tmp_path: Path) -> None:
        with serving(later(0.03)) as server:
            run = labelled(range(100), server, tmp_path, cancelled=lambda: len(server.requests) >= 20)
            assert not run.is_finished
            assert run.stopped == ""
            assert 20 <= len(server.requests) < 30
            assert len(journal(tmp_path)) == len(server.requests)
            assert labelled(range(10), server, tmp_path).is_finished
        assert set(server.keys.values()) == {1}

    def test_by_control_c_returns_what_there_is(self, tmp_path: Path) -> None:
        def answer(request: Request) -> Sent:
            if server.requests[19:20] == [request]:
                os.kill(os.getpid(), signal.SIGINT)
            return later(0.05)(request)

        with serving() as server:
            server.answer = answer
            run = labelled(range(100), server, tmp_path)
            assert not run.is_finished
            assert 20 <= len(server.requests) < 30
            assert len(journal(tmp_path)) == len(server.requests)

    def test_by_control_c_twice_is_at_once(self, tmp_path: Path) -> None:
        def answer(request: Request) -> Sent:
            if server.requests[10:11] == [request]:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(0.2)
            return right(request) if request in server.requests[:10] else later(3)(request)

        begin = time.monotonic()
        with serving() as server:
            server.answer = answer
            with pytest.raises(KeyboardInterrupt):
                labelled(range(100), server, tmp_path, client=server.client(in_flight=2))
            assert time.monotonic() - begin < 2.5
            assert len(journal(tmp_path)) == 10
            assert set(Labels.load(tmp_path / "labels.json"))


def test_a_long_run_writes_labels_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ember_widgets.labelling.run.SAVE_EVERY_S", 0.02)
    seen: list[Any] = []

    def look(done: LabelProgress) -> None:
        if (tmp_path / "labels.json").exists():
            seen.append(len(Labels.load(tmp_path / "labels.json")))

    with serving(later(0.01)) as server:
        run = labelled(range(60), server, tmp_path, on_label=look, cancelled=lambda: bool(seen))
    assert not run.is_finished
    assert seen[0] > 0


def test_says_how_many_answers_were_there_already(tmp_path: Path) -> None:
    with serving() as server:
        labelled(range(2), server, tmp_path)
        assert ", all of them by an earlier run: " in str(labelled(range(2), server, tmp_path))
        assert ", 2 of them by an earlier run: " in str(labelled(range(3), server, tmp_path))
