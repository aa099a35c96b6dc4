"""Paint with what an image model sees: SAE features and NMF factors, in a notebook.

Importing this package is cheap: each public name loads its module, and PyTorch with it where it is
needed, when it is first used.

>>> import ember_widgets as ember
>>> painter = ember.Painter.embedded()                       # doctest: +SKIP
>>> scene = painter.analyze("a lion in a meadow", seed=3)    # doctest: +SKIP
>>> ember.PaintWidget(painter, scene)                        # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ember_widgets._version import __version__

if TYPE_CHECKING:
    from ember_widgets.checkpoints import load_sae
    from ember_widgets.factors import Factors
    from ember_widgets.painter import Painter
    from ember_widgets.sae import SAE
    from ember_widgets.scene import Scene
    from ember_widgets.widgets.atlas import FeatureAtlas
    from ember_widgets.widgets.inspect import PatchInspector
    from ember_widgets.widgets.paint import PaintWidget
    from ember_widgets.widgets.parts import FactorSliders, Picture

__all__ = [
    "SAE",
    "FactorSliders",
    "Factors",
    "FeatureAtlas",
    "PaintWidget",
    "Painter",
    "PatchInspector",
    "Picture",
    "Scene",
    "__version__",
    "load_sae",
]

_HOME = {
    "SAE": "sae",
    "FactorSliders": "widgets.parts",
    "Factors": "factors",
    "FeatureAtlas": "widgets.atlas",
    "PaintWidget": "widgets.paint",
    "Painter": "painter",
    "PatchInspector": "widgets.inspect",
    "Picture": "widgets.parts",
    "Scene": "scene",
    "load_sae": "checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next access does not come through here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
