"""The sampling loop: what `StableDiffusionXLPipeline.__call__` does, cut open at the sites.

Same latents (CPU generator), same scheduler, same guidance, same decoding rules, so that an unedited run is
bit-equal to the pipeline's own (and, from a photograph, to the image-to-image pipeline's); tests hold that.
What precedes the first edit is computed once per prompt, seed and number of steps.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets._seats import Seats
from ember_widgets.staged_unet import GRID, SiteState, StagedUNet

Words = tuple[Tensor, Tensor]
"""A text as the UNet reads it: token embeddings (batch, tokens, d_text), and the pooled (batch, d_pooled)."""

Edit = Callable[[int, SiteState], Tensor]
"""(step, state) -> the site's output to go on with, (batch, d_model, 16, 16)."""

CACHED_TEXTS = 16


@dataclass(frozen=True)
class Run:
    """What is asked for, before any edit.

    Attributes:
        prompt, seed, n_steps, guidance: As in `Scene`.
        image: Latents of a photograph to start from, (4, height, width), or None.
        image_strength: How much of it is made anew.
    """

    prompt: str
    seed: int
    n_steps: int
    guidance: float = 0.0
    image: NDArray[np.float32] | None = field(default=None, compare=False)
    image_strength: float = 0.5

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal runs."""
        digest = "" if self.image is None else hashlib.sha256(self.image.tobytes()).hexdigest()
        strength = self.image_strength if digest else 0.0
        return self.prompt, self.seed, self.n_steps, self.guidance, digest, strength


@dataclass(frozen=True)
class Start:
    """Everything of a run that no edit can change; with guidance, the unconditional half comes first."""

    text: Tensor
    added: dict[str, Tensor]
    latents: Tensor
    noise_state: Tensor
    scheduler: Any
    timesteps: Tensor
    states: tuple[SiteState, ...]
    guidance: float = 0.0

    @property
    def first(self) -> SiteState:
        """The first step at the first site."""
        return self.states[0]


def repeated(start: Start, n: int) -> Start:
    """The start of a batch of n runs that begin alike; not for guided ones."""

    def times(tensor: Tensor) -> Tensor:
        return tensor.expand(n, *tensor.shape[1:])

    states = tuple(
        SiteState(
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
        self.pipeline = pipeline
        self.stages = sorted((StagedUNet(pipeline.unet, site) for site in sites), key=lambda s: s.order)
        self.seats = seats or Seats(pipeline, pipeline._execution_device)
        self.preview_vae = preview_vae
        self._texts: OrderedDict[tuple[str, bool], tuple[Tensor, Tensor]] = OrderedDict()

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
        scaled = copy.deepcopy(scheduler).scale_model_input(
            torch.cat([latents] * 2) if guided else latents, t
        )
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
        return Start(
            text, added, latents, generator.get_state(), scheduler, timesteps, tuple(states), run.guidance
        )

    @torch.no_grad()
    def run(self, start: Start, *edits: Edit | None, late: Words | None = None) -> Tensor:
        """Denoise from a start.

        Args:
            start: Where from.
            edits: One per site, in the order of `stages`: decides the site's output at every step; None
                leaves the site alone.
            late: What comes after the first site reads these words (see `words`); None = the start's own.

        Returns:
            Final latents (1, 4, height, width).
        """
        scheduler = copy.deepcopy(start.scheduler)  # steps count inside it
        generator = torch.Generator("cpu")
        generator.set_state(start.noise_state)
        extra = self.pipeline.prepare_extra_step_kwargs(generator, 0.0)
        latents = start.latents
        with self.seats.at_work("unet"):
            for i, t in enumerate(start.timesteps):
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
                        if i == 0:
                            state = self._reworded(state, start, start.timesteps[0], late)
                        state = stage.onward(state, out, self.stages[i + 1].site)
            else:
                self.run(start, *observed, late=late)
            assert found is not None  # every step passes every stage
            stage = self.stages[last]
            if stage.site == site:
                return found
            if last == 0:
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
        if step == 0 and late is None:  # up to the first edit all is known
            edited = (i for i, edit in enumerate(edits) if edit is not None)
            first = next(edited, len(self.stages) - 1)
        state = start.states[first] if step == 0 else self.staged.prefix(scaled, t, start.text, start.added)
        for i in range(first, len(self.stages)):
            edit = edits[i] if i < len(edits) else None
            out = state.hidden_out if edit is None else edit(step, state)
            if i == 0:
                state = self._reworded(state, start, t, late)
            if i + 1 < len(self.stages):
                state = self.stages[i].onward(state, out, self.stages[i + 1].site)
        return self.stages[-1].suffix(state, out)

    @torch.no_grad()
    def decode(self, latents: Tensor, *, preview: bool = False) -> Image.Image:
        """Latents to a picture, with the pipeline's upcast and scaling rules.

        What float16 cannot hold is decoded once more in float32: no picture is black by overflow.

        Args:
            latents: From `run`.
            preview: With the small decoder, if there is one.

        Raises:
            FloatingPointError: Values are not finite even so.
        """
        pipe = self.pipeline
        if not bool(torch.isfinite(latents).all()):
            raise FloatingPointError(
                f"the UNet returned values that are not finite in {_name(latents.dtype)}; "
                "weaken the strengths, or load the painter with dtype='bfloat16' or 'float32'"
            )
        if preview and self.preview_vae is not None:
            pixels = _decoded(self.preview_vae, latents.to(self.preview_vae.dtype))
            if bool(torch.isfinite(pixels).all()):
                return self._picture(pixels)
        vae = pipe.vae
        half = vae.dtype != torch.float32
        with self.seats.at_work("vae"):
            if vae.dtype == torch.float16 and getattr(vae.config, "force_upcast", False):
                pixels = _in_float32(vae, latents)
            else:
                pixels = _decoded(vae, latents if latents.dtype == vae.dtype else latents.to(vae.dtype))
                if half and not bool(torch.isfinite(pixels).all()):
                    pixels = _in_float32(vae, latents)
        if not bool(torch.isfinite(pixels).all()):
            raise FloatingPointError(
                f"the VAE returned values that are not finite in {_name(pixels.dtype)}; "
                "weaken the strengths, or load the painter with dtype='float32' or another vae="
            )
        return self._picture(pixels)

    @torch.no_grad()
    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        """Latents of a picture, (4, height, width) float32, scaled as the sampler has them, without noise."""
        from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl_img2img import (
            retrieve_latents,
        )

        pipe, vae = self.pipeline, self.pipeline.vae
        pixels = pipe.image_processor.preprocess(image).to(self.seats.device, torch.float32)
        with self.seats.at_work("vae"):
            dtype = vae.dtype
            vae.to(dtype=torch.float32)
            try:
                # The middle of what the encoder allows, not a draw from it: same photograph, same start.
                latents = retrieve_latents(vae.encode(pixels), sample_mode="argmax")
            finally:
                vae.to(dtype=dtype)
        mean, std = _moments(vae.config, latents)
        latents = (latents - mean) * vae.config.scaling_factor / std
        found: NDArray[np.float32] = latents[0].float().cpu().numpy()
        return found

    def _reworded(self, state: SiteState, start: Start, t: Tensor, late: Words | None) -> SiteState:
        """The state behind the first site, with the words that are read there."""
        if late is None:
            return state
        return self.staged.reworded(state, t, late[0], {**start.added, "text_embeds": late[1]})

    def forget(self) -> None:
        """Let go of encoded texts."""
        self._texts.clear()

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

    def _picture(self, pixels: Tensor) -> Image.Image:
        pipe = self.pipeline
        if pipe.watermark is not None:
            pixels = pipe.watermark.apply_watermark(pixels)
        image: Image.Image = pipe.image_processor.postprocess(pixels, output_type="pil")[0]
        return image


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


def _decoded(vae: Any, latents: Tensor) -> Tensor:
    config = vae.config
    if getattr(config, "latents_mean", None) is not None and getattr(config, "latents_std", None) is not None:
        mean, std = _moments(config, latents)
        latents = latents * std / config.scaling_factor + mean
    else:
        latents = latents / config.scaling_factor
    pixels: Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels


def _in_float32(vae: Any, latents: Tensor) -> Tensor:
    dtype = vae.dtype
    vae.to(dtype=torch.float32)
    try:
        return _decoded(vae, latents.float())
    finally:
        vae.to(dtype=dtype)


def _moments(config: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread per channel, 0 and 1 where the VAE has none."""
    found = []
    for name, neutral in (("latents_mean", 0.0), ("latents_std", 1.0)):
        value = getattr(config, name, None)
        n_channels = like.shape[1]
        moments = torch.full((n_channels,), neutral) if value is None else torch.tensor(value)
        found.append(moments.view(1, n_channels, 1, 1).to(like.device, like.dtype))
    return found[0], found[1]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
