"""The commands in README.md, docs/ and the notebooks are those of the command line and the Makefile."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ember_widgets.cli import main

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXTRAS = re.compile(r"(?:ember-widgets|\.)\[([\w,]+)\]")


def text_of(page: Path) -> str:
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command in the bash blocks, without the variables that it is given."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield words


def arguments(words: list[str]) -> list[str] | None:
    """What our command is given; None = it is another command."""
    for names in (["ember-widgets"], ["uvx", "ember-widgets"]):
        if words[: len(names)] == names:
            return words[len(names) :]
    module = "ember_widgets.cli.main"
    return words[words.index(module) + 1 :] if module in words else None


def unknown(text: str) -> list[str]:
    """The commands that nobody knows, and extras that do not exist."""
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    extras = set(re.findall(r"^(\w+) = \[", (REPOSITORY / "pyproject.toml").read_text("utf-8"), re.MULTILINE))
    wrong = [extra for names in EXTRAS.findall(text) for extra in names.split(",") if extra not in extras]
    for words in commands(text):
        if words[0] == "make" and words[1] not in targets:
            wrong.append(shlex.join(words))
        given = arguments(words)
        if given is None:
            continue
        try:
            main._parser().parse_args([word for word in given if word != "..."])
        except SystemExit:
            wrong.append(shlex.join(words))
    return wrong


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)
def test_every_command_is_known(page: Path) -> None:
    assert unknown(text_of(page)) == []


def test_this_test_sees_what_is_unknown() -> None:
    text = (
        "`pip install 'ember-widgets[lab,lag]'`\n"
        "```bash\nmake demo && cd x\nmake coffee\nember-widgets info  # --not-read\nuvx ember-widgets dem\n"
        'RAY=1 ember-widgets serve --embedded \\\n    --no-such "a b"\nls\n'
        "torchrun -m ember_widgets.cli.main trian --out x\n```\n"
    )
    assert unknown(text) == [
        "lag",
        "make coffee",
        "uvx ember-widgets dem",
        "ember-widgets serve --embedded --no-such 'a b'",
        "torchrun -m ember_widgets.cli.main trian --out x",
    ]
    found = {words[0] for page in [*PAGES, *NOTEBOOKS] for words in commands(text_of(page))}
    assert {"ember-widgets", "uvx", "make", "pip", "torchrun"} <= found
