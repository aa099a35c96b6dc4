"""Writes parity.json: what PyTorch, transformers, diffusers and scikit-learn compute of the page's model.

js/tests/page/model compares what the page computes. Run it after a change of the embedded model, or of what
is compared:  python tests/unit/page/make_parity.py
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, cast

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import CLIPTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from ember_widgets.dictionary.factors import Factors
from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.runs import Run, SiteState
from ember_widgets.page.export import PREDICTIONS, schedule_of
from ember_widgets.painter import analysis, steering
from ember_widgets.painter.open import ASSETS
from ember_widgets.painter.painter import Painter
from ember_widgets.scene.palette import palette
from ember_widgets.scene.scene import Scene

PATH = Path(__file__).with_name("parity.json")
SITES = ("down_blocks.2.attentions.1", "up_blocks.0.attentions.1")

PROMPTS = (
    "",
    "a lion in a meadow",
    "a cat and a dog on a beach at night",
    "a castle on a mountain, pixel art",
    "two monkeys in the snow",
    "a sailboat on the sea at sunset",
    "a tree and a house",
    "the moon over the road",
    "a mushroom and a sunflower in a meadow",
    "a car in the sand",
)

TEXTS = (
    *PROMPTS,
    "A LION,   in\ta\n meadow!! ",
    "Zebra's stripes — they're 12 3/4 in. long; don't",
    "ÉCOLE Straße İstanbul ΟΔΥΣΣΕΥΣ ǅ ﬁne café cafe\u0301 Å",
    "猫と犬 кот и пёс قطة 고양이",
    "🦁🐈‍⬛👩🏽‍🚀 :-) <3 #art @home",
    "a\u00a0lion\u2003in\u3000snow\u0085now\ufeffhere\u200bthere",
    "it''s 'tis 'll'd we've I'm''''s \"'re\"",
    "<|startoftext|> a <|endoftext|>cat<|ENDOFTEXT|>",
    "½ ² ⅷ ٣ 1234567890 x2y",
    "_under_score_ a.b.c http://x.y/?z=1&w=2",
    "a lion and a cat and a dog " * 4,
    "supercalifragilisticexpialidocious",
    "a cat " + "y" * 60,
    " \n ",
)

KNOWN = ("a", "and", "cat", "dog", "in", "lion", "meadow", "the", "don't")


def packed(array: NDArray[Any], kind: str = "f4") -> str:
    """An array's bytes."""
    return base64.b64encode(np.ascontiguousarray(array).astype(f"<{kind}").tobytes()).decode()


def sparse(array: NDArray[Any]) -> dict[str, Any]:
    """An array that is mostly 0."""
    at = np.flatnonzero(array)
    return {"n": array.size, "at": packed(at, "u4"), "values": packed(array.ravel()[at])}


def noises() -> Iterator[dict[str, Any]]:
    """Random numbers of several sizes, one after the other from the same generator."""
    for seed in (0, 3, 12345, 2**31 + 7, 2**32 + 5, 2**63 - 1):
        generator = torch.Generator("cpu").manual_seed(seed)
        drawn = [torch.randn(n, generator=generator).numpy() for n in (1, 16, 3, 40, 17, 2, 5, 700)]
        large = torch.randn(1, 4, 64, 64, generator=generator).numpy().ravel()
        yield {"seed": str(seed), "drawn": [packed(one) for one in drawn], "large": packed(large[-64:])}


def tokens() -> dict[str, Any]:
    """Ids of texts, where they are cut, and what is said about them."""
    tokenizer = CLIPTokenizer.from_pretrained(ASSETS / "pipeline" / "tokenizer")
    ids = [tokenizer(text, padding="max_length", truncation=True).input_ids for text in TEXTS]
    painter = Painter.embedded(dtype="float32")
    pairs = [(text, "") for text in TEXTS] + [("a lion", text) for text in TEXTS]
    known = painter.known_words
    notes = [[str(painter.prompt_notes(p)), str(painter.prompt_notes(p, s))] for p, s in pairs]
    return {"texts": TEXTS, "ids": ids, "known": known, "pairs": pairs, "notes": notes}


