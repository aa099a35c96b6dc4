"""Pages that describe a repository on the Hugging Face hub: Markdown with a header in YAML.

Texts from the user are escaped: they show as they were given, and cannot change the page's header or layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

MOST = 4000
"""Characters of a text from the user."""

Rows = Sequence[tuple[str, str]]


def header(facts: Mapping[str, object]) -> str:
    """The header."""
    # JSON's texts and lists are YAML's too, and nothing in them can end the header.
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in facts.items()), "---\n"])


def licence_facts(licence: str, link: str) -> dict[str, object]:
    """What the header says about the licence; `link` is "" for one that the hub knows."""
    if not link:
        return {"license": licence}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-")
    return {"license": "other", "license_name": name, "license_link": link}


def licence_shown(licence: str, link: str) -> str:
    """The licence's name, with its link if it has one."""
    return f"[{escaped(licence)}](<{link}>)" if link else escaped(licence)


def escaped(text: str) -> str:
    """A text in one line, of which Markdown and HTML take nothing for theirs."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > MOST:
        line = line[: MOST - 1] + "…"
    return re.sub(r"([\\`*_{}\[\]<>()#|~$!&])", r"\\\1", line)


def table(head: tuple[str, str], rows: Rows) -> str:
    """A table of two columns."""
    lines = [head, ("---", "---"), *((escaped(name), escaped(value)) for name, value in rows)]
    return "".join(f"| {name} | {value} |\n" for name, value in lines)


def verbatim(text: str) -> str:
    """A block of code with a fence that is longer than any in the text."""
    kept = "".join(c for c in text if c.isprintable() or c == "\n")[: 4 * MOST]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", kept)), default=0))
    return f"{fence}text\n{kept.strip()}\n{fence}"
