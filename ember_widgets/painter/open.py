"""Open what a painter is made of: the embedded model, or one from the hub, a folder or a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ember_widgets.dictionary.load import load_sae
from ember_widgets.dictionary.sae import SAE
from ember_widgets.features.labels import Labels
from ember_widgets.model.backbone import Backbone
from ember_widgets.model.placement import Placement
from ember_widgets.model.sdxl import layout, loading
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.painter.steered_model import package_version, saes_by_site
from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.util import checks
from ember_widgets.util.hub import Hub

ASSETS = Path(__file__).parents[1] / "embedded" / "assets"
EMBEDDED = "embedded"
"""What scenes call the embedded model."""
EMBEDDED_SAES = {"down_blocks.2.attentions.1": "sae", "up_blocks.0.attentions.1": "sae-up.0.1"}

SAESource = str | os.PathLike[str] | Mapping[str, Tensor] | SAE
"""What an SAE can be given as; see `load_sae`."""


@dataclass(frozen=True)
class Opened:
    """What a painter is made of; the fields are arguments of `Painter`."""

    pipeline: Backbone[Any]
    sae: Mapping[str, SAE]
    name: str
    revision: str
    labels: Mapping[int, str] | None = None
    guidance: float = 0.0
    words: Collection[str] = ()


def as_backbone(
    model: Any, saes: Mapping[str, SAE], *, placement: Placement | None = None, preview_vae: Any = None
) -> Backbone[Any]:
    """A model as a backbone that can be edited at the SAEs' sites.

    Args:
        model: A backbone, or a `StableDiffusionXLPipeline`.
        saes: {site: SAE}.
        placement: Where a pipeline's parts lie; None = all on the pipeline's device.
        preview_vae: A small decoder for a pipeline's previews, or None.

    Raises:
        TypeError: It is something else.
        ValueError: The model has no such sites.
    """
    if not isinstance(model, Backbone):
        _check_pipeline(model)
        return SDXL(model, *(one.site for one in saes.values()), placement=placement, preview_vae=preview_vae)
    if set(model.sites) != set(saes):
        raise ValueError(
            f"the SAEs are of {', '.join(saes)}, but the backbone has the sites {', '.join(model.sites)}; "
            "give one SAE per site"
        )
    return model


def _check_pipeline(model: Any) -> None:
    from diffusers import DiffusionPipeline, StableDiffusionXLPipeline

    if isinstance(model, StableDiffusionXLPipeline):
        return
    name, wanted = type(model).__name__, StableDiffusionXLPipeline.__name__
    if isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"pipeline={str(model)!r} is not a pipeline; load one by its name, folder or file with "
            "Painter.from_pretrained"
        )
    if isinstance(model, DiffusionPipeline) and name.startswith(layout.FAMILY):
        raise TypeError(
            f"the pipeline is a {name}, but painting needs a {wanted}; "
            f"give {wanted}.from_pipe(pipeline, torch_dtype=pipeline.dtype), which shares its weights "
            "(photographs are given to analyze as image=)"
        )
    raise TypeError(f"the pipeline is a {name}; give a {wanted}, or another model as a Backbone")


def open_embedded(*, sites: str | Sequence[str] = "down.2.1", dtype: str = "auto") -> Opened:
    """See `Painter.embedded`."""
    if not (ASSETS / "pipeline" / "model_index.json").exists():
        raise FileNotFoundError(f"the embedded model is missing from {ASSETS}; install ember_widgets again")
    given = [sites] if isinstance(sites, str) else checks.listed("sites", sites, hint="give site names")
    wanted = [site_names.full(checks.text("sites", site)) for site in given]
    if not wanted or set(wanted) - set(EMBEDDED_SAES):
        have = ", ".join(map(site_names.short, EMBEDDED_SAES))
        raise ValueError(f"sites={sites!r}, but the embedded model has SAEs of {have}; choose among these")
    cpu = torch.device("cpu")
    with loading.quietly():
        loaded = loading.load_pipeline(
            ASSETS / "pipeline", dtype=loading.pick_dtype(dtype, cpu), device=cpu, hub=Hub()
        )
    saes = {site: load_sae(ASSETS / folder) for site, folder in EMBEDDED_SAES.items() if site in wanted}
    space = FeatureSpace.of({site: one.n_features for site, one in saes.items()})
    labels = Labels()
    for site in saes:
        own = Labels.load(ASSETS / EMBEDDED_SAES[site] / "labels.json")
        labels.add(own.moved(space.columns(site).start))
    return Opened(
        SDXL(loaded.pipeline, *saes),
        saes,
        EMBEDDED,
        package_version("ember_widgets"),
        labels,
        words=_whole_words(loaded.pipeline.tokenizer.get_vocab()),
    )


def _whole_words(tokens: Iterable[str]) -> list[str]:
    """The words of a tokenizer that was made of the captions' words: all that its model was trained on."""
    ends = (token.removesuffix("</w>") for token in tokens if token.endswith("</w>"))
    # Every letter is a token too, whether it is a word or not.
    words = (end for end in ends if end.isalpha() and end.islower())
    return sorted(word for word in words if len(word) > 1 or word == "a")


