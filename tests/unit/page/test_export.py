"""What a page can paint with, and what its files hold beside the graphs."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from ember_widgets.page.export import export_model
from ember_widgets.page.folder import write_page
from ember_widgets.painter.painter import Painter


def test_a_painter_in_another_dtype_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="computes in bfloat16; load it with dtype='float32'"):
        export_model(Painter.embedded(dtype="bfloat16"), tmp_path)


def test_a_painter_of_two_sites_is_refused(tmp_path: Path) -> None:
    painter = Painter.embedded(sites=["down.2.1", "up.0.1"], dtype="float32")
    with pytest.raises(ValueError, match="steers 2 sites; open it with one"):
        export_model(painter, tmp_path)


def test_a_scheduler_that_the_page_lacks_is_refused(tmp_path: Path) -> None:
    from diffusers import DDIMScheduler

    painter = Painter.embedded(dtype="float32")
    config = painter.pipeline.scheduler.config
    painter.pipeline.scheduler = DDIMScheduler.from_config(config)
    with pytest.raises(ValueError, match="samples with DDIMScheduler for sample; a page does so with Euler"):
        export_model(painter, tmp_path)


def test_without_onnx_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = Painter.embedded(dtype="float32")
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in ("onnx", "onnxscript"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install 'ember-widgets\\[page\\]'"):
        export_model(painter, tmp_path)

    said: list[str] = []
    with pytest.raises(ImportError, match="pip install 'ember-widgets\\[page\\]'"):
        write_page(painter, painter.analyze("a cat", seed=1), tmp_path / "page", say=said.append)
    assert not said  # before anything is drawn
