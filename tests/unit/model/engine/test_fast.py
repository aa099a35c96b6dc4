"""A runtime's runners: made once, in the background, checked, and never used where they do not belong."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import diffusers
import pytest
import torch
from torch import Tensor, nn

from ember_widgets.model.engine import export, fast, openvino
from ember_widgets.model.engine.export import ExportError, Part
from ember_widgets.model.engine.fast import Fast
from ember_widgets.model.engine.runner import Compiled, Torch

needs_openvino = pytest.mark.skipif(not openvino.is_installed(), reason="OpenVINO is not installed")


def part(scale: float = 1.0) -> Part:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 2, 3))
    with torch.no_grad():
        next(layers.parameters()).mul_(scale)
    return Part(layers, (torch.linspace(-1, 1, 300).reshape(1, 3, 10, 10),))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBER_WIDGETS_CACHE", str(tmp_path))
    monkeypatch.delenv(fast.SWITCH, raising=False)
    return tmp_path / "graphs"


class Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + 1, x * 2


def test_torch_calls_the_module() -> None:
    x = torch.ones(2)
    assert [t.tolist() for t in Torch(Two())(x)] == [[2, 2], [2, 2]]
    assert [t.tolist() for t in Torch(nn.Identity())(x)] == [[1, 1]]
    assert Torch(Two()).fits([x, x])


def test_a_compiled_module_gives_results_of_its_own() -> None:
    runner = Compiled(Two(), backend="eager")
    first = runner(torch.ones(2))
    runner(torch.zeros(2))
    assert first[0].tolist() == [2, 2]


@needs_openvino
def test_runners_are_made_once_and_give_torchs_results(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, engine = part(), Fast()
    assert engine.runners(1, lambda: {"a": one}) == {}  # torch draws meanwhile
    assert engine.wait(120)
    runner = engine.runners(1, dict)["a"]
    (x,) = one.given
    for given in (x, x * 0.3):
        (made,) = runner(given)
        assert torch.allclose(made, one.module(given), atol=1e-5)
    assert not runner.fits([torch.ones(2, 3, 10, 10)])
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert not list(cache.glob("unfinished-*"))

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(export, "_in_a_process", never)
    again = Fast()
    again.runners(1, lambda: {"a": part()})
    assert again.wait(60)
    assert export.folder_of({"a": part()}) == folder
    assert export.folder_of({"a": part(1.1)}) != folder
    monkeypatch.setattr(diffusers, "__version__", "another")  # the code of the modules
    assert export.folder_of({"a": part()}) != folder


@needs_openvino
def test_an_export_that_was_cut_off_is_made_anew(cache: Path) -> None:
    first = Fast()
    first.runners(1, lambda: {"a": part()})
    assert first.wait(120)
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    file = folder / export.CHECKS
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = Fast()
    again.runners(1, lambda: {"a": part()})
    assert again.wait(120)
    assert len(file.read_bytes()) == len(whole)


@needs_openvino
def test_a_model_that_is_changed_while_it_is_written_is_not_exported(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its graphs lay in the folder of the model as it was before, and drew that one's previews ever after."""
    one, save = part(), torch.save

    def saving(content: object, file: str) -> None:
        with torch.no_grad():
            next(one.module.parameters()).mul_(2)
        save(content, file)

    monkeypatch.setattr(torch, "save", saving)
    with pytest.raises(ExportError, match="the model was changed while it was written"):
        export.exported({"a": one}, threading.Event())
    assert not list(cache.iterdir())


@needs_openvino
def test_exporting_at_the_same_time_is_done_once(cache: Path) -> None:
    folder, request = export.folder_of({"a": part()}), cache.parent / "request.pt"
    cache.mkdir()
    torch.save({"a": part()}, request)
    export.main(request, folder)
    written = (folder / "a.xml").stat().st_mtime_ns
    export.main(request, folder)
    assert (folder / "a.xml").stat().st_mtime_ns == written


