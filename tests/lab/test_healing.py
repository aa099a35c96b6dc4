"""A gap is filled with the background at that height, also across the horizon."""

from __future__ import annotations

from tests.lab.conftest import OpenNotebook
from tests.lab.view import PaintView

CELLS = [
    """import numpy as np
import ember_widgets as ember

painter = ember.Painter.embedded()
before = painter.analyze("a sun, snow", seed=1, n_factors=4)
widget = ember.PaintWidget(painter, before)
widget"""
]
# Of the patches in the box: which factor is the strongest, and which is in most of its row.
FILLED = """
strongest = widget.scene.strengths.argmax(axis=2)
rows = [int(np.bincount(row).argmax()) for row in before.strengths.argmax(axis=2)]
names = [widget.scene.names[factor] for factor in rows]
wrong = [(r, c) for r in range(11) for c in range(1, 10) if strongest[r, c] != rows[r]]
sun = float(widget.scene.strengths[..., widget.scene.names.index("sun")].max())
"""


def test_the_sky_with_the_sun_in_it_is_erased_to_sky_and_the_snow_below_it_to_snow(
    open_notebook: OpenNotebook,
) -> None:
    view = PaintView(open_notebook(CELLS))
    view.settle()
    view.use("rect")
    view.drag([(0, 1), (10, 9)])
    view.page.keyboard.press("Delete")
    view.settle()
    view.notebook.tell(FILLED)
    assert {"day", "snow"} == set(view.notebook.ask("names"))
    assert view.notebook.ask("wrong") == []
    assert view.notebook.ask("sun") < 0.1
    box = "[(row, col) for row in range(11) for col in range(1, 10)]"
    assert view.differences_from(f"before.erase({box}, heal=True)") == []
