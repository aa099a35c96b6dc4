"""What front ends ask of a widget's module, told from its text: tests/lab/test_contract.py runs it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from ember_widgets.widgets.paint.to_html import page

STATIC = Path(__file__).parents[3] / "ember_widgets" / "widgets" / "static"
NAMESPACES = ("http://www.w3.org/",)

# Each reaches for the network or runs text as code: some front ends forbid it.
FORBIDDEN = (
    r"\bfetch\(",
    r"\bXMLHttpRequest\b",
    r"\bWebSocket\b",
    r"\bEventSource\b",
    r"\bsendBeacon\b",
    r"\bimportScripts\b",
    r"\bimport\b",
    r"\brequire\(",
    r"(?<![.\w])eval\(",
    r"\bFunction\(",
    r"\bWorker\(",
    r"\blocalStorage\b",
    r"\bdocument\.cookie\b",
    r"\bdocument\.write\b",
)
GLOBAL_WRITE = r"\b(?:window|globalThis|self|top|parent)(?:\.[\w$]+|\[[^\]]*\])\s*=(?!=)"


# The text of paint.js is saved in a notebook once per widget.
MOST_BYTES = 69_632
# paint.js imports panels.js, which the kernel sends as text, from a blob. So does anywidget with paint.js:
# no front end that shows the widget forbids it.
IMPORT_OF_A_BLOB = re.compile(
    r"""(\w+)=URL\.createObjectURL\(new Blob\(\[\w+\],\{type:"text/javascript"\}\)\);"""
    r"""try\{return ?\(await[ (]import\(\1\)"""
)


def read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


@pytest.fixture(params=["paint.js", "atlas.js"])
def script(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return read(name)


def test_what_a_notebook_saves_is_small() -> None:
    assert (STATIC / "paint.js").stat().st_size <= MOST_BYTES


def test_both_parts_of_the_paint_widget_are_of_one_build() -> None:
    # Their names for what they share are the build's, so parts of two builds would not fit.
    match = re.match(r"/\*! Needs paint.js (\w{16}) \*/", read("panels.js"))
    assert match is not None
    assert hashlib.sha256((STATIC / "paint.js").read_bytes()).hexdigest().startswith(match[1])


def test_the_second_part_is_one_function_and_contains_no_library_again() -> None:
    panels = read("panels.js")
    assert len(re.findall(r"\bexport\b", panels)) == 1
    assert re.match(r"/\*![^*]*\*/\s*export default \w+=>\{", panels)
    for of_preact_or_signals in ("getDerivedStateFromProps", "Cycle detected"):
        assert of_preact_or_signals in read("paint.js")
        assert of_preact_or_signals not in panels


def test_it_is_one_module_with_one_default_export(script: str) -> None:
    assert len(re.findall(r"\bexport[\s{*]", script)) == 1
    assert re.search(r"export\{[\w$]+ as default\};?\s*$", script)


def test_the_build_shortens_no_name_that_anywidget_or_the_kernel_uses() -> None:
    script = read("paint.js")
    assert re.search(r"initialize[:(]*\{model:", script)
    assert re.search(r"render[:(]*\{el:", script)
    for argument in (
        "verb",
        "shares",
        "factor",
        "strength",
        "opacity",
        "mode",
        "gain",
        "heal",
        "d_row",
        "d_col",
    ):
        assert re.search(rf"[{{,]{argument}[:,}}]", script), argument


def test_it_names_the_packages_that_it_contains(script: str) -> None:
    assert re.match(r"/\*! Contains Preact, .*MIT licence", script)


@pytest.mark.parametrize("pattern", FORBIDDEN)
@pytest.mark.parametrize("name", ["paint.js", "panels.js", "atlas.js"])
def test_it_reaches_for_nothing_outside(name: str, pattern: str) -> None:
    script = read(name)
    if name == "paint.js":
        script, n_imports = IMPORT_OF_A_BLOB.subn("", script)
        assert n_imports == 1
    assert re.findall(f".{{0,40}}{pattern}", script) == []


@pytest.mark.parametrize("name", ["paint.js", "panels.js", "atlas.js"])
def test_the_only_addresses_are_names_of_namespaces(name: str) -> None:
    script = read(name)
    addresses = re.findall(r"""(?:https?:|wss?:)?//[^"'`\s)]+""", script)
    assert [address for address in addresses if not address.startswith(NAMESPACES)] == []


@pytest.mark.parametrize("name", ["paint.js", "panels.js", "atlas.js"])
def test_it_leaves_nothing_in_the_page(name: str) -> None:
    script = read(name)
    assert re.findall(GLOBAL_WRITE, script) == []


@pytest.mark.parametrize("name", ["paint.css", "panels.js", "atlas.css", "inspect.css"])
def test_styles_ask_for_nothing_either(name: str) -> None:
    style = read(name)
    assert re.findall(r"@import|@font-face|url\((?!data:)", style) == []


def test_a_saved_page_takes_any_module() -> None:
    module = 'const a = () => "</script>"; export default a; export const b = 1;'
    html = page(module, "", [], "a page")
    (text,) = re.findall(r'id="module">(.*?)</script>', html, re.S)
    assert json.loads(text) == module
