"""What clients may fetch of a painter and keep: labels, icons, statistics, concepts, SAEs.

Each is written once, in its usual format, into a temporary folder. A client names a file of this table; no
other path is ever opened for it.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ember_widgets.features import icons, label_file, statistics
from ember_widgets.painter.painter import Painter

LABELS = "labels.json"
ICONS = icons.FILE
STATISTICS = statistics.FILE
CONCEPTS = "concepts.npz"


def sae_file(index: int) -> str:
    """The name of the file with the SAE of the painter's site of this index."""
    return f"sae-{index}.safetensors"


@dataclass(frozen=True)
class ModelFile:
    """A file that clients may fetch.

    Args:
        path: Where it lies; clients do not see this.
        size: In bytes.
        etag: Another one for another content.
    """

    path: Path
    size: int
    etag: str


class ModelFiles:
    """The files of a painter, made when they are first asked for. Any thread may use it.

    Args:
        painter: The painter.
    """

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: Mapping[str, ModelFile] | None = None

    def all(self) -> Mapping[str, ModelFile]:
        """{name: file}. Without labels, statistics or concepts, there is no file of them."""
        with self._lock:
            if self._files is None:
                self._folder = tempfile.TemporaryDirectory(prefix="ember-serve-")
                self._files = _made(self._painter, Path(self._folder.name))
            return self._files

    def close(self) -> None:
        """Remove the files."""
        with self._lock:
            self._files = {}
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None


def _made(painter: Painter, folder: Path) -> dict[str, ModelFile]:
    found: dict[str, ModelFile] = {}

    def add(name: str, write: Callable[[Path], object]) -> None:
        write(folder / name)  # or moves it there
        data = (folder / name).read_bytes()
        found[name] = ModelFile(folder / name, len(data), f'"{hashlib.sha256(data).hexdigest()[:32]}"')

    labels, measured, bank = painter.labels, painter.statistics, painter.concepts
    if labels:
        add(LABELS, lambda path: label_file.write(path, {one: labels.entry(one) for one in labels}))
    made = painter.icons
    pictures = {feature: made.encoded(feature) for feature in made}
    add(ICONS, lambda path: icons.write(path, pictures, painter.key))
    if measured is not None:
        add(STATISTICS, lambda path: measured.save(path, painter.key))
    if bank is not None:
        add(CONCEPTS, bank.save)
    for index, sae in enumerate(painter.model.saes.values()):
        place = folder / f"sae-{index}"
        add(sae_file(index), sae.save(place).rename)
    return found
