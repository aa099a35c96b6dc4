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

import dataclasses
import functools
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets import _checks, _photo, _sites, _steering, _verdict, icons, loading
from ember_widgets._hub import Hub
from ember_widgets._palette import free_name, palette
from ember_widgets._sampler import Edit, Run, Sampler, Start, Words, repeated
from ember_widgets._seats import Seats
from ember_widgets._statistics import FILE as STATISTICS_FILE
from ember_widgets._statistics import Statistics, joined
from ember_widgets._store import cache_folder, data_folder
from ember_widgets._variations import Variations
from ember_widgets.checkpoints import load_sae
from ember_widgets.collection import Collection, collect
from ember_widgets.factors import Factors
from ember_widgets.icons import Icons
from ember_widgets.inspection import Inspection
from ember_widgets.labels import Labels
from ember_widgets.sae import SAE
from ember_widgets.scene import AREAS, GRID, Scene
from ember_widgets.staged_unet import SiteState

ASSETS = Path(__file__).parent / "embedded" / "assets"
EMBEDDED_SAES = {"down_blocks.2.attentions.1": "sae", "up_blocks.0.attentions.1": "sae-up.0.1"}
CACHED_STARTS = 8
_DISC = AREAS["centre"]

SAESource = str | os.PathLike[str] | Mapping[str, Tensor] | SAE
"""What an SAE can be given as; see `load_sae`."""


