"""Memory that a picture needs stays in the process, in the thread that draws too."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, threading
import ember_widgets as ember

painter = ember.Painter.embedded()
scene = painter.analyze("a lion in a meadow", seed=3).scale(0, 1.2)
pages = []

def draw():
    for _ in range(9):
        pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        painter.render(scene)

thread = threading.Thread(target=draw)
thread.start()
thread.join()
print(sorted(after - before for before, after in zip(pages[2:], pages[3:]))[3])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_picture_lies_where_the_last_one_lay() -> None:
    """In a process of its own, where threads begin with memory as a kernel's do: else 2,400 pages are new."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True)
    assert int(done.stdout.split()[-1]) < 1000
