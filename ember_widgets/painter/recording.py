"""Scenes, drawn one after the other into a moving picture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tqdm.auto import tqdm

from ember_widgets.painter.protocol import PainterProtocol
from ember_widgets.scene.scene import Scene
from ember_widgets.util import animation, checks, files
from ember_widgets.util.checks import shown

SHORTEST_MS, LONGEST_MS = 20, 60_000


def checked_form(path: str | os.PathLike[str]) -> str:
    """What kind of moving picture a path asks for: one of `animation.FORMS`.

    Raises:
        ValueError: None of them.
        ImportError: MP4, and PyAV is not installed.
    """
    form = checks.path("path", path).suffix.lower().removeprefix(".")
    if form not in animation.FORMS:
        raise ValueError(
            f"path={shown(str(path))} is not a .gif, .webp or .mp4 file; choose one of them, e.g. 'film.webp'"
        )
    if form == "mp4":
        animation.check_mp4()
    return form


def checked_ms(ms: object, example: int) -> int:
    """How long each picture is shown, in milliseconds."""
    hint = f"give milliseconds for each picture, e.g. {example}"
    return checks.integer("ms", ms, SHORTEST_MS, LONGEST_MS, hint=hint)


def record(
    painter: PainterProtocol,
    scenes: Iterable[Scene],
    path: str | os.PathLike[str],
    *,
    ms: int = 80,
    progress: bool = True,
) -> None:
    """See `Painter.record`."""
    form, ms = checked_form(path), checked_ms(ms, 80)
    files.check_place(Path(path))
    wanted = checks.listed("scenes", scenes, hint="give scenes, e.g. scene.tween(other, 25)")
    if not wanted:
        raise ValueError("scenes holds no scene; give one or more, e.g. scene.tween(other, 25)")
    pictures = [painter.render(scene) for scene in tqdm(wanted, desc="pictures", disable=not progress)]
    files.write(Path(path), animation.encoded(pictures, form, ms))
