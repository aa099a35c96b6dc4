"""Does painting do what it says? An oracle reads the pictures; prints a table with 95 % intervals.

    python -m tests.benchmarks.paint_fidelity [--trials 6] [--steps 1] [--out runs/fidelity]

The oracle (ember_widgets/embedded/oracle.py) is a classifier of patches, trained on drawn scenes only; its
own accuracy is printed first. Seeds and captions are none that anything was trained on. Concepts are taken
from pictures as a user takes them: analyse a caption that names the thing, borrow the factor that stands
where the thing is seen. "Ceiling" is what the oracle reads when the world itself draws the thing into the
shape; what a thing leaves free of it (the corners beside a pine) is read as background there too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.stats import spearmanr

from ember_widgets import Painter, Scene
from ember_widgets.embedded import captions, scenes, vocabulary
from ember_widgets.embedded.oracle import Oracle, load_oracle
from ember_widgets.embedded.train_oracle import accuracy
from ember_widgets.embedded.vocabulary import FIRST_THING, LABELS, LOOKS, VARIANTS_OF
from ember_widgets.model.runs import Run
from ember_widgets.painter import steering

Array = NDArray[Any]
GRID = scenes.GRID
BARS = {
    "paint, blank canvas": 0.9, "paint, over scenes": 0.8, "locality": 0.1, "drag": 0.9, "erase": 0.9,
    "strength (rank correlation)": 0.9, "re-weighting": 0.8, "action": 0.7, "style kept": 0.9,
    "caption agreement": 0.9, "SAE explained variance": 0.9, "SAE dead share": 0.05,
}  # fmt: skip
LOWER_IS_BETTER = {"locality", "SAE dead share"}


@dataclass
class Bench:
    painter: Painter
    oracle: Oracle
    rng: np.random.Generator
    n_steps: int
    trials: int

    def __post_init__(self) -> None:
        self._concepts: dict[int, tuple[Scene, int]] = {}

    def seed(self) -> int:
        return int(self.rng.integers(1 << 41, 1 << 42))

    def see(self, scene: Scene) -> tuple[Array, Array]:
        """The picture (256, 256, 3) uint8 and the oracle's labels (16, 16)."""
        picture = np.asarray(self.painter.render(scene))
        return picture, self.oracle.read(picture[None])[0][0]

    def probability(self, picture: Array, label: int) -> Array:
        return np.asarray(np.exp(self.oracle.read(picture[None])[1][0, label]))

    def analyzed(self, label: int) -> tuple[Scene, int, Array] | None:
        """A captioned scene with a thing, the thing's factor, and where the oracle sees the thing."""
        for _ in range(4):
            scene = self.painter.analyze(
                phrase(label, self.rng), seed=self.seed(), n_steps=self.n_steps, n_factors=5
            )
            seen = self.see(scene)[1] == label
            if seen.sum() >= 6:
                return scene, factor_at(scene, seen), seen
        return None

    def concept(self, label: int) -> tuple[Scene, int] | None:
        if label not in self._concepts:
            found = self.analyzed(label)
            if found is None:
                return None
            self._concepts[label] = found[:2]
        return self._concepts[label]


def phrase(label: int, rng: np.random.Generator) -> str:
    """A caption for one thing alone."""
    return captions.say(captions.Spec((label,), sky=0, ground=int(rng.integers(4))), rng)


def factor_at(scene: Scene, where: Array) -> int:
    """The factor that stands where, and only where, a mask says."""
    strengths = scene.strengths.reshape(GRID * GRID, -1)
    match = strengths.T @ where.ravel() / (np.linalg.norm(strengths, axis=0) + 1e-9)
    return int(match.argmax())


