"""The embedded model, loaded once for all tests that draw with it."""

from __future__ import annotations

import pytest

import ember_widgets as ember


@pytest.fixture(scope="session")
def painter() -> ember.Painter:
    return ember.Painter.embedded()
