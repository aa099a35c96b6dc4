"""SDXL's true geometry with random weights, on a CPU: run by hand, `pytest -m slow -s`, with 20 GB free.

What it proves without the weights: the staged UNet is the diffusers UNet at full size and in bfloat16; every
site has the shape that public SAEs expect; an SAE of 10,240 features fits. It prints times
and the memory peak.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import pytest
import torch

from ember_widgets import Painter
from tests import full_size
from tests.pipeline import tiny

pytestmark = pytest.mark.slow

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.bfloat16, torch.float16] if DEVICE == "cuda" else [torch.bfloat16]


@pytest.fixture(scope="module", params=DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
def pipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return full_size.pipeline(tmp_path_factory.mktemp("full"), request.param, DEVICE)


def timed(what: str, work: Any) -> Any:
    started = time.perf_counter()
    result = work()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    print(f"{what:44s}{time.perf_counter() - started:8.2f} s")
    return result


def peak_gb() -> float:
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def test_full_size(pipe: Any) -> None:
    """One test: each pass takes minutes on a CPU, and all share the first."""
    n_parameters = sum(p.numel() for p in pipe.unet.parameters())
    assert n_parameters == 2_567_463_684
    print(f"\n{DEVICE}, {pipe.unet.dtype}, {torch.get_num_threads()} threads, {n_parameters / 1e9:.2f} B")
    painter = Painter(pipe, {"down.2.1": full_size.sae("down_blocks.2.attentions.1")}, name="full")
    scene = timed("analyze", lambda: painter.analyze("a lion", seed=1))
    assert painter.activations(scene).shape == (16, 16, full_size.N_FEATURES)
    unedited = np.asarray(timed("render, unedited", lambda: painter.render(scene)))
    generator = torch.Generator().manual_seed(1)
    asked = {"num_inference_steps": 1, "guidance_scale": 0.0, "generator": generator}
    plain = timed("the pipeline itself", lambda: pipe("a lion", **asked).images[0])
    assert unedited.shape == (512, 512, 3)
    assert np.array_equal(unedited, np.asarray(plain))

    edited = scene.scale(0, 5.0)
    found = np.asarray(timed("render, edited", lambda: painter.render(edited)))
    one = next(iter(painter.saes.values()))
    moved = torch.tensor(edited.strengths - edited.base_strengths, device=DEVICE).view(256, -1)
    change = (moved @ (torch.tensor(edited.basis, device=DEVICE) @ one.W_dec)).T.reshape(
        1, full_size.D_MODEL, 16, 16
    )

    def hook(_: Any, args: Any, output: Any) -> Any:
        return (output[0] + change.to(output[0].dtype),)

    shapes: dict[str, tuple[int, ...]] = {}
    blocks = {site: pipe.unet.get_submodule(site) for site in tiny.SITES.values()}
    handles = [blocks[one.site].register_forward_hook(hook)]
    for site, block in blocks.items():
        handles.append(
            block.register_forward_hook(lambda *a, site=site: shapes.update({site: tuple(a[2][0].shape)}))
        )
    try:
        generator.manual_seed(1)
        hooked = np.asarray(timed("the pipeline with a hook", lambda: pipe("a lion", **asked).images[0]))
    finally:
        for handle in handles:
            handle.remove()
    assert shapes == dict.fromkeys(tiny.SITES.values(), (1, full_size.D_MODEL, 16, 16))
    assert np.array_equal(found, hooked)
    assert not np.array_equal(found, unedited)
    print(f"memory peak {peak_gb():.1f} GB")
