"""The recipe of the embedded model from nothing to files that a pipeline loads, with two steps a stage."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from ember_widgets.embedded import train_unet
from ember_widgets.embedded.export import export
from ember_widgets.embedded.latents import VAE_HASH, are_latents_current, build_latents, load_latents
from ember_widgets.embedded.model import PARTS, Model, load_trained
from ember_widgets.embedded.train_vae import load_vae, train_vae

STEPS, BATCH = 2, 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with all stages that train the pipeline."""
    out = tmp_path_factory.mktemp("run")
    train_vae(out, STEPS, n_scenes=3, batch=BATCH)
    build_latents(out, n_random=12, n_captioned=3, batch=5, workers=0)
    for stage in ("composer", "settle", "sides", "trunk", "upper", "renderer"):
        getattr(train_unet, f"train_{stage}")(out, STEPS, batch=BATCH)
    return out


def test_each_stage_trains_its_own_part_and_says_what_it_lost(run: Path) -> None:
    for stage, names in PARTS.items():
        saved = torch.load(run / f"{stage}.pt", weights_only=True)
        assert saved["n"] == STEPS
        assert all(name.startswith(names) for name in saved["averages"]["unet"])
        assert all(value.isfinite().all() for value in saved["averages"]["unet"].values())


def test_a_later_stage_goes_on_from_an_earlier_one(run: Path) -> None:
    untrained, trained = Model(run, "cpu"), Model(run, "cpu")
    load_trained(trained, run)
    before, after = untrained.unet.state_dict(), trained.unet.state_dict()
    renderer = torch.load(run / "renderer.pt", weights_only=True)["averages"]["unet"]
    for name, value in renderer.items():
        assert torch.equal(after[name], value)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    for names in PARTS.values():
        assert any(name.startswith(names) for name in moved)


def test_a_finished_stage_that_is_run_again_changes_nothing_and_the_renderer_counts(run: Path) -> None:
    before = (run / "sides.pt").stat().st_mtime_ns
    train_unet.train_sides(run, STEPS, batch=BATCH)
    assert (run / "sides.pt").stat().st_mtime_ns == before
    os.utime(run / "sides.pt")  # the newest, as it may be in a copied folder
    model = Model(run, "cpu")
    load_trained(model, run)
    weights = model.unet.state_dict()
    renderer = torch.load(run / "renderer.pt", weights_only=True)["averages"]["unet"]
    assert all(torch.equal(weights[name], value) for name, value in renderer.items())


def test_what_a_gpu_trained_opens_without_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    def load(file: Path, **options: Any) -> Any:
        places.append(options.get("map_location"))
        return real(file, **options)

    real = torch.load
    monkeypatch.setattr(torch, "load", load)
    load_trained(Model(run, "cpu"), run)
    load_vae(run)
    train_unet.train_settle(run, STEPS, batch=BATCH)
    assert set(places) == {"cpu"}


def test_latents_of_an_earlier_autoencoder_are_made_again(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert not are_latents_current(out)
    shutil.copytree(run, out)
    assert are_latents_current(out)
    saved = torch.load(out / "vae.pt", weights_only=True)
    next(v for k, v in saved["averages"]["vae"].items() if k.startswith("encoder")).add_(0.1)
    torch.save(saved, out / "vae.pt")
    assert not are_latents_current(out)
    (out / "latents" / VAE_HASH).unlink()  # made before the hash was kept
    assert are_latents_current(out)


def test_encoded_scenes_know_where_their_sprites_stand(run: Path) -> None:
    encoded = load_latents(run / "latents", "cpu")
    assert encoded["latents"].shape == (15, 4, 64, 64)
    assert encoded["sides"].shape == (15, 4, 16, 16)
    assert (encoded["sides"] < 16).any()


def test_what_it_exports_is_a_pipeline(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path)
    index = json.loads((tmp_path / "pipeline" / "model_index.json").read_text("utf-8"))
    assert index["_class_name"] == "StableDiffusionXLPipeline"
    pipeline = StableDiffusionXLPipeline.from_pretrained(tmp_path / "pipeline", torch_dtype=torch.float32)
    drawn = pipeline("a cat in the snow", num_inference_steps=1, guidance_scale=0.0, output_type="np").images
    assert drawn.shape == (1, 256, 256, 3)
    assert np.isfinite(drawn).all()
