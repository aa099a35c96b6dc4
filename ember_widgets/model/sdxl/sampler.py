"""The sampling loop: what `StableDiffusionXLPipeline.__call__` does, split at the sites.

Same latents (CPU generator), same scheduler, same guidance, so that an unedited run is bit-equal to the
pipeline's own (and, from a photograph, to the image-to-image pipeline's); tests check this. What precedes the
first edit is computed once per prompt, seed and number of steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers.configuration_utils import FrozenDict
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ember_widgets.model.engine.export import Part
from ember_widgets.model.engine.runner import Compiled, Runner
from ember_widgets.model.engine.threads import n_threads
from ember_widgets.model.engine.watch import Watch
from ember_widgets.model.placement import Placement
from ember_widgets.model.runs import Edit, Run, Start
from ember_widgets.model.sdxl.changes import check_methods
from ember_widgets.model.sdxl.parts import Suffix
from ember_widgets.model.sdxl.staged_unet import StagedUNet, UNetState, latent_side
from ember_widgets.model.sdxl.texts import Text, Texts
from ember_widgets.model.sdxl.upsampling import before_upsampling
from ember_widgets.scene.grid import Grid
from ember_widgets.util.cancelled import raise_if_cancelled


@dataclass(frozen=True)
class UNetStart(Start):
    """A start as SDXL's sampling loop has it; with guidance, the unconditional half comes first.

    Attributes:
        text: Token embeddings of the prompt.
        added: Pooled text and time ids, as the pipeline passes them to the UNet.
        latents: The noise, or the noised photograph, (batch, 4, height, width).
        noise_state: State of the CPU generator after the noise was drawn.
        scheduler: With its timesteps set.
        timesteps: One for each time that the UNet runs; a scheduler of second order runs it twice in a step.
        n_steps: Steps that were asked for.
        extra: Further arguments of the scheduler's steps.
        guidance: As in `Run`.
    """

    states: tuple[UNetState, ...]
    text: Tensor
    added: dict[str, Tensor]
    latents: Tensor
    noise_state: Tensor
    scheduler: Any
    timesteps: Tensor
    n_steps: int
    extra: dict[str, Any] = field(default_factory=dict)
    guidance: float = 0.0

    def step_of(self, i: int) -> int:
        """The step to which the UNet's run number `i` belongs."""
        return i * self.n_steps // len(self.timesteps)

    def first_of(self, step: int) -> int:
        """The number of the UNet's first run in a step."""
        return -(-step * len(self.timesteps) // self.n_steps)


def repeated(start: UNetStart, n: int) -> UNetStart:
    """See `Backbone.repeated`."""

    def times(tensor: Tensor) -> Tensor:
        return tensor.expand(n, *tensor.shape[1:])

    states = tuple(
        UNetState(
            times(state.hidden_in),
            times(state.hidden_out),
            tuple(times(skip) for skip in state.skips),
            times(state.emb),
            times(state.encoder_hidden_states),
        )
        for state in start.states
    )
    return replace(
        start,
        text=times(start.text),
        added={name: times(tensor) for name, tensor in start.added.items()},
        latents=times(start.latents),
        states=states,
    )


class Sampler:
    """Runs a pipeline's UNet and scheduler.

    Args:
        pipeline: A `StableDiffusionXLPipeline`. It is not changed.
        sites: The attention blocks whose output can be edited, see `StagedUNet`, in any order.
        placement: Where the pipeline's parts lie; None = all on the pipeline's device.

    Attributes:
        stages: The UNet cut at each site, in the order of the network.
        grid: Rows and columns of patches at the sites.
        texts: Encodes prompts.
        runner: What runs the UNet after the last site, where it fits; None = the UNet's own modules.

    Raises:
        ValueError: The UNet has no such site, or the sites work on different grids.
    """

    def __init__(self, pipeline: Any, *sites: str, placement: Placement | None = None) -> None:
        self.pipeline = pipeline
        self.placement = placement or Placement(pipeline, pipeline._execution_device)
        self.texts = Texts(pipeline, self.placement)
        self.runner: Runner | None = None
        self._compiled: Compiled | None = None
        self._options: dict[str, Any] | None = None
        self._sites = sites
        self._watch = Watch(moving=self.placement.keep == "one at a time")
        self._scheduler_watch = Watch()
        self._cut_at: int | None = None
        self.stages = self._cut(pipeline.unet)
        self.grid = _common_grid(self.stages, latent_side(pipeline.unet))
        self._size = self._size_now()

    def version(self) -> object:
        """See `Backbone.version`."""
        check_methods(self.pipeline)
        unet = self._follow()
        texts, scheduler = self.texts.version(), self._scheduler_watch.version(self.pipeline.scheduler)
        if unet is None or texts is None or scheduler is None:
            return None
        return unet, texts, scheduler, n_threads()  # threads decide the order of sums

    @property
    def unet_version(self) -> int | None:
        """The UNet's version as it was when it was last looked at: by `version`, `start` or `run`."""
        return self._watch.current

    def _follow(self) -> int | None:
        """Cut the UNet again if the user has changed it; returns its version, see `Watch`.

        Raises:
            ValueError: It cannot be painted into any more.
        """
        self.placement.check()
        version = self._watch.version(self.pipeline.unet)
        if version is None or version != self._cut_at:
            self.stages = self._cut(self.pipeline.unet)
            if (now := self._size_now()) != self._size:
                raise ValueError(
                    f"the pipeline now has another UNet: {', '.join(now)} instead of "
                    f"{', '.join(self._size)}; make a new Painter for it"
                )
            self._cut_at, self._compiled = version, None
            if self._options is not None and version is not None:
                self._compiled = Compiled(Suffix(self.stages[-1]), **self._options)
        return version

    def compile(self, **options: Any) -> None:
        """Have the UNet after the last site compiled, see `Compiled`; where user code is in it, it is not."""
        self._options, self._cut_at = options, None

    def _cut(self, unet: Any) -> list[StagedUNet]:
        return sorted((StagedUNet(unet, site) for site in self._sites), key=lambda s: s.order)

    def _size_now(self) -> list[str]:
        """The sizes of what a painter relies on, in words."""
        unet, side = self.pipeline.unet, latent_side(self.pipeline.unet)
        channels = [
            f"{unet.get_submodule(s.site).config.in_channels} channels at {s.site}" for s in self.stages
        ]
        return [f"latents of {side}×{side}", *channels]

    @property
    def staged(self) -> StagedUNet:
        """The UNet cut at the first site."""
        return self.stages[0]

    @torch.no_grad()
    def start(self, run: Run) -> UNetStart:
        """See `Backbone.start`."""
        check_methods(self.pipeline)
        self._follow()
        pipe, device = self.pipeline, self.placement.device
        guided = run.guidance > 1
        text, pooled = self.texts.encode(run.prompt, guided)
        scheduler = copy.deepcopy(pipe.scheduler)
        generator = torch.Generator("cpu").manual_seed(run.seed)
        side = latent_side(pipe.unet)
        shape = (1, pipe.unet.config.in_channels, side, side)
        if run.image is None:
            scheduler.set_timesteps(run.n_steps, device=device)
            timesteps = scheduler.timesteps
            latents = randn_tensor(shape, generator=generator, device=device, dtype=text.dtype)
            latents = latents * scheduler.init_noise_sigma
        else:
            if run.image.shape != shape[1:]:
                raise ValueError(
                    f"image has latents of shape {run.image.shape}, but this model's are {shape[1:]}; "
                    "analyze the photograph with this painter"
                )
            timesteps = _photograph_steps(scheduler, run.n_steps, run.image_strength, device)
            clean = torch.from_numpy(run.image.copy())[None].to(device, text.dtype)
            noise = randn_tensor(shape, generator=generator, device=device, dtype=text.dtype)
            latents = scheduler.add_noise(clean, noise, timesteps[:1])
        added = self._added(pooled, text.dtype)
        t = timesteps[0]
        scaled = _copied(scheduler).scale_model_input(torch.cat([latents] * 2) if guided else latents, t)
        states = self._to_sites(scaled, t, text, added)
        extra = pipe.prepare_extra_step_kwargs(None, 0.0)
        return UNetStart(
            states=tuple(states),
            text=text,
            added=added,
            latents=latents,
            noise_state=generator.get_state(),
            scheduler=scheduler,
            timesteps=timesteps,
            n_steps=run.n_steps,
            extra=extra,
            guidance=run.guidance,
        )

    @torch.no_grad()
    def first_states(self, runs: Sequence[Run]) -> list[UNetState]:
        """What enters and leaves each site at the first step of several runs, side by side.

        Args:
            runs: Without photographs, and alike but for prompts and seeds. With guidance, the
                unconditional halves of all runs come first.
        """
        check_methods(self.pipeline)
        self._follow()
        pipe, device, guided = self.pipeline, self.placement.device, runs[0].guidance > 1
        text, pooled = self.texts.encode_all([run.prompt for run in runs], guided)
        scheduler = copy.deepcopy(pipe.scheduler)
        scheduler.set_timesteps(runs[0].n_steps, device=device)
        side, channels = latent_side(pipe.unet), pipe.unet.config.in_channels
        noise = [
            randn_tensor(
                (1, channels, side, side),
                generator=torch.Generator("cpu").manual_seed(run.seed),
                device=device,
                dtype=text.dtype,
            )
            for run in runs
        ]
        latents, t = torch.cat(noise) * scheduler.init_noise_sigma, scheduler.timesteps[0]
        scaled = scheduler.scale_model_input(torch.cat([latents] * 2) if guided else latents, t)
        return self._to_sites(scaled, t, text, self._added(pooled, text.dtype))

    def _added(self, pooled: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
        """Pooled text and time ids, as the pipeline passes them to the UNet."""
        pipe = self.pipeline
        pixels = latent_side(pipe.unet) * pipe.vae_scale_factor
        time_ids = pipe._get_add_time_ids(
            (pixels, pixels),
            (0, 0),
            (pixels, pixels),
            dtype=dtype,
            text_encoder_projection_dim=pipe.text_encoder_2.config.projection_dim,
        )
        return {
            "text_embeds": pooled,
            "time_ids": time_ids.repeat(len(pooled), 1).to(self.placement.device),
        }

    def _to_sites(self, scaled: Tensor, t: Tensor, text: Tensor, added: dict[str, Tensor]) -> list[UNetState]:
        with self.placement.at_work("unet"):
            states = [self.staged.prefix(scaled, t, text, added)]
            for here, there in zip(self.stages, self.stages[1:], strict=False):
                states.append(here.run_to(states[-1], states[-1].hidden_out, there.site))
        return states

    @torch.no_grad()
    def run(
        self,
        start: UNetStart,
        *edits: Edit | None,
        style: Text | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Tensor:
        """See `Backbone.run`."""
        latents = start.latents
        for after_step in self._steps(start, edits, style, cancelled):
            latents, _ = after_step
        return latents

    @torch.no_grad()
    def reach(
        self,
        start: UNetStart,
        edits: Sequence[Edit | None],
        step: int,
        site: str,
        style: Text | None = None,
    ) -> UNetState:
        """See `Backbone.reach`."""
        self._follow()
        last = max((i for i, stage in enumerate(self.stages) if stage.leads_to(site)), default=0)
        n_before = start.first_of(step)
        t = start.timesteps[n_before]
        if step == 0:
            state = start.states[0]
        else:
            *_, (_, scaled) = self._steps(start, edits, style, None, n_runs=n_before)
            with self.placement.at_work("unet"):
                state = self._prefix(scaled, t, start)
        with self.placement.at_work("unet"):
            for i, stage in enumerate(self.stages[: last + 1]):
                edit = edits[i] if i < len(edits) else None
                out = state.hidden_out if edit is None else edit(step, state)
                if i < last:
                    state = stage.run_to(state, out, self.stages[i + 1].site)
            reached, stage = replace(state, hidden_out=out), self.stages[last]
            if stage.site == site:
                return reached
            if stage is self.stages[-1]:
                reached = self._restyled(reached, start, t, style)
            return stage.run_to(reached, reached.hidden_out, site)

    def _steps(
        self,
        start: UNetStart,
        edits: Sequence[Edit | None],
        style: Text | None,
        cancelled: Callable[[], bool] | None,
        n_runs: int | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Denoise step by step.

        Args:
            start, edits, style, cancelled: As for `run`.
            n_runs: After how many runs of the UNet to stop; None = after all of them.

        Yields:
            After each run of the UNet the latents, and these as it would take them in its next run.
        """
        if self.runner is None:  # else the UNet was looked at when the runner was chosen
            self._follow()
        if len(edits) > len(self.stages):
            raise ValueError(f"{len(edits)} edits, but only {len(self.stages)} sites; give one per site")
        scheduler = _copied(start.scheduler)  # steps count inside it
        generator = torch.Generator("cpu")
        generator.set_state(start.noise_state)
        extra = {name: generator if name == "generator" else value for name, value in start.extra.items()}

        def scaled_for(t: Tensor) -> Tensor:
            doubled = torch.cat([latents] * 2) if start.guidance > 1 else latents
            scaled: Tensor = scheduler.scale_model_input(doubled, t)
            return scaled

        latents = start.latents
        with self.placement.at_work("unet"):
            scaled = scaled_for(start.timesteps[0])
            for i, t in enumerate(start.timesteps[:n_runs]):
                raise_if_cancelled(cancelled)
                prediction = self._predict(start, i, scaled, t, edits, style)
                if start.guidance > 1:
                    unconditional, conditional = prediction.chunk(2)
                    prediction = unconditional + start.guidance * (conditional - unconditional)
                dtype = latents.dtype
                latents = scheduler.step(prediction, t, latents, **extra, return_dict=False)[0]
                if latents.dtype != dtype and latents.device.type == "mps":
                    latents = latents.to(dtype)
                if i + 1 < len(start.timesteps):
                    scaled = scaled_for(start.timesteps[i + 1])
                yield latents, scaled

    def _predict(
        self,
        start: UNetStart,
        i: int,
        scaled: Tensor,
        t: Tensor,
        edits: Sequence[Edit | None],
        style: Text | None,
    ) -> Tensor:
        first = 0
        if i == 0:  # everything before the first edit is known
            edited = (at for at, edit in enumerate(edits) if edit is not None)
            first = next(edited, len(self.stages) - 1)
        state = start.states[first] if i == 0 else self._prefix(scaled, t, start)
        for at in range(first, len(self.stages)):
            edit = edits[at] if at < len(edits) else None
            out = state.hidden_out if edit is None else edit(start.step_of(i), state)
            if at + 1 < len(self.stages):
                state = self.stages[at].run_to(state, out, self.stages[at + 1].site)
        return self._rest(self._restyled(state, start, t, style), out)

    def _prefix(self, scaled: Tensor, t: Tensor, start: UNetStart) -> UNetState:
        """From noisy latents to the first site's output, at a later step."""
        return self.staged.prefix(scaled, t, start.text, start.added)

    def _rest(self, state: UNetState, out: Tensor) -> Tensor:
        """From the last site's edited output to the UNet's prediction."""
        given = _suffix_inputs(state, out)
        if self.runner is not None and self.runner.fits(given):
            return self.runner(*given)[0]
        if self._compiled is not None:
            return self._compiled(*given)[0]
        return self.stages[-1].suffix(state, out)

    def runs_in_one_call(self, start: UNetStart) -> bool:
        """Whether nothing of the UNet is left to do but one call of `runner`."""
        state = start.states[-1]
        fits = self.runner is not None and self.runner.fits(_suffix_inputs(state, state.hidden_out))
        return fits and len(start.timesteps) == len(self.stages) == 1

    def part(self, start: UNetStart) -> Part:
        """The UNet after the last site, with inputs of the shapes that it has in runs such as this one."""
        state = start.states[-1]
        given = _suffix_inputs(state, state.hidden_out)
        return Part(Suffix(self.stages[-1]), given, before_upsampling)

    def _restyled(self, state: UNetState, start: UNetStart, t: Tensor, style: Text | None) -> UNetState:
        """The state at the last site, with the text that is read after it."""
        if style is None:
            return state
        return self.staged.reworded(state, t, style[0], {**start.added, "text_embeds": style[1]})

    def forget(self, *, changed: bool = False) -> None:
        """Free encoded texts; if the UNet was changed, its next version is another one."""
        self.texts.forget()
        if changed:
            self._watch.forget()


def _suffix_inputs(state: UNetState, out: Tensor) -> tuple[Tensor, ...]:
    return out, state.emb, state.encoder_hidden_states, *state.skips


def _common_grid(stages: Sequence[StagedUNet], side: int) -> Grid:
    grids = [stage.grid(side) for stage in stages]
    for stage, grid in zip(stages, grids, strict=True):
        if grid != grids[0]:
            raise ValueError(
                f"{stage.site} works on {grid.rows}×{grid.cols} patches, but {stages[0].site} on "
                f"{grids[0].rows}×{grids[0].cols}; steer them with two painters, or choose among "
                "down.2.1, mid.0, up.0.0 and up.0.1"
            )
    return grids[0]


def _copied(scheduler: Any) -> Any:
    """A copy that counts its own steps. It shares tensors and settings, which steps only read."""
    kept = [v for v in vars(scheduler).values() if isinstance(v, (Tensor, FrozenDict))]
    return copy.deepcopy(scheduler, {id(v): v for v in kept})


def _photograph_steps(scheduler: Any, n_steps: int, strength: float, device: Any) -> Tensor:
    """The last `n_steps` timesteps of a schedule that is so long that they are its share `strength`."""
    n_all = n_steps
    while int(n_all * strength) < n_steps:
        n_all += 1
    scheduler.set_timesteps(n_all, device=device)
    skipped = (n_all - n_steps) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    timesteps: Tensor = scheduler.timesteps[skipped:]
    return timesteps
