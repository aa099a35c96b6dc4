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
    from ember_widgets.dictionary.factors import Factors
    from ember_widgets.dictionary.load import load_sae, save_sae
    from ember_widgets.dictionary.sae import SAE
    from ember_widgets.features.collection import Collection
    from ember_widgets.features.concepts import ConceptBank
    from ember_widgets.features.labels import Labels
    from ember_widgets.labelling.openai_client import OpenAIClient
    from ember_widgets.labelling.question import Price
    from ember_widgets.labelling.run import LabelRun
    from ember_widgets.labelling.transformers_client import TransformersClient
    from ember_widgets.painter.painter import Painter
    from ember_widgets.painter.sae_evaluation import evaluate_sae
    from ember_widgets.scene.scene import Scene
    from ember_widgets.scene.scene_edit import SceneEdit
    from ember_widgets.serve.client.connect import connect
    from ember_widgets.serve.client.remote_painter import RemotePainter
    from ember_widgets.training.config import TrainConfig
    from ember_widgets.training.run import TrainingRun, train_sae
    from ember_widgets.util.cancelled import Cancelled
    from ember_widgets.widgets.atlas.widget import FeatureAtlas
    from ember_widgets.widgets.inspect.widget import PatchInspector
    from ember_widgets.widgets.paint.parts import FactorSliders, Picture
    from ember_widgets.widgets.paint.widget import PaintWidget

__all__ = [
    "SAE",
    "Cancelled",
    "Collection",
    "ConceptBank",
    "FactorSliders",
    "Factors",
    "FeatureAtlas",
    "LabelRun",
    "Labels",
    "OpenAIClient",
    "PaintWidget",
    "Painter",
    "PatchInspector",
    "Picture",
    "Price",
    "RemotePainter",
    "Scene",
    "SceneEdit",
    "TrainConfig",
    "TrainingRun",
    "TransformersClient",
    "__version__",
    "connect",
    "evaluate_sae",
    "load_sae",
    "save_sae",
    "train_sae",
]

_HOME = {
    "SAE": "dictionary.sae",
    "Cancelled": "util.cancelled",
    "FactorSliders": "widgets.paint.parts",
    "Collection": "features.collection",
    "ConceptBank": "features.concepts",
    "Factors": "dictionary.factors",
    "FeatureAtlas": "widgets.atlas.widget",
    "LabelRun": "labelling.run",
    "Labels": "features.labels",
    "OpenAIClient": "labelling.openai_client",
    "Price": "labelling.question",
    "TransformersClient": "labelling.transformers_client",
    "PaintWidget": "widgets.paint.widget",
    "Painter": "painter.painter",
    "PatchInspector": "widgets.inspect.widget",
    "Picture": "widgets.paint.parts",
    "RemotePainter": "serve.client.remote_painter",
    "connect": "serve.client.connect",
    "Scene": "scene.scene",
    "SceneEdit": "scene.scene_edit",
    "evaluate_sae": "painter.sae_evaluation",
    "load_sae": "dictionary.load",
    "save_sae": "dictionary.load",
    "TrainConfig": "training.config",
    "TrainingRun": "training.run",
    "train_sae": "training.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next access does not come through here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
