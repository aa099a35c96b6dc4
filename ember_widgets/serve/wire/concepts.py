"""Concepts on the wire: what `analyze` takes a picture apart in.

    {"site": "down_blocks.2.attentions.1", "sae": "77c1...", "names": ["lion", "sky"], "basis": "3f2a..."}

The basis is sent once and named by its hash, as the arrays of scenes are. The pictures that a bank was made
from are not needed for an analysis, so nothing of them is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ember_widgets.features.concepts import ConceptBank
from ember_widgets.serve.wire import arrays
from ember_widgets.serve.wire.frames import BadFrame
from ember_widgets.serve.wire.scenes import MissingArrays
from ember_widgets.util.checks import FloatArray

FIELDS = ("site", "sae", "names", "basis")


def kept_arrays(
    bank: ConceptBank, name_of: Callable[[FloatArray], str] = arrays.name_of
) -> dict[str, FloatArray]:
    """{name: array} of what concepts on the wire refer to by name."""
    return {name_of(bank.basis): bank.basis}


def packed(bank: ConceptBank, name_of: Callable[[FloatArray], str] = arrays.name_of) -> dict[str, Any]:
    """Concepts as JSON; their basis is named, see `kept_arrays`."""
    return {"site": bank.site, "sae": bank.sae, "names": list(bank.names), "basis": name_of(bank.basis)}


def name_in(content: object) -> str:
    """The name of the array that concepts on the wire refer to.

    Raises:
        BadFrame: They are not concepts on the wire.
    """
    return str(_checked(content)["basis"])


def unpacked(content: object, get: Callable[[str], FloatArray | None]) -> ConceptBank:
    """The concepts that `packed` was given, without their pictures: equal for an analysis.

    Args:
        content: JSON, as it came.
        get: An array by its name; None if it is not here.

    Raises:
        BadFrame: They are not concepts on the wire.
        MissingArrays: The basis is not here.
        TypeError, ValueError: A field is not valid.
    """
    fields = _checked(content)
    basis = get(fields["basis"])
    if basis is None:
        raise MissingArrays([fields["basis"]])
    n = len(basis)
    return ConceptBank(
        basis=basis,
        names=fields["names"],
        strengths=np.zeros((0, n), np.float32),
        stability=np.full(n, np.nan, np.float32),
        hits=((),) * n,
        site=fields["site"],
        sae=fields["sae"],
        model={},
    )


def _checked(content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping) or content.keys() != {*FIELDS}:
        raise BadFrame(f"a basis is not a JSON object with {', '.join(FIELDS)}")
    if not arrays.is_name(content["basis"]):
        raise BadFrame("the basis of concepts is not the name of an array")
    return content