def test_another_version_is_made_anew_and_none_is_made_while_code_runs_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []

    def exported(parts: Mapping[str, Part], ended: threading.Event) -> Path:
        made.extend(parts)
        return Path()

    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(export, "exported", exported)
    monkeypatch.setattr(fast, "loaded", lambda folder, dtype: {made[-1]: Torch(nn.Identity())})
    engine = Fast()
    for version, name in ((None, "none"), (1, "one"), (1, "one again"), (2, "two")):
        engine.runners(version, partial(dict, {name: part()}))
        engine.wait(10)
    assert made == ["one", "two"]
    assert set(engine.runners(2, dict)) == {"two"}
    assert engine.runners(None, dict) == {}


def test_what_is_being_made_is_not_begun_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = [], threading.Event()

    def exported(parts: Mapping[str, Part], ended: threading.Event) -> Path:
        begun.append(1)
        go_on.wait(10)
        return Path()

    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(export, "exported", exported)
    monkeypatch.setattr(fast, "loaded", lambda folder, dtype: {})
    engine = Fast()
    for version in (1, 1, 2, 2):  # a change meanwhile waits for its turn
        engine.runners(version, lambda: {"a": part()})
    go_on.set()
    engine.wait(10)
    assert len(begun) == 1


def test_a_failure_is_logged_once_and_torch_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> Path:
        raise ExportError("no such operator\nmore")

    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(export, "exported", failing)
    engine = Fast()
    for version in (1, 2):
        assert engine.runners(version, lambda: {"a": part()}) == {}
        assert not engine.wait(10)
    said = [record.getMessage() for record in caplog.records if record.name == fast.__name__]
    assert said == ["previews are drawn by PyTorch, since OpenVINO failed: no such operator"]


@needs_openvino
def test_a_runtime_that_gives_other_numbers_is_not_used(cache: Path) -> None:
    folder, request = cache / "a", cache.parent / "request.pt"
    cache.mkdir()
    torch.save({"a": part()}, request)
    export.main(request, folder)
    assert set(fast.loaded(folder, torch.float32)) == {"a"}
    checks = torch.load(folder / export.CHECKS)
    checks["a"][-1] += 0.1
    torch.save(checks, folder / export.CHECKS)
    with pytest.raises(ValueError, match="a differs from PyTorch's result by"):
        fast.loaded(folder, torch.float32)


@needs_openvino
def test_what_cannot_be_exported_is_told_by_the_process(cache: Path) -> None:
    wrong = Part(nn.Linear(3, 3), (torch.ones(2, 5),))
    with pytest.raises(ExportError, match="cannot be multiplied"):
        export.exported({"a": wrong}, threading.Event())
    assert not [path for path in cache.iterdir() if path.is_dir()]


@needs_openvino
def test_exporting_is_given_up_when_the_painter_is_gone(cache: Path) -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(ExportError, match="given up"):
        export.exported({"a": part()}, ended)


def test_only_the_newest_exports_are_kept(cache: Path) -> None:
    for i in range(export.N_KEPT + 3):
        (cache / f"{i:02d}").mkdir(parents=True)
        os.utime(cache / f"{i:02d}", (i, i))
    for name, age_s in (("unfinished-old", 2 * export.ABANDONED_S), ("unfinished-new", 0.0)):
        (cache / name).mkdir()
        os.utime(cache / name, (time.time() - age_s,) * 2)
    export._prune(cache)
    kept = {f"{i:02d}" for i in range(3, export.N_KEPT + 3)}
    assert {path.name for path in cache.iterdir()} == {*kept, "unfinished-new"}


def test_a_model_that_is_too_large_is_left_to_torch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: True)
    monkeypatch.setattr(fast, "LARGEST", 100)
    engine = Fast()
    with caplog.at_level("INFO"):
        engine.runners(1, lambda: {"a": part()})
        assert not engine.wait(10)
    assert "previews are drawn by PyTorch: the model has 0 MB of weights" in caplog.text