def free_shape(label: int, rng: np.random.Generator) -> tuple[Array, scenes.Thing]:
    """A shape as a hand paints it, and the thing that fills it: an ellipse, or dabs of a round brush."""
    look = vocabulary.look(label)
    height, width = (int(np.clip(s + rng.integers(-1, 2), 3, 8)) for s in (look.height, look.width))
    row, col = int(rng.integers(0, GRID - height + 1)), int(rng.integers(0, GRID - width + 1))
    rows, cols = np.mgrid[:GRID, :GRID]
    mask = np.zeros((GRID, GRID), bool)
    if rng.random() < 0.5:
        y, x = row + (height - 1) / 2, col + (width - 1) / 2
        mask = ((rows - y) / (height / 2)) ** 2 + ((cols - x) / (width / 2)) ** 2 <= 1.05
    else:
        radius = min(height, width) / 3
        for _ in range(24):
            y = rng.uniform(row + radius - 0.5, row + height - 0.5 - radius)
            x = rng.uniform(col + radius - 0.5, col + width - 0.5 - radius)
            mask |= (rows - y) ** 2 + (cols - x) ** 2 <= radius**2
    hit_rows, hit_cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(hit_rows[0]), int(hit_cols[0])
    shape = mask[top : int(hit_rows[-1]) + 1, left : int(hit_cols[-1]) + 1]
    return mask, scenes.Thing(label, top, left, len(shape), len(shape[0]), shape)


def all_looks() -> range:
    return range(FIRST_THING, FIRST_THING + len(LOOKS))


# what is measured; each yields one value per trial


def painting(b: Bench, *, blank: bool) -> Iterator[tuple[str, float]]:
    for label in all_looks():
        found = b.concept(label)
        for _ in range(b.trials):
            mask, thing = free_shape(label, b.rng)
            if blank:
                base, ground = b.painter.blank(seed=b.seed(), n_steps=b.n_steps), np.zeros((GRID, GRID), int)
            else:
                spec = captions.random_spec(b.rng, styled=0)
                base = b.painter.analyze(spec.words, seed=b.seed(), n_steps=b.n_steps)
                ground = np.full((GRID, GRID), 1 + (spec.sky or 0))
                ground[captions.HORIZON :] = vocabulary.FIRST_GROUND + (spec.ground or 0)
            ideal = scenes.draw(scenes.Layout(ground, (thing,)))[0]
            yield "ceiling", float((b.oracle.read(ideal[None])[0][0] == label)[mask].mean())
            if found is None:
                yield "accuracy", 0.0
                continue
            before, _ = b.see(base)
            after, read = b.see(base.borrow(*found).paint(base.n_factors, mask))
            yield "accuracy", float((read == label)[mask].mean())
            yield f"accuracy of {LABELS[label]}", float((read == label)[mask].mean())
            change = np.abs(after.astype(float) - before).mean(2)
            near = binary_dilation(mask, np.ones((3, 3))).repeat(16, 0).repeat(16, 1)
            yield "locality", float(change[~near].mean() / change[mask.repeat(16, 0).repeat(16, 1)].mean())
            yield "through true activations", true_activations(b, base, label, mask, found)


def true_activations(b: Bench, base: Scene, label: int, mask: Array, concept: tuple[Scene, int]) -> float:
    """Paint accuracy when the thing's own mean update is written into the patches, without SAE and NMF."""
    source = b.painter.backbone.start(Run(concept[0].prompt, concept[0].seed, concept[0].n_steps))
    seen = torch.from_numpy((b.see(concept[0])[1] == label).ravel())
    update = (source.first.hidden_out - source.first.hidden_in)[0].flatten(1)[:, seen].mean(1)
    start = b.painter.backbone.start(Run(base.prompt, base.seed, base.n_steps))
    plain, where = steering.edits(base, list(b.painter.saes.values()))[0], torch.from_numpy(mask)

    def edit(step: int, state: Any) -> torch.Tensor:
        out = (state.hidden_out if plain is None else plain(step, state)).clone()
        out[0, :, where] = state.hidden_in[0, :, where] + update[:, None].to(out.dtype)
        return out

    picture = np.asarray(b.painter.backbone.decode(b.painter.backbone.run(start, edit)))
    return float((b.oracle.read(picture[None])[0][0] == label)[mask].mean())


