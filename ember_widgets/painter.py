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

A blank canvas has no factors and ρ = 0: its target is b_dec everywhere, so only what is painted drives the
picture.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ember_widgets import _checks
from ember_widgets._palette import free_name, palette
from ember_widgets._sampler import Edit, Sampler, Start
from ember_widgets._variations import Variations
from ember_widgets.checkpoints import load_sae
from ember_widgets.factors import Factors
from ember_widgets.labels import Labels
from ember_widgets.sae import SAE
from ember_widgets.scene import GRID, Scene
from ember_widgets.staged_unet import ALIASES, SiteState

ASSETS = Path(__file__).parent / "embedded" / "assets"
CACHED_STARTS = 8
CACHED_TEXTS = 8


class Painter(Variations):
    """A diffusion pipeline with an SAE at one of its sites: analyses pictures into scenes, renders scenes.

    Make one with `Painter.embedded` or `Painter.from_pretrained`. Methods may be called from several threads.

    Attributes:
        pipeline: The diffusers `StableDiffusionXLPipeline`, untouched; calling it gives the unedited picture.
        saes: {site: SAE}.
        labels: {feature: text} of the SAE, may be empty.
    """

    def __init__(
        self,
        pipeline: Any,
        sae: SAE,
        *,
        name: str,
        revision: str | None = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        device = pipeline._execution_device
        self.pipeline = pipeline
        self.labels = Labels(labels)
        self._sae = sae.to(device)
        self._sampler = Sampler(pipeline, sae.site)
        self.saes: dict[str, SAE] = {self._sampler.staged.site: self._sae}
        d_model = pipeline.unet.get_submodule(self._sampler.staged.site).config.in_channels
        if d_model != sae.d_model:
            raise ValueError(
                f"the SAE encodes {sae.d_model} channels, but {sae.site} has {d_model}; "
                "load the SAE of this model and site"
            )
        self._identity = {
            "id": name,
            "revision": revision or "",
            "site": self._sampler.staged.site,
            "sae": sae.sha256[:16],
            **{package: _version(package) for package in ("ember_widgets", "diffusers", "torch")},
        }
        self._starts: OrderedDict[tuple[str, int, int], Start] = OrderedDict()
        self._texts: OrderedDict[str, tuple[Tensor, Tensor]] = OrderedDict()
        self._lock = threading.RLock()

    # loading

    @classmethod
    def embedded(cls) -> Painter:
        """The tiny model that ships inside the package: CPU, offline, 256×256 pictures of emoji scenes."""
        if not (ASSETS / "pipeline" / "model_index.json").exists():
            raise FileNotFoundError(
                f"the embedded model is missing from {ASSETS}; install ember_widgets again"
            )
        with _quietly():
            pipeline = _load_pipeline(ASSETS / "pipeline", torch.float32, "cpu", local_files_only=True)
        labels = Labels.load(ASSETS / "sae" / "labels.json")
        return cls(
            pipeline,
            load_sae(ASSETS / "sae"),
            name="embedded",
            revision=_version("ember_widgets"),
            labels=labels,
        )

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        sae: str | Path | SAE,
        site: str = "down.2.1",
        device: str | None = None,
        dtype: str = "auto",
        vae: str | Path | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> Painter:
        """Load SDXL-Turbo, or a model of its architecture, and an SAE for it.

        Args:
            model: Hub id or folder in diffusers' layout.
            sae: Folder or file with a checkpoint (see `load_sae`), or an SAE.
            site: Attention block the SAE belongs to: a module path or a short name such as "down.2.1".
            device: "cpu", "cuda", "mps"; None takes the best there is.
            dtype: "auto" (float16 on a GPU, float32 on a CPU), "float32", "float16" or "bfloat16".
            vae: Hub id or folder of another VAE, for example one that is safe in float16.
            revision: Hub revision of the model.
            local_files_only: Never ask the network.

        Raises:
            ValueError: The model is not of SDXL's family, its grid is not 16×16, or the SAE does not fit.
            FileNotFoundError: No SAE is there.
        """
        if device is None:
            device = (
                "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            )
        dtypes = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
        dtypes["auto"] = torch.float32 if device == "cpu" else torch.float16
        if dtype not in dtypes:
            raise ValueError(f"dtype={dtype!r} is unknown; choose one of {', '.join(sorted(dtypes))}")
        if not isinstance(sae, SAE):
            sae = load_sae(sae, site=ALIASES.get(site, site))
        pipeline = _load_pipeline(model, dtypes[dtype], device, local_files_only, revision, vae)
        return cls(pipeline, sae, name=str(model), revision=revision)

    # pictures to scenes

    def analyze(
        self, prompt: str = "", *, seed: int = 0, n_steps: int = 1, n_factors: int = 5, style: str = ""
    ) -> Scene:
        """Generate a picture and take it apart into factors.

        Args:
            prompt: What to generate; may be empty.
            seed: Seed of the noise, 0..2**63-1.
            n_steps: Denoising steps, 1..4. Factors are those of the first step, where composition is decided.
            n_factors: How many factors, 1..256 (3..8 reads best); a picture with fewer features gives fewer.
            style: How it shall look, for instance "pixel art": text that only the blocks after the site read,
                behind the prompt, so that composition and factors do not depend on it.

        Returns:
            The scene; rendered as it is, it gives the unedited picture bit by bit.
        """
        factors, names = self._taken_apart(self._start(prompt, seed, n_steps), n_factors)
        return Scene(
            prompt=prompt,
            seed=seed,
            n_steps=n_steps,
            strengths=factors.strengths,
            remainder=np.ones((GRID, GRID), np.float32),
            basis=factors.basis,
            names=tuple(names),
            colors=palette(len(names)),
            base_strengths=factors.strengths,
            base_basis=factors.basis,
            unit=self._sae.unit.cpu().numpy(),
            model=self._identity,
            style=style,
        )

    def blank(self, prompt: str = "", *, seed: int = 0, n_steps: int = 1) -> Scene:
        """An empty canvas: no factors, nothing of the model's own composition; add factors and paint."""
        n_features = self._sae.n_features
        return Scene(
            prompt=prompt,
            seed=seed,
            n_steps=n_steps,
            strengths=np.zeros((GRID, GRID, 0), np.float32),
            remainder=np.zeros((GRID, GRID), np.float32),
            basis=np.zeros((0, n_features), np.float32),
            names=(),
            colors=(),
            base_strengths=np.zeros((GRID, GRID, 0), np.float32),
            base_basis=np.zeros((0, n_features), np.float32),
            unit=self._sae.unit.cpu().numpy(),
            model=self._identity,
        )

    def activations(self, scene: Scene) -> NDArray[np.float32]:
        """SAE codes of the scene's unedited run at its first step, (16, 16, n_features) float32, ≥ 0."""
        self._check(scene)
        return self._codes(self._start(scene.prompt, scene.seed, scene.n_steps))

    # scenes to pictures

    def render(self, scene: Scene) -> Image.Image:
        """Draw a scene.

        Raises:
            ValueError: The scene belongs to another model, site or SAE.
            FloatingPointError: The decoder overflowed.
        """
        self._check(scene)
        with self._lock:
            start = self._start(scene.prompt, scene.seed, scene.n_steps)
            late = None
            if scene.style:
                late = self._words(f"{scene.prompt}, {scene.style}" if scene.prompt else scene.style)
            return self._sampler.decode(self._sampler.run(start, self._steering(scene), late))

    def icon(self, feature: int, *, seed: int = 0, strength: float = 1.0) -> Image.Image:
        """What a feature draws on its own: painted as a disc of 8 patches across on a blank canvas."""
        rows, cols = np.mgrid[:GRID, :GRID]
        disc = (rows - 7.5) ** 2 + (cols - 7.5) ** 2 <= 16
        return self.render(self.blank(seed=seed).add_factor({feature: 1.0}).paint(0, disc, strength))

    # inside

    def _start(self, prompt: str, seed: int, n_steps: int) -> Start:
        key = (_checks.text("prompt", prompt), _checks.seed(seed), _checks.n_steps(n_steps))
        with self._lock:
            if key not in self._starts:
                self._starts[key] = self._sampler.start(*key)
                while len(self._starts) > CACHED_STARTS:
                    self._starts.popitem(last=False)
            self._starts.move_to_end(key)
            return self._starts[key]

    def _words(self, text: str) -> tuple[Tensor, Tensor]:
        if text not in self._texts:
            self._texts[text] = self._sampler.words(text)
            while len(self._texts) > CACHED_TEXTS:
                self._texts.popitem(last=False)
        return self._texts[text]

    def _taken_apart(self, start: Start, n_factors: int) -> tuple[Factors, list[str]]:
        """A picture's factors, and names for them."""
        codes = self._codes(start)
        active = set(np.flatnonzero((codes > 0).any((0, 1))).tolist()) - set(self._sae.positional)
        # What is no number of factors at all is left for `fit` to refuse.
        if isinstance(n_factors, int) and 0 < len(active) < n_factors <= GRID * GRID:
            n_factors = len(active)  # a plain picture: each feature is a factor of its own
        factors = Factors.fit(codes, n_factors, ignore=self._sae.positional)
        names: list[str] = []
        for i, row in enumerate(factors.basis):
            names.append(free_name(self._name(row) or f"factor {i + 1}", names))
        return factors, names

    def _apart(self, scene: Scene, n_factors: int) -> tuple[Factors, list[str]]:
        self._check(scene)
        return self._taken_apart(self._start(scene.prompt, scene.seed, scene.n_steps), n_factors)

    def _target(self, state: SiteState) -> Tensor:
        """What the SAE encodes, (256, d_model) float32."""
        target = state.hidden_out.float()
        if self._sae.target == "update":
            target = target - state.hidden_in.float()
        return target[0].flatten(1).T

    def _codes(self, start: Start) -> NDArray[np.float32]:
        codes = self._sae.encode(self._target(start.first))
        return codes.reshape(GRID, GRID, -1).cpu().numpy()

    def _steering(self, scene: Scene) -> Edit:
        """What the scene makes of the site's output; see the equation above."""
        sae = self._sae

        def tensor(array: NDArray[np.float32]) -> Tensor:
            return torch.tensor(array, device=sae.W_dec.device)

        def analysed(factors: list[int]) -> Tensor:
            """What some of the analysed factors made, S0·H0·W_dec."""
            strengths = tensor(scene.base_strengths[..., factors]).reshape(GRID * GRID, len(factors))
            return strengths @ (tensor(scene.base_basis[factors]) @ sae.W_dec)

        # Each analysed factor is set against the first of the scene's that it is; a copy is one more factor.
        heirs = {origin: f for f, origin in reversed(list(enumerate(scene.origins or ()))) if origin >= 0}
        removed = [f for f in range(len(scene.base_basis)) if f not in heirs]
        base = np.zeros_like(scene.strengths)
        base_basis = np.zeros_like(scene.basis)
        for origin, f in heirs.items():
            base[..., f], base_basis[f] = scene.base_strengths[..., origin], scene.base_basis[origin]
        moved, reweighted = scene.strengths - base, scene.basis - base_basis
        gone = 1 - scene.remainder
        if not (moved.any() or reweighted.any() or gone.any() or removed):
            return lambda step, state: state.hidden_out
        flat = (GRID * GRID, scene.n_factors)
        delta = tensor(moved).view(flat) @ (tensor(scene.basis) @ sae.W_dec)
        if reweighted.any():
            delta = delta + tensor(base).view(flat) @ (tensor(reweighted) @ sae.W_dec)
        if removed:
            delta = delta - analysed(removed)
        if gone.any():
            explained = analysed(list(range(len(scene.base_basis)))) + sae.b_dec
            fading = tensor(gone).view(-1, 1)

        def steer(step: int, state: SiteState) -> Tensor:
            change = delta
            if gone.any():
                change = change - fading * (self._target(state) - explained)
            return state.hidden_out + change.T.reshape(state.hidden_out.shape).to(state.hidden_out.dtype)

        return steer

    def _check(self, scene: Scene) -> None:
        for key, noun in (("sae", "SAE"), ("site", "site"), ("id", "model")):
            theirs, ours = scene.model.get(key, ""), self._identity[key]
            if theirs and theirs != ours:
                raise ValueError(
                    f"this scene was made with {noun} {theirs!r}, but this painter has {ours!r}; "
                    "load the painter it was made with"
                )
        if scene.n_features != self._sae.n_features:
            raise ValueError(
                f"this scene has {scene.n_features} features, but this painter's SAE has "
                f"{self._sae.n_features}; "
                "load the SAE it was made with"
            )

    def _name(self, row: NDArray[np.float32]) -> str:
        """The label that carries most of a factor, weighted by how much its features move the site.

        What a label has in brackets ("pine (tree)") is for searching, and is not part of a name.
        """
        share: dict[str, float] = {}
        lengths = self._sae.W_dec.norm(dim=1).cpu().numpy()
        for feature in np.flatnonzero(row):
            if text := self.labels.get(int(feature)):
                share[text] = share.get(text, 0.0) + float(row[feature] * lengths[feature])
        return max(share, key=lambda text: share[text]).split(" (")[0] if share else ""


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """What diffusers and transformers say while they load our own model is known, and of no use to anyone."""
    import diffusers.utils.logging
    import transformers.utils.logging

    libraries = (diffusers.utils.logging, transformers.utils.logging)
    before = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for library, verbosity in zip(libraries, before, strict=True):
            library.set_verbosity(verbosity)
            library.enable_progress_bar()


def _load_pipeline(
    model: str | Path,
    dtype: torch.dtype,
    device: str,
    local_files_only: bool,
    revision: str | None = None,
    vae: str | Path | None = None,
) -> Any:
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline

    parts: dict[str, Any] = {}
    if vae is not None:
        parts["vae"] = AutoencoderKL.from_pretrained(
            vae, torch_dtype=dtype, local_files_only=local_files_only
        )
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        model,
        torch_dtype=dtype,
        use_safetensors=True,
        revision=revision,
        local_files_only=local_files_only,
        **parts,
    )
    side = pipeline.unet.config.sample_size
    if side != 4 * GRID:
        raise ValueError(
            f"{model} works on {side}×{side} latents, but the 16×16 grid needs 64×64; use a 512 px SDXL-Turbo"
        )
    return pipeline.to(device)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was never installed
        return ""
