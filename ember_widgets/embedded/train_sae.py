"""Stage "sae": the embedded model's SAE, its positional features and its labels, all by measure."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from ember_widgets.checkpoints import save_sae
from ember_widgets.embedded import captions, scenes
from ember_widgets.embedded.architecture import label_attributes
from ember_widgets.embedded.export import ASSETS
from ember_widgets.embedded.world import ATTRIBUTES
from ember_widgets.sae import SAE
from ember_widgets.training.activations import collect
from ember_widgets.training.batchtopk import measure, positional_features, train_sae

SITE = "down_blocks.2.attentions.1"
MIN_PRECISION, MIN_RECALL = 0.3, 0.02


def build_sae(out: Path, assets: Path = ASSETS, *, n_scenes: int = 1200, steps: int = 1000) -> None:
    """Collect, train, measure on held-out scenes, label, and write `assets/sae`."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(assets / "pipeline", torch_dtype=torch.float32)
    rng = np.random.default_rng(31)
    specs = [captions.random_spec(rng) for _ in range(n_scenes)]
    activations, noise = collect(pipeline, SITE, [(spec.words, 10_000 + i) for i, spec in enumerate(specs)])
    n_train = n_scenes * 9 // 10
    # Nested, or a taught direction would be split over ten features; uncentred, so that paper is no feature.
    sae = train_sae(
        activations[:n_train].flatten(0, 1),
        k=10,
        expansion=8,
        site=SITE,
        target="update",
        steps=steps,
        batch=1024,
        prefixes=(64, 320),
        centred=False,
    )
    quality = measure(sae, activations[n_train:].flatten(0, 1))
    sae = dataclasses.replace(sae, positional=tuple(positional_features(sae, activations[n_train:])))
    save_sae(sae, assets / "sae")
    layouts = [captions.caption_layout(spec, noise[i].numpy())[0] for i, spec in enumerate(specs)]
    patches = torch.from_numpy(np.stack([scenes.label_patches(layout) for layout in layouts]))
    labels, scores = label_features(sae, activations, patches)
    content = {
        "source": "precision and recall of a feature's activation against the scenes' own patch labels",
        "labels": labels,
        "scores": scores,
    }
    (assets / "sae" / "labels.json").write_text(json.dumps(content, indent=0) + "\n", "utf-8")
    facts = {**dataclasses.asdict(quality), "positional": len(sae.positional), "labelled": len(labels)}
    (out / "sae.json").write_text(json.dumps(facts) + "\n")
    print(facts)


def label_features(sae: SAE, activations: Tensor, patches: Tensor) -> tuple[dict[str, str], dict[str, Any]]:
    """Name each feature by the attribute of patches that it tells best.

    Args:
        activations: (n_images, 256, d_model).
        patches: Labels (n_images, 16, 16) into `world.LABELS`.

    Returns:
        {feature: attribute} for features with at least `MIN_PRECISION` of their activation on patches with
        that attribute, firing on at least `MIN_RECALL` of these, and {feature: [precision, recall]}, best F1
        first.
    """
    has = label_attributes()
    mass, fired = torch.zeros(sae.n_features, len(ATTRIBUTES)), torch.zeros(sae.n_features, len(ATTRIBUTES))
    total, count = torch.zeros(sae.n_features), torch.zeros(len(ATTRIBUTES))
    for vectors, labels in zip(activations, patches, strict=True):
        codes, attributes = sae.encode(vectors), has[labels.flatten()]
        mass += codes.T @ attributes
        fired += (codes > 0).float().T @ attributes
        total += codes.sum(0)
        count += attributes.sum(0)
    precision, recall = mass / total.clamp(min=1e-9)[:, None], fired / count.clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    best = (f1 * (precision >= MIN_PRECISION) * (recall >= MIN_RECALL)).max(1)
    chosen = [int(f) for f in best.values.argsort(descending=True) if float(best.values[f]) > 0]
    names = {str(f): ATTRIBUTES[int(best.indices[f])] for f in chosen}
    scores = {str(f): [round(float(m[f, best.indices[f]]), 3) for m in (precision, recall)] for f in chosen}
    return names, scores
