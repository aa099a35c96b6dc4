"""The files from which a page paints: the model's parts as graphs, the SAE, tokenizers, labels and icons.

js/src/page/model reads them. `manifest.json` says what there is; each other file is packed with gzip, since
not every static host packs what it sends.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.sdxl import parts
from ember_widgets.model.sdxl.backbone import SDXL
from ember_widgets.model.sdxl.staged_unet import StagedUNet, latent_side
from ember_widgets.model.sdxl.upsampling import before_upsampling
from ember_widgets.painter.painter import Painter
from ember_widgets.util import checks, files

if TYPE_CHECKING:
    from onnx import ModelProto

FORMAT = 2
MANIFEST = "manifest.json"
SMALLEST_HALF = 1024
"""Weights of fewer numbers stay in float32: they take no space."""
# What a page can sample with, and what the UNet may predict for it.
PREDICTIONS = {
    "EulerDiscreteScheduler": ("epsilon", "v_prediction", "sample"),
    "EulerAncestralDiscreteScheduler": ("epsilon", "v_prediction"),
}


def export_model(painter: Painter, folder: Path) -> dict[str, int]:
    """Write all that a page needs to paint with a painter's model.

    Weights of graphs are written in float16 and computed with in float32. The embedded model's weights are
    float16 numbers, so it loses nothing.

    Args:
        painter: Loaded with ``dtype="float32"``; with one SAE and without guidance.
        folder: Where to write; it is made. Files of the same names are replaced.

    Returns:
        {file: its bytes}, the manifest included.

    Raises:
        ImportError: The packages `onnx` and `onnxscript` are not installed.
        ValueError: A page cannot paint with this painter; the message says why.
        OSError: It cannot be written there.
    """
    check(painter)
    files.make_folder(folder)
    (sae,) = painter.model.saes.values()
    packed: dict[str, bytes] = {}
    with TemporaryDirectory() as work:
        graphs = _graphs(painter, sae.site, Path(work))
    for name, graph in graphs.items():
        packed[f"{name}.onnx"] = graph
    packed["sae.safetensors"] = _tensors(_sae_tensors(sae))
    icons = {feature: painter.icons.encoded(feature) for feature in painter.icons}
    packed["icons.safetensors"] = _tensors(
        {str(f): torch.frombuffer(bytearray(data), dtype=torch.uint8) for f, data in icons.items()}
    )
    tokenizers = _tokenizers(painter, packed)
    written, sizes = {}, {}
    for name, data in packed.items():
        small = gzip.compress(data, 9, mtime=0)
        files.write(folder / f"{name}.gz", small)
        written[name] = {"file": f"{name}.gz", "bytes": len(small), "unpacked": len(data)}
        sizes[f"{name}.gz"] = len(small)
    manifest = {"format": FORMAT, "files": written} | _facts(painter, sae) | {"tokenizers": tokenizers}
    data = json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode()
    files.write(folder / MANIFEST, data)
    return sizes | {MANIFEST: len(data)}


def check(painter: Painter) -> None:
    """Refuse to go on where no page can be made, before anything is drawn.

    Raises:
        ImportError, ValueError: As `export_model`.
    """
    parts.check_exporter()
    backbone = painter.backbone
    if not isinstance(backbone, SDXL):
        raise ValueError(f"the model is a {type(backbone).__name__}; a page paints with SDXL's family only")
    pipe = backbone.pipeline
    scheduler, config = type(pipe.scheduler).__name__, pipe.scheduler.config
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in pipe.unet.parameters()})
    known = " or ".join(f"{name} ({', '.join(kinds)})" for name, kinds in PREDICTIONS.items())
    faults = {
        f"steers {len(painter.model.saes)} sites; open it with one": len(painter.model.saes) != 1,
        f"computes in {', '.join(dtypes)}; load it with dtype='float32'": dtypes != ["float32"],
        f"has guidance={painter.guidance:g}; a page has none": painter.guidance > 1,
        f"samples with {scheduler} for {config.prediction_type}; a page does so with {known}": (
            config.prediction_type not in PREDICTIONS.get(scheduler, ())
        ),
        "has an SAE of another kind than topk and batchtopk": any(
            sae.activation not in ("topk", "batchtopk") for sae in painter.model.saes.values()
        ),
    }
    for fault, applies in faults.items():
        if applies:
            raise ValueError(f"this painter {fault}")


def _graphs(painter: Painter, site: str, work: Path) -> dict[str, bytes]:
    """{name: ONNX graph} of the parts of a picture, with weights in float16."""
    backbone = painter.backbone
    assert isinstance(backbone, SDXL)  # checked; tells the type checker
    pipe = backbone.pipeline
    # The painter may go on meanwhile, in whichever memory format it likes.
    unet, vae = copy.deepcopy(pipe.unet), copy.deepcopy(pipe.vae)
    before_upsampling(unet, vae)
    stage = StagedUNet(unet.to(memory_format=torch.contiguous_format), site)
    encoders = parts.TextEncoders(pipe.text_encoder, pipe.text_encoder_2)
    side = latent_side(unet)
    ids = [torch.zeros(1, one.model_max_length, dtype=torch.int64) for one in _tokenizers_of(pipe)]
    latents = torch.zeros(1, unet.config.in_channels, side, side)
    t, time_ids = torch.tensor(999.0), torch.tensor([_time_ids(pipe)])
    with torch.no_grad():
        text, pooled = encoders(*ids)
        prefix = parts.Prefix(stage)
        hidden_in, hidden_out, emb, *skips = prefix(latents, t, text, pooled, time_ids)
    skip_names = parts.skip_names(len(skips))
    wanted: dict[str, tuple[nn.Module, parts.Example]] = {
        "text": (encoders, parts.Example(tuple(ids), ("ids", "ids_2"), ("text", "pooled"))),
        "prefix": (
            prefix,
            parts.Example(
                (latents, t, text, pooled, time_ids),
                ("sample", "t", "text", "pooled", "time_ids"),
                ("hidden_in", "hidden_out", "emb", *skip_names),
            ),
        ),
        "embedding": (
            parts.Embedding(stage),
            parts.Example(
                (hidden_in, t, text, pooled, time_ids),
                ("hidden_in", "t", "text", "pooled", "time_ids"),
                ("emb",),
            ),
        ),
        "suffix": (
            parts.Suffix(stage),
            parts.Example(
                (hidden_out, emb, text, *skips), ("hidden_out", "emb", "text", *skip_names), ("prediction",)
            ),
        ),
        "decoder": (parts.Decoder(vae), parts.Example((latents,), ("latents",), ("pixels",))),
    }
    found = {}
    for name, (part, example) in wanted.items():
        path = work / f"{name}.onnx"
        parts.to_onnx(part, example, path)
        found[name] = _halved(path)
    return found


def _halved(path: Path) -> bytes:
    """A graph with its weights in float16, cast to float32 when a session is made."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model: ModelProto = onnx.load(path)
    graph, casts = model.graph, []
    for weights in graph.initializer:
        if weights.data_type != TensorProto.FLOAT or np.prod(weights.dims) < SMALLEST_HALF:
            continue
        name, values = weights.name, numpy_helper.to_array(weights)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue  # the mask of a text encoder has the largest float32
        half = values.astype(np.float16)
        weights.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    # Where nodes came from, which the exporter notes, takes more space than they do themselves.
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _sae_tensors(sae: SAE) -> dict[str, Tensor]:
    names = ("W_enc", "b_enc", "W_dec", "b_dec", "unit")
    tensors = {name: getattr(sae, name) for name in names} | {"lengths": sae.W_dec.norm(dim=1)}
    if sae.threshold is not None:
        tensors["threshold"] = torch.as_tensor(sae.threshold).reshape(-1)
    return {name: tensor.float().cpu().contiguous() for name, tensor in tensors.items()}


