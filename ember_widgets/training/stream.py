"""Where an SAE's training data come from: prompts and seeds, the model up to the site, shuffled patches.

Nothing after the last site is run, nothing is decoded, and nothing is written to disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ember_widgets.model.runs import Run
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.training import interrupts
from ember_widgets.training.ranks import Ranks
from ember_widgets.training.shards import Shards
from ember_widgets.training.shuffle import ShuffleBuffer
from ember_widgets.util import checks

log = logging.getLogger("ember_widgets")

AT_ONCE = 8
"""Pictures that go through the model at a time."""
BUFFER_BATCHES = 16
HELD_OUT_SEED = 2**40
"""Seeds from here on are of pictures that no training sees."""
MOST_SKIPPED = 100
"""So many prompts in a row that cannot be drawn end a training: something else is wrong."""


class Picture(NamedTuple):
    """One picture to take patches from."""

    prompt: str
    seed: int


class Batches(Protocol):
    """What a training takes its batches from.

    Attributes:
        n_skipped: Prompts that could not be drawn, of this process's.
    """

    n_skipped: int

    def next(self) -> Mapping[str, Tensor]:
        """This process's share of the next batch, {site: (n, d_model)}.

        Raises:
            StopIteration: There are no more.
        """

    def state(self) -> dict[str, Tensor]:
        """All that the next batches depend on."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""


