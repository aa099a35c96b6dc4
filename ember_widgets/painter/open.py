"""How a painter is opened: the model inside the package, or one from the hub, a folder or a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ember_widgets.dictionary.load import load_sae
from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.labels import Labels
from ember_widgets.model.placement import Seats
from ember_widgets.model.sdxl import loading
from ember_widgets.painter.base import Model, package_version
from ember_widgets.scene import site_names
from ember_widgets.util.hub import Hub

if TYPE_CHECKING:
    from typing_extensions import Self

ASSETS = Path(__file__).parents[1] / "embedded" / "assets"
EMBEDDED_SAES = {"down_blocks.2.attentions.1": "sae", "up_blocks.0.attentions.1": "sae-up.0.1"}

SAESource = str | os.PathLike[str] | Mapping[str, Tensor] | SAE
"""What an SAE can be given as; see `load_sae`."""


class Opening(Model):
    """The part of a `Painter` that opens models."""

    @classmethod
    def embedded(cls, *, sites: str | Sequence[str] = "down.2.1", dtype: str = "auto") -> Self:
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
        wanted = [site_names.full(site) for site in ([sites] if isinstance(sites, str) else sites)]
        if not wanted or set(wanted) - set(EMBEDDED_SAES):
            have = ", ".join(map(site_names.short, EMBEDDED_SAES))
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
            revision=package_version("ember_widgets"),
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
    ) -> Self:
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
