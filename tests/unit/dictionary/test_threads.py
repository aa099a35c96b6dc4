"""BLAS has one thread in a block, and its own number after it, whatever other blocks there are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from threadpoolctl import ThreadpoolController

from ember_widgets.dictionary.threads import one_blas_thread


def n_threads() -> set[int]:
    found = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in found}


@pytest.fixture
def two_threads() -> Iterator[None]:
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        if n_threads() != {2}:
            pytest.skip("BLAS has no threads here")
        yield


@pytest.mark.usefixtures("two_threads")
def test_blocks_that_overlap_count_as_one() -> None:
    one, other = contextlib.ExitStack(), contextlib.ExitStack()
    for _ in range(2):
        one.enter_context(one_blas_thread())
        other.enter_context(one_blas_thread())
        assert n_threads() == {1}
        one.close()  # it began first, and ends first
        assert n_threads() == {1}
        other.close()
        assert n_threads() == {2}
