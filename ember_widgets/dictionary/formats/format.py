"""What a format of SAE files is, and the form into which all of them are read.

Every format is read into codes = activation((x − b_dec)·W_enc + b_enc), decoded as codes·W_dec + b_dec. What
differs is folded into the weights: an input from which b_dec is not subtracted, codes that are multiplied by
the length of decoder rows, a gate.

To add a format, write one file that makes a `Format`, and list it in `table`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ember_widgets.dictionary.checkpoint import Checkpoint, Tensors

TARGETS = ("update", "output")


class NotThisFormat(ValueError):
    """The file is of the format but cannot be read; the message says why."""


@dataclass(frozen=True)
class Open:
    """What the file of an SAE left open; as in `LoadedSAE`."""

    alternatives: tuple[Writable, ...] = ()
    unit_known: bool = True
    measured: str = ""


class Writable(Protocol):
    """What a format needs of an SAE to write it; not an `SAE`, which imports the formats to save itself."""

    # Properties: an SAE is immutable.
    @property
    def W_enc(self) -> Tensor: ...
    @property
    def b_enc(self) -> Tensor: ...
    @property
    def W_dec(self) -> Tensor: ...
    @property
    def b_dec(self) -> Tensor: ...
    @property
    def activation(self) -> str: ...
    @property
    def k(self) -> int | None: ...
    @property
    def threshold(self) -> Tensor | None: ...
    @property
    def target(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def unit(self) -> Tensor: ...
    @property
    def positional(self) -> tuple[int, ...]: ...
    @property
    def d_model(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    @property
    def open(self) -> Open: ...


@dataclass(frozen=True)
class Reading:
    """One way to read a checkpoint: canonical tensors, and what it says about itself.

    Attributes:
        W_enc, b_enc, W_dec, b_dec: As in `SAE`.
        activation, k, threshold: As in `SAE`.
        target: "update" or "output".
        site: Module path, or None where the checkpoint does not say.
        unit: Typical activations, 0 for features that never fired; None where the checkpoint does not say.
        unit_known: Whether `unit` was measured; None = it was if any of it is above 0.
        positional: As in `SAE`.
        measured: As in `LoadedSAE`.
    """

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    activation: str
    k: int | None = None
    threshold: Tensor | None = None
    target: str = "output"
    site: str | None = None
    unit: Tensor | None = None
    unit_known: bool | None = None
    positional: tuple[int, ...] = ()
    measured: str = ""


@dataclass(frozen=True)
class Given:
    """What the caller of `load_sae` says about a checkpoint; None = nothing.

    Attributes:
        target: "update" or "output".
        k: Codes kept per patch.
        threshold: Scalar or (n_features,).
        activation: As in `SAE`.
    """

    target: str | None = None
    k: int | None = None
    threshold: float | Tensor | None = None
    activation: str | None = None

    def check(self, reading: Reading) -> None:
        """Check that the caller does not give another activation than the checkpoint says.

        Raises:
            NotThisFormat: It is another.
        """
        if self.activation not in (None, reading.activation):
            raise NotThisFormat(
                f"it says that its activation is {reading.activation!r}; "
                f"leave activation={self.activation!r} out"
            )

    def applied_to(self, reading: Reading) -> Reading:
        """The reading, with what the caller says in place of what the checkpoint says.

        Raises:
            NotThisFormat: See `check`.
        """
        self.check(reading)
        if self.target is not None:
            reading = replace(reading, target=self.target)
        if self.k is not None:
            reading = replace(reading, k=self.k)
        if self.threshold is not None:
            reading = replace(reading, threshold=torch.as_tensor(self.threshold, dtype=torch.float32))
        return reading


@dataclass(frozen=True)
class Format:
    """How one project writes its SAEs.

    Attributes:
        name: As users give it in `load_sae(format=...)`.
        recognises: Whether a checkpoint is of this format, by its names and configuration.
        read: Every way to read a checkpoint of this format, the likeliest first; only one if nothing is open.
            Raises `NotThisFormat` or KeyError if it cannot be read.
        write: Writes an SAE into a folder and returns the file with the weights; None = cannot be written.
        article: "a" or "an", as the name is pronounced.
        files: Names of the files that `write` makes.
        remove: Removes from a folder the files that `write` makes, if `write` made them.
    """

    name: str
    recognises: Callable[[Checkpoint], bool]
    read: Callable[[Checkpoint, Given], list[Reading]]
    write: Callable[[Writable, Path], Path] | None = None
    article: str = "a"
    files: tuple[str, ...] = ()
    remove: Callable[[Path], None] | None = None


def uncentred(reading: Reading) -> Reading:
    """The same tensors for an encoder that does not subtract b_dec from its input."""
    return replace(reading, b_enc=reading.b_enc + reading.b_dec @ reading.W_enc)


def rescaled(reading: Reading) -> Reading:
    """The same tensors for codes that are multiplied by the length of their decoder row."""
    lengths = reading.W_dec.norm(dim=1)
    threshold = reading.threshold
    return replace(
        reading,
        W_enc=reading.W_enc * lengths,
        b_enc=reading.b_enc * lengths,
        # A row of zeros stays one.
        W_dec=reading.W_dec / lengths.clamp_min(torch.finfo(torch.float32).tiny)[:, None],
        threshold=None if threshold is None else threshold * lengths,
    )


def gated(reading: Reading, r_mag: Tensor, b_gate: Tensor) -> Reading:
    """A gated encoder as one with thresholds.

    A code (x·w)·exp(r_mag) + b_mag is kept where the gate x·w + b_gate is above 0. Both grow with x·w, so
    this is where the code is above b_mag − exp(r_mag)·b_gate (Rajamanoharan et al. 2024, arXiv:2404.16014).

    Args:
        reading: With the gate's weights as W_enc, and the magnitudes' biases b_mag as b_enc.
        r_mag, b_gate: (n_features,).
    """
    scale = r_mag.exp()
    threshold = reading.b_enc - scale * b_gate
    return replace(reading, W_enc=reading.W_enc * scale, activation="jumprelu", threshold=threshold)


def only(checkpoint: Checkpoint, known: Collection[str]) -> None:
    """Check that every tensor of the checkpoint is known.

    Raises:
        NotThisFormat: Others would be left out, and the codes would be others than the file's.
    """
    unknown = sorted(checkpoint.tensors.keys() - set(known))
    if unknown:
        raise NotThisFormat(
            f"it has tensors that are not known ({', '.join(unknown[:6])}), and codes without them could be "
            "wrong; leave them out if they do not take part in encoding"
        )


def whole(tensors: Tensors, name: str) -> int:
    """A tensor that holds one whole number.

    Raises:
        NotThisFormat: It holds something else.
    """
    value = tensors[name]
    if value.numel() != 1 or not (1 <= float(value) < 2**31) or float(value) % 1:
        raise NotThisFormat(f"its tensor {name!r} should be one whole number of at least 1")
    return int(value)


def kept(k: int | None, given: Given) -> int:
    """How many codes are kept per patch.

    Args:
        k: As the checkpoint says; None = it does not.
        given: What the caller says, which comes first.

    Raises:
        NotThisFormat: Nobody says it.
    """
    found = k if given.k is None else given.k
    if found is None:
        raise NotThisFormat(
            "nothing says how many codes are kept per patch; give load_sae(..., k=...) as it was trained, "
            "or put its configuration beside it"
        )
    return found


def sized(reading: Reading, checkpoint: Checkpoint, d_model: int | None, n_features: int | None) -> None:
    """Check that the tensors have the sizes that the configuration says.

    Raises:
        NotThisFormat: They have others.
    """
    said, found = (d_model, n_features), tuple(reading.W_enc.shape)
    if any(a is not None and a != b for a, b in zip(said, found, strict=True)):
        raise NotThisFormat(
            f"{checkpoint.config.place} says (channels, features) = {said}, and its tensors have {found}; "
            "they are of two SAEs"
        )


def without_prefix(tensors: Tensors, known: Collection[str]) -> dict[str, Tensor]:
    """Without what wrappers put before every name, such as "module." or "_orig_mod."."""
    names = list(tensors)
    while names and not set(known) & set(names):
        first = names[0].split(".", 1)[0] + "."
        if not all(name.startswith(first) and len(name) > len(first) for name in names):
            break
        tensors = {name.removeprefix(first): value for name, value in tensors.items()}
        names = list(tensors)
    return dict(tensors)


def oriented(weight: Tensor, shape: tuple[int, int], name: str) -> Tensor:
    """The weight, transposed if it must be.

    Raises:
        NotThisFormat: It has neither the shape nor its transpose.
    """
    if tuple(weight.shape) == shape:
        return weight.contiguous()
    if tuple(weight.shape) == shape[::-1]:
        return weight.T.contiguous()
    raise NotThisFormat(f"{name} has shape {tuple(weight.shape)}, but it should be {shape} or its transpose")


def linear(tensors: Tensors, names: Mapping[str, str], *, by_torch: tuple[str, ...] = ()) -> dict[str, Any]:
    """The four canonical tensors, oriented by the lengths of the biases.

    Args:
        tensors: The state dict.
        names: {"W_enc": its name, ...}. A bias that is left out is 0.
        by_torch: Which of W_enc and W_dec are weights of an `nn.Linear`, (out, in). This matters only if
            the shapes do not tell.

    Raises:
        KeyError: A tensor is missing.
    """
    W_enc, W_dec = tensors[names["W_enc"]], tensors[names["W_dec"]]
    if W_enc.ndim != 2 or W_dec.ndim != 2:
        raise NotThisFormat(f"{names['W_enc']} and {names['W_dec']} must be matrices")
    for name in (names[role] for role in ("b_enc", "b_dec") if role in names):
        if tensors[name].ndim != 1:
            raise NotThisFormat(f"{name} must be a list of numbers, not {tuple(tensors[name].shape)}")
    long, short = max(W_enc.shape), min(W_enc.shape)
    n_features = len(tensors[names["b_enc"]]) if "b_enc" in names else None
    d_model = len(tensors[names["b_dec"]]) if "b_dec" in names else None
    if n_features is None:
        n_features = short if d_model == long else long
    if d_model is None:
        d_model = long if n_features == short else short
    if n_features == d_model:  # the shape of a square weight tells nothing: go by convention
        encoder = W_enc.T if "W_enc" in by_torch else W_enc
        decoder = W_dec.T if "W_dec" in by_torch else W_dec
    else:
        encoder = oriented(W_enc, (d_model, n_features), names["W_enc"])
        decoder = oriented(W_dec, (n_features, d_model), names["W_dec"])
    zeros = torch.zeros
    return {
        "W_enc": encoder.contiguous(),
        "b_enc": tensors[names["b_enc"]] if "b_enc" in names else zeros(n_features),
        "W_dec": decoder.contiguous(),
        "b_dec": tensors[names["b_dec"]] if "b_dec" in names else zeros(d_model),
    }
