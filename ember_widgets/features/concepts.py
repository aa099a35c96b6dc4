"""ConceptBank: what is in the pictures of a whole collection, as a few parts that mean the same in every one.

`Painter.analyze` factorises each picture by itself, so that "lion" of one picture is not "lion" of the next.
A bank is factorised once, over many pictures; its basis does not change any more. A picture is taken apart in
it by fitting strengths only, and a concept that is painted in several pictures is the same in all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ember_widgets.dictionary import non_negative
from ember_widgets.features import concept_file, concept_fit
from ember_widgets.features.hit import Hit
from ember_widgets.features.labels import LabelHit, Labels, checked
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.site_sae import check_site_sae
from ember_widgets.util import checks
from ember_widgets.util.contact_sheet import contact_sheet

if TYPE_CHECKING:
    from ember_widgets.util.checks import FloatArray

MAX_CONCEPTS = 4096


class Pictures(Protocol):
    """What is needed of a collection to show its pictures."""

    folder: Path
    model: dict[str, str]

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(prompt, seed) of every picture."""

    def marked(self, hit: Hit, side: int = 160) -> Image.Image:
        """A picture with a patch framed."""


@dataclass(frozen=True, eq=False)
class Concept:
    """Features that belong together in many pictures. `scene.add_factor(concept)` makes a factor of it.

    Args:
        name: its name in the bank.
        row: (n_features,) float32 ≥ 0, its features' codes at strength 1.0, which is typical of the concept
            in the collection. Features are those of the site's SAE.
        stability: how alike it is in two halves of the pictures, 0..1; NaN if that was not measured.
        site: module path of the site.
        sae: which SAE the features are of, as in a scene's `model`.
    """

    name: str
    row: NDArray[np.float32]
    stability: float
    site: str
    sae: str

    @property
    def weights(self) -> dict[int, float]:
        """{feature of the site: code at strength 1.0}, strongest first."""
        order = np.argsort(-self.row, kind="stable")[: np.count_nonzero(self.row)]
        return {int(feature): float(self.row[feature]) for feature in order}

    def __repr__(self) -> str:
        return f"Concept({self.name!r}, {checks.plural(len(self.weights), 'feature')})"


