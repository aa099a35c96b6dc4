"""Are automatic labels right, and do their scores know it? Prints a table.

    python -m tests.benchmarks.labels [--site up.0.1] [--features 60] [--pictures 300] [--out runs/labels]

Features of the embedded model are labelled and scored through the label server, whose eyes are the oracle: it
sees sheets, never codes. The labels are compared with the true ones (assets/sae*/labels.json: what the scenes
say that a feature stands for). "Shuffled" is each feature's sheet asked about another feature's label of
another kind, three times. AUC: how often a right label scores higher than a shuffled one, ties counting half.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ember_widgets import Painter
from ember_widgets.embedded import captions
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.label_server import LabelServer
from ember_widgets.embedded.sheet_reader import SheetReader
from ember_widgets.labelling import questions, scores
from ember_widgets.labelling.openai_client import OpenAIClient
from ember_widgets.labelling.run import label_features
from ember_widgets.painter.labelling import FeatureSheets

FOLDERS = {"down.2.1": "sae", "up.0.1": "sae-up.0.1"}
BAR = 0.9
N_SHUFFLED = 3


class KeptSheets:
    """A source that keeps the sheets of scores, so that they can be asked about other labels too."""

    def __init__(self, source: FeatureSheets) -> None:
        self.source, self.identity = source, source.identity
        self.kept: dict[str, dict[int, Any]] = {"detection": {}, "causal": {}}
        self.seconds = 0.0

    def label_sheet(self, feature: int) -> bytes | None:
        began = time.perf_counter()
        found = self.source.label_sheet(feature)
        self.seconds += time.perf_counter() - began
        return found

    def detection_sheet(self, feature: int) -> tuple[bytes, list[bool]] | None:
        found: tuple[bytes, list[bool]] | None
        found = self._keep("detection", feature, self.source.detection_sheet)
        return found

    def causal_sheet(self, feature: int) -> tuple[bytes, list[str]] | None:
        found: tuple[bytes, list[str]] | None
        found = self._keep("causal", feature, self.source.causal_sheet)
        return found

    def _keep(self, kind: str, feature: int, draw: Any) -> Any:
        began = time.perf_counter()
        self.kept[kind][feature] = draw(feature)
        self.seconds += time.perf_counter() - began
        return self.kept[kind][feature]


def score(reader: SheetReader, kind: str, sheet: tuple[bytes, list[Any]], label: str) -> float:
    """A label's score on a feature's sheet, as the run measures it."""
    picture, truth = sheet
    if kind == "detection":
        answer: Any = questions.chosen(reader.answer(questions.text_of("detection", label), picture))
        return float(scores.detection(answer, truth)[0])
    answer = questions.pairs(reader.answer(questions.text_of("causal", label), picture))
    return float(scores.causal(answer, truth)[0])


def kind_of(label: str) -> str:
    """A label without the part."""
    return label.split(",")[0]


def auc(right: list[float], shuffled: list[float]) -> float:
    a, b = np.array(right)[:, None], np.array(shuffled)[None]
    return float((a > b).mean() + 0.5 * (a == b).mean())


Scores = dict[str, dict[str, tuple[list[float], list[float]]]]
"""{labels: {kind of score: (of the labels, of the same labels shuffled)}}."""


def scored(
    sets: Mapping[str, Mapping[int, str]], sheets: KeptSheets, reader: SheetReader, rng: np.random.Generator
) -> Scores:
    """Scores of several sets of labels and of the same labels shuffled; every sheet is read once."""
    found: Scores = {name: {kind: ([], []) for kind in sheets.kept} for name in sets}
    for kind, kept in sheets.kept.items():
        for feature, one in kept.items():
            for name, labels in sets.items():
                if one is None or feature not in labels:
                    continue
                right, shuffled = found[name][kind]
                right.append(score(reader, kind, one, labels[feature]))
                others = [x for x in labels.values() if kind_of(x) != kind_of(labels[feature])]
                shuffled += [score(reader, kind, one, str(x)) for x in rng.choice(others, N_SHUFFLED)]
    return found


def report(found: Scores) -> None:
    print(f"\n{'labels':28s}{'score':11s}{'median':>8s}{'mean':>8s}{'shuffled':>10s}{'mean':>8s}{'AUC':>8s}")
    for name, kinds in found.items():
        for kind, (right, shuffled) in kinds.items():
            area = auc(right, shuffled)
            print(
                f"{name:28s}{kind:11s}{np.median(right):8.2f}{np.mean(right):8.2f}{np.median(shuffled):10.2f}"
                f"{np.mean(shuffled):8.2f}{area:8.3f}  {'' if area >= BAR else 'missed'} (n={len(right)})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", choices=FOLDERS, default="up.0.1", help="default: %(default)s")
    parser.add_argument("--features", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--pictures", type=int, default=300, help="of the collection; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/labels"), help="default: %(default)s")
    args = parser.parse_args()
    torch.set_num_threads(2)
    rng = np.random.default_rng(5)
    painter = Painter.embedded(sites=args.site)
    prompts = [captions.random_spec(rng).words for _ in range(args.pictures)]
    collection = painter.collect(prompts, args.out / f"collection-{args.site}", seeds=[11])
    content = json.loads((ASSETS / FOLDERS[args.site] / "labels.json").read_text("utf-8"))
    true = {int(f): text for f, text in content["labels"].items()}
    live = [f for f in true if len(collection.spread(f, 10)) == 10]
    chosen = sorted(int(f) for f in rng.permutation(live)[: args.features])
    print(f"{args.site}: {len(true)} true labels, {len(live)} active in 10 pictures of {len(collection)}")
    sheets, reader = KeptSheets(FeatureSheets(painter.model, collection)), SheetReader()
    with LabelServer(reader=reader) as server:
        client = OpenAIClient(server.model, base_url=server.url)
        folder = args.out / f"labels-{args.site}-{time.time_ns()}"
        run = label_features(chosen, sheets, client, folder=folder)
        calls = server.counts
    own = {f: run.labels[f] for f in chosen if f in run.labels}
    same = [kind_of(own[f]) == kind_of(true[f]) for f in own]
    exact = [own[f] == true[f] for f in own]
    n_calls = sum(calls.values())
    print(f"{n_calls} calls in {run.seconds:.0f} s, {sheets.seconds:.0f} s of them for drawing sheets")
    print(f"agreement with true labels: same kind {np.mean(same):.2f}, exact {np.mean(exact):.2f}")
    precision = {f: content["scores"][str(f)][0] for f in own}
    for low, high in ((0.0, 0.35), (0.35, 0.5), (0.5, 1.01)):
        those = [kind_of(own[f]) == kind_of(true[f]) for f in own if low <= precision[f] < high]
        if those:
            print(
                f"  features whose true label has precision {low:.2f} to {min(high, 1):.2f}: "
                f"same kind {np.mean(those):.2f} (n={len(those)})"
            )
    clear = {f: own[f] for f in own if kind_of(own[f]) == kind_of(true[f])}
    sets = {"automatic": own, "true": {f: true[f] for f in own}, "automatic, where it is true": clear}
    report(scored(sets, sheets, reader, rng))


if __name__ == "__main__":
    main()
