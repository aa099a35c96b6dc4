"""What a user decides about an upload to the Hugging Face hub, checked before anything is sent."""

from __future__ import annotations

import re

from ember_widgets.util import checks

LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
LINK = re.compile(r"https?://[\w.:/?=&%#~+-]+", re.ASCII)


def check_repo(repo: object, example: str) -> None:
    """Refuse what is not "owner/name"."""
    if not isinstance(repo, str) or not REPO.fullmatch(repo):
        raise ValueError(
            f"repo={checks.shown(repo)} is not an id of the hub; give 'owner/name', such as '{example}'"
        )


def check_licence(licence: object, link: object, advice: str) -> None:
    """Refuse a missing licence, and one that the hub could not show.

    Args:
        licence: a name that the hub uses; or, with a link, any name.
        link: where the licence stands, or None.
        advice: what to read before choosing one, as a sentence without its full stop.
    """
    if not licence:
        raise ValueError(
            "licence is missing, and nobody but you can decide it; give the hub's name for one, as "
            f"licence='mit', or any name with licence_link=. {advice}"
        )
    name = checks.text("licence", licence)
    if link is not None:
        if not LINK.fullmatch(checks.text("licence_link", link)):
            raise ValueError(f"licence_link={checks.shown(link)}; give an address that begins with https://")
    elif not LICENCE.fullmatch(name) or name == "other":
        raise ValueError(
            f"licence={checks.shown(name)} is not a name that the hub uses (lower case, such as "
            "'mit' or 'cc-by-4.0'); give one, or licence_link= with the address of the licence"
        )


def check_named(name: str, repo: object, example: str) -> None:
    """Refuse what is neither None nor the id of a repository that the card names."""
    if repo is not None and not REPO.fullmatch(checks.text(name, repo)):
        raise ValueError(
            f"{name}={checks.shown(repo)} is not an id of the hub; give 'owner/name', such as "
            f"'{example}', or leave it out"
        )


def check_private(private: object) -> None:
    """Refuse what is not True or False."""
    if not isinstance(private, bool):
        raise TypeError(f"private={checks.shown(private)}; give True or False")
