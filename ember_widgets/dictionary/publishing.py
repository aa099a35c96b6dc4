"""SAEs and their model card, put on the Hugging Face hub."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ember_widgets.dictionary.formats.format import Writable
from ember_widgets.dictionary.formats.table import FORMATS
from ember_widgets.dictionary.model_card import Card, Described
from ember_widgets.util import checks, uploads
from ember_widgets.util.cards import Rows
from ember_widgets.util.hub import Hub


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
        uploads.check_repo(self.repo, "me/my-sae")
        uploads.check_licence(
            self.licence,
            self.licence_link,
            "The SAE comes from a model's activations: read what that model's licence allows first",
        )
        uploads.check_named("model", self.model, "stabilityai/sdxl-turbo")
        checks.text("data", self.data)
        uploads.check_private(self.private)
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
