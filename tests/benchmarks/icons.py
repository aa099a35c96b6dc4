"""Icons per second: features drawn one by one and in batches, and what each part of an icon takes.

    python -m tests.benchmarks.icons [--repeats 5] [--cpu-time]

Timed in turns; with `--cpu-time` by the processor's time, for a machine that others use too. "Plain" is a
whole run of the pipeline with a forward hook, in float32; "alone" is `painter.icon`, as a user draws one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

import ember_widgets as ember
from ember_widgets.features.icons import packed
from tests.benchmarks.render import asked, hooked, timed

BATCHES = (1, 4, 16)


def main() -> None:
    repeats, clock = asked(__doc__, 5)
    painter = ember.Painter.embedded()
    features = list(painter.icons)[: max(BATCHES)]
    print(f"threads {torch.get_num_threads()}, torch {torch.__version__}, {painter.pipeline.dtype}\n")

    plain = ember.Painter.embedded(dtype="float32").pipeline.to(memory_format=torch.contiguous_format)
    run = hooked(plain, next(iter(painter.saes)), 1)
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: [run() for _ in features[:4]],
        "alone": lambda: [painter.icon(f) for f in features[:4]],
    }
    ways |= {f"batches of {n}": partial(painter.draw_icons, features[:n]) for n in BATCHES}
    took = timed(ways, repeats, clock)
    each = {way: took[way] / 4 for way in ("plain", "alone")} | {
        f"batches of {n}": took[f"batches of {n}"] / n for n in BATCHES
    }
    print(f"{'':16s}{'per icon':>12s}{'icons/s':>10s}{'ratio':>8s}")
    for way, ms in each.items():
        print(f"{way:16s}{ms:9.1f} ms{1000 / ms:10.1f}{each['plain'] / ms:8.2f}")

    picture = painter.icon(features[0])
    (small,) = timed({"pack": lambda: packed(picture)}, repeats, clock).values()
    print(f"\nto a small WebP{small:10.1f} ms")


if __name__ == "__main__":
    main()
