"""The sampling loop: what `StableDiffusionXLPipeline.__call__` does, cut open at the sites.

Same latents (CPU generator), same scheduler, same guidance, same decoding rules, so that an unedited run is
bit-equal to the pipeline's own (and, from a photograph, to the image-to-image pipeline's); tests hold that.
What precedes the first edit is computed once per prompt, seed and number of steps.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers.configuration_utils import FrozenDict
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ember_widgets.model.placement import Seats
from ember_widgets.model.sdxl.runs import Edit, Run, Start, Words
from ember_widgets.model.sdxl.staged_unet import GRID, SiteState, StagedUNet
from ember_widgets.model.sdxl.vae import Decoding
from ember_widgets.util.cancelled import Stale

CACHED_TEXTS = 16


class Sampler(Decoding):
    """Runs one pipeline's parts.

    Args:
        pipeline: A `StableDiffusionXLPipeline`. It is not changed.
        sites: The attention blocks where edits come in, see `StagedUNet`, in any order.
        seats: Where the parts lie; None = all on the pipeline's device.
        preview_vae: A small decoder for previews, or None.
    """

    def __init__(
        self, pipeline: Any, *sites: str, seats: Seats | None = None, preview_vae: Any = None
    ) -> None:
        super().__init__(pipeline, seats, preview_vae)
        self._sites = sites
        self.stages: list[StagedUNet] = []
        self._cut()
        self._texts: OrderedDict[tuple[str, bool], tuple[Tensor, Tensor]] = OrderedDict()

    def _cut(self) -> None:
        """Cut the UNet at the sites; anew where the user has changed it."""
        unet = self._twin(self._unet_twin, self.pipeline.unet)
        if not self.stages or self.staged.unet is not unet:
            self.stages = sorted((StagedUNet(unet, site) for site in self._sites), key=lambda s: s.order)

    @property
    def staged(self) -> StagedUNet:
        """The UNet cut at the first site."""
        return self.stages[0]

    @torch.no_grad()
    def start(self, prompt: str, seed: int, n_steps: int, guidance: float = 0.0, **photograph: Any) -> Start:
        """Encode the text, draw the noise and run the first step up to the sites; see `Run`."""
        return self.begin(Run(prompt, seed, n_steps, guidance, **photograph))

    @torch.no_grad()
    def begin(self, run: Run) -> Start:
        """Encode the text, draw the noise and run the first step up to the sites."""
        self._cut()
        pipe, device = self.pipeline, self.seats.device
        guided = run.guidance > 1
        text, pooled = self.words(run.prompt, guided)
        scheduler = copy.deepcopy(pipe.scheduler)
        generator = torch.Generator("cpu").manual_seed(run.seed)
        side = pipe.unet.config.sample_size
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
        pixels = side * pipe.vae_scale_factor
        time_ids = pipe._get_add_time_ids(
            (pixels, pixels),
            (0, 0),
            (pixels, pixels),
            dtype=text.dtype,
            text_encoder_projection_dim=pipe.text_encoder_2.config.projection_dim,
        )
        time_ids = torch.cat([time_ids] * 2) if guided else time_ids
        added = {"text_embeds": pooled, "time_ids": time_ids.to(device)}
        t = timesteps[0]
        scaled = _copied(scheduler).scale_model_input(torch.cat([latents] * 2) if guided else latents, t)
        with self.seats.at_work("unet"):
            states = [self.staged.prefix(scaled, t, text, added)]
            for here, there in zip(self.stages, self.stages[1:], strict=False):
                states.append(here.onward(states[-1], states[-1].hidden_out, there.site))
        for stage, state in zip(self.stages, states, strict=True):
            if (grid := tuple(state.hidden_out.shape[-2:])) != (GRID, GRID):
                raise ValueError(
                    f"{stage.site} works on {grid[0]}×{grid[1]} patches, but the grid is {GRID}×{GRID}; "
                    "choose down.2.1, mid.0, up.0.0 or up.0.1 of a 512 px model"
                )
        extra = pipe.prepare_extra_step_kwargs(None, 0.0)
        noise_state = generator.get_state()
        return Start(
            text, added, latents, noise_state, scheduler, timesteps, tuple(states), extra, run.guidance
        )

    @torch.no_grad()
    def run(
        self,
        start: Start,
        *edits: Edit | None,
        late: Words | None = None,
        stale: Callable[[], bool] | None = None,
    ) -> Tensor:
        """Denoise from a start.

        Args:
            start: Where from.
            edits: One per site, in the order of `stages`: decides the site's output at every step; None
                leaves the site alone.
            late: What comes after the last site reads these words (see `words`); None = the start's own.
            stale: Asked before every step whether to give up.

        Returns:
            Final latents (1, 4, height, width).

        Raises:
            Stale: It said so.
            ValueError: More edits than there are sites.
        """
        self._cut()
        if len(edits) > len(self.stages):
            raise ValueError(f"{len(edits)} edits, but only {len(self.stages)} sites; give one per site")
        scheduler = _copied(start.scheduler)  # steps count inside it
        generator = torch.Generator("cpu")
        generator.set_state(start.noise_state)
        extra = {name: generator if name == "generator" else value for name, value in start.extra.items()}
        latents = start.latents
        with self.seats.at_work("unet"):
            for i, t in enumerate(start.timesteps):
                give_up(stale)
                doubled = torch.cat([latents] * 2) if start.guidance > 1 else latents
                scaled = scheduler.scale_model_input(doubled, t)
                prediction = self._predict(start, i, scaled, t, edits, late)
                if start.guidance > 1:
                    without, given = prediction.chunk(2)
                    prediction = without + start.guidance * (given - without)
                dtype = latents.dtype
                latents = scheduler.step(prediction, t, latents, **extra, return_dict=False)[0]
                if latents.dtype != dtype and latents.device.type == "mps":
                    latents = latents.to(dtype)
        return latents

    @torch.no_grad()
    def reach(
        self,
        start: Start,
        edits: Sequence[Edit | None],
        step: int,
        site: str,
        late: Words | None = None,
    ) -> SiteState:
        """What arrives at a site at one step, and what leaves it edited.

        Args:
            start: Where from.
            edits: As for `run`, one per stage.
            step: Which step, 0..n_steps-1.
            site: Module path of a stage's site, or of an attention block behind the first.
            late: As for `run`.

        Raises:
            ValueError: There is no such block behind the first site.
        """
        self._cut()
        last = max((i for i, stage in enumerate(self.stages) if stage.leads_to(site)), default=0)
        found: SiteState | None = None

        def watched(i: int, edit: Edit | None) -> Edit:
            def watch(at: int, state: SiteState) -> Tensor:
                nonlocal found
                out = state.hidden_out if edit is None else edit(at, state)
                if at == step and i == last:
                    found = replace(state, hidden_out=out)
                return out

            return watch

        observed = [watched(i, edit) if i == last else edit for i, edit in enumerate(edits)]
        with self.seats.at_work("unet"):
            if step == 0:  # what comes behind the site does not matter
                state = start.states[0]
                for i, stage in enumerate(self.stages[: last + 1]):
                    edit = observed[i]
                    out = state.hidden_out if edit is None else edit(0, state)
                    if i < last:
                        state = stage.onward(state, out, self.stages[i + 1].site)
            else:
                self.run(start, *observed, late=late)
            assert found is not None  # every step passes every stage
            stage = self.stages[last]
            if stage.site == site:
                return found
            if stage is self.stages[-1]:
                found = self._reworded(found, start, start.timesteps[step], late)
            return stage.onward(found, found.hidden_out, site)

    def _predict(
        self,
        start: Start,
        step: int,
        scaled: Tensor,
        t: Tensor,
        edits: tuple[Edit | None, ...],
        late: Words | None,
    ) -> Tensor:
        first = 0
        if step == 0:  # up to the first edit all is known
            edited = (i for i, edit in enumerate(edits) if edit is not None)
            first = next(edited, len(self.stages) - 1)
        state = start.states[first] if step == 0 else self._prefix(scaled, t, start)
        for i in range(first, len(self.stages)):
            edit = edits[i] if i < len(edits) else None
            out = state.hidden_out if edit is None else edit(step, state)
            if i + 1 < len(self.stages):
                state = self.stages[i].onward(state, out, self.stages[i + 1].site)
        return self._rest(self._reworded(state, start, t, late), out)

    def _prefix(self, scaled: Tensor, t: Tensor, start: Start) -> SiteState:
        """From noisy latents to the first site's output, at a later step."""
        names = list(start.added)

        def work(scaled: Tensor, t: Tensor, text: Tensor, *added: Tensor) -> tuple[Tensor, ...]:
            state = self.staged.prefix(scaled, t, text, dict(zip(names, added, strict=True)))
            return state.hidden_in, state.hidden_out, state.emb, *state.skips

        given = (scaled, t, start.text, *start.added.values())
        made = self._prefix_graphs.run(self.pipeline.unet, work, *given, n_lasting=len(given) - 1)
        hidden_in, hidden_out, emb, *skips = made
        return SiteState(hidden_in, hidden_out, tuple(skips), emb, start.text)

    def _rest(self, state: SiteState, out: Tensor) -> Tensor:
        """From the last site's edited output to the UNet's prediction."""
        stage = self.stages[-1]

        def work(out: Tensor, *others: Tensor) -> Tensor:
            *skips, emb, text = others
            return stage.suffix(SiteState(out, out, tuple(skips), emb, text), out)

        given = (out, *state.skips, state.emb, state.encoder_hidden_states)
        prediction: Tensor = self._unet_graphs.run(self.pipeline.unet, work, *given, n_lasting=2)
        return prediction

    def _reworded(self, state: SiteState, start: Start, t: Tensor, late: Words | None) -> SiteState:
        """The state at the last site, with the words that are read behind it."""
        if late is None:
            return state
        return self.staged.reworded(state, t, late[0], {**start.added, "text_embeds": late[1]})

    def forget(self) -> None:
        """Let go of encoded texts and of graphs."""
        self._texts.clear()
        self._unet_graphs.forget()
        self._prefix_graphs.forget()
        self._vae_graphs.forget()

    @torch.no_grad()
    def words(self, prompt: str, guided: bool = False) -> Words:
        """A text as the UNet reads it: token by token, and pooled; the unconditional half first if guided."""
        key = (prompt, guided)
        if key not in self._texts:
            with self.seats.at_work("text"):
                text, no_text, pooled, no_pooled = self.pipeline.encode_prompt(
                    prompt, device=self.seats.device, do_classifier_free_guidance=guided
                )
            if guided:
                text, pooled = torch.cat([no_text, text]), torch.cat([no_pooled, pooled])
            self._texts[key] = (text.to(self.seats.device), pooled.to(self.seats.device))
            while len(self._texts) > CACHED_TEXTS:
                self._texts.popitem(last=False)
        self._texts.move_to_end(key)
        return self._texts[key]


def _copied(scheduler: Any) -> Any:
    """A copy that counts its own steps. Its tensors and settings, which steps only read, are the same."""
    kept = [v for v in vars(scheduler).values() if isinstance(v, (Tensor, FrozenDict))]
    return copy.deepcopy(scheduler, {id(v): v for v in kept})


def give_up(stale: Callable[[], bool] | None) -> None:
    """Raises: Stale: the work is."""
    if stale is not None and stale():
        raise Stale


def _photograph_steps(scheduler: Any, n_steps: int, strength: float, device: Any) -> Tensor:
    """The last `n_steps` of as many steps as it takes for them to be this share of all."""
    n_all = n_steps
    while int(n_all * strength) < n_steps:
        n_all += 1
    scheduler.set_timesteps(n_all, device=device)
    skipped = (n_all - n_steps) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    timesteps: Tensor = scheduler.timesteps[skipped:]
    return timesteps
