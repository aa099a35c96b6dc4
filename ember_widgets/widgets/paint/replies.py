"""What a browser is told of a scene; js/src/paint/transport/messages.ts reads it."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np

from ember_widgets.features.labels import Labels
from ember_widgets.scene import site_names
from ember_widgets.scene.difference import unedited
from ember_widgets.util import checks
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.requests import facts, last_line
from ember_widgets.widgets.paint.thumbnails import key_of, key_of_step, keys_of_seeds
from ember_widgets.widgets.shared.feature_rows import made_of

ABILITIES = ("refit", "reseed", "sweep")


def state(state: State, labels: Labels) -> tuple[dict[str, Any], list[bytes]]:
    """A scene and its sliders as a message and float32 buffers: strengths, remainder, ``unedited``."""
    painted = state.painted
    origins = painted.origins or ()
    seen = np.abs(painted.base_strengths).max(axis=(0, 1))
    message = {
        "type": "state",
        **facts(painted),
        "seed": str(painted.seed),
        "most_steps": checks.most_steps(painted.guidance),
        "names": list(painted.names),
        "colors": list(painted.colors),
        "gains": state.gains.tolist(),
        # What was added was never seen; its own typical strength is the measure then.
        "seen": [1.0 if origin < 0 else float(seen[origin]) for origin in origins],
        "analysed": [origin >= 0 for origin in origins],
        "icons": [key_of(painted, factor) for factor in range(painted.n_factors)],
        "features": [made_of(painted, factor, labels) for factor in range(painted.n_factors)],
    }
    sites = list(painted.sites or ())
    message["sites"] = [sites.index(painted.site(f)) for f in range(painted.n_factors)] if sites else []
    message["site_names"] = [site_names.short(site) for site in sites]
    maps = (painted.strengths, painted.remainder, unedited(painted))
    return message, [array.astype("<f4").tobytes() for array in maps]


def film(history: History) -> dict[str, Any]:
    """The steps of a history, and what else there is to see of it."""
    names = history.names
    return {
        "can_undo": history.beside(-1) is not None,
        "can_redo": history.beside(1) is not None,
        "steps": [[step, key_of_step(step), names.get(step, "")] for step in history.steps],
        "step": history.step,
        "seeds": [[str(seed), key] for seed, key in keys_of_seeds(history)],
    }


def abilities(painter: object) -> list[str]:
    """What a painter can do of what it need not; browsers show no button for what it cannot."""
    return [verb for verb in ABILITIES if callable(getattr(painter, verb, None))]


def error(fault: BaseException, client: str = "", seq: int = 0) -> dict[str, Any]:
    """A fault, in a line and at length."""
    lines = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
    told = {"type": "error", "client": client, "seq": seq, "message": last_line(fault)}
    return {**told, "traceback": lines}
