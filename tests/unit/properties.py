"""How often a property is tried."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100


def tries(count: int) -> settings:
    """Settings that try a property so often; with `--hypothesis-profile=long` thirty times as often."""
    profile = settings.default
    assert profile is not None
    return settings(max_examples=count * profile.max_examples // _USUAL)
