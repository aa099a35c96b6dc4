"""Painter: a model with dictionaries, and how a scene steers it.

The equation. In an unedited run the site has input x_in and output x_out, (n_patches, d_model). The SAE's
target is a = x_out − x_in ("update") or a = x_out ("output"). Its codes are A = encode(a), (n_patches,
n_features), and non-negative matrix factorisation gives A ≈ S0·H0. What SAE and NMF leave unexplained is the
remainder r = a − S0·H0·W_dec − b_dec. A scene holds strengths S, basis H and a remainder mask ρ in [0, 1];
the site's target becomes

    a' = S·H·W_dec + b_dec + ρ⊙r,    that is    x_out' = x_out + δ,
    δ  = (S·H − S0·H0)·W_dec − (1 − ρ)⊙r

for either target. Untouched patches have δ exactly 0: it is computed as (S − S0)·(H·W_dec) +
S0·((H − H0)·W_dec), factor by factor, so that "unchanged" is an exact zero and not a rounding error. (Factors
that were added have S0 = H0 = 0. Removed factors are subtracted as they were.) At steps after the first,
x_in, x_out and r are the run's own; S0·H0 stays the analysed one.

With guidance, a and x_out are those of the conditional half, and δ is added to that half alone. If several
sites are steered, each has its own SAE, factors and δ. At a later site x_in and x_out are the run's own, so
they contain what was painted at earlier sites. ρ masks the first site's remainder only.

A blank canvas has no factors and ρ = 0: its target is b_dec everywhere, so only what is painted drives the
picture.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.collection import Collection
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.labelling.forecast import LabelForecast
from ember_widgets.labelling.question import LabelClient, Price
from ember_widgets.labelling.run import LabelProgress, LabelRun
from ember_widgets.model import photo
from ember_widgets.model.backbone import CutsTexts, RunsFast
from ember_widgets.model.placement import Placement
from ember_widgets.model.runs import Edit, Run, Start, Words
from ember_widgets.painter import (
    analysis,
    feature_data,
    labelling,
    painted_pictures,
    recording,
    sae_training,
    steering,
    variations,
)
from ember_widgets.painter import robustness as robust
from ember_widgets.painter.inspection import Inspection
from ember_widgets.painter.open import SAESource, as_backbone, open_embedded, open_pretrained
from ember_widgets.painter.prompt_notes import PromptNotes
from ember_widgets.painter.protocol import N_FACTORS
from ember_widgets.painter.refit import edit_reseeded, refitted, reseeded
from ember_widgets.painter.robustness import Robustness, SeedTrial
from ember_widgets.painter.steered_model import SteeredModel, saes_by_site
from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.scene import Scene
from ember_widgets.training.run import TrainingRun
from ember_widgets.util import checks
from ember_widgets.util.cancelled import raise_if_cancelled
from ember_widgets.util.user_folders import data_folder

if TYPE_CHECKING:
    from typing_extensions import Self

FINALS = ("exact", "fast")


class Painter:
    """A diffusion model with SAEs at its sites: analyses pictures into scenes, renders scenes.

    Make one with `Painter.embedded` or `Painter.from_pretrained`. Methods may be called from several threads.

    Args:
        pipeline: A `StableDiffusionXLPipeline`, or another model as a `Backbone`.
        sae: The SAE, or several of them, each of another site.
        name: What scenes call the model.
        revision: Commit of its weights.
        labels: {feature: text}; with several sites, features of a scene (see `Scene.feature`).
        guidance: Scale of classifier-free guidance that `analyze` and `blank` use by default; 0 for
            SDXL-Turbo.
        placement: Where the pipeline's parts lie; None = all on the pipeline's device.
        preview_vae: A small decoder for `render(scene, preview=True)`, or None.
        seats: The old name of `placement`.
        words: The words that the model knows; empty = any.
        finals: See `Painter.embedded`.

    Attributes:
        pipeline: Calling it gives the unedited picture.
        backbone: The model, as the painter uses it.
        saes: {site: SAE}, in the order of the network. An SAE that is added later serves inspection
            only: `inspect` uses it, and edits do not change its site.
        space: Which features of a scene belong to which site.
        grid: Rows and columns of patches.
        labels: {feature: text}, may be empty. Those that the user sets are kept.
        guidance: As given.
        styles: True: `analyze` takes `style=`.
        known_words: The words that the model knows; empty = any.
    """

    styles = True

    def __init__(
        self,
        pipeline: Any,
        sae: SAE | Mapping[str, SAE],
        *,
        name: str,
        revision: str | None = None,
        labels: Mapping[int, str] | None = None,
        guidance: float = 0.0,
        placement: Placement | None = None,
        preview_vae: Any = None,
        seats: Placement | None = None,
        words: Iterable[str] = (),
        finals: str = "exact",
    ) -> None:
        if finals not in FINALS:
            raise ValueError(f"finals={checks.shown(finals)}; choose one of {', '.join(FINALS)}")
        self._fast_finals = finals == "fast"
        self.known_words = tuple(words)
        self.guidance = checks.guidance(guidance)
        saes = saes_by_site(sae)
        placement = seats if placement is None else placement
        self.backbone = as_backbone(pipeline, saes, placement=placement, preview_vae=preview_vae)
        with self.backbone.memory("loading"):
            self.model = SteeredModel(
                self.backbone, saes, name=name, revision=revision, guidance=self.guidance
            )
        self.saes = dict(self.model.saes)
        self._data_lock = threading.Lock()
        self._icons: tuple[object, Icons] | None = None
        self._statistics: tuple[object, Statistics | None] | None = None
        # Labels that the user set belong to the SAE, whatever model or file it came with.
        own = data_folder() / "labels" / f"{self.model.saes_hash}.json" if self.model.is_hashed else None
        self._concepts: ConceptBank | None = None
        self.labels = Labels(labels, n_features=self.n_features, own_file=own)

    @classmethod
    def embedded(
        cls, *, sites: str | Sequence[str] = "down.2.1", dtype: str = "auto", finals: str = "exact"
    ) -> Self:
        """The tiny model that ships inside the package: CPU, offline, 256×256 pictures of emoji scenes.

        Args:
            sites: Which of its SAEs to steer with: "down.2.1", a supervised SAE; "up.0.1", an unsupervised
                SAE; or both.
            dtype: "float32", "bfloat16" (half the time if the CPU has matrix units for it; the pictures look
                the same), "float16", or "auto": what is fastest here of the first two.
            finals: "exact": pictures that are not previews are drawn by PyTorch, so that an unedited one is
                the pipeline's bit by bit. "fast": the runtime of previews (OpenVINO, on a CPU) draws them
                too, once it is ready; in float32 they differ by 1 of 255 at most.

        Raises:
            ValueError: A site has no SAE.
        """
        return cls(**vars(open_embedded(sites=sites, dtype=dtype)), finals=finals)

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str],
        *,
        sae: SAESource | Mapping[str, SAESource],
        site: str | None = None,
        device: str | None = None,
        dtype: str = "auto",
        vae: str | os.PathLike[str] | None = None,
        preview_vae: str | os.PathLike[str] | None = None,
        guidance: float = 0.0,
        revision: str | None = None,
        variant: str | None = "auto",
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        config: str | os.PathLike[str] | None = None,
        labels: str | os.PathLike[str] | Mapping[int, str] | None = None,
        cpu_offload: bool = False,
        release_text_encoders: bool | None = None,
        compile: bool = False,
        finals: str = "exact",
    ) -> Self:
        """Load SDXL-Turbo, or a model of its architecture, and SAEs for it.

        Args:
            model: Hub id, folder in diffusers' layout, or a .safetensors file that holds all of it.
            sae: Hub id, folder, file or state dict with a checkpoint (see `load_sae`), or an SAE; or several:
                {"down.2.1": ..., "up.0.1": ...}.
            site: Attention block a single SAE belongs to: a module path or a short name such as "up.0.1";
                None = what the checkpoint says, and else "down.2.1".
            device: "cuda", "mps" or "cpu"; None = the best there is.
            dtype: "auto" (bfloat16 if the device computes in it, else float16 on a GPU and float32 on a
                CPU), "float32", "float16" or "bfloat16". SAEs always compute in float32.
            vae: Hub id or folder of another VAE, such as "madebyollin/sdxl-vae-fp16-fix", which is safe in
                float16 and so decodes faster there; None = the model's own, decoded in float32 if float16
                overflows.
            preview_vae: Hub id or folder of a small decoder, such as "madebyollin/taesdxl", for
                `render(scene, preview=True)`.
            guidance: Scale of classifier-free guidance: 0 for SDXL-Turbo; 5 to 8 for SDXL base, with 20 to 50
                steps. Edits steer the conditional half.
            revision: Branch, tag or commit of the model.
            variant: "fp16" takes those weights if the model has them; "auto" does so for 16-bit dtypes.
            cache_dir: Where downloads are kept; None = the hub's usual cache.
            token: For gated or private repositories.
            local_files_only: Never use the network.
            config: For a single file: hub id or folder with configurations and tokenizers; None =
                "stabilityai/sdxl-turbo".
            labels: {feature: text}, or a file with labels, of several sites if it has a column for them; or a
                folder, or the hub id of a data set, that has labels of these sites, such as
                "hammamiomar/sdxl-turbo-sae-labels" (see `Labels.load`).
            cpu_offload: Keep one part on the device at a time: needs the least memory, and is slow.
            release_text_encoders: Keep the text encoders on the device only while they encode; None = if
                the GPU has less than 11 GiB.
            compile: Compile the UNet's blocks, or on an NVIDIA GPU all that follows the site, with CUDA
                graphs: the first picture takes a minute or more, the others less. Not measured on a GPU.
            finals: See `Painter.embedded`; on a GPU there is no such runtime.

        Raises:
            ValueError: Something does not fit or is damaged; the message says what it is and what to do.
            FileNotFoundError: No such model or SAE, or offline and not in the cache.
            PermissionError: Gated or private.
            ConnectionError: The connection failed; calling again fetches what is missing.
            MemoryError: The device is too small.
        """
        return cls(
            **vars(
                open_pretrained(
                    model,
                    sae=sae,
                    site=site,
                    device=device,
                    dtype=dtype,
                    vae=vae,
                    preview_vae=preview_vae,
                    guidance=guidance,
                    revision=revision,
                    variant=variant,
                    cache_dir=cache_dir,
                    token=token,
                    local_files_only=local_files_only,
                    config=config,
                    labels=labels,
                    cpu_offload=cpu_offload,
                    release_text_encoders=release_text_encoders,
                    compile=compile,
                )
            ),
            finals=finals,
        )

    @property
    def pipeline(self) -> Any:
        """The model as its own library has it. Calling it gives the unedited picture."""
        return self.backbone.pipeline

    @property
    def grid(self) -> Grid:
        """Rows and columns of patches."""
        return self.model.grid

    @property
    def space(self) -> FeatureSpace:
        """Which features of a scene belong to which site."""
        return self.model.space

    @property
    def n_features(self) -> int:
        """How many features all sites have together."""
        return self.space.n_features

    @property
    def key(self) -> str:
        """Identifies the weights of model and SAEs. Files made with other weights are not used here."""
        return self.model.key

    @property
    def version(self) -> object:
        """Another value after every change of the pipeline that is noticed; None while user code is in it."""
        return self.model.version

    # pictures to scenes

    def analyze(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        n_factors: int | Mapping[str, int] | None = None,
        basis: ConceptBank | None = None,
        image: Any = None,
        image_strength: float = 0.5,
        guidance: float | None = None,
        edit_steps: tuple[int, int] | None = None,
        style: str = "",
    ) -> Scene:
        """Generate a picture, or take a photograph, and find its factors.

        Args:
            prompt: What to generate; may be empty.
            seed: Seed of the noise, 0..2**63-1.
            n_steps: Denoising steps, 1..4; with guidance up to 100. Factors are those of the first
                step, where composition is decided.
            n_factors: How many factors, 1..256 (3..8 reads best); a picture with fewer features gives fewer.
                With several sites, for each of them, or {"down.2.1": 5, "up.0.1": 3}. None = 5, or with a
                `basis` all of its concepts that can be seen in the picture.
            basis: Concepts of many pictures, see `Collection.concepts`, to take the picture apart in: only
                their strengths are fitted, so that a factor means the same in every picture. `n_factors`
                then says how many are kept, and changes no strength. With several sites, factors are of the
                bank's site only.
            image: A photograph to start from: PIL image; file; or array (height, width, 3) or tensor (3,
                height, width), uint8 or floats from 0 to 1. Its middle square is encoded, and noised to the
                step that SDXL-Turbo's image-to-image starts at. Scenes keep these latents (64 KB), not the
                photograph.
            image_strength: How much of the photograph is drawn anew, 0.05..1: SDXL-Turbo's is 0.5. A smaller
                one stays nearer to the photograph; a larger one leaves more room for painting.
            guidance: Scale of classifier-free guidance; None = the painter's.
            edit_steps: (start, stop), the steps that edits apply at, as `range` counts them; None = all.
            style: How the picture should look, for instance "pixel art". Only the layers after the last
                site read this text, after the prompt, so composition and factors do not depend on it.

        Returns:
            The scene; rendered as it is, it gives the unedited picture bit by bit.
        """
        run = dataclasses.replace(
            self._run(prompt, seed, n_steps, guidance),
            image=None if image is None else self._encoded(image),
            image_strength=checks.image_strength(image_strength),
        )
        if basis is None:
            count = N_FACTORS if n_factors is None else n_factors
            factors, names = analysis.factors_of(self.model, self.labels, run, count)
        else:
            factors, names = analysis.concepts_of(self.model, basis, run, n_factors)
        return analysis.scene_of(
            self.model,
            run,
            factors,
            names,
            edit_steps=edit_steps,
            style=style,
            concepts="" if basis is None else basis.key,
        )

    def prompt_notes(self, prompt: str, style: str | None = None) -> PromptNotes:
        """What the model does not read of a prompt: words it does not know, and what is too long for it.

        Args:
            prompt: The prompt.
            style: A style. If given, the notes are about this style, which is read after the prompt.

        Returns:
            Print it to read it; it is false if the model reads everything.

        Example:
            >>> painter = Painter.embedded()                                          # doctest: +SKIP
            >>> print(painter.prompt_notes("a zebra in the snow"))                    # doctest: +SKIP
            not known here: zebra
        """
        before = checks.text("prompt", prompt)
        if style is None:
            before, text = "", before
        else:
            text = checks.text("style", style)
            before = f"{before}, " if before and text else ""
        cut = None
        if isinstance(self.backbone, CutsTexts):
            with self.model.lock:
                cut = self.backbone.cut(before + text)
        return PromptNotes.of(text, self.known_words, cut if text else None, before)

    def blank(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        n_steps: int = 1,
        guidance: float | None = None,
        edit_steps: tuple[int, int] | None = None,
    ) -> Scene:
        """An empty canvas: no factors, and nothing of the model's own composition. Add factors and paint."""
        run = self._run(prompt, seed, n_steps, guidance)
        nothing = analysis.no_factors(self.model)
        return analysis.scene_of(self.model, run, nothing, [], edit_steps=edit_steps, remainder=0.0)

    def activations(self, scene: Scene) -> NDArray[np.float32]:
        """SAE codes of the scene's unedited run at its first step, (rows, cols, n_features) float32, ≥ 0.

        With several sites, features are in the scene's order, see `space`.
        """
        self.model.check(scene)
        return self._codes_of(scene, scene.seed)

    def inspect(
        self, scene: Scene, *, step: int = 0, site: str | None = None, edited: bool = True
    ) -> Inspection:
        """How the SAE and the scene's factors explain every patch of a run.

        Args:
            scene: The scene.
            step: Sampling step, 0..n_steps-1. Later steps are not run.
            site: One of `saes`, as a module path or a short name; None = the first one steered. What is
                painted at a site affects later sites, through the model.
            edited: The run with the scene's edits; False = the unedited run.

        Raises:
            ValueError: The scene belongs to another model, or there is no such step or site.
        """
        self.model.check(scene)
        steered = self.model.saes
        site = next(iter(steered)) if site is None else site_names.full(checks.text("site", site))
        if site not in self.saes:
            raise ValueError(
                f"site={site!r} has no SAE here; choose one of {', '.join(self.saes)}, or put one into "
                "painter.saes[site]"
            )
        step = checks.integer("step", step, 0, scene.n_steps - 1, hint="steps count from 0")
        sae, space = self.saes[site], self.space
        edits: list[Edit | None] = [None] * len(steered)
        if edited:
            edits = steering.edits(scene, list(steered.values()))
        if site not in steered:
            space = FeatureSpace((*space.sites, site), (*space.sizes, sae.n_features))
        with self.model.lock, self.model.memory("inspecting"):
            start = self.model.start(steering.run_of(scene))
            state = self.backbone.reach(start, edits, step, site, self._style_words(scene))
        return Inspection.of(
            sae,
            # One that was put into `saes` later may lie elsewhere than the model.
            steering.target(sae, state).to(sae.W_dec.device),
            site=site,
            step=step,
            space=space,
            scene=_drawn_at(scene, step, edited) if site in steered else None,
            grid=self.grid,
        )

    # scenes to pictures

    def render(
        self,
        scene: Scene,
        *,
        preview: bool = False,
        cancelled: Callable[[], bool] | None = None,
        stale: Callable[[], bool] | None = None,
    ) -> Image.Image:
        """Draw a scene.

        Args:
            scene: What to draw.
            preview: As fast as possible, for use while the user paints: in one step, if one step shows the
                same composition (not with guidance or a photograph, nor if edits begin later or factors have
                steps of their own); with the small decoder, if the painter has one, whose colours are a
                little off; and by OpenVINO, once it is ready, if it is installed and the model is on a CPU.
            cancelled: Asked before every step and before decoding; if it returns True, drawing stops.
            stale: The old name of `cancelled`.

        Raises:
            ValueError: The scene belongs to another model, site or SAE.
            FloatingPointError: Values overflowed, even in float32; the message says what to change.
            MemoryError: The device ran out of memory; the painter still works.
            ember.Cancelled: `cancelled` returned True.
        """
        self.model.check(scene)
        cancelled = stale if cancelled is None else cancelled
        return self._drawn(scene, preview=preview, cancelled=cancelled)

    def _drawn(
        self,
        scene: Scene,
        *,
        preview: bool = False,
        cancelled: Callable[[], bool] | None = None,
        keep: bool = True,
    ) -> Image.Image:
        """See `render`, of a scene that was checked; `keep` is that of `Starts.of`."""
        if preview:
            scene = self._in_one_step(scene)
        with self.model.lock, self.model.memory("drawing"):
            start = self.model.start(steering.run_of(scene), keep=keep)
            edits = steering.edits(scene, list(self.model.saes.values()))
            with self._runtime(start, preview or self._fast_finals):
                latents = self.backbone.run(
                    start, *edits, style=self._style_words(scene), cancelled=cancelled
                )
                raise_if_cancelled(cancelled)
                return self.backbone.decode(latents, preview=preview)

    def _runtime(self, start: Start, wanted: bool) -> AbstractContextManager[None]:
        """A block in which the backbone's runtime computes, if that is wanted and it is ready."""
        backbone = self.backbone
        if wanted and isinstance(backbone, RunsFast):
            return backbone.running_fast(start)
        return nullcontext()

    def previews(self, scene: Scene) -> bool:
        """Whether `render(scene, preview=True)` is faster than `render(scene)`.

        The first call has the runtime of previews prepared in the background, if there is one.
        """
        self.model.check(scene)
        return (
            self._is_runtime_ready(scene)
            or self.backbone.has_preview_decoder
            or self._in_one_step(scene) is not scene
        )

    def _is_runtime_ready(self, scene: Scene) -> bool:
        """Whether previews are drawn by a runtime that finals are not drawn by."""
        backbone = self.backbone
        if self._fast_finals or not isinstance(backbone, RunsFast):
            return False
        with self.model.lock, self.model.memory("drawing"):
            return backbone.prepare(self.model.start(steering.run_of(self._in_one_step(scene))))

    # scenes to scenes

    def refit(self, scene: Scene, n_factors: int | Mapping[str, int]) -> Scene:
        """Find another number of factors in a scene's picture, and keep what was painted.

        Unpainted patches stay exactly as they are. Painted ones get those strengths of the new factors that
        come nearest to what was painted there (non-negative least squares). Added and reweighted factors
        stay.
        Factors that resemble old ones keep their names and colours. Concepts that the picture was taken apart
        in (`analyze` with a `basis`) are replaced too, by factors of this picture; analyse with the basis
        again to have them back. Concepts that were added stay.

        Args:
            scene: As painted.
            n_factors: How many, 1..256 (3..8 reads best); a picture with fewer features gives fewer. With
                several sites, for each of them, or {"down.2.1": 5, "up.0.1": 3}.

        Raises:
            TypeError, ValueError: An invalid number, a site that is missing or unknown, or a scene of another
                model, site or SAE.
        """
        self.model.check(scene)
        factors, names = analysis.factors_of(self.model, self.labels, steering.run_of(scene), n_factors)
        return refitted(scene, factors, names)

    def reseed(self, scene: Scene, seed: int, *, edit_only: bool = False) -> Scene:
        """Apply the same painting to the noise of another seed.

        Args:
            scene: As painted.
            seed: 0..2**63-1.
            edit_only: Keep the other seed's own picture, and carry over only the edit: what was painted or
                moved is added where it was painted, and covers there as much as it covered; what was erased
                or made weaker is made so there. A factor that was scaled as a whole, changed weights and
                removed factors act wherever the factor is in the other picture.

        Returns:
            The scene with the same strengths. What the other seed would have composed by itself is removed,
            its unexplained remainder too; with `edit_only` it stays, except where something was edited.

        Raises:
            TypeError, ValueError: An invalid seed, or a scene of another model, site or SAE.
        """
        self.model.check(scene)
        seed = checks.seed(seed)
        if seed == scene.seed:
            return scene
        return (edit_reseeded if edit_only else reseeded)(scene, seed, self._codes_of(scene, seed))

    def robustness(
        self,
        scene: Scene,
        seeds: int | Iterable[int] = robust.N_SEEDS,
        *,
        threshold: float = robust.VISIBLE,
        progress: bool = True,
        on_seed: Callable[[SeedTrial], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Robustness:
        """Try an edit on other seeds: draw each seed's own picture and that with the edit, and compare them.

        What is carried to another seed is what `reseed(scene, seed, edit_only=True)` carries: the edit, not
        the picture around it. With a photograph, another seed is other noise over the same photograph. On a
        blank canvas, the edit is all that is painted.

        Args:
            scene: As painted.
            seeds: How many, 2..32: the next ones after the scene's; or the seeds themselves.
            threshold: A patch counts as changed if its mean absolute difference, 0..1, is larger.
            progress: Show a progress bar.
            on_seed: Called with each seed's pictures as soon as they are drawn.
            cancelled: Asked before every step of every picture; if it returns True, the work stops.

        Returns:
            In how many seeds each patch changed, and the effect: the change of the edited patches against the
            same patches unedited, where 1 = as much as another seed changes a patch, with its 95 % interval
            over seeds. The same scene and seeds give the same result.

        Raises:
            TypeError, ValueError: Nothing is painted in the scene, invalid seeds or threshold, or a scene of
                another model, site or SAE.
            ember.Cancelled: `cancelled` returned True.

        Example:
            >>> painter.robustness(scene.paint("castle", "centre"))              # doctest: +SKIP
            changed 8 of 8 seeds; effect 7.6 [7.4, 7.8]
        """
        self.model.check(scene)

        # A seed's start serves for its codes and both pictures, and is not kept for longer.
        def carry(seed: int) -> Scene:
            if seed == scene.seed:
                return scene
            return edit_reseeded(scene, seed, self._codes_of(scene, seed, keep=False))

        def draw(one: Scene) -> Image.Image:
            return self._drawn(one, cancelled=cancelled, keep=False)

        try:
            return robust.robustness(
                scene,
                seeds,
                carry=carry,
                draw=draw,
                threshold=threshold,
                progress=progress,
                on_seed=on_seed,
                cancelled=cancelled,
            )
        finally:
            self.model.release()

    def sweep(
        self,
        scene: Scene,
        factor: int | str,
        gains: Sequence[float] = variations.GAINS,
        *,
        seeds: Sequence[int] | None = None,
        side: int = 192,
    ) -> Image.Image:
        """A contact sheet: one factor at several strengths, in columns, for several seeds, in rows.

        Args:
            scene: As painted.
            factor: Index or name.
            gains: What the factor's strengths are multiplied by.
            seeds: See `reseed`; None = the scene's own and the next two.
            side: Width and height of each picture, in pixels.

        Returns:
            RGB.

        Raises:
            TypeError, ValueError: An unknown factor, no gains, no seeds, or more than 400 pictures.
        """
        return variations.sweep(self, scene, factor, gains, seeds=seeds, side=side)

    def record(
        self,
        scenes: Iterable[Scene],
        path: str | os.PathLike[str],
        *,
        ms: int = 80,
        progress: bool = True,
    ) -> None:
        """Draw scenes one after the other into a moving picture, which repeats if it is a GIF or WebP.

        Args:
            scenes: One or more; `Scene.tween` gives those between two edits of a picture.
            path: A ``.gif``, ``.webp`` or ``.mp4`` file; one that was there is replaced. WebP has the best
                colours for its size; MP4 needs PyAV: ``pip install 'ember-widgets[video]'``.
            ms: How long each picture is shown, in milliseconds, 20..60,000; the last one three times as long.
            progress: Show a progress bar.

        Raises:
            ValueError: Another kind of file, no such time, no scenes, or one of another model, site or SAE.
            ImportError: An MP4 file, and PyAV is not installed.
            OSError: The file cannot be written there.
        """
        recording.record(self, scenes, path, ms=ms, progress=progress)

    def forget(self) -> None:
        """Forget all that was computed from the pipeline.

        Needed only after single values were written through `weight.data[...]`, which leaves no sign.
        """
        self.model.forget()

    # all features

    def icon(self, feature: int, *, seed: int = 0, strength: float | None = None) -> Image.Image:
        """What a feature draws on its own: painted as a disc of half the grid's width on a blank canvas.

        Args:
            feature: Index among a scene's features.
            seed: Of the noise.
            strength: 1.0 = the feature's typical activation. None = 1.0 at down.2.1, and k at other sites,
                where a single one of a patch's k features hardly shows.
        """
        if strength is None:
            strength = painted_pictures.lone_strength(self.model, feature)
        scene = self.blank(seed=seed).add_factor({feature: 1.0})
        return self.render(scene.paint(0, painted_pictures.DISC, strength))

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """`icon` for several features, run through the model as one batch: features -> pictures."""
        features = checks.listed("features", features, hint="give feature indices, such as [3, 7]")
        if len(self.model.saes) > 1 or self.guidance:
            return [self.icon(feature) for feature in features]
        return feature_data.draw_icons(self.model, features)

    @property
    def concepts(self) -> ConceptBank | None:
        """Concepts that search and palette offer; None until some are set. See `Collection.concepts`.

        Setting them raises TypeError or ValueError if they are of another site or SAE.
        """
        return self._concepts

    @concepts.setter
    def concepts(self, bank: ConceptBank | None) -> None:
        if bank is not None:
            analysis.check_bank(self.model, bank)
        self._concepts = bank

    @property
    def icons(self) -> Icons:
        """{feature: small picture of `icon`} of the icons made so far.

        Those that came with the SAE, and those in the cache, where `icons.make` and `icons.want` (in the
        background) keep what they draw. After a change of the pipeline they are others. While code of your
        own is in it, such as a hook, none are known, and every call gives new ones: hold on to them.
        """
        with self._data_lock:
            version = self.model.version
            if self._icons is None or version is None or self._icons[0] != version:
                self._icons = version, feature_data.icons(self.model, self.draw_icons)
            return self._icons[1]

    @property
    def statistics(self) -> Statistics | None:
        """How often and how strongly each feature is active, as measured when the SAE was made.

        None if the SAE came without them, or if the pipeline was changed since or has code of yours in it;
        `painter.collect(prompts).statistics` measures it.
        """
        with self._data_lock:
            version = self.model.version
            if self._statistics is None or version is None or self._statistics[0] != version:
                self._statistics = version, feature_data.statistics(self.model)
            return self._statistics[1]

    def collect(
        self,
        prompts: Iterable[str],
        folder: str | os.PathLike[str] | None = None,
        *,
        seeds: Iterable[int] = (0,),
        pictures: bool = True,
        progress: bool = True,
    ) -> Collection:
        """Generate many pictures and keep their codes on disk; go on where an earlier call was interrupted.

        Args:
            prompts: What to generate; every prompt with every seed.
            folder: Where to keep it. It is made, or added to if it is a collection of this model and SAE.
                None = one in the cache, which all calls without a folder share; needed if the SAE was never
                saved, or while code of yours is in the pipeline.
            seeds: Seeds of the noise, each 0..2**63-1.
            pictures: Keep the pictures too, 256×256 pixels each; without them it takes half the time.
            progress: Show a progress bar.

        Returns:
            The collection, with whatever was in it before.

        Raises:
            TypeError, ValueError: No prompts, an invalid one, the folder belongs to something else or to
                other weights of the model, or a folder is needed.
            RuntimeError: The pipeline was changed meanwhile; what was collected is kept.
        """
        return feature_data.collect(
            self.model, prompts, folder, seeds=seeds, pictures=pictures, progress=progress
        )

    # labels

    def label(
        self,
        features: Iterable[int] | None = None,
        *,
        collection: Collection,
        client: LabelClient,
        folder: str | os.PathLike[str] | None = None,
        scores: bool = True,
        price: Price | None = None,
        progress: bool = True,
        on_label: Callable[[LabelProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        retry: bool = False,
    ) -> LabelRun:
        """Let a vision-language model name features, and measure how well the names fit.

        For each feature the model is shown one sheet, see `label_sheet`, and answers with a label of at most
        six words. With `scores` it is asked twice more: in which of ten other pictures the label fits what is
        marked ("detection"), and which picture of ten pairs shows more of it, where the feature is painted
        in one of them and another feature in the other ("causal"). 0.5 means that the label tells nothing.

        Answers are kept: called again with the same arguments, a run that was stopped goes on, and nothing is
        asked twice. Ctrl-C, or the notebook's stop button, ends it after the open calls. Other threads can
        use the painter meanwhile. Do not change the pipeline until it has ended.

        Args:
            features: Features of a scene; None = all that are active in the collection, except those that you
                gave a label yourself.
            collection: Pictures of this painter, from `collect`; a few hundred at least.
            client: Who is asked: `ember.OpenAIClient` or `ember.TransformersClient`.
            folder: Where `journal.jsonl` (all answers) and `labels.json` are kept; None = a folder
                "labels-<model>" in the collection's.
            scores: Measure detection and causal score, with two more questions for each feature.
            price: What tokens cost; None = what the client knows.
            progress: Say what the run takes before it begins, and show how far it is.
            on_label: Called after each feature, in another thread.
            cancelled: Asked between questions; if it returns True, the open ones are finished and kept, and
                the run ends.
            retry: Ask again what was refused or could not be read.

        Returns:
            The run: `.labels`, `.counts`, `.faults`, `.cost`; print it for a summary. The labels are added to
            `painter.labels`; those that you set stay.

        Raises:
            TypeError, ValueError: An unknown feature, or a collection of another model, site or SAE, or
                without pictures.
            ConnectionError: The server cannot be reached or does not know the model or the key; the message
                says which.
            BlockingIOError: Another process labels into this folder.
            RuntimeError: The pipeline was changed meanwhile.

        Example:
            >>> client = ember.OpenAIClient("gpt-4o-mini")                                 # doctest: +SKIP
            >>> run = painter.label(collection=collection, client=client)                  # doctest: +SKIP
        """
        return labelling.label(
            self.model,
            self.labels,
            self.guidance,
            features,
            collection=collection,
            client=client,
            folder=folder,
            scores=scores,
            price=price,
            progress=progress,
            on_label=on_label,
            cancelled=cancelled,
            retry=retry,
        )

    def label_forecast(
        self,
        features: Iterable[int] | None = None,
        *,
        collection: Collection,
        client: LabelClient,
        folder: str | os.PathLike[str] | None = None,
        scores: bool = True,
        price: Price | None = None,
        retry: bool = False,
    ) -> LabelForecast:
        """What `label` with the same arguments would ask, take and cost. Nothing is drawn or asked.

        Returns:
            Print it to read it; `.n_calls`, `.tokens_in`, `.cost` and others.

        Raises:
            TypeError, ValueError: As `label`.
        """
        return labelling.forecast(
            self.model,
            self.labels,
            self.guidance,
            features,
            collection=collection,
            client=client,
            folder=folder,
            scores=scores,
            price=price,
            retry=retry,
        )

    def label_sheet(self, feature: int, collection: Collection) -> Image.Image:
        """The picture that `label` shows a model to name a feature, 1592×1168 pixels.

        Args:
            feature: The feature.
            collection: As for `label`.

        Returns:
            RGB: up to ten pictures in which the feature is active, spread over its range, the place marked;
            three in which it is not; the feature painted on a blank canvas; and three pictures before and
            after it was painted into them, with their difference.

        Raises:
            ValueError: The feature is active in no picture, or as `label`.
        """
        found = labelling.FeatureSheets(self.model, collection, self.guidance).label_picture(feature)
        if found is None:
            raise ValueError(
                f"feature {feature} is active in none of the {len(collection)} pictures of "
                f"{collection.folder}; choose another feature, or collect more prompts"
            )
        return found

    # dictionaries of one's own

    def train_sae(
        self,
        prompts: Any,
        *,
        folder: str | os.PathLike[str],
        site: str | Sequence[str] = "down.2.1",
        expansion: int | Sequence[int] = 8,
        k: int | Sequence[int] = 10,
        n_patches: int | None = None,
        batch: int = 4096,
        lr: float | None = None,
        target: str = "update",
        n_steps: int = 1,
        steps: Sequence[int] | None = None,
        guidance: float | None = None,
        seed: int = 0,
        resume: bool = True,
        logger: Any = None,
        progress: bool = True,
        buffer: int | None = None,
        shards: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> TrainingRun:
        """Train SAEs on what this model does with prompts, from captions to a dictionary to paint with.

        The model runs up to the last site only, and its activations go through a shuffling buffer in memory
        into the training: they are not written to disk, unless `shards` asks for it. Picture i has prompt i,
        over and over, and seed `seed` + i. Called again with the same arguments, a training that was stopped
        goes on from its last checkpoint; on a CPU it gives the same weights, bit by bit, as one that was not.
        Ctrl-C, or the notebook's stop button, ends it with an SAE that can be used.

        Other threads can use the painter meanwhile: the model is held for a few pictures at a time. Do not
        change the pipeline until it has ended.

        Args:
            prompts: A list of texts; a text file (.txt) with one in each line; or an iterable that can be
                gone through again and again, such as a column of a Hugging Face data set. Those that cannot
                be drawn are skipped and counted.
            folder: Where checkpoints, `settings.json`, `history.csv` and the SAE are written. It is made.
            site: Module path or short name of the block. With several sites, `k` or `expansion`, a dictionary
                of each combination is trained, all on the same pictures; `run.saes` has them by name.
            expansion: Features for each channel of the site, n_features / d_model.
            k: Features that are active in a patch, on average.
            n_patches: How many patches to train on. A picture has one for each cell of the grid and each of
                `steps`. None = 10,000 for each feature of the largest dictionary, and at least 1000 batches.
            batch: Patches in a step.
            lr: Peak learning rate; None = 2e-4 / √(n_features / 16384).
            target: What the SAE explains: "update" (output − input of the block) or "output".
            n_steps: Denoising steps of a picture, 1..4; with guidance up to 100.
            steps: Which of these the patches are taken from, counted from 0; None = all.
            guidance: Scale of classifier-free guidance; None = the painter's.
            seed: Of the first picture, of the initial weights, and of the order of patches.
            resume: Go on from the folder's last checkpoint. False = begin anew, and remove what it wrote.
            logger: Also write the history to trackers: names that accelerate knows, such as "tensorboard" or
                "wandb"; a `GeneralTracker`; or a list of these. Needs ``pip install 'ember-widgets[train]'``.
            progress: Say what the training takes before it begins, and show how far it is.
            buffer: Patches in the shuffling buffer, at least two batches; None = 16 batches.
            shards: Another folder, which keeps the activations for several passes over the same pictures:
                prompt i has seed `seed` + i in every pass, the first pass runs the model and writes, later
                ones read. Other trainings on the same pictures may read it too. Prompts must be a list or a
                text file.
            **settings: Any other field of `TrainConfig`, for instance `aux_weight` or `dead_after`.

        Returns:
            The run: `.sae` (or `.saes`), `.history`, `.report()`, `.plot()`, `.is_finished`, `.quality`. The
            painter itself keeps its SAEs; `Painter.from_pretrained(..., sae=folder)` paints with the new one.

        Raises:
            TypeError: Prompts of another kind, an unknown setting, or a model that is not of SDXL's family.
            ValueError: An unknown site, too large a `k`, a folder of another run (the message says what
                differs), or 100 prompts in a row that cannot be drawn.
            FloatingPointError: Activations or loss are not finite; the message names the prompt.
            ImportError: `logger` needs a package that is not installed.
            OSError: The folder cannot be written to; the last checkpoint is whole.
            MemoryError: The device is too small.

        Example:
            >>> run = painter.train_sae("captions.txt", site="up.0.1", folder="my-sae")    # doctest: +SKIP
            >>> print(run.report())                                                        # doctest: +SKIP
        """
        return sae_training.train_here(
            self.backbone,
            prompts,
            folder=folder,
            site=site,
            expansion=expansion,
            k=k,
            n_patches=n_patches,
            batch=batch,
            lr=lr,
            target=target,
            n_steps=n_steps,
            steps=steps,
            guidance=self.guidance if guidance is None else guidance,
            seed=seed,
            resume=resume,
            logger=logger,
            progress=progress,
            buffer=buffer,
            shards=shards,
            lock=self.model.lock,
            settings=settings,
        )

    def _run(self, prompt: str, seed: int, n_steps: int, guidance: float | None) -> Run:
        """The run that is asked for, checked."""
        scale = self.guidance if guidance is None else checks.guidance(guidance)
        return Run(checks.text("prompt", prompt), checks.seed(seed), checks.n_steps(n_steps, scale), scale)

    def _codes_of(self, scene: Scene, seed: int, *, keep: bool = True) -> NDArray[np.float32]:
        """SAE codes of a scene's unedited run with another seed."""
        return self.model.codes(self.model.start(steering.run_of(scene.replace(seed=seed)), keep=keep))

    def _encoded(self, image: Any) -> NDArray[np.float32]:
        """A photograph's latents."""
        picture = photo.square(image, self.backbone.picture_side)
        with self.model.lock, self.model.memory("encoding the photograph"):
            return self.backbone.encode(picture)

    def _style_words(self, scene: Scene) -> Words | None:
        """The text for the layers after the last site; None if it is the prompt alone."""
        if not scene.style:
            return None
        text = f"{scene.prompt}, {scene.style}" if scene.prompt else scene.style
        return self.backbone.words(text, scene.guidance > 1)

    def _in_one_step(self, scene: Scene) -> Scene:
        """The scene with one step, if that shows the same composition; else the scene itself."""
        edited = scene.edit_steps is None or 0 in range(*scene.edit_steps)
        edited = edited and scene.factor_steps is None
        same = self.backbone.previews_in_one_step and not scene.guidance and scene.image is None
        if scene.n_steps > 1 and edited and same:
            return scene.replace(n_steps=1, edit_steps=None)
        return scene


def _drawn_at(scene: Scene, step: int, edited: bool) -> Scene:
    """The scene whose factors a run draws at one step."""
    is_edited = edited and (scene.edit_steps is None or step in range(*scene.edit_steps))
    return scene.at_step(step) if is_edited else scene.original()
