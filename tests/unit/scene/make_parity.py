"""Writes parity.json: edits as Python computes them; a test checks that the browser computes the same.

Run it after a change of an edit's meaning:  python tests/unit/scene/make_parity.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import FloatArray

PATH = Path(__file__).with_name("parity.json")
N_FACTORS = 3
SQUARE = Grid(16, 16)


def start(grid: Grid = SQUARE) -> Scene:
    """A landscape: ground below, a hill on it, a small thing that reaches the right border."""
    rows, cols = np.mgrid[0 : grid.rows, 0 : grid.cols]
    strengths = np.zeros((*grid.shape, N_FACTORS), np.float32)
    strengths[..., 0] = np.clip((rows - 6) / 8, 0, 1) + ((3 * rows + 5 * cols) % 7) / 40
    strengths[..., 1] = np.clip(1.2 - ((rows - 8) ** 2 + (cols - 5) ** 2) / 16, 0, None)
    strengths[2:7, 12:16, 2] = 0.9 + ((rows + 2 * cols) % 5)[2:7, 12:16] / 10
    remainder = (1 - ((rows * cols) % 4) / 8).astype(np.float32)
    basis = np.eye(N_FACTORS, dtype=np.float32)
    return Scene(
        prompt="",
        seed=0,
        n_steps=1,
        strengths=strengths,
        remainder=remainder,
        basis=basis,
        names=("ground", "hill", "thing"),
        colors=palette(N_FACTORS),
        base_strengths=strengths,
        base_basis=basis,
        unit=np.ones(N_FACTORS, np.float32),
        model={},
    )


BLOB = [[4, 4], [4, 5], [5, 4], [5, 5], [5, 6], [6, 5]]
BLOCK = [[row, col] for row in range(6, 11) for col in range(3, 8)]
CORNER = [[row, col] for row in range(3) for col in range(4)]
EVERYWHERE = [[row, col] for row in range(SQUARE.rows) for col in range(SQUARE.cols)]

# A soft edge: a share per patch, from none to all.
SOFT = [[((row * 5 + col * 3) % 9) / 8 for col in range(SQUARE.cols)] for row in range(SQUARE.rows)]

# Arguments are named as in Python; patches are (row, col) pairs or an area's name, null is None.
EDITS: list[tuple[str, dict[str, Any]]] = [
    ("paint", {"factor": 2, "patches": BLOB, "strength": 1.0, "opacity": 1.0, "mode": "over"}),
    ("paint", {"factor": 0, "patches": BLOCK, "strength": 1.7, "opacity": 0.35, "mode": "over"}),
    ("paint", {"factor": 1, "patches": BLOCK, "strength": -0.6, "opacity": 0.8, "mode": "over"}),
    ("paint", {"factor": 1, "patches": BLOB, "strength": 0.7, "opacity": 1.0, "mode": "add"}),
    ("paint", {"factor": 2, "patches": CORNER, "strength": 1.3, "opacity": 0.25, "mode": "add"}),
    ("paint", {"factor": 0, "patches": [], "strength": 1.0, "opacity": 1.0, "mode": "over"}),
    ("erase", {"patches": BLOCK, "factor": None, "heal": False}),
    ("erase", {"patches": BLOCK, "factor": None, "heal": True}),
    ("erase", {"patches": BLOCK, "factor": 1, "heal": False}),
    ("erase", {"patches": BLOCK, "factor": 1, "heal": True}),
    ("erase", {"patches": CORNER, "factor": 2, "heal": True}),
    ("erase", {"patches": EVERYWHERE, "factor": None, "heal": True}),
    ("move", {"factor": 1, "d_row": -2, "d_col": 4, "patches": None, "heal": True}),
    ("move", {"factor": 1, "d_row": -2, "d_col": 4, "patches": None, "heal": False}),
    ("move", {"factor": 1, "d_row": 1, "d_col": 0, "patches": BLOCK, "heal": True}),
    ("move", {"factor": 2, "d_row": 3, "d_col": 2, "patches": None, "heal": True}),
    ("move", {"factor": 2, "d_row": 0, "d_col": 15, "patches": BLOCK, "heal": True}),
    ("move", {"factor": 2, "d_row": 0, "d_col": 0, "patches": None, "heal": True}),
    ("move", {"factor": None, "d_row": -1, "d_col": 3, "patches": BLOCK, "heal": True}),
    ("move", {"factor": None, "d_row": 2, "d_col": -5, "patches": BLOCK, "heal": False}),
    ("paint", {"factor": 2, "patches": "floor", "strength": 1.0, "opacity": 1.0, "mode": "over"}),
    ("paint", {"factor": 1, "patches": "centre", "strength": 1.2, "opacity": SOFT, "mode": "over"}),
    ("paint", {"factor": 0, "patches": "left", "strength": 0.5, "opacity": SOFT, "mode": "add"}),
    ("erase", {"patches": "right", "factor": None, "heal": True}),
    ("scale", {"factor": 1, "gain": 1.25, "patches": "everything"}),
    ("scale", {"factor": 0, "gain": 1.5, "patches": None}),
    ("scale", {"factor": 1, "gain": -0.4, "patches": BLOB}),
]


# Of a scene whose third factor belongs to another site than the first two.
APART: list[tuple[str, dict[str, Any]]] = [
    ("paint", {"factor": 1, "patches": BLOCK, "strength": 0.9, "opacity": 0.6, "mode": "over"}),
    ("paint", {"factor": 2, "patches": "right", "strength": 1.1, "opacity": 0.6, "mode": "over"}),
    ("erase", {"patches": "right", "factor": None, "heal": True}),
    ("erase", {"patches": "right", "factor": 2, "heal": True}),
    ("erase", {"patches": BLOCK, "factor": 1, "heal": True}),
    ("erase", {"patches": "right", "factor": 2, "heal": False}),
    ("move", {"factor": 2, "d_row": 3, "d_col": -6, "patches": None, "heal": True}),
    ("move", {"factor": 2, "d_row": 3, "d_col": -6, "patches": None, "heal": False}),
    ("move", {"factor": 1, "d_row": -2, "d_col": 4, "patches": None, "heal": True}),
    ("move", {"factor": None, "d_row": 1, "d_col": -2, "patches": "right", "heal": True}),
]
SITES = [0, 0, 1]


# Of a scene whose second factor acts at the last two of four steps, and its third at the last one.
LAYERED: list[tuple[str, dict[str, Any]]] = [
    ("paint", {"factor": 0, "patches": BLOCK, "strength": 0.9, "opacity": 0.6, "mode": "over"}),
    ("paint", {"factor": 1, "patches": "right", "strength": 1.1, "opacity": 0.6, "mode": "over"}),
    ("paint", {"factor": 2, "patches": "right", "strength": 1.1, "opacity": 0.6, "mode": "over"}),
    ("paint", {"factor": 1, "patches": "centre", "strength": 0.4, "opacity": SOFT, "mode": "add"}),
    ("erase", {"patches": "right", "factor": None, "heal": True}),
    ("erase", {"patches": "right", "factor": 1, "heal": True}),
    ("erase", {"patches": BLOCK, "factor": 1, "heal": False}),
    ("move", {"factor": 0, "d_row": -3, "d_col": 2, "patches": BLOCK, "heal": True}),
    ("move", {"factor": 1, "d_row": -2, "d_col": 4, "patches": None, "heal": True}),
    ("move", {"factor": 2, "d_row": 3, "d_col": -6, "patches": None, "heal": False}),
    ("move", {"factor": None, "d_row": 1, "d_col": -2, "patches": "right", "heal": True}),
    ("scale", {"factor": 1, "gain": 1.5, "patches": BLOB}),
]
STEPS = [None, [2, 4], [3, 4]]


# On grids of other sizes.
OTHER_GRIDS = (Grid(24, 24), Grid(12, 20))
ON_OTHER_GRIDS: list[tuple[str, dict[str, Any]]] = [
    ("paint", {"factor": 2, "patches": "floor", "strength": 1.0, "opacity": 0.6, "mode": "over"}),
    ("paint", {"factor": 1, "patches": "centre", "strength": 1.2, "opacity": 1.0, "mode": "add"}),
    ("erase", {"patches": "right", "factor": None, "heal": True}),
    ("move", {"factor": 1, "d_row": 3, "d_col": 9, "patches": None, "heal": True}),
    ("move", {"factor": None, "d_row": -2, "d_col": -5, "patches": BLOCK, "heal": True}),
    ("scale", {"factor": 0, "gain": 1.5, "patches": "left"}),
]


def parity() -> dict[str, Any]:
    """{n_factors, ops: [{op, args, rows, cols, sites, steps, before, after}]}; strengths in C order."""
    apart = start().replace(sites={"down_blocks.2.attentions.1": 2, "up_blocks.0.attentions.1": 1})
    others = [op for grid in OTHER_GRIDS for op in _done(start(grid), ON_OTHER_GRIDS, [])]
    layered = start().replace(n_steps=4, factor_steps=STEPS)
    ops = [*_done(start(), EDITS, []), *_done(apart, APART, SITES), *others, *_done(layered, LAYERED, [])]
    return {"n_factors": N_FACTORS, "ops": ops}


def _done(scene: Scene, edits: list[tuple[str, dict[str, Any]]], sites: list[int]) -> list[dict[str, Any]]:
    ops = []
    for op, args in edits:
        given = dict(args)
        if isinstance(opacity := args.get("opacity"), list):
            given["opacity"] = np.array(opacity)
        after = getattr(scene, op)(**given)
        ops.append(
            {
                "op": op,
                "args": args,
                "rows": scene.grid.rows,
                "cols": scene.grid.cols,
                "sites": sites,
                **({"steps": scene.factor_steps} if scene.factor_steps else {}),
                "before": _maps(scene),
                "after": _maps(after),
            }
        )
    return ops


def _maps(scene: Scene) -> dict[str, list[float]]:
    return {"strengths": _flat(scene.strengths), "remainder": _flat(scene.remainder)}


def _flat(array: FloatArray) -> list[float]:
    # The shortest decimals that are the same float32.
    return [float(str(value)) for value in array.ravel()]


def text() -> str:
    """parity.json as it stands in the repository."""
    content = parity()
    lines = ",\n".join(json.dumps(op, separators=(",", ":")) for op in content["ops"])
    return f'{{"n_factors":{content["n_factors"]},"ops":[\n{lines}\n]}}\n'


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    print(f"wrote {PATH.name}: {len(parity()['ops'])} edits")
