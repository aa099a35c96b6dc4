"""Files that several processes read, change and write back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ember_widgets.util import files

HOLD = """
import sys
from pathlib import Path
from ember_widgets.util import files
with files.locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new folder" / "labels.json"
    monkeypatch.setattr(files, "LOCK_S", 0.05)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(TimeoutError) as caught, files.locked(file):
            pass
        assert str(caught.value) == (
            f"cannot write {file}: another process has been writing it for 0.05 s; try again"
        )
        other.stdin.close()
        assert other.wait(10) == 0
    with files.locked(file):
        pass


def test_a_process_that_died_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "labels.json"
    monkeypatch.setattr(files, "LOCK_S", 5.0)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        other.kill()
    with files.locked(file):
        pass


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = tmp_path / "file" / "labels.json"
    with (
        pytest.raises(OSError, match=r"cannot write .*: File exists; free some space, or choose a folder"),
        files.locked(file),
    ):
        pass
