"""Compare the codes of SAEs saved as format="saelens" with what SAELens's own loaders make of them.

For maintainers; CI does not run it. It needs sae-lens 6.54 in an environment that also has this package, or a
.pth file that names the folder of one that has:

    python3 -m venv /tmp/saelens
    echo "$PWD/.venv/lib/python3.11/site-packages" > /tmp/saelens/lib/python3.11/site-packages/ours.pth
    /tmp/saelens/bin/pip install sae-lens==6.54.12
    PYTHONPATH=. /tmp/saelens/bin/python tests/unit/dictionary/checkpoints/read_by_saelens.py

It prints a line for each SAE, and fails if a code or a value of a reconstruction differs by more than 1e-5.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ember_widgets.dictionary.sae import SAE
from tests.pipeline import hub as stand_in

NEAR = 1e-5
N_PATCHES = 4096


def saes() -> Iterator[tuple[str, SAE]]:
    """What a user may save: every activation that SAELens has, thresholds of every kind, and trained SAEs."""
    from ember_widgets import Painter  # loads the hub's client

    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    def one(**fields: Any) -> SAE:
        weights: dict[str, Any] = {
            "W_enc": normal(32, 256),
            "b_enc": normal(256),
            "W_dec": normal(256, 32),
            "b_dec": normal(32),
            "activation": "jumprelu",
            "k": None,
            "threshold": None,
            "target": "update",
            "site": "up_blocks.0.attentions.1",
            "unit": torch.ones(256),
        }
        return SAE(**(weights | fields))

    yield "topk", one(activation="topk", k=10)
    yield "batchtopk, one threshold", one(activation="batchtopk", k=10, threshold=torch.tensor(2.5))
    yield "jumprelu, a threshold per feature", one(threshold=normal(256).abs())
    yield "jumprelu, threshold 0", one(threshold=torch.tensor(0.0))
    yield "jumprelu, thresholds below 0", one(threshold=-normal(256).abs())
    for site in ("down.2.1", "up.0.1"):
        yield f"embedded {site}", next(iter(Painter.embedded(sites=site).saes.values()))


def compared(name: str, ours: SAE, theirs: Any) -> bool:
    """Print how far codes and reconstructions differ, and say whether they are near."""
    random = torch.Generator().manual_seed(1)
    x = ours.b_dec + 2 * torch.randn(N_PATCHES, ours.d_model, generator=random)
    with torch.no_grad():
        codes = theirs.encode(x)
        of_codes = float((codes - ours.encode(x)).abs().max())
        of_values = float((theirs.decode(codes) - ours.decode(ours.encode(x))).abs().max())
        whole = float((theirs(x) - ours.decode(ours.encode(x))).abs().max())
    kept = bool(((codes > 0) == (ours.encode(x) > 0)).all())
    scale = float(ours.decode(ours.encode(x)).abs().max())
    near = max(of_codes, of_values, whole) <= NEAR * max(1.0, scale) and kept
    print(
        f"{name:45} {type(theirs).__name__:12} codes differ by {of_codes:.1e}, reconstructions by "
        f"{max(of_values, whole):.1e} of {scale:.0f}, L0 {float((codes > 0).sum() / N_PATCHES):.1f}: "
        f"{'same' if near else 'DIFFERENT'}"
    )
    return near


def main() -> int:
    with stand_in.serving() as hub, tempfile.TemporaryDirectory() as made:
        # Before SAELens and the painter are imported: the hub's client reads them once.
        os.environ |= {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": f"{made}/cache", "HF_HUB_DISABLE_XET": "1"}
        import sae_lens

        print(f"sae-lens {sae_lens.__version__}, torch {torch.__version__}")
        hub.repos["me/saes"], fine = Path(made), True
        for i, (name, sae) in enumerate(saes()):
            sae.save(f"{made}/{i}", format="saelens")
            fine &= compared(f"{name}, load_from_disk", sae, sae_lens.SAE.load_from_disk(f"{made}/{i}"))
            fine &= compared(f"{name}, from_pretrained", sae, sae_lens.SAE.from_pretrained("me/saes", str(i)))
        return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
