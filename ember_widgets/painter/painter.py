"""Painter: the model in the kernel, and how a scene steers it.

The equation. In an unedited run the site has input x_in and output x_out, (256, d_model). The SAE's target
is a = x_out − x_in ("update") or a = x_out ("output"). Its codes are A = encode(a) (256, n_features), and
non-negative matrix factorisation gives A ≈ S0·H0. What SAE and NMF leave unexplained is the remainder
r = a − S0·H0·W_dec − b_dec. A scene holds strengths S, basis H and a remainder mask ρ in [0, 1]; the site's
target becomes

    a' = S·H·W_dec + b_dec + ρ⊙r,    that is    x_out' = x_out + δ,
    δ  = (S·H − S0·H0)·W_dec − (1 − ρ)⊙r

for either target. Untouched patches have δ exactly 0: it is computed as (S − S0)·(H·W_dec) +
S0·((H − H0)·W_dec), factor by factor (S0 and H0 are zero for those added later; those removed are subtracted
as they were), so that "unchanged" is an exact zero and not a rounding error. At steps after the first, x_in,
x_out and r are the run's own; S0·H0 stays the analysed one.

With guidance, a and x_out are those of the conditional half, and δ is added to that half alone. Where several
sites are steered, each has its own SAE, factors and δ; x_in and x_out of a later one are the run's own, with
what was painted before it, and ρ masks the first site's remainder only.

A blank canvas has no factors and ρ = 0: its target is b_dec everywhere, so only what is painted drives the
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.dictionary.factors import Factors, n_apart
from ember_widgets.dictionary.sae import SAE
from ember_widgets.model import photo
from ember_widgets.model.sdxl.runs import Edit, Run, Words
from ember_widgets.model.sdxl.sampler import give_up
from ember_widgets.painter import steering
from ember_widgets.painter.all_features import DISC, AllFeatures
from ember_widgets.painter.inspection import Inspection
from ember_widgets.painter.open import Opening
from ember_widgets.painter.variations import Variations
from ember_widgets.scene import site_names
from ember_widgets.scene.palette import free_name, palette
from ember_widgets.scene.scene import GRID, Scene
from ember_widgets.util import checks

TRACE = 1e-4
"""Of a picture's codes, squared: features with less are in no one's sight."""


class Painter(Opening, AllFeatures, Variations):
    """A diffusion pipeline with SAEs at its sites: analyses pictures into scenes, renders scenes.

    Make one with `Painter.embedded` or `Painter.from_pretrained`. Methods may be called from several threads.

    Args:
        pipeline: A `StableDiffusionXLPipeline`.
        sae: The SAE, or several of them, each of another site.
        name: What scenes call the model.
        revision: Commit of its weights.
        labels: {feature: text}; with several sites, features of a scene (see `Scene.feature`).
        guidance: Scale of classifier-free guidance that `analyze` and `blank` take unless told; 0 for
            SDXL-Turbo.
        seats: Where the pipeline's parts lie; None = all on the pipeline's device.
        preview_vae: A small decoder for `render(scene, preview=True)`, or None.

    Attributes:
        pipeline: Calling it gives the unedited picture.
        saes: {site: SAE}, in the order of the network. One put in later is of a site to look at: `inspect`
            takes it, edits do not go there.
        labels: {feature: text}, may be empty. Those that the user sets are kept for the next time.
        guidance: As given.
    """

    # pictures to scenes

    def analyze(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        n_factors: int | Mapping[str, int] = 5,
        image: Any = None,
        image_strength: float = 0.5,
        guidance: float | None = None,
        edit_steps: tuple[int, int] | None = None,
        style: str = "",
    ) -> Scene:
        """Generate a picture, or take a photograph, and take it apart into factors.

        Args:
            prompt: What to generate; may be empty.
            seed: Seed of the noise, 0..2**63-1.
            n_steps: Denoising steps, 1..4; with guidance up to 100. Factors are those of the first
                step, where composition is decided.
            n_factors: How many factors, 1..256 (3..8 reads best); a picture with fewer features gives fewer.
                With several sites, for each of them, or {"down.2.1": 5, "up.0.1": 3}.
            image: A photograph to start from: PIL image, file, or array (height, width, 3) uint8. Its middle
                square is encoded, and noised to the step that SDXL-Turbo's image-to-image starts at; scenes
                keep these latents (64 KB), not the photograph.
            image_strength: How much of the photograph is made anew, 0.05..1: 0.5 is SDXL-Turbo's; less stays
                nearer to it, more can be painted better.
            guidance: Scale of classifier-free guidance; None = the painter's.
            edit_steps: (start, stop), the steps that edits apply at, as `range` counts them; None = all.
            style: How it shall look, for instance "pixel art": text that only what comes after the last
                site reads, behind the prompt, so that composition and factors do not depend on it.

        Returns:
            The scene; rendered as it is, it gives the unedited picture bit by bit.
        """
        run = Run(
            checks.text("prompt", prompt),
            checks.seed(seed),
            n_steps,
            self.guidance if guidance is None else checks.guidance(guidance),
            None if image is None else self._encoded(image),
            checks.image_strength(image_strength),
        )
        checks.n_steps(n_steps, run.guidance)
        factors, names = self._taken_apart(run, n_factors)
        return self._scene(run, factors, names, edit_steps, style=style)

    def blank(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        guidance: float | None = None,
        edit_steps: tuple[int, int] | None = None,
    ) -> Scene:
        """An empty canvas: no factors, nothing of the model's own composition; add factors and paint."""
        run = Run(prompt, seed, n_steps, self.guidance if guidance is None else checks.guidance(guidance))
        nothing = Factors(
            strengths=np.zeros((GRID, GRID, 0), np.float32), basis=np.zeros((0, self.n_features), np.float32)
        )
        return self._scene(run, nothing, [], edit_steps, remainder=0.0)

    def activations(self, scene: Scene) -> NDArray[np.float32]:
        """SAE codes of the scene's unedited run at its first step, (16, 16, n_features) float32, ≥ 0.

        With several sites, the features of one after those of the other, as the scene counts them.
        """
        self._check(scene)
        start = self._start(_run_of(scene))
        return np.concatenate([self._codes(start, i) for i in range(len(self._steered))], axis=2)

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        """What the SAE and the scene's factors make of every patch of a run.

        Args:
            scene: The scene.
            step: Sampling step, 0..n_steps-1.
            site: One of `saes`, as a module path or a short name; None = the first one steered. What is
                painted at a site shows at those behind it by what the model makes of it.
            edited: The run with the scene's edits; False = the run that nobody edited.

        Raises:
            ValueError: The scene belongs to another model, or there is no such step or site.
        """
        self._check(scene)
        sites = list(self._steered)
        site = sites[0] if site is None else site_names.full(checks.text("site", site))
        if site not in self.saes:
            raise ValueError(
                f"site={site!r} has no SAE here; choose one of {', '.join(self.saes)}, or put one into "
                "painter.saes[site]"
            )
        step = checks.integer("step", step, 0, scene.n_steps - 1, hint="steps count from 0")
        edits: list[Edit | None] = [None] * len(sites)
        if edited:
            edits = steering.edits(scene, list(self._steered.values()))
        with self._lock, self._memory("inspecting"):
            start = self._start(_run_of(scene))
            state = self._sampler.reach(start, edits, step, site, self._late(scene))
        steered = site in sites
        before = sites[: sites.index(site)] if steered else sites
        return Inspection.of(
            self.saes[site],
            steering.target(self.saes[site], state),
            site=site,
            step=step,
            begin=sum(self._steered[other].n_features for other in before),
            scene=scene if steered else None,
        )

    # scenes to pictures

    def render(
        self, scene: Scene, *, preview: bool = False, stale: Callable[[], bool] | None = None
    ) -> Image.Image:
        """Draw a scene.

        Args:
            scene: What to draw.
            preview: As fast as it goes, for a hand that still moves: in one step, where one shows the same
                composition (not with guidance or a photograph, nor where edits begin later), and with the
                small decoder, if the painter has one, which is a little off in colour.
            stale: Asked before every step and before decoding whether the picture is still wanted. A widget
                lets a new stroke end the careful picture of the last one; previews are to be drawn to the
                end, or none would ever be seen.

        Raises:
            ValueError: The scene belongs to another model, site or SAE.
            FloatingPointError: Values overflowed, even in float32; the message names the knob.
            MemoryError: The device ran out of memory; the painter can be used on.
            Stale: `stale` said so.
        """
        self._check(scene)
        if preview:
            scene = self._in_one_step(scene)
        with self._lock, self._memory("drawing"):
            start = self._start(_run_of(scene))
            edits = steering.edits(scene, list(self._steered.values()))
            latents = self._sampler.run(start, *edits, late=self._late(scene), stale=stale)
            give_up(stale)
            return self._sampler.decode(latents, preview=preview)

    def previews(self, scene: Scene) -> bool:
        """Whether `render(scene, preview=True)` is sooner done than the picture itself."""
        return self._sampler.preview_vae is not None or self._in_one_step(scene) is not scene

    def icon(self, feature: int, *, seed: int = 0, strength: float | None = None) -> Image.Image:
        """What a feature draws on its own: painted as a disc of 8 patches across on a blank canvas.

        Args:
            feature: Index among a scene's features.
            seed: Of the noise.
            strength: 1.0 = the feature's typical activation. None = that at down.2.1; elsewhere, where one of
                the k features of a patch hardly shows, k.
        """
        if strength is None:
            strength = self._alone(feature)
        return self.render(self.blank(seed=seed).add_factor({feature: 1.0}).paint(0, DISC, strength))

    # inside

    def _encoded(self, image: Any) -> NDArray[np.float32]:
        side = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        picture = photo.square(image, side)
        with self._lock, self._memory("encoding the photograph"):
            return self._sampler.encode(picture)

    def _late(self, scene: Scene) -> Words | None:
        """The words that what comes behind the site reads, where they are others."""
        if not scene.style:
            return None
        text = f"{scene.prompt}, {scene.style}" if scene.prompt else scene.style
        return self._sampler.words(text, scene.guidance > 1)

    def _taken_apart(self, run: Run, n_factors: int | Mapping[str, int]) -> tuple[Factors, list[str]]:
        """The factors of a picture, site by site, and names for them."""
        counts = self._factor_counts(n_factors)
        start = self._start(run)
        names: list[str] = []
        strengths, bases, begin = [], [], 0
        for i, (site, one) in enumerate(self._steered.items()):
            found = _fitted(self._codes(start, i), counts[site], one)
            basis = np.zeros((len(found.basis), self.n_features), np.float32)
            basis[:, begin : begin + one.n_features] = found.basis
            prefix = f"{site_names.short(site)} " if i else ""
            for k, row in enumerate(found.basis):
                names.append(free_name(self._name(row, one, begin) or f"{prefix}factor {k + 1}", names))
            strengths.append(found.strengths)
            bases.append(basis)
            begin += one.n_features
        return Factors(strengths=np.concatenate(strengths, axis=2), basis=np.concatenate(bases)), names

    def _apart(self, scene: Scene, n_factors: int) -> tuple[Factors, list[str]]:
        self._check(scene)
        return self._taken_apart(_run_of(scene), n_factors)

    def _factor_counts(self, n_factors: int | Mapping[str, int]) -> dict[str, int]:
        if not isinstance(n_factors, Mapping):
            return dict.fromkeys(self._steered, n_factors)
        given = {site_names.full(site): n for site, n in n_factors.items()}
        if given.keys() != self._steered.keys():
            raise ValueError(
                f"n_factors names {', '.join(given)}, but this painter steers {', '.join(self._steered)}; "
                "give a number for each of these"
            )
        return given

    def _in_one_step(self, scene: Scene) -> Scene:
        """The scene in one step, where that begins as its own first step does; else the scene."""
        trailing = self.pipeline.scheduler.config.get("timestep_spacing") == "trailing"
        edited = scene.edit_steps is None or 0 in range(*scene.edit_steps)
        if scene.n_steps > 1 and trailing and edited and not scene.guidance and scene.image is None:
            return scene.replace(n_steps=1, edit_steps=None)
        return scene

    def _scene(
        self,
        run: Run,
        factors: Factors,
        names: list[str],
        edit_steps: tuple[int, int] | None,
        *,
        style: str = "",
        remainder: float = 1.0,
    ) -> Scene:
        several = len(self._steered) > 1
        return Scene(
            prompt=run.prompt,
            seed=run.seed,
            n_steps=run.n_steps,
            strengths=factors.strengths,
            remainder=np.full((GRID, GRID), remainder, np.float32),
            basis=factors.basis,
            names=tuple(names),
            colors=palette(len(names)),
            base_strengths=factors.strengths,
            base_basis=factors.basis,
            unit=np.concatenate([one.unit.cpu().numpy() for one in self._steered.values()]),
            model=self._identity,
            style=style,
            guidance=run.guidance,
            edit_steps=edit_steps,
            image=run.image,
            image_strength=run.image_strength if run.image is not None else 0.5,
            sites={site: one.n_features for site, one in self._steered.items()} if several else None,
        )

    def _check(self, scene: Scene) -> None:
        for key, noun in (("sae", "SAE"), ("site", "site"), ("id", "model")):
            theirs, ours = scene.model.get(key, ""), self._identity[key]
            if theirs and theirs != ours:
                raise ValueError(
                    f"this scene was made with {noun} {theirs!r}, but this painter has {ours!r}; "
                    "load the painter it was made with"
                )
        n_features = self.n_features
        if scene.n_features != n_features:
            raise ValueError(
                f"this scene has {scene.n_features} features, but this painter's SAE has "
                f"{n_features}; "
                "load the SAE it was made with"
            )

    def _name(self, row: NDArray[np.float32], sae: SAE, begin: int) -> str:
        """The label that carries most of a factor, weighted by how much its features move the site.

        What a label has in brackets ("pine (tree)") is for searching, and is not part of a name.
        """
        share: dict[str, float] = {}
        lengths = sae.W_dec.norm(dim=1).cpu().numpy()
        for feature in np.flatnonzero(row):
            if text := self.labels.get(begin + int(feature)):
                share[text] = share.get(text, 0.0) + float(row[feature] * lengths[feature])
        return max(share, key=lambda text: share[text]).split(" (")[0] if share else ""


def _fitted(codes: NDArray[np.float32], n_factors: int, sae: SAE) -> Factors:
    energy = np.square(codes).sum((0, 1))
    seen = set(np.flatnonzero(energy > TRACE * energy.sum()).tolist()) - set(sae.positional)
    # What is no number of factors at all is left for `fit` to refuse.
    if isinstance(n_factors, int) and 0 < len(seen) <= n_factors <= GRID * GRID:
        n_factors = n_apart(codes[..., sorted(seen)])  # a plain picture: no factor twice, none of a trace
    return Factors.fit(codes, n_factors, ignore=sae.positional)


def _run_of(scene: Scene) -> Run:
    return Run(scene.prompt, scene.seed, scene.n_steps, scene.guidance, scene.image, scene.image_strength)
