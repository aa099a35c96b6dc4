"""Writes page_transcripts.json: what the widget's kernel answers, for a test of the page's kernel.

Run it after a change of what the kernel answers:  python tests/unit/widgets/paint/make_page_transcripts.py
"""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from ember_widgets.dictionary.factors import Factors
from ember_widgets.features.labels import Labels
from ember_widgets.painter.prompt_notes import PromptNotes
from ember_widgets.painter.refit import edit_reseeded, refitted, reseeded
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene
from ember_widgets.widgets.paint import messages
from ember_widgets.widgets.paint import session as paint_session
from ember_widgets.widgets.paint.clipboard import CLIPBOARD
from ember_widgets.widgets.paint.session import Session
from ember_widgets.widgets.shared.latest_wins import LatestWins
from ember_widgets.widgets.shared.pictures import Picture

PATH = Path(__file__).with_name("page_transcripts.json")
GRID = Grid(6, 7)
N_FEATURES = 12
UNIT = np.linspace(0.5, 3, N_FEATURES).astype(np.float32)
LABELS = {
    3: "lion",
    7: "pine (tree)",
    1: "tree",
    4: "night sky",
    9: "street at night",
    2: "Sky, blue",
    11: "lioness",
    0: "tree trunk",
}
KNOWN = ("a", "lion", "tree", "in", "the", "night", "sky", "pixel", "art")
MODEL = {"id": "fake", "sae": "0123", "site": "down_blocks.2.attentions.1", "key": "k"}
N_TRANSCRIPTS = 12
N_REQUESTS = 30

# What depends on time or on the painter, or is told in other words by Python.
LEFT_OUT = ("run", "icons", "capabilities", "traceback", "ms", "waited_ms")
COMPARED = ("state", "error", "found", "notice", "borrow_source", "notes", "file", "ack", "frame")

Made = dict[str, Any]


def floats(array: NDArray[Any]) -> str:
    """An array as text."""
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def digest(array: NDArray[np.float32]) -> str:
    """Names the bits of an array; the sign of a zero does not count."""
    return hashlib.sha256((array + np.float32(0)).tobytes()).hexdigest()[:12]


def projected(factors: Factors, activations: NDArray[np.float32]) -> NDArray[np.float32]:
    """`Factors.transform` where factors share no feature: sum by sum, so that it is the same elsewhere."""
    found = np.zeros((*GRID.shape, len(factors.basis)))
    for k, row in enumerate(factors.basis.astype(np.float64)):
        dot, size = np.zeros(GRID.shape), 0.0
        for i, weight in enumerate(row):
            dot, size = dot + activations[..., i] * weight, size + weight * weight
        found[..., k] = np.maximum(dot / size, 0)
    return found.astype(np.float32)


