"""`ember-widgets render`: draw a saved scene."""

from __future__ import annotations

import io
import os
from pathlib import Path

from ember_widgets.cli.errors import UserError, cannot_write
from ember_widgets.util import files


def render(scene_path: Path, output: Path) -> None:
    """Draw a saved scene with the embedded model and write the picture, all or nothing."""
    from PIL import Image

    from ember_widgets.scene.scene import Scene

    # Both are checked first, because loading the model takes seconds.
    if output.is_dir():
        raise UserError(f"{output} is a folder; name a file in it, such as {output / 'picture.png'}")
    if scene_path.is_dir():
        raise UserError(f"cannot load {scene_path}: it is a folder; give a file written by scene.save()")
    format_ = Image.registered_extensions().get(output.suffix.lower())
    if format_ not in Image.SAVE:  # others can only be read
        raise UserError(f"cannot tell the picture format from {output.name!r}; end it in .png, .jpg or .webp")
    if not output.parent.is_dir():
        raise UserError(f"folder {output.parent} does not exist; create it first")
    if not all(os.access(path, os.W_OK) for path in (output.parent, output) if path.exists()):
        raise UserError(f"cannot write {output}: Permission denied; choose another folder")
    try:
        scene = Scene.load(scene_path)
    except OSError as error:
        # Our own messages name the file; the system's have a number and no advice.
        text = f"cannot load {scene_path}: {error.strerror}" if error.strerror else str(error)
        raise UserError(text) from error
    except ValueError as error:
        raise UserError(str(error)) from error

    from ember_widgets.painter.painter import Painter

    try:
        picture = Painter.embedded().render(scene)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    stream = io.BytesIO()
    try:
        picture.save(stream, format_)
    except OSError as error:  # a format for other kinds of pictures
        raise UserError(cannot_write(output, error)) from error
    try:
        files.write(output, stream.getvalue())
    except OSError as error:
        raise UserError(str(error)) from error
    print(f"{output}: {picture.width} x {picture.height} pixels")  # ASCII, as some terminals need it
