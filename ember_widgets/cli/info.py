"""`ember-widgets info`: what is installed, and what it would run on."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from ember_widgets._version import __version__
from ember_widgets.cli.errors import UserError
from ember_widgets.cli.package import PACKAGE

MODEL_CARD = PACKAGE / "embedded" / "assets" / "MODEL_CARD.md"
ADVICE = "run `pip install --force-reinstall ember-widgets`; if that does not help, report all of this output"
LIBRARIES = (
    *("torch", "diffusers", "transformers", "huggingface-hub", "safetensors"),
    *("numpy", "scipy", "scikit-learn", "pillow"),
    *("anywidget", "ipywidgets", "ipycanvas", "jupyterlab", "notebook", "marimo"),
    # Of the extras.
    *("openvino", "jupyter-scatter", "umap-learn", "openai", "ray", "mcp", "onnx"),
)


def info() -> Iterator[str]:
    """Lines that say what is installed and what it would run on, as a bug report needs them.

    Raises:
        UserError: The embedded model does not draw what it drew when it was released.
    """
    yield f"ember_widgets {__version__} in {PACKAGE}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    for library in LIBRARIES:
        yield f"  {library:<15} {_version(library)}"
    yield from _compute()
    yield from _embedded_model()
    yield from _pictures()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _compute() -> Iterator[str]:
    if find_spec("torch") is None:
        return
    import torch

    yield f"CPU: {torch.get_num_threads()} threads"
    for device in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(device)
        yield f"CUDA {device}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "MPS: available"


def _embedded_model() -> Iterator[str]:
    if not MODEL_CARD.is_file():
        yield "Embedded model: missing; reinstall ember-widgets"
        return
    size = sum(path.stat().st_size for path in MODEL_CARD.parent.rglob("*") if path.is_file())
    yield f"Embedded model: {size / 1e6:.1f} MB in {MODEL_CARD.parent}"
    for line in _first_paragraph(MODEL_CARD.read_text(encoding="utf-8")):
        yield f"  {line}"


def _pictures() -> Iterator[str]:
    """Whether the embedded model draws here what it drew when it was released.

    Raises:
        UserError: It does not.
    """
    if not MODEL_CARD.is_file() or find_spec("torch") is None:
        return
    from ember_widgets.embedded import fingerprint

    try:
        found = fingerprint.difference()
    except Exception as error:  # whatever it is, the lines above are needed to find out why
        raise UserError(f"the embedded model cannot draw: {error}; {ADVICE}") from error
    if found > fingerprint.TOLERANCE:
        raise UserError(
            f"the embedded model's pictures are not as released: values differ by up to {found} of 255; "
            f"{ADVICE}"
        )
    yield f"  pictures: as released (values differ by at most {found} of 255)"


def _first_paragraph(markdown: str) -> Iterator[str]:
    """The text before the first empty line, headings and a front matter block left out."""
    body = markdown.split("\n---\n", 1)[1] if markdown.startswith("---\n") else markdown
    started = False
    for line in body.splitlines():
        if line.strip() and not line.startswith("#"):
            started = True
            yield line.strip()
        elif started:
            return
