"""Whether the package has its model: without its weights, nothing that needs it can run."""

from __future__ import annotations

from pathlib import Path

import ember_widgets

ASSETS = Path(ember_widgets.__file__).parent / "embedded" / "assets"
HAS_MODEL = any(ASSETS.rglob("model_index.json"))
