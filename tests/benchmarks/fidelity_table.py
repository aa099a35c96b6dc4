"""The table of `paint_fidelity`: means over two oracles, intervals over trials, and the bars."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Table = dict[str, tuple[Array, Array]]
"""{name: (values, what they are relative to)}, both (n_trials, n_readers), or (n_trials, 1) if none reads."""

BARS = {
    "paint, blank canvas": 0.95, "paint, over scenes": 0.92, "identity of whole things": 0.9,
    "captions: all things exactly once": 0.93, "locality": 0.02, "drag": 0.98, "erase": 0.98,
    "strength (rank correlation)": 0.95, "re-weighting": 0.95, "action": 0.9, "style drawn": 0.9,
    "style kept": 0.9, "SAE explained variance": 0.95, "SAE dead share": 0.05,
}  # fmt: skip
LOWER_IS_BETTER = {"locality", "SAE dead share"}
SHOWN = 8  # of the rows of single looks, the worst; the file has them all
SLACK = 0.005  # by how much four steps may be worse than one


def interval(values: Array, bases: Array) -> tuple[float, float, float]:
    """Mean over oracles of the ratio of sums and its 95 % interval, by bootstrap over trials.

    Wilson's interval where all are 0 or 1.
    """
    n = len(values)
    mean = float((values.sum(0) / np.maximum(bases.sum(0), 1e-9)).mean())
    if set(np.unique(values.mean(1))) <= {0.0, 1.0} and np.all(bases == 1):
        z = 1.96
        middle, half = mean + z * z / (2 * n), z * np.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
        return mean, float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))
    low, high = np.percentile(resampled(values, bases), [2.5, 97.5])
    return mean, float(low), float(high)


def resampled(values: Array, bases: Array) -> Array:
    """Means of 1000 samples of the trials; the same trials in every table that has as many."""
    drawn = np.random.default_rng(0).integers(len(values), size=(1000, len(values)))
    means: Array = (values[drawn].sum(1) / np.maximum(bases[drawn].sum(1), 1e-9)).mean(1)
    return means


def shown_rows(table: Table) -> list[str]:
    """Names in the order of the bars, then the others, then the worst looks."""
    looks = [name for name in table if name.startswith("look ")]
    worst = sorted(looks, key=lambda name: interval(*table[name])[0])[:SHOWN]
    others = sorted(name for name in table if name not in BARS and name not in looks)
    return [*(name for name in BARS if name in table), *others, *worst]


def print_table(table: Table) -> None:
    print(f"\n{'measure':56s}{'mean':>8s}{'95 % interval':>18s}{'n':>6s}{'oracle':>8s}{'judge':>8s}  bar")
    for name in shown_rows(table):
        values, bases = table[name]
        mean, low, high = interval(values, bases)
        each = values.sum(0) / np.maximum(bases.sum(0), 1e-9) if values.shape[1] > 1 else []
        note, bar = "", BARS.get(name)
        if bar is not None:
            lower = name in LOWER_IS_BETTER
            missed = mean > bar if lower else mean < bar
            note = f"  {'≤' if lower else '≥'} {bar:g}{' missed' if missed else ''}"
        columns = "".join(f"{share:8.3f}" for share in each).ljust(16)
        print(f"{name:56s}{mean:8.3f}{f'{low:.3f} to {high:.3f}':>18s}{len(values):6d}{columns}{note}")


def print_steps(tables: dict[int, Table]) -> None:
    """Rows for several numbers of steps side by side; the last may not be worse than the first.

    Trials are the same for all numbers of steps, so that the gain's interval is one of pairs.
    """
    first, last = tables[min(tables)], tables[max(tables)]
    print(
        f"\n{'measure':56s}"
        + "".join(f"{f'{n} steps':>9s}" for n in tables)
        + f"{'gain':>9s}{'95 % interval':>20s}"
    )
    for name in [name for name in shown_rows(first) if name in last and not name.startswith("look ")]:
        means = [interval(*table[name])[0] for table in tables.values()]
        sign = -1 if name in LOWER_IS_BETTER else 1
        gain = sign * (means[-1] - means[0])
        between = ""
        if len(first[name][0]) == len(last[name][0]):
            gains = sign * (resampled(*last[name]) - resampled(*first[name]))
            between = "{:+.3f} to {:+.3f}".format(*np.percentile(gains, [2.5, 97.5]))
        worse = "  worse" if name in BARS and gain < -SLACK else ""
        columns = "".join(f"{mean:9.3f}" for mean in means)
        print(f"{name:56s}{columns}{gain:+9.3f}{between:>20s}{worse}")