def open_pretrained(
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
) -> Opened:
    """See `Painter.from_pretrained`."""
    if compile and cpu_offload:
        raise ValueError(
            "compile=True and cpu_offload=True exclude each other: compiled code needs the "
            "weights to stay where they are, and offloading moves them; choose one"
        )
    checks.path("model", model)
    guidance = checks.guidance(guidance)  # before anything is downloaded
    place = loading.pick_device(device)
    kind = loading.pick_dtype(dtype, place)
    hub = Hub(None if cache_dir is None else Path(cache_dir), token, local_files_only)
    if isinstance(labels, (str, os.PathLike)) and Path(labels).is_file():
        # A file of several sites is read once it is known which. What is wrong with a file is said then too.
        with contextlib.suppress(ValueError):
            labels = Labels.load(labels)
    saes = saes_by_site(_load_saes(sae, site, hub))
    if isinstance(labels, (str, os.PathLike)):
        labels = _load_labels(labels, saes, hub)
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
        if compile and place.type != "cuda":
            loading.compile_blocks(loaded.pipeline.unet)
        placement = Placement(loaded.pipeline, place, keep)
        backbone = as_backbone(loaded.pipeline, saes, placement=placement, preview_vae=preview)
        if compile and place.type == "cuda" and isinstance(backbone, SDXL):
            backbone.sampler.compile()
    return Opened(backbone, saes, str(model), loaded.revision, labels, guidance)


def _load_labels(source: str | os.PathLike[str], saes: Mapping[str, SAE], hub: Hub) -> Labels:
    """The labels of each site, as features of a scene, from a folder, a data set or a file."""
    space = FeatureSpace.of({site: one.n_features for site, one in saes.items()})
    labels = Labels()
    for site in saes:
        found = Labels.load(
            source,
            site=site,
            cache_dir=hub.cache_dir,
            token=hub.token,
            local_files_only=hub.local_files_only,
        )
        labels.add(found.moved(space.columns(site).start))
    return labels


def _load_saes(sae: SAESource | Mapping[str, SAESource], site: str | None, hub: Hub) -> SAE | dict[str, SAE]:
    def load(source: SAESource, at: str | None) -> SAE:
        if isinstance(source, SAE):
            return source if at is None else source.at(site_names.full(at))
        return load_sae(
            source,
            site=at,
            cache_dir=hub.cache_dir,
            token=hub.token,
            local_files_only=hub.local_files_only,
        )

    if isinstance(sae, Mapping) and not any(isinstance(value, Tensor) for value in sae.values()):
        if site is not None:
            raise ValueError(
                f"site={checks.shown(site)}, but sae={{...}} names the site of each SAE; leave site= out"
            )
        return {at: load(cast(SAESource, source), at) for at, source in sae.items()}
    return load(cast(SAESource, sae), site)
