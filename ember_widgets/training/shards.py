"""Activations on disk, for several passes over the same pictures: drawn once, read in every later pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ember_widgets.dictionary.tensor_files import save_tensors
from ember_widgets.training.ranks import Ranks
from ember_widgets.util import checks, files

PICTURES = 64
"""Pictures in a shard."""
SETTINGS = "shards.json"
MOST_SETTINGS = 100_000
SKIPPED = "n_skipped"


class Shards:
    """A folder with the activations of pictures, some pictures in each file.

    Args:
        folder: Where they lie; it is made.
        settings: What the activations depend on: those of another model, or of other prompts, are refused.
        n_prompts: How many pictures a pass has, of all processes together.
        seed: Of the order of shards in later passes.
        ranks: The processes: each has its own files.

    Attributes:
        n: How many shards a pass of this process has.

    Raises:
        ValueError: The folder holds the activations of other pictures.
        OSError: It cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        n_prompts: int,
        *,
        seed: int = 0,
        ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
    ) -> None:
        self.folder, self._seed, self._ranks = folder, seed, ranks
        self._n_pictures = len(range(ranks.rank, n_prompts, ranks.world))
        if not self._n_pictures:
            raise ValueError(
                f"{checks.plural(n_prompts, 'prompt')} for {ranks.world} processes; give each at least one"
            )
        self.n = -(-self._n_pictures // PICTURES)
        self._order: tuple[int, Tensor] = (0, torch.arange(self.n))
        ranks.first_does(lambda: self._claim({**settings, "n_prompts": n_prompts, "processes": ranks.world}))

    def _claim(self, settings: Mapping[str, Any]) -> None:
        files.make_folder(self.folder)
        path = self.folder / SETTINGS
        with files.locked(path):
            if not path.exists():
                files.write(path, (json.dumps(settings, indent=2) + "\n").encode())
                return
            with files.damage_named(path, "give another folder for the shards"):
                there = files.parsed(files.read(path, MOST_SETTINGS).decode(), 1000)
                if not isinstance(there, dict):
                    raise ValueError("it is not an object")
        ours = json.loads(json.dumps(settings))
        differing = [
            f"{name}: {checks.shown(there.get(name))} there, {checks.shown(ours.get(name))} here"
            for name in sorted({*there, *ours})
            if there.get(name) != ours.get(name)
        ]
        if differing:
            raise ValueError(
                f"{self.folder} holds the activations of other pictures ({'; '.join(differing)}); give "
                "another folder for the shards, or the same settings"
            )

    def at(self, position: int) -> int:
        """Which shard comes at a position, counted over all passes: in the first pass one after another."""
        turn, place = divmod(position, self.n)
        if self._order[0] != turn:
            generator = torch.Generator().manual_seed(self._seed + turn)
            self._order = turn, torch.randperm(self.n, generator=generator)
        return int(self._order[1][place])

    def prompts_of(self, shard: int) -> range:
        """Which prompts, counted over all processes, a shard has."""
        own = range(shard * PICTURES, min((shard + 1) * PICTURES, self._n_pictures))
        world = self._ranks.world
        return range(own.start * world + self._ranks.rank, own.stop * world, world)

    def read(self, shard: int) -> tuple[dict[str, Tensor], int] | None:
        """What a shard holds.

        Returns:
            {site: (n, d_model)}, and how many of its prompts could not be drawn; None if it is not there.

        Raises:
            ValueError: The file is damaged.
        """
        path = self._file(shard)
        if not path.exists():
            return None
        with files.damage_named(path, "remove it: it is then drawn again"):
            patches = load_file(path)
            return patches, int(patches.pop(SKIPPED))

    def write(self, shard: int, patches: Mapping[str, Tensor], n_skipped: int) -> None:
        """Keep a shard.

        Raises:
            OSError: The disk is full.
        """
        tensors = {site: values.cpu().contiguous() for site, values in patches.items()}
        save_tensors(self._file(shard), {**tensors, SKIPPED: torch.tensor(n_skipped)}, {})

    def _file(self, shard: int) -> Path:
        part = f"-{self._ranks.rank}-of-{self._ranks.world}" if self._ranks.world > 1 else ""
        return self.folder / f"shard-{shard:06d}{part}.safetensors"


def n_bytes(n_pictures: int, n_patches: int, widths: list[int], itemsize: int) -> int:
    """How much disk the activations of pictures take, at sites with these widths (d_model)."""
    return n_pictures * n_patches * sum(widths) * itemsize
