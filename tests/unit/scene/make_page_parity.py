"""Writes page_parity.json: what scenes do in Python; a test checks that the page's scenes do the same.

Run it after a change of an edit's meaning:  python tests/unit/scene/make_page_parity.py
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from ember_widgets.scene.difference import edited_patches, is_blank, unedited
from ember_widgets.scene.first_thing import first_thing
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import PALETTE, palette
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.scene_edit import SceneEdit

PATH = Path(__file__).with_name("page_parity.json")
GRID = Grid(6, 7)
N_FEATURES = 12
N_SEQUENCES = 60
N_VERBS = 14
NAMES = ("sky", "lion", "grüne Wiese", "it's", "factor 4")
Op = dict[str, Any]


def start(kind: int) -> Scene:
    """One of a few scenes as analysed."""
    rng = np.random.default_rng(kind)
    n = (3, 4, 1, 5)[kind % 4]
    strengths = (rng.uniform(0, 1.5, (*GRID.shape, n)) * (rng.random((*GRID.shape, n)) < 0.7)).astype(
        np.float32
    )
    basis = (rng.uniform(0, 2, (n, N_FEATURES)) * (rng.random((n, N_FEATURES)) < 0.6)).astype(np.float32)
    basis[:, 0] += 0.1
    return Scene(
        prompt=("a lion", "", "naïve ✨ “quotes”", 'it\'s "both"\n')[kind % 4],
        seed=(3, 2**63 - 1, 2**53 + 1, 0)[kind % 4],
        n_steps=4 if kind % 2 == 0 else 1,
        style=("", "pixel art")[kind % 2],
        strengths=strengths,
        remainder=np.ones(GRID.shape, np.float32),
        basis=basis,
        names=NAMES[:n],
        colors=palette(n),
        base_strengths=strengths,
        base_basis=basis,
        unit=rng.uniform(0.2, 3, N_FEATURES).astype(np.float32),
        model={"id": "embedded", "sae": "0123", "site": "down_blocks.2.attentions.1"},
        edit_steps=(1, 3) if kind == 2 else None,
    )


def some_op(scene: Scene, rng: np.random.Generator) -> Op:
    """A verb with arguments that the scene may refuse."""
    n = scene.n_factors
    factor: Any = (
        int(rng.integers(0, n + 1)) if rng.random() < 0.15 or not n else str(rng.choice(scene.names))
    )
    patches = [
        [int(p) // GRID.cols, int(p) % GRID.cols]
        for p in rng.permutation(GRID.n_patches)[: rng.integers(1, 20)]
    ]
    number = round(float(rng.uniform(-1.5, 2.5)), 3)
    share = round(float(rng.random()), 2)
    shift = {"d_row": int(rng.integers(-3, 4)), "d_col": int(rng.integers(-3, 4))}
    heal = bool(rng.random() < 0.5)
    steps = sorted(int(s) for s in rng.permutation(5)[:2])
    options: dict[str, Op] = {
        "paint": {
            "factor": factor,
            "patches": patches,
            "strength": number,
            "opacity": share,
            "mode": str(rng.choice(["over", "add"])),
        },
        "erase": {"patches": patches, "factor": factor if rng.random() < 0.5 else None, "heal": heal},
        "move": {"factor": factor, **shift, "patches": patches if rng.random() < 0.5 else None, "heal": heal},
        "scale": {"factor": factor, "gain": number, "patches": patches if rng.random() < 0.5 else None},
        "set_weight": {"factor": factor, "feature": int(rng.integers(0, N_FEATURES + 1)), "weight": number},
        "add_factor": {
            "features": {str(int(f)): number for f in rng.integers(0, N_FEATURES, rng.integers(1, 4))},
            "name": None if rng.random() < 0.5 else "lion",
        },
        "keep_top": {"factor": factor, "top": int(rng.integers(1, 5))},
        "reset_weights": {"factor": factor},
        "duplicate": {"factor": factor},
        "remove": {"factor": factor},
        "reorder": {"order": [int(f) for f in rng.permutation(n)]},
        "recolor": {"factor": factor, "color": str(rng.choice([*PALETTE, "#ABCDEF", "red"]))},
        "rename": {"factor": factor, "name": str(rng.choice(["sea", "lion", " ", "sky"]))},
        "restyle": {"style": str(rng.choice(["", "oil"]))},
        "set_steps": {"factor": factor, "steps": None if rng.random() < 0.3 else steps},
        "original": {},
    }
    weights = np.array([0.2 if verb in ("remove", "original") else 1.0 for verb in options])
    verb = str(rng.choice(list(options), p=weights / weights.sum()))
    return {"verb": verb, "args": options[verb]}


def done(scene: Scene, op: Op) -> Scene:
    """The scene after a verb."""
    args = dict(op["args"])
    if isinstance(args.get("features"), dict):
        args["features"] = {int(feature): weight for feature, weight in args["features"].items()}
    if isinstance(args.get("steps"), list):
        args["steps"] = tuple(args["steps"])
    after: Scene = getattr(scene, op["verb"])(**args)
    return after


def digest(*arrays: NDArray[Any]) -> str:
    """Names the bits of some arrays; the sign of a zero does not count."""
    parts = hashlib.sha256()
    for array in arrays:
        parts.update(np.ascontiguousarray(array + np.float32(0), "<f4").tobytes())
    return parts.hexdigest()[:12]


def digest_of(scene: Scene) -> str:
    """Names the bits of what a scene's edits change."""
    return digest(scene.strengths, scene.remainder, scene.basis)


