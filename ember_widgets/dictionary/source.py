"""Where an SAE's files are: in a folder, or in a repository of the hub."""

from __future__ import annotations

import os
from pathlib import Path

from ember_widgets.dictionary.checkpoint import CONFIG_FILES, MEAN_FILE, UNIT_FILE
from ember_widgets.dictionary.formats.table import FORMATS
from ember_widgets.scene import site_names
from ember_widgets.scene.site_names import DEFAULT_SITE
from ember_widgets.util import checks
from ember_widgets.util import hub as hub_access

_WEIGHTS = (".safetensors", ".pth", ".pt")
_BESIDE = {MEAN_FILE, "std.pt", UNIT_FILE}
_OF_TRAINING = {"sparsity.safetensors", "activations_store_state.safetensors", "trainer_state.pt"}
"""What SAELens writes beside the weights: how often features are active, and where its training goes on."""


def weights_file(
    source: str | os.PathLike[str], site: str | None, hub: hub_access.Hub, revision: str | None
) -> Path:
    """The file with the weights, fetched from the hub if needed.

    Args:
        source: Folder, file or hub id.
        site: Module path; chooses if there are several.
        hub: How to reach it.
        revision: Branch, tag or commit there.

    Raises:
        FileNotFoundError, ValueError: No such SAE, or several.
    """
    path = Path(source)
    if os.path.isfile(source):  # unlike Path's, these are False for what cannot be a name
        return path
    if os.path.isdir(source):
        files = [f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file()]
        return path / _chosen(files, "", site, str(path))
    named = hub_access.repo_in(source) if isinstance(source, str) else None
    if named is None:
        raise FileNotFoundError(
            f"no SAE at {checks.shown(str(source))}; give a folder or file with a checkpoint "
            f"({', '.join(FORMATS)}), or a hub id 'owner/name'"
        )
    listing, wanted = on_hub(named, site, hub, revision)
    return hub.fetch(listing, wanted, revision) / wanted[0]


def on_hub(
    named: tuple[str, str], site: str | None, hub: hub_access.Hub, revision: str | None = None
) -> tuple[hub_access.Listing, list[str]]:
    """A checkpoint's files in a repository: its weights first, then what lies beside them.

    Args:
        named: (repository, path inside it), see `hub.repo_in`.
        site: Module path; chooses if there are several.

    Raises:
        FileNotFoundError, ValueError: No such SAE there, or several.
    """
    repo, inside = named
    listing = hub.listing(repo, revision)
    below = [f for f in listing.sizes if not inside or f == inside or f.startswith(f"{inside}/")]
    if not below:
        raise FileNotFoundError(f"{repo} has no {inside!r}; give one of its folders, or the id alone")
    chosen = _chosen(below, inside, site, "/".join(filter(None, named)))
    folder, names = chosen.rpartition("/")[0], {*CONFIG_FILES, *_BESIDE}
    beside = [f for f in listing.sizes if f.rpartition("/")[0] == folder and f.split("/")[-1] in names]
    return listing, [chosen, *beside]


def _chosen(files: list[str], folder: str, site: str | None, source: str) -> str:
    """The one file with an SAE's weights.

    If there are several, it is the one whose path names the site, or else the one in the folder itself.
    """
    others = _BESIDE | _OF_TRAINING
    found = sorted(f for f in files if f.endswith(_WEIGHTS) and f.split("/")[-1] not in others)
    if not found:
        raise ValueError(f"{source} holds no SAE checkpoint that is known; give one of: {', '.join(FORMATS)}")
    if site is None or not _at(found, site):
        # Below a training's SAE there may be its checkpoints and shards.
        found = [f for f in found if f.rpartition("/")[0] == folder] or found
    if len(found) > 1:
        found = _at(found, site or DEFAULT_SITE) or found
    if len(found) > 1:
        found = [f for f in found if "/final/" in f"/{f}"] or found
    if len(found) > 1:
        listed = ", ".join(repr(f) for f in found[:6]) + (", ..." if len(found) > 6 else "")
        raise ValueError(
            f"{source} holds {len(found)} SAEs ({listed}); "
            "add the folder of one to the source, or give site= if that identifies one"
        )
    return found[0]


def _at(files: list[str], site: str) -> list[str]:
    """Those whose path names the site."""
    return [f for f in files if site_names.named_in(f) == site]
