"""The SAE of one site: which one a scene or painter has there, and whether concepts are of the same one."""

from __future__ import annotations

from collections.abc import Mapping

from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace


def sae_at(site: str, model: Mapping[str, str], space: FeatureSpace) -> str:
    """The name of a site's SAE; "" if the model does not say.

    Args:
        site: one of the space's.
        model: of a scene, painter or collection; "sae" names its SAEs in the order of its sites.
        space: its sites.
    """
    saes, place = model.get("sae", "").split(","), space.sites.index(site)
    return saes[place] if place < len(saes) else ""


def check_site_sae(
    what: str,
    of: tuple[str, str, int],
    whose: str,
    model: Mapping[str, str],
    space: FeatureSpace,
    advice: str,
) -> None:
    """Refuse what is of a site or an SAE that a scene or painter does not have.

    Args:
        what: begins the message, such as "these concepts are".
        of: what that is of: site, name of the SAE, and how many features that has.
        whose: "this scene" or the like.
        model: its, see `sae_at`.
        space: its sites.
        advice: ends the message.

    Raises:
        ValueError: it has no such site, or another SAE there.
    """
    site, sae, n_features = of
    if site not in space.sites:
        raise ValueError(
            f"{what} of site {site_names.short(site)!r}, but {whose} steers "
            f"{', '.join(map(site_names.short, space.sites))}; {advice}"
        )
    ours, n_ours = sae_at(site, model, space), space.size(site)
    if (sae, n_features) != (ours, n_ours):
        raise ValueError(
            f"{what} of the SAE {sae!r} with {n_features} features, but {whose} has {ours!r} with {n_ours}, "
            f"whose features mean different things; {advice}"
        )
