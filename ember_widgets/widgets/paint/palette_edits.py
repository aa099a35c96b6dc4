"""Edits of the palette: what a factor is and how it is called. Strokes on the grid are not among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.checks import FloatArray, shown
from ember_widgets.widgets.paint import to_python
from ember_widgets.widgets.paint.history import State

if TYPE_CHECKING:
    from ember_widgets.features.concepts import Concept, ConceptBank

# The scene's verbs that a browser may use, and the arguments of each. ``add_concept`` is ``add_factor`` of
# a concept in the painter's bank.
VERBS: Mapping[str, tuple[str, ...]] = {
    "rename": ("factor", "name"),
    "recolor": ("factor", "color"),
    "duplicate": ("factor",),
    "remove": ("factor",),
    "reorder": ("order",),
    "set_weight": ("factor", "feature", "weight"),
    "reset_weights": ("factor",),
    "add_factor": ("features", "name"),
    "add_concept": ("concept",),
    "restyle": ("style",),
    "borrow": ("factor",),
    "set_steps": ("factor", "steps"),
}


@dataclass(frozen=True)
class PaletteEdit:
    """One of ``VERBS`` with its arguments, as far as they can be checked without a scene."""

    verb: str
    arguments: dict[str, Any]

    @classmethod
    def checked(cls, verb: object, arguments: object) -> PaletteEdit:
        """Read a request.

        Raises:
            ValueError: an unknown verb, or arguments that are not the verb's own.
        """
        names = VERBS.get(verb) if isinstance(verb, str) else None
        if names is None:
            raise ValueError(f"verb={shown(verb)} is unknown; choose one of {', '.join(VERBS)}")
        if not isinstance(arguments, Mapping) or set(arguments) != set(names):
            raise ValueError(f"{verb}: arguments={shown(arguments)} do not fit; give {', '.join(names)}")
        given = dict(arguments)
        if "order" in given and not isinstance(given["order"], list):
            raise ValueError(f"order={shown(given['order'])} is not a list of factors")
        if isinstance(given.get("features"), Mapping):
            # JSON's keys are text.
            given["features"] = {_number(feature): weight for feature, weight in given["features"].items()}
        if isinstance(given.get("steps"), list):
            given["steps"] = tuple(given["steps"])
        for name, value in given.items():
            if isinstance(value, str):
                checks.text(name, value)
        return cls(str(verb), given)

    def apply(self, state: State, source: Scene | None = None, bank: ConceptBank | None = None) -> State:
        """The state it leads to, with each slider still at its factor.

        Args:
            state: the scene and its sliders before.
            source: the scene that ``borrow`` takes from.
            bank: the concepts that ``add_concept`` takes from.

        Raises:
            TypeError, ValueError: what the scene's verb says.
        """
        if self.verb == "add_concept":
            concept = concept_of(bank, self.arguments["concept"])
            painted = state.painted.add_factor(concept)
            return replace(state, painted=painted, gains=self._gains(state, painted))
        verb: Callable[..., Scene] = getattr(state.painted, self.verb)
        if self.verb == "borrow":
            if source is None:
                raise ValueError("there is nothing to borrow from; give a prompt, or open a scene, first")
            painted = verb(source, **self.arguments)
        else:
            painted = verb(**self.arguments)
        return replace(state, painted=painted, gains=self._gains(state, painted))

    def lines(
        self,
        before: State,
        now: State,
        after: State,
        source: Scene | None = None,
        code: str = "",
        bank: ConceptBank | None = None,
    ) -> tuple[str, ...]:
        """The edit as Python, with what was not committed before it.

        Args:
            before: the last committed state.
            now: the state that was edited; another one while a slider is dragged, or during a stroke.
            after: the state that the edit led to.
            source: the scene that ``borrow`` takes from.
            code: a Python expression that makes ``source``.
            bank: the concepts that ``add_concept`` takes from.
        """
        verb, arguments, first = self.verb, self.arguments, (code,) if self.verb == "borrow" else ()
        if verb == "add_concept":
            verb, arguments, first = "add_factor", {}, (f"painter.concepts[{arguments['concept']!r}]",)
        line = to_python.line_of(now.painted, verb, arguments, *first)
        if now.painted == before.painted:
            return (line,)
        try:
            if self.apply(before, source, bank).painted == after.painted:  # the end of a drag
                return (to_python.line_of(before.painted, verb, arguments, *first),)
        except (TypeError, ValueError):
            pass  # it needs what was not committed
        return (*to_python.changed(before.painted, now.painted), line)

    def _gains(self, state: State, painted: Scene) -> FloatArray:
        gains = state.gains
        if self.verb in ("duplicate", "add_factor", "add_concept", "borrow"):
            return np.append(gains, np.float32(1))
        if self.verb == "remove":
            return np.delete(gains, checks.factor_index(self.arguments["factor"], state.painted.names))
        if self.verb == "reorder":
            return gains[[state.painted.names.index(name) for name in painted.names]]
        return gains


def concept_of(bank: ConceptBank | None, name: object) -> Concept:
    """A concept by its name.

    Raises:
        ValueError: there is no bank, or no such concept in it.
    """
    if bank is None:
        raise ValueError("this painter has no concepts; set painter.concepts = collection.concepts()")
    if not isinstance(name, str) or name not in bank.names:
        raise ValueError(f"concept={shown(name)} is not in the bank; choose one of painter.concepts.names")
    return bank[name]


def _number(feature: Any) -> Any:
    return int(feature) if isinstance(feature, str) and feature.isdecimal() and len(feature) < 10 else feature
