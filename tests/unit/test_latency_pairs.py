"""The pairing behind the latency table, on times that were made up."""

from __future__ import annotations

from tests.benchmarks.latency import Watched


def test_an_event_waits_for_the_first_picture_of_an_edit_sent_after_it() -> None:
    watched = Watched(
        moves=[0.0, 10.0, 20.0],
        sends=[(5.0, 1), (25.0, 2)],
        shows=[(60.0, 1), (90.0, 2)],
    )

    assert watched.latencies_ms() == [60.0, 80.0, 70.0]


def test_a_later_picture_stands_for_those_that_were_dropped() -> None:
    watched = Watched(moves=[0.0, 10.0], sends=[(1.0, 1), (11.0, 2)], shows=[(50.0, 2)])

    assert watched.latencies_ms() == [50.0, 40.0]


def test_events_that_no_picture_ever_showed_are_not_counted() -> None:
    watched = Watched(moves=[0.0, 10.0], sends=[(1.0, 1)], shows=[(50.0, 1)])

    assert watched.latencies_ms() == [50.0]
