"""What a scene needs of a factor that was made elsewhere, such as a concept of a collection."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ember_widgets.util.checks import FloatArray


@runtime_checkable
class FactorRow(Protocol):
    """A factor with a name, of one site's SAE."""

    @property
    def name(self) -> str:
        """What the factor is called."""

    @property
    def row(self) -> FloatArray:
        """(n_features,) float32, codes of the site's features at strength 1.0."""

    @property
    def site(self) -> str:
        """Module path of the site."""

    @property
    def sae(self) -> str:
        """Which SAE of that site, as in `Scene.model`."""