class FakePainter:
    """A painter whose factors share no feature, so that every fit is exact; it notes what it has made."""

    styles = True
    labels = Labels(LABELS)
    known_words = KNOWN

    def __init__(self) -> None:
        self.analyses: dict[str, Made] = {}
        self.codes: dict[str, str] = {}

    def factors(self, prompt: str, seed: int, n_factors: int) -> tuple[Factors, list[str]]:
        rng = np.random.default_rng([len(prompt), seed % 2**32, n_factors])
        strengths = (rng.integers(0, 7, (*GRID.shape, n_factors)) / 4).astype(np.float32)
        strengths *= rng.random((*GRID.shape, 1)) < 0.8
        basis = np.zeros((n_factors, N_FEATURES), np.float32)
        for feature in range(N_FEATURES):
            basis[feature % n_factors, feature] = 1 + feature / 4
        names = [LABELS.get(k, f"factor {k + 1}").split(" (")[0] for k in range(n_factors)]
        return Factors(strengths=strengths, basis=basis), names

    def analyze(
        self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5, style: str = ""
    ) -> Scene:
        factors, names = self.noted(prompt, seed, n_steps, n_factors)
        return Scene(
            prompt=prompt,
            seed=seed,
            n_steps=n_steps,
            style=style,
            strengths=factors.strengths,
            remainder=np.ones(GRID.shape, np.float32),
            basis=factors.basis,
            names=tuple(names),
            colors=palette(n_factors),
            base_strengths=factors.strengths,
            base_basis=factors.basis,
            unit=UNIT,
            model=MODEL,
        )

    def noted(self, prompt: str, seed: int, n_steps: int, n_factors: int) -> tuple[Factors, list[str]]:
        factors, names = self.factors(prompt, seed, n_factors)
        self.analyses[json.dumps([prompt, str(seed), n_steps, n_factors], ensure_ascii=False)] = {
            "strengths": floats(factors.strengths),
            "basis": floats(factors.basis),
            "names": names,
        }
        return factors, names

    def render(self, scene: Scene) -> Image.Image:
        return Image.new("RGB", (14, 12))

    def refit(self, scene: Scene, n_factors: int) -> Scene:
        return refitted(scene, *self.noted(scene.prompt, scene.seed, scene.n_steps, n_factors))

    def reseed(self, scene: Scene, seed: int, *, edit_only: bool = False) -> Scene:
        if seed == scene.seed:
            return scene
        factors, _ = self.factors(scene.prompt, seed, 3)
        codes = np.asarray(factors.strengths @ factors.basis, np.float32)
        self.codes[json.dumps([scene.prompt, str(seed), scene.n_steps], ensure_ascii=False)] = floats(codes)
        return (edit_reseeded if edit_only else reseeded)(scene, seed, codes)

    def robustness(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def prompt_notes(self, prompt: str, style: str | None = None) -> PromptNotes:
        return PromptNotes.of(prompt if style is None else style, KNOWN, None)


class Viewer:
    """Keeps what the session says."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, Any], list[bytes]]] = []

    def send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.heard.append((copy.deepcopy(content), list(buffers)))

    def _on_scene(self) -> None:
        pass

    def _on_final(self, png: bytes) -> None:
        pass

    def _own_references(self) -> int:
        return 1


class Recorder:
    """A session, and what was said to it and by it."""

    def __init__(self, seed: int) -> None:
        CLIPBOARD.copied = None
        self.rng = np.random.default_rng(seed)
        self.painter = FakePainter()
        self.wanted: Made = {
            "prompt": "a lion",
            "seed": 3,
            "n_steps": 1 + 3 * (seed % 2),
            "n_factors": 3 + seed % 2,
        }
        scene = self.painter.analyze(**self.wanted)
        picture = Picture(self.painter.render(scene), 1, scene=scene)
        at_once: Any = functools.partial(LatestWins, settle_after_s=0.0)
        with mock.patch.object(paint_session, "LatestWins", at_once):
            self.session = Session(self.painter, scene, picture, asked=self.wanted["n_factors"])
        self.viewer = Viewer()
        self.session.join(self.viewer)
        self.talk: list[Made] = []

    def say(self, kind: str, buffers: tuple[bytes, ...] = (), **fields: Any) -> None:
        seq = len(self.talk) + 1
        content = {"type": kind, **fields}
        self.viewer.heard.clear()
        with mock.patch.object(Factors, "transform", projected):
            self.receive(content, seq, buffers)
        answers = [self.answer(*one) for one in self.viewer.heard if one[0]["type"] in COMPARED]
        packed = [base64.b64encode(buffer).decode() for buffer in buffers]
        self.talk.append({"content": content, **({"buffers": packed} if packed else {}), "answers": answers})

    def receive(self, content: Made, seq: int, buffers: tuple[bytes, ...]) -> None:
        messages.receive(self.session, {**content, "client": "page", "seq": seq}, list(buffers))
        self.session.worker.wait(10)
        self.session.idle.wait(10)
        self.session.worker.wait(10)

    @staticmethod
    def answer(content: dict[str, Any], buffers: list[bytes]) -> Made:
        kept = {name: value for name, value in content.items() if name not in LEFT_OUT}
        if kept["type"] == "state":
            kept["buffers"] = [digest(np.frombuffer(buffer, "<f4")) for buffer in buffers]
        elif kept["type"] == "file":
            kept["text"] = buffers[0].decode()
        return kept

    def edit(self) -> None:
        rng, session = self.rng, self.session
        scene, gains = session.state.painted, session.state.gains.tolist()
        n = scene.n_factors
        factor = int(rng.integers(0, n))
        kind = str(rng.choice(["paint", "soft", "erase", "move", "scale", "gain", "unknown"]))
        mask = rng.random(GRID.shape) < 0.25
        mask[1, 2] = True
        heal = bool(rng.random() < 0.5)
        strength, opacity = float(rng.integers(1, 5)) / 2, float(rng.choice([1, 0.35, 0.7]))
        call: Made | None = None
        after = scene
        if kind in ("paint", "soft"):
            shares = np.where(mask, rng.choice([0.3, 0.6, 1.0], GRID.shape) if kind == "soft" else 1.0, 0)
            if rng.random() < 0.3:
                shares = np.where(mask, rng.random(GRID.shape).astype(np.float32), 0)
            shares = shares.astype(np.float32).astype(np.float64)
            mode = str(rng.choice(["over", "add"]))
            call = {"factor": factor, "strength": strength, "opacity": opacity, "mode": mode}
            after = scene.paint(factor, mask, strength, opacity=shares * opacity, mode=mode)  # type: ignore[arg-type]
            call |= {"verb": "paint", "shares": shares.ravel().tolist()}
        elif kind == "erase":
            one = factor if rng.random() < 0.5 else None
            call = {
                "verb": "erase",
                "factor": one,
                "heal": heal,
                "shares": mask.ravel().astype(float).tolist(),
            }
            after = scene.erase(mask, one, heal=heal)
        elif kind == "move":
            shift = {"d_row": int(rng.integers(-2, 3)), "d_col": int(rng.integers(1, 3))}
            call = {"verb": "move", "factor": factor, **shift, "heal": heal}
            call |= {"shares": mask.ravel().astype(float).tolist()}
            after = scene.move(factor, **shift, patches=mask, heal=heal)
        elif kind == "scale":
            call = {
                "verb": "scale",
                "factor": factor,
                "gain": 1.25,
                "shares": mask.ravel().astype(float).tolist(),
            }
            after = scene.scale(factor, 1.25, mask)
        elif kind == "gain":
            gains[factor] = float(rng.choice([0.5, 0.85, 1.0, 1.3]))
        else:
            after = scene.replace(strengths=scene.strengths * np.float32(rng.random()))
        call = call and {name: _whole(value) for name, value in call.items()}
        self.say(
            "edit",
            (after.strengths.astype("<f4").tobytes(), after.remainder.astype("<f4").tobytes()),
            revision=max(session._revision - int(rng.random() < 0.05), 0),
            gains=[_whole(gain) for gain in gains],
            commit=bool(rng.random() < 0.8),
            **({"call": call} if call else {}),
        )

    def palette(self) -> None:
        rng, scene = self.rng, self.session.state.painted
        factor: Any = (
            str(rng.choice(scene.names)) if rng.random() < 0.5 else int(rng.integers(0, scene.n_factors))
        )
        weight = round(float(rng.uniform(-1, 2)), 2)
        feature = int(rng.integers(0, N_FEATURES))
        options: dict[str, Made] = {
            "rename": {"factor": factor, "name": str(rng.choice(["sea", "it's", "lion", ""]))},
            "recolor": {"factor": factor, "color": str(rng.choice(["#123456", "#E69F00", "blue"]))},
            "duplicate": {"factor": factor},
            "remove": {"factor": factor},
            "reorder": {"order": [int(f) for f in rng.permutation(scene.n_factors)]},
            "set_weight": {"factor": factor, "feature": feature, "weight": weight},
            "reset_weights": {"factor": factor},
            "add_factor": {"features": {str(feature): 1}, "name": LABELS.get(feature)},
            "restyle": {"style": str(rng.choice(["", "pixel art"]))},
            "borrow": {"factor": 0},
            "set_steps": {"factor": factor, "steps": None if rng.random() < 0.3 else [0, 1]},
            "bend": {"factor": factor},
        }
        verb = str(rng.choice(list(options)))
        if verb == "remove" and scene.n_factors < 2:
            return
        self.say(
            "palette",
            revision=self.session._revision,
            verb=verb,
            arguments=options[verb],
            commit=bool(verb != "set_weight" or rng.random() < 0.5),
        )

    def some(self) -> None:
        """One of all other requests."""
        rng, session = self.rng, self.session
        steps = session.history.steps
        step = int(rng.choice(steps))
        patches = sorted({int(p) for p in rng.integers(0, GRID.n_patches, 5)})
        analyze = {"prompt": str(rng.choice(["a tree", "zebra ✨"])), "style": "", "seed": str(2**60 + 1)}
        options: dict[str, Made] = {
            "undo": {},
            "redo": {},
            "go": {"step": step},
            "keep": {"step": step, "name": str(rng.choice(["", "first", "best"]))},
            "forget": {"step": None if rng.random() < 0.2 else step},
            "search": {
                "text": str(rng.choice(["tree", "SKY", "night sky", "#7", "lion", " ", "3"])),
                "site": "",
            },
            "copy": {"patches": patches if rng.random() < 0.7 else []},
            "paste": {"revision": session._revision},
            "notes": {"prompt": "a zebra in the night", "style": "pixel art"},
            "borrow_source": {"prompt": "the tree" if rng.random() < 0.7 else "", "file": ""},
            "export": {"form": "py", "factor": 0},
            "analyze": analyze | {"n_steps": int(rng.integers(1, 6)), "n_factors": int(rng.integers(2, 5))},
            "vary": {
                "verb": str(rng.choice(["refit", "reseed", "reseed_edit", "turn"])),
                "value": int(rng.integers(2, 5)),
            },
            "hello": {},
        }
        kind = str(rng.choice(list(options)))
        self.say(kind, **options[kind])

    def transcript(self) -> Made:
        """All of it, to be compared."""
        self.say("hello")
        self.say("paste", revision=0)
        for _ in range(N_REQUESTS):
            [self.edit, self.palette, self.some][int(self.rng.choice(3, p=[0.4, 0.25, 0.35]))]()
        self.say("export", form="py", factor=0)
        self.session.close()
        return {
            "wanted": self.wanted,
            "analyses": self.painter.analyses,
            "codes": self.painter.codes,
            "talk": self.talk,
        }


def _whole(value: Any) -> Any:
    """A number as JavaScript's JSON writes it."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def text() -> str:
    """page_transcripts.json as it stands in the repository."""
    facts = {"grid": [GRID.rows, GRID.cols], "unit": floats(UNIT), "model": MODEL, "known": KNOWN}
    labels = [[feature, label] for feature, label in LABELS.items()]
    transcripts = ",\n".join(
        json.dumps(Recorder(seed).transcript(), separators=(",", ":"), ensure_ascii=False)
        for seed in range(N_TRANSCRIPTS)
    )
    return (
        f'{{"facts":{json.dumps(facts)},"labels":{json.dumps(labels)},"transcripts":[\n{transcripts}\n]}}\n'
    )


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    print(f"wrote {PATH.name}: {PATH.stat().st_size >> 10} KB")
