"""How often a property is tried."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100


def tries(count: int, **more: int) -> settings:
    """Settings that try a property so often; with `--hypothesis-profile=long` thirty times as often."""
    return settings(max_examples=count * settings.default.max_examples // _USUAL, **more)
