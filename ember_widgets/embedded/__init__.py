"""The embedded model: a tiny SDXL-family pipeline that ships inside the package, and how it was made.

`assets/` holds the weights (diffusers' own `save_pretrained` layout), its SAE and `MODEL_CARD.md`. The
modules beside it are the whole recipe: `scenes` draws the training pictures, `architecture` builds the
untrained networks, `python -m ember_widgets.embedded.train` makes the weights.
"""