def _tensors(tensors: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    data: bytes = save(dict(tensors))
    return data


def _tokenizers_of(pipe: Any) -> list[Any]:
    return [pipe.tokenizer, pipe.tokenizer_2]


def _tokenizers(painter: Painter, packed: dict[str, bytes]) -> list[dict[str, Any]]:
    """What the manifest says of each tokenizer; their vocabularies are added to the files."""
    backbone = painter.backbone
    assert isinstance(backbone, SDXL)
    found: list[dict[str, Any]] = []
    for tokenizer in _tokenizers_of(backbone.pipeline):
        data = tokenizer.backend_tokenizer.to_str().encode()
        kept = json.loads(data)
        text = json.dumps({"added_tokens": kept["added_tokens"], "model": kept["model"]}, ensure_ascii=False)
        same = [name for name, other in packed.items() if other == text.encode()]
        name = same[0] if same else f"tokenizer{len(found) or ''}.json"
        packed[name] = text.encode()
        tokens = {role: getattr(tokenizer, role) for role in ("bos_token", "eos_token", "pad_token")}
        found.append({"file": name, "model_max_length": tokenizer.model_max_length} | tokens)
    return found


def _time_ids(pipe: Any) -> list[float]:
    """Sizes that SDXL reads beside the text, as the sampler has them."""
    side = float(latent_side(pipe.unet) * pipe.vae_scale_factor)
    return [side, side, 0.0, 0.0, side, side]


def _facts(painter: Painter, sae: SAE) -> dict[str, Any]:
    """All else that the manifest says."""
    backbone = painter.backbone
    assert isinstance(backbone, SDXL)
    pipe = backbone.pipeline
    most_steps = checks.most_steps(painter.guidance)
    return {
        "facts": painter.model.identity,
        "grid": list(painter.grid.shape),
        "side": backbone.picture_side,
        "latents": [1, pipe.unet.config.in_channels, *[latent_side(pipe.unet)] * 2],
        "time_ids": _time_ids(pipe),
        "schedules": [schedule_of(pipe.scheduler, n_steps) for n_steps in range(1, most_steps + 1)],
        "sae": {
            "d_model": sae.d_model,
            "n_features": sae.n_features,
            "activation": sae.activation,
            "k": sae.k,
            "target": sae.target,
            "positional": list(sae.positional),
        },
        "labels": {str(feature): text for feature, text in painter.labels.items()},
        "known_words": list(painter.known_words),
    }


def schedule_of(scheduler: Any, n_steps: int) -> dict[str, Any]:
    """How a page samples as a scheduler does, in a number of steps."""
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(n_steps)
    return {
        "ancestral": type(scheduler).__name__ == "EulerAncestralDiscreteScheduler",
        "prediction_type": scheduler.config.prediction_type,
        "timesteps": scheduler.timesteps.tolist(),
        "sigmas": scheduler.sigmas.tolist(),
        "init_noise_sigma": float(scheduler.init_noise_sigma),
    }
