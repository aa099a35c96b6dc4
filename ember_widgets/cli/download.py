"""`ember-widgets download`: fetch SDXL-Turbo and an SAE, once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ember_widgets.cli.errors import UserError


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
    ask: bool,
) -> int:
    """Say what painting on SDXL-Turbo needs, and fetch it; a second call fetches what is missing.

    Args:
        model, sae, vae, preview_vae: Hub ids; None = without.
        sites: Sites of the SAE.
        variant: Of the model's weights, such as "fp16"; None = the usual ones.
        revision: Of the model.
        cache_dir, token: As in `Painter.from_pretrained`.
        ask: Ask before anything is fetched.

    Returns:
        The exit status.
    """
    from ember_widgets.model.sdxl import download as files
    from ember_widgets.util.hub import Hub

    hub = Hub(Path(cache_dir) if cache_dir else None, token)
    try:
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
            if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
                print("Nothing was fetched.")
                return 1
        files.fetch(items, hub)
    except KeyboardInterrupt:
        raise UserError("stopped; run it again: every file that has arrived is kept") from None
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    print("Everything is downloaded. In a notebook:")
    cache = f", cache_dir={cache_dir!r}" if cache_dir else ""
    print(f"  ember.Painter.from_pretrained({model!r}, sae={sae!r}{cache})")
    return 0
