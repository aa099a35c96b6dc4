"""Options and the names of the rings: a test belongs to the ring whose folder it lies in.

Properties are tried on the same examples in every run. With `--hypothesis-profile=long` they are tried on
thirty times as many examples, others each time: to look for what is still wrong.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
# Quick rings first: a broken unit is the better message than the browser's timeout it leads to.
RINGS = ("unit", "pipeline", "lab")


# No deadline: how long an example takes depends on the machine.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile(
    "long", max_examples=3_000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile("fixed")

# What users of this machine keep is none of the tests' business, nor the other way round.
FOLDERS = {
    variable: tempfile.TemporaryDirectory(prefix="ember-tests-")  # gone when the tests end
    for variable in ("EMBER_WIDGETS_CACHE", "EMBER_WIDGETS_DATA")
}
os.environ.update({variable: folder.name for variable, folder in FOLDERS.items()})


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """Labels that one test sets, in a notebook too, are not there for the next."""
    yield
    shutil.rmtree(Path(os.environ["EMBER_WIDGETS_DATA"]) / "labels", ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        metavar="FOLDER",
        default=os.environ.get("EMBER_SCREENSHOTS"),
        help="keep the screenshots of the tests in a real JupyterLab here (default: EMBER_SCREENSHOTS)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def ring(item: pytest.Item) -> str | None:
        parts = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
        return parts[0] if parts and parts[0] in RINGS else None

    for item in items:
        name = ring(item)
        if name is not None:
            item.add_marker(name)
    # Minutes and 20 GB: never by accident.
    if "slow" not in str(config.getoption("-m")):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    items.sort(key=lambda item: RINGS.index(ring(item) or RINGS[0]))
