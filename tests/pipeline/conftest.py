"""The embedded model, loaded once for all tests that draw with it."""

from __future__ import annotations

import os

import pytest

import ember_widgets as ember
from ember_widgets.model.engine import fast

# An export beside the tests would take half of a core, and decide when previews differ. test_fast has it on.
os.environ[fast.SWITCH] = "torch"


@pytest.fixture(scope="session")
def painter() -> ember.Painter:
    return ember.Painter.embedded()
