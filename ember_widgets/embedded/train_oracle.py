"""Stage "oracle": the judge of pictures, trained on drawn scenes only, never on pictures of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from tqdm import trange

from ember_widgets.embedded import captions, oracle, scenes, vocabulary
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.training_loop import rank, train
from ember_widgets.util.files import replacing

Array = NDArray[Any]
N_TRAIN, N_TEST = 3000, 300


def train_oracle(
    out: Path,
    steps: int,
    *,
    device: str = "cpu",
    n_scenes: int = N_TRAIN,
    batch: int = 24,
    weights: Path = oracle.WEIGHTS,
) -> None:
    """Train the oracle and write its averaged weights into the package, float16.

    Half of the batches are blurred a little, and all get a little noise: the model's decoder is a little
    soft, and its pictures have a little grain.

    Args:
        out: Folder of the run: checkpoint and log.
        steps: Training steps.
        device: Where it is trained.
        n_scenes: Scenes to train on.
        batch: Scenes per step.
        weights: File to write.
    """
    torch.manual_seed(0)
    network = oracle.Oracle().to(device)
    pictures, labels, styles = drawn(n_scenes, 77)

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        chosen = rng.integers(n_scenes, size=batch)
        x = oracle.pixels_of(pictures[chosen]).to(device)
        if rng.random() < 0.5:
            x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        x = x + rng.uniform(0, 0.08) * torch.randn_like(x)
        with torch.autocast(device, dtype=torch.bfloat16):
            found, style = network(x.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(found.float(), torch.from_numpy(labels[chosen]).to(device))
        styled = F.cross_entropy(style.float(), torch.from_numpy(styles[chosen] + 1).to(device))
        return {"loss": loss + 0.2 * styled, "labels": loss, "style": styled}

    averages = train(
        "oracle", {"oracle": network}, list(network.parameters()), step, out=out, steps=steps, seed=78
    )
    if rank() == 0:
        export_oracle(averages["oracle"], weights)


def export_oracle(averages: dict[str, Tensor], weights: Path = oracle.WEIGHTS) -> None:
    """Write averaged weights as the package ships them, and print how often they are right.

    Args:
        averages: {name: weight} of an `Oracle`.
        weights: File to write.
    """
    half = {name: weight.detach().cpu().half().contiguous() for name, weight in averages.items()}
    with replacing(weights) as temporary:
        save_file(half, temporary)
    network = oracle.Oracle()
    network.load_state_dict({name: weight.float() for name, weight in half.items()})
    print(", ".join(f"{what} {share:.3f}" for what, share in accuracy(network.eval()).items()))


def accuracy(network: oracle.Oracle) -> dict[str, float]:
    """Shares of patches and styles that an oracle reads right, on scenes it was not trained on."""
    pictures, labels, styles = drawn(N_TEST, 177)
    parts = [network.read(pictures[i : i + 25]) for i in range(0, N_TEST, 25)]
    found, style = np.concatenate([p[0] for p in parts]), np.concatenate([p[2] for p in parts])
    things = labels >= vocabulary.FIRST_THING
    return {
        "all patches": float((found == labels).mean()),
        "patches of things": float((found == labels)[things].mean()),
        "styles": float((style == styles).mean()),
    }


def drawn(n: int, seed: int) -> tuple[Array, Array, Array]:
    """Scenes to train or test on: half free, half captioned, a third in a style.

    Returns:
        Pictures (n, 256, 256, 3) uint8, labels (n, 16, 16), styles (n,), -1 for none.
    """
    rng = np.random.default_rng(seed)
    layouts = [random_layout(rng, styled=0.3) for _ in range(n // 2)]
    for _ in range(n - n // 2):
        spec = captions.random_spec(rng, styled=0.3)
        layouts.append(captions.caption_layout(spec, rng.standard_normal((4, 64, 64), dtype=np.float32))[0])
    pictures = np.empty((n, scenes.SIZE, scenes.SIZE, 3), np.uint8)
    labels = np.empty((n, scenes.GRID, scenes.GRID), np.int64)
    for i in trange(n, desc="scenes for the oracle", mininterval=10):
        pictures[i], labels[i] = scenes.draw(layouts[i])
    return pictures, labels, np.array([layout.style for layout in layouts])
