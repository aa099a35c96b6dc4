"""SDXL as a `Backbone`: a diffusers pipeline of SDXL's family, cut at sites."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets.model.backbone import Cut
from ember_widgets.model.engine import pages, threads
from ember_widgets.model.engine.fast import Fast
from ember_widgets.model.engine.runner import Runner
from ember_widgets.model.placement import Placement
from ember_widgets.model.runs import Edit, Run, SiteState
from ember_widgets.model.sdxl import loading
from ember_widgets.model.sdxl.fingerprint import fingerprint, has_adapters
from ember_widgets.model.sdxl.sampler import Sampler, UNetStart, repeated
from ember_widgets.model.sdxl.staged_unet import UNetState, latent_side
from ember_widgets.model.sdxl.texts import Text
from ember_widgets.model.sdxl.vae import Vae
from ember_widgets.scene.grid import Grid


class SDXL:
    """SDXL-Turbo, SDXL base, or a model of their architecture. Methods are those of `Backbone`.

    Args:
        pipeline: A `StableDiffusionXLPipeline`. It is not changed.
        sites: Attention blocks whose output can be edited: module paths or short names, in any order.
        placement: Where the pipeline's parts lie; None = all on the pipeline's device.
        preview_vae: A small decoder for previews, or None.

    Raises:
        ValueError: The UNet is not of SDXL's family, has no such site, or the sites work on different grids.
    """

    def __init__(
        self, pipeline: Any, *sites: str, placement: Placement | None = None, preview_vae: Any = None
    ) -> None:
        self.pipeline = pipeline
        self.placement = placement or Placement(pipeline, pipeline._execution_device)
        self.sampler = Sampler(pipeline, *sites, placement=self.placement)
        self.vae = Vae(pipeline, self.placement, preview_vae)
        self.sites = tuple(stage.site for stage in self.sampler.stages)
        self._at_first = fingerprint(pipeline)
        self.fast = Fast()
        if self.device.type == "cpu":
            pages.keep()

    @property
    def grid(self) -> Grid:
        """See `Backbone.grid`."""
        return self.sampler.grid

    @property
    def device(self) -> torch.device:
        """See `Backbone.device`."""
        return self.placement.device

    @property
    def picture_side(self) -> int:
        """See `Backbone.picture_side`."""
        return latent_side(self.pipeline.unet) * int(self.pipeline.vae_scale_factor)

    @property
    def has_preview_decoder(self) -> bool:
        """See `Backbone.has_preview_decoder`."""
        return self.vae.preview_vae is not None

    @property
    def previews_in_one_step(self) -> bool:
        """See `Backbone.previews_in_one_step`: "trailing" spacing always has the same first timestep."""
        return bool(self.pipeline.scheduler.config.get("timestep_spacing") == "trailing")

    def width(self, site: str) -> int:
        """See `Backbone.width`."""
        return int(self.pipeline.unet.get_submodule(site).config.in_channels)

    def weights(self) -> Iterable[bytes]:
        """See `Backbone.weights`: all vectors, which any training changes; a thousandth of the whole.

        A LoRA changes no vector. Where there is one, or where the pipeline is not as it was at first, a
        sample of everything is added.
        """
        for weights in (self.pipeline.unet.parameters(), self.pipeline.vae.decoder.parameters()):
            for p in weights:
                if p.ndim == 1:
                    # The same in float32 and bfloat16; float16 rounds in another way, unless they fit it.
                    yield p.detach().bfloat16().float().cpu().numpy().tobytes()
        now = fingerprint(self.pipeline)
        if now != self._at_first or has_adapters(self.pipeline):
            yield now

    def version(self) -> object:
        """See `Backbone.version`."""
        sampler, vae = self.sampler.version(), self.vae.version()
        return None if sampler is None or vae is None else (sampler, vae)

    def start(self, run: Run) -> UNetStart:
        """See `Backbone.start`."""
        return self.sampler.start(run)

    def states(self, runs: Sequence[Run], steps: Sequence[int] = (0,)) -> Iterator[dict[str, SiteState]]:
        """What enters and leaves the sites in unedited runs. Nothing after the last site and step is run.

        Args:
            runs: Without photographs, and alike but for prompts and seeds. They go through the model
                together at the first step, one after another at later steps.
            steps: Which steps, counted from 0.

        Yields:
            At each of the steps {site: state}, (n_runs, d_model, rows, cols); with guidance the
            conditional half.
        """
        n = len(runs)
        for step in steps:
            if step == 0:
                found = dict(zip(self.sites, self.sampler.first_states(runs), strict=True))
                yield {site: _last(state, n) for site, state in found.items()}
                continue
            starts = [self.start(run) for run in runs]
            joined = {}
            for site in self.sites:
                states = [_last(self.reach(start, (), step, site), 1) for start in starts]
                joined[site] = SiteState(
                    torch.cat([state.hidden_in for state in states]),
                    torch.cat([state.hidden_out for state in states]),
                )
            yield joined

    def repeated(self, start: UNetStart, n: int) -> UNetStart:
        """See `Backbone.repeated`."""
        return repeated(start, n)

    def run(
        self,
        start: UNetStart,
        *edits: Edit | None,
        style: Text | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Tensor:
        """See `Backbone.run`."""
        return self.sampler.run(start, *edits, style=style, cancelled=cancelled)

    def reach(
        self,
        start: UNetStart,
        edits: Sequence[Edit | None],
        step: int,
        site: str,
        style: Text | None = None,
    ) -> UNetState:
        """See `Backbone.reach`."""
        return self.sampler.reach(start, edits, step, site, style)

    def words(self, prompt: str, guided: bool = False) -> Text:
        """See `Backbone.words`."""
        return self.sampler.texts.encode(prompt, guided)

    def cut(self, text: str) -> Cut | None:
        """See `CutsTexts.cut`."""
        return self.sampler.texts.cut(text)

    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        """See `Backbone.encode`."""
        return self.vae.encode(image)

    def decode(self, latents: Tensor, *, preview: bool = False) -> Image.Image:
        """See `Backbone.decode`."""
        return self.vae.decode(latents, preview=preview)

    def prepare(self, start: UNetStart) -> bool:
        """See `RunsFast.prepare`."""
        return bool(self._prepared(start))

    @contextlib.contextmanager
    def running_fast(self, start: UNetStart) -> Iterator[None]:
        """See `RunsFast.running_fast`."""
        runners = self._prepared(start)
        if not runners:
            yield
            return
        self.sampler.runner, self.vae.runner = runners["suffix"], runners["decoder"]
        # Of a run in one call, what is left for PyTorch is small.
        is_short = self.sampler.runs_in_one_call(start)
        try:
            with threads.one_thread() if is_short else contextlib.nullcontext():
                yield
        finally:
            self.sampler.runner = self.vae.runner = None

    def _prepared(self, start: UNetStart) -> Mapping[str, Runner]:
        """The runtime's runners, if they are ready; else it is seen to that they are made.

        The start was asked for just now, so that the UNet need not be looked at again.
        """
        if self.device.type != "cpu" or self.placement.keep != "all" or not self.fast.is_offered:
            return {}
        unet, vae = self.sampler.unet_version, self.vae.version()
        version = None if unet is None or vae is None else (unet, vae, threads.n_threads())
        return self.fast.runners(
            version, lambda: {"suffix": self.sampler.part(start), "decoder": self.vae.part(start.latents[:1])}
        )

    def forget(self) -> None:
        """See `Backbone.forget`."""
        self.sampler.forget(changed=True)
        self.vae.forget()

    def memory(self, doing: str, *caches: Callable[[], None]) -> AbstractContextManager[None]:
        """See `Backbone.memory`."""
        return loading.memory(self.device, doing, *caches, self.sampler.forget)


def _last(state: SiteState, n: int) -> SiteState:
    return SiteState(state.hidden_in[-n:], state.hidden_out[-n:])
