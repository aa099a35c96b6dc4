"""Stage "icons": what the atlas shows about the embedded model's features, measured and drawn.

Statistics over scenes that the SAE was not trained on, an icon of every live feature, and the map of all.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ember_widgets.embedded import captions
from ember_widgets.embedded.export import ASSETS
from ember_widgets.features import icons
from ember_widgets.features.feature_map import FILE as MAP_FILE
from ember_widgets.features.feature_map import make_map
from ember_widgets.features.statistics import FILE as STATISTICS_FILE
from ember_widgets.painter.open import EMBEDDED_SAES
from ember_widgets.painter.painter import Painter

N_PROMPTS = 150
SEEDS = range(60_000, 60_004)


def make_icons(assets: Path = ASSETS) -> None:
    """Measure, draw and lay out: `statistics.npz` and `map.npz` beside each SAE, `icons.zip` beside one.

    An icon of an unsupervised feature is a patch of colour: it is not shipped, and is drawn when wanted.
    """
    for i, (site, folder) in enumerate(EMBEDDED_SAES.items()):
        _make(Painter.embedded(sites=site), assets / folder, drawn=i == 0)


def _make(painter: Painter, folder: Path, *, drawn: bool) -> None:
    sae = next(iter(painter.saes.values()))
    rng = np.random.default_rng(47)
    prompts = [captions.random_spec(rng, crowd=(0.05, 0.15, 0.3, 0.3, 0.2)).words for _ in range(N_PROMPTS)]
    with tempfile.TemporaryDirectory() as scratch:
        collection = painter.collect(prompts, scratch, seeds=SEEDS, pictures=False)
        statistics = collection.statistics
    statistics.save(folder / STATISTICS_FILE, painter.key)
    live = np.flatnonzero(~statistics.dead).tolist()
    (folder / icons.FILE).unlink(missing_ok=True)  # features of an earlier dictionary may be dead now
    if drawn:
        kept = icons.Icons(sae.n_features, painter.draw_icons, key=painter.key, file=folder / icons.FILE)
        kept.make(live)
    made = make_map(sae.W_dec.numpy(), method="tsne")
    made.save(folder / MAP_FILE, sae.sha256)
    print(f"{folder.name}: {len(collection)} pictures, {len(live)} live features, {made.title}")
