"""Where `load_sae` and `save_sae` were in version 0.1; they are names of `ember_widgets` itself now."""

from ember_widgets.dictionary.load import load_sae, save_sae

__all__ = ["load_sae", "save_sae"]
