"""SAE: the dictionary of one steering site.

A sparse autoencoder writes a patch's vector as a sum of a few of many directions ("features"). The BatchTopK
kind (Bussmann et al. 2024, arXiv:2412.06410) keeps the k largest codes per patch *on average over the
image*, so that busy patches may use more features than plain ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ember_widgets.dictionary.formats.format import TARGETS, Open
from ember_widgets.dictionary.formats.table import FORMATS
from ember_widgets.dictionary.publishing import Upload, push
from ember_widgets.util import checks, files

ACTIVATIONS = ("topk", "batchtopk", "jumprelu", "groupmax")
SAMPLED = 4096
"""How many values of each matrix `contents` looks at, at least."""


@dataclass(frozen=True, eq=False, repr=False)
class SAE:
    """A trained sparse autoencoder in canonical form, whatever file it came from.

    Tensors may be given in another dtype, as arrays or as numbers; they are kept as float32 tensors.

    Attributes:
        W_enc: (d_model, n_features) float32.
        b_enc: (n_features,) float32.
        W_dec: (n_features, d_model) float32. Rows need not have unit length.
        b_dec: (d_model,) float32, also subtracted from the input before encoding.
        activation: "topk" (k largest per patch), "batchtopk" (k per patch on average), "jumprelu" (all
            above `threshold`) or "groupmax" (the largest of each of k groups of neighbouring features).
        k: Codes kept per patch; not for "jumprelu".
        threshold: Scalar or (n_features,); codes not above it become 0, and one below 0 keeps all. A
            BatchTopK SAE with a threshold is encoded with it, so that codes do not depend on the other
            patches. Without one, the k·n largest codes of n patches are kept.
        target: What is encoded: "update" (what the block adds: output − input) or "output".
        site: diffusers module path of the block, such as "down_blocks.2.attentions.1".
        unit: (n_features,) typical activation where active, > 0; brush strength 1.0 of a lone feature.
        positional: Features active along borders whatever the picture; left out when factors are fitted.
        source: Where it was read from.
        sha256: Hash of the file's weights; scenes store it.
        as_read: What `contents` is when the file is read as it stands; "" if it leaves something open and
            the caller decided.
    """

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    activation: str
    k: int | None
    threshold: Tensor | None
    target: str
    site: str
    unit: Tensor
    positional: tuple[int, ...] = ()
    source: str = ""
    sha256: str = ""
    as_read: str = ""

    def __post_init__(self) -> None:
        for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold", "unit"):
            if name != "threshold" or self.threshold is not None:
                object.__setattr__(self, name, _in_float32(name, getattr(self, name)))
        if self.W_enc.ndim != 2:
            raise ValueError(f"W_enc has shape {tuple(self.W_enc.shape)}; it must be (d_model, n_features)")
        d_model, n_features = self.W_enc.shape
        shapes = {
            "b_enc": (n_features,),
            "W_dec": (n_features, d_model),
            "b_dec": (d_model,),
            "unit": (n_features,),
        }
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                given = tuple(getattr(self, name).shape)
                raise ValueError(
                    f"{name} has shape {given}, but W_enc is {(d_model, n_features)}; {name} must be {shape}"
                )
        for name in ("W_enc", *shapes, "threshold"):
            value = getattr(self, name)
            if value is not None and not _is_finite(value):
                raise ValueError(
                    f"{name} holds numbers that are not finite: the file is damaged, or the training failed; "
                    "give another"
                )
        if bool((self.unit <= 0).any()):
            raise ValueError("unit holds values <= 0; give each feature's typical activation, all above 0")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={self.activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)}"
            )
        if self.target not in TARGETS:
            raise ValueError(
                f"target={self.target!r} is unknown; choose 'update' (output − input) or 'output'"
            )
        if self.activation == "jumprelu" and self.threshold is None:
            raise ValueError(
                "activation='jumprelu' needs a threshold, and none was given; give one or choose 'batchtopk'"
            )
        # Plain integers, also where numpy's were given: they are written as JSON.
        if self.k is not None:
            k = checks.whole_number("k", self.k, hint=f"give an int 1..{n_features}")
            object.__setattr__(self, "k", k)
        positional = tuple(checks.feature_index(feature, n_features) for feature in self.positional)
        object.__setattr__(self, "positional", positional)
        if self.threshold is not None:
            levels = tuple(self.threshold.shape)
            if self.threshold.numel() == 1:
                object.__setattr__(self, "threshold", self.threshold.reshape(()))
            elif levels != (n_features,):
                raise ValueError(
                    f"threshold has shape {levels}, but W_enc is {(d_model, n_features)}; "
                    f"threshold must be a number or {(n_features,)}"
                )
        fits = self.threshold is not None if self.k is None else 1 <= self.k <= n_features
        if self.activation != "jumprelu" and not fits:
            raise ValueError(f"k={self.k}, but {self.activation} needs k in 1..{n_features} or a threshold")
        if self.activation == "groupmax" and (self.threshold is not None or n_features % (self.k or 1)):
            raise ValueError(
                f"activation='groupmax' needs k groups of the same size and no threshold; k={self.k} must "
                f"divide the {n_features} features"
            )

    @property
    def d_model(self) -> int:
        """Length of a patch's vector."""
        return int(self.W_enc.shape[0])

    @property
    def n_features(self) -> int:
        """Number of dictionary elements."""
        return int(self.W_enc.shape[1])

    @property
    def contents(self) -> str:
        """A hash of all that decides codes; of matrices a sample that has values of each row and column."""
        digest = hashlib.sha256(f"{self.activation} {self.k} {self.target}".encode())
        for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold"):
            if (value := getattr(self, name)) is not None:
                values = value.detach()
                if values.ndim == 2:
                    # Along diagonals: whoever changes one feature changes a row or a column.
                    places = torch.arange(max(SAMPLED, *values.shape), device=values.device)
                    values = values[places % len(values), places % values.shape[1]]
                digest.update(values.cpu().numpy().tobytes())
        return digest.hexdigest()

    @property
    def key(self) -> str:
        """Identifies what it computes: `sha256`, or another hash if it is not what the file alone says.

        "" without a file: then nothing that is computed with it is kept on disk.
        """
        if not self.sha256 or (contents := self.contents) == self.as_read:
            return self.sha256
        return hashlib.sha256((self.sha256 + contents).encode()).hexdigest()

    @property
    def open(self) -> Open:
        """What the SAE's file left open: here nothing."""
        return Open()

    def to(self, device: torch.device | str) -> SAE:
        """The same SAE on another device."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in fields.items() if isinstance(v, Tensor)}
        return dataclasses.replace(self, **moved)

    def at(self, site: str) -> SAE:
        """The same SAE for another site."""
        return dataclasses.replace(self, site=site)

    def __repr__(self) -> str:
        kept = f"k={self.k}" if self.threshold is None else "threshold"
        return (
            f"SAE({self.n_features} features of {self.d_model} channels, {self.activation} {kept}, "
            f"{self.target} of {self.site})"
        )

    def encode(self, x: Tensor) -> Tensor:
        """Codes of patches.

        Args:
            x: (..., d_model); for "batchtopk" without a threshold, the patches of one image. Any float dtype.

        Returns:
            (..., n_features) float32, ≥ 0, mostly 0.
        """
        _check_tensor("x", x)
        if x.shape[-1] != self.d_model:
            raise ValueError(
                f"x has {x.shape[-1]} channels, but this SAE encodes {self.d_model}; give site activations"
            )
        centred = (x.float() - self.b_dec).reshape(-1, self.d_model)
        # In place from here on: with ten thousand features, allocating an array takes longer than filling it.
        codes = torch.addmm(self.b_enc, centred, self.W_enc).relu_()
        if self.threshold is not None:
            codes.masked_fill_(codes <= self.threshold, 0)
        elif self.activation == "topk":
            assert self.k is not None  # checked when made; tells the type checker
            codes = _largest(codes, self.k)
        elif self.activation == "groupmax":
            assert self.k is not None
            codes = _largest(codes.view(-1, self.n_features // self.k), 1)
        else:
            assert self.k is not None
            codes = _largest(codes.view(1, -1), self.k * len(codes))
        return codes.view(*x.shape[:-1], self.n_features)

    def decode(self, codes: Tensor) -> Tensor:
        """Patch vectors from codes: codes·W_dec + b_dec.

        Args:
            codes: (..., n_features).

        Returns:
            (..., d_model) float32.
        """
        _check_tensor("codes", codes)
        if codes.shape[-1] != self.n_features:
            raise ValueError(f"codes have {codes.shape[-1]} features, but this SAE has {self.n_features}")
        return codes.float() @ self.W_dec + self.b_dec

    def save(self, folder: str | os.PathLike[str], *, format: str = "ember") -> Path:
        """Write the SAE, atomically; `load_sae(folder)` reads it back with the same codes.

        An SAE that this method wrote there before is replaced, in whichever format it was. Other files stay.

        Args:
            folder: Where to write; it is made if needed.
            format: "ember", our own, exact: one file `sae.safetensors`; or "saelens": SAELens loads it too.

        Returns:
            The file with the weights.

        Raises:
            ValueError: An unknown format, or an SAE that SAELens cannot store.
            OSError: It cannot be written there; an SAE that was there before is whole.

        Example:
            >>> sae.save("my-sae")                                                    # doctest: +SKIP
            >>> sae.save("my-sae-for-saelens", format="saelens")                      # doctest: +SKIP
        """
        writable = {entry.name: entry for entry in FORMATS.values() if entry.write is not None}
        if format not in writable or (write := writable[format].write) is None:
            listed = " or ".join(f"{name!r}{' (exact)' if name == 'ember' else ''}" for name in writable)
            raise ValueError(f"format={format!r} cannot be written; choose {listed}")
        place = checks.path("folder", folder)
        files.make_folder(place)
        written = write(self, place)
        for name, entry in writable.items():
            if name != format and entry.remove is not None:
                entry.remove(place)  # else the folder had two SAEs, and could not be loaded
        return written

    def push_to_hub(
        self,
        repo: str,
        *,
        licence: str | None = None,
        licence_link: str | None = None,
        model: str | None = None,
        data: str = "",
        evaluation: object = None,
        private: bool = True,
        token: str | None = None,
        format: str = "ember",
        message: str | None = None,
    ) -> str:
        """Put the SAE on the Hugging Face hub, with a model card that describes it.

        `Painter.from_pretrained(..., sae=repo)` and `load_sae(repo)` load it from there. The repository is
        made if needed; an SAE and a card that are there are replaced, and other files stay.

        Args:
            repo: "owner/name".
            licence: Under which you give it; you must say it. The name that the hub has for it, such as
                "mit"; or, with `licence_link`, any name. An SAE comes from activations of a model: read what
                the model's licence allows.
            licence_link: Where a licence stands that the hub has no name for.
            model: Hub id of the model whose activations it encodes, such as "stabilityai/sdxl-turbo".
            data: What the card says about the prompts that it was trained on. It is shown as it stands.
            evaluation: What the card says about its quality: anything that prints, such as what
                `ember.evaluate_sae` returns.
            private: Whether only you can see it. If so, a repository that is public already is refused.
            token: With permission to write; None = the one that was logged in with.
            format: "ember" or "saelens", as for `save`.
            message: What the repository's history says; None = which site it is of.

        Returns:
            The repository's address.

        Raises:
            ValueError: No licence, no id of the hub, or an unknown format; the repository is public; or the
                SAE cannot be stored in this format.
            PermissionError: There is no token, or it may not write there.
            ConnectionError: The network is not used, or the connection broke; calling again goes on.

        Example:
            >>> sae.push_to_hub("me/my-sae", licence="mit", data="COCO captions")     # doctest: +SKIP
        """
        upload = Upload(repo, licence, licence_link, model, data, evaluation, private, token, format, message)
        return push(upload, {"": self})


def _in_float32(name: str, value: object) -> Tensor:
    try:
        return torch.as_tensor(value, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):  # which of them depends on what it is
        raise TypeError(f"{name}={checks.shown(value)} is not a tensor; give one of real numbers") from None


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}={checks.shown(value)} is not a tensor; give torch.as_tensor({name})")


def _is_finite(values: Tensor) -> bool:
    # Both are NaN if any value is. Other ways allocate an array as large as the values.
    return not values.numel() or all(bool(torch.isfinite(value)) for value in torch.aminmax(values))


def _largest(codes: Tensor, k: int) -> Tensor:
    """The k largest of each row, all else 0: (n, m) -> (n, m).

    Cut into pieces, the k largest lie in the k pieces with the largest maxima: of ten thousand codes only
    some hundred are ever sorted.
    """
    n, m = codes.shape
    length = _piece(m, k)
    if not length:
        values, indices = codes.topk(k, dim=1, sorted=False)
        return torch.zeros_like(codes).scatter_(1, indices, values)
    pieces = codes.view(n, m // length, length)
    chosen = pieces.amax(2).topk(k, dim=1, sorted=False).indices
    near = pieces.gather(1, chosen[:, :, None].expand(n, k, length)).view(n, -1)
    values, at = near.topk(k, dim=1, sorted=False)
    indices = chosen.gather(1, at // length) * length + at % length
    return torch.zeros_like(codes).scatter_(1, indices, values)


def _piece(m: int, k: int) -> int:
    """Length of the pieces to cut m into; 0 where cutting does not help."""
    return next((length for length in (64, 32, 16) if m % length == 0 and m // length >= 4 * k), 0)
