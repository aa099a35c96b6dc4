"""FeatureSpace: which site each of a scene's features belongs to.

A scene counts the features of all its sites one after the other. Only this value translates between a scene's
index of a feature and the index that the feature has in the SAE of its site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from ember_widgets.scene import site_names
from ember_widgets.util import checks


@dataclass(frozen=True)
class FeatureSpace:
    """The features of one or more sites, counted one site after the other.

    Args:
        sites: module paths of the sites, in the order of the network.
        sizes: how many features each site's SAE has.

    Example:
        >>> space = FeatureSpace(("down_blocks.2.attentions.1", "up_blocks.0.attentions.1"), (100, 50))
        >>> space.locate(120)
        ('up_blocks.0.attentions.1', 20)
        >>> space.index(20, "up.0.1")
        120
    """

    sites: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, sizes: Mapping[str, int]) -> FeatureSpace:
        """The space of {site: number of features}."""
        return cls(tuple(sizes), tuple(sizes.values()))

    @property
    def n_features(self) -> int:
        """How many features all sites have together."""
        return sum(self.sizes)

    @property
    def starts(self) -> tuple[int, ...]:
        """Each site's first feature."""
        return tuple(accumulate(self.sizes[:-1], initial=0))

    def full(self, site: str | None) -> str:
        """The module path of a site given by either name; None = the first site.

        Raises:
            ValueError: the space has no such site.
        """
        if site is None:
            return self.sites[0]
        # A scene may call its sites as it likes, by short names too.
        full = site if site in self.sites else site_names.full(checks.text("site", site))
        if full not in self.sites:
            raise ValueError(
                f"site={checks.shown(site)} is not steered here; choose one of {', '.join(self.sites)}"
            )
        return full

    def size(self, site: str | None = None) -> int:
        """How many features a site has."""
        return self.sizes[self.sites.index(self.full(site))]

    def columns(self, site: str | None = None) -> slice:
        """A site's features, as a slice of the last axis of a basis or of activations."""
        i = self.sites.index(self.full(site))
        return slice(self.starts[i], self.starts[i] + self.sizes[i])

    def index(self, feature: int, site: str | None = None) -> int:
        """The scene's index of a feature that a site's SAE has.

        Raises:
            TypeError, ValueError: not an index of the site's features, or no such site.
        """
        here = self.columns(site)
        return int(here.start) + checks.feature_index(feature, self.size(site))

    def locate(self, feature: int) -> tuple[str, int]:
        """The site of a scene's feature, and the feature's index in that site's SAE.

        Raises:
            TypeError, ValueError: not an index of a feature.
        """
        feature = checks.feature_index(feature, self.n_features)
        i = max(i for i, start in enumerate(self.starts) if start <= feature and self.sizes[i])
        return self.sites[i], feature - self.starts[i]

    def site(self, feature: int) -> str:
        """The site of a scene's feature."""
        return self.locate(feature)[0]
