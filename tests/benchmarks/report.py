"""Run the benchmarks and write what they print into docs/benchmarks.md: `make bench`.

    python -m tests.benchmarks.report [--only render previews ...] [--out docs/benchmarks.md]

Each runs in a process of its own, one after the other. With --only, the others' results stay as they are in
the page. Results of another machine or other versions do not mix: then all must be run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from ember_widgets._version import __version__
from ember_widgets.util import files

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "benchmarks.md"
LIBRARIES = ("torch", "diffusers", "transformers", "openvino", "numpy", "scikit-learn")
SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Benchmark:
    """A module of tests/benchmarks with its arguments, and what its figures are compared with."""

    name: str
    title: str
    peer: str
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """As a user types it."""
        return " ".join(("python -m", f"tests.benchmarks.{self.name}", *self.arguments))


BENCHMARKS = (
    Benchmark("render", "An edit", "The plain way: the whole pipeline with a forward hook."),
    Benchmark("previews", "A preview", "The picture that PyTorch draws."),
    Benchmark("factorise", "Factors of a picture", "All columns of the codes; all codes sorted."),
    Benchmark("concepts", "Concepts of many pictures", "scikit-learn, and SciPy's `nnls`.", ("--others",)),
    Benchmark(
        "collection",
        "Searching a collection",
        "Reading all shards.",
        ("--pictures", "1500", "5000", "--extrapolate", "50000"),
    ),
    Benchmark("icons", "Icons of features", "One by one, and the pipeline with a hook."),
    Benchmark("atlas", "Opening and searching the atlas", "Without its cache."),
    Benchmark("inspector", "The patch inspector", "The kernel's part of the same change."),
    Benchmark("latency", "From the pointer to the picture", "Drawing alone, in the same run.", ("--stages",)),
    Benchmark(
        "train", "The stream that trains an SAE", "A forward hook on the pipeline.", ("--only", "stream")
    ),
    Benchmark(
        "paint_fidelity", "Does painting do what it says?", "What the world itself draws.", ("--trials", "1")
    ),
)


def machine() -> list[str]:
    """The lines that say where this was measured."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        models = re.findall(r"^model name\s*: (.+)$", lines, re.MULTILINE)
        cpu = models[0] if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = ", ".join(f"{name} {version}" for name in LIBRARIES if (version := version_of(name)))
    return [
        f"- {os.cpu_count()} cores of {cpu}, {memory:.0f} GiB, GPU: {gpu}",
        f"- {platform.system()}, Python {platform.python_version()}, ember_widgets {__version__}, {versions}",
    ]


def version_of(name: str) -> str:
    """The installed version, empty if there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def measured(benchmark: Benchmark) -> str:
    """Run a benchmark; its section of the page.

    Raises:
        SystemExit: It failed; what it printed is shown.
    """
    print(f"{benchmark.command} ...", flush=True)
    begin, load = time.monotonic(), os.getloadavg()[0]
    ran = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{benchmark.name}", *benchmark.arguments],
        cwd=REPOSITORY,
        text=True,
        capture_output=True,
    )
    if ran.returncode:
        raise SystemExit(f"{benchmark.command} failed:\n{ran.stdout}\n{ran.stderr}")
    minutes = (time.monotonic() - begin) / 60
    lines = (
        f"## {benchmark.title}",
        "",
        f"`{benchmark.command}`. Compared with: {benchmark.peer}",
        "",
        "```text",
        ran.stdout.strip(),
        "```",
        "",
        f"{date.today().isoformat()}, {minutes:.1f} minutes, load before it {load:.1f}.",
        "",
    )
    return "\n".join(lines)


def sections_of(page: str) -> dict[str, str]:
    """The sections of a page that was written before, by title."""
    parts = SECTION.split(page)
    return {title: f"## {title}\n{text}" for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def written(sections: dict[str, str], where: list[str]) -> str:
    """The whole page."""
    head = (
        "# Benchmarks",
        "",
        "`make bench` wrote this page: what each benchmark printed, with the command that prints it.",
        "Times are those of this machine and of what else it did; ratios come from the same run.",
        "",
        *where,
        "",
    )
    parts = [sections[b.title].strip() + "\n" for b in BENCHMARKS if b.title in sections]
    return "\n".join([*head, *parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page (default: docs/benchmarks.md)")
    given = parser.parse_args()
    where = machine()
    sections = {}
    if given.only and given.out.exists():
        page = given.out.read_text("utf-8")
        if any(line not in page for line in where):
            raise SystemExit(f"{given.out} is of another machine or other versions; run all, without --only")
        sections = sections_of(page)
    for benchmark in BENCHMARKS:
        if not given.only or benchmark.name in given.only:
            sections[benchmark.title] = measured(benchmark)
            files.write(given.out, written(sections, where).encode())
    print(given.out)


if __name__ == "__main__":
    main()
