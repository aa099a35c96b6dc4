"""Imports go down only, each layer leans on what it may, and importing the package is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ember_widgets

PACKAGE = Path(ember_widgets.__file__).parent

# Lowest first. A module may import from the layers before its own, and a folder's modules from each other.
# The package itself ("") only names what stands in the others; above it is the command line alone.
LAYERS = (
    "_version",
    "_sites",
    "_checks",
    "_palette",
    "_grid",
    "_png",
    "_files",
    "_scene_file",
    "_store",
    "_factor_edits",
    "_patch_edits",
    "scene",
    "_edited",
    "_label_file",
    "labels",
    "factors",
    "_statistics",
    "icons",
    "_contact_sheet",
    "_collection_file",
    "collection",
    "feature_map",
    "sae",
    "_hub",
    "_tensor_files",
    "_sae_source",
    "_formats",
    "checkpoints",
    "_verdict",
    "staged_unet",
    "_stale",
    "_runs",
    "_seats",
    "_watch",
    "_twin",
    "_traces",
    "_graphs",
    "_decoding",
    "_sampler",
    "_steering",
    "_photo",
    "loading",
    "_download",
    "inspection",
    "_refit",
    "_variations",
    "_pages",
    "_model",
    "_opening",
    "_all_features",
    "painter",
    "training",
    "embedded",
    "plots",
    "renderer",
    "widgets",
    "",
    "cli",
)

NOTEBOOK = {"anywidget", "ipycanvas", "ipywidgets", "traitlets", "IPython"}
TORCH = {"torch", "diffusers", "transformers", "accelerate", "safetensors"}
# All third-party packages a layer may import, wherever in the file.
MAY_IMPORT = {
    "_version": set[str](),
    "_sites": set[str](),
    "_stale": set[str](),
    "_pages": set[str](),
    "_checks": {"numpy"},
    "_palette": set[str](),
    "_grid": {"numpy"},
    "_png": set[str](),
    "_files": set[str](),
    "_scene_file": {"numpy"},
    "_factor_edits": {"numpy", "typing_extensions"},
    "_patch_edits": {"numpy", "typing_extensions"},
    "_edited": {"numpy"},
    "scene": {"numpy"},
    "_label_file": {"numpy"},
    "labels": {"numpy"},
    "_statistics": {"numpy"},
    "icons": {"PIL", "tqdm"},
    "collection": {"numpy", "PIL", "tqdm"},
    "feature_map": {"numpy", "sklearn", "umap"},
    "_store": {"platformdirs"},
    "factors": {"numpy", "scipy", "sklearn", "threadpoolctl"},
    "sae": {"torch"},
    "_hub": {"huggingface_hub"},
    "_tensor_files": {"torch", "safetensors"},
    "_sae_source": {"torch"},
    "_formats": {"torch"},
}
# Packages a layer must not import, wherever in the file.
MUST_NOT_IMPORT = {
    "renderer": TORCH | NOTEBOOK,
    "painter": NOTEBOOK,
    "_model": NOTEBOOK,
    "_opening": NOTEBOOK,
    "loading": NOTEBOOK,
    "staged_unet": NOTEBOOK,
}
# Packages a layer must not import when it is loaded; inside a function it may.
MUST_NOT_LOAD = {
    "plots": TORCH | {"matplotlib"},
    "widgets": TORCH,
    "cli": TORCH | NOTEBOOK,
    "": TORCH | NOTEBOOK,
}

Imports = Iterator[tuple[str, bool]]
"""Dotted names, and whether they are imported as soon as the module is."""


def imports_of(source: str) -> Imports:
    """Everything a file imports; what only a type checker reads is no import at load time."""
    return _imports_in(ast.parse(source), at_load=True)


def _imports_in(node: ast.AST, at_load: bool) -> Imports:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_load) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            start = "." * child.level + (child.module or "")
            yield from ((f"{start}.{alias.name}", at_load) for alias in child.names)
        else:
            later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            never = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from _imports_in(child, at_load and not later and not never)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    return ".".join(module.relative_to(PACKAGE).with_suffix("").parts)


def layer_of(name: str) -> str:
    """The layer of a dotted name inside the package: "widgets.paint" is in "widgets"."""
    first = name.split(".")[0]
    return first if (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file() else ""


def own_layer(module: Path) -> str:
    return "" if module == PACKAGE / "__init__.py" else layer_of(name_of(module))


def upward(layer: str, source: str) -> list[str]:
    """The imports of a file in this layer that do not go down."""
    ours = [name for name, _ in imports_of(source) if name.split(".")[0] == PACKAGE.name]
    return [name for name in ours if LAYERS.index(layer_of(name.partition(".")[2])) > LAYERS.index(layer)]


def third_party(source: str) -> dict[str, bool]:
    """The packages from elsewhere that a file imports, and whether at load time."""
    found: dict[str, bool] = {}
    for name, at_load in imports_of(source):
        top = name.split(".")[0]
        if top != PACKAGE.name and top not in sys.stdlib_module_names:
            found[top] = found.get(top, False) or at_load
    return found


@pytest.mark.parametrize("module", modules(), ids=name_of)
class TestEveryModule:
    def test_has_a_layer(self, module: Path) -> None:
        assert own_layer(module) in LAYERS, "give the new module its place in LAYERS"

    def test_imports_by_full_names(self, module: Path) -> None:
        relative = [name for name, _ in imports_of(module.read_text("utf-8")) if name.startswith(".")]
        assert relative == []

    def test_imports_only_from_below(self, module: Path) -> None:
        if own_layer(module):  # the package names everything, lazily
            assert upward(own_layer(module), module.read_text("utf-8")) == []

    def test_leans_on_no_package_that_is_not_its_layers(self, module: Path) -> None:
        layer, found = own_layer(module), third_party(module.read_text("utf-8"))
        assert set(found) <= MAY_IMPORT.get(layer, set(found))
        assert set(found).isdisjoint(MUST_NOT_IMPORT.get(layer, set()))
        at_load = {package for package, loads in found.items() if loads}
        assert at_load.isdisjoint(MUST_NOT_LOAD.get(layer, set()))


class TestTheseTests:
    """They would see what they are for."""

    @pytest.mark.parametrize(
        "source",
        [
            "import ember_widgets.painter",
            "from ember_widgets import painter",
            "from ember_widgets.painter import Painter",
            "def lazy():\n    from ember_widgets.painter import Painter",
            "if TYPE_CHECKING:\n    from ember_widgets.painter import Painter",
            "from ember_widgets import Painter",
        ],
    )
    def test_see_an_import_upwards(self, source: str) -> None:
        assert len(upward("scene", source)) == 1
        assert upward("cli", source) == []

    def test_see_packages_inside_functions(self) -> None:
        source = "import numpy\ndef lazy():\n    import torch.nn\nclass Now:\n    from diffusers import utils"
        assert third_party(source) == {"numpy": True, "torch": False, "diffusers": True}


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    return done.stdout.strip()


class TestThePackage:
    def test_loads_nothing_heavy(self) -> None:
        loaded = run("import sys, ember_widgets; print(*sorted({m.split('.')[0] for m in sys.modules}))")
        assert set(loaded.split()).isdisjoint(TORCH | NOTEBOOK | {"numpy", "sklearn", "matplotlib", "PIL"})

    def test_scene_and_factors_load_numpy_only(self) -> None:
        loaded = run(
            "import sys, ember_widgets as ember; ember.Scene, ember.Factors;"
            "print(*sorted({m.split('.')[0] for m in sys.modules}))"
        )
        assert set(loaded.split()).isdisjoint(TORCH | NOTEBOOK | {"sklearn", "scipy", "matplotlib", "PIL"})

    def test_the_widget_loads_without_torch(self) -> None:
        loaded = run("import sys, ember_widgets; ember_widgets.PaintWidget; print('torch' in sys.modules)")
        assert loaded == "False"

    def test_imports_in_under_a_third_of_a_second(self) -> None:
        """Measured inside, so that starting Python does not count; the best of three, on a busy machine."""
        code = "import time; t = time.perf_counter(); import ember_widgets; print(time.perf_counter() - t)"
        assert min(float(run(code)) for _ in range(3)) < 0.3

    def test_has_all_it_names(self) -> None:
        for name in ember_widgets.__all__:
            assert getattr(ember_widgets, name) is not None
        assert set(ember_widgets.__all__) <= set(dir(ember_widgets))

    def test_says_so_when_a_name_is_unknown(self) -> None:
        with pytest.raises(AttributeError) as caught:
            ember_widgets.Pianter  # noqa: B018
        assert str(caught.value) == "module 'ember_widgets' has no attribute 'Pianter'"

    def test_version_is_one_number(self) -> None:
        assert re.fullmatch(r"\d+\.\d+\.\d+([.a-z]+\d+)*", ember_widgets.__version__)
