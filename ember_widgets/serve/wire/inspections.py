"""Inspections on the wire: how an SAE and a scene's factors explain every patch of a run; exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.serve.wire import values

if TYPE_CHECKING:
    from ember_widgets.painter.inspection import Inspection


def packed(inspection: Inspection, buffers: list[bytes]) -> dict[str, Any]:
    """An inspection as JSON; its arrays are appended to the buffers."""

    def buffer(array: NDArray[Any], kind: str) -> int:
        buffers.append(np.ascontiguousarray(array, kind).tobytes())
        return len(buffers) - 1

    by_factors = inspection.missed_by_factors
    return {
        "site": inspection.site,
        "step": inspection.step,
        "space": {"sites": list(inspection.space.sites), "sizes": list(inspection.space.sizes)},
        "positional": [int(feature) for feature in inspection.positional],
        "codes": values.packed_codes(inspection.codes, buffers),
        "energy": buffer(inspection.energy, "<f8"),
        "missed": buffer(inspection.missed, "<f8"),
        "missed_by_factors": None if by_factors is None else buffer(by_factors, "<f8"),
        "unit": buffer(inspection.unit, "<f4"),
    }


def unpacked(content: Mapping[str, Any], buffers: Sequence[bytes]) -> Inspection:
    """The inspection that `packed` was given. For answers of a server, which is trusted."""
    from ember_widgets.painter.inspection import Inspection

    codes = values.unpacked_codes(content["codes"], buffers)
    grid = codes.shape[:2]

    def doubles(index: int) -> NDArray[np.float64]:
        return np.frombuffer(buffers[index], "<f8").astype(np.float64).reshape(grid)

    by_factors, space = content["missed_by_factors"], content["space"]
    return Inspection(
        site=content["site"],
        step=content["step"],
        codes=codes,
        energy=doubles(content["energy"]),
        missed=doubles(content["missed"]),
        missed_by_factors=None if by_factors is None else doubles(by_factors),
        unit=np.frombuffer(buffers[content["unit"]], "<f4").astype(np.float32),
        space=FeatureSpace(tuple(space["sites"]), tuple(space["sizes"])),
        positional=tuple(content["positional"]),
    )
