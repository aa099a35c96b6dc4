"""Download what painting on SDXL-Turbo needs; first say what it is, how large, and under which licence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ember_widgets.dictionary import source as sae_source
from ember_widgets.features import meaning
from ember_widgets.model.sdxl import layout
from ember_widgets.scene import site_names
from ember_widgets.util.hub import Hub, Listing, repo_in
from ember_widgets.util.words import volume

MODEL = "stabilityai/sdxl-turbo"
SAE = "surokpro2/sdxl-saes"
PREVIEW_VAE = "madebyollin/taesdxl"


@dataclass(frozen=True)
class Item:
    """Some files of one repository.

    Attributes:
        what: What they are, in words.
        listing: Their repository.
        paths: Which files.
        revision: As asked for.
    """

    what: str
    listing: Listing
    paths: tuple[str, ...]
    revision: str | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(self.listing.sizes[path] for path in self.paths)


def plan(
    hub: Hub,
    *,
    model: str = MODEL,
    sae: str = SAE,
    sites: Sequence[str] = ("down.2.1",),
    vae: str | None = None,
    preview_vae: str | None = PREVIEW_VAE,
    variant: str | None = "fp16",
    revision: str | None = None,
) -> list[Item]:
    """What is to be fetched; asks the hub, and fetches nothing.

    Raises:
        FileNotFoundError, ValueError, PermissionError, ConnectionError: As `Painter.from_pretrained` does.
    """
    listing = hub.listing(_repo(model), revision)
    paths = layout.pipeline_files(listing.sizes, variant)
    items = [Item("the model", listing, tuple(paths), revision)]
    for site in sites:
        named = repo_in(sae)
        if named is None:
            raise ValueError(f"sae={sae!r} is not a hub id; give 'owner/name' or 'owner/name/folder'")
        found, wanted = sae_source.on_hub(named, site_names.full(site), hub)
        items.append(Item(f"an SAE of {site_names.short(site_names.full(site))}", found, tuple(wanted)))
    for what, source in (("another VAE", vae), ("a decoder for previews", preview_vae)):
        if source:
            found = hub.listing(_repo(source))
            items.append(Item(what, found, tuple(layout.vae_files(found.sizes))))
    return items


def text_embedding(hub: Hub, repo: str = meaning.MODEL) -> Item:
    """What search by meaning needs.

    Raises:
        FileNotFoundError, ValueError, PermissionError, ConnectionError: As `plan`.
    """
    listing = hub.listing(_repo(repo))
    return Item("a text embedding for search by meaning", listing, tuple(meaning.wanted(listing)))


def lines(items: Sequence[Item], hub: Hub) -> Iterator[str]:
    """The plan as lines of text: sizes and licences."""
    yield f"To be kept in {hub.cache}:"
    width = max(len(item.listing.repo) for item in items)
    for item in items:
        licence = item.listing.licence or "not stated"
        left = hub.missing(item.listing, item.paths)
        state = "" if left == item.size else "  (here already)" if not left else f"  ({volume(left)} left)"
        size = volume(item.size)
        yield f"  {item.listing.repo:<{width}}  {size:>8}  {item.what}; licence: {licence}{state}"
    yield "These licences apply to you; each is stated on https://huggingface.co/<the repository>."
    yield f"To fetch now: {volume(sum(hub.missing(item.listing, item.paths) for item in items))}."


def fetch(items: Sequence[Item], hub: Hub) -> None:
    """Fetch what is missing, with the hub's own progress bars."""
    for item in items:
        hub.fetch(item.listing, item.paths, item.revision)


def _repo(source: str) -> str:
    named = repo_in(source)
    if named is None or named[1]:
        raise ValueError(f"{source!r} is not a hub id; give 'owner/name'")
    return named[0]
