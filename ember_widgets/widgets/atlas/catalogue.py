"""The data that the atlas shows of every feature: label, statistics, neighbours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ember_widgets.features.collection import Collection
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Label
from ember_widgets.features.statistics import Statistics
from ember_widgets.features.typed_number import number_in
from ember_widgets.painter.protocol import DrawsManyIcons, HasIcons, HasStatistics, labels_of, offered
from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.util import checks
from ember_widgets.widgets.shared import label_words
from ember_widgets.widgets.shared.concept_rows import bank_of, features_of, hint, search_concepts

if TYPE_CHECKING:
    from ember_widgets.features.concepts import Concept, ConceptBank

ALIKE = 24
OF_CATEGORY = "category:"
NOT_POSITIONAL = "not positional"
_CONCEPT = re.compile(r"concept\s+(.+)", re.IGNORECASE)
_LIKE = re.compile(r"(?:like|~)\s*#?\s*(\d{1,9})", re.IGNORECASE)


@runtime_checkable
class HasSAEs(Protocol):
    """A source of features: SAEs by their sites."""

    @property
    def saes(self) -> Any:
        """{site: SAE}."""


@runtime_checkable
class HasSpace(Protocol):
    """Scenes count the features of some of the sites."""

    @property
    def space(self) -> FeatureSpace:
        """The sites that scenes have features of."""


class Catalogue:
    """The features of a painter's SAEs, counted as in its scenes.

    Args:
        source: a painter, or an SAE alone.
        collection: pictures in which the features are shown. Its statistics are used if they cover more
            pictures than the painter's own.

    Raises:
        TypeError: neither a painter nor an SAE.
        ValueError: the collection is of another SAE.
    """

    def __init__(self, source: Any, collection: Collection | None = None) -> None:
        saes, self.space = _read(source)
        self.saes: dict[str, Any] = {site: saes[site] for site in self.space.sites}
        """{site: SAE}, in the order in which their features are counted."""
        self.n_features = self.space.n_features
        self.sae = ",".join(sae.sha256[:16] for sae in self.saes.values())
        """The SAEs' name in scenes and collections."""
        self.labels = labels_of(source)
        self._source = source
        has_icons = offered(source, HasIcons)
        icons = has_icons.icons if has_icons else None
        self.icons = icons if isinstance(icons, Icons) else Icons(self.n_features)
        self.can_draw = offered(source, DrawsManyIcons) is not None
        self.collection = collection
        measured_before = offered(source, HasStatistics)
        self.statistics: Statistics | None = measured_before.statistics if measured_before else None
        if collection is not None:
            self._check(collection)
            measured = collection.statistics
            # Statistics of more pictures say more reliably which features are dead.
            if measured.n_images and (not self.statistics or measured.n_images > self.statistics.n_images):
                self.statistics = measured

    def close(self) -> None:
        """Let go of the painter, its SAEs and its icons."""
        self._source, self.saes, self.collection = None, {}, None
        self.icons = Icons(self.n_features)
        self.__dict__.pop("directions", None)

    @cached_property
    def sites(self) -> list[str]:
        """The sites by their short names."""
        return [site_names.short(site) for site in self.saes]

    def site(self, feature: int) -> int:
        """The index of a feature's site."""
        return self.space.sites.index(self.space.site(feature))

    def of_site(self, site: int) -> slice:
        """The features of one site."""
        return self.space.columns(self.space.sites[site])

    @cached_property
    def directions(self) -> list[NDArray[np.float32]]:
        """For each site (n_features, d_model) float32, the decoder's rows at length 1."""
        return [_unit_rows(sae.W_dec.detach().float().cpu().numpy()) for sae in self.saes.values()]

    @cached_property
    def positional(self) -> NDArray[np.bool_]:
        """(n_features,) bool."""
        mask = np.zeros(self.n_features, np.bool_)
        for i, sae in enumerate(self.saes.values()):
            mask[self.of_site(i)][list(sae.positional)] = True
        return mask

    @cached_property
    def dead(self) -> NDArray[np.bool_]:
        """(n_features,) bool; none if nothing was measured."""
        return self.statistics.dead if self.statistics else np.zeros(self.n_features, np.bool_)

    @cached_property
    def typical(self) -> NDArray[np.float32]:
        """(n_features,) typical activation: as measured, else what the SAE says."""
        unit: NDArray[np.float32] = np.concatenate(
            [sae.unit.detach().float().cpu().numpy() for sae in self.saes.values()]
        )
        return np.where(self.dead, unit, self.statistics.typical) if self.statistics else unit

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(n_features,) bool."""
        mask = np.zeros(self.n_features, np.bool_)
        labelled = np.fromiter(self.labels, np.intp)
        mask[labelled[labelled < self.n_features]] = True
        return mask

    def _labels_that(self, fits: Callable[[Label], bool]) -> NDArray[np.bool_]:
        """(n_features,) bool: features whose label fits."""
        mask = np.zeros(self.n_features, np.bool_)
        for feature in self.labels:
            if feature < self.n_features:
                mask[feature] = fits(self.labels.entry(feature))
        return mask

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """(n_features,) bool: labelled by the user, or with two good scores."""
        return self._labels_that(label_words.is_trusted)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(n_features,) bool: with a label that was scored."""
        return self._labels_that(label_words.is_scored)

    @property
    def own(self) -> NDArray[np.bool_]:
        """(n_features,) bool: labelled by the user."""
        return self._labels_that(label_words.is_own)

    @property
    def categories(self) -> dict[str, int]:
        """How many labels each category has, in alphabetical order; those without one are not counted."""
        entries = (self.labels.entry(feature) for feature in self.labels if feature < self.n_features)
        return dict(sorted(Counter(entry.category for entry in entries if entry.category).items()))

    def search(self, text: str) -> tuple[list[int], dict[int, str]]:
        """Features for a text, best first, and {feature: a note on why it was found} for some of them.

        "like 12" or "~12" gives the features most similar to 12, noted with the cosine; a number gives that
        feature first; "concept lion" gives the features of that concept, noted with their shares of it. What
        was found by its meaning is noted as similar.
        """
        if (concept := self.concept(text)) is not None:
            shares = features_of(concept, self.space)
            return list(shares), {feature: percent(share) for feature, share in shares.items()}
        if match := _LIKE.fullmatch(text.strip()):
            feature = int(match[1])
            if feature >= self.n_features:
                return [], {}
            alike = self.like(feature)
            return [feature, *(f for f, _ in alike)], {f: f"{cosine:.2f}" for f, cosine in alike}
        number = number_in(text)
        numbered = [] if number is None else [number]
        # A number means nothing else.
        hits = self.labels.find(text, by_meaning=number is None)
        features = dict.fromkeys([*numbered, *(hit.feature for hit in hits)])
        notes = {hit.feature: "similar" for hit in hits if hit.reason == "meaning"}
        return [feature for feature in features if feature < self.n_features], notes

    @property
    def bank(self) -> ConceptBank | None:
        """The painter's concepts, as they are now."""
        return bank_of(self._source)

    def concept(self, text: str) -> Concept | None:
        """The concept that a text asks for: "concept lion"."""
        match, bank = _CONCEPT.fullmatch(text.strip()), self.bank
        if match is None or bank is None:
            return None
        name = next((name for name in bank.names if name.casefold() == match[1].casefold()), None)
        return None if name is None else bank[name]

    def concepts(self, text: str) -> list[list[str]]:
        """[name, what it is made of] of the concepts that a text finds; of all for an empty text."""
        if (bank := self.bank) is None:
            return []
        match = _CONCEPT.fullmatch(text.strip())
        if text.strip():
            found = [one.concept for one in search_concepts(match[1] if match else text, bank)]
        else:
            found = [bank[name] for name in bank.names]
        return [[concept.name, hint(concept, self.space, self.labels)] for concept in found]

    def like(self, feature: int, n: int = ALIKE) -> list[tuple[int, float]]:
        """The features of its site whose decoder directions are nearest to a feature's, with the cosine.

        Raises:
            TypeError, ValueError: no such feature.
        """
        feature = checks.feature_index(feature, self.n_features)
        site, own = self.space.locate(feature)
        rows = self.directions[self.space.sites.index(site)]
        cosines = rows @ rows[own]
        cosines[own] = -np.inf
        n = min(n, len(rows) - 1)
        nearest = np.argpartition(-cosines, n - 1)[:n] if n else np.zeros(0, np.intp)
        nearest = nearest[np.argsort(-cosines[nearest], kind="stable")]
        return [(self.space.index(int(f), site), float(cosines[f])) for f in nearest]

    def passing(self, filters: Iterable[str]) -> NDArray[np.bool_]:
        """(n_features,) bool: the features that pass these filters.

        Args:
            filters: "live", "labelled", "trusted", "not positional", or short names of sites and categories
                of labels ("category:object"), of each of which any one suffices.
        """
        mask = np.ones(self.n_features, np.bool_)
        wanted = set(filters)
        if sites := [i for i, site in enumerate(self.sites) if site in wanted]:
            mask[:] = False
            for site in sites:
                mask[self.of_site(site)] = True
        if "live" in wanted:
            mask &= ~self.dead
        if "labelled" in wanted:
            mask &= self.labelled
        if "trusted" in wanted:
            mask &= self.trusted
        if kinds := {name.removeprefix(OF_CATEGORY) for name in wanted if name.startswith(OF_CATEGORY)}:
            mask &= self._labels_that(lambda label: label.category in kinds)
        if NOT_POSITIONAL in wanted:
            mask &= ~self.positional
        return mask

    def labelled_first(self, features: Iterable[int] | NDArray[Any]) -> list[int]:
        """Features with a label first, then those that are active most often."""
        chosen = np.fromiter(features, np.intp)
        often = self.statistics.frequency[chosen] if self.statistics else np.zeros(len(chosen))
        order = np.lexsort((chosen, -often, ~self.labelled[chosen]))
        return [int(feature) for feature in chosen[order]]

    def tile(self, feature: int, note: str = "") -> dict[str, Any]:
        """What a tile of the sheet shows of a feature."""
        label = self.entry(feature)
        return {
            "feature": feature,
            "label": label.text if label else "",
            "note": note,
            "mark": label_words.mark(label),
            "about": label_words.about(label),
            "trusted": label is not None and label_words.is_trusted(label),
            "dead": bool(self.dead[feature]),
        }

    def details(self, feature: int) -> dict[str, Any]:
        """What the card shows of a feature, without pictures."""
        label = self.entry(feature)
        facts: list[tuple[str, str]] = label_words.facts(label) if label else []
        if len(self.sites) > 1:
            facts.append(("site", self.sites[self.site(feature)]))
        if self.statistics:
            share = float(self.statistics.frequency[feature])
            facts.append(("active in", f"{percent(share)} of patches" if share else "no patch: dead"))
        facts.append(("typically", f"{self.typical[feature]:.3g}"))
        if self.positional[feature]:
            facts.append(("positional", "active along borders"))
        return {
            "feature": feature,
            "label": label.text if label else "",
            "source": label_words.origin(label),
            "about": label_words.about(label),
            "comment": label.note if label else "",
            "facts": facts,
        }

    def entry(self, feature: int) -> Label | None:
        """A feature's label with its source and scores; None if it has none."""
        return self.labels.entry(feature) if feature in self.labels else None

    def _check(self, collection: Collection) -> None:
        if not isinstance(collection, Collection):
            raise TypeError(
                f"collection={checks.shown(collection)} is not a Collection; make one with "
                "painter.collect(prompts), or leave it out"
            )
        theirs = collection.model.get("sae", "")
        if collection.n_features != self.n_features or self.sae != theirs:
            raise ValueError(
                f"{collection} was made with SAE {theirs!r} ({collection.n_features} features), but this "
                f"atlas shows {self.sae!r} ({self.n_features} features); collect with this painter"
            )


def _read(source: Any) -> tuple[dict[str, Any], FeatureSpace]:
    """The SAEs of a painter, or an SAE alone; and the feature space of scenes."""
    from ember_widgets.dictionary.sae import SAE  # loads torch

    if isinstance(source, SAE):
        saes = {source.site: source}
    elif isinstance(source, HasSAEs) and source.saes:
        saes = dict(source.saes)
    else:
        raise TypeError(f"painter={checks.shown(source)} has no SAE; give a Painter or an SAE")
    if isinstance(source, HasSpace):
        return saes, source.space
    return saes, FeatureSpace.of({site: sae.n_features for site, sae in saes.items()})


def _unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions: NDArray[np.float32] = rows / lengths.clip(min=1e-12)
    return directions


def percent(share: float) -> str:
    """A share with two significant digits: 12 %, 1.2 %, 0.012 %."""
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def numbers(value: object, n_features: int) -> tuple[int, ...]:
    """Feature numbers, each once, in the order given."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray, set, frozenset)):
        raise TypeError(f"features={checks.shown(value)} is not a list of features; give e.g. [3, 14]")
    return tuple(dict.fromkeys(checks.feature_index(feature, n_features) for feature in value))
