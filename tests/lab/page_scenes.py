"""Twenty painted scenes of the embedded model, in which every way of drawing occurs."""

from __future__ import annotations

from collections.abc import Iterator

import ember_widgets as ember

PROMPTS = (
    "",
    "a lion in a meadow",
    "a cat and a dog on a beach at night",
    "a castle on a mountain",
    "two monkeys in the snow",
    "a sailboat on the sea at sunset",
    "a tree and a house",
    "the moon over the road",
    "a mushroom and a sunflower in a meadow",
    "a car in the sand",
)
SEEDS = (30, 70, 2**40 + 5, 2**63 - 1)
STEPS = (1, 2, 4, 1)


def block(rows: range, cols: range) -> list[tuple[int, int]]:
    return [(row, col) for row in rows for col in cols]


def scenes(painter: ember.Painter) -> Iterator[ember.Scene]:
    """Unedited, painted, moved, erased, with other factors, styles and layers; and a blank canvas."""
    lion = painter.labels.search("lion")[0]
    for i in range(20):
        style = "pixel art" if i % 5 == 3 else ""
        scene = painter.analyze(
            PROMPTS[i % 10], seed=SEEDS[i % 4] - i, n_steps=STEPS[i % 4], n_factors=5, style=style
        )
        if i % 3 == 1:
            scene = scene.paint(0, block(range(4, 9), range(4 + i % 5, 10)), 1.0)
        if i % 3 == 2:
            last = scene.n_factors - 1
            scene = scene.move(last, 2, -3).scale(0, 1.5).set_weight(last, lion, 0.3)
            scene = scene.add_factor({lion: 1.0})
            scene = scene.paint(last + 1, block(range(9, 14), range(2, 8)), 0.9)
        if i % 7 == 6:
            scene = scene.erase(block(range(8), range(16)))
        if i == 10:
            scene = scene.set_steps(0, (0, 1))
        if i == 18:
            scene = painter.blank("", seed=4).add_factor({lion: 1.0})
            scene = scene.paint(0, block(range(6, 12), range(5, 11)), 1.0)
        yield scene
