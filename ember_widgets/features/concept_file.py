"""The file of a bank of concepts: one .npz with a sparse basis, read within limits."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.features.collection_file import indices
from ember_widgets.features.hit import Hit
from ember_widgets.util import arrays, checks, files

MAX_VALUES = 2**24
"""Numbers that a basis may have, zeros too."""
MAX_FACTS = 2**22
"""Values in the facts, of which each hit has seven, and each comma of its prompt counts for one."""


def write(
    path: Path,
    *,
    basis: NDArray[np.float32],
    strengths: NDArray[np.float32],
    stability: NDArray[np.float32],
    facts: Mapping[str, Any],
) -> Path:
    """Write a bank; see `ConceptBank.save`."""
    if path.suffix != ".npz":
        raise ValueError(f"path={checks.shown(str(path))} does not end in .npz; give e.g. 'concepts.npz'")
    if basis.size > MAX_VALUES:
        raise ValueError(f"a basis of {basis.shape} is too large for a file; make fewer concepts")
    rows, features = np.nonzero(basis)
    text = json.dumps({"format": "ember-concepts", "version": 1, "shape": list(basis.shape), **facts})
    try:
        files.parsed(text, MAX_FACTS)
    except ValueError as fault:  # it could not be read back
        raise ValueError(f"{len(basis)} concepts are too many for a file ({fault}); make fewer") from None
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        facts=np.frombuffer(text.encode(), np.uint8),
        rows=rows.astype(np.int32),
        features=features.astype(np.int32),
        values=basis[rows, features],
        strengths=strengths,
        stability=stability,
    )
    files.write(path, stream.getvalue())
    return path


@contextlib.contextmanager
def opened(path: Path) -> Iterator[dict[str, Any]]:
    """The fields of a bank; what its constructor refuses is said to be damage of the file.

    Raises:
        OSError: The file is not there, or cannot be read.
        ValueError: It is not a bank's, or is damaged.
    """
    with arrays.opened(path, "make it anew with collection.concepts()") as file:
        facts = files.parsed(file["facts"].tobytes().decode("utf-8"), MAX_FACTS)
        if facts["format"] != "ember-concepts" or facts["version"] != 1:
            raise ValueError("it is not a bank of concepts")
        n, n_features = (
            checks.integer("shape", size, 1, MAX_VALUES, hint="it is what the basis has")
            for size in facts["shape"]
        )
        if n * n_features > MAX_VALUES:
            raise ValueError(f"its basis would have {n} × {n_features} numbers")
        values, stability, strengths = file["values"], file["stability"], file["strengths"]
        if any(one.dtype != np.float32 for one in (values, stability, strengths)):
            raise ValueError("its numbers are not float32")
        basis = np.zeros((n, n_features), np.float32)
        basis[indices(file["rows"], n), indices(file["features"], n_features)] = values
        hits = tuple(tuple(_hit(one) for one in some) for some in facts["hits"])
        ignore = tuple(checks.feature_index(feature, n_features) for feature in facts["ignore"])
        names = {name: facts[name] for name in ("site", "sae", "model", "folder")}
        yield {
            "basis": basis,
            "strengths": strengths,
            "stability": stability,
            "names": tuple(facts["names"]),
            "hits": hits,
            "ignore": ignore,
            **names,
        }


def _hit(values: list[Any]) -> Hit:
    index, prompt, seed, row, col, activation = values
    index, row, col = (
        checks.integer("a hit", value, 0, 2**31, hint="pictures and patches count from 0")
        for value in (index, row, col)
    )
    strength = checks.number("a hit", activation, hint="give a number")
    return Hit(index, checks.text("a prompt", prompt), checks.seed(seed), row, col, strength)
