"""Where sprites stand, as the renderer is taught it."""

from __future__ import annotations

import numpy as np
import torch

from ember_widgets.embedded import scenes
from ember_widgets.embedded.architecture import build_unet
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.scenes import Layout, Thing
from ember_widgets.embedded.sides import LAYER, NONE, Reader, Shapes, sides_loss, sprite_sides
from ember_widgets.embedded.vocabulary import LABELS

CAT, PINE = LABELS.index("cat"), LABELS.index("pine")
PAPER = np.zeros((16, 16), int)


def test_each_patch_of_a_sprite_knows_how_far_its_sides_are() -> None:
    sides = sprite_sides(Layout(PAPER, (Thing(CAT, 3, 6, 5, 5),)))
    assert sides[:, 5, 8].tolist() == [2, 2, 2, 2]
    assert sides[:, 7, 8].tolist() == [4, 0, 2, 2]
    assert (sides[:, 0, 0] == NONE).all()
    seen = scenes.silhouette(CAT, 5, 5)
    assert (sides[:, 3:8, 6:11][:, seen] < NONE).all()


def test_each_sprite_of_a_shape_has_sides_of_its_own() -> None:
    shape = np.ones((3, 9), bool)
    boxes = scenes.sprite_boxes(CAT, shape)
    assert len(boxes) == 3
    sides = sprite_sides(Layout(PAPER, (Thing(CAT, 4, 2, 3, 9, shape),)))
    for row, col, height, width in boxes:
        middle = sides[:, 4 + row + height // 2, 2 + col + width // 2]
        assert middle.tolist() == [height // 2, height - 1 - height // 2, width // 2, width - 1 - width // 2]


def test_the_foremost_sprite_counts_and_what_is_off_the_grid_does_not() -> None:
    behind, before = Thing(CAT, 4, 4, 6, 6), Thing(PINE, 6, 6, 6, 6)
    both = sprite_sides(Layout(PAPER, (behind, before)))
    alone = sprite_sides(Layout(PAPER, (before,)))
    assert (both[:, alone[0] < NONE] == alone[:, alone[0] < NONE]).all()
    cut = sprite_sides(Layout(PAPER, (Thing(CAT, -2, 13, 5, 5),)))
    assert cut[:, 0, 15].tolist() == [2, 2, 2, 2]
    assert (cut[0, 3:] == NONE).all()
    assert (cut[0, :, :13] == NONE).all()


def test_shapes_depend_on_their_number_alone() -> None:
    items, others = Shapes(5, 3, 0), Shapes(9, 3, 0)
    assert all(torch.equal(items[2][name], others[2][name]) for name in items[2])
    assert not torch.equal(items[2]["labels"], Shapes(5, 3, 1)[2]["labels"])
    layouts = [random_layout(np.random.default_rng([31, 0, 2]), faded=0.1)]
    assert torch.equal(items[2]["sides"][0], torch.from_numpy(sprite_sides(layouts[0])))


def test_the_loss_is_least_for_the_right_sides() -> None:
    sides = torch.from_numpy(np.stack([sprite_sides(Layout(PAPER, (Thing(CAT, 3, 6, 5, 5),)))]))
    logits = torch.nn.functional.one_hot(sides, NONE + 1).permute(0, 1, 4, 2, 3).flatten(1, 2) * 20.0
    loss, right = sides_loss(logits, sides)
    assert loss < 1e-6
    assert right == 1
    off_by_one, wrong = sides_loss(logits, torch.where(sides < NONE, (sides + 1) % NONE, sides))
    assert off_by_one > 5
    assert wrong == 0


def test_a_reader_sees_what_the_layer_gave_in_the_last_run() -> None:
    unet = build_unet()
    reader = Reader(unet)
    layer = unet.get_submodule(LAYER)
    values, text = torch.randn(1, 160, 16, 16), torch.randn(1, 7, 64)
    (given,) = layer(values, encoder_hidden_states=text, return_dict=False)
    expected = sides_loss(reader.head(given), torch.full((1, 4, 16, 16), NONE))
    assert torch.equal(reader(torch.full((1, 4, 16, 16), NONE))[0], expected[0])
