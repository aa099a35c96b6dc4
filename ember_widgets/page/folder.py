"""The folder of a page that paints without Python: any static host can serve it."""

from __future__ import annotations

import hashlib
import html
import os
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ember_widgets.page import export
from ember_widgets.painter.open import EMBEDDED
from ember_widgets.painter.painter import Painter
from ember_widgets.scene.scene import Scene
from ember_widgets.util import files

OWN = Path(__file__).parent / "static"
"""What js/src/page is built to, with the runtime of the model's graphs."""
WIDGET = Path(__file__).parents[1] / "widgets" / "static"
WIDGET_FILES = ("paint.js", "panels.js", "paint.css")
TEMPLATE = "index.html"
SCENE = "scene.png"
MOST_MANIFEST = 2**24
"""Bytes of a page's manifest: labels and words take most of it."""


@dataclass(frozen=True)
class Page:
    """A page that was written.

    Attributes:
        folder: Where it is.
        version: Of all its files together; another one if any of them differs.
        sizes: {file: its bytes}.
    """

    folder: Path
    version: str
    sizes: dict[str, int]

    @property
    def n_bytes(self) -> int:
        """What all files take. A visitor fetches less: of the two runtimes only one."""
        return sum(self.sizes.values())

    def fetched(self, *, webgpu: bool) -> int:
        """How many bytes a visitor fetches, who has WebGPU or has not.

        Args:
            webgpu: Whether the browser has WebGPU.
        """
        other = "wasm." if webgpu else "webgpu."
        return sum(size for name, size in self.sizes.items() if not name.startswith(other))


def write_page(
    painter: object,
    scene: Scene,
    folder: str | os.PathLike[str],
    *,
    say: Callable[[str], None] = lambda text: None,
) -> Page:
    """Write a page that shows the paint widget with a scene, and paints with the painter's model.

    The folder appears whole or not at all; a page that was there is replaced.

    Args:
        painter: A `Painter`, see `export.export_model`. Of the embedded model, in whichever dtype it is.
        scene: What the page shows at first; of this painter.
        folder: Where to write. It is made; if it is there, it must be empty or a page.
        say: Called with what is being done.

    Raises:
        TypeError: The painter is of another kind; a remote one's model is elsewhere.
        ImportError: The packages that export graphs are not installed.
        ValueError: A page cannot paint with this painter, or the scene is not one of its.
        FileExistsError: The folder holds something else.
        OSError: It cannot be written there.
    """
    place = Path(os.path.abspath(folder))
    if place.is_symlink():  # else the link would be replaced, and not the folder that it leads to
        place = place.resolve()
    check_place(place)
    painter = in_float32(painter)
    painter.model.check(scene)
    export.check(painter)
    say("drawing the picture")
    picture = scene.to_bytes(painter.render(scene))
    files.make_folder(place.parent)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    temporary.mkdir()
    try:
        say("exporting the model's graphs, which takes about half a minute")
        export.export_model(painter, temporary)
        for source in (*(WIDGET / name for name in WIDGET_FILES), *sorted(OWN.iterdir())):
            if source.name != TEMPLATE:
                shutil.copyfile(source, temporary / source.name)
        files.write(temporary / SCENE, picture)
        page = _finished(temporary, scene, place)
        _replace(place, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return page


def in_float32(painter: object) -> Painter:
    """The painter; of the embedded model in another dtype, the same in float32, in which pages compute.

    Raises:
        TypeError: It is of another kind.
        ValueError: The embedded model was changed, so that it cannot be opened again.
    """
    if not isinstance(painter, Painter):
        raise TypeError(
            f"a page carries its model, and a {type(painter).__name__} has none here; "
            "give a Painter, e.g. ember.Painter.embedded()"
        )
    is_embedded = painter.model.facts["id"] == EMBEDDED
    if not is_embedded or painter.pipeline.dtype == torch.float32:
        return painter
    opened = Painter.embedded(sites=list(painter.saes), dtype="float32")
    if opened.key != painter.key:
        raise ValueError(
            "the embedded model was changed, and a page computes in float32; make the same change to "
            "ember.Painter.embedded(dtype='float32'), and give that"
        )
    opened.labels.add(painter.labels)
    return opened


def check_place(folder: Path) -> None:
    """Refuse a folder that holds something else than a page.

    Raises:
        FileExistsError: It does.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a folder for the page")
    there = {entry.name for entry in folder.iterdir()}
    if other := sorted(there - _names_of_page(folder)):
        some = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        raise FileExistsError(
            f"{folder} holds something else than a page, and is left as it is ({some}); name a new folder"
        )


def _names_of_page(folder: Path) -> set[str]:
    """The files of the page that is in a folder; none if what is there is not a page."""
    try:
        manifest = files.parsed(files.read(folder / export.MANIFEST, MOST_MANIFEST).decode(), MOST_MANIFEST)
        model = {str(entry["file"]) for entry in manifest["files"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()  # web applications have a manifest.json too, which says other things
    return {*model, *WIDGET_FILES, *(file.name for file in OWN.iterdir()), export.MANIFEST, SCENE}


def _finished(folder: Path, scene: Scene, place: Path) -> Page:
    """Add what names all other files' version."""
    parts = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        parts.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    template = (OWN / TEMPLATE).read_text(encoding="utf-8")
    parts.update(template.encode())
    version = parts.hexdigest()[:12]
    title = scene.prompt.strip() or "Paint with a model's features"
    alt = f"A picture of {scene.prompt.strip()}" if scene.prompt.strip() else "The picture to paint on"
    texts = {"version": version, "title": title, "alt": alt}
    # In one pass: a prompt may hold such a name too.
    written = re.sub(r"{{(\w+)}}", lambda name: html.escape(texts[name[1]]), template)
    files.write(folder / TEMPLATE, written.encode())
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    return Page(place, version, sizes)


def _replace(place: Path, new: Path) -> None:
    """Put a folder in the place of another one, which may not be there."""
    if not place.exists():
        os.replace(new, place)
        return
    old = place.with_name(f".{place.name}.{secrets.token_hex(6)}.old")
    os.replace(place, old)
    try:
        os.replace(new, place)
    except OSError:
        os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)
