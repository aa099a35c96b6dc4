"""How far a share of few trials can be from the truth."""

from __future__ import annotations

import math


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share of successes.

    Args:
        share: Successes / trials, 0..1; half successes may count.
        n: How many trials, 1 or more.
        z: How many standard deviations; 1.96 = 95 %.

    Returns:
        The lower and the upper end, both in 0..1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    if not 0 <= share <= 1 or n < 1:
        raise ValueError(f"share={share!r} of n={n!r} is no share; give 0..1 of 1 trial or more")
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At both ends the exact value is the end itself; rounding must not leave 0..1.
    return (0.0 if share == 0 else max(0.0, centre - half)), (1.0 if share == 1 else min(1.0, centre + half))
