"""`ember-widgets render`: draw a saved scene."""

from __future__ import annotations

from pathlib import Path

from ember_widgets.cli.errors import UserError


def render(scene_path: Path, output: Path) -> None:
    """Draw a saved scene with the embedded model and write the picture."""
    from PIL import Image

    from ember_widgets.scene.scene import Scene

    # Both are checked first, because loading the model takes seconds.
    known = Image.registered_extensions()
    if output.suffix.lower() not in known:
        raise UserError(f"cannot tell the picture format from {output.name!r}; end it in .png, .jpg or .webp")
    if not output.parent.is_dir():
        raise UserError(f"folder {output.parent} does not exist; create it first")
    try:
        scene = Scene.load(scene_path)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error

    from ember_widgets.painter.painter import Painter

    try:
        picture = Painter.embedded().render(scene)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    try:
        picture.save(output)
    except OSError as error:
        raise UserError(f"cannot write {output}: {error}") from error
    print(f"{output}: {picture.width}×{picture.height}")
