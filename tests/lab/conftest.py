from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.lab.browser import launch, new_context
from tests.lab.notebook import Notebook
from tests.lab.server import LabServer
from tests.lab.view import PaintView

FAKE_CELLS = [
    """import ember_widgets as ember
from tests.lab.fake_painter import FakePainter

painter = FakePainter()""",
    """before = painter.analyze("a meadow", seed=3, n_factors=5)
widget = ember.PaintWidget(painter, before)
widget""",
]

# The widgets of tests that share a notebook begin as new ones, though one cell makes them all.
SHARED_CELLS = [
    FAKE_CELLS[0] + "\nfrom ember_widgets.widgets.paint import cells\n\ncells._left.clear()",
    FAKE_CELLS[1],
]

OpenNotebook = Callable[[list[str]], Notebook]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with LabServer(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launch() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = new_context(browser)
    yield context.new_page()
    context.close()


@pytest.fixture
def open_notebook(page: Page, server: LabServer, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """Opens a notebook with the given cells, runs them, and stops its kernel after the test."""

    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name) + ".ipynb"

    def open_and_run(cells: list[str]) -> Notebook:
        notebook = Notebook(page, server.address(server.write_notebook(name, cells)))
        notebook.run_all()
        return notebook

    yield open_and_run
    server.stop_kernel(name)


@pytest.fixture(scope="module")
def shared_notebook(
    browser: Browser, server: LabServer, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    name = server.write_notebook(f"{Path(request.node.name).stem}.ipynb", SHARED_CELLS)
    with new_context(browser) as context:
        yield Notebook(context.new_page(), server.address(name))
    server.stop_kernel(name)


@pytest.fixture
def view(shared_notebook: Notebook) -> PaintView:
    """A new widget with a new fake painter; in the kernel `before` is the scene it was given.

    The page and the kernel are shared within a module: to start them takes longer than most tests.
    """
    shared_notebook.run_all()
    view = PaintView(shared_notebook)
    view.settle()
    return view


@pytest.fixture
def fresh_view(open_notebook: OpenNotebook) -> PaintView:
    """Like `view`, with a page and a kernel of its own, for tests that leave them changed."""
    view = PaintView(open_notebook(FAKE_CELLS))
    view.settle()
    return view


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the pictures that people look at; kept where --screenshots says."""
    kept = request.config.getoption("--screenshots")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
