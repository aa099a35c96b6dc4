"""Does painting do what it says? Two oracles read the pictures; prints a table with 95 % intervals.

    python -m tests.benchmarks.paint_fidelity [--trials 3] [--steps 1] [--model FOLDER] [--compare-steps]

The oracles (ember_widgets/embedded/oracle.py) are classifiers of patches, built and trained in different
ways, on drawn scenes only. Figures are the mean of both, and each has a column. Their own accuracy is among
the rows. Seeds and captions are none that anything was trained on. Concepts are taken from pictures as a user
takes them: analyse a caption that names the thing, borrow the factor that stands where the thing is seen.

"Paint" is relative: patches read as the thing, divided by those that are read so when the world itself draws
the thing into the same shape, because sprites leave some of a shape free (the corners beside a pine).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import spearmanr
from tqdm import tqdm

from ember_widgets import Painter, Scene
from ember_widgets.embedded import captions, oracle, scenes, train_oracle, vocabulary
from ember_widgets.embedded.card import at, filling, odd_shapes, stroke
from ember_widgets.embedded.vocabulary import FIRST_THING, LABELS, STATES, VARIANTS_OF
from ember_widgets.model.runs import Run
from ember_widgets.painter import open as opening
from ember_widgets.painter import steering
from tests.benchmarks.fidelity_table import Table, interval, print_steps, print_table
from tests.benchmarks.fidelity_verdicts import AROUND, exactly_once, gradient, is_moved, whole

Array = NDArray[Any]
Row = tuple[str, Any, Any]  # name, one value or one per oracle, what it is relative to
GRID = scenes.GRID


@dataclass
class Bench:
    """What is measured, and what reads it; every trial has randomness of its own (`at`)."""

    painter: Painter
    readers: Sequence[oracle.Oracle]
    n_steps: int
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def __post_init__(self) -> None:
        self._concepts: dict[int, tuple[Scene, int] | None] = {}
        known = set.intersection(*(set(reader.known) for reader in self.readers))
        self.looks = sorted(label for label in known if label >= FIRST_THING)

    def at(self, *key: int) -> None:
        self.rng = np.random.default_rng([2026, *key])

    def seed(self) -> int:
        return int(self.rng.integers(1 << 41, 1 << 42))

    def read(self, picture: Array) -> Array:
        """The labels that each oracle reads, (n_readers, 16, 16)."""
        return np.stack([reader.read(picture[None])[0][0] for reader in self.readers])

    def see(self, scene: Scene) -> tuple[Array, Array]:
        """The picture (256, 256, 3) uint8 and `read` of it."""
        picture = np.asarray(self.painter.render(scene))
        return picture, self.read(picture)

    def presence(self, scene: Scene, label: int, where: Array) -> Array:
        """Mean probability of a label in some patches, per oracle."""
        picture = np.asarray(self.painter.render(scene))[None]
        return np.array([np.exp(reader.read(picture)[1][0, label][where]).mean() for reader in self.readers])

    def style(self, scene: Scene) -> Array:
        picture = np.asarray(self.painter.render(scene))[None]
        return np.array([reader.read(picture)[2][0] for reader in self.readers])

    def analyze(self, words: str, **options: Any) -> Scene:
        return self.painter.analyze(words, seed=self.seed(), n_steps=self.n_steps, **options)

    def spec(self, **options: Any) -> captions.Spec:
        """A random caption with things and words that model and oracles know."""
        while True:
            spec = captions.random_spec(self.rng, **options)
            words = spec.words.replace(",", " ").split()
            if set(spec.things) <= set(self.looks) and set(words) <= set(self.painter.known_words):
                return spec

    def analyzed(self, label: int) -> tuple[Scene, int, Array] | None:
        """A captioned scene with a thing, the thing's factor, and where both oracles see the thing."""
        for _ in range(4):
            spec = captions.Spec((label,), sky=0, ground=int(self.rng.integers(4)))
            scene = self.analyze(captions.say(spec, self.rng), n_factors=5)
            seen = (self.see(scene)[1] == label).all(0)
            if seen.sum() >= 6:
                return scene, factor_at(scene, seen), seen
        return None

    def concept(self, label: int) -> tuple[Scene, int] | None:
        if label not in self._concepts:
            before = self.rng
            self.at(0, label)
            found = self.analyzed(label)
            self._concepts[label], self.rng = None if found is None else found[:2], before
        return self._concepts[label]