class TensorBatches:
    """Batches from an iterable of activations.

    Args:
        stream: Tensors (n, d_model), of any n; it is read once, and again from its beginning when a
            training is resumed, so it must give the same tensors again.
        site: Where they come from.
        n: Patches of a batch.

    Attributes:
        n_skipped: See `Batches`.
    """

    n_skipped = 0

    def __init__(self, stream: Iterable[Tensor], site: str, n: int) -> None:
        self._stream, self._site, self._n = iter(stream), site, n
        self._rest: Tensor | None = None
        self._n_given = 0

    def next(self) -> dict[str, Tensor]:
        """See `Batches`."""
        parts = [] if self._rest is None else [self._rest]
        while sum(map(len, parts)) < self._n:
            part = next(self._stream)
            if (
                not isinstance(part, Tensor)
                or part.ndim != 2
                or (parts and part.shape[1] != parts[0].shape[1])
            ):
                form = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
                raise ValueError(
                    f"the stream gave {form}; give tensors (n, d_model), with one d_model for all"
                )
            parts.append(part)
        joined = torch.cat(parts) if len(parts) > 1 else parts[0]
        self._rest = joined[self._n :]
        self._n_given += 1
        return {self._site: joined[: self._n]}

    def state(self) -> dict[str, Tensor]:
        """See `Batches`."""
        return {"n_given": torch.tensor(self._n_given)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Batches`."""
        n = int(state["n_given"])
        for _ in range(n - self._n_given):
            try:
                self.next()
            except StopIteration:
                raise ValueError(
                    f"the stream ended after {self._n_given:,} of the {n:,} batches that this training has "
                    "taken already; give the same activations again, from their beginning: an iterator "
                    "that was read before does not begin again"
                ) from None


@dataclass(frozen=True)
class Source:
    """What activations are of.

    Attributes:
        sites: Module paths.
        target: "update" (output − input) or "output".
        n_steps: Denoising steps of a run.
        steps: Which of these are looked at, counted from 0.
        guidance: Scale of classifier-free guidance; the conditional half is looked at.
        first_seed: Seed of the first picture; each picture has the next one.
    """

    sites: tuple[str, ...]
    target: str = "update"
    n_steps: int = 1
    steps: tuple[int, ...] = (0,)
    guidance: float = 0.0
    first_seed: int = 0


class Prompts:
    """Prompts, over and over again.

    Args:
        given: A list, an iterable that can be gone through more than once (a data set's column), or a
            text file with one prompt in each line.

    Attributes:
        name: Identifies them, as far as can be told without reading a long stream.

    Raises:
        ValueError: There are none; or the file is not in UTF-8.
        OSError: The file is not there, or cannot be read.
    """

    SAMPLE = 64

    def __init__(self, given: Any) -> None:
        if isinstance(given, Path) or (isinstance(given, str) and given.endswith(".txt")):
            given = [line.strip() for line in _lines(Path(given).expanduser()) if line.strip()]
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise TypeError(
                f"prompts={checks.shown(given)}; give a list of texts, a text file (.txt) with one in each "
                "line, or an iterable such as a data set's column"
            )
        if isinstance(given, Iterator):
            raise TypeError(
                "prompts is an iterator, which can be gone through only once; give a list, or an iterable "
                "that begins anew each time, such as a data set"
            )
        self._given: Any = given
        first = list(itertools.islice(given, self.SAMPLE))
        if not first:
            raise ValueError(
                "prompts is empty; give at least one text, and thousands for a dictionary that covers much"
            )
        known = given if isinstance(given, Sequence) else first
        self.n = len(given) if isinstance(given, Sequence) else None
        self.name = hashlib.sha256("\n".join(map(str, known)).encode("utf-8", "replace")).hexdigest()[:16]
        self.first = first

    def __getitem__(self, i: int) -> Any:
        """Prompt i, where they are a sequence."""
        return self._given[i]

    def __iter__(self) -> Iterator[Any]:
        while True:
            is_empty = True
            for prompt in self._given:
                is_empty = False
                yield prompt
            if is_empty:  # it would be asked for ever
                raise ValueError(
                    "prompts gave nothing when gone through once more; give a list, or an iterable "
                    "that begins anew each time"
                )


class PictureBatches:
    """Batches of shuffled patches of pictures.

    Args:
        model: The model, cut at `source.sites`.
        source: What the activations are of.
        prompts: Picture i has prompt i, over and over, and seed `source.first_seed` + i.
        batch: Patches of a batch, of all processes together.
        ranks: The processes: each draws every `world`-th picture.
        buffer: Patches in the shuffling buffer; None = 16 batches.
        seed: Of the order of patches.
        at_once: Pictures that go through the model at a time.
        lock: Held while pictures go through the model, a few at a time; None = nobody else uses it.
        shards: Keeps activations on disk: every pass has the same pictures, and only the first one runs the
            model. None = each pass has new seeds, and nothing is written.

    Attributes:
        n_pictures: Pictures taken so far, by this process.
        n_skipped: See `Batches`.
        buffer: Patches in the shuffling buffer.
    """

    def __init__(
        self,
        model: SDXL,
        source: Source,
        prompts: Prompts,
        batch: int,
        *,
        ranks: Ranks = Ranks(),  # noqa: B008  (it is immutable)
        buffer: int | None = None,
        seed: int = 0,
        at_once: int = AT_ONCE,
        lock: AbstractContextManager[Any] | None = None,
        shards: Shards | None = None,
    ) -> None:
        self.model, self.source, self.ranks = model, source, ranks
        self._shards, self._n_shards = shards, 0
        self._lock = contextlib.nullcontext() if lock is None else lock
        self._n = batch // ranks.world
        if buffer is not None:
            hint = "twice a process's share of a batch is the least; the more, the better mixed"
            buffer = checks.integer("buffer", buffer, 2 * self._n, 2**40, hint=hint)
        self.buffer = buffer or BUFFER_BATCHES * self._n
        self._buffer = ShuffleBuffer(self.buffer, seed + ranks.rank)
        self._prompts, self._at_once = prompts, at_once
        self._coming = self._pictures(0)
        self._rest: dict[str, Tensor] | None = None
        self.n_pictures = self.n_skipped = 0
        self._n_bad = 0

    def _pictures(self, after: int) -> Iterator[tuple[Any, int]]:
        numbered = itertools.islice(enumerate(self._prompts), self.ranks.rank, None, self.ranks.world)
        for i, prompt in itertools.islice(numbered, after, None):
            yield prompt, self.source.first_seed + i

    def next(self) -> dict[str, Tensor]:
        """See `Batches`."""
        if not self._buffer.can_give(self._n):
            self._buffer.empty_half()
            while self._buffer.room:
                interrupts.raise_if_asked()  # here nothing is half done
                patches = self._rest or self._drawn()
                self._rest = self._buffer.put(patches)
        return self._buffer.take(self._n)

    def _drawn(self) -> dict[str, Tensor]:
        """Patches of the next few pictures, {site: (n, d_model)}."""
        while self._shards is not None:
            if len(next(iter((patches := self._shard(self._shards)).values()))):
                return patches
        while True:
            pictures = list(itertools.islice(self._coming, self._at_once))
            self.n_pictures += len(pictures)
            good = [Picture(prompt, seed) for prompt, seed in pictures if self._is_text(prompt)]
            if not good:
                continue
            drawn = self._try(good)
            if drawn:
                self._n_bad = 0
                return {site: torch.cat([one[site] for one in drawn]) for site in drawn[0]}

    def _shard(self, shards: Shards) -> dict[str, Tensor]:
        """Patches of the next shard's pictures: read if it was written before, else drawn and written."""
        shard = shards.at(self._n_shards)
        patches, n_skipped = shards.read(shard) or self._new_shard(shards, shard)
        if self._n_shards < shards.n:  # in later passes they are counted already
            self.n_skipped += n_skipped
            self.n_pictures += len(shards.prompts_of(shard))
        elif self.n_skipped == self.n_pictures:
            raise ValueError("none of the prompts can be drawn; give other prompts")
        self._n_shards += 1
        return patches

    def _new_shard(self, shards: Shards, shard: int) -> tuple[dict[str, Tensor], int]:
        """Draw and write a shard: its patches, and how many prompts could not be drawn."""
        before, numbers, drawn = self.n_skipped, shards.prompts_of(shard), []
        try:
            for start in range(0, len(numbers), self._at_once):
                interrupts.raise_if_asked()  # it is drawn anew afterwards
                given = [(self._prompts[i], i) for i in numbers[start : start + self._at_once]]
                first = self.source.first_seed
                good = [Picture(prompt, first + i) for prompt, i in given if self._is_text(prompt)]
                some = self._try(good) if good else []
                self._n_bad = 0 if some else self._n_bad
                drawn += some
        finally:
            n_skipped, self.n_skipped = self.n_skipped - before, before
        patches = {site: torch.empty(0, self.model.width(site)) for site in self.source.sites}
        if drawn:
            patches = {site: torch.cat([one[site] for one in drawn]).cpu() for site in patches}
        shards.write(shard, patches, n_skipped)
        return patches, n_skipped

    def _try(self, pictures: list[Picture]) -> list[dict[str, Tensor]]:
        found, faults = self._good_ones(pictures)
        for picture, fault in faults:
            self._skip(picture.prompt, fault)
        return [flat(activations) for activations in found]

    def _good_ones(
        self, pictures: list[Picture]
    ) -> tuple[list[dict[str, Tensor]], list[tuple[Picture, Exception]]]:
        """Activations of the pictures that can be drawn, together or one by one; and the others."""
        try:
            return [self._activations(pictures)], []
        except (MemoryError, torch.OutOfMemoryError, FloatingPointError):
            raise
        except Exception:
            pass  # one of them at fault: find out which
        found, faults = [], []
        for picture in pictures:
            try:
                found.append(self._activations([picture]))
            except (MemoryError, torch.OutOfMemoryError, FloatingPointError):
                raise
            except Exception as fault:
                faults.append((picture, fault))
        return found, faults

    def _activations(self, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        with self._lock:
            return activations_of(self.model, self.source, pictures)

    def _is_text(self, prompt: Any) -> bool:
        try:
            checks.text("prompt", prompt)
        except (TypeError, ValueError) as fault:
            self._skip(prompt, fault)
            return False
        return True

    def _skip(self, prompt: Any, fault: Exception) -> None:
        self.n_skipped += 1
        self._n_bad += 1
        log.warning("skipped prompt %s: %s", checks.shown(prompt), fault)
        if self._n_bad >= MOST_SKIPPED:
            raise ValueError(
                f"{self._n_bad} prompts one after another could not be drawn, the last one "
                f"{checks.shown(prompt)}: {fault}"
            ) from fault

    def state(self) -> dict[str, Tensor]:
        """See `Batches`."""
        rest = (
            {}
            if self._rest is None
            else {f"rest.{site}": values.cpu() for site, values in self._rest.items()}
        )
        counts = torch.tensor([self.n_pictures, self.n_skipped, self._n_bad, self._n_shards])
        return {"counts": counts, **rest, **{f"buffer.{name}": v for name, v in self._buffer.state().items()}}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Batches`."""
        self.n_pictures, self.n_skipped, self._n_bad, self._n_shards = (int(n) for n in state["counts"])
        self._coming = self._pictures(self.n_pictures)
        self._rest = _named(state, "rest.") or None
        self._buffer.load_state(_named(state, "buffer."))

    def held_out(self, n: int) -> dict[str, Tensor]:
        """Activations of pictures that no training sees, {site: (n, n_patches, d_model)}: other seeds.

        The prompts are the first ones, over and over; those that cannot be drawn are left out.

        Raises:
            ValueError: None of them can be drawn.
        """
        found: list[dict[str, Tensor]] = []
        texts, n_found, first = [p for p in self._prompts.first if checks.is_text(p)], 0, 0
        while n_found < n:
            if first >= len(texts) and not n_found:
                raise ValueError(
                    f"none of the first {len(self._prompts.first)} prompts can be drawn; give other prompts"
                )
            seeds = range(first, first + min(self._at_once, n - n_found))
            some, _ = self._good_ones([Picture(texts[i % len(texts)], HELD_OUT_SEED + i) for i in seeds])
            found += some
            n_found, first = sum(len(one[self.source.sites[0]]) for one in found), seeds.stop
        return {site: torch.cat([one[site].cpu() for one in found]) for site in self.source.sites}


def _lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        OSError: It is not there, or cannot be read.
        ValueError: It is not in UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Windows puts a mark before the first line
    except UnicodeDecodeError as fault:
        raise ValueError(
            f"{path} is not in UTF-8 (byte {fault.start:,} is {fault.object[fault.start]:#04x}); "
            "save it in that encoding"
        ) from None
    # Not `splitlines`: it splits at what may stand inside a caption, such as U+2028.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def activations_of(model: SDXL, source: Source, pictures: Sequence[Picture]) -> dict[str, Tensor]:
    """The activations that an SAE is trained on.

    Args:
        model: Cut at the sites.
        source: Sites, target and steps.
        pictures: Go through the model together.

    Returns:
        {site: (n_pictures, n_patches·n_steps looked at, d_model)}, on the model's device, in its dtype.

    Raises:
        FloatingPointError: They are not finite; the message names the prompt.
    """
    found: dict[str, Tensor] = {}
    for states in model.states(
        [Run(p.prompt, p.seed, source.n_steps, source.guidance) for p in pictures], source.steps
    ):
        for site, state in states.items():
            values = state.hidden_out - state.hidden_in if source.target == "update" else state.hidden_out
            values = values.flatten(2).transpose(1, 2)
            found[site] = torch.cat([found[site], values], 1) if site in found else values
    for site, values in found.items():
        good = torch.isfinite(values).flatten(1).all(1)
        if not bool(good.all()):
            bad = pictures[int((~good).nonzero()[0])]
            raise FloatingPointError(
                f"the activations at {site} are not finite for the prompt {checks.shown(bad.prompt)} with "
                f"seed {bad.seed}; load the model in bfloat16 or float32, or leave the prompt out"
            )
    return {site: found[site] for site in source.sites}


def flat(activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pictures' patches one after another: (n_pictures, n_patches, d_model) -> (n, d_model)."""
    return {site: values.flatten(0, 1) for site, values in activations.items()}


def _named(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
