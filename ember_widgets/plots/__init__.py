"""Figures of scenes, features and SAEs: one call each, drawn with matplotlib.

Every function returns the Axes that it drew into, or an array of them, and takes `ax=` to draw into yours.
Colours of text and background are those of your matplotlib style, so a dark style gives dark figures. Figures
can be read without colour too: ramps rise in lightness, and bars have their names beside them.

>>> from ember_widgets import plots                                     # doctest: +SKIP
>>> plots.plot_factors(painter, scene)                                  # doctest: +SKIP
"""

from ember_widgets.plots.features import plot_feature_count, plot_feature_map, plot_features
from ember_widgets.plots.robustness import plot_robustness
from ember_widgets.plots.sae import plot_sae_report
from ember_widgets.plots.scenes import contact_sheet, plot_basis, plot_difference, plot_factors, plot_sweep

__all__ = [
    "contact_sheet",
    "plot_basis",
    "plot_difference",
    "plot_factors",
    "plot_feature_count",
    "plot_feature_map",
    "plot_features",
    "plot_robustness",
    "plot_sae_report",
    "plot_sweep",
]
