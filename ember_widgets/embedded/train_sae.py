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

from ember_widgets.checkpoints import DEFAULT_SITE, save_sae
from ember_widgets.embedded import captions, scenes, world
from ember_widgets.embedded.export import ASSETS
from ember_widgets.sae import SAE
from ember_widgets.training.activations import collect
from ember_widgets.training.batchtopk import measure, positional_features, train_sae

MIN_PRECISION, MIN_RECALL = 0.2, 0.1


def build_sae(out: Path, assets: Path = ASSETS, *, n_scenes: int = 1500, steps: int = 1200) -> None:
    """Collect, train, measure on held-out scenes, label, and write `assets/sae`."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(assets / "pipeline", torch_dtype=torch.float32)
    rng = np.random.default_rng(31)
    specs = [captions.random_spec(rng, crowd=(0.05, 0.15, 0.3, 0.3, 0.2)) for _ in range(n_scenes)]
    activations, noise = collect(
        pipeline, DEFAULT_SITE, [(spec.words, 10_000 + i) for i, spec in enumerate(specs)]
    )
    n_train = n_scenes * 9 // 10
    # A taught direction shall not be split over ten features; paper, whose code is 0, shall be none.
    sae = train_sae(
        activations[:n_train].flatten(0, 1),
        k=10,
        expansion=8,
        site=DEFAULT_SITE,
        target="update",
        steps=steps,
        batch=1024,
        merge=0.03,
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
    """Name each feature by what it tells best: an attribute, or a look with all its attributes.

    Args:
        activations: (n_images, 256, d_model).
        patches: Labels (n_images, 16, 16) into `world.LABELS`.

    Returns:
        {feature: text} for features with at least `MIN_PRECISION` of their activation on such patches, firing
        on at least `MIN_RECALL` of these, and {feature: [precision, recall]}, best F1 first.
    """
    names, has = candidates()
    mass, fired = torch.zeros(sae.n_features, len(names)), torch.zeros(sae.n_features, len(names))
    total, count = torch.zeros(sae.n_features), torch.zeros(len(names))
    for vectors, labels in zip(activations, patches, strict=True):
        codes, shown = sae.encode(vectors), has[labels.flatten()]
        mass += codes.T @ shown
        fired += (codes > 0).float().T @ shown
        total += codes.sum(0)
        count += shown.sum(0)
    precision, recall = mass / total.clamp(min=1e-9)[:, None], fired / count.clamp(min=1)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    best = (f1 * (precision >= MIN_PRECISION) * (recall >= MIN_RECALL)).max(1)
    chosen = [int(f) for f in best.values.argsort(descending=True) if float(best.values[f]) > 0]
    texts = {str(f): names[int(best.indices[f])] for f in chosen}
    scores = {str(f): [round(float(m[f, best.indices[f]]), 3) for m in (precision, recall)] for f in chosen}
    return texts, scores


def candidates() -> tuple[list[str], Tensor]:
    """What a feature may be called, and which labels show it, (n_labels, n_names).

    A variant is called "pine (tree)", so that searching for its kind finds it too.
    """
    looks = [look.attributes for look in world.LOOKS if len(look.attributes) > 1]
    wanted = [*looks, *((a,) for a in world.ATTRIBUTES if a not in world.VARIANTS)]
    has = [[set(name) <= set(world.attributes(i)) for name in wanted] for i in range(len(world.LABELS))]
    texts = [f"{name[1]} ({name[0]})" if name[-1] in world.VARIANTS else " ".join(name) for name in wanted]
    return texts, torch.tensor(has).float()
