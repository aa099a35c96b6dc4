"""The notebook about labels in JupyterLab, with fewer features: a concept is found and painted."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.lab.notebook import LIMIT_MS, Notebook
from tests.lab.server import REPOSITORY, LabServer
from tests.lab.view import PaintView

NAME = "07_labels.ipynb"
# What takes long, and what stands in its place here.
SHORTER = {
    "n_pictures = 120": "n_pictures = 60",
    "run = painter.label(collection=collection, client=client)": (
        "three = [known.labels.search(name)[0] for name in ('cat', 'sun', 'snow')]\\n"
        "run = painter.label(three, collection=collection, client=client)"
    ),
}


def shortened(text: str) -> str:
    """The notebook with less of everything that takes long."""
    for part, shorter in SHORTER.items():
        assert text.count(part) == 1, part
        text = text.replace(part, shorter)
    return text


def test_features_get_their_names_and_a_concept_is_painted(page: Page, server: LabServer) -> None:
    text = (REPOSITORY / "notebooks" / NAME).read_text("utf-8")
    (server.notebooks / NAME).write_text(shortened(text), "utf-8")
    notebook = Notebook(page, server.address(NAME))
    notebook.run_all()

    given = notebook.ask("{known.labels[f]: [run.labels[f], run.labels.entry(f).scores] for f in run.labels}")
    assert {truth: label for truth, (label, _) in given.items()} == {t: t for t in ("cat", "sun", "snow")}
    assert all(scores["causal"] >= 0.8 for _, scores in given.values())
    assert notebook.ask("all((s.basis[s.names.index('cat')] == painted[0].basis[-1]).all() for s in painted)")

    notebook.scroll_to_cell("PaintWidget(painter")
    view = PaintView(notebook)
    view.settle()
    before = view.picture()
    search = view.part("search-palette")
    search.fill("sun")
    found = view.part("found-concept-sun")
    expect(found).to_be_visible(timeout=LIMIT_MS)
    found.click()
    view.settle()
    view.use("paint", size=4)
    view.drag([(3, 10), (3, 12)])
    view.settle()
    added = notebook.ask("[widget.scene.names[-1], bool((widget.scene.basis[-1] == bank['sun'].row).all())]")
    assert added == ["sun", True]
    changes = view.patch_changes(before)
    assert changes[2:5, 9:14].mean() > 10 * changes[11:].mean()
    assert notebook.ask("widget.last_error is None")
    server.stop_kernel(NAME)
