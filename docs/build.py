"""Build the documentation site into build/docs: ``make docs``.

The pages of docs/, the notebooks and the changelog are copied into one folder, with the links between them
changed to fit. The notebooks are run, and the page that paints without Python is made; both are kept for the
next time, if nothing changes. The gallery's code is run. Then Sphinx makes HTML of all. Nothing is fetched
from a network.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent
BUILD = REPOSITORY / "build"
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
NEEDS_A_GPU = ("05_sdxl_turbo.ipynb",)
WIDGET = "application/vnd.jupyter.widget-view+json"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAINT_HERE = "<!-- the painting page -->"
EXAMPLES = re.compile(r"<!-- examples: (.+) -->")
LIMIT_S = 300


def placed() -> dict[str, str]:
    """Where each source goes in the site: paths from the top of the repository, and from the site's."""
    pages = {f"docs/{page.name}": page.name for page in DOCS.glob("*.md") if page.name != "README.md"}
    own = {
        path.relative_to(REPOSITORY).as_posix(): path.relative_to(DOCS / "site").as_posix()
        for path in (DOCS / "site").rglob("*.md")
    }
    return {
        **pages,
        **own,
        "docs/serve.yaml": "serve.yaml",
        "CHANGELOG.md": "changelog.md",
        "CONTRIBUTING.md": "contributing.md",
        "LICENSE": "LICENSE",
        "ember_widgets/embedded/assets/MODEL_CARD.md": "model-card.md",
        **{f"notebooks/{path.name}": f"notebooks/{path.name}" for path in notebooks()},
        **{
            path.relative_to(REPOSITORY).as_posix(): path.relative_to(REPOSITORY).as_posix()
            for path in (REPOSITORY / "notebooks" / "images").iterdir()
        },
        **{
            path.relative_to(REPOSITORY).as_posix(): f"card/{path.name}"
            for path in (REPOSITORY / "ember_widgets/embedded/assets/card").iterdir()
        },
    }


def notebooks() -> list[Path]:
    return sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def relinked(text: str, source: str, places: dict[str, str]) -> str:
    """A page with its links to files of the repository changed to where these are in the site.

    Args:
        text: Markdown.
        source: its path from the top of the repository.
        places: what `placed` gives.

    Raises:
        ValueError: a link to a file that the site does not have.
    """
    pages = {**places, "notebooks": "tutorials.md", "docs/README.md": "index.md", "README.md": "index.md"}
    here = os.path.dirname(places[source])

    def change(match: re.Match[str]) -> str:
        name, mark, anchor = match[2].partition("#")
        if not name or re.match(r"[a-z]+:", name):
            return match[0]
        target = os.path.normpath(os.path.join(os.path.dirname(source), name))
        if target not in pages:
            if source.startswith("docs/site/"):  # written for the site
                return match[0]
            raise ValueError(f"{source} links to {name}, which the site does not have")
        return match[1] + os.path.relpath(pages[target], here or ".") + mark + anchor + match[3]

    return LINK.sub(change, text)


def package_key() -> str:
    """Changes with whatever the notebooks' pictures depend on."""
    key = hashlib.sha256()
    package = REPOSITORY / "ember_widgets"
    for path in sorted([*package.rglob("*.py"), *(package / "embedded" / "assets").rglob("*")]):
        if path.is_file():
            key.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return key.hexdigest()


def run_notebook(path: Path) -> Any:
    """The notebook with its outputs. A cell that fails stops the build."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        client = NotebookClient(
            notebook,
            timeout=LIMIT_S,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute()
    print(f"ran {path.name} in {time.perf_counter() - begin:.0f} s", flush=True)
    return notebook


def as_picture(output: Any) -> Any:
    """An output as a page can show it: of a widget its picture, of a progress bar nothing."""
    data = output.get("data", {})
    if WIDGET in data:
        del data[WIDGET]
        if not any(kind.startswith("image/") for kind in data):
            return None
    if "image/webp" in data:  # a film, which MyST-NB does not know
        film = data.pop("image/webp").replace("\n", "")
        data["text/html"] = f'<img alt="A film of the scenes" src="data:image/webp;base64,{film}">'
    return None if output.get("name") == "stderr" else output


def ran(path: Path, key: str, cache: Path) -> str:
    """The run notebook's JSON, kept for the next time."""
    import nbformat

    kept = cache / f"{path.stem}-{hashlib.sha256(key.encode() + path.read_bytes()).hexdigest()[:16]}.ipynb"
    if not kept.exists():
        text = nbformat.writes(run_notebook(path))
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob(f"{path.stem}-*"):
            old.unlink()
        kept.write_text(text, "utf-8")
    return kept.read_text("utf-8")


