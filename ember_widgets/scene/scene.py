"""Scene: all that is needed to draw a picture again, and the edits that lead from one to the next.

A scene is a value: it never changes, every edit returns a new one, and a failed edit changes nothing. So
undo is a list of scenes, and sharing a picture is saving one.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from ember_widgets.scene import scene_file
from ember_widgets.scene.grid import AREAS, GRID, REGION_SHARE, Patches, heal, patch_mask, region
from ember_widgets.scene.palette import PALETTE, free_name, palette
from ember_widgets.scene.patch_edits import PatchEdits
from ember_widgets.util import checks, files, png
from ember_widgets.util.checks import FloatArray

__all__ = [
    "AREAS",
    "GRID",
    "PALETTE",
    "REGION_SHARE",
    "Patches",
    "Scene",
    "heal",
    "palette",
    "patch_mask",
    "region",
]


class Picture(Protocol):
    """What a painter renders, as far as a scene has to do with it: a PIL image."""

    def save(self, fp: Any, format: str) -> None:
        """Write the picture to a stream."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scene(PatchEdits):
    """An immutable picture recipe: what was generated, and what was painted over it.

    A *factor* is a weighted sum of SAE features with a strength in each of the 16×16 patches. The painter
    adds to the model's activations the change that the factors make (S·H − S0·H0) and takes away what is
    left of the original where the remainder mask is below 1; a scene nobody edited changes nothing at all.

    Wherever a factor is asked for, its index or its name will do. Wherever patches are asked for, a bool
    array (16, 16), an iterable of (row, col) pairs, or the name of an area ("everything", "floor", "centre",
    "left", "right") will do. Scenes compare by value. Arrays are read-only.

    Args:
        prompt: text the picture was generated from; may be empty.
        seed: seed of the noise, 0..2**63-1.
        n_steps: sampling steps, 1..4.
        strengths: S, (16, 16, n_factors) float32. 1.0 = as strong as the model itself makes that factor; any
            finite value goes, negative ones subtract.
        remainder: (16, 16) float32 in [0, 1], how much stays of what the factors do not explain; 1 = all.
        basis: H, (n_factors, n_features) float32, each factor's features in units of SAE codes.
        names: a name per factor, all different.
        colors: a colour per factor, "#rrggbb".
        base_strengths: S0, (16, 16, n_base) float32, the strengths of the analysed picture.
        base_basis: H0, (n_base, n_features) float32, their basis as analysed.
        unit: (n_features,) float32 > 0, each feature's typical activation; 1.0 in a weight means this much.
        model: which model and SAE this belongs to, str to str ("id", "revision", "site", "sae", ...).
        origins: per factor the analysed one that it is or was copied from, 0..n_base-1; -1 for one that was
            added. None = the first n_base factors are the analysed ones, in that order.
        guidance: scale of classifier-free guidance, 0..50; above 1 there may be up to 100 steps, and edits
            steer the conditional half.
        edit_steps: (start, stop), the steps that edits apply at, counted as by ``range``; None = all.
        image: (channels, height, width) float32, the latents of the photograph it started from (scaled as the
            sampler has them, without noise); None = it started from noise alone. The photograph itself is
            not kept.
        image_strength: how much of that photograph is made anew, 0.05..1.
        sites: where several sites are steered, how many features each has: {site: n_features}, in the
            order of the features and of the network. A factor belongs to the site of its features. The
            remainder mask is the first site's: what the others do not explain follows from the picture as
            painted, and stays. None = one site.
        style: text for what comes after the grid, how things look and not where they are; it is read behind
            the prompt. "" = nothing but the prompt.

    Raises:
        TypeError: a field of the wrong type.
        ValueError: a field out of range, or of a shape that does not fit the others.

    Example:
        >>> import numpy as np
        >>> strengths, basis = np.ones((16, 16, 1)), np.eye(1, 4)
        >>> scene = Scene(prompt="", seed=0, n_steps=1, strengths=strengths, remainder=np.ones((16, 16)),
        ...               basis=basis, names=("sky",), colors=("#56b4e9",), base_strengths=strengths,
        ...               base_basis=basis, unit=np.ones(4), model={})
        >>> scene.scale("sky", 0.5).strengths[0, 0]
        array([0.5], dtype=float32)
    """

    prompt: str
    seed: int
    n_steps: int
    strengths: FloatArray
    remainder: FloatArray
    basis: FloatArray
    names: tuple[str, ...]
    colors: tuple[str, ...]
    base_strengths: FloatArray
    base_basis: FloatArray
    unit: FloatArray
    model: Mapping[str, str]
    origins: tuple[int, ...] | None = None
    style: str = ""
    guidance: float = 0.0
    edit_steps: tuple[int, int] | None = None
    image: FloatArray | None = None
    image_strength: float = 0.5
    sites: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        basis = checks.frozen_array("basis", self.basis, ("n_factors", "n_features"))
        n_factors, n_features = basis.shape
        base_basis = checks.frozen_array("base_basis", self.base_basis, ("n_base", n_features))
        n_base = len(base_basis)
        if n_base > n_factors and self.origins is None:
            raise ValueError(
                f"base_basis has {n_base} rows, but basis only {n_factors}; "
                "say with origins which of them each factor is"
            )
        guidance = checks.guidance(self.guidance)
        checked: dict[str, Any] = {
            "prompt": checks.text("prompt", self.prompt),
            "style": checks.text("style", self.style),
            "seed": checks.seed(self.seed),
            "n_steps": checks.n_steps(self.n_steps, guidance),
            "guidance": guidance,
            "image_strength": checks.image_strength(self.image_strength),
            "strengths": checks.frozen_array("strengths", self.strengths, (GRID, GRID, n_factors)),
            "remainder": checks.frozen_array("remainder", self.remainder, (GRID, GRID)),
            "basis": basis,
            "names": checks.factor_names(self.names, n_factors),
            "colors": checks.factor_colors(self.colors, n_factors),
            "base_strengths": checks.frozen_array(
                "base_strengths", self.base_strengths, (GRID, GRID, n_base)
            ),
            "base_basis": base_basis,
            "unit": checks.frozen_array("unit", self.unit, (n_features,)),
            "model": MappingProxyType(checks.model(self.model)),
            "origins": checks.origins(
                _first(n_base, n_factors) if self.origins is None else self.origins, n_factors, n_base
            ),
        }
        checked["edit_steps"] = checks.edit_steps(self.edit_steps, checked["n_steps"])
        if self.image is not None:
            checked["image"] = checks.frozen_array("image", self.image, ("channels", "height", "width"))
        if self.sites is not None:
            checked["sites"] = MappingProxyType(checks.sites(self.sites, n_features))
        if checked["remainder"].min() < 0 or checked["remainder"].max() > 1:
            raise ValueError(
                "remainder leaves 0..1; give how much of the original stays in each patch (1 = all)"
            )
        if (checked["unit"] <= 0).any():
            raise ValueError("unit has values <= 0; give each feature's typical activation, all above 0")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def restyle(self, style: str) -> Scene:
        """Have the same things drawn in another style, e.g. "pixel art"; "" takes it away.

        Raises:
            TypeError: no text.
        """
        return self.replace(style=checks.text("style", style))

    # Files and copies

    def save(self, path: str | os.PathLike[str], picture: Picture | None = None) -> None:
        """Write the scene to a file that ``Scene.load`` reads back exactly.

        The file appears whole or not at all; one that was there is replaced.

        Args:
            path: the file. It is JSON, unless it is called ``.png``.
            picture: what ``painter.render(scene)`` gave, for a PNG with the scene inside it.

        Raises:
            OSError: the file cannot be written there.
            ValueError: a PNG without a picture, or a picture for a file that is none.
        """
        path = Path(path)
        if (path.suffix.lower() == ".png") != (picture is not None):
            raise ValueError(
                f"cannot save to {path}: a .png, and nothing else, holds a picture; "
                "use scene.save('scene.json') or scene.save('scene.png', painter.render(scene))"
            )
        files.write(path, self.to_bytes(picture))

    def to_bytes(self, picture: Picture | None = None) -> bytes:
        """What ``save`` writes: JSON, or a PNG with the scene inside it if there is a picture."""
        text = scene_file.text(self._plain_fields())
        if picture is None:
            return text.encode()
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return png.with_text(stream.getvalue(), scene_file.FORMAT, text)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scene:
        """Read a scene that ``save`` wrote, or a PNG that has one inside.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is foreign, damaged or of a newer version; the message says what is wrong
                with it.
        """
        source = Path(path)
        try:
            return cls.from_bytes(scene_file.load(source))
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot load {source}: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Scene:
        """Read what ``to_bytes`` gave.

        Raises:
            ValueError: it is foreign, damaged or of a newer version.
        """
        return cls(**scene_file.read(data))

    def original(self) -> Scene:
        """The scene as it was analysed: rendered, it is the picture that nobody edited."""
        n_base = len(self.base_basis)
        names, colors = [f"factor {f + 1}" for f in range(n_base)], list(palette(n_base))
        for f, origin in enumerate(self._origins):
            if origin >= 0 and origin not in self._origins[:f]:
                names[origin], colors[origin] = self.names[f], self.colors[f]
        for f in range(n_base):
            names[f] = free_name(names[f], names[:f])
        return self.replace(
            strengths=self.base_strengths,
            basis=self.base_basis,
            remainder=np.ones((GRID, GRID)),
            names=tuple(names),
            colors=tuple(colors),
            origins=tuple(range(n_base)),
        )

    def replace(self, **changes: Any) -> Scene:
        """A copy with fields replaced, checked like a new scene.

        Raises:
            TypeError, ValueError: an unknown field, or a value that does not fit.
        """
        fields = self._fields()
        if unknown := sorted(changes.keys() - fields.keys()):
            raise TypeError(f"a scene has no field {', '.join(unknown)}; choose from {', '.join(fields)}")
        return Scene(**fields | changes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scene):
            return NotImplemented
        mine, theirs = self._fields(), other._fields()
        return all(
            np.array_equal(value, theirs[name])
            if isinstance(value, np.ndarray) or isinstance(theirs[name], np.ndarray)
            else value == theirs[name]
            for name, value in mine.items()
        )

    def __repr__(self) -> str:
        style = f"style={self.style!r}, " if self.style else ""
        return (
            f"Scene(prompt={self.prompt!r}, {style}seed={self.seed}, n_steps={self.n_steps}, "
            f"names={self.names!r}, n_features={self.n_features})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles go through the constructor, so that their arrays are read-only too.
        return _rebuilt, (self._plain_fields(),)

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def _plain_fields(self) -> dict[str, Any]:
        fields = self._fields() | {"model": dict(self.model)}
        if self.origins == _first(len(self.base_basis), self.n_factors):
            del fields["origins"]  # the usual case, which files need not tell
        if not self.style:
            del fields["style"]
        if self.image is None:
            del fields["image_strength"]
        if self.guidance == 0:
            del fields["guidance"]
        if self.sites is not None:
            fields["sites"] = dict(self.sites)
        absent = ("edit_steps", "image", "sites")
        return {name: value for name, value in fields.items() if name not in absent or value is not None}


def _first(n_base: int, n_factors: int) -> tuple[int, ...]:
    return tuple(f if f < n_base else -1 for f in range(n_factors))


def _rebuilt(fields: dict[str, Any]) -> Scene:
    return Scene(**fields)
