"""Simulated painters: what counts as shown, late and lost."""

from __future__ import annotations

from ember_widgets.serve.client.load import Ledger, Load


def test_a_final_shows_its_stroke_and_all_before() -> None:
    ledger = Ledger()
    for stroke, now in ((1, 0.0), (2, 0.5), (3, 1.0)):
        ledger.sent(stroke, now)
    ledger.final(2, 1.5)
    assert ledger.latencies == [1.5, 1.0]
    assert list(ledger.waiting) == [3]
    assert (ledger.n_finals, ledger.lost) == (1, 0)


def test_what_is_never_shown_is_lost() -> None:
    ledger = Ledger()
    ledger.sent(1, 0.0)
    ledger.sent(2, 0.1)
    ledger.final(1, 0.2)
    ledger.give_up()
    assert ledger.lost == 1
    assert ledger.waiting == {}


def test_an_older_final_that_comes_late_shows_nothing_new() -> None:
    ledger = Ledger()
    ledger.sent(1, 0.0)
    ledger.final(1, 0.3)
    ledger.final(1, 0.9)
    assert ledger.latencies == [0.3]


def test_a_gap_lasts_from_the_break_until_there_is_a_connection() -> None:
    ledger = Ledger()
    ledger.resumed(0.0)
    ledger.broken(1.0)
    ledger.broken(1.2)  # an attempt to connect failed
    ledger.resumed(4.0)
    ledger.resumed(5.0)
    assert ledger.gaps == [3.0]


def test_percentiles() -> None:
    load = Load(3, 1.0, 5.0, [0.1, 0.2, 0.3], 0, 3)
    assert load.percentile(50) == 0.2
    assert Load(3, 1.0, 5.0, [], 0, 0).percentile(50) != load.percentile(50)
