"""PyTorch's number of threads comes back, whichever painter is ready first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from ember_widgets.model.engine.threads import n_threads, one_thread


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_blocks_that_overlap_count_as_one() -> None:
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    assert (torch.get_num_threads(), n_threads()) == (1, 3)
    first.__exit__(None, None, None)
    assert (torch.get_num_threads(), n_threads()) == (1, 3)
    second.__exit__(None, None, None)
    assert (torch.get_num_threads(), n_threads()) == (3, 3)


def test_the_number_comes_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), one_thread():
        raise ValueError("broken")
    assert torch.get_num_threads() == 3