@dataclass(frozen=True, kw_only=True, eq=False)
class ConceptBank:
    """The concepts of a collection; make one with `Collection.concepts`.

    ``bank["lion"]`` and ``bank[3]`` are a `Concept`; a bank is a sequence of them.

    Args:
        basis: (n, n_features) float32 ≥ 0. Codes of the site's features at strength 1.0, which is each
            concept's typical strength in the collection: Σs² / Σs.
        names: a name per concept, all different.
        strengths: (n_pictures, n) float32, how much of each concept is in each picture of the collection: the
            mean of its strengths over the patches.
        stability: (n,) float32, how alike each concept is if it is fitted on two halves of the pictures: the
            cosine of the two rows, 0..1. NaN = not measured.
        hits: for each concept the pictures in which it is strongest, strongest first, up to 24.
        site: module path of the site.
        sae: which SAE of that site, as in a scene's `model`.
        model: of the painter that made the collection.
        folder: of the collection; "" if not known.
        ignore: features that were left out of the fit; their weights were computed afterwards.
        collection: the collection, if it is open; `contact_sheet` needs its pictures.

    Example:
        >>> collection = painter.collect(prompts)                                      # doctest: +SKIP
        >>> bank = collection.concepts(16, labels=painter.labels)                      # doctest: +SKIP
        >>> scene = painter.analyze("a lion in a meadow", basis=bank)                  # doctest: +SKIP
        >>> scene = scene.add_factor(bank["castle"]).paint("castle", "centre")         # doctest: +SKIP
    """

    basis: FloatArray
    names: tuple[str, ...]
    strengths: FloatArray
    stability: NDArray[np.float32]
    hits: tuple[tuple[Hit, ...], ...]
    site: str
    sae: str
    model: Mapping[str, str]
    folder: str = ""
    ignore: tuple[int, ...] = ()
    collection: Pictures | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        basis = checks.frozen_array("basis", self.basis, ("n", "n_features"))
        n = len(basis)
        if not 1 <= n <= MAX_CONCEPTS:
            raise ValueError(f"basis has {n} rows; give 1..{MAX_CONCEPTS} concepts")
        if (basis < 0).any() or not basis.any(axis=1).all():
            raise ValueError("basis has a row without a feature, or values below 0; each needs one above 0")
        strengths = checks.frozen_array("strengths", self.strengths, ("n_pictures", n))
        stability = np.array(self.stability, np.float32)
        if stability.shape != (n,) or np.isinf(stability).any():
            raise ValueError(f"stability has shape {stability.shape}; give {n} numbers, or NaN")
        stability.flags.writeable = False
        if len(self.hits) != n:
            raise ValueError(f"hits are those of {len(self.hits)} concepts; give them for {n}")
        for name, value in (
            ("basis", basis),
            ("strengths", strengths),
            ("stability", stability),
            ("names", checks.factor_names(self.names, n)),
            ("model", MappingProxyType(checks.model(self.model))),
            ("site", checks.text("site", self.site)),
            ("sae", checks.text("sae", self.sae)),
            ("folder", checks.text("folder", self.folder)),
        ):
            object.__setattr__(self, name, value)

    # concepts

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Concept]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, concept: int | str) -> Concept:
        k = self.index(concept)
        return Concept(self.names[k], self.basis[k], float(self.stability[k]), self.site, self.sae)

    def __contains__(self, concept: object) -> bool:
        return concept in self.names

    @property
    def n_features(self) -> int:
        """How many features the site's SAE has."""
        return int(self.basis.shape[1])

    @cached_property
    def key(self) -> str:
        """Identifies the basis; scenes that were analysed with it carry it in `model["concepts"]`."""
        facts = f"{self.site} {self.sae} {self.basis.shape}".encode()
        return hashlib.sha256(facts + self.basis.astype("<f4").tobytes()).hexdigest()[:16]

    def index(self, concept: int | str) -> int:
        """The number of a concept that is given by number or name.

        Raises:
            TypeError, ValueError: There is no such concept.
            IndexError: The number is too large, as for any sequence.
        """
        if isinstance(concept, str):
            if concept not in self.names:
                near = self.search(concept)[:4] or [self[k] for k in range(min(4, len(self)))]
                raise ValueError(
                    f"concept={checks.shown(concept)} is not in this bank; choose one of bank.names, e.g. "
                    + ", ".join(repr(one.name) for one in near)
                )
            return self.names.index(concept)
        if isinstance(concept, (bool, np.bool_)) or not hasattr(concept, "__index__"):
            raise TypeError(
                f"concept={checks.shown(concept)} is neither a number nor a name; choose 0..{len(self) - 1} "
                f"or one of bank.names, e.g. {self.names[0]!r}"
            )
        number = checks.integer("concept", concept, -len(self), 2**31, hint="give a number or a name")
        if number >= len(self):
            raise IndexError(f"concept={number}, but this bank has {len(self)}; choose 0..{len(self) - 1}")
        return number % len(self)

    def search(self, text: str) -> list[Concept]:
        """Concepts whose name has all words of a text, and then those that mean something near.

        Args:
            text: Words or beginnings of words, see `Labels.search`; an empty text finds nothing.
        """
        return [self[hit.feature] for hit in self.find(text)]

    def find(self, text: str) -> list[LabelHit]:
        """As `search`, with the reason why each concept was found; `feature` is the concept's number."""
        return self._labels.find(text)

    @cached_property
    def _labels(self) -> Labels:
        """The names, kept with what a search computes of them."""
        return Labels(dict(enumerate(self.names)))

    def named(self, labels: Mapping[int, str]) -> ConceptBank:
        """The bank with names from labels.

        Args:
            labels: {feature of the site: text}. A concept gets the text that carries most of its codes; one
                without a label is called "concept 3".
        """
        checked(labels)
        return replace(self, names=concept_fit.named(self.basis, labels))

    # pictures

    def top(self, concept: int | str, n: int = 12) -> list[Hit]:
        """The pictures in which a concept is strongest, strongest first; one patch of each.

        Args:
            concept: number or name.
            n: how many at most, 1..24.

        Returns:
            Hits; `activation` is the concept's strength in that patch.
        """
        k = self.index(concept)
        return list(self.hits[k][: checks.integer("n", n, 1, concept_fit.N_HITS, hint="say how many")])

    def contact_sheet(
        self,
        concept: int | str,
        n: int = 12,
        *,
        columns: int = 4,
        side: int = 160,
        collection: Pictures | None = None,
    ) -> Image.Image:
        """The pictures in which a concept is strongest, each with its strongest patch framed.

        Args:
            concept: number or name.
            n: how many pictures at most.
            columns: how many side by side.
            side: of each, in pixels.
            collection: the collection that the bank was made from, needed after `load`.

        Raises:
            ValueError: The concept is strong in no picture, the collection is needed, or it is another one.
        """
        columns = checks.integer("columns", columns, 1, 1000, hint="say how many side by side")
        hits = self.top(concept, n)
        side = checks.side(side, len(hits))
        if not hits:
            raise ValueError(f"concept {concept!r} is in no picture of the collection; choose another")
        pictures = self._pictures(collection, hits)
        marked = [pictures.marked(hit, side) for hit in hits]
        return contact_sheet([marked[i : i + columns] for i in range(0, len(hits), columns)], side=side)

    def _pictures(self, given: Pictures | None, hits: list[Hit]) -> Pictures:
        collection = self.collection if given is None else given
        if collection is None:
            where = self.folder or "a folder that is not known"
            gone = "" if self.folder and Path(self.folder).is_dir() else ", which is not there any more"
            raise ValueError(
                f"this bank was loaded without its pictures, which are in the collection in {where}{gone}; "
                "give it as collection=ember.Collection.open(folder)"
            )
        _check_pictures(collection)
        runs = collection.runs
        if any(hit.index >= len(runs) or runs[hit.index] != (hit.prompt, hit.seed) for hit in hits):
            raise ValueError(
                f"the collection in {collection.folder} has other pictures than this bank was made from; "
                f"give the one in {self.folder or 'its folder'}"
            )
        return collection

    # other models

    def check(self, model: Mapping[str, str], space: FeatureSpace, whose: str) -> str:
        """Refuse a model that does not steer this bank's site with this bank's SAE.

        Args:
            model: of a painter or scene.
            space: its sites.
            whose: "this painter" or the like, for the message.

        Returns:
            The bank's site.

        Raises:
            ValueError: Another site or SAE.
        """
        check_site_sae(
            "these concepts are",
            (self.site, self.sae, self.n_features),
            whose,
            model,
            space,
            f"make concepts with the SAE of {whose}: painter.collect(prompts).concepts()",
        )
        return self.site

    # strengths

    def transform(self, activations: FloatArray) -> NDArray[np.float32]:
        """How strong each concept is in a picture: exact non-negative least squares to the fixed basis.

        Args:
            activations: (rows, cols, n_features) ≥ 0, codes of the site's SAE.

        Returns:
            (rows, cols, n) float32 ≥ 0.
        """
        codes = checks.frozen_array("activations", activations, ("rows", "cols", self.n_features))
        flat = codes.reshape(-1, self.n_features)
        # The basis and a picture have a few hundred features each; nothing is gained by the others.
        used, rows = self._used
        mixes = non_negative.mixes(flat[:, used].astype(np.float64) @ rows.T, self._gram)
        return mixes.reshape(*codes.shape[:2], len(self)).astype(np.float32)

    @cached_property
    def _used(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        used = np.flatnonzero(self.basis.any(axis=0))
        return used, self.basis[:, used].astype(np.float64)

    @cached_property
    def _gram(self) -> NDArray[np.float64]:
        rows = self._used[1]
        return np.asarray(rows @ rows.T)

    # files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bank into one file, whole or not at all.

        Args:
            path: ends in .npz. Pictures are not in it; they stay in the collection.

        Returns:
            The file written.

        Raises:
            ValueError: The name ends otherwise.
            OSError: The file cannot be written.
        """
        return concept_file.write(
            checks.path("path", path),
            basis=self.basis,
            strengths=self.strengths,
            stability=self.stability,
            facts={
                "names": list(self.names),
                "hits": [[list(vars(hit).values()) for hit in hits] for hits in self.hits],
                "site": self.site,
                "sae": self.sae,
                "model": dict(self.model),
                "folder": self.folder,
                "ignore": list(self.ignore),
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, collection: Pictures | None = None) -> ConceptBank:
        """Read a bank.

        Args:
            path: from `save`.
            collection: the collection it was made from, for `contact_sheet`.

        Raises:
            OSError: It is not there, or cannot be read.
            ValueError: It is not a bank's, or is damaged.
        """
        if collection is not None:
            _check_pictures(collection)
        source = checks.path("path", path)
        if not source.exists():
            raise FileNotFoundError(f"cannot load {source}: there is no such file")
        with concept_file.opened(source) as found:
            return cls(**found, collection=collection)

    def __repr__(self) -> str:
        names = ", ".join(self.names[:4]) + (", ..." if len(self) > 4 else "")
        pictures = checks.plural(len(self.strengths), "picture")
        return f"ConceptBank({checks.plural(len(self), 'concept')} of {pictures}: {names})"


def most_factors(n_factors: object, bank: ConceptBank) -> int:
    """How many concepts of a bank a picture that is taken apart in it keeps at most.

    Args:
        n_factors: As `Painter.analyze` takes it with a basis; None = all.
        bank: The basis.

    Raises:
        TypeError, ValueError: There is no such number.
    """
    if n_factors is None:
        return len(bank)
    if isinstance(n_factors, Mapping):
        raise TypeError(
            f"n_factors={checks.shown(n_factors)} with a basis, whose concepts are all of one site; "
            "give one number, or leave it out"
        )
    hint = "leave it out for all that are seen"
    return min(len(bank), checks.integer("n_factors", n_factors, 1, 10**6, hint=hint))


def _check_pictures(collection: object) -> None:
    if not hasattr(collection, "runs") or not hasattr(collection, "marked"):
        raise TypeError(
            f"collection={checks.shown(collection)} is not a Collection; open it with "
            "ember.Collection.open(folder)"
        )