def factor_at(scene: Scene, where: Array) -> int:
    """The factor that stands where, and only where, a mask says."""
    strengths = scene.strengths.reshape(GRID * GRID, -1)
    match = strengths.T @ where.ravel() / (np.linalg.norm(strengths, axis=0) + 1e-9)
    return int(match.argmax())


def free_shape(label: int, rng: np.random.Generator) -> Array:
    """A compact shape as a hand paints it, (16, 16) bool: an ellipse, or dabs of a round brush."""
    look = vocabulary.look(label)
    height, width = (int(np.clip(s + rng.integers(-1, 2), 3, 8)) for s in (look.height, look.width))
    row, col = (int(rng.integers(0, GRID - side + 1)) for side in (height, width))
    if rng.random() < 0.5:
        return at(row + (height - 1) / 2, col + (width - 1) / 2, height, width)
    radius = min(height, width) / 3
    low = np.array([row, col]) + radius - 0.5
    high = np.array([row + height, col + width]) - radius - 0.5
    dabs = rng.uniform(low, high, (24, 2))
    return np.asarray(np.any([stroke(2 * radius, tuple(dab), tuple(dab)) for dab in dabs], axis=0))


def placed(mask: Array, rng: np.random.Generator) -> Array:
    """A shape somewhere else in the picture."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    shift = [int(rng.integers(-m[0], GRID - m[-1])) for m in (rows, cols)]
    return np.roll(mask, shift, (0, 1))


# what is measured; each trial yields rows


def painting(b: Bench, label: int, trial: int, *, blank: bool) -> Iterator[Row]:
    """How much of a painted shape reads as the thing, and what it changes elsewhere."""
    section = "paint, blank canvas" if blank else "paint, over scenes"
    mask, ground = free_shape(label, b.rng), np.zeros((GRID, GRID), int)
    base = b.painter.blank(seed=b.seed(), n_steps=b.n_steps)
    if not blank:
        spec = b.spec(styled=0)
        base = b.analyze(spec.words)
        ground = captions.caption_layout(spec, np.zeros((4, 64, 64))).background
    ideal, truth = scenes.draw(scenes.Layout(ground, (filling(label, mask),)))
    ceiling = (b.read(ideal) == label)[:, mask].mean(1)
    yield f"{section}: ceiling", ceiling, 1
    found = b.concept(label)
    if found is None:
        yield section, 0 * ceiling, ceiling
        return
    before = np.asarray(b.painter.render(base)).astype(float)
    after, read = b.see(base.borrow(*found).paint(base.n_factors, mask))
    share = (read == label)[:, mask].mean(1)
    yield section, share, ceiling
    yield f"{section}: patches read as the thing", share, 1
    yield f"{section}: where the world draws it", (read == label)[:, truth == label].mean(1), 1
    yield f"look {LABELS[label]}", share, ceiling
    change = np.abs(after - before).mean(2)
    near = ndimage.binary_dilation(mask, AROUND).repeat(16, 0).repeat(16, 1)
    yield "locality", change[~near].mean() / change[mask.repeat(16, 0).repeat(16, 1)].mean(), 1
    if blank and trial == 0:
        yield "paint, blank canvas: through true activations", directly(b, base, label, mask, found), ceiling


def directly(b: Bench, base: Scene, label: int, mask: Array, concept: tuple[Scene, int]) -> Array:
    """Patches read as the thing when its own mean update is written there, without SAE and NMF."""
    source = b.painter.backbone.start(Run(concept[0].prompt, concept[0].seed, concept[0].n_steps))
    seen = torch.from_numpy((b.see(concept[0])[1] == label).all(0).ravel())
    update = (source.first.hidden_out - source.first.hidden_in)[0].flatten(1)[:, seen].mean(1)
    start = b.painter.backbone.start(Run(base.prompt, base.seed, base.n_steps))
    plain, where = steering.edits(base, list(b.painter.saes.values()))[0], torch.from_numpy(mask)

    def edit(step: int, state: Any) -> torch.Tensor:
        out = (state.hidden_out if plain is None else plain(step, state)).clone()
        out[0, :, where] = state.hidden_in[0, :, where] + update[:, None].to(out.dtype)
        return out

    picture = np.asarray(b.painter.backbone.decode(b.painter.backbone.run(start, edit)))
    return np.asarray((b.read(picture) == label)[:, mask].mean(1))


def identity(b: Bench, label: int, shape: str) -> Iterator[Row]:
    """Whether every sprite of a painted shape is the thing: what most of its patches are read as."""
    thing = filling(label, placed(odd_shapes()[shape], b.rng))
    ideal, truth = scenes.draw(scenes.Layout(np.zeros((GRID, GRID), int), (thing,)))
    mask = scenes.painted_patches(scenes.Layout(np.zeros((GRID, GRID), int), (thing,)))[0] == label
    places = []
    assert thing.shape is not None
    for row, col, height, width in scenes.sprite_boxes(label, thing.shape):
        box = np.zeros_like(mask)
        box[thing.row + row : thing.row + row + height, thing.col + col : thing.col + col + width] = True
        drawn = box & (truth == label)
        places.append(drawn if drawn.any() else box & mask)
    yield "identity: ceiling", whole(b.read(ideal), places, label), 1
    found = b.concept(label)
    share = np.zeros(len(b.readers))
    if found is not None:
        base = b.painter.blank(seed=b.seed(), n_steps=b.n_steps)
        share = whole(b.see(base.borrow(*found).paint(base.n_factors, mask))[1], places, label)
    yield "identity of whole things", share, 1
    yield f"identity: {shape}", share, 1


def dragging(b: Bench, label: int, trial: int) -> Iterator[Row]:
    """A thing moved, erased and, for every third look, made weaker and stronger."""
    found = b.analyzed(label)
    nothing = np.zeros(len(b.readers))
    if found is None:
        yield "drag", nothing, 1
        yield "erase", nothing, 1
        return
    scene, f, seen = found
    rows, cols = np.nonzero(seen)
    d_row = int(b.rng.integers(-min(4, rows.min()), min(4, 15 - rows.max()) + 1))
    steps = [d for d in range(-cols.min(), 16 - cols.max()) if abs(d) >= 4]
    d_col = int(b.rng.choice(steps)) if steps else 0
    if (d_row, d_col) != (0, 0):
        wanted = np.zeros_like(seen)
        wanted[rows + d_row, cols + d_col] = True
        reads = b.see(scene.move(f, d_row, d_col))[1]
        yield "drag", np.array([float(is_moved(read == label, seen, wanted)) for read in reads]), 1
    region = ndimage.binary_dilation(seen, AROUND)
    erased = b.see(scene.erase(region, heal=True))[1] == label
    yield "erase", (erased[:, region].sum(1) <= 0.1 * seen.sum()).astype(float), 1
    if (label + trial) % 3 == 0:
        gains = np.linspace(0, 1.2, 7)
        seen_at = np.stack([b.presence(scene.scale(f, g), label, seen) for g in gains])
        ranks = [np.nan_to_num(spearmanr(gains, column).statistic) for column in seen_at.T]
        yield "strength (rank correlation)", np.array(ranks), 1


def reweighting(b: Bench, variants: tuple[str, str], trial: int) -> Iterator[Row]:
    """One variant of a kind turned into another by its weights."""
    features = [b.painter.labels.search(name)[:1] for name in variants]
    found = b.analyzed(LABELS.index(variants[0]))
    share = np.zeros(len(b.readers))
    if found is not None and all(features):
        scene, f, seen = found
        weight = scene.weights(f).get(features[0][0], 0.0) or 1.0
        changed = scene.set_weight(f, features[0][0], 0).set_weight(f, features[1][0], weight)
        read = b.see(changed)[1][:, seen]
        share = ((read == LABELS.index(variants[1])).mean(1) > 0.5).astype(float)
    yield "re-weighting", share, 1
    yield f"re-weighting: {variants[0]} to {variants[1]}", share, 1


def action(b: Bench, label: int, trial: int) -> Iterator[Row]:
    """A state added to an animal; a feature that is the whole animal in that state is painted over it."""
    kind, state = vocabulary.look(label).attributes
    features, found = b.painter.labels.search(state), b.analyzed(LABELS.index(kind))
    share = np.zeros(len(b.readers))
    if found is not None and features:
        scene, _, seen = found
        mode: Literal["over", "add"] = "over" if kind in b.painter.labels[features[0]] else "add"
        painted = scene.add_factor({features[0]: 1.0}).paint(scene.n_factors, seen, 1.0, mode=mode)
        read = b.see(painted)[1][:, seen]
        acts, rests = (read == label).mean(1), (read == LABELS.index(kind)).mean(1)
        share = ((acts > rests) & (acts > 0.4)).astype(float)
    yield "action", share, 1
    yield f"action: {state}", share, 1


def styles(b: Bench, style: int, trial: int) -> Iterator[Row]:
    """The style that a caption names, before and after something is painted."""
    spec = b.spec(styled=1)
    while spec.style != style:
        spec = b.spec(styled=1)
    base = b.analyze(spec.words)
    yield "style drawn", (b.style(base) == style).astype(float), 1
    label = int(b.rng.choice(b.looks))
    found = b.concept(label)
    if found is not None:
        painted = base.borrow(*found).paint(base.n_factors, free_shape(label, b.rng))
        yield "style kept", (b.style(painted) == style).astype(float), 1


def captioned(b: Bench, trial: int) -> Iterator[Row]:
    """What a caption of one to three things names is there, once each, and nothing else is."""
    spec = captions.Spec()
    while not 1 <= len(spec.things) <= 3:
        spec = b.spec(styled=0, crowd=(0, 1 / 3, 1 / 3, 1 / 3, 0))
    scene = b.analyze(spec.words)
    start = b.painter.backbone.start(Run(scene.prompt, scene.seed, scene.n_steps))
    noise = (start.latents[0] / start.scheduler.init_noise_sigma).float().numpy()
    ideal, labels = scenes.draw(captions.caption_layout(spec, noise))
    picture, reads = b.see(scene)
    if exactly_once(labels, spec):  # else one hides another in the world itself
        counted = np.array([float(exactly_once(read, spec)) for read in reads])
        yield "captions: all things exactly once", counted, 1
        yield f"captions: exactly once, {len(spec.things)} things", counted, 1
        world = [float(exactly_once(read, spec)) for read in b.read(ideal)]
        yield "captions: exactly once, drawn by the world", np.array(world), 1
    for label in set(spec.things):
        if (labels == label).sum() >= 8:
            yield "captions: named things present", ((reads == label).sum((1, 2)) >= 6).astype(float), 1
    back = labels < FIRST_THING
    yield "captions: background as the world draws it", (reads == labels)[:, back].mean(1), 1
    yield "sharpness, ratio to drawn scenes", gradient(picture) / gradient(ideal), 1
    if trial % 3 == 0:
        other = b.see(b.analyze(spec.words))[1]
        differ = [
            (r != o)[(r >= FIRST_THING) | (o >= FIRST_THING)].mean()
            for r, o in zip(reads, other, strict=True)
        ]
        yield "variety (patches of things that differ between seeds)", np.nan_to_num(differ), 1


def sae_quality(b: Bench, n: int) -> Iterator[Row]:
    """The first SAE on pictures that it was not trained on."""
    from ember_widgets.training.evaluation import measure

    sae = next(iter(b.painter.saes.values()))
    runs = [Run(b.spec().words, b.seed(), 1) for _ in range(n)]
    vectors = [steering.target(sae, b.painter.backbone.start(run).first) for run in runs]
    quality = measure(sae, torch.cat(vectors))
    yield "SAE explained variance", 1 - quality.fvu, 1
    yield "SAE L0", quality.l0, 1
    yield "SAE dead share", quality.dead, 1


def own_accuracy(b: Bench, part: int) -> Iterator[Row]:
    """How often the oracles are right about drawn scenes that neither was trained on."""
    test = train_oracle.drawn(range(1000 + 25 * part, 1025 + 25 * part), train_oracle.TEST_SEED)
    known = (test[1] >= FIRST_THING).any((1, 2))  # scenes with things, all of which they know
    for reader in b.readers:
        known &= np.isin(test[1], reader.known).all((1, 2))
    if not known.any():
        return
    pictures, labels, drawn_styles = (array[known] for array in test)
    shares = [train_oracle.accuracy(reader, (pictures, labels, drawn_styles)) for reader in b.readers]
    for what in shares[0]:
        yield f"oracles' own accuracy: {what}", np.array([share[what] for share in shares]), 1


# running it

Trial = tuple[Callable[..., Iterator[Row]], tuple[Any, ...]]


def trials(b: Bench, n: int, every: int = 1, *, brief: bool = False) -> list[Trial]:
    """All that is measured: n trials of each thing, of every so many looks; `brief`: no edits of weights."""
    looks, shapes = b.looks[::every], list(odd_shapes())
    found: list[Trial] = []
    for blank in (True, False):
        found += [(partial(painting, blank=blank), (label, k)) for label in looks for k in range(n)]
    sparse = max(1, 4 // n)
    found += [(identity, (label, s)) for i, s in enumerate(shapes) for label in looks[i % sparse :: sparse]]
    found += [(dragging, (label, k)) for label in looks for k in range(max(1, n // 2))]
    found += [(captioned, (k,)) for k in range(max(1, 120 * n // every))]
    if brief:
        return found
    pairs = [(a, z) for variants in VARIANTS_OF.values() for a in variants for z in variants if a != z]
    found += [(reweighting, (pair, k)) for pair in pairs for k in range(2 * n)]
    states = [label for label in looks if vocabulary.look(label).attributes[-1] in STATES]
    found += [(action, (label, k)) for label in states for k in range(n)]
    found += [(styles, (s, k)) for s in range(len(vocabulary.STYLES)) for k in range(5 * n)]
    return [*found, *((own_accuracy, (k,)) for k in range(8)), (sae_quality, (480,))]


_bench: list[Bench] = []  # what each worker process has opened


def open_bench(model: Path, readers: Path, n_steps: int) -> Bench:
    """Open a model and the oracles that read it; a folder of version 4 has one oracle."""
    torch.set_num_threads(1)
    opening.ASSETS = model
    loaded: list[oracle.Oracle] = [oracle.load_oracle(readers / oracle.WEIGHTS.name)]
    if (readers / oracle.JUDGE_WEIGHTS.name).exists():
        loaded.append(oracle.load_judge(readers / oracle.JUDGE_WEIGHTS.name))
    _bench[:] = [Bench(Painter.embedded(), loaded, n_steps)]
    return _bench[0]


def run_one(number: int, trial: Trial) -> list[Row]:
    _bench[0].at(1, number)
    return list(trial[0](_bench[0], *trial[1]))


def measured(args: argparse.Namespace, n_steps: int, chosen: list[Trial]) -> Table:
    """All trials, in several processes."""
    rows: dict[str, tuple[list[Any], list[Any]]] = {}
    spawn = multiprocessing.get_context("spawn")  # PyTorch's threads do not survive a fork
    options = (args.model, args.oracles, n_steps)
    with ProcessPoolExecutor(args.processes, spawn, open_bench, options) as pool:
        made = pool.map(run_one, range(len(chosen)), chosen, chunksize=4)
        for found in tqdm(made, total=len(chosen), desc=f"{n_steps} steps", mininterval=10):
            for name, value, base in found:
                values, bases = rows.setdefault(name, ([], []))
                values.append(np.atleast_1d(value))
                bases.append(np.broadcast_to(np.asarray(base, float), values[-1].shape))
    return {name: (np.array(values, float), np.array(bases)) for name, (values, bases) in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3, help="per thing (default: 3)")
    parser.add_argument("--every", type=int, default=1, help="only every so many looks (default: 1)")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps, 1 to 4 (default: 1)")
    parser.add_argument(
        "--compare-steps", action="store_true", help="1, 2 and 4 steps side by side, every fourth look"
    )
    parser.add_argument(
        "--model", type=Path, default=opening.ASSETS, help="its assets (default: the shipped)"
    )
    parser.add_argument("--oracles", type=Path, help="folder with the oracles (default: the model's)")
    parser.add_argument("--processes", type=int, default=2, help="default: 2")
    parser.add_argument("--out", type=Path, default=Path("runs/fidelity"), help="default: %(default)s")
    args = parser.parse_args()
    args.oracles = args.oracles or args.model
    args.out.mkdir(parents=True, exist_ok=True)
    started, here = time.monotonic(), open_bench(args.model, args.oracles, args.steps)
    if args.compare_steps:
        chosen = trials(here, args.trials, max(4, args.every), brief=True)
        tables = {n: measured(args, n, chosen) for n in (1, 2, 4)}
        print_steps(tables)
    else:
        tables = {args.steps: measured(args, args.steps, trials(here, args.trials, args.every))}
        print_table(tables[args.steps])
    for n, table in tables.items():
        name = f"steps-{n}.json" if args.compare_steps else f"fidelity-{n}.json"
        content = {k: [*interval(*pair), len(pair[0])] for k, pair in table.items()}
        (args.out / name).write_text(json.dumps(content, indent=1) + "\n")
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
