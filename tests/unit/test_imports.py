"""Imports run only downward in the house, and importing the package is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ember_widgets

PACKAGE = Path(ember_widgets.__file__).parent

# From top to bottom: a folder imports from itself and from the folders after it.
# Rooms in one line stand beside each other: neither imports from the other.
ROOMS = (
    ("cli",),
    ("widgets.inspect", "widgets.atlas"),
    ("widgets.paint",),
    ("widgets.shared",),
    ("page",),
    ("agent",),
    ("serve.server", "serve.client"),
    ("serve.wire",),
    ("embedded",),
    ("plots",),
    ("painter",),
    ("labelling",),
    ("training",),
    ("model",),
    ("features",),
    ("dictionary",),
    ("scene",),
    ("util",),
)
# The package itself only names, lazily, what stands in the folders; so does a module that notebooks of 0.1
# import from. `__main__` only calls the command line.
OUTSIDE = {"", "__main__", "_version", "checkpoints", "serve", "widgets"}

NOTEBOOK = {"anywidget", "ipycanvas", "ipywidgets", "traitlets", "IPython"}
TORCH = {"torch", "diffusers", "transformers", "accelerate", "safetensors"}
# All third-party packages that a folder may import, wherever in a file.
MAY_IMPORT = {
    "": set(),
    "cli": {"PIL", "jupyterlab", "mcp", "torch", "tqdm"},
    "widgets.atlas": {
        *("PIL", "anywidget", "ipywidgets", "jscatter", "matplotlib", "numpy", "pandas", "traitlets")
    },
    "widgets.inspect": {"PIL", "ipycanvas", "ipywidgets", "numpy", "traitlets"},
    "widgets.paint": {"IPython", "PIL", "anywidget", "ipywidgets", "numpy", "traitlets"},
    "widgets.shared": {"IPython", "PIL", "anywidget", "ipywidgets", "numpy", "traitlets"},
    "page": {"numpy", "onnx", "safetensors", "torch"},
    "embedded": {
        *("PIL", "diffusers", "fontTools", "numpy", "safetensors", "scipy", "threadpoolctl", "tokenizers"),
        *("torch", "tqdm", "transformers", "typing_extensions"),
    },
    "plots": {"PIL", "matplotlib", "numpy"},
    "painter": {"PIL", "diffusers", "numpy", "scipy", "torch", "tqdm", "typing_extensions"},
    "training": {"accelerate", "filelock", "matplotlib", "safetensors", "torch", "tqdm"},
    "model": {
        *("PIL", "diffusers", "filelock", "numpy", "onnxscript", "openvino", "safetensors", "torch"),
        "transformers",
    },
    "dictionary": {"numpy", "safetensors", "scipy", "sklearn", "threadpoolctl", "torch"},
    "scene": {"numpy", "scipy", "typing_extensions"},
    "util": {"av", "numpy", "PIL", "huggingface_hub", "matplotlib", "filelock", "platformdirs"},
    "features": {"numpy", "PIL", "model2vec", "scipy", "sklearn", "tqdm", "typing_extensions", "umap"},
    "agent": {"PIL", "mcp", "numpy", "pydantic"},
    "serve.client": {"PIL", "httpx", "numpy", "websockets"},
    "serve.server": {
        *("PIL", "fastapi", "numpy", "pydantic", "ray", "starlette", "typing_extensions", "websockets")
    },
    "serve.wire": {"PIL", "numpy"},
    "labelling": {"PIL", "filelock", "matplotlib", "openai", "torch", "tqdm", "transformers"},
}
# Packages that a folder must not import, wherever in a file.
MUST_NOT_IMPORT = dict.fromkeys(
    ("painter", "labelling", "training", "model", "features", "dictionary"), NOTEBOOK
)
# Packages that a folder must not import when it is loaded; inside a function it may.
MUST_NOT_LOAD = {
    "cli": TORCH | NOTEBOOK,
    "plots": TORCH | {"matplotlib"},
    "labelling": TORCH | {"matplotlib", "openai"},
    "agent": TORCH,
    "serve.client": TORCH | {"fastapi", "ray", "starlette"},
    "serve.wire": TORCH,
    "widgets.paint": TORCH,
    "widgets.shared": TORCH,
    "widgets.inspect": TORCH,
    "widgets.atlas": TORCH,
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
    """Dotted, inside the package: "" is the package itself, "scene" the folder, "scene.grid" a file."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str | None:
    """The folder of a dotted name inside the package; None for what stands in no folder."""
    found = (folder for line in ROOMS for folder in line if f"{name}.".startswith(f"{folder}."))
    return next(found, None)