class Painter(Variations):
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

    def __init__(
        self,
        pipeline: Any,
        sae: SAE | Mapping[str, SAE],
        *,
        name: str,
        revision: str | None = None,
        labels: Mapping[int, str] | None = None,
        guidance: float = 0.0,
        seats: Seats | None = None,
        preview_vae: Any = None,
    ) -> None:
        self.pipeline = pipeline
        self.guidance = _checks.guidance(guidance)
        given = [sae] if isinstance(sae, SAE) else [_at(site, one) for site, one in sae.items()]
        if not given:
            raise ValueError("sae={} names no site; give at least one, as {'down.2.1': ...}")
        sites = [one.site for one in given]
        if len(set(sites)) < len(sites):
            raise ValueError(f"two SAEs are of the same site ({', '.join(sites)}); give one per site")
        self._sampler = Sampler(pipeline, *sites, seats=seats, preview_vae=preview_vae)
        self._device = self._sampler.seats.device
        by_site = {_sites.full(one.site): one for one in given}
        self._steered: dict[str, SAE] = {}
        for stage in self._sampler.stages:
            one = by_site[stage.site]
            d_model = pipeline.unet.get_submodule(stage.site).config.in_channels
            if d_model != one.d_model:
                raise ValueError(
                    f"the SAE encodes {one.d_model} channels, but {one.site} has {d_model}; "
                    "load the SAE of this model and site"
                )
            self._steered[stage.site] = one.to(self._device)
        # What the user called a feature belongs to the dictionary, whatever model or file it came with.
        own = data_folder() / "labels" / f"{self._hash()}.json" if self._hashed() else None
        self.labels = Labels(labels, n_features=self.n_features, own_file=own)
        self._starts: OrderedDict[tuple[Any, ...], Start] = OrderedDict()
        self._lock = threading.RLock()
        self._settle(name)
        self.saes = dict(self._steered)
        self._identity = {
            "id": name,
            "revision": revision or "",
            "site": ",".join(self._steered),
            "sae": ",".join(one.sha256[:16] for one in self._steered.values()),
            **{package: _version(package) for package in ("ember_widgets", "diffusers", "torch")},
        }

    @property
    def n_features(self) -> int:
        """Of all sites together."""
        return sum(one.n_features for one in self._steered.values())

    @property
    def has_previews(self) -> bool:
        """Whether there is a small decoder for `render(scene, preview=True)`."""
        return self._sampler.preview_vae is not None

    # loading

    @classmethod
    def embedded(cls, *, sites: str | Sequence[str] = "down.2.1", dtype: str = "auto") -> Painter:
        """The tiny model that ships inside the package: CPU, offline, 256×256 pictures of emoji scenes.

        Args:
            sites: Which of its SAEs to steer with: "down.2.1", whose features were taught; "up.0.1", whose
                features were found; or both.
            dtype: "float32", "bfloat16" (half the time where the CPU has matrix units for it, the same
                picture to the eye), or "auto": what is fastest here.

        Raises:
            ValueError: There is no SAE of such a site.
        """
        if not (ASSETS / "pipeline" / "model_index.json").exists():
            raise FileNotFoundError(
                f"the embedded model is missing from {ASSETS}; install ember_widgets again"
            )
        wanted = [_sites.full(site) for site in ([sites] if isinstance(sites, str) else sites)]
        if not wanted or set(wanted) - set(EMBEDDED_SAES):
            have = ", ".join(map(_sites.short, EMBEDDED_SAES))
            raise ValueError(
                f"sites={sites!r}, but the embedded model has SAEs of {have}; choose among these"
            )
        cpu = torch.device("cpu")
        with loading.quietly():
            loaded = loading.load_pipeline(
                ASSETS / "pipeline", dtype=loading.pick_dtype(dtype, cpu), device=cpu, hub=Hub()
            )
        saes: dict[str, SAE] = {}
        labels = Labels()
        for site, folder in EMBEDDED_SAES.items():
            if site in wanted:
                begin = sum(one.n_features for one in saes.values())
                labels.add(Labels.load(ASSETS / folder / "labels.json").moved(begin))
                saes[site] = load_sae(ASSETS / folder)
        return cls(
            loaded.pipeline,
            saes,
            name="embedded",
            revision=_version("ember_widgets"),
            labels=labels,
        )

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
    ) -> Painter:
        """Load SDXL-Turbo, or a model of its architecture, and SAEs for it.

        Args:
            model: Hub id, folder in diffusers' layout, or a .safetensors file that holds all of it.
            sae: Hub id, folder, file or state dict with a checkpoint (see `load_sae`), or an SAE; or several:
                {"down.2.1": ..., "up.0.1": ...}.
            site: Attention block a single SAE belongs to: a module path or a short name such as "up.0.1";
                None = what the checkpoint says, and else "down.2.1".
            device: "cuda", "mps", "cpu"; None takes the best there is.
            dtype: "auto" (bfloat16 where the device computes in it, else float16 on a GPU and float32 on a
                CPU), "float32", "float16" or "bfloat16". SAEs always compute in float32.
            vae: Hub id or folder of another VAE, such as "madebyollin/sdxl-vae-fp16-fix", which is safe in
                float16 and so decodes faster there; None = the model's own, decoded in float32 where float16
                would overflow.
            preview_vae: Hub id or folder of a small decoder, such as "madebyollin/taesdxl", for
                `render(scene, preview=True)`.
            guidance: Scale of classifier-free guidance: 0 for SDXL-Turbo; 5 to 8 for SDXL base, with 20 to 50
                steps. Edits steer the conditional half.
            revision: Branch, tag or commit of the model.
            variant: "fp16" takes those weights where the model has them; "auto" does for 16-bit dtypes.
            cache_dir: Where downloads are kept; None = the hub's usual cache.
            token: For gated or private repositories.
            local_files_only: Never ask the network.
            config: For a single file: hub id or folder with configurations and tokenizers; None =
                "stabilityai/sdxl-turbo".
            labels: {feature: text}, or a file of them.
            cpu_offload: Keep one part on the device at a time: needs the least memory, and is slow.
            release_text_encoders: Keep the text encoders on the device only while they encode; None = where
                the GPU has less than 11 GiB.
            compile: Compile the UNet's blocks: the first picture takes a minute or more, the others less.

        Raises:
            ValueError: Something does not fit or is damaged; the message says what, and which knob to turn.
            FileNotFoundError: No such model or SAE, or offline and not in the cache.
            PermissionError: Gated or private.
            ConnectionError: The line broke; calling again fetches what is missing.
            MemoryError: The device is too small.
        """
        if compile and cpu_offload:
            raise ValueError(
                "compile=True and cpu_offload=True exclude each other: compiled code holds on to the "
                "weights where they lie, and offloading moves them; choose one"
            )
        place = loading.pick_device(device)
        kind = loading.pick_dtype(dtype, place)
        hub = Hub(None if cache_dir is None else Path(cache_dir), token, local_files_only)
        if isinstance(labels, (str, os.PathLike)):
            labels = Labels.load(Path(labels))
        saes = _load_saes(sae, site, hub)
        if release_text_encoders is None:
            release_text_encoders = loading.memory_is_short(place)
        keep = "one at a time" if cpu_offload else "all but text" if release_text_encoders else "all"
        with loading.memory(place, "loading"):
            loaded = loading.load_pipeline(
                model,
                dtype=kind,
                device=place,
                hub=hub,
                revision=revision,
                variant=variant,
                vae=vae,
                config=config,
                move=keep == "all",
            )
            preview = None if preview_vae is None else loading.load_vae(preview_vae, kind, hub).to(place)
            if compile:
                loading.compile_blocks(loaded.pipeline.unet)
            return cls(
                loaded.pipeline,
                saes,
                name=str(model),
                revision=loaded.revision,
                labels=labels,
                guidance=guidance,
                seats=Seats(loaded.pipeline, place, keep),
                preview_vae=preview,
            )

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
            _checks.text("prompt", prompt),
            _checks.seed(seed),
            n_steps,
            self.guidance if guidance is None else _checks.guidance(guidance),
            None if image is None else self._encoded(image),
            _checks.image_strength(image_strength),
        )
        _checks.n_steps(n_steps, run.guidance)
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
        run = Run(prompt, seed, n_steps, self.guidance if guidance is None else _checks.guidance(guidance))
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
        site = sites[0] if site is None else _sites.full(_checks.text("site", site))
        if site not in self.saes:
            raise ValueError(
                f"site={site!r} has no SAE here; choose one of {', '.join(self.saes)}, or put one into "
                "painter.saes[site]"
            )
        step = _checks.integer("step", step, 0, scene.n_steps - 1, hint="steps count from 0")
        edits: list[Edit | None] = [None] * len(sites)
        if edited:
            edits = _steering.edits(scene, list(self._steered.values()))
        with self._lock, self._memory("inspecting"):
            start = self._start(_run_of(scene))
            state = self._sampler.reach(start, edits, step, site, self._late(scene))
        steered = site in sites
        before = sites[: sites.index(site)] if steered else sites
        return Inspection.of(
            self.saes[site],
            _steering.target(self.saes[site], state),
            site=site,
            step=step,
            begin=sum(self._steered[other].n_features for other in before),
            scene=scene if steered else None,
        )

    # scenes to pictures

    def render(self, scene: Scene, *, preview: bool = False) -> Image.Image:
        """Draw a scene.

        Args:
            scene: What to draw.
            preview: With the small decoder, if the painter has one: faster, and a little off in colour.

        Raises:
            ValueError: The scene belongs to another model, site or SAE.
            FloatingPointError: Values overflowed, even in float32; the message names the knob.
            MemoryError: The device ran out of memory; the painter can be used on.
        """
        self._check(scene)
        with self._lock, self._memory("drawing"):
            start = self._start(_run_of(scene))
            edits = _steering.edits(scene, list(self._steered.values()))
            latents = self._sampler.run(start, *edits, late=self._late(scene))
            return self._sampler.decode(latents, preview=preview)

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
        return self.render(self.blank(seed=seed).add_factor({feature: 1.0}).paint(0, _DISC, strength))

    # all features

    @functools.cached_property
    def key(self) -> str:
        """Says which weights these are, of model and SAE: files made with others are of no use here."""
        return self._key(self._hash())

    def _key(self, saes: str) -> str:
        parts = hashlib.sha256(saes.encode())
        # All vectors among the weights change with any training, and are a thousandth of them.
        for weights in (self.pipeline.unet.parameters(), self.pipeline.vae.decoder.parameters()):
            for p in weights:
                if p.ndim == 1:
                    parts.update(p.detach().bfloat16().float().cpu().numpy().tobytes())  # in any dtype alike
        return parts.hexdigest()[:32]

    def draw_icons(self, features: Sequence[int]) -> list[Image.Image]:
        """`icon` for several features, run through the model as one batch: features -> pictures."""
        if len(self._steered) > 1 or self.guidance:
            return [self.icon(feature) for feature in features]
        sae = next(iter(self._steered.values()))
        disc = torch.from_numpy(_DISC.reshape(-1, 1)).to(sae.W_dec)
        with self._lock, self._memory("drawing icons"):
            start = self._start(Run("", 0, 1))
            blank = start.first.hidden_out - (self._target(start.first) - sae.b_dec).T.reshape(
                start.first.hidden_out.shape
            ).to(start.first.hidden_out.dtype)
            strengths = disc * self._alone(0)
            changes = torch.stack([(strengths * (sae.unit[f] * sae.W_dec[f])).T for f in features])
            edited = blank + changes.reshape(len(features), *blank.shape[1:]).to(blank.dtype)
            latents = self._sampler.run(repeated(start, len(features)), lambda step, state: edited)
            # One by one: a batch of large pictures takes much memory, and no less time.
            return [self._sampler.decode(one) for one in latents[:, None]]

    @functools.cached_property
    def icons(self) -> Icons:
        """{feature: small picture of `icon`}, as far as they were made.

        Those that came with the SAE, and those in the cache, where `icons.make` and `icons.want` (in the
        background) keep what they draw.
        """
        shipped = {
            begin + feature: picture
            for begin, folder, key in self._shipped()
            for feature, picture in icons.read(folder / icons.FILE, key).items()
        }
        return Icons(
            self.n_features,
            self.draw_icons,
            key=self.key,
            file=cache_folder() / "icons" / f"{self.key}.zip" if self._hashed() else None,
            shipped=shipped,
            # A processor gains nothing from drawing many at once, and painting waits meanwhile.
            batch=2 if self._device.type == "cpu" else 16,
        )

    @functools.cached_property
    def statistics(self) -> Statistics | None:
        """How often and how strongly each feature is active, as measured when the SAE was made.

        None where that did not come with it; `painter.collect(prompts).statistics` measures it.
        """
        known = [Statistics.load(folder / STATISTICS_FILE, key) for _, folder, key in self._shipped()]
        if len(known) < len(self._steered) or None in known:
            return None
        return joined([one for one in known if one is not None])

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
            prompts: what to generate; every prompt with every seed.
            folder: where; it is made, or added to if it is a collection of this model and SAE. None = one in
                the cache, which all calls without a folder share.
            seeds: seeds of the noise, each 0..2**63-1.
            pictures: keep the pictures too, 256×256 pixels each; without them it takes half the time.
            progress: show a progress bar.

        Returns:
            The collection, with whatever was in it before.

        Raises:
            TypeError, ValueError: no prompts, an invalid one, or the folder is of something else.
        """
        if isinstance(prompts, str):
            raise TypeError(f"prompts={_checks.shown(prompts)} is one text; give a list of them")
        texts, numbers = list(prompts), [_checks.seed(seed) for seed in seeds]
        runs = [(_checks.text("prompts", text), seed) for text in texts for seed in numbers]
        if not runs:
            raise ValueError("prompts and seeds make no pictures; give at least one of each")
        if folder is None:
            folder = cache_folder() / "collections" / self.key
        collection = Collection.create(Path(folder), self.n_features, self._identity)

        def analyse(prompt: str, seed: int) -> tuple[NDArray[np.float32], Image.Image | None]:
            with self._lock:
                start = self._sampler.begin(Run(prompt, seed, 1))
                codes = np.concatenate([self._codes(start, i) for i in range(len(self._steered))], axis=2)
                if not pictures:
                    return codes, None
                latents = self._sampler.run(start)
                return codes, self._sampler.decode(latents)

        collect(collection, runs, analyse, progress=progress)
        return collection

    # inside

    def _alone(self, feature: int) -> float:
        """How strong a feature is painted where it stands alone; see `icon`."""
        for one in self._steered.values():
            if feature < one.n_features:
                return 1.0 if one.site == _sites.DEFAULT_SITE else float(one.k or 1)
            feature -= one.n_features
        return 1.0

    def _shipped(self) -> Iterator[tuple[int, Path, str]]:
        """Of each SAE: where its features begin, the folder where files about them may lie, their key."""
        begin = 0
        for one in self._steered.values():
            if one.source:
                source = Path(one.source)
                yield begin, source if source.is_dir() else source.parent, self._key(one.sha256[:32])
            begin += one.n_features

    def _hash(self) -> str:
        """Of all SAEs together; of one, its own."""
        hashes = [one.sha256 for one in self._steered.values()]
        return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:32]

    def _hashed(self) -> bool:
        return all(one.sha256 for one in self._steered.values())

    def _memory(self, doing: str) -> Any:
        return loading.memory(self._device, doing, self._starts.clear, self._sampler.forget)

    def _start(self, run: Run) -> Start:
        with self._lock:
            if run.key not in self._starts:
                with self._memory("starting a picture"):
                    self._starts[run.key] = self._sampler.begin(run)
                while len(self._starts) > CACHED_STARTS:
                    self._starts.popitem(last=False)
            self._starts.move_to_end(run.key)
            return self._starts[run.key]

    def _encoded(self, image: Any) -> NDArray[np.float32]:
        side = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        picture = _photo.square(image, side)
        with self._lock, self._memory("encoding the photograph"):
            return self._sampler.encode(picture)

    def _settle(self, name: str) -> None:
        """Measure what the SAEs' files leave open, on one picture."""
        for i, (site, one) in enumerate(self._steered.items()):
            if one.alternatives or not one.unit_known:

                def measure(reading: SAE, i: int = i) -> Tensor:
                    start = self._start(Run("a garden with a house and a tree", 0, 1, self.guidance))
                    return _steering.target(reading, start.states[i])

                self._steered[site] = _verdict.settle(_on(one, self._device), name, measure)

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
            prefix = f"{_sites.short(site)} " if i else ""
            for k, row in enumerate(found.basis):
                names.append(free_name(self._name(row, one, begin) or f"{prefix}factor {k + 1}", names))
            strengths.append(found.strengths)
            bases.append(basis)
            begin += one.n_features
        return Factors(strengths=np.concatenate(strengths, axis=2), basis=np.concatenate(bases)), names

    def _apart(self, scene: Scene, n_factors: int) -> tuple[Factors, list[str]]:
        self._check(scene)
        return self._taken_apart(_run_of(scene), n_factors)

    def _target(self, state: SiteState) -> Tensor:
        """What the first site's SAE encodes, (256, d_model) float32."""
        return _steering.target(next(iter(self._steered.values())), state)

    def _codes(self, start: Start, i: int) -> NDArray[np.float32]:
        one = list(self._steered.values())[i]
        codes = one.encode(_steering.target(one, start.states[i]))
        return codes.reshape(GRID, GRID, -1).cpu().numpy()

    def _factor_counts(self, n_factors: int | Mapping[str, int]) -> dict[str, int]:
        if not isinstance(n_factors, Mapping):
            return dict.fromkeys(self._steered, n_factors)
        given = {_sites.full(site): n for site, n in n_factors.items()}
        if given.keys() != self._steered.keys():
            raise ValueError(
                f"n_factors names {', '.join(given)}, but this painter steers {', '.join(self._steered)}; "
                "give a number for each of these"
            )
        return given

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
    active = set(np.flatnonzero((codes > 0).any((0, 1))).tolist()) - set(sae.positional)
    # What is no number of factors at all is left for `fit` to refuse.
    if isinstance(n_factors, int) and 0 < len(active) < n_factors <= GRID * GRID:
        n_factors = len(active)  # a plain picture: each feature is a factor of its own
    return Factors.fit(codes, n_factors, ignore=sae.positional)


