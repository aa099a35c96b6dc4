"""One painter used by several threads and two widgets at once gives what it gives to one after the other."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from ember_widgets import Painter, PaintWidget, Scene
from ember_widgets.features.icons import Icons

FOR_S = 8.0
N_THREADS = 6
N_STROKES = 4
WAIT_S = 120.0

Job = Callable[[], object]


def jobs_of(painter: Painter) -> dict[str, Job]:
    """Calls of a painter, by their names; each gives bytes, or something else that can be compared."""
    lion = painter.analyze("a lion in a meadow", seed=3)
    boat = painter.analyze("a boat on the sea", seed=5, n_steps=2)
    scenes = {
        "lion": lion,
        "no lion": lion.scale(0, 0.0),
        "two steps": boat.paint(1, "centre", 2.0),
        "erased": boat.erase("left"),
        "another style": lion.restyle("a watercolour"),
    }
    jobs: dict[str, Job] = {}
    for name, scene in scenes.items():
        jobs[f"render {name}"] = lambda scene=scene: painter.render(scene).tobytes()  # type: ignore[misc]
        jobs[f"inspect {name}"] = lambda scene=scene: painter.inspect(scene).codes.tobytes()  # type: ignore[misc]
        jobs[f"activations {name}"] = lambda scene=scene: painter.activations(scene).tobytes()  # type: ignore[misc]
    jobs["preview"] = lambda: painter.render(scenes["two steps"], preview=True).tobytes()
    jobs["reseed"] = lambda: painter.reseed(scenes["two steps"], 9)
    for seed in range(2):
        jobs[f"analyze {seed}"] = lambda seed=seed: painter.analyze("a house", seed=seed)  # type: ignore[misc]
    for first in (1, 30):
        jobs[f"icons {first}"] = lambda first=first: [  # type: ignore[misc]
            picture.tobytes() for picture in painter.draw_icons(range(first, first + 2))
        ]
    return jobs


def hammer(
    jobs: dict[str, Job], expected: dict[str, object], until: float, seed: int, wrong: list[str]
) -> int:
    """Do jobs in a random order until it is time; note those that give something else."""
    shuffled, n_done = random.Random(seed), 0
    while time.monotonic() < until:
        name = shuffled.choice(list(jobs))
        try:
            if jobs[name]() != expected[name]:
                wrong.append(name)
        except Exception as fault:
            wrong.append(f"{name}: {fault!r}")
        n_done += 1
    return n_done


def guard(painter: Painter, monkeypatch: pytest.MonkeyPatch, wrong: list[str]) -> None:
    """Note when two threads are in the model at once: on a GPU, they would share its recorded buffers."""
    inside: list[int] = []

    def guarded(name: str) -> Callable[..., Any]:
        call = getattr(painter.backbone, name)

        def one_at_a_time(*args: Any, **kwargs: Any) -> Any:
            here = threading.get_ident()
            if any(other != here for other in inside):
                wrong.append(f"{name} while another thread is in the model")
            inside.append(here)
            try:
                return call(*args, **kwargs)
            finally:
                inside.remove(here)

        return one_at_a_time

    for name in ("start", "run", "reach", "decode"):
        monkeypatch.setattr(painter.backbone, name, guarded(name))


def shown(widget: PaintWidget) -> bytes:
    return Image.open(io.BytesIO(widget.image)).tobytes()


def test_many_threads_and_two_widgets_get_what_one_thread_gets(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(painter)
    expected = {name: job() for name, job in jobs.items()}
    scenes: list[Scene] = [painter.analyze("a tree", seed=seed) for seed in range(2)]
    strokes = [[scene.paint(0, [(row, row)], 2.0) for row in range(N_STROKES)] for scene in scenes]
    drawn = [[painter.render(stroke).tobytes() for stroke in row] for row in strokes]
    widgets = [PaintWidget(painter, scene) for scene in scenes]
    wrong: list[str] = []
    guard(painter, monkeypatch, wrong)
    icons = Icons(scenes[0].n_features, painter.draw_icons, batch=2)
    icons.want(range(scenes[0].n_features))
    until = time.monotonic() + FOR_S
    done = [0] * N_THREADS

    def run(number: int) -> None:
        done[number] = hammer(jobs, expected, until, number, wrong)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(N_THREADS)]
    for thread in threads:
        thread.start()
    n_strokes = 0
    while time.monotonic() < until:
        row = n_strokes % N_STROKES
        for i, widget in enumerate(widgets):
            widget.scene = strokes[i][row]
        for i, widget in enumerate(widgets):
            widget.wait(WAIT_S)
            if shown(widget) != drawn[i][row]:
                wrong.append(f"widget {i}, stroke {row}")
        n_strokes += 1
    for thread in threads:
        thread.join(WAIT_S)
    icons.forget_wanted()
    assert icons.wait(WAIT_S)
    assert icons.last_error is None
    serial = Icons(scenes[0].n_features, painter.draw_icons, batch=2)
    made = sorted(icons)
    serial.make(made[:6], progress=False)
    assert [icons.address(feature) for feature in made[:6]] == [serial.address(f) for f in made[:6]]
    for widget in widgets:
        widget.close()
    assert sorted(set(wrong)) == []
    assert min(done) > 0
    assert n_strokes > 0
    assert len(made) > 0
