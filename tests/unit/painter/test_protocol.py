"""What a painter offers is declared in one place, and asked for in one way."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from ember_widgets.features.labels import Labels
from ember_widgets.painter.protocol import (
    CAPABILITIES,
    Inspects,
    Previews,
    Refits,
    Styles,
    capabilities,
    check_painter,
    labels_of,
    offered,
)
from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene


class Plain:
    """The two methods that every painter has."""

    def analyze(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5) -> Scene:
        return make_scene()

    def render(self, scene: Scene) -> Image.Image:
        return Image.new("RGB", (8, 8))


class Refitting(Plain):
    styles = True

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        return scene


class Remote(Refitting):
    """Has methods for more than its server can do."""

    def __init__(self, *listed: str) -> None:
        self.capabilities = listed


def test_a_plain_painter_offers_nothing_besides() -> None:
    assert capabilities(Plain()) == ()
    assert offered(Plain(), Refits) is None


def test_a_capability_is_offered_by_having_its_members() -> None:
    painter = Refitting()
    assert capabilities(painter) == ("styles", "refit")
    assert offered(painter, Refits) is painter
    assert offered(painter, Styles) is painter
    assert offered(painter, Inspects) is None
    assert offered(painter, Previews) is None


def test_a_list_of_capabilities_takes_away_and_adds_nothing() -> None:
    assert capabilities(Remote("refit", "sweep")) == ("refit",)
    assert capabilities(Remote()) == ()


def test_asking_runs_no_property() -> None:
    class Costly(Plain):
        @property
        def statistics(self) -> Any:
            raise AssertionError("asked for")

    assert capabilities(Costly()) == ("statistics",)


def test_names_are_stable() -> None:
    """They go over the wire to browsers and servers."""
    assert " ".join(CAPABILITIES) == (
        "styles guidance previews refit reseed sweep inspect labels icons icon draw_icons statistics "
        "prompt_notes robustness label concepts connection share"
    )


@pytest.mark.parametrize(
    ("painter", "missing"), [(7, "analyze"), (type("P", (), {"analyze": Plain.analyze})(), "render")]
)
def test_what_is_not_a_painter_is_refused(painter: object, missing: str) -> None:
    check_painter(Plain())
    with pytest.raises(TypeError, match=rf"has no {missing}\(\); give a Painter, e\.g\. ember\.Painter"):
        check_painter(painter)


def test_labels_are_those_that_a_painter_offers() -> None:
    painter: Any = Plain()
    assert len(labels_of(painter)) == len(labels_of(None)) == 0
    painter.labels = {3: "pine (tree)"}  # a painter of a user's own may have a plain dict
    assert labels_of(painter)[3] == "pine (tree)"
    painter.labels = Labels({3: "pine"})
    assert labels_of(painter) is painter.labels
    painter.capabilities = []  # it has the attribute, but says that it does not offer it
    assert len(labels_of(painter)) == 0