def _run_of(scene: Scene) -> Run:
    return Run(scene.prompt, scene.seed, scene.n_steps, scene.guidance, scene.image, scene.image_strength)


def _load_saes(sae: SAESource | Mapping[str, SAESource], site: str | None, hub: Hub) -> SAE | dict[str, SAE]:
    def load(source: SAESource, at: str | None) -> SAE:
        if isinstance(source, SAE):
            return source
        return load_sae(
            source,
            site=at,
            cache_dir=hub.cache_dir,
            token=hub.token,
            local_files_only=hub.local_files_only,
        )

    if isinstance(sae, Mapping) and not any(isinstance(value, Tensor) for value in sae.values()):
        return {at: load(cast(SAESource, source), at) for at, source in sae.items()}
    return load(cast(SAESource, sae), site)


def _at(site: str, sae: SAE) -> SAE:
    if _sites.full(site) == sae.site:
        return sae
    others = tuple(dataclasses.replace(other, site=_sites.full(site)) for other in sae.alternatives)
    return dataclasses.replace(sae, site=_sites.full(site), alternatives=others)


def _on(sae: SAE, device: torch.device) -> SAE:
    return dataclasses.replace(sae, alternatives=tuple(other.to(device) for other in sae.alternatives))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was never installed
        return ""
