"""What a server allows each client."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ember_widgets.serve.wire.frames import MAX_BUFFERS
from ember_widgets.util import checks


@dataclass(frozen=True)
class Limits:
    """Limits of a server. Clients are told them, and refusals name them.

    Args:
        requests_per_s: Calls of a client, on average; a burst of twice as many is allowed.
        prompt_length: Characters of a prompt or a style.
        n_steps: Denoising steps of a run.
        n_factors: Factors of a scene, of all its sites together, and concepts that a picture is taken apart
            in.
        n_icons: Features of one call of `draw_icons`, up to 64: an answer has no more pictures.
        sessions_per_token: Open connections with one token; without tokens, of one address.
        sessions: Open connections of one replica.
        idle_minutes: A connection without a call for so long is closed; a client opens it again when needed.
        waiting: Calls of a client that wait or are worked on.

    Raises:
        TypeError, ValueError: A limit is not a number above 0, or not a whole one where it counts something.
    """

    requests_per_s: float = 30.0
    prompt_length: int = 1000
    n_steps: int = 4
    n_factors: int = 256
    n_icons: int = 16
    sessions_per_token: int = 8
    sessions: int = 200
    idle_minutes: float = 60.0
    waiting: int = 32

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value, hint = field.name, getattr(self, field.name), "it limits each client"
            if isinstance(field.default, int):
                checks.count(name, value, hint=hint)
            elif checks.number(name, value, hint=hint) <= 0:
                raise ValueError(f"{name}={value} is too small; give a number above 0; {hint}")
        checks.integer("n_icons", self.n_icons, 1, MAX_BUFFERS, hint="an answer has no more pictures")
