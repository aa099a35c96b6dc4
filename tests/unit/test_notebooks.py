"""How the tutorials begin and end, and that what they point to is there for whoever has only them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    """Kind and text of each cell."""
    found: list[dict[str, Any]] = json.loads(request.param.read_text("utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in found]


def test_a_notebook_begins_with_what_you_will_be_able_to_do(cells: list[tuple[str, str]]) -> None:
    kind, text = cells[0]
    assert kind == "markdown"
    assert text.startswith("# ")
    assert re.search(r"hen you have worked through it, you can\n\n(- .+\n(  .+\n)*){3}", text)


def test_a_notebook_ends_with_three_things_to_try(cells: list[tuple[str, str]]) -> None:
    kind, text = cells[-1]
    assert kind == "markdown"
    _, _, tasks = text.partition("**Three things to try**\n\n")
    assert re.findall(r"^(\d)\. ", tasks, re.MULTILINE) == ["1", "2", "3"]


def test_a_notebook_links_only_to_the_web_and_to_other_notebooks(cells: list[tuple[str, str]]) -> None:
    """`ember-widgets demo` opens the folder of the notebooks; what is above it cannot be opened there."""
    names = {path.name for path in NOTEBOOKS}
    links = [
        link for kind, text in cells if kind == "markdown" for link in re.findall(r"\]\(([^)]+)\)", text)
    ]
    assert [link for link in links if link not in names and not link.startswith("https://")] == []


def test_a_notebook_is_kept_without_outputs() -> None:
    """They hold pictures and a widget's state; whoever runs it gets those of the installed version."""
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            assert not cell.get("outputs"), path.name