def schedules() -> Iterator[dict[str, Any]]:
    """Latents after every step, for predictions that are made up, with each scheduler that a page knows."""
    shipped = diffusers.EulerDiscreteScheduler.load_config(ASSETS / "pipeline" / "scheduler")
    kinds = [(name, predicted) for name, known in PREDICTIONS.items() for predicted in known]
    for (name, predicted), n_steps in product(kinds, range(1, 5)):
        scheduler = getattr(diffusers, name).from_config(shipped, prediction_type=predicted)
        schedule = schedule_of(scheduler, n_steps)
        scheduler.set_timesteps(n_steps)
        generator = torch.Generator("cpu").manual_seed(n_steps)
        latents = torch.randn(1, 4, 3, 3, generator=generator) * scheduler.init_noise_sigma
        steps = []
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, t)
            prediction = torch.sin(3 * scaled) - 0.2
            latents = scheduler.step(prediction, t, latents, generator=generator, return_dict=False)[0]
            steps.append(
                {"scaled": packed(scaled.numpy()), "prediction": packed(prediction.numpy())}
                | {"latents": packed(latents.numpy())}
            )
        yield {"seed": n_steps, "scheduler": name, "schedule": schedule, "steps": steps}


def pictures() -> Iterator[dict[str, Any]]:
    """Codes of pictures, and their factors; at the second site codes are denser."""
    painter = Painter.embedded(sites=SITES, dtype="float32")
    model = painter.model
    for i, prompt in enumerate(PROMPTS):
        start = model.start(Run(prompt, 7 * i, 1))
        for site in SITES[: 1 + (i % 3 == 1)]:
            sae = model.saes[site]
            codes = model.site_codes(start, site)
            found = analysis._fitted(codes, 5, sae)
            yield {
                "n_features": sae.n_features,
                "n_factors": 5,
                "positional": list(sae.positional),
                "codes": sparse(codes),
                "strengths": packed(found.strengths),
                "basis": sparse(found.basis),
            }


def dense() -> dict[str, Any]:
    """Factors with features that are left out of the fit, and their strengths in another picture."""
    rng = np.random.default_rng(0)
    strengths, basis = rng.random((8, 8, 4)) ** 3, rng.random((4, 30)) ** 4
    codes = (strengths @ basis + 0.02 * rng.random((8, 8, 30))).astype(np.float32)
    codes[codes < 0.05] = 0
    found = Factors.fit(codes, 4, ignore=[2, 5, 29])
    other = np.roll(codes[::-1], 1, 2).copy()
    return {
        "codes": packed(codes),
        "strengths": packed(found.strengths),
        "basis": packed(found.basis),
        "other": packed(other),
        "transformed": packed(found.transform(other)),
    }


def sae_codes() -> dict[str, Any]:
    """Patches of a picture as the site has them, and their codes."""
    model = Painter.embedded(dtype="float32").model
    (sae,), start = model.saes.values(), model.start(Run("a lion in a meadow", 3, 1))
    vectors = steering.target(sae, start.states[0])[::19]
    small = torch.Generator().manual_seed(0)
    w = torch.randn(6, 40, generator=small)
    for_k = {"W_enc": w, "b_enc": torch.zeros(40), "W_dec": w.T.contiguous(), "b_dec": torch.ones(6) / 8}
    x = torch.randn(9, 6, generator=small)

    def kept(activation: str) -> str:
        fields: dict[str, Any] = for_k | {"unit": torch.ones(40), "threshold": None, "target": "output"}
        return packed(SAE(activation=activation, k=3, site=SITES[0], **fields).encode(x).numpy())

    return {
        "vectors": packed(vectors.numpy()),
        "codes": sparse(sae.encode(vectors).numpy()),
        "small": {name: packed(value.numpy()) for name, value in (for_k | {"x": x}).items()},
        "topk": kept("topk"),
        "batchtopk": kept("batchtopk"),
    }