def text_of(scene: Scene) -> str:
    """The scene as a file."""
    return scene.to_bytes().decode()


def packed(array: NDArray[Any]) -> str:
    """An array as text."""
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def sequence(kind: int, rng: np.random.Generator) -> dict[str, Any]:
    """Random verbs one after the other, and what each gives: its bits, or its error."""
    first = scene = start(kind)
    ops = []
    for _ in range(N_VERBS):
        op = some_op(scene, rng)
        try:
            scene = done(scene, op)
            op["gives"] = digest_of(scene)
        except (TypeError, ValueError) as error:
            op["error"] = str(error)
        ops.append(op)
    return {
        "start": text_of(first),
        "ops": ops,
        "end": text_of(scene),
        "ids": [*(scene.factor_ids or ()), scene.next_factor_id],
        "drawn": [drawn(scene, step) for step in range(scene.n_steps)],
        "unedited": digest(unedited(scene)),
        "edited": np.flatnonzero(edited_patches(scene)).tolist(),
        "first_thing": first_thing(scene),
        "is_blank": is_blank(scene),
        "weights": [list(map(list, scene.weights(f).items())) for f in range(scene.n_factors)],
        "description": list((scene - first).describe()) if is_of(scene, first) else None,
    }


def is_of(scene: Scene, other: Scene) -> bool:
    """Whether two scenes are edits of one picture."""
    try:
        scene.check_same_picture(other)
    except ValueError:
        return False
    return True


def drawn(scene: Scene, step: int) -> dict[str, Any] | None:
    """What is drawn at a step."""
    if scene.edit_steps is not None and not scene.edit_steps[0] <= step < scene.edit_steps[1]:
        return None
    one = scene.drawn(scene.layers.acting(step))
    return {
        "bits": digest(one.strengths, one.remainder, one.basis),
        "analysed": sorted(map(list, one.analysed.items())),
    }


def edited(scene: Scene, rng: np.random.Generator, n: int, without: Iterable[str] = ()) -> Scene:
    """A scene after some verbs that it did not refuse."""
    made = 0
    while made < n:
        op = some_op(scene, rng)
        if op["verb"] in ("original", *without):
            continue
        with contextlib.suppress(TypeError, ValueError):
            scene, made = done(scene, op), made + 1
    return scene


def transfers(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Edits put on the same picture and on others."""
    found = []
    for i in range(24):
        before = edited(start(i % 4), rng, i % 3)
        after = edited(before, rng, 3)
        patches = None
        if i % 4 == 3:
            patches = rng.random(GRID.shape) < 0.3
            patches[2, 3] = True
        to = before if i % 3 == 0 else edited(start((i + i // 4) % 4).replace(unit=after.unit), rng, 2)
        found.append(transferred(before, after, patches, to))
    # A layer of four steps, on a picture of one step.
    before, to = start(0), start(1).replace(unit=start(0).unit)
    after = before.set_steps(0, (2, 4)).paint(0, [(1, 2), (1, 3)], 2.0)
    found.append(transferred(before, after, None, to))
    found.append(transferred(before, after, after.grid.mask([(1, 2), (4, 4)]), to))
    return found


def transferred(before: Scene, after: Scene, patches: NDArray[np.bool_] | None, to: Scene) -> dict[str, Any]:
    """One edit, or what some patches hold, put on a scene."""
    edit: SceneEdit = after - before if patches is None else after.copy_patches(patches)
    try:
        result = to.transfer(edit)
    except ValueError as error:
        gives: dict[str, Any] = {"error": str(error)}
    else:
        gives = {
            "scene": text_of(result.scene),
            "added": list(result.added),
            "notes": list(result.notes),
        }
    return {
        "before": text_of(before),
        "after": text_of(after),
        "patches": None if patches is None else np.flatnonzero(patches).tolist(),
        "to": text_of(to),
        "description": list(edit.describe()),
        "changed": np.flatnonzero(edit.patches).tolist(),
        **gives,
    }


def films(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Scenes between two."""
    found = []
    for i in range(6):
        first = edited(start(i % 4), rng, 2)
        last = edited(first, rng, 3)
        if i < 3:
            last = first.move(0, (-1, 2, 1)[i], (2, -3, 3)[i])
        else:
            last = last.rename(0, "dawn").recolor(0, "#123456")
        way = first.tween(last, 6)
        maps = [[packed(m) for m in (s.strengths, s.remainder, s.basis)] for s in way[1:-1]]
        names = [list(s.names) for s in way]
        found.append({"first": text_of(first), "last": text_of(last), "maps": maps, "names": names})
    return found


def parity() -> dict[str, Any]:
    """All of the file."""
    rng = np.random.default_rng(21)
    makes: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "sequences": lambda: [sequence(i % 4, rng) for i in range(N_SEQUENCES)],
        "transfers": lambda: transfers(rng),
        "films": lambda: films(rng),
    }
    return {name: make() for name, make in makes.items()}


def text() -> str:
    """page_parity.json as it stands in the repository."""
    parts = (
        f"{json.dumps(name)}:[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in some) + "\n]"
        for name, some in parity().items()
    )
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    print(f"wrote {PATH.name}: {PATH.stat().st_size >> 10} KB")
