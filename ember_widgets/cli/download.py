"""`ember-widgets download`: fetch SDXL-Turbo and an SAE, once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ember_widgets.cli.errors import UserError

if TYPE_CHECKING:
    from ember_widgets.util.hub import Hub


def download(
    *,
    model: str,
    sae: str,
    sites: Sequence[str],
    vae: str | None,
    preview_vae: str | None,
    variant: str | None,
    revision: str | None,
    cache_dir: str | None,
    token: str | None,
    meaning: str | None,
    ask: bool,
) -> int:
    """Say what painting on SDXL-Turbo needs, and fetch it; a second call fetches what is missing.

    Args:
        model, sae, vae, preview_vae: Hub ids; None = without.
        sites: Sites of the SAE.
        variant: Of the model's weights, such as "fp16"; None = the usual ones.
        revision: Of the model.
        cache_dir, token: As in `Painter.from_pretrained`.
        meaning: Hub id of a text embedding, which is fetched instead of all else; None = without.
        ask: Ask before anything is fetched.

    Returns:
        The exit status.
    """
    from ember_widgets.model.sdxl import download as files
    from ember_widgets.util.hub import Hub, NotInCache

    hub = Hub(Path(cache_dir) if cache_dir else None, token)
    _check_writable(hub.cache)
    try:
        if meaning is not None:
            items = [files.text_embedding(hub, meaning)]
        else:
            items = files.plan(
                hub,
                model=model,
                sae=sae,
                sites=sites,
                vae=vae,
                preview_vae=preview_vae,
                variant=variant,
                revision=revision,
            )
        print("\n".join(files.lines(items, hub)), flush=True)
        if ask:
            if not sys.stdin.isatty():
                raise UserError(
                    "nothing was fetched: this is not a terminal, so nobody can confirm; give --yes to go on"
                )
            if _answer("Go on? [y/N] ") not in ("y", "yes"):
                print("Nothing was fetched.")
                return 1
        files.fetch(items, hub)
    except NotInCache as error:
        raise UserError(_without_network(hub)) from error
    except KeyboardInterrupt:
        raise UserError("stopped; run it again: every file that has arrived is kept") from None
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    if meaning is not None:
        print("\n".join(_searching(meaning, cache_dir)))
        return 0
    print("Everything is downloaded. In a notebook:")
    cache = f", cache_dir={cache_dir!r}" if cache_dir else ""
    print(f"  ember.Painter.from_pretrained({model!r}, sae={sae!r}{cache})")
    return 0


def _searching(embedding: str, cache_dir: str | None) -> list[str]:
    """How labels are searched by meaning from now on."""
    from ember_widgets.features import meaning

    need = [] if meaning.is_installed() else [f"It needs a package: {meaning.INSTALL}"]
    if embedding == meaning.MODEL and cache_dir is None:
        return ["Everything is downloaded. Searches of labels use it by themselves.", *need]
    cache = f", cache_dir={cache_dir!r}" if cache_dir else ""
    return [
        "Everything is downloaded. In a notebook:",
        f"  painter.labels.load_meaning({embedding!r}{cache})",
        *need,
    ]


def _without_network(hub: Hub) -> str:
    """What a person can do."""
    if hub.offline:
        return "nothing was fetched: HF_HUB_OFFLINE forbids the network; unset it and run this again"
    host = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return (
        f"nothing was fetched: {host} cannot be reached. Check the connection (behind a proxy set "
        "HTTPS_PROXY, for a mirror HF_ENDPOINT) and run this again; or run it on a machine that has a "
        f"connection and copy its folder {hub.cache} to this one. The embedded model needs no download: "
        "try `ember-widgets demo`"
    )


def _check_writable(folder: Path) -> None:
    """Refuse a cache that cannot be written, before anything is asked or fetched."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"cannot keep downloads in {folder}: {there} is a file; give another --cache-dir")
    if not os.access(there, os.W_OK):
        raise UserError(f"cannot keep downloads in {folder}: Permission denied; give another --cache-dir")


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:  # Ctrl-D
        print()
        return ""
