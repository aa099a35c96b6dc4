"""Canvas: a painter, one scene and its history, with verbs that answer in words and pictures.

An agent sees what it does only through these answers. So each verb says what changed, and shows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw

from ember_widgets.agent.where import Where, mask_of, said
from ember_widgets.features.typed_number import number_in
from ember_widgets.painter.protocol import (
    N_FACTORS,
    Inspects,
    NotesPrompts,
    PainterProtocol,
    Styles,
    check_painter,
    labels_of,
    offered,
)
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks
from ember_widgets.util.checks import shown

MOST_STEPS_BACK = 100
PREVIEW_SIDE = 256
GRID_SIDE = 640
MOST_FOUND = 12
FAINT = 0.05
"""Strengths and weights below this are not seen."""
SUFFIXES = (".json", ".png")
MAX_TEXT = 1000
"""Characters of a prompt, a style, a search or a name."""


@dataclass(frozen=True)
class Answer:
    """What a verb answers.

    Args:
        text: What changed, or what is there.
        picture: RGB, or None.
    """

    text: str
    picture: Image.Image | None = None


class Canvas:
    """One picture that is being painted. Any thread may call it; one call is worked on at a time.

    Args:
        opens: Opens the painter; called when it is first needed, since loading a model takes long.
        folder: `save` and `load` use files in this folder only.
    """

    def __init__(self, opens: Callable[[], PainterProtocol], folder: Path) -> None:
        self._opens = opens
        self._folder = folder.resolve()
        self._lock = threading.RLock()
        self._painter: PainterProtocol | None = None
        self._scenes: list[Scene] = []
        self._now = -1

    @property
    def painter(self) -> PainterProtocol:
        """The painter; it is opened by the first call."""
        with self._lock:
            if self._painter is None:
                painter = self._opens()
                check_painter(painter)
                self._painter = painter
            return self._painter

    @property
    def scene(self) -> Scene:
        """The scene as painted so far.

        Raises:
            ValueError: There is none yet.
        """
        if self._now < 0:
            raise ValueError("there is no picture yet; call analyze with a prompt first")
        return self._scenes[self._now]

    # Pictures

    def analyze(
        self, prompt: str, seed: int = 0, n_factors: int = N_FACTORS, n_steps: int = 1, style: str = ""
    ) -> Answer:
        """Generate a picture and find its factors."""
        with self._lock:
            painter = self.painter
            more: dict[str, Any] = {}
            if _text("style", style):
                if offered(painter, Styles) is None:
                    raise ValueError("this painter has no styles; leave style out")
                more["style"] = style
            scene = painter.analyze(
                _text("prompt", prompt), seed=seed, n_factors=n_factors, n_steps=n_steps, **more
            )
            picture = self._drawn(scene)
            self._take(scene)
            notes = offered(painter, NotesPrompts)
            note = str(notes.prompt_notes(prompt) or "") if notes is not None else ""
            said_of_prompt = f"\nOf the prompt, {note}." if note else ""
            return Answer(self.palette().text + said_of_prompt, picture)

    def render(self, grid: bool = False) -> Answer:
        """The picture; with `grid`, larger and with the numbers of rows and columns."""
        with self._lock:
            scene = self.scene
            picture = self._drawn()
            rows, cols = scene.grid.shape
            edited = "as generated" if scene == scene.original() else "as painted"
            text = (
                f"{_quoted(scene)}, {edited}, {picture.width}×{picture.height} pixels, {rows}×{cols} patches."
            )
            return Answer(text, with_grid(picture, rows, cols) if grid else picture)

    def palette(self) -> Answer:
        """The factors: their numbers, names, places and strongest features."""
        with self._lock:
            scene = self.scene
            rows, cols = scene.grid.shape
            head = (
                f"{_quoted(scene)}: {scene.n_factors} factors on {rows}×{cols} patches "
                "(row 0 is at the top, col 0 at the left)."
            )
            return Answer("\n".join([head, *(self._line(f) for f in range(scene.n_factors))]))

    # Edits

    def paint(
        self,
        factor: int | str,
        where: Where,
        strength: float = 1.0,
        opacity: float = 1.0,
        mode: Literal["over", "add"] = "over",
    ) -> Answer:
        """Paint a factor onto a place."""
        with self._lock:
            mask = mask_of(where, self.scene.grid)
            painted = self.scene.paint(factor, mask, strength, opacity=opacity, mode=mode)
            return self._edited(painted, f"painted {self._name(factor)} on {said(mask)}")

    def move(
        self, d_row: int, d_col: int, factor: int | str | None = None, where: Where | None = None
    ) -> Answer:
        """Move a factor, or everything in a place."""
        with self._lock:
            scene = self.scene
            if factor is None and where is None:
                raise ValueError("say what to move: factor=, or where= for everything that is there")
            mask = None if where is None else mask_of(where, scene.grid)
            moved = scene.move(factor, d_row, d_col, mask)
            what = "everything" if factor is None else self._name(factor)
            of = f" of {said(mask)}" if mask is not None else ""
            return self._edited(moved, f"moved {what}{of} by {d_row} rows and {d_col} columns")

    def scale(self, factor: int | str, gain: float, where: Where | None = None) -> Answer:
        """Make a factor stronger or weaker."""
        with self._lock:
            mask = None if where is None else mask_of(where, self.scene.grid)
            scaled = self.scene.scale(factor, gain, mask)
            at = "everywhere" if mask is None else f"on {said(mask)}"
            return self._edited(scaled, f"made {self._name(factor)} {gain:g} times as strong {at}")

    def erase(self, where: Where, factor: int | str | None = None, heal: bool = True) -> Answer:
        """Take everything, or one factor, out of a place."""
        with self._lock:
            mask = mask_of(where, self.scene.grid)
            erased = self.scene.erase(mask, factor, heal=heal)
            what = "everything" if factor is None else self._name(factor)
            return self._edited(erased, f"took {what} out of {said(mask)}")

    def add_feature(self, feature: int | str, name: str = "") -> Answer:
        """Add a factor made of one feature; paint with it afterwards."""
        with self._lock:
            number = self._feature(feature)
            label = labels_of(self.painter).get(number, "")
            called = _text("name", name) or label.split(" (")[0] or f"feature {number}"
            added = self.scene.add_factor({number: 1.0}, called)
            self._take(added)
            f = added.n_factors - 1
            return Answer(
                f'Added factor {f} "{added.names[f]}", which is feature #{number}. Paint with it now.'
            )

    def set_weight(self, factor: int | str, feature: int | str, weight: float) -> Answer:
        """Change how much of a feature is in a factor."""
        with self._lock:
            number = self._feature(feature)
            changed = self.scene.set_weight(factor, number, weight)
            return self._edited(changed, f"set feature #{number} of {self._name(factor)} to {weight:g}")

    def restyle(self, style: str) -> Answer:
        """Change how things look, and not where they are."""
        with self._lock:
            if offered(self.painter, Styles) is None:
                raise ValueError("this painter has no styles")
            return self._edited(self.scene.restyle(_text("style", style)), f"set the style to {shown(style)}")

    # Features

    def search_features(self, text: str, n: int = MOST_FOUND) -> Answer:
        """Features whose labels fit a text."""
        with self._lock:
            labels = labels_of(self.painter)
            n = checks.integer("n", n, 1, 100, hint="12 are usually enough")
            found = labels.search(_text("text", text))[:n]
            if not found:
                hint = "try another word" if labels else "this painter's features have no labels"
                return Answer(f"No feature fits {shown(text)}; {hint}.")
            return Answer("\n".join(f"#{feature} {labels[feature]}" for feature in found))

    def inspect(self, where: Where, n: int = 8) -> Answer:
        """Which features are active in a place."""
        with self._lock:
            inspects = offered(self.painter, Inspects)
            if inspects is None:
                raise ValueError("this painter cannot inspect patches")
            n = checks.integer("n", n, 1, 100, hint="8 are usually enough")
            mask = mask_of(where, self.scene.grid)
            found = inspects.inspect(self.scene)
            labels = labels_of(self.painter)
            lines = [
                f"#{found.begin + feature} {labels.get(found.begin + feature, 'no label')}: {mean:.2f}"
                for feature, mean in found.top(mask, n).items()
            ]
            counts = found.counts[mask]
            per_patch = f"{counts.mean():.1f}" if counts.size else "0"
            return Answer(
                "\n".join([f"On {said(mask)}, {per_patch} features are active in a patch:", *lines])
            )

    # History and files

    def undo(self) -> Answer:
        """Go one step back."""
        return self._step(-1, "Undone.", "there is nothing to undo")

    def redo(self) -> Answer:
        """Go one step forward again."""
        return self._step(1, "Done again.", "there is nothing to redo")

    def save(self, path: str) -> Answer:
        """Write the scene as .json, or the picture with the scene inside as .png.

        It replaces scenes that were saved before, and no other file.
        """
        with self._lock:
            target = self._file(path)
            _check_replaceable(target, path)
            self.scene.save(target, self._drawn() if target.suffix == ".png" else None)
            return Answer(f"Saved {target}.")

    def load(self, path: str) -> Answer:
        """Go on with a scene that was saved."""
        with self._lock:
            scene = Scene.load(self._file(path))
            picture = self._drawn(scene)
            self._take(scene)
            return Answer(self.palette().text, picture)

    def _step(self, by: int, done: str, nothing: str) -> Answer:
        with self._lock:
            if not 0 <= self._now + by < len(self._scenes):
                raise ValueError(nothing)
            picture = self._drawn(self._scenes[self._now + by])
            self._now += by
            return Answer(f"{done}\n{self.palette().text}", small(picture))

    def _take(self, scene: Scene) -> None:
        """The next step of the history. It is drawn before: what cannot be drawn changes nothing."""
        self._scenes = [*self._scenes[: self._now + 1], scene][-MOST_STEPS_BACK:]
        self._now = len(self._scenes) - 1

    def _edited(self, scene: Scene, done: str) -> Answer:
        if scene == self.scene:
            return Answer(f"Nothing changed: {done}, and it was so before.")
        picture = self._drawn(scene)
        self._take(scene)
        return Answer(f"{done[0].upper()}{done[1:]}.", small(picture))

    def _drawn(self, scene: Scene | None = None) -> Image.Image:
        return self.painter.render(self.scene if scene is None else scene)

    def _name(self, factor: int | str) -> str:
        scene = self.scene
        f = checks.factor_index(factor, scene.names)
        return f'factor {f} "{scene.names[f]}"'

    def _line(self, f: int) -> str:
        """A factor in one line."""
        scene, labels = self.scene, labels_of(self.painter)
        features = ", ".join(
            f"#{feature} {labels.get(feature, '')}".strip() + f" ({weight:.2f})"
            for feature, weight in scene.weights(f, 3).items()
            if abs(weight) >= FAINT
        )
        strengths = scene.strengths[:, :, f]
        place = said(scene.grid.region(strengths)) if abs(strengths).max(initial=0) >= FAINT else "nowhere"
        return f"{f} {scene.names[f]}: {place}; made of {features}"

    def _feature(self, feature: int | str) -> int:
        """A feature by its number, or by a text that its label has."""
        text = str(feature)
        number = number_in(text)
        if number is not None:
            return checks.feature_index(number, self.scene.n_features)
        found = labels_of(self.painter).search(_text("feature", text))
        if not found:
            raise ValueError(
                f"feature={shown(feature)}: no label fits; call search_features with other words"
            )
        return found[0]

    def _file(self, path: str) -> Path:
        """A file in the folder."""
        target = (self._folder / _text("path", path)).resolve()
        if not target.is_relative_to(self._folder) or target.suffix not in SUFFIXES:
            raise ValueError(
                f"path={shown(path)}: files are .json or .png, in {self._folder}; "
                "give a name such as lion.png"
            )
        return target


def with_grid(picture: Image.Image, rows: int, cols: int) -> Image.Image:
    """A picture with the numbers of its rows at the left and of its columns above."""
    margin, side = 22, GRID_SIDE
    whole = Image.new("RGB", (side + margin, side + margin), "white")
    whole.paste(picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), (margin, margin))
    lines = Image.new("RGBA", whole.size)
    draw = ImageDraw.Draw(lines)
    for row in range(rows + 1):
        y = margin + side * row // rows
        draw.line([(margin, y), (whole.width, y)], fill=(255, 255, 255, 90))
    for col in range(cols + 1):
        x = margin + side * col // cols
        draw.line([(x, margin), (x, whole.height)], fill=(255, 255, 255, 90))
    whole = Image.alpha_composite(whole.convert("RGBA"), lines).convert("RGB")
    draw = ImageDraw.Draw(whole)
    for row in range(rows):
        middle = margin + side * (2 * row + 1) // (2 * rows)
        draw.text((margin // 2, middle), str(row), fill="black", anchor="mm")
    for col in range(cols):
        middle = margin + side * (2 * col + 1) // (2 * cols)
        draw.text((middle, margin // 2), str(col), fill="black", anchor="mm")
    return whole


def small(picture: Image.Image) -> Image.Image:
    """A picture of at most `PREVIEW_SIDE` pixels."""
    found = picture.copy()
    found.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
    return found


def _check_replaceable(target: Path, path: str) -> None:
    """Refuse to write over a file that is not a saved scene.

    Raises:
        ValueError: There is such a file.
    """
    if not target.exists():
        return
    try:
        Scene.load(target)
    except (OSError, ValueError):
        raise ValueError(
            f"path={shown(path)}: this file is there already, and is not a saved scene; give another name"
        ) from None


def _text(name: str, text: str) -> str:
    """A short text.

    Raises:
        ValueError: It is too long.
    """
    text = checks.text(name, text)
    if len(text) > MAX_TEXT:
        raise ValueError(f"{name} has {len(text):,} characters; give at most {MAX_TEXT:,}")
    return text


def _quoted(scene: Scene) -> str:
    prompt = f'"{scene.prompt}"' if scene.prompt else "No prompt"
    return f"{prompt}, seed {scene.seed}" + (f', style "{scene.style}"' if scene.style else "")