def floor_of(folder: str) -> int:
    """Which line of `ROOMS` a folder stands in; 0 is the top."""
    return next(i for i, line in enumerate(ROOMS) if folder in line)


def imported(source: str) -> Iterator[str]:
    """What a file imports from the package, as dotted names inside it."""
    for name, _ in imports_of(source):
        if name.split(".")[0] == PACKAGE.name:
            yield name.partition(".")[2]


def upward(folder: str, source: str) -> list[str]:
    """The imports of a file in this folder that go up, or to a folder beside it."""

    def allowed(name: str) -> bool:
        if name.split(".")[0] in ("__version__", "_version"):
            return True
        other = room_of(name)
        if other is None:  # the package's public names: above every folder but the command line
            return folder == "cli"
        return other == folder or floor_of(other) > floor_of(folder)

    return [name for name in imported(source) if not allowed(name)]


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
    def test_stands_in_a_room(self, module: Path) -> None:
        name = name_of(module)
        assert name in OUTSIDE or room_of(name), "move the module into a folder of ROOMS"

    def test_needs_no_underscore(self, module: Path) -> None:
        assert not module.name.startswith("_") or module.name in ("__init__.py", "__main__.py", "_version.py")

    def test_imports_by_full_names(self, module: Path) -> None:
        relative = [name for name, _ in imports_of(module.read_text("utf-8")) if name.startswith(".")]
        assert relative == []

    def test_imports_only_from_below(self, module: Path) -> None:
        folder = room_of(name_of(module))
        if folder:
            assert upward(folder, module.read_text("utf-8")) == []

    def test_needs_only_packages_of_its_room(self, module: Path) -> None:
        folder, found = room_of(name_of(module)) or "", third_party(module.read_text("utf-8"))
        assert set(found) <= MAY_IMPORT[folder]
        assert set(found).isdisjoint(MUST_NOT_IMPORT.get(folder, set()))
        at_load = {package for package, loads in found.items() if loads}
        assert at_load.isdisjoint(MUST_NOT_LOAD.get(folder, set()))


def test_no_file_imports_itself_in_a_circle() -> None:
    names = {name_of(module): module for module in modules()}

    def targets(module: Path) -> set[str]:
        found = set()
        for name in imported(module.read_text("utf-8")):
            found |= {name, name.rpartition(".")[0]} & names.keys()
        return found

    order = TopologicalSorter({name: targets(module) for name, module in names.items()})
    try:
        order.prepare()
    except CycleError as circle:
        pytest.fail(" imports ".join(reversed(circle.args[1])))


class TestTheseTests:
    """They would see what they are for."""

    @pytest.mark.parametrize(
        "source",
        [
            "import ember_widgets.painter.painter",
            "from ember_widgets import painter",
            "from ember_widgets.painter.painter import Painter",
            "def lazy():\n    from ember_widgets.painter.painter import Painter",
            "if TYPE_CHECKING:\n    from ember_widgets.painter.painter import Painter",
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


def bases_of_ours() -> dict[str, list[str]]:
    """Each class of the package, and those of its bases that the package defines, protocols aside."""
    classes: dict[str, ast.ClassDef] = {}
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node

    def names(node: ast.ClassDef) -> list[str]:
        heads = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        return [base.id for base in heads if isinstance(base, ast.Name)]

    protocols = {name for name, node in classes.items() if "Protocol" in names(node)}
    return {
        name: [base for base in names(node) if base in classes and base not in protocols]
        for name, node in classes.items()
    }


def test_no_class_is_a_stack_of_bases() -> None:
    """A class that grew too long holds objects or calls functions; it is not cut into bases."""
    ours = bases_of_ours()
    assert {name: bases for name, bases in ours.items() if len(bases) > 1} == {}
    stacks = {name: bases for name, bases in ours.items() if any(ours[base] for base in bases)}
    assert stacks == {}
