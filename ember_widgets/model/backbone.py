"""Backbone: what a diffusion model must offer to be steered. SDXL (model/sdxl) is one implementation.

A backbone runs its denoising loop with *sites*: blocks whose output an edit may replace. A run has two parts.
`start` computes what no edit can change: the text, the noise, and the first step up to the sites. `run` goes
on from there with edits, as often as one likes. A run without edits must be bit-equal to the model's own
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets.model.runs import Edit, Run, SiteState, Start, Words
from ember_widgets.scene.grid import Grid

S = TypeVar("S", bound=Start)


@dataclass(frozen=True)
class Cut:
    """Where a model stops reading a text.

    Args:
        n_tokens: How many tokens it reads.
        end: Where the last word ends that it reads in full; 0 if there is none.
    """

    n_tokens: int
    end: int


@runtime_checkable
class CutsTexts(Protocol):
    """A backbone that reads only so many tokens of a text."""

    def cut(self, text: str) -> Cut | None:
        """Where it stops reading; None if it reads all of the text."""


@runtime_checkable
class RunsFast(Protocol):
    """A backbone that can be run by a faster runtime, whose pictures are close to its own."""

    def prepare(self, start: Any) -> bool:
        """Have the runtime prepared for runs such as this one, in the background.

        Args:
            start: From `start`, after `version` was last asked for.

        Returns:
            Whether it is ready for the model as it is now.
        """

    def running_fast(self, start: Any) -> AbstractContextManager[None]:
        """A block in which the runtime computes, if it is ready and fits; if not, as `prepare`."""


@runtime_checkable
class Backbone(Protocol[S]):
    """A diffusion model that can be steered at its sites.

    The caller holds a lock: a backbone need not be safe to call from two threads at once.
    """

    @property
    def pipeline(self) -> Any:
        """The model as its own library has it. Calling it gives the unedited picture."""

    @property
    def sites(self) -> tuple[str, ...]:
        """Module paths of the sites, in the order of the network. All of them work on the same grid."""

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches at the sites."""

    @property
    def device(self) -> torch.device:
        """Where the model computes. States and latents lie there; edits must return tensors there."""

    @property
    def picture_side(self) -> int:
        """Width and height of pictures, in pixels."""

    @property
    def has_preview_decoder(self) -> bool:
        """Whether `decode(latents, preview=True)` is faster than `decode(latents)`."""

    @property
    def previews_in_one_step(self) -> bool:
        """Whether a run of one step shows the same composition as one of several steps, without guidance."""

    def width(self, site: str) -> int:
        """How many channels (d_model) a block has.

        Args:
            site: Module path of one of `sites`.
        """

    def weights(self) -> Iterable[bytes]:
        """Bytes that identify these weights, whatever file they are from and whatever device they are on.

        A sample that every training changes is enough; it must be quick to read. A dtype that cannot hold
        the weights makes others of them, with other bytes.
        """

    def version(self) -> object:
        """Another value after every change of the model, so that what was computed before is not used again.

        None while nothing may be kept: code of the user's own, such as a hook, takes part in the work.

        Raises:
            ValueError: The model was changed into something that cannot be painted into.
        """

    def start(self, run: Run) -> S:
        """Encode the text, draw the noise and run the first step up to the sites.

        Raises:
            ValueError: `run.image` has the shape of another model's latents.
        """

    def repeated(self, start: S, n: int) -> S:
        """The start of a batch of n runs that begin alike. `start` must be unguided."""

    def run(
        self,
        start: S,
        *edits: Edit | None,
        style: Words | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Tensor:
        """Denoise from a start, which is not changed.

        Args:
            start: From `start` or `repeated`.
            edits: One per site, in the order of `sites`: it decides the site's output at every step. None
                leaves the site alone. Sites after the last edit given are left alone.
            style: The layers after the last site read these words instead of the start's own, see `words`.
            cancelled: Asked before every step whether to stop.

        Returns:
            Final latents (batch, channels, height, width).

        Raises:
            Cancelled: `cancelled` returned True.
            ValueError: There are more edits than sites.
        """

    def reach(
        self, start: S, edits: Sequence[Edit | None], step: int, site: str, style: Words | None = None
    ) -> SiteState:
        """Run to one site at one step, with edits, and no further.

        Args:
            start: From `start`.
            edits: As for `run`.
            step: 0..n_steps-1.
            site: Module path of one of `sites`, or of another block after the first of them.
            style: As for `run`.

        Returns:
            What arrives at the site, and what leaves it (edited, if the site has an edit).

        Raises:
            ValueError: The site is not a block after the first site.
        """

    def words(self, prompt: str, guided: bool = False) -> Words:
        """A text as the model reads it, for `style=`.

        Args:
            prompt: The text.
            guided: Whether it is for a run with guidance.
        """

    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        """A photograph as latents, for `Run.image`.

        Args:
            image: RGB, `picture_side` pixels square.

        Returns:
            (channels, height, width), scaled as the denoising loop has them, without noise.
        """

    def decode(self, latents: Tensor, *, preview: bool = False) -> Image.Image:
        """Latents as a picture.

        Args:
            latents: (1, channels, height, width) from `run`.
            preview: With the small, fast decoder, if the backbone has one.

        Returns:
            RGB, `picture_side` pixels square.

        Raises:
            FloatingPointError: Values are not finite, even in float32.
        """

    def forget(self) -> None:
        """Free all that was computed before; the next version is another one."""

    def memory(self, doing: str, *caches: Callable[[], None]) -> AbstractContextManager[None]:
        """A block that turns "out of memory" into a MemoryError that says what to do, and frees memory.

        Args:
            doing: What the block does, for the message.
            caches: Called to free what can be made again; the backbone frees its own caches as well.
        """
