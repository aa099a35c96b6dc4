"""Checks of what a user gives; every error says what was given, what is allowed and what to do.

A wrong type is a TypeError, a wrong value a ValueError.
"""

from __future__ import annotations

import math
import operator
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

MAX_SEED = 2**63 - 1
MAX_STEPS = 4
MAX_GUIDED_STEPS = 100
MAX_TEXT = 10_000
"""Characters of a prompt, a style, a name or a label."""
MAX_FACTORS = 4096
MAX_SITES = 256
MAX_SIDE = 8192
"""Pixels of a picture's side."""
MAX_PIXELS = 2**28
"""Pixels of all pictures of a sheet together: 800 MB."""
_MAX_FLOAT32 = float(np.finfo(np.float32).max)

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def shown(value: object) -> str:
    """``repr(value)``, shortened for messages."""
    return _repr.repr(value).replace("\n", " ")


def plural(count: int, noun: str, nouns: str = "") -> str:
    """The count in words: 1 factor, 5 factors, no factors; ``nouns`` is the plural if it is not noun + s."""
    return f"{count or 'no'} {noun if count == 1 else nouns or f'{noun}s'}"


def text(name: str, value: object) -> str:
    """``value`` as a plain str of up to ``MAX_TEXT`` characters that UTF-8 can hold."""
    if not isinstance(value, str):
        raise TypeError(f"{name}={shown(value)} is not text; give a str")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{name} has {len(value):,} characters; {MAX_TEXT:,} are the most")
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raise ValueError(
            f"{name} holds {value[fault.start]!a} at {fault.start}, half of a surrogate pair, "
            "which no file can hold; leave it out"
        ) from None
    return str.__str__(value)  # a subclass, such as NumPy's, writes itself otherwise into programs


def is_text(value: object) -> bool:
    """Whether `text` would take it."""
    try:
        text("text", value)
    except (TypeError, ValueError):
        return False
    return True


def whole_number(name: str, value: object, *, hint: str) -> int:
    """``value`` as an int of any size; ``hint`` says what to give."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(f"{name}={shown(value)} is not a whole number; {hint}") from None


def integer(name: str, value: object, low: int, high: int, *, hint: str) -> int:
    """``value`` as an int in ``low..high`` (both included); ``hint`` ends the range error."""
    result = whole_number(name, value, hint=f"give an int {low}..{high}")
    if not low <= result <= high:
        raise ValueError(f"{name}={result} is outside {low}..{high}; {hint}")
    return result


def count(name: str, value: object, *, hint: str) -> int:
    """``value`` as an int from 1 on; ``hint`` ends the message."""
    result = whole_number(name, value, hint=f"give an int, 1 or more; {hint}")
    if result < 1:
        raise ValueError(f"{name}={result} is too small; give 1 or more; {hint}")
    return result


def listed(name: str, value: object, *, hint: str) -> list[Any]:
    """``value`` as a list, whatever gives one thing after another but text; ``hint`` says what to give."""
    if not isinstance(value, (str, bytes)):
        try:
            return list(cast(Iterable[Any], value))
        except TypeError:
            pass
    raise TypeError(f"{name}={shown(value)} is not a list; {hint}")


def path(name: str, value: object) -> Path:
    """``value`` as a path, of a file or folder."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name}={shown(value)} is not a path; give a str or a pathlib.Path")
    return Path(value)


