"""A training run on the Hugging Face hub: what its model card says beyond the SAE itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ember_widgets.dictionary.publishing import Storable, Upload, figures_of, push

NAMES = {
    "fvu": "FVU, fraction of variance unexplained (training, last batches)",
    "l0": "L0, codes kept per patch (training, last batches)",
    "dead": "share of dead features (training, last batches)",
}
MEASURED = {
    "fvu": "FVU (pictures not trained on)",
    "l0": "L0 (pictures not trained on)",
    "dead": "share of features never active there",
    "positional": "share of positional features",
    "redundancy": "redundancy, mean largest cosine similarity of decoder rows",
}
SETTINGS_FILE, HISTORY_FILE = "settings.json", "history.csv"


def push_run(
    upload: Upload,
    saes: Mapping[str, Storable],
    *,
    settings: Mapping[str, Any],
    last: Mapping[str, Mapping[str, Any]],
    quality: Mapping[str, Any],
    is_finished: bool,
    n_skipped: int,
    history: Path | None,
) -> str:
    """Put a run's SAEs on the hub.

    Args:
        upload: What the user decided.
        saes: {name: SAE}.
        settings: Those of the run; {} if they were not written.
        last: {name: the last row of its history}.
        quality: {name: what was measured on pictures that it has not seen}.
        is_finished: Whether the training came to its end.
        n_skipped: Prompts that could not be drawn.
        history: The file with all rows, or None.

    Returns:
        The repository's address.
    """
    folders = {name: "" if len(saes) == 1 else name for name in saes}
    public = {name: _public(value) for name, value in settings.items()}
    files = {SETTINGS_FILE: (json.dumps(public, indent=2) + "\n").encode()} if public else {}
    if history is not None and history.is_file():
        files[HISTORY_FILE] = history.read_bytes()
    notes = []
    if not is_finished:
        seen = max((row["n_patches"] for row in last.values()), default=0)
        notes.append(f"The training was interrupted after {seen:,} patches; this is what it had until then.")
    if n_skipped:
        notes.append(f"{n_skipped:,} prompts could not be drawn and were left out.")
    return push(
        upload,
        {folders[name]: sae for name, sae in saes.items()},
        figures={folders[name]: _figures(last.get(name, {}), quality.get(name)) for name in saes},
        training=[(name, _shown(name, value)) for name, value in public.items()],
        notes=notes,
        files=files,
    )


def _figures(row: Mapping[str, Any], measured: Any) -> list[tuple[str, str]]:
    found = [(MEASURED.get(name, name), value) for name, value in figures_of(measured)]
    found += [(label, f"{row[name]:.4g}") for name, label in NAMES.items() if name in row]
    if "step" in row:
        found += [("steps", f"{row['step']:,}"), ("patches seen", f"{row['n_patches']:,}")]
    return found


def _public(value: Any) -> Any:
    """A setting without the folders of the author's machine, which are nobody else's business."""
    if isinstance(value, str) and (Path(value).is_absolute() or value.startswith("~")):
        return Path(value).name
    return value


def _shown(name: str, value: Any) -> str:
    if name == "prompts":
        return f"hash {value}"
    if isinstance(value, int) and not isinstance(value, bool) and "seed" not in name:
        return f"{value:,}"
    return str(value) if isinstance(value, str) else json.dumps(value)