def as_page(text: str, source: str, places: dict[str, str], was_run: bool) -> str:
    """The notebook with pictures in the place of widgets, and a note: whether it was run, how to open it."""
    import nbformat

    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [shown for output in cell.outputs if (shown := as_picture(output)) is not None]
        else:
            cell.source = relinked(cell.source, source, places)
    name = os.path.basename(source)
    note = f"`ember-widgets demo` opens this notebook; or {{download}}`download it <{name}>`."
    if was_run:
        note += " Widgets are shown as pictures here. In a notebook you paint in them."
    elif name in NEEDS_A_GPU:
        note += " It needs a GPU and was not run for this page, so it has no pictures here."
    else:
        note += " It was not run for this page, so it has no pictures here."
    how = nbformat.v4.new_markdown_cell(f":::{{note}}\n{note}\n:::")
    how["id"] = "how-to-open"
    title, newline, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = title
    notebook.cells.insert(1, how)
    if newline and rest.strip():
        after = nbformat.v4.new_markdown_cell(rest.strip())
        after["id"] = "after-title"
        notebook.cells.insert(2, after)
    return str(nbformat.writes(notebook))


def commands() -> str:
    """A page with the help of every command."""
    from ember_widgets.cli.main import _parser

    os.environ["COLUMNS"] = "92"
    lines = ["# Commands", "", "What each command prints with `--help`."]
    for action in _parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                lines += ["", f"## ember-widgets {name}", ""]
                lines += ["```text", command.format_help().rstrip(), "```"]
    return "\n".join(lines) + "\n"


def with_examples(text: str, by_example: str) -> str:
    """A page of the reference with the sections of *Python by example* that it asks for.

    Raises:
        ValueError: there is no such section.
    """
    sections = re.split(r"^##+ (.+)\n", by_example, flags=re.MULTILINE)
    content = dict(zip(sections[1::2], sections[2::2], strict=True))

    def section(match: re.Match[str]) -> str:
        if match[1] not in content:
            raise ValueError(f"python-by-example.md has no section {match[1]!r}, only {', '.join(content)}")
        return content[match[1]].strip()

    return EXAMPLES.sub(section, text)


def gallery(text: str) -> tuple[str, dict[str, bytes]]:
    """Run the gallery's code.

    Returns:
        The page with a picture of each painting, and these pictures by their place in the site. Each holds
        its scene.
    """
    names: dict[str, Any] = {}
    parts, pictures = [], {}
    for part in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        exec("".join(BLOCK.findall(part)), names)  # our own page
        if part.startswith("## "):
            title = part[3:].partition("\n")[0]
            slug = re.sub(r"\W+", "-", title.lower())
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "painting.png"
                names["painting"].save(file, names["painter"].render(names.pop("painting")))
                pictures[f"gallery/{slug}.png"] = file.read_bytes()
            shown = f"![{title}](gallery/{slug}.png){{.painting}}"
            link = f"{{download}}`The picture with its scene <gallery/{slug}.png>`"
            part = part.replace("\n", f"\n\n{shown}\n", 1).rstrip() + f"\n\n{link}\n\n"
        parts.append(part)
    return "".join(parts), pictures


def painting_page(key: str, cache: Path) -> Path:
    """The folder of the page that paints without Python, kept for the next time."""
    kept = cache / f"paint-{key[:16]}"
    if not kept.exists():
        import ember_widgets
        from ember_widgets.page.folder import write_page

        for old in cache.glob("paint-*"):
            shutil.rmtree(old)
        painter = ember_widgets.Painter.embedded(dtype="float32")
        write_page(painter, painter.analyze("a sun and a pine in the snow", seed=13), kept)
    return kept


