"""Names of sites: module paths as in diffusers, and the short names used in papers."""

from __future__ import annotations

import re

ALIASES = {
    "down.2.1": "down_blocks.2.attentions.1",
    "mid.0": "mid_block.attentions.0",
    "up.0.0": "up_blocks.0.attentions.0",
    "up.0.1": "up_blocks.0.attentions.1",
}
DEFAULT_SITE = ALIASES["down.2.1"]


def full(site: str) -> str:
    """The module path of a site given by either name."""
    return ALIASES.get(site, site)


def short(site: str) -> str:
    """The short name of a module path; the path itself if it has none."""
    return next((name for name, path in ALIASES.items() if path == site), site)


def named_in(text: str) -> str | None:
    """The site that a file name or hook name contains, as a module path: the last one, or None."""
    found = re.findall(r"(?:down_blocks\.\d+|mid_block|up_blocks\.\d+)\.attentions\.\d+", text)
    if found:
        return str(found[-1])
    found = re.findall(r"(?<![\w.])(down\.\d+\.\d+|mid\.\d+|up\.\d+\.\d+)(?![\w.]*\d)", text)
    return next((ALIASES[name] for name in reversed(found) if name in ALIASES), None)
