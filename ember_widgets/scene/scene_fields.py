"""SceneFields: what functions read of a scene.

``Scene`` has all of it, and calls these functions, so their files cannot import ``Scene`` itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.grid import Grid
from ember_widgets.scene.steps import Steps
from ember_widgets.util.checks import FloatArray


class SceneFields(Protocol):
    """A scene's fields, to read; see ``Scene``."""

    @property
    def strengths(self) -> FloatArray: ...
    @property
    def remainder(self) -> FloatArray: ...
    @property
    def basis(self) -> FloatArray: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def colors(self) -> tuple[str, ...]: ...
    @property
    def base_strengths(self) -> FloatArray: ...
    @property
    def base_basis(self) -> FloatArray: ...
    @property
    def unit(self) -> FloatArray: ...
    @property
    def model(self) -> Mapping[str, str]: ...
    @property
    def origins(self) -> tuple[int, ...] | None: ...
    @property
    def style(self) -> str: ...
    @property
    def n_steps(self) -> int: ...
    @property
    def edit_steps(self) -> tuple[int, int] | None: ...
    @property
    def factor_steps(self) -> tuple[Steps | None, ...] | None: ...
    @property
    def factor_ids(self) -> tuple[int, ...] | None: ...
    @property
    def next_factor_id(self) -> int | None: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def space(self) -> FeatureSpace: ...
    @property
    def n_factors(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    @property
    def analysed_factors(self) -> Mapping[int, int]: ...

    def site(self, factor: int | str) -> str:
        """The site that a factor belongs to."""

    def check_sae(self, sae: str | None, n_features: int, whose: str, only: str) -> None:
        """Refuse what belongs to another SAE."""

    def replace(self, **changes: Any) -> Any:
        """A copy with fields replaced."""
