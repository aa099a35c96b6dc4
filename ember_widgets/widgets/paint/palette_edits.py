"""Edits of the palette: what a factor is and how it is called. Strokes on the grid are another matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.checks import FloatArray, shown
from ember_widgets.widgets.paint.history import State

# The scene's verbs that a browser may use, and what each is told.
VERBS: Mapping[str, tuple[str, ...]] = {
    "rename": ("factor", "name"),
    "recolor": ("factor", "color"),
    "duplicate": ("factor",),
    "remove": ("factor",),
    "reorder": ("order",),
    "set_weight": ("factor", "feature", "weight"),
    "reset_weights": ("factor",),
    "add_factor": ("features", "name"),
    "restyle": ("style",),
    "borrow": ("factor",),
}


@dataclass(frozen=True)
class Change:
    """One of ``VERBS`` with its arguments, as far as they can be checked without a scene."""

    verb: str
    arguments: dict[str, Any]

    @classmethod
    def checked(cls, verb: object, arguments: object) -> Change:
        """Read what a browser said.

        Raises:
            ValueError: an unknown verb, or arguments that are not the verb's own.
        """
        names = VERBS.get(verb) if isinstance(verb, str) else None
        if names is None:
            raise ValueError(f"verb={shown(verb)} is unknown; choose one of {', '.join(VERBS)}")
        if not isinstance(arguments, Mapping) or set(arguments) != set(names):
            raise ValueError(f"{verb} was told {shown(arguments)}; tell it {', '.join(names)}")
        told = dict(arguments)
        if "order" in told and not isinstance(told["order"], list):
            raise ValueError(f"order={shown(told['order'])} is not a list of factors")
        if isinstance(told.get("features"), Mapping):
            # JSON's keys are text.
            told["features"] = {_number(feature): weight for feature, weight in told["features"].items()}
        return cls(str(verb), told)

    def of(self, state: State, lender: Scene | None = None) -> State:
        """The state it leads to, the sliders going along with their factors.

        Args:
            state: as it is.
            lender: the scene that ``borrow`` takes from.

        Raises:
            TypeError, ValueError: what the scene's verb says.
        """
        verb: Callable[..., Scene] = getattr(state.painted, self.verb)
        if self.verb == "borrow":
            if lender is None:
                raise ValueError("there is nothing to borrow from; fetch concepts, or open a scene, first")
            painted = verb(lender, **self.arguments)
        else:
            painted = verb(**self.arguments)
        return State(painted, self._gains(state, painted))

    def _gains(self, state: State, painted: Scene) -> FloatArray:
        gains = state.gains
        if self.verb in ("duplicate", "add_factor", "borrow"):
            return np.append(gains, np.float32(1))
        if self.verb == "remove":
            return np.delete(gains, checks.factor_index(self.arguments["factor"], state.painted.names))
        if self.verb == "reorder":
            return gains[[state.painted.names.index(name) for name in painted.names]]
        return gains


def _number(feature: Any) -> Any:
    return int(feature) if isinstance(feature, str) and feature.isdecimal() and len(feature) < 10 else feature
