"""`ember-widgets page`: write a page that paints in the browser, without Python."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ember_widgets.cli.errors import UserError

if TYPE_CHECKING:
    from ember_widgets.scene.scene import Scene

PROMPT = "a cat and a house in a meadow"
SEED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where to write the page; it is made")
    parser.add_argument(
        "--scene", metavar="FILE", help="what the page shows at first, a file written by scene.save()"
    )
    parser.add_argument(
        "--prompt", help=f"draw what the page shows at first (default without --scene: {PROMPT!r})"
    )
    parser.add_argument("--seed", type=int, help=f"of that picture (default: {SEED})")


def page(options: argparse.Namespace) -> int:
    """Write the page; returns the exit status."""
    from ember_widgets.page.folder import check_place, write_page

    given = [name for name in ("prompt", "seed") if getattr(options, name) is not None]
    if options.scene and given:
        raise UserError(
            f"--scene is what the page shows, so --{given[0]} has no effect; leave out one of the two"
        )
    try:
        # What can be found out at once is, before the model is loaded.
        check_place(Path(options.out).absolute())
        scene = _loaded(Path(options.scene)) if options.scene else None
        from ember_widgets.painter.painter import Painter

        print("loading the embedded model", flush=True)
        painter = Painter.embedded(dtype="float32")
        if scene is None:
            scene = painter.analyze(
                PROMPT if options.prompt is None else options.prompt,
                seed=SEED if options.seed is None else options.seed,
            )
        written = write_page(painter, scene, options.out, say=lambda text: print(text, flush=True))
    except (OSError, ValueError, ImportError) as error:
        raise UserError(str(error)) from error
    n_bytes = written.fetched(webgpu=False)
    print(f"{options.out}: {len(written.sizes)} files; a visitor fetches {n_bytes / 1e6:.1f} MB")
    print(f"look at it:  python -m http.server -d {options.out}  and open http://localhost:8000")
    return 0


def _loaded(path: Path) -> Scene:
    from ember_widgets.scene.scene import Scene

    if path.is_dir():
        raise UserError(f"cannot load {path}: it is a folder; give a file written by scene.save()")
    return Scene.load(path)
