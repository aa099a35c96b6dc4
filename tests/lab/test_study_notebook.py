"""The study in JupyterLab, with fewer seeds: features show what their labels say, random ones do not."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.lab.notebook import Notebook
from tests.lab.server import REPOSITORY, LabServer

NAME = "08_study.ipynb"


def test_labels_keep_their_promise_and_random_features_do_not(page: Page, server: LabServer) -> None:
    text = (REPOSITORY / "notebooks" / NAME).read_text("utf-8")
    assert text.count("n_seeds = 50") == 1
    (server.notebooks / NAME).write_text(text.replace("n_seeds = 50", "n_seeds = 10"), "utf-8")
    notebook = Notebook(page, server.address(NAME))
    notebook.run_all()

    found = notebook.ask(
        "{name: [float(np.mean(claimed[name])), float(np.mean(random[name]))] for name in things}"
    )
    assert len(found) == 10
    for name, (claimed, by_chance) in found.items():
        assert claimed > 0.4, name
        assert by_chance < 0.1, name
    assert notebook.ask("float(doses[..., 0].mean())") == 0  # strength 0 paints nothing
    assert notebook.ask("float(doses[..., -2].mean() - doses[..., 2].mean())") > 0.3  # 1.0 against 0.4
    assert notebook.ask("bool(by_distance[0] > 0.7 and by_distance[3] < 0.05)")
    assert notebook.ask("float(np.mean(together) - np.mean(alone))") > 0.5
    server.stop_kernel(NAME)
