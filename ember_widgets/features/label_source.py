"""Where labels come from: a file, a folder of files, or a data set on the Hugging Face hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ember_widgets.features import label_file
from ember_widgets.features.label import Label
from ember_widgets.scene import site_names
from ember_widgets.util.hub import Hub, repo_in

MAX_FILES = 4096
_BATCH = re.compile(r"batch-(\d+)")


def read(
    source: str | os.PathLike[str], hub: Hub, *, site: str | None = None, revision: str | None = None
) -> dict[int, Label]:
    """The labels of a source; see ``Labels.load``."""
    labels: dict[int, Label] = {}
    for path in _paths(source, hub, site, revision):
        for feature, label in label_file.read(path, site=site).items():
            labels.setdefault(feature, label)
    return labels


def chosen(names: Iterable[str], site: str | None, where: str) -> list[str]:
    """The label files among these.

    Files named after sites, such as down.2.1.json, are those of that site. Then comes a file called labels,
    then batches as Neuronpedia publishes them, then the only one that there is, or is called after labels.

    Args:
        names: paths, with "/".
        site: of which site; None = of the only one.
        where: what holds them.

    Raises:
        FileNotFoundError: there is no label file.
        ValueError: there are several.
    """
    files = [PurePosixPath(name) for name in sorted(names) if label_file.kind(name)]
    files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    if not files:
        raise FileNotFoundError(
            f"{where} holds no label file: none of its files is .json, .jsonl, .tsv or .csv"
        )
    files = _of_site(files, site, where)
    if own := [file for file in files if file.name.partition(".")[0].lower() == "labels"]:
        return [str(min(own, key=_plainest))]
    batches = {
        file: int(match[1]) for file in files if (match := _BATCH.fullmatch(file.name.partition(".")[0]))
    }
    if len(batches) == len(files) and len({file.parent for file in files}) == 1:
        return [str(file) for file in sorted(batches, key=batches.__getitem__)][:MAX_FILES]
    called = [file for file in files if "label" in str(file).lower() or "explanation" in str(file).lower()]
    if len(left := called or files) == 1:
        return [str(left[0])]
    some = ", ".join(map(str, left[:4])) + (", ..." if len(left) > 4 else "")
    raise ValueError(
        f"{where} holds {len(left)} files that may be labels ({some}); add the path of one to it"
    )


def _of_site(files: list[PurePosixPath], site: str | None, where: str) -> list[PurePosixPath]:
    named = {file: found for file in files if (found := site_names.named_in(str(file)))}
    sites = sorted({site_names.short(found) for found in named.values()})
    if site is None and len(sites) > 1:
        raise ValueError(f"{where} holds labels of several sites ({', '.join(sites)}); choose one with site=")
    wanted = site_names.full(site) if site is not None else None
    of_it = [file for file, found in named.items() if wanted in (None, found)]
    return of_it or [file for file in files if file not in named] or _missing(where, str(site), sites)


def _missing(where: str, site: str, sites: list[str]) -> list[PurePosixPath]:
    raise ValueError(f"{where} has no labels of {site}, only of {', '.join(sites)}")


def _plainest(file: PurePosixPath) -> tuple[int, int, str]:
    """The file nearest to the top, and of the format that keeps most."""
    return len(file.parts), label_file.FORMATS.index(label_file.kind(file.name)), str(file)


def _paths(source: str | os.PathLike[str], hub: Hub, site: str | None, revision: str | None) -> list[Path]:
    place = Path(source)
    if place.is_dir():
        names = [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()]
        return [place / name for name in chosen(names, site, str(place))]
    named = repo_in(source)
    if named is None or _looks_local(str(source), named[0]):
        return [place]
    repo, inside = named
    listing = hub.listing(repo, revision)
    where = hub.named(repo)
    if inside in listing.sizes:
        wanted = [inside]
    else:
        folder = f"{inside}/" if inside else ""
        names = [name for name in listing.sizes if name.startswith(folder)]
        wanted = chosen(names, site, f"{where}/{inside}" if inside else where)
    held = hub.fetch(listing, wanted, revision)
    return [held / name for name in wanted]


def _looks_local(source: str, repo: str) -> bool:
    """Whether a path that is not there was rather meant to be a file than an id of the hub."""
    owner = repo.partition("/")[0]
    return bool(label_file.kind(repo)) or Path(owner).is_dir() or "\\" in source