def dragging(b: Bench) -> Iterator[tuple[str, float]]:
    for label in all_looks():
        for _ in range(max(1, b.trials // 2)):
            found = b.analyzed(label)
            if found is None:
                yield "drag", 0.0
                yield "erase", 0.0
                continue
            scene, f, seen = found
            rows, cols = np.nonzero(seen)
            d_row = int(b.rng.integers(-min(4, rows.min()), min(4, 15 - rows.max()) + 1))
            steps = [d for d in range(-cols.min(), 16 - cols.max()) if abs(d) >= 4]
            d_col = int(b.rng.choice(steps)) if steps else 0
            if (d_row, d_col) != (0, 0):
                now = b.see(scene.move(f, d_row, d_col))[1] == label
                wanted = np.zeros_like(seen)
                wanted[rows + d_row, cols + d_col] = True
                left = (now & seen & ~binary_dilation(wanted, np.ones((3, 3)))).sum()
                at = np.argwhere(now & binary_dilation(wanted, np.ones((5, 5))))
                close = len(at) >= seen.sum() / 2 and np.all(
                    np.abs(at.mean(0) - np.argwhere(wanted).mean(0)) <= 1
                )
                yield "drag", float(close and left <= 0.15 * seen.sum())
            region = binary_dilation(seen, np.ones((3, 3)))
            erased = b.see(scene.erase(region, heal=True))[1] == label
            yield "erase", float(erased[region].sum() <= 0.1 * seen.sum())
            gains = np.linspace(0, 1.2, 7)
            presence = [b.probability(b.see(scene.scale(f, g))[0], label)[seen].mean() for g in gains]
            yield "strength (rank correlation)", float(spearmanr(gains, presence).statistic)


def reweighting(b: Bench) -> Iterator[tuple[str, float]]:
    labels = b.painter.labels
    for kind, variants in VARIANTS_OF.items():
        for a in variants:
            for other in variants:
                features = [labels.search(name)[:1] for name in (a, other)]
                if a == other:
                    continue
                for _ in range(max(1, b.trials // 2)):
                    found = b.analyzed(LABELS.index(a))
                    if found is None or not all(features):
                        yield f"{kind}", 0.0
                        continue
                    scene, f, seen = found
                    weight = scene.weights(f).get(features[0][0], 0.0) or 1.0
                    changed = scene.set_weight(f, features[0][0], 0).set_weight(f, features[1][0], weight)
                    read = b.see(changed)[1]
                    yield f"{kind}", float((read[seen] == LABELS.index(other)).mean() > 0.5)


def actions(b: Bench) -> Iterator[tuple[str, float]]:
    for label in all_looks():
        kind, *state = vocabulary.look(label).attributes
        if not state or state[0] not in vocabulary.STATES:
            continue
        features = b.painter.labels.search(state[0])
        for _ in range(b.trials):
            found = b.analyzed(LABELS.index(kind))
            if found is None or not features:
                yield state[0], 0.0
                continue
            scene, _, seen = found
            painted = scene.add_factor({features[0]: 1.0}).paint(scene.n_factors, seen, 1.0, mode="add")
            read = b.see(painted)[1][seen]
            changed = (read == label).sum() > (read == LABELS.index(kind)).sum()
            yield state[0], float(changed and (read == label).mean() > 0.4)


def styles(b: Bench) -> Iterator[tuple[str, float]]:
    for style in range(len(vocabulary.STYLES)):
        for _ in range(3 * b.trials):
            label = int(b.rng.choice(list(all_looks())))
            spec = captions.random_spec(b.rng, styled=1)
            while spec.style != style:
                spec = captions.random_spec(b.rng, styled=1)
            base = b.painter.analyze(spec.words, seed=b.seed(), n_steps=b.n_steps)
            before = b.oracle.read(np.asarray(b.painter.render(base))[None])[2][0]
            yield "style obeyed", float(before == style)
            found = b.concept(label)
            if found is not None:
                mask, _ = free_shape(label, b.rng)
                after = b.painter.render(base.borrow(*found).paint(base.n_factors, mask))
                yield "style kept", float(b.oracle.read(np.asarray(after)[None])[2][0] == style)


def captioned(b: Bench) -> Iterator[tuple[str, float]]:
    for _ in range(20 * b.trials):
        spec = captions.random_spec(b.rng, styled=0)
        scene = b.painter.analyze(spec.words, seed=b.seed(), n_steps=b.n_steps)
        start = b.painter.backbone.start(Run(scene.prompt, scene.seed, scene.n_steps))
        noise = (start.latents[0] / start.scheduler.init_noise_sigma).float().numpy()
        layout, _ = captions.caption_layout(spec, noise)
        ideal, labels = scenes.draw(layout)
        picture, read = b.see(scene)
        for label in spec.things:
            if (labels == label).sum() >= 8:
                yield "caption agreement", float((read == label).sum() >= 6)
        yield "background agreement", float((read == labels)[labels < FIRST_THING].mean())
        yield "sharpness, ratio to drawn scenes", gradient(picture) / gradient(ideal)
        if spec.things:
            other = b.see(b.painter.analyze(spec.words, seed=b.seed(), n_steps=b.n_steps))[1]
            things = (read >= FIRST_THING) | (other >= FIRST_THING)
            yield (
                "variety (patches of things that differ between seeds)",
                float((read != other)[things].mean()),
            )


def gradient(picture: Array) -> float:
    luma = picture.astype(float).mean(2)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean())


def sae_quality(b: Bench) -> Iterator[tuple[str, float]]:
    from ember_widgets.training.evaluation import measure

    vectors = []
    for _ in range(20 * b.trials):
        start = b.painter.backbone.start(Run(captions.random_spec(b.rng).words, b.seed(), 1))
        vectors.append(steering.target(next(iter(b.painter.saes.values())), start.first))
    quality = measure(next(iter(b.painter.saes.values())), torch.cat(vectors))
    yield "SAE explained variance", 1 - quality.fvu
    yield "SAE L0", quality.l0
    yield "SAE dead share", quality.dead


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval, by bootstrap over trials (Wilson's where all are 0 or 1)."""
    x = np.array(values)
    if set(np.unique(x)) <= {0.0, 1.0} and len(x) > 1:
        n, p, z = len(x), x.mean(), 1.96
        middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return float(p), float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))
    draws = x[np.random.default_rng(0).integers(len(x), size=(2000, len(x)))].mean(1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(x.mean()), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=6, help="per thing (default: 6)")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps, 1 to 4 (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("runs/fidelity"), help="default: %(default)s")
    args = parser.parse_args()
    oracle = load_oracle()
    print(
        "oracle on scenes it has not seen: " + ", ".join(f"{k} {v:.3f}" for k, v in accuracy(oracle).items())
    )
    bench = Bench(Painter.embedded(), oracle, np.random.default_rng(2026), args.steps, args.trials)
    values: dict[str, list[float]] = {}
    sections: list[tuple[str, Callable[[], Iterator[tuple[str, float]]]]] = [
        ("paint, blank canvas", lambda: painting(bench, blank=True)),
        ("paint, over scenes", lambda: painting(bench, blank=False)),
        ("", lambda: dragging(bench)),
        ("re-weighting", lambda: reweighting(bench)),
        ("action", lambda: actions(bench)),
        ("", lambda: styles(bench)),
        ("", lambda: captioned(bench)),
        ("", lambda: sae_quality(bench)),
    ]
    for section, measure in sections:
        for name, value in measure():
            values.setdefault(f"{section}: {name}" if section else name, []).append(value)
        if section in ("re-weighting", "action"):
            parts = [v for k, v in values.items() if k.startswith(f"{section}: ")]
            values[section] = [x for part in parts for x in part]
    for section in ("paint, blank canvas", "paint, over scenes"):
        values[section] = values.pop(f"{section}: accuracy")
        values.setdefault("locality", []).extend(values.pop(f"{section}: locality"))
    print(f"\n{'measure':62s}{'mean':>8s}{'95 % interval':>18s}{'n':>6s}  bar")
    for name in sorted(values, key=lambda k: (k not in BARS, list(BARS).index(k) if k in BARS else 0, k)):
        mean, low, high = interval(values[name])
        bar = BARS.get(name)
        met = bar is None or (mean <= bar if name in LOWER_IS_BETTER else mean >= bar)
        note = (
            ""
            if bar is None
            else f"  {'≤' if name in LOWER_IS_BETTER else '≥'} {bar:g} {'' if met else 'missed'}"
        )
        print(f"{name:62s}{mean:8.3f}{f'{low:.3f} to {high:.3f}':>18s}{len(values[name]):6d}{note}")
    (args.out / f"fidelity-{args.steps}.json").write_text(
        json.dumps({k: [*interval(v), len(v)] for k, v in values.items()}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
