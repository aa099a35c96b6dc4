"""The Python in README.md and docs/ runs as it stands there, on the embedded model."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

# A block below such a comment is left out; the reason stands where a reader of the page's source sees it.
NOT_RUN = re.compile(r"<!-- not run: .+ -->")


def blocks(page: str) -> list[tuple[int, str]]:
    """The ```python blocks of a page that are run, each with the number of its first line."""
    lines, found, begin, skipped = page.splitlines(), [], None, False
    for i, line in enumerate(lines):
        if begin is None and line == "```python":
            begin = i + 1
            above = next((text for text in reversed(lines[:i]) if text.strip()), "")
            skipped = bool(NOT_RUN.fullmatch(above))
        elif begin is not None and line == "```":
            if not skipped:
                found.append((begin + 1, "\n".join(lines[begin:i])))
            begin = None
    return found


def test_a_block_is_left_out_only_below_its_reason() -> None:
    page = (
        "```python\na\nb\n```\n<!-- not run: needs a GPU -->\n\n```python\nc\n```\n```bash\nd\n```\n"
        "<!-- not run: -->\n```python\ne\n```\n"
    )
    assert blocks(page) == [(2, "a\nb"), (15, "e")]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page.read_text("utf-8"))], ids=lambda p: p.name
)
def test_the_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    namespace: dict[str, object] = {}
    for line, source in blocks(page.read_text("utf-8")):
        # The empty lines make a traceback name the line of the page.
        exec(compile("\n" * (line - 1) + source, str(page), "exec"), namespace)
    for value in namespace.values():
        if callable(close := getattr(value, "close", None)) and hasattr(value, "comm"):
            close()
    from matplotlib import pyplot

    pyplot.close("all")


def test_the_examples_name_everything_public() -> None:
    import ember_widgets

    page = (REPOSITORY / "docs" / "python-by-example.md").read_text("utf-8")
    missing = [
        name
        for name in ember_widgets.__all__
        if name != "__version__" and not re.search(rf"\bember\.{name}\b", page)
    ]
    assert missing == []
