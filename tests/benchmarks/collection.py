"""What it costs to find where each feature of a collection is strong, weak and silent. Prints a table.

    python -m tests.benchmarks.collection [--pictures 1500 5000 15000] [--extrapolate 50000]

The collections are synthetic: 10,240 features, 10 of them active in each of 256 patches, about 500 in each
picture, some features a thousand times as often as others; without pictures. Each figure is of a process
that has done nothing before.

"index" opens the collection and asks for the first feature, when no shard has been read; "extend" does so
when 320 pictures were added after that; "open" when none were. "memory" is the largest that the process has
had while it indexed, less what it had after its imports. "top", "spread" and "silent" are of one feature
each, with 12, 10 and 5 pictures; "shards" is `top` without the index. "all" is the three for all features,
with the index made before. In the last line, what grows with the collection goes on in a straight line
through the last two sizes; the rest stays as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ember_widgets.features.collection import SHARD, Collection
from ember_widgets.features.collection_file import Record
from ember_widgets.features.peaks import FILE, STRONGEST

N_FEATURES, N_PATCHES, ACTIVE, IN_PICTURE = 10_240, 256, 10, 500
MORE = 320
COLUMNS = (
    "index s",
    "extend s",
    "open s",
    "memory MB",
    "file MB",
    "top ms",
    "spread ms",
    "silent ms",
    "shards ms",
)

GROWING = ("index s", "extend s", "open s", "shards ms")


def grow(folder: Path, n_pictures: int) -> None:
    """Add pictures to a collection until there are so many; those after the first 32 resemble each other."""
    random = np.random.default_rng(0)
    often = random.permutation(np.geomspace(1, 1e-3, N_FEATURES))
    collection = Collection.create(folder, N_FEATURES, {"id": "synthetic"})
    for index in range(len(collection), n_pictures):
        random = np.random.default_rng(index)
        # The largest of these are a sample without repetition, weighted by `often`.
        chosen = np.argpartition(np.log(random.random(N_FEATURES)) / often, -IN_PICTURE)[-IN_PICTURE:]
        places = random.integers(IN_PICTURE // ACTIVE, size=(N_PATCHES, ACTIVE)) * ACTIVE + np.arange(ACTIVE)
        features = np.sort(chosen[places], axis=1).astype(np.int32).ravel()
        values = random.lognormal(0, 1, len(features)).astype(np.float32)
        record = Record(f"prompt {index}", index, np.full(N_PATCHES, ACTIVE, np.uint32), features, values)
        collection._batch.append(record)
        if len(collection._batch) == SHARD:
            collection.flush()
    collection.flush()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(folder: Path, step: str) -> dict[str, float]:
    """One step's figures; the process has done nothing else before."""
    if step == "index":
        (folder / FILE).unlink(missing_ok=True)
    before = megabytes()
    collection = Collection.open(folder)
    figures = {f"{step} s": seconds(lambda: collection.top(0))}
    if step == "index":
        figures["memory MB"] = megabytes() - before
        figures["file MB"] = (folder / FILE).stat().st_size / 2**20
    if step == "open":
        some = [int(feature) for feature in np.random.default_rng(0).permutation(N_FEATURES)[:1000]]
        for name, n in (("top", 12), ("spread", 10), ("silent", 5)):
            ask = getattr(collection, name)
            figures[f"{name} ms"] = seconds(lambda ask=ask, n=n: [ask(feature, n) for feature in some])
        often = [feature for feature in some if len(collection.top(feature, STRONGEST)) == STRONGEST][:5]
        figures["shards ms"] = (
            1e3 / len(often) * seconds(lambda: [collection.top(feature, STRONGEST + 1) for feature in often])
        )
    return figures


def in_a_process(folder: Path, step: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.collection", "--folder", str(folder), "--step", step]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def row(n_pictures: int, figures: dict[str, float]) -> str:
    each = "".join(f"{figures[name]:>11.3g}" for name in COLUMNS)
    ms = figures["top ms"] + figures["spread ms"] + figures["silent ms"]
    return f"{n_pictures:>8}{each}{ms * N_FEATURES / 1e3:>11.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, nargs="+", default=[1500, 5000, 15_000])
    parser.add_argument("--extrapolate", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(measure(options.folder, options.step)))
        return
    print("pictures" + "".join(f"{name:>11}" for name in (*COLUMNS, "all s")), flush=True)
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "collection"
        for n_pictures in sorted(options.pictures):
            grow(folder, n_pictures)
            figures = in_a_process(folder, "index")
            figures |= in_a_process(folder, "open")
            grow(folder, n_pictures + MORE)
            figures |= in_a_process(folder, "extend")
            print(row(n_pictures, figures), flush=True)
            found.append((n_pictures, figures))
    if len(found) > 1 and options.extrapolate > found[-1][0]:
        (n, first), (m, second) = found[-2:]
        share = (options.extrapolate - n) / (m - n)
        line = second | {name: first[name] + share * (second[name] - first[name]) for name in GROWING}
        print(row(options.extrapolate, line), " (a straight line)")


if __name__ == "__main__":
    main()
