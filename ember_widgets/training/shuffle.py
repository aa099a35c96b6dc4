"""A buffer in memory that mixes the patches of many pictures.

Patches of one picture are alike, and a batch of them would teach an SAE that picture. The buffer is filled,
one half of it is given out in random order, and its places are filled again; the other half stays, so that
pictures that came at different times meet.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class ShuffleBuffer:
    """Mixes patches, at several sites alike.

    Args:
        capacity: How many patches it holds, at least twice a batch.
        seed: Of the order.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self._generator = torch.Generator().manual_seed(seed)
        self._patches: dict[str, Tensor] = {}
        # Each place is in one of three states: free, to be given out next, or filled and kept for later.
        self._free = torch.arange(capacity)
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def room(self) -> int:
        """How many patches are missing before batches can be taken."""
        return 0 if len(self._order) else len(self._free)

    def put(self, patches: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Fill free places.

        Args:
            patches: {site: (n, d_model)}.

        Returns:
            What there was no room for; None if there was room for all.
        """
        n = len(next(iter(patches.values())))
        taken = self._free[:n]
        for site, values in patches.items():
            if site not in self._patches:
                self._patches[site] = values.new_empty((self.capacity, values.shape[1]), device="cpu")
            self._patches[site][taken] = values[: len(taken)].to("cpu")
        self._free = self._free[len(taken) :]
        if not len(self._free):
            self._order = torch.randperm(self.capacity, generator=self._generator)
        return {site: values[len(taken) :] for site, values in patches.items()} if len(taken) < n else None

    def can_give(self, n: int) -> bool:
        """Whether so many patches can be taken before it has to be filled again."""
        return len(self._order) - n >= self.capacity // 2

    def take(self, n: int) -> dict[str, Tensor]:
        """The next patches, {site: (n, d_model)}; their places are filled again after `empty_half`.

        Raises:
            ValueError: There are fewer.
        """
        if len(self._order) < n:
            raise ValueError(
                f"a buffer of {self.capacity:,} patches cannot give {n:,} at once; give buffer={2 * n}"
            )
        places, self._order = self._order[:n], self._order[n:]
        batch = {site: values[places] for site, values in self._patches.items()}
        self._free = torch.cat([self._free, places])
        return batch

    def empty_half(self) -> None:
        """Ask to be filled again; what was not given out stays."""
        self._order = self._order[:0]

    def state(self) -> dict[str, Tensor]:
        """All that the next batches depend on. Patches that were given out are left out."""
        held = self._held()
        kept = {f"patches.{site}": values[held] for site, values in self._patches.items()}
        return {"generator": self._generator.get_state(), "free": self._free, "order": self._order, **kept}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state` of a buffer of the same capacity."""
        self._generator.set_state(state["generator"])
        self._free, self._order = state["free"].clone(), state["order"].clone()
        held = self._held()
        for name, values in state.items():
            if name.startswith("patches."):
                whole = values.new_zeros((self.capacity, values.shape[1]))
                whole[held] = values
                self._patches[name.removeprefix("patches.")] = whole

    def _held(self) -> Tensor:
        """(capacity,) bool: places that are not free."""
        held = torch.ones(self.capacity, dtype=torch.bool)
        held[self._free] = False
        return held
