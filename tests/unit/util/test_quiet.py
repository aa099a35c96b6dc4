"""Warnings are ignored in a block, and filters are as before after it, whatever other threads do."""

from __future__ import annotations

import contextlib
import threading
import warnings

from ember_widgets.util import quiet


def test_filters_are_as_before_after_blocks_that_overlap() -> None:
    before = list(warnings.filters)
    both = threading.Barrier(2, timeout=0.3)

    def meet() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()  # together, if nothing keeps them apart

    def first() -> None:
        with quiet.ignoring(FutureWarning):
            warnings.warn("not heard", FutureWarning, stacklevel=1)
            meet()

    def second() -> None:
        with quiet.ignoring(FutureWarning):
            meet()
            ended.wait(1)

    ended = threading.Event()
    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    threads[0].join()
    ended.set()
    threads[1].join()
    assert warnings.filters == before
