"""A labelling run is killed twice at random points: is a call lost, or made again? Prints what it counted.

    python -m tests.benchmarks.label_kills [--features 500] [--kills 2] [--scores] [--seed 0]

The run is another process (SIGKILL ends it), the label server is in this one and counts what it answered.
Its features are made up (tests/pipeline/drawn_features.py): drawing their sheets takes 20 ms instead of a
second, and calls, journal and kills are the same. An answer that was on its way at a kill is lost with the
process and asked for again; it is counted apart. No call that is in the journal may be made again.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ember_widgets.embedded.label_server import LabelServer
from tests.pipeline.drawn_features import meaning

IN_FLIGHT = 4
RUN = """
import sys
from pathlib import Path
from ember_widgets.labelling.openai_client import OpenAIClient
from ember_widgets.labelling.run import label_features
from tests.pipeline.drawn_features import DrawnFeatures
url, folder, n, in_flight, scores = sys.argv[1:]
run = label_features(
    range(int(n)), DrawnFeatures(), OpenAIClient("oracle", base_url=url, in_flight=int(in_flight)),
    folder=Path(folder), scores=scores == "scores", progress=False,
)
assert run.is_finished, run
"""


def journal(folder: Path) -> list[str]:
    """The calls that are on disk, by id; a line that a kill cut in two does not count."""
    file, found = folder / "journal.jsonl", []
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        try:
            found.append(json.loads(line)["id"])
        except ValueError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--scores", action="store_true", help="three calls a feature instead of one")
    parser.add_argument("--seed", type=int, default=0, help="of the kills")
    args = parser.parse_args()
    n_calls, began = args.features * (3 if args.scores else 1), time.monotonic()
    points = sorted(random.Random(args.seed).sample(range(IN_FLIGHT, n_calls - IN_FLIGHT), args.kills))
    doubled: Counter[str] = Counter()
    n_open = 0
    with tempfile.TemporaryDirectory() as name, LabelServer() as server:
        folder = Path(name)
        for point in [*points, None]:
            kept, n_before = set(journal(folder)), len(server.asked)
            process = subprocess.Popen(
                [sys.executable, "-c", RUN, server.url, name, str(args.features), str(IN_FLIGHT),
                 "scores" if args.scores else "plain"]
            )  # fmt: skip
            while process.poll() is None and (point is None or len(server.answered) < point):
                time.sleep(0.005)
            if point is not None:
                process.kill()
            ended = process.wait()
            assert ended == (0 if point is None else -9), f"the run ended with {ended}"
            time.sleep(2)  # answers that are under way are counted
            now = server.asked[n_before:]
            doubled.update(one.question for one in now if one.question in kept)
            lost = {one.question for one in now} - set(journal(folder))
            n_open += len(lost)
            what = "finished" if point is None else f"killed at {point} answers"
            print(f"{what}: {len(now)} calls, {len(journal(folder))} in the journal, {len(lost)} were open")
        lines, answered = journal(folder), server.answered
        content = json.loads((folder / "labels.json").read_text("utf-8"))
        labels = content.get("labels", content)
        right = sum(
            meaning(f) in str(labels.get(str(f), "")).replace("(", "").replace(")", "")
            for f in range(args.features)
        )
        print(f"features {args.features}, labels {len(labels)}, right {right}")
        print(f"calls that the server answered: {answered.total()}, different ones: {len(answered)}")
        print(f"open at a kill and asked again: {n_open}")
        print(f"lost (no answer in the journal): {n_calls - len(set(lines))}")
        print(f"answered twice in the journal: {len(lines) - len(set(lines))}")
        print(f"in the journal and asked again: {doubled.total()}")
        print(f"{time.monotonic() - began:.0f} s")
        good = len(set(lines)) == len(lines) == n_calls == len(answered) == answered.total() - n_open
        assert good, "a call was lost or made again"
        assert not doubled, "a call in the journal was made again"
        assert len(labels) == args.features, "a feature has no label"


if __name__ == "__main__":
    main()
