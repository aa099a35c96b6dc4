"""Stages "oracle" and "judge": readers of patches, trained on drawn scenes, never on what they judge."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from ember_widgets.embedded import captions, oracle, scenes, vocabulary
from ember_widgets.embedded.random_layouts import random_layout
from ember_widgets.embedded.training_loop import rank, train
from ember_widgets.util.files import replacing

Array = NDArray[Any]
Scenes = tuple[Array, Array, Array]
N_TEST, TEST_SEED = 300, 177
AT_ONCE = 25


def softened(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Half of the batches blurred a little, and all with a little noise.

    The model's decoder is a little soft, and its pictures have a little grain.

    Args:
        x: Pictures (B, 3, 256, 256) in [-1, 1].
        rng: Decides how much; the noise itself is PyTorch's.
    """
    if rng.random() < 0.5:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x + rng.uniform(0, 0.08) * torch.randn_like(x)


def disturbed(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures as cameras and files disturb them: colours, shifts, lost detail, noise, JPEG's blocks.

    Args:
        x: Pictures (B, 3, 256, 256) in [-1, 1].
        rng: Decides how much; the noise itself is PyTorch's.
    """
    n, side = len(x), x.shape[-1]
    gain, offset = (
        torch.from_numpy(rng.uniform(low, high, (n, 3, 1, 1))).to(x)
        for low, high in ((0.88, 1.1), (-0.08, 0.08))
    )
    wide = F.pad(gain * x + offset, (3, 3, 3, 3), mode="replicate")
    x = torch.stack(
        [p[:, r : r + side, c : c + side] for p, (r, c) in zip(wide, rng.integers(0, 7, (n, 2)), strict=True)]
    )
    if rng.random() < 0.5:
        small = F.interpolate(x, scale_factor=float(rng.uniform(0.6, 0.9)), mode="bilinear")
        x = F.interpolate(small, size=(side, side), mode="bilinear")
    x = x + rng.uniform(0, 0.06) * torch.randn_like(x)
    return as_jpeg(x, rng.uniform(0.02, 0.1)) if rng.random() < 0.4 else x


def as_jpeg(x: Tensor, coarse: float) -> Tensor:
    """Pictures (B, 3, H, W) whose 8×8 blocks have rounded frequencies, the high ones more coarsely."""
    k = torch.arange(8, device=x.device, dtype=x.dtype)
    cosines = torch.cos((2 * k + 1) * k[:, None] * torch.pi / 16) / 2
    cosines[0] /= 2**0.5
    unit = coarse * (1 + k[:, None] + k)[:, None]
    n, channels, height, width = x.shape
    blocks = x.reshape(n, channels, height // 8, 8, width // 8, 8)
    found = torch.einsum("ui,bcrisj,vj->bcrusv", cosines, blocks, cosines)
    blocks = torch.einsum("ui,bcrusv,vj->bcrisj", cosines, (found / unit).round() * unit, cosines)
    return blocks.reshape(x.shape)


KINDS = {
    "oracle": (oracle.new_oracle, softened, 77, oracle.WEIGHTS),
    "judge": (oracle.new_judge, disturbed, 79, oracle.JUDGE_WEIGHTS),
}
"""Each stage's network, how its pictures are disturbed, the seed of its scenes, and the file that ships."""


def train_oracle(
    out: Path,
    steps: int,
    *,
    stage: str = "oracle",
    device: str = "cpu",
    batch: int = 16,
    weights: Path | None = None,
) -> None:
    """Train an oracle and write its averaged weights into the package, float16.

    Args:
        out: Folder of the run: checkpoint and log.
        steps: Training steps.
        stage: "oracle" or "judge".
        device: Where it is trained.
        batch: Scenes per step and process.
        weights: File to write; None = the one that ships.
    """
    new, augment, seed, shipped = KINDS[stage]
    torch.manual_seed(seed)
    network = new().to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(n: int, rng: np.random.Generator) -> dict[str, Tensor]:
        # Never the same scene twice: of 4,000 scenes, both networks soon know each by heart.
        pictures, labels, styles = drawn(rng.integers(1 << 40, size=batch), seed)
        x = augment(oracle.pixels_of(pictures).to(device), rng)
        with torch.autocast(device, dtype=torch.bfloat16):
            found, style = network(x.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(found.float(), torch.from_numpy(labels).to(device))
        styled = F.cross_entropy(style.float(), torch.from_numpy(styles + 1).to(device))
        return {"loss": loss + 0.2 * styled, "labels": loss, "style": styled}

    # A kernel of one channel has no directions for Muon to balance.
    single = [p for name, p in network.named_parameters() if name.endswith("around.weight")]
    averages = train(
        stage, {stage: network}, list(network.parameters()), step, out=out, steps=steps, seed=seed,
        embeddings=single,
    )  # fmt: skip
    if rank() == 0:
        file = weights or shipped
        found = export_oracle(network, averages[stage], file, drawn(range(N_TEST), TEST_SEED))
        print(f"{file}: " + ", ".join(f"{what} {share:.3f}" for what, share in found.items()))


def export_oracle(
    network: oracle.Oracle, averages: dict[str, Tensor], weights: Path, test: Scenes
) -> dict[str, float]:
    """Write averaged weights as the package ships them.

    Args:
        network: Takes the weights over, as they are written.
        averages: {name: weight}.
        weights: File to write.
        test: Scenes to read with these weights, as `drawn` gives them.

    Returns:
        How often they are right, see `accuracy`.
    """
    half = {name: weight.detach().cpu().half().contiguous() for name, weight in averages.items()}
    with replacing(weights) as temporary:
        save_file(half, temporary, {"labels": json.dumps(network.names)})
    network.cpu().load_state_dict({name: weight.float() for name, weight in half.items()})
    return accuracy(network.eval(), test)


def accuracy(network: oracle.Oracle, test: Scenes) -> dict[str, float]:
    """Shares of patches and styles that an oracle reads right."""
    pictures, labels, styles = test
    parts = [network.read(pictures[i : i + AT_ONCE]) for i in range(0, len(pictures), AT_ONCE)]
    found, style = np.concatenate([p[0] for p in parts]), np.concatenate([p[2] for p in parts])
    things = labels >= vocabulary.FIRST_THING
    return {
        "all patches": float((found == labels).mean()),
        "patches of things": float((found == labels)[things].mean()),
        "styles": float((style == styles).mean()),
    }


def drawn(numbers: Iterable[int], seed: int) -> Scenes:
    """The scenes of these numbers, to train or test on: half free, half captioned, a third in a style.

    Returns:
        Pictures (n, 256, 256, 3) uint8, labels (n, 16, 16), styles (n,), -1 for none.
    """
    layouts = []
    for i in numbers:
        rng = np.random.default_rng([seed, int(i)])
        if i % 2:
            layouts.append(random_layout(rng, styled=0.3))
        else:
            spec = captions.random_spec(rng, styled=0.3)
            noise = rng.standard_normal((4, 64, 64), dtype=np.float32)
            layouts.append(captions.caption_layout(spec, noise))
    pictures, labels = zip(*map(scenes.draw, layouts), strict=True)
    return np.stack(pictures), np.stack(labels), np.array([layout.style for layout in layouts])
