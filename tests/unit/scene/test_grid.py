"""Grids of other sizes: scenes on them are edited, saved and loaded like those of 16×16 patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ember_widgets.scene.grid import Grid, Mask
from ember_widgets.scene.scene import Scene
from tests.unit.scene.scenes import make_scene

GRIDS = [Grid(24, 24), Grid(12, 20), Grid(1, 1)]


def scene_on(grid: Grid) -> Scene:
    return make_scene(grid=grid)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
class TestEveryGrid:
    def test_a_scene_knows_its_grid(self, grid: Grid) -> None:
        assert scene_on(grid).grid == grid

    def test_the_last_patch_is_painted(self, grid: Grid) -> None:
        last = (grid.rows - 1, grid.cols - 1)
        painted = scene_on(grid).paint("lion", [last], 2.0)
        assert painted.strengths[last].tolist() == [0, 2, 0]
        assert painted.remainder[last] == 0
        assert (painted.strengths != scene_on(grid).strengths).any(axis=2).sum() == 1

    def test_a_patch_beyond_the_last_is_refused(self, grid: Grid) -> None:
        with pytest.raises(ValueError, match=rf"patch \({grid.rows}, 0\) is outside the grid; rows"):
            scene_on(grid).paint("lion", [(grid.rows, 0)])

    def test_a_mask_of_another_grid_is_refused(self, grid: Grid) -> None:
        with pytest.raises(ValueError, match=rf"the grid is \({grid.rows}, {grid.cols}\)"):
            scene_on(grid).erase(np.ones((16, 16), np.bool_))

    def test_areas_cover_the_grid(self, grid: Grid) -> None:
        assert {mask.shape for mask in grid.areas.values()} == {grid.shape}
        assert grid.mask("everything").all()
        assert not (grid.mask("left") & grid.mask("right")).any()

    def test_saved_and_loaded(self, grid: Grid, tmp_path: Path) -> None:
        scene = scene_on(grid).paint("sky", "everything", 0.5).erase([(0, 0)])
        scene.save(tmp_path / "scene.json")
        assert Scene.load(tmp_path / "scene.json") == scene


@pytest.mark.parametrize("grid", GRIDS[:2], ids=str)
def test_a_region_moves_and_its_gap_is_filled(grid: Grid) -> None:
    scene = scene_on(grid)
    moved = scene.move(None, 3, 5, patches=[(0, 0)])
    assert moved.strengths[3, 5].tolist() == scene.strengths[0, 0].tolist()
    corner = np.zeros(grid.shape, np.bool_)
    corner[0, 0] = True
    assert np.array_equal(moved.strengths[0, 0], grid.heal(scene.strengths, corner)[0, 0])
    assert moved.strengths[0, 0].any()
    with pytest.raises(ValueError, match=f"farther than {grid.rows - 1} patches everything is off the grid"):
        scene.move(None, grid.rows, 0, patches=[(0, 0)])


def test_areas_of_16_by_16_are_those_of_version_0_1() -> None:
    row, col = np.mgrid[:16, :16]
    areas = {
        "everything": row >= 0,
        "floor": row >= 11,
        "centre": (row - 7.5) ** 2 + (col - 7.5) ** 2 <= 16,
        "left": col < 5,
        "right": col >= 11,
    }
    assert areas.keys() == Grid().areas.keys()
    assert all(np.array_equal(areas[name], mask) for name, mask in Grid().areas.items())


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="give one patch or more"):
        scene_on(Grid(0, 4))


def test_strengths_of_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"strengths has shape \(16, 16\); the grid is \(12, 20\)"):
        Grid(12, 20).region(np.ones((16, 16), np.float32))
    with pytest.raises(ValueError, match=r"hole has shape \(16, 16\); the grid is \(12, 20\)"):
        Grid(12, 20).heal(np.ones((12, 20, 1), np.float32), np.ones((16, 16), np.bool_))


def test_arrays_of_a_scene_have_one_grid() -> None:
    with pytest.raises(
        ValueError, match=r"remainder has shape \(16, 16\); give an array of shape \(24, 24\)"
    ):
        make_scene(grid=Grid(24, 24), remainder=np.ones((16, 16)))
    with pytest.raises(ValueError, match=r"base_strengths has shape \(20, 12, 3\)"):
        make_scene(grid=Grid(12, 20), base_strengths=np.ones((20, 12, 3)))


def test_areas_are_computed_once_and_read_only() -> None:
    areas = make_scene(grid=Grid(24, 24)).grid.areas
    assert areas is make_scene(grid=Grid(24, 24)).grid.areas
    assert not areas["floor"].flags.writeable


# The same cases as in js/tests/paint/store/grid.test.ts


def listed(mask: Mask) -> list[tuple[int, int]]:
    return [(int(row), int(col)) for row, col in np.argwhere(mask)]


def test_patches_that_touch_at_a_corner_are_connected_and_separate_regions_are_not() -> None:
    grid, patches = Grid(), [(1, 1), (2, 2), (2, 3), (9, 9)]
    assert listed(grid.connected(patches, (1, 1))) == [(1, 1), (2, 2), (2, 3)]
    assert not grid.connected(patches, (0, 0)).any()
    assert grid.connected("everything", (7, 7)).all()


def test_a_region_does_not_continue_at_the_opposite_border_of_the_grid() -> None:
    assert listed(Grid().connected([(4, 15), (5, 0)], (4, 15))) == [(4, 15)]


def test_the_strongest_factor_is_found_and_negative_strengths_count_by_their_size() -> None:
    grid, strengths = Grid(), np.zeros((16, 16, 3), np.float32)
    strengths[0, 7] = 0.5, 1, -0.8
    strengths[0, 9] = 2, -2, 1
    strengths[0, 10] = 1e-6, 1e-7, 0
    assert grid.strongest(strengths)[0, 7:11].tolist() == [1, -1, 0, -1]
    assert grid.strongest(strengths * np.array([1, 0.2, 1], np.float32))[0, 7] == 2
    assert (grid.strongest(np.zeros((16, 16, 0), np.float32)) == -1).all()


def test_the_area_of_fill_is_what_is_connected_where_the_same_factor_is_the_strongest() -> None:
    grid, strengths = Grid(4, 5), np.zeros((4, 5, 2), np.float32)
    strengths[:, :2, 0], strengths[:, 1:4, 1], strengths[3, 4, 0] = 1, 2, 1
    top = grid.strongest(strengths)
    assert listed(grid.connected(top == top[0, 0], (0, 0))) == [(row, 0) for row in range(4)]
    assert listed(grid.connected(top == top[0, 4], (0, 4))) == [(row, 4) for row in range(3)]  # no factor


@pytest.mark.parametrize("patch", [(16, 0), (0, -1)])
def test_a_part_from_outside_the_grid_is_refused(patch: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is outside the grid; rows and columns go 0..15"):
        Grid().connected("floor", patch)
    with pytest.raises(ValueError, match=r"strengths has shape \(4, 4, 2\); the grid is \(16, 16\)"):
        Grid().strongest(np.zeros((4, 4, 2), np.float32))


BRUSHED = {
    # start, stop, size: the patches that js/src/paint/tools/brush.ts marks on a grid of 9×12
    ((4, 5), (4, 5), 2): (
        "............"
        "............"
        "............"
        "............"
        ".....##....."
        ".....##....."
        "............"
        "............"
        "............"
    ),
    ((4, 5), (4, 5), 4): (
        "............"
        "............"
        "............"
        ".....##....."
        "....####...."
        "....####...."
        ".....##....."
        "............"
        "............"
    ),
    ((0, 11), (0, 11), 5): (
        ".........###"
        ".........###"
        "..........##"
        "............"
        "............"
        "............"
        "............"
        "............"
        "............"
    ),
    ((8, 0), (8, 0), 2): (
        "............"
        "............"
        "............"
        "............"
        "............"
        "............"
        "............"
        "............"
        "##.........."
    ),
    ((1, 1), (6, 10), 1): (
        "............"
        ".##........."
        "..###......."
        "....##......"
        "......##...."
        ".......###.."
        ".........##."
        "............"
        "............"
    ),
    ((7, 2), (0, 4), 2): (
        "...###......"
        "...###......"
        "...##......."
        "..###......."
        "..###......."
        "..##........"
        "..##........"
        "..##........"
        "..##........"
    ),
}


@pytest.mark.parametrize(("start", "stop", "size"), BRUSHED)
def test_a_brush_covers_the_patches_that_it_covers_in_the_browser(
    start: tuple[int, int], stop: tuple[int, int], size: int
) -> None:
    grid = Grid(9, 12)
    covered = np.array(list(BRUSHED[start, stop, size])).reshape(grid.shape) == "#"
    np.testing.assert_array_equal(grid.line(start, stop, size), covered)
    if start == stop:
        np.testing.assert_array_equal(grid.disc(start, size), covered)


def test_a_brush_beyond_its_limits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"size=0 is outside 1\.\.1024; it is the width of the brush"):
        Grid().disc((1, 1), 0)
    with pytest.raises(ValueError, match=r"patch \(1, 16\) is outside the grid"):
        Grid().line((1, 1), (1, 16))