def steered() -> dict[str, Any]:
    """What leaves a small site when scenes are drawn, with layers, removed and reweighted factors."""
    rng = np.random.default_rng(1)
    rows, cols, d_model, n_features, n = 3, 4, 6, 10, 3
    arrays = {
        "W_enc": rng.normal(size=(d_model, n_features)),
        "b_enc": rng.normal(size=n_features),
        "W_dec": rng.normal(size=(n_features, d_model)),
        "b_dec": rng.normal(size=d_model),
        "unit": rng.random(n_features) + 0.5,
    }
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in arrays.items()}
    saes = {
        target: SAE(
            activation="batchtopk", k=2, threshold=None, site=SITES[0], target=target, **cast(Any, tensors)
        )
        for target in ("update", "output")
    }
    base = rng.random((rows, cols, n)).astype(np.float32)
    basis = (rng.random((n, n_features)) * (rng.random((n, n_features)) > 0.5)).astype(np.float32)
    plain = Scene(
        prompt="",
        seed=0,
        n_steps=2,
        strengths=base,
        remainder=np.ones((rows, cols), np.float32),
        basis=basis,
        names=("one", "two", "three"),
        colors=palette(n),
        base_strengths=base,
        base_basis=basis,
        unit=arrays["unit"].astype(np.float32),
        model={},
    )
    patches = [(0, 0), (1, 1), (2, 3)]
    scenes = [
        plain,
        plain.paint("one", patches, 1.3),
        plain.paint("two", patches, 0.4, mode="add").scale("three", -0.5),
        plain.erase(patches),
        plain.set_weight("two", 3, 2.0).set_weight("two", 4, 0.0).scale("two", 1.5),
        plain.remove("two").add_factor({5: 1.0}).paint(2, patches, 0.7),
        plain.replace(strengths=0 * base, remainder=np.zeros((rows, cols))).paint("three", patches),
        plain.paint("one", patches, 0.8).set_steps("one", (1, 2)),
    ]
    hidden_in, hidden_out = rng.normal(size=(2, 1, d_model, rows, cols)).astype(np.float32)
    state = SiteState(torch.tensor(hidden_in), torch.tensor(hidden_out))
    cases = []
    for scene in scenes:
        outs = {}
        for target, sae in saes.items():
            (edit,) = steering.edits(scene, [sae])
            steps = [state.hidden_out if edit is None else edit(step, state) for step in range(2)]
            outs[target] = [packed(out.numpy()) for out in steps]
        drawn = [scene.drawn(scene.layers.acting(step)) for step in range(2)]
        fields = [
            {name: packed(getattr(one, name)) for name in ("strengths", "remainder", "basis")}
            | {"analysed": list(one.analysed.items())}
            for one in drawn
        ]
        cases.append({"drawn": fields, "out": outs})
    return {
        "sae": {name: packed(value.numpy()) for name, value in tensors.items()},
        "base_strengths": packed(plain.base_strengths),
        "base_basis": packed(plain.base_basis),
        "hidden_in": packed(hidden_in),
        "hidden_out": packed(hidden_out),
        "cases": cases,
    }


def parity() -> dict[str, Any]:
    """All of parity.json."""
    return {
        "noise": list(noises()),
        "tokens": tokens(),
        "schedules": list(schedules()),
        "sae": sae_codes(),
        "pictures": list(pictures()),
        "dense": dense(),
        "steering": steered(),
    }


if __name__ == "__main__":
    parts = parity()
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(part)}" for name, part in parts.items())
    PATH.write_text(f"{{{lines}}}\n", encoding="utf-8")
    print(f"wrote {PATH.name}: {PATH.stat().st_size / 1000:.0f} kB")
