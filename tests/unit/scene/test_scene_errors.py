"""What a scene says to bad input: what was given, what is allowed, what to do; and that nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.scene.scenes import filled, make_scene

HERE = [(4, 7)]
NAN = float("nan")
CHOICES = "choose 0..2 or one of 'sky', 'lion', 'meadow'"
PATCHES = (
    "give a bool array (16, 16), (row, col) pairs, or one of 'everything', 'floor', 'centre', 'left', 'right'"
)

WRONG_EDITS: list[tuple[str, Callable[[Any], object], type[Exception], str]] = [
    (
        "factor too high",
        lambda s: s.paint(9, HERE),
        ValueError,
        f"factor=9, but this scene has 3 factors; {CHOICES}",
    ),
    (
        "factor negative",
        lambda s: s.scale(-1, 1),
        ValueError,
        f"factor=-1, but this scene has 3 factors; {CHOICES}",
    ),
    (
        "factor unknown",
        lambda s: s.erase(HERE, "dog"),
        ValueError,
        f"factor='dog', but this scene has 3 factors; {CHOICES}",
    ),
    (
        "factor of a type",
        lambda s: s.move(1.5, 0, 1),
        TypeError,
        f"factor=1.5 is neither an index nor a name; {CHOICES}",
    ),
    (
        "factor is True",
        lambda s: s.weights(True),
        TypeError,
        f"factor=True is neither an index nor a name; {CHOICES}",
    ),
    (
        "no factors yet",
        lambda s: make_scene(0).paint(0, HERE),
        ValueError,
        "factor=0, but this scene has no factors; add one with scene.add_factor({feature: weight})",
    ),
    (
        "many factors",
        lambda s: make_scene(10).paint(10, HERE),
        ValueError,
        "factor=10, but this scene has 10 factors; choose 0..9 or one of "
        "'sky', 'lion', 'meadow', 'tree', 'sun', 'house', 'path', 'boat', ...",
    ),
    (
        "patch outside",
        lambda s: s.paint(0, [(3, 16)]),
        ValueError,
        "patch (3, 16) is outside the grid; rows and columns go 0..15",
    ),
    (
        "patch negative",
        lambda s: s.erase([(-1, 0)]),
        ValueError,
        "patch (-1, 0) is outside the grid; rows and columns go 0..15",
    ),
    (
        "one bare pair",
        lambda s: s.paint(0, (3, 4)),
        TypeError,
        "patches=(3, 4) is a single (row, col) pair; wrap it in a list: [(3, 4)]",
    ),
    (
        "one bare pair as array",
        lambda s: s.paint(0, np.array([3, 4])),
        TypeError,
        "patches=(3, 4) is a single (row, col) pair; wrap it in a list: [(3, 4)]",
    ),
    (
        "mask of another grid",
        lambda s: s.paint(0, np.zeros((8, 8), bool)),
        ValueError,
        "patches is a bool array of shape (8, 8); the grid is (16, 16)",
    ),
    (
        "mask of floats",
        lambda s: s.paint(0, np.zeros((16, 16))),
        TypeError,
        f"patches is an array of float64, shape (16, 16); {PATCHES}",
    ),
    ("patches a number", lambda s: s.paint(0, 7), TypeError, f"patches=7; {PATCHES}"),
    ("patches a text", lambda s: s.paint(0, "all"), TypeError, f"patches='all'; {PATCHES}"),
    (
        "patch of three",
        lambda s: s.paint(0, [(1, 2, 3)]),
        TypeError,
        f"(1, 2, 3) is not a patch; {PATCHES}",
    ),
    (
        "patch of floats",
        lambda s: s.paint(0, [(1.0, 2.5)]),
        TypeError,
        f"patch (1.0, 2.5) is not made of two whole numbers; {PATCHES}",
    ),
    (
        "strength nan",
        lambda s: s.paint(0, HERE, NAN),
        ValueError,
        "strength=nan is not finite; give a number (1.0 = as strong as the model itself makes it)",
    ),
    (
        "strength beyond float32",
        lambda s: s.paint(0, HERE, 1e39),
        ValueError,
        "strength=1e+39 is too large for float32; "
        "give a number (1.0 = as strong as the model itself makes it)",
    ),
    (
        "strength a text",
        lambda s: s.paint(0, HERE, "strong"),
        TypeError,
        "strength='strong' is not a number; give a number (1.0 = as strong as the model itself makes it)",
    ),
    (
        "opacity",
        lambda s: s.paint(0, HERE, opacity=1.5),
        ValueError,
        "opacity=1.5 is outside 0..1; give a number from 0 to 1",
    ),
    (
        "opacity of another grid",
        lambda s: s.paint(0, HERE, opacity=np.ones((8, 8))),
        ValueError,
        "opacity is an array of float64, shape (8, 8); "
        "give a number from 0 to 1, or an array (16, 16) of them",
    ),
    (
        "opacity that is no number somewhere",
        lambda s: s.paint(0, HERE, opacity=np.full((16, 16), NAN)),
        ValueError,
        "opacity has values outside 0..1; give numbers from 0 to 1",
    ),
    (
        "move of everything nowhere",
        lambda s: s.move(None, 1, 1),
        TypeError,
        "factor=None moves everything in some patches; say which with patches=",
    ),
    (
        "mode",
        lambda s: s.paint(0, HERE, mode="under"),
        ValueError,
        "mode='under' is unknown; choose 'over' (cover what is there) or 'add'",
    ),
    (
        "gain",
        lambda s: s.scale(0, float("inf")),
        ValueError,
        "gain=inf is not finite; give a number (0 = gone, 1 = as it is, 2 = twice as strong)",
    ),
    (
        "shift",
        lambda s: s.move(0, 0, 16),
        ValueError,
        "d_col=16 is outside -15..15; "
        "farther than 15 patches everything is off the grid; use erase to remove it",
    ),
    (
        "shift by half",
        lambda s: s.move(0, 0.5, 0),
        TypeError,
        "d_row=0.5 is not a whole number; give an int -15..15",
    ),
    (
        "feature",
        lambda s: s.set_weight(0, 8, 1.0),
        ValueError,
        "feature=8 is outside 0..7; the SAE has 8 features",
    ),
    (
        "weight",
        lambda s: s.set_weight(0, 7, NAN),
        ValueError,
        "weight=nan is not finite; give a number (1.0 = the feature's typical activation)",
    ),
    (
        "top",
        lambda s: s.weights(0, 0),
        ValueError,
        "top=0 is outside 1..8; leave it out for all features",
    ),
    (
        "no features",
        lambda s: s.add_factor({}),
        TypeError,
        "features={}; give at least one, as {feature: weight}, e.g. {7: 1.0}, or a concept of a bank, "
        "e.g. bank[0]",
    ),
    (
        "colour",
        lambda s: s.add_factor({1: 1.0}, color="red"),
        ValueError,
        "colors: 'red' is not a colour; write it as '#rrggbb', for example '#e69f00'",
    ),
    (
        "name empty",
        lambda s: s.rename(0, " "),
        ValueError,
        "names holds an empty name; give every factor a name",
    ),
    (
        "name taken",
        lambda s: s.rename(0, "lion"),
        ValueError,
        "names holds 'lion' twice; factors are picked by name, so all must differ",
    ),
    ("name no text", lambda s: s.rename(0, 5), TypeError, "name=5 is not text; give a str"),
    (
        "borrow from no scene",
        lambda s: s.borrow("lion.json", 0),
        TypeError,
        "other='lion.json' is not a Scene; load one with Scene.load(path)",
    ),
    (
        "borrow of another size",
        lambda s: s.borrow(make_scene(n_features=5), 0),
        ValueError,
        "the other scene's SAE has 5 features, this one's 8; "
        "factors can only be borrowed from a scene of the same SAE",
    ),
    (
        "borrow of another SAE",
        lambda s: s.borrow(make_scene(model={"sae": "sha256:ff"}), 0),
        ValueError,
        "the other scene's SAE is 'sha256:ff', this one's 'sha256:1234'; "
        "their features mean different things, so analyse the other picture with this painter first",
    ),
    (
        "reset of a factor that was added",
        lambda s: s.add_factor({1: 1.0}).reset_weights(3),
        ValueError,
        "'feature 1' was added, not analysed, so there is nothing to go back to; "
        "use undo, or set_weight for each feature",
    ),
    (
        "order that lacks one",
        lambda s: s.reorder([0, "lion"]),
        ValueError,
        "order=[0, 1] is not every factor once; give the 3 factors in another order",
    ),
    (
        "order with one twice",
        lambda s: s.reorder([0, 1, 1]),
        ValueError,
        "order=[0, 1, 1] is not every factor once; give the 3 factors in another order",
    ),
    (
        "colour that is none",
        lambda s: s.recolor(0, "red"),
        ValueError,
        "color: 'red' is not a colour; write it as '#rrggbb', for example '#e69f00'",
    ),
    (
        "unknown field",
        lambda s: s.replace(strength=1),
        TypeError,
        "a scene has no field strength; choose from prompt, seed, n_steps, strengths, remainder, basis, "
        "names, colors, base_strengths, base_basis, unit, model, origins, style, guidance, edit_steps, "
        "image, image_strength, sites, factor_ids, next_factor_id, factor_steps",
    ),
]


@pytest.mark.parametrize(
    ("edit", "error", "message"), [case[1:] for case in WRONG_EDITS], ids=[case[0] for case in WRONG_EDITS]
)
def test_a_wrong_edit_says_what_to_do_and_changes_nothing(
    edit: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    scene = make_scene()
    with pytest.raises(error) as caught:
        edit(scene)
    assert str(caught.value) == message
    assert scene == make_scene()


WRONG_FIELDS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("prompt", {"prompt": 5}, TypeError, "prompt=5 is not text; give a str"),
    (
        "seed float",
        {"seed": 3.0},
        TypeError,
        "seed=3.0 is not a whole number; give an int 0..9223372036854775807",
    ),
    (
        "seed negative",
        {"seed": -1},
        ValueError,
        "seed=-1 is outside 0..9223372036854775807; the same seed gives the same picture",
    ),
    (
        "steps 0",
        {"n_steps": 0},
        ValueError,
        "n_steps=0 is outside 1..4; the model is made for 1 to 4 steps (1 is the fastest to edit)",
    ),
    (
        "steps 99",
        {"n_steps": 99},
        ValueError,
        "n_steps=99 is outside 1..4; the model is made for 1 to 4 steps (1 is the fastest to edit)",
    ),
    (
        "strengths of another count",
        {"strengths": filled(0, 16, 16, 2)},
        ValueError,
        "strengths has shape (16, 16, 2); give an array of shape (16, 16, 3)",
    ),
    (
        "strengths nan",
        {"strengths": filled(NAN, 16, 16, 3)},
        ValueError,
        "strengths holds nan at (0, 0, 0); give finite numbers only",
    ),
    (
        "strengths beyond float32",
        {"strengths": np.full((16, 16, 3), -1e39)},
        ValueError,
        "strengths holds -1e+39 at (0, 0, 0), too large for float32; give smaller numbers",
    ),
    (
        "strengths complex",
        {"strengths": np.zeros((16, 16, 3), complex)},
        TypeError,
        "strengths is an array of complex128; give real numbers (float32)",
    ),
    (
        "remainder",
        {"remainder": filled(1.5, 16, 16)},
        ValueError,
        "remainder has values outside 0..1; give how much of the original stays in each patch (1 = all)",
    ),
    (
        "basis flat",
        {"basis": filled(0, 24)},
        ValueError,
        "basis has shape (24,); give an array of shape (n_factors, n_features)",
    ),
    (
        "basis ragged",
        {"basis": [[1, 2], [3]]},
        ValueError,
        "basis is ragged; give an array of shape (n_factors, n_features)",
    ),
    (
        "names too few",
        {"names": ("sky",)},
        ValueError,
        "names holds 1, but basis has 3 rows; give one per factor",
    ),
    ("names a text", {"names": "sky"}, TypeError, "names='sky' is not a tuple; give one str per factor"),
    (
        "more analysed than there are",
        {"base_basis": filled(0, 4, 8), "origins": None},
        ValueError,
        "base_basis has 4 rows, but basis only 3; say with origins which of them each factor is",
    ),
    (
        "origins too few",
        {"origins": (0,)},
        ValueError,
        "origins holds 1, but basis has 3 rows; give one per factor",
    ),
    (
        "origin of no factor",
        {"origins": (0, 1, 3)},
        ValueError,
        "origins=3 is outside -1..2; give the index of an analysed factor, or -1 for one that was added",
    ),
    (
        "unit zero",
        {"unit": filled(0, 8)},
        ValueError,
        "unit has values <= 0; give each feature's typical activation, all above 0",
    ),
    ("model", {"model": "turbo"}, TypeError, "model='turbo' is not a mapping; give {'id': ..., 'sae': ...}"),
    ("model value", {"model": {"sae": 5}}, TypeError, "model['sae']=5 is not text; give a str"),
]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [case[1:] for case in WRONG_FIELDS],
    ids=[case[0] for case in WRONG_FIELDS],
)
def test_a_wrong_field_says_what_to_give(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        make_scene(**fields)
    assert str(caught.value) == message


HALF = "holds '\\\\ud800' at 2, half of a surrogate pair, which no file can hold; leave it out"
LONG = "has 10,001 characters; 10,000 are the most"


@pytest.mark.parametrize(
    ("text", "message"), [("a \ud800", HALF), ("x" * 10_001, LONG)], ids=["half", "long"]
)
@pytest.mark.parametrize(
    "give",
    [
        lambda text: make_scene(prompt=text),
        lambda text: make_scene(style=text),
        lambda text: make_scene(names=(text, "lion", "meadow")),
        lambda text: make_scene(model={"id": text}),
        lambda text: make_scene(model={text: "x"}),
        lambda text: make_scene(sites={text: 4, "b": 4}),
        lambda text: make_scene().replace(prompt=text),
        lambda text: make_scene().restyle(text),
        lambda text: make_scene().rename(0, text),
        lambda text: make_scene().add_factor({1: 1.0}, name=text),
    ],
    ids=["prompt", "style", "name", "model", "key", "site", "replace", "restyle", "rename", "add_factor"],
)
def test_texts_that_cannot_be_kept_are_refused_where_they_come_in(
    give: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        give(text)


def test_the_longest_texts_are_kept() -> None:
    longest = "x" * 10_000
    scene = make_scene(prompt=longest, names=(longest, "lion", "meadow")).restyle(longest)
    assert (scene.prompt, scene.style, scene.names[0]) == (longest, longest, longest)


def test_as_many_factors_as_a_fine_grid_has_patches_and_no_more() -> None:
    n = 4096
    many: dict[str, Any] = {
        "strengths": np.zeros((1, 1, n)),
        "remainder": np.ones((1, 1)),
        "basis": np.zeros((n, 8)),
        "names": tuple(f"factor {f}" for f in range(n)),
        "colors": ("#e69f00",) * n,
        "base_strengths": np.zeros((1, 1, 0)),
        "base_basis": np.zeros((0, 8)),
    }
    scene = make_scene(**many)
    assert scene.n_factors == n
    with pytest.raises(ValueError, match="basis has 4,097 rows; a scene has up to 4,096 factors"):
        scene.add_factor({1: 1.0})
    with pytest.raises(ValueError, match="base_basis has 4,097 rows; a scene has up to 4,096 factors"):
        make_scene(base_basis=np.zeros((4097, 8)), origins=(-1,) * 3)