def side(value: object, n_pictures: int = 1) -> int:
    """Width and height of each of several pictures, in pixels: no more than memory has room for."""
    most = min(MAX_SIDE, math.isqrt(MAX_PIXELS // max(1, n_pictures)))
    what = "the picture" if n_pictures == 1 else f"each of {n_pictures} pictures"
    return integer("side", value, 1, most, hint=f"it is the width of {what}, in pixels")


def number(name: str, value: object, *, hint: str) -> float:
    """``value`` as a finite float that float32 can hold; ``hint`` says what to give."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name}={shown(value)} is not a number; {hint}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{name}={shown(value)} is not finite; {hint}")
    if abs(result) > _MAX_FLOAT32:
        raise ValueError(f"{name}={shown(value)} is too large for float32; {hint}")
    return result


def strength(value: object) -> float:
    """A strength: any finite number, negative ones subtract."""
    return number("strength", value, hint="give a number (1.0 = as strong as the model itself makes it)")


def share(name: str, value: object) -> float:
    """A number in [0, 1]."""
    hint = "give a number from 0 to 1"
    result = number(name, value, hint=hint)
    if not 0.0 <= result <= 1.0:
        raise ValueError(f"{name}={shown(value)} is outside 0..1; {hint}")
    return result


def seed(value: object) -> int:
    """A seed of the CPU generator."""
    return integer("seed", value, 0, MAX_SEED, hint="the same seed gives the same picture")


def n_steps(value: object, guidance: float = 0.0) -> int:
    """A number of sampling steps: few for a distilled model, many for one that needs guidance."""
    if guidance > 1:
        hint = f"with guidance={guidance:g}, 20 to 50 are usual"
        return integer("n_steps", value, 1, MAX_GUIDED_STEPS, hint=hint)
    return integer(
        "n_steps", value, 1, MAX_STEPS, hint="the model is made for 1 to 4 steps (1 is the fastest to edit)"
    )


def most_steps(guidance: float) -> int:
    """How many sampling steps there may be."""
    return MAX_GUIDED_STEPS if guidance > 1 else MAX_STEPS


def guidance(value: object) -> float:
    """A scale of classifier-free guidance; 0 for SDXL-Turbo."""
    hint = "give 0 for SDXL-Turbo, 5 to 8 for SDXL base"
    result = number("guidance", value, hint=hint)
    if not 0 <= result <= 50:
        raise ValueError(f"guidance={shown(value)} is outside 0..50; {hint}")
    return result


def edit_steps(value: object, n_steps: int) -> tuple[int, int] | None:
    """The steps (start, stop) that an edit applies at, as `range` counts them; None = all."""
    return None if value is None else step_range("edit_steps", value, n_steps)


def step_range(name: str, value: object, n_steps: int) -> tuple[int, int]:
    """Steps (start, stop), as `range` counts them; one or more."""
    hint = f"give (start, stop) with 0 <= start < stop <= {n_steps}, or None for all steps"
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name}={shown(value)} is not a pair; {hint}")
    start, stop = (whole_number(name, item, hint=f"give an int 0..{n_steps}") for item in value)
    if not 0 <= start < stop <= n_steps:
        raise ValueError(f"{name}={shown(value)} is not a range of the {plural(n_steps, 'step')}; {hint}")
    return start, stop


def factor_steps(
    value: object, n_factors: int
) -> tuple[tuple[int, int] | tuple[int, int, str] | None, ...] | None:
    """Per factor the steps (start, stop) or (start, stop, "add") that it acts at; None = all.

    They may lie beyond the picture's steps, so that a picture can be drawn with fewer.
    """
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or len(value) != n_factors:
        raise TypeError(
            f"factor_steps={shown(value)} does not fit; give (start, stop) or None for each of the "
            f"{plural(n_factors, 'factor')}, or None for all"
        )
    found = tuple(one if one is None else _steps(one) for one in value)
    return None if all(one is None for one in found) else found


def _steps(value: object) -> tuple[int, int] | tuple[int, int, str]:
    is_added = isinstance(value, (tuple, list)) and len(value) == 3 and value[2] == "add"
    start, stop = step_range("factor_steps", value[:2] if is_added else value, MAX_GUIDED_STEPS)  # type: ignore[index]
    return (start, stop, "add") if is_added else (start, stop)


def image_strength(value: object) -> float:
    """How much of a photograph is drawn anew, above 0 up to 1."""
    result = share("image_strength", value)
    if result < 0.05:
        raise ValueError(
            f"image_strength={shown(value)} leaves nothing to draw; give 0.05..1 (SDXL-Turbo's is 0.5)"
        )
    return result


def sites(value: object, n_features: int) -> dict[str, int]:
    """How many of a scene's features belong to each site, in the order of the features."""
    if not isinstance(value, Mapping) or len(value) < 2:
        raise TypeError(f"sites={shown(value)} is not a mapping of two sites or more; leave it out for one")
    if len(value) > MAX_SITES:
        raise ValueError(f"sites names {len(value):,} sites; {MAX_SITES} are the most")
    found = {
        text("a site", site): integer("sites", n, 1, n_features, hint="count its SAE's features")
        for site, n in value.items()
    }
    if sum(found.values()) != n_features:
        raise ValueError(
            f"sites count {sum(found.values())} features, but unit has {n_features}; give all of them a site"
        )
    return found


def n_factors(value: object, n_patches: int | None) -> int:
    """A number of factors: no more than there are patches; None = how many there are is not known."""
    number = whole_number("n_factors", value, hint=f"give an int 1..{n_patches or 256}")
    if n_patches is None:
        if number < 1:
            raise ValueError(f"n_factors={number}; choose 1 or more (3..8 reads best)")
    elif not 1 <= number <= n_patches:
        raise ValueError(
            f"n_factors={number}, but an image has {n_patches} patches; "
            f"choose 1..{n_patches} (3..8 reads best)"
        )
    return number


def factor_index(factor: object, names: tuple[str, ...]) -> int:
    """The index of a factor given by index or by name."""
    if isinstance(factor, str):
        if factor in names:
            return names.index(factor)
    elif isinstance(factor, (bool, np.bool_)) or not hasattr(factor, "__index__"):
        raise TypeError(f"factor={shown(factor)} is neither an index nor a name; {_factors_to_choose(names)}")
    elif 0 <= (index := operator.index(cast(SupportsIndex, factor))) < len(names):
        return index
    count = plural(len(names), "factor")
    raise ValueError(f"factor={shown(factor)}, but this scene has {count}; {_factors_to_choose(names)}")


def _factors_to_choose(names: tuple[str, ...]) -> str:
    if not names:
        return "add one with scene.add_factor({feature: weight})"
    listed = ", ".join(repr(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")
    return f"choose 0..{len(names) - 1} or one of {listed}"


def feature_index(feature: object, n_features: int) -> int:
    """The index of a feature of the SAE."""
    if n_features == 0:
        raise ValueError(f"feature={shown(feature)}, but this scene's SAE has no features")
    return integer("feature", feature, 0, n_features - 1, hint=f"the SAE has {plural(n_features, 'feature')}")


def factor_names(value: object, n_factors: int) -> tuple[str, ...]:
    """One name per factor, all different, none empty."""
    names = _texts("names", value, n_factors)
    seen: set[str] = set()
    for name in names:
        if not name.strip():
            raise ValueError("names holds an empty name; give every factor a name")
        if name in seen:
            raise ValueError(
                f"names holds {shown(name)} twice; factors are picked by name, so all must differ"
            )
        seen.add(name)
    return names


def factor_colors(value: object, n_factors: int) -> tuple[str, ...]:
    """One "#rrggbb" per factor, in lower case."""
    return tuple(color("colors", item) for item in _texts("colors", value, n_factors))


def color(name: str, value: object) -> str:
    """A colour as "#rrggbb", in lower case."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text(name, value)):
        raise ValueError(
            f"{name}: {shown(value)} is not a colour; write it as '#rrggbb', for example '#e69f00'"
        )
    return cast(str, value).lower()


def _texts(name: str, value: object, count: int) -> tuple[str, ...]:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name}={shown(value)} is not a tuple; give one str per factor")
    texts = tuple(text(name, item) for item in value)
    if len(texts) != count:
        raise ValueError(
            f"{name} holds {len(texts)}, but basis has {plural(count, 'row')}; give one per factor"
        )
    return texts


def factor_rows(name: str, value: object, n_features: int | str) -> FloatArray:
    """A basis: one row of features per factor, as `frozen_array`."""
    rows = frozen_array(name, value, ("n_factors" if name == "basis" else "n_base", n_features))
    if len(rows) > MAX_FACTORS:
        raise ValueError(f"{name} has {len(rows):,} rows; a scene has up to {MAX_FACTORS:,} factors")
    return rows


def origins(value: object, n_factors: int, n_base: int) -> tuple[int, ...]:
    """Per factor the index of an analysed one, or -1."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"origins={shown(value)} is not a tuple; give one index per factor, -1 for added ones"
        )
    if len(value) != n_factors:
        raise ValueError(
            f"origins holds {len(value)}, but basis has {plural(n_factors, 'row')}; give one per factor"
        )
    hint = "give the index of an analysed factor, or -1 for one that was added"
    return tuple(integer("origins", item, -1, n_base - 1, hint=hint) for item in value)


def factor_ids(value: object, n_factors: int) -> tuple[int, ...]:
    """One id per factor, all different; 0, 1, 2, ... for None."""
    if value is None:
        return tuple(range(n_factors))
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"factor_ids={shown(value)} is not a tuple; give one whole number per factor")
    hint = "give one whole number per factor, all different"
    # The next id is one more, and has to be a whole number that JavaScript can hold.
    ids = tuple(integer("factor_ids", item, 0, 2**53 - 1, hint=hint) for item in value)
    if len(ids) != n_factors or len(set(ids)) < len(ids):
        raise ValueError(
            f"factor_ids={shown(value)} are not {plural(n_factors, 'different id')}; "
            f"basis has {plural(n_factors, 'row')}, and each factor has an id of its own"
        )
    return ids


def next_factor_id(value: object, ids: tuple[int, ...]) -> int:
    """The id of the next factor: above all that there are."""
    least = max(ids, default=-1) + 1
    return (
        least if value is None else integer("next_factor_id", value, least, 2**53, hint="it is above all ids")
    )


def model(value: object) -> dict[str, str]:
    """Which model a scene belongs to, as a new dict of str to str."""
    if not isinstance(value, Mapping):
        raise TypeError(f"model={shown(value)} is not a mapping; give {{'id': ..., 'sae': ...}}")
    return {text("a key of model", key): text(f"model[{key!r}]", item) for key, item in value.items()}


def frozen_array(name: str, value: object, shape: tuple[int | str, ...]) -> FloatArray:
    """``value`` as a finite, read-only, C-ordered float32 array.

    Args:
        name: its name in messages.
        value: anything numpy can read as real numbers.
        shape: for each axis its length, or a word for any length.

    Returns:
        The array itself where it is already all that (scenes share what an edit did not touch), else a copy.
    """
    try:
        array = given = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is ragged; give an array of shape {_form(shape)}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} is an array of {array.dtype}; give real numbers (float32)")
    if len(array.shape) != len(shape) or any(
        isinstance(want, int) and got != want for got, want in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(f"{name} has shape {array.shape}; give an array of shape {_form(shape)}")
    if not _is_frozen(array):
        with np.errstate(over="ignore"):  # becomes inf, refused below
            array = np.array(array, dtype=np.float32, order="C")
        array.flags.writeable = False
    if not np.isfinite(array).all():
        spot = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        if np.isfinite(given[spot]):
            raise ValueError(
                f"{name} holds {given[spot]:g} at {spot}, too large for float32; give smaller numbers"
            )
        raise ValueError(f"{name} holds {array[spot]} at {spot}; give finite numbers only")
    return array


def _is_frozen(array: NDArray[Any]) -> bool:
    flags = array.flags
    # A read-only view does not count: its owner could still write.
    return array.dtype == np.float32 and flags.c_contiguous and flags.owndata and not flags.writeable


def _form(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(str(length) for length in shape) + ("," if len(shape) == 1 else "") + ")"
