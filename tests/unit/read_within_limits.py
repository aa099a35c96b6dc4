"""Read files one by one, each in a process of its own that cannot take much memory, and report how it went.

Every line of the input names a reader and a file; every line of the output says what reading it gave.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ember_widgets import Scene, load_sae
from ember_widgets.features import icons
from ember_widgets.features.collection import Collection
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.feature_map import FeatureMap
from ember_widgets.features.labels import Labels
from ember_widgets.features.peaks import Peaks
from ember_widgets.features.statistics import Statistics
from ember_widgets.model.photo import square

MEMORY = 2**30
SECONDS = 20


def _collection(path: Path) -> None:
    collection = Collection.open(path.parent)
    repr(collection.statistics)
    collection.codes(0)
    collection.top(0)


READERS: dict[str, Callable[[Path], Any]] = {
    "scene": Scene.load,
    "sent scene": lambda path: Scene.from_bytes(path.read_bytes()),
    "sae": lambda path: load_sae(path, k=1),
    "labels": Labels.load,
    "collection": _collection,
    "concepts": ConceptBank.load,
    "map": lambda path: FeatureMap.load(path, "key"),
    "statistics": lambda path: Statistics.load(path, "key"),
    "peaks": lambda path: Peaks.load(path, 12, 256),
    "icons": lambda path: icons.read(path, "key"),
    "photo": lambda path: square(path, 16),
}


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def _read(reader: str, path: Path) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before, began = _memory("VmRSS"), time.process_time()
    try:
        READERS[reader](path)
        error, message = "", ""
    except BaseException as fault:
        error, message = type(fault).__name__, str(fault)
    seconds, peak = time.process_time() - began, _memory("VmHWM") - before
    return {"error": error, "message": message, "seconds": seconds, "megabytes": peak / 2**20}


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        reader, path = json.loads(line)
        out, into = os.pipe()
        if not (child := os.fork()):
            os.write(into, json.dumps(_read(reader, Path(path))).encode()[:60_000])
            os._exit(0)
        os.close(into)
        deadline = time.monotonic() + SECONDS
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.005)
            if time.monotonic() > deadline:  # it waits for something
                os.kill(child, 9)
        with open(out, "rb") as stream:
            print((stream.read() or b'{"error": "killed", "message": ""}').decode(), flush=True)


if __name__ == "__main__":
    main()