def landing(text: str, page: Path | None) -> str:
    """The first page, with a button that opens the painting page in it, if there is one."""
    if page is None:
        return text.replace(PAINT_HERE, "")
    files = [file for file in page.iterdir() if not file.name.startswith("webgpu")]  # few browsers fetch both
    size = sum(file.stat().st_size for file in files)
    lines = (
        "```{raw} html",
        '<p class="paint-here"><button type="button" class="btn btn-primary">Paint on this page</button>',
        f"The model comes into your browser ({size / 1e6:.0f} MB) and runs there.</p>",
        "```",
    )
    return text.replace(PAINT_HERE, "\n".join(lines))


def stage(folder: Path, *, run: bool, workers: int, page: Path | None) -> None:
    """Copy all sources of the site into a folder; the painting page is none, but one of them opens it."""
    places = placed()
    key = package_key()
    # Not threads: clients of two kernels in one process were seen to wait for an answer for ever.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        kept = {
            path.name: pool.submit(ran, path, key, BUILD / "docs-runs")
            for path in notebooks()
            if run and path.name not in NEEDS_A_GPU
        }
        written = {}
        for source, place in places.items():
            path = REPOSITORY / source
            if path.suffix == ".ipynb":
                done = kept.get(path.name)
                text = done.result() if done else path.read_text("utf-8")
                text = as_page(text, source, places, done is not None)
                written[place] = text.encode()
            elif path.suffix == ".md":
                written[place] = relinked(path.read_text("utf-8"), source, places).encode()
            else:
                written[place] = path.read_bytes()
    written["reference/commands.md"] = commands().encode()
    source = "docs/python-by-example.md"
    by_example = (REPOSITORY / source).read_text("utf-8")
    by_example = relinked(by_example, source, places | {source: "reference/index.md"})
    for place in [place for place in written if place.startswith("reference/")]:
        written[place] = with_examples(written[place].decode(), by_example).encode()
    text, pictures = gallery(written["gallery.md"].decode())
    written |= {"gallery.md": text.encode(), **pictures}
    written["index.md"] = landing(written["index.md"].decode(), page).encode()
    for old in folder.rglob("*"):
        if old.is_file() and old.relative_to(folder).as_posix() not in written:
            old.unlink()
    for place, content in written.items():
        path = folder / place
        if not path.exists() or path.read_bytes() != content:  # Sphinx reads again what is new
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=BUILD / "docs", help="where to (default: build/docs)")
    parser.add_argument(
        "--no-run", action="store_true", help="notebooks without their outputs, and make no painting page"
    )
    parser.add_argument(
        "--page", type=Path, metavar="FOLDER", help="painting page to take, from `ember-widgets page`"
    )
    parser.add_argument("--workers", type=int, default=2, help="notebooks that run at once (default: 2)")
    given = parser.parse_args()
    from sphinx.cmd.build import main as sphinx

    sys.path.insert(0, str(REPOSITORY))  # the package of this checkout is shown
    out = given.out.resolve()
    source = BUILD / "docs-source" if out == BUILD / "docs" else out.with_name(out.name + "-source")
    # Kernels started here import this checkout, with one thread each.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # They see no labels of the user, and export no graphs for previews: that would take longer than it saves.
    os.environ["EMBER_WIDGETS_DATA"] = os.environ["EMBER_WIDGETS_CACHE"] = str(BUILD / "docs-runs" / "user")
    os.environ["EMBER_WIDGETS_PREVIEWS"] = "torch"
    page = given.page
    if page is None and not given.no_run:
        page = painting_page(package_key(), BUILD / "docs-runs")
    stage(source, run=not given.no_run, workers=given.workers, page=page)
    arguments = [
        "-W",
        "--keep-going",
        "-q",
        "-E",
        "-b",
        "html",
        "-c",
        str(DOCS),
        "-d",
        str(source) + "-trees",
    ]
    status = sphinx([*arguments, str(source), str(out)])
    if status == 0:
        shutil.copyfile(REPOSITORY / "LICENSE", out / "LICENSE")
        shutil.rmtree(out / "paint", ignore_errors=True)
        if page is not None:
            shutil.copytree(page, out / "paint")
        print(f"built {out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
