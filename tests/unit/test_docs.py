"""What README.md, CONTRIBUTING.md, SECURITY.md and docs/ point to exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
SITE = sorted((REPOSITORY / "docs" / "site").glob("*.md"))
TOP = "ember_widgets|js|tests|docs|notebooks"


def links(text: str) -> Iterator[str]:
    """The targets of links and pictures, in Markdown or HTML, that are not on the web."""
    for target in re.findall(r"\]\(([^)\s]+)\)|\bsrc(?:set)?=\"([^\"\s]+)\"", text):
        if "://" not in (link := "".join(target)):
            yield link


def paths(text: str) -> Iterator[str]:
    """The files and folders that a text names from the top of the repository, and modules to run as files."""
    # Links are relative to their page, and are looked at apart.
    text = re.sub(r"\]\([^)]*\)", "]", text)
    yield from (path.rstrip("/.") for path in re.findall(rf"(?<![\w./-])(?:{TOP})/[\w./*-]+", text))
    for module in re.findall(r"python -m ((?:tests|ember_widgets)(?:\.\w+)+)", text):
        yield module.replace(".", "/") + ".py"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    found = []
    for link in links(text):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            found.append(link)
    return found


def missing_paths(text: str) -> list[str]:
    return [path for path in paths(text) if not any(REPOSITORY.glob(path))]


@pytest.mark.parametrize("page", [*PAGES, *SITE], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    assert missing_paths(page.read_text("utf-8")) == []


def test_these_tests_see_what_is_missing() -> None:
    page = REPOSITORY / "README.md"
    text = "[a](docs/nothing.md) [b](docs/limits.md#nothing) [c](docs/limits.md) [d](https://a.org/b)"
    assert broken_links(page, text) == ["docs/nothing.md", "docs/limits.md#nothing"]
    text = '<source srcset="docs/nothing.png"><img src="docs/limits.md">'
    assert broken_links(page, text) == ["docs/nothing.png"]
    text = "`tests/nothing.py`, `js/src/`, ../docs/limits.md and `python -m tests.benchmarks.nothing`."
    assert missing_paths(text) == ["tests/nothing.py", "tests/benchmarks/nothing.py"]


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").split()) <= 450


def test_the_readme_has_six_lines_of_code_and_a_row_of_five_links() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 6
    (row,) = re.findall(r"(?:^\[[^\n]*\) ·\n)+.*", text, re.MULTILINE)
    names = re.findall(r"\[([^\]]+)\]", row)
    assert names == ["In the browser", "Tutorials", "User guide", "SDXL-Turbo", "Gallery"]


def test_the_guide_for_contributors_is_short_and_names_every_folder() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    assert len(text.splitlines()) <= 80
    package = REPOSITORY / "ember_widgets"
    folders = {path.parent.relative_to(package).parts[-1] for path in package.rglob("*/__init__.py")}
    assert {folder for folder in folders if f"{folder}/" not in text} == set()


def test_every_page_is_in_the_index() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in (REPOSITORY / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(links(index))


def test_the_source_package_holds_the_pages() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    include = re.search(r"\[tool\.hatch\.build\.targets\.sdist\]\ninclude = (\[[^\]]*\])", text)
    assert include is not None
    for name in ("/README.md", "/CONTRIBUTING.md", "/CHANGELOG.md", "/SECURITY.md", "/docs", "/.github"):
        assert f'"{name}"' in include.group(1)
