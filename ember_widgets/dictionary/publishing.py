"""SAEs and their model card, put on the Hugging Face hub."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ember_widgets.dictionary.formats.format import Writable
from ember_widgets.dictionary.formats.table import FORMATS
from ember_widgets.dictionary.model_card import Card, Described, Rows
from ember_widgets.util import checks
from ember_widgets.util.hub import Hub

LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
LINK = re.compile(r"https?://[\w.:/?=&%#~+-]+", re.ASCII)


class Storable(Writable, Protocol):
    """An `SAE`, which itself imports this module."""

    def save(self, folder: str | os.PathLike[str], *, format: str = "ember") -> Path:
        """Write it."""


@dataclass(frozen=True)
class Upload:
    """What the user decided about an upload; see `SAE.push_to_hub`.

    Raises:
        TypeError, ValueError: Something is missing or of the wrong kind.
    """

    repo: str
    licence: str | None
    licence_link: str | None = None
    model: str | None = None
    data: str = ""
    evaluation: object = None
    private: bool = True
    token: str | None = None
    format: str = "ember"
    message: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.repo, str) or not REPO.fullmatch(self.repo):
            raise ValueError(
                f"repo={checks.shown(self.repo)} is not an id of the hub; give 'owner/name', such as "
                "'me/my-sae'"
            )
        if not self.licence:
            raise ValueError(
                "licence is missing, and nobody but you can decide it; give the hub's name for one, as "
                "licence='mit', or any name with licence_link=. The SAE comes from a model's activations: "
                "read what that model's licence allows first"
            )
        checks.text("licence", self.licence)
        if self.licence_link is not None:
            if not LINK.fullmatch(checks.text("licence_link", self.licence_link)):
                raise ValueError(
                    f"licence_link={checks.shown(self.licence_link)}; give an address that begins with "
                    "https://"
                )
        elif not LICENCE.fullmatch(self.licence) or self.licence == "other":
            raise ValueError(
                f"licence={checks.shown(self.licence)} is not a name that the hub uses (lower case, such as "
                "'mit' or 'cc-by-4.0'); give one, or licence_link= with the address of the licence"
            )
        if self.model is not None and not REPO.fullmatch(checks.text("model", self.model)):
            raise ValueError(
                f"model={checks.shown(self.model)} is not an id of the hub; give 'owner/name', such as "
                "'stabilityai/sdxl-turbo', or leave it out"
            )
        checks.text("data", self.data)
        if not isinstance(self.private, bool):
            raise TypeError(f"private={checks.shown(self.private)}; give True or False")
        writable = [name for name, entry in FORMATS.items() if entry.write]
        if self.format not in writable:
            raise ValueError(
                f"format={checks.shown(self.format)} cannot be written; "
                f"choose {' or '.join(map(repr, writable))}"
            )


def push(
    upload: Upload,
    saes: Mapping[str, Storable],
    *,
    figures: Mapping[str, Rows] | None = None,
    training: Rows = (),
    notes: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Put SAEs and a card that describes them into one repository.

    Args:
        upload: What the user decided.
        saes: {folder in the repository: SAE}; "" is the repository itself.
        figures: {folder: (name, value) of what was measured}.
        training: (name, value) of how they were trained.
        notes: Sentences about the training.
        files: {name: content} of what else is uploaded.

    Returns:
        The repository's address.
    """
    given = figures or {}
    card = Card(
        repo=upload.repo,
        saes=[Described(sae, folder, given.get(folder, ())) for folder, sae in saes.items()],
        format=upload.format,
        licence=upload.licence or "",
        licence_link=upload.licence_link or "",
        model=upload.model or "",
        data=upload.data,
        training=training,
        evaluation="" if upload.evaluation is None else str(upload.evaluation),
        notes=notes,
    )
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        for folder, sae in saes.items():
            sae.save(place / folder, format=upload.format)
        for name, content in (files or {}).items():
            (place / name).write_bytes(content)
        (place / "README.md").write_text(card.text(), "utf-8")
        names = sorted(saes)
        message = upload.message or f"SAE of {', '.join(sorted({sae.site for sae in saes.values()}))}"
        return Hub(token=upload.token).upload(
            upload.repo, place, private=upload.private, message=message, replaced=_replaced(names)
        )


def _replaced(folders: Sequence[str]) -> list[str]:
    """The files of an SAE that was uploaded before in another format: one folder cannot have two."""
    names = sorted({name for entry in FORMATS.values() for name in entry.files})
    return [f"{folder}/{name}" if folder else name for folder in folders for name in names]


def figures_of(measured: Any) -> list[tuple[str, str]]:
    """(name, value) of the numbers of a dataclass, such as `Quality`."""
    values = vars(measured) if hasattr(measured, "__dict__") else {}
    return [
        (name, f"{value:,}" if isinstance(value, int) else f"{value:.4g}")
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
