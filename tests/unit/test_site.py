"""The documentation site has every page and every public name. These tests need no Sphinx."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import ember_widgets
from ember_widgets import plots

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^\.\. (?:auto(?:class|function)|py:data):: ember_widgets\.([\w.]+)$", re.MULTILINE)


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def places() -> dict[str, str]:
    """Where each source goes in the site."""
    found: dict[str, str] = module("build").placed()
    return found


def pages(places: dict[str, str]) -> set[str]:
    """The site's pages, without their endings."""
    ends = (".md", ".ipynb")
    return {str(Path(place).with_suffix("").as_posix()) for place in places.values() if place.endswith(ends)}


def listed() -> set[str]:
    """What the tables of contents name."""
    found = set()
    for page in (DOCS / "site").rglob("*.md"):
        here = page.parent.relative_to(DOCS / "site")
        for tree in TOCTREE.findall(page.read_text("utf-8")):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            found |= {str((here / name).as_posix()) for name in names}
    return {re.sub(r"^\w+/\.\./", "", name) for name in found}


def test_every_page_is_in_a_table_of_contents(places: dict[str, str]) -> None:
    # The help of the commands is written when the site is built.
    assert listed() == pages(places) - {"index"} | {"reference/commands"}


def test_every_page_of_the_repository_is_in_the_site(places: dict[str, str]) -> None:
    sources = {f"docs/{page.name}" for page in DOCS.glob("*.md")} - {"docs/README.md"}
    sources |= {f"notebooks/{path.name}" for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    assert sources <= set(places)
    assert len(set(places.values())) == len(places)  # no page lies over another


def test_every_public_name_has_one_entry_in_the_reference() -> None:
    entries = [
        name
        for page in (DOCS / "site" / "reference").glob("*.md")
        if page.name != "values.md"  # what verbs return: documented, but not to be imported
        for name in ENTRY.findall(page.read_text("utf-8"))
    ]
    assert sorted(entries) == sorted([*ember_widgets.__all__, *(f"plots.{name}" for name in plots.__all__)])


def test_the_reference_links_to_every_public_name() -> None:
    index = (DOCS / "site" / "reference" / "index.md").read_text("utf-8")
    names = {*ember_widgets.__all__, *(f"plots.{name}" for name in plots.__all__)} - {"__version__"}
    assert {name for name in names if f"<ember_widgets.{name}>`" not in index} == set()


def test_the_settings_say_the_version() -> None:
    assert module("conf").release == ember_widgets.__version__


def test_links_follow_their_pages(places: dict[str, str]) -> None:
    relinked = module("build").relinked
    text = "[a](../notebooks/01_paint.ipynb) [b](limits.md#a) [c](../CHANGELOG.md) [d](https://a.org) [e](#f)"
    assert relinked(text, "docs/user-guide.md", places) == (
        "[a](notebooks/01_paint.ipynb) [b](limits.md#a) [c](changelog.md) [d](https://a.org) [e](#f)"
    )
    assert relinked("[a](../docs/page.md)", "notebooks/01_paint.ipynb", places) == "[a](../page.md)"
    assert relinked("![a](card/drag.jpg)", "ember_widgets/embedded/assets/MODEL_CARD.md", places) == (
        "![a](card/drag.jpg)"
    )


def test_a_link_to_what_the_site_lacks_is_refused(places: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"docs/page\.md links to \.\./pyproject\.toml, which the site"):
        module("build").relinked("[a](../pyproject.toml)", "docs/page.md", places)


def test_every_page_finds_its_links(places: dict[str, str]) -> None:
    build = module("build")
    for source in places:
        if source.endswith((".md", ".ipynb")):
            build.relinked((REPOSITORY / source).read_text("utf-8"), source, places)


def test_a_run_notebook_shows_pictures_in_the_place_of_widgets(places: dict[str, str]) -> None:
    nbformat = pytest.importorskip("nbformat")
    view = "application/vnd.jupyter.widget-view+json"
    shown = [
        {view: {}, "image/png": "iVBOR", "text/plain": "PaintWidget()"},
        {view: {}, "text/plain": "IntProgress()"},
        {"image/webp": "UklG\n", "text/plain": "<Image>"},
        {"text/plain": "a[0](nothing.md)"},
    ]
    outputs = [nbformat.v4.new_output("display_data", data) for data in shown]
    outputs.append(nbformat.v4.new_output("stream", name="stderr", text="50 %"))
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Paint\n\nNext: [labels](../docs/labels-and-concepts.md)"),
            nbformat.v4.new_code_cell("widget", outputs=outputs),
        ],
        metadata={"widgets": {"state": {}}},
    )
    text = module("build").as_page(nbformat.writes(notebook), "notebooks/01_paint.ipynb", places, True)
    page = nbformat.reads(text, as_version=4)
    title, note, rest, code = page.cells
    assert [title.source, rest.source] == ["# Paint", "Next: [labels](../labels-and-concepts.md)"]
    assert "{download}`download it <01_paint.ipynb>`" in note.source
    film = '<img alt="A film of the scenes" src="data:image/webp;base64,UklG">'
    assert [output.data for output in code.outputs] == [
        {"image/png": "iVBOR", "text/plain": "PaintWidget()"},
        {"text/html": film, "text/plain": "<Image>"},
        {"text/plain": "a[0](nothing.md)"},
    ]
    assert "widgets" not in page.metadata


def test_every_page_of_the_reference_that_has_names_to_import_has_examples() -> None:
    build = module("build")
    by_example = (DOCS / "python-by-example.md").read_text("utf-8")
    for page in (DOCS / "site" / "reference").glob("*.md"):
        if page.stem in ("index", "values"):
            continue
        text = page.read_text("utf-8")
        assert build.EXAMPLES.search(text), page.name
        assert "```python" in build.with_examples(text, by_example), page.name
    with pytest.raises(ValueError, match=r"no section 'Nothing', only Painter, Scene"):
        build.with_examples("<!-- examples: Nothing -->", by_example)
