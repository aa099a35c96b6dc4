"""Default names of factors."""

from __future__ import annotations

import re
from collections.abc import Collection

from ember_widgets.scene.palette import free_name


def free_factor_name(name: str, taken: Collection[str]) -> str:
    """`name`, or one like it that is not taken: "lion 2" for "lion", but "factor 6" for "factor 5"."""
    numbered = re.fullmatch(r"((?:.* )?factor )(\d+)", name)
    if numbered is None:
        return free_name(name, taken)
    count = int(numbered[2])
    while (candidate := f"{numbered[1]}{count}") in taken:
        count += 1
    return candidate
