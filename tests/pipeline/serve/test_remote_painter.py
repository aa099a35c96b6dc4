"""RemotePainter against a real server: every verb gives what the local painter gives, bit by bit."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import ember_widgets as ember
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.painter.protocol import Connects, LabelsFeatures, Previews, Shares, Sweeps, offered
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.server.tokens import Tokens
from ember_widgets.serve.wire.arrays import ArrayStore
from ember_widgets.util.cancelled import Cancelled
from ember_widgets.widgets.paint.to_python import creation
from tests.serving import running, serving

PROMPT = "a castle on a hill"


@pytest.fixture(scope="module")
def url(painter: ember.Painter) -> Iterator[str]:
    with running(painter) as url:
        yield url


@pytest.fixture(scope="module")
def remote(url: str) -> Iterator[ember.RemotePainter]:
    with ember.connect(url) as remote:
        yield remote


@pytest.fixture(scope="module")
def painted(painter: ember.Painter) -> ember.Scene:
    return painter.analyze(PROMPT, seed=3, n_factors=4).paint(0, "centre", 1.3).erase("floor")


@pytest.fixture(scope="module")
def bank(painter: ember.Painter) -> ConceptBank:
    return bank_of(painter, 6)


def bank_of(painter: ember.Painter, n: int) -> ConceptBank:
    """Concepts of features that are seen in the picture of `PROMPT`: n of them, some of the same features."""
    seen = np.argsort(-painter.activations(painter.analyze(PROMPT, seed=3)).sum((0, 1)))[:12]
    rows = np.zeros((n, painter.n_features), np.float32)
    for k in range(n):
        rows[k, seen[k % 12]], rows[k, seen[(k + 1) % 12]] = 1.5, 0.25 + k / 1000
    site = next(iter(painter.saes))
    return ConceptBank(
        basis=rows,
        names=tuple(f"concept {k}" for k in range(n)),
        strengths=np.ones((1, n), np.float32),
        stability=np.ones(n, np.float32),
        hits=((),) * n,
        site=site,
        sae=painter.saes[site].sha256[:16],
        model=painter.model.facts,
    )


def same(one: Any, other: Any) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class TestVerbs:
    def test_analyses_are_the_local_ones(self, painter: ember.Painter, remote: ember.RemotePainter) -> None:
        run: dict[str, Any] = {
            "seed": 3,
            "n_steps": 2,
            "n_factors": 4,
            "style": "pixel art",
            "edit_steps": (0, 1),
        }
        assert remote.analyze(PROMPT, **run) == painter.analyze(PROMPT, **run)
        assert remote.analyze() == painter.analyze()
        assert remote.blank("a tree", seed=2) == painter.blank("a tree", seed=2)

    def test_a_picture_is_taken_apart_in_concepts(
        self, painter: ember.Painter, remote: ember.RemotePainter, bank: ConceptBank
    ) -> None:
        runs: list[dict[str, Any]] = [{"n_factors": 2}, {"n_factors": 1000}, {"style": "pixel art"}]
        for run in runs:
            found = remote.analyze(PROMPT, seed=3, n_steps=2, basis=bank, **run)
            assert found == painter.analyze(PROMPT, seed=3, n_steps=2, basis=bank, **run)
            assert found.model["concepts"] == bank.key
            assert (found.n_factors == 2) == (run.get("n_factors") == 2)
        assert same(remote.render(found), painter.render(found))

    def test_a_basis_is_sent_once_and_again_if_the_server_forgot_it(self, painter: ember.Painter) -> None:
        bank = bank_of(painter, 200)
        local = painter.analyze(PROMPT, seed=3, basis=bank)
        replica = Replica(painter)
        with serving(replica) as url, ember.connect(url) as remote:
            puts = list[int]()
            keep = replica.check_shape

            def counted(shape: tuple[int, ...]) -> None:
                puts.append(shape[0])
                keep(shape)

            replica.check_shape = counted  # type: ignore[method-assign]
            for _ in range(2):
                assert remote.analyze(PROMPT, seed=3, basis=bank) == local
            assert puts == [200]
            replica.arrays = ArrayStore()
            assert remote.analyze(PROMPT, seed=3, basis=bank) == local
            assert puts == [200, 200]
        replica.close()

    def test_other_concepts_are_refused_as_by_the_local_painter(
        self, painter: ember.Painter, remote: ember.RemotePainter, bank: ConceptBank
    ) -> None:
        wrong: list[dict[str, Any]] = [
            {"basis": dataclasses.replace(bank, sae="0" * 16)},
            {"basis": dataclasses.replace(bank, site="up_blocks.0.attentions.1")},
            {"basis": dataclasses.replace(bank, basis=bank.basis[:, :-1])},
            *({"basis": bank, "n_factors": n} for n in ({"down.2.1": 2}, 0, 10**7, 2.5, True)),
        ]
        for one in wrong:
            with pytest.raises((TypeError, ValueError)) as local:
                painter.analyze("a tree", **one)
            with pytest.raises(local.type) as found:
                remote.analyze("a tree", **one)
            assert str(found.value) == str(local.value)
        for each in (painter, remote):
            with pytest.raises(TypeError, match="^3 is not a bank of concepts; .*load"):
                each.analyze("a tree", basis=3)  # type: ignore[arg-type]

    def test_too_many_concepts_are_refused(self, painter: ember.Painter, remote: ember.RemotePainter) -> None:
        with pytest.raises(ValueError, match=r"the number of concepts is 257; this server takes up to 256"):
            remote.analyze("a tree", basis=bank_of(painter, 257))
        assert remote.analyze("a tree", basis=bank_of(painter, 256)).n_factors > 0

    def test_what_the_widget_writes_as_python_runs(
        self, remote: ember.RemotePainter, bank: ConceptBank
    ) -> None:
        scene = remote.analyze(PROMPT, seed=3, basis=bank)
        remote.concepts = bank
        try:
            (line,) = creation(scene, remote, analyzed_here=True)
            there: dict[str, Any] = {"painter": remote}
            exec(line, there)
        finally:
            remote.concepts = None
        assert "basis=painter.concepts" in line
        assert there["scene"] == scene

    def test_verbs_take_the_same_arguments(self) -> None:
        for name, verb in inspect.getmembers(ember.RemotePainter, inspect.isfunction):
            if not name.startswith("_") and hasattr(ember.Painter, name):
                found, local = (inspect.signature(one) for one in (verb, getattr(ember.Painter, name)))
                arguments = [
                    [(one.name, one.kind, one.default) for one in signature.parameters.values()]
                    for signature in (found, local)
                ]
                assert arguments[0] == arguments[1], name

    def test_a_photograph_is_squared_here(
        self, painter: ember.Painter, remote: ember.RemotePainter, tmp_path: Path
    ) -> None:
        pixels = np.random.default_rng(0).integers(0, 255, (300, 500, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photo.png")
        for image in (tmp_path / "photo.png", pixels):
            found = remote.analyze("a tree", image=image, image_strength=0.7)
            assert found == painter.analyze("a tree", image=image, image_strength=0.7)
        assert same(remote.render(found), painter.render(found))

    def test_pictures_are_the_local_ones(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        assert same(remote.render(painted), painter.render(painted))

    def test_the_old_name_of_cancelled(self, remote: ember.RemotePainter, painted: ember.Scene) -> None:
        with pytest.raises(Cancelled):
            remote.render(painted, stale=lambda: True)
        assert remote.render(painted, stale=lambda: False).size == (256, 256)

    def test_previews_are_near(self, remote: ember.RemotePainter, painted: ember.Scene) -> None:
        assert remote.previews(painted)
        preview, final = (np.asarray(remote.render(painted, preview=p), np.float32) for p in (True, False))
        assert 0 < np.abs(preview - final).mean() < 4

    def test_scenes_to_scenes(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        assert remote.refit(painted, 3) == painter.refit(painted, 3)
        assert remote.reseed(painted, 9) == painter.reseed(painted, 9)
        assert remote.reseed(painted, 9, edit_only=True) == painter.reseed(painted, 9, edit_only=True)

    def test_inspections(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        found, local = remote.inspect(painted, site="down.2.1"), painter.inspect(painted, site="down.2.1")
        for name, value in vars(local).items():
            other = getattr(found, name)
            assert other.tobytes() == value.tobytes() if isinstance(value, np.ndarray) else other == value
        assert same(remote.activations(painted), painter.activations(painted))

    def test_icons(self, painter: ember.Painter, remote: ember.RemotePainter) -> None:
        assert same(remote.icon(3, seed=1), painter.icon(3, seed=1))
        for one, other in zip(remote.draw_icons([3, 4]), painter.draw_icons([3, 4]), strict=True):
            assert same(one, other)

    def test_notes_of_a_prompt(self, painter: ember.Painter, remote: ember.RemotePainter) -> None:
        assert remote.prompt_notes("a zebra") == painter.prompt_notes("a zebra")
        assert remote.prompt_notes("a tree", "oil paint") == painter.prompt_notes("a tree", "oil paint")

    def test_sheets_and_films(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene, tmp_path: Path
    ) -> None:
        sheet: dict[str, Any] = {"gains": [0.5, 1.5], "seeds": [3], "side": 64}
        assert same(remote.sweep(painted, 0, **sheet), painter.sweep(painted, 0, **sheet))
        found, local = remote.robustness(painted, 2), painter.robustness(painted, 2)
        assert same(found.change, local.change)
        remote.record([painted], tmp_path / "here.gif", progress=False)
        painter.record([painted], tmp_path / "there.gif", progress=False)
        assert (tmp_path / "here.gif").read_bytes() == (tmp_path / "there.gif").read_bytes()

    def test_refusals_are_the_local_ones(self, remote: ember.RemotePainter, painted: ember.Scene) -> None:
        with pytest.raises(ValueError, match="was made with model 'another'"):
            remote.render(painted.replace(model={**painted.model, "id": "another", "key": ""}))
        with pytest.raises(ValueError, match="takes up to 1,000"):
            remote.analyze("a" * 2000)
        with pytest.raises(TypeError, match="n_factors=2.5 is not a whole number"):
            remote.analyze("a", n_factors=2.5)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"edit_steps": (0.7, 1.2)},
            {"edit_steps": "01"},
            {"edit_steps": ("0", "1")},
            {"edit_steps": 5},
            {"edit_steps": (0,)},
            {"edit_steps": (1, 1)},
            {"style": []},
            {"image_strength": float("nan")},
            {"n_factors": 300},
            {"n_factors": 0},
            {"n_factors": {"down.2.1": True}},
            {"n_factors": {"up.0.1": 3}},
        ],
    )
    def test_what_is_wrong_is_told_as_by_the_local_painter(
        self, painter: ember.Painter, remote: ember.RemotePainter, wrong: dict[str, Any]
    ) -> None:
        verbs = ["analyze", "blank"] if "edit_steps" in wrong else ["analyze"]
        for verb in verbs:
            with pytest.raises((TypeError, ValueError)) as local:
                getattr(painter, verb)("a tree", **wrong)
            with pytest.raises(local.type) as found:
                getattr(remote, verb)("a tree", **wrong)
            assert str(found.value) == str(local.value)

    @pytest.mark.parametrize(
        "verb",
        [
            lambda painter: painter.render(None),
            lambda painter: painter.inspect(None),
            lambda painter: painter.refit(None, 3),
            lambda painter: painter.robustness(None),
        ],
    )
    def test_what_is_not_a_scene_is_told_as_by_the_local_painter(
        self, painter: ember.Painter, remote: ember.RemotePainter, verb: Callable[[Any], Any]
    ) -> None:
        for one in (painter, remote):
            with pytest.raises(TypeError, match="^scene=None is not a Scene; make one with painter.analyze"):
                verb(one)

    def test_factors_of_each_site_are_refitted(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        each = {"down.2.1": 3}
        assert remote.refit(painted, each) == painter.refit(painted, each)

    def test_what_needs_the_model_says_so(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        sae = next(iter(painter.saes.values()))
        with pytest.raises(TypeError, match="is not an ember.Painter; evaluate an SAE where the model is"):
            ember.evaluate_sae(remote, sae, ["a tree"])  # type: ignore[arg-type]
        # The local painter's advice, to add an SAE, does not help here.
        with pytest.raises(ValueError, match=r"^site='x' has no SAE on this server; choose one of down\S+$"):
            remote.inspect(painted, site="x")

    def test_eight_threads_at_once(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        scenes = [painted.paint(1, "left", 0.2 + i / 10) for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            pictures = list(pool.map(remote.render, scenes))
        assert all(same(p, painter.render(s)) for p, s in zip(pictures, scenes, strict=True))


class TestTheModel:
    def test_facts(self, painter: ember.Painter, remote: ember.RemotePainter, url: str) -> None:
        for name in ("space", "grid", "key", "n_features", "guidance", "known_words"):
            assert getattr(remote, name) == getattr(painter, name), name
        assert (remote.url, remote.person, remote.connection) == (url, "", "connected")
        assert remote.limits["n_steps"] == 4
        assert repr(remote) == f"RemotePainter({url!r}, model='embedded', connected)"

    def test_capabilities(self, remote: ember.RemotePainter) -> None:
        for one in (Connects, Previews, Sweeps):
            assert offered(remote, one) is remote
        assert offered(remote, Shares) is None
        assert offered(remote, LabelsFeatures) is None
        with pytest.raises(
            AttributeError, match="no collect: that needs the model.*painter.collect with a P"
        ):
            remote.collect  # type: ignore[attr-defined]  # noqa: B018
        assert not hasattr(remote, "colour")

    def test_what_is_known_of_features(self, painter: ember.Painter, remote: ember.RemotePainter) -> None:
        assert dict(remote.labels) == dict(painter.labels)
        assert {f: remote.icons.address(f) for f in remote.icons} == {
            f: painter.icons.address(f) for f in painter.icons
        }
        assert remote.statistics is not None
        assert painter.statistics is not None
        assert same(remote.statistics.frequency, painter.statistics.frequency)
        assert remote.concepts is None
        with pytest.raises(TypeError, match="not a bank of concepts"):
            remote.concepts = "lion"  # type: ignore[assignment]

    def test_saes_are_fetched_when_they_are_used(
        self, painter: ember.Painter, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBER_WIDGETS_CACHE", str(tmp_path))
        with ember.connect(url) as remote:
            (site,) = remote.saes
            assert not list(tmp_path.rglob("*.safetensors"))
            sae = remote.saes[site]
            assert sae.sha256 == painter.saes[site].sha256
            assert remote.saes[site] is sae
            (kept,) = tmp_path.rglob("*.safetensors")
            assert kept.parent == tmp_path / "servers" / painter.key
            # Of the right size, but damaged: it is refused, and fetched again.
            kept.write_bytes(bytes(kept.stat().st_size))
        with ember.connect(url) as again:
            with pytest.raises(ValueError, match="sae-0"):
                again.saes[site]
            assert again.saes[site].sha256 == sae.sha256

    def test_a_kept_file_that_was_cut_off_is_fetched_again(
        self, painter: ember.Painter, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBER_WIDGETS_CACHE", str(tmp_path))
        for _ in range(2):
            with ember.connect(url) as remote:
                assert dict(remote.labels) == dict(painter.labels)
            (kept,) = tmp_path.rglob("labels.json")
            os.truncate(kept, 10)

    def test_own_labels_stay_here(self, painter: ember.Painter, url: str) -> None:
        with ember.connect(url) as remote:
            remote.labels.set(7, "my own")
        with ember.connect(url) as again:
            assert again.labels[7] == "my own"
        assert painter.labels.get(7) != "my own"

    def test_an_atlas(self, painter: ember.Painter, remote: ember.RemotePainter) -> None:
        from ember_widgets.widgets.atlas.catalogue import Catalogue

        found, local = Catalogue(remote), Catalogue(painter)
        assert found.like(3) == local.like(3)
        assert (found.sae, found.search("tree")) == (local.sae, local.search("tree"))
        assert same(found.typical, local.typical)
        assert same(found.positional, local.positional)

    def test_concepts_come_over(self, painter: ember.Painter, bank: ConceptBank) -> None:
        painter.concepts = bank
        try:
            with running(painter) as url, ember.connect(url) as remote:
                assert remote.concepts is not None
                assert remote.concepts.names == bank.names
                remote.concepts = None
                assert remote.concepts is None
        finally:
            painter.concepts = None


def test_nothing_loads_torch(url: str) -> None:
    code = f"""
import sys
import ember_widgets as ember
with ember.connect({url!r}) as painter:
    scene = painter.analyze({PROMPT!r}, seed=3).paint(0, "centre")
    painter.render(scene), painter.inspect(scene), painter.reseed(scene, 4), painter.icon(3)
    painter.labels, painter.icons, painter.statistics, painter.concepts, list(painter.saes)
    ember.PaintWidget(painter, scene).close()
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr.strip()) == ("False", "")


class TestTheConnection:
    def test_a_wrong_token(self, painter: ember.Painter) -> None:
        with running(painter, tokens=Tokens({"secret": "ada"})) as url:
            for token in (None, "other"):
                with pytest.raises(PermissionError, match="token"):
                    ember.connect(url, token)
            with ember.connect(f"{url}/#token=secret") as remote:
                assert remote.person == "ada"
                assert len(remote.labels) == len(painter.labels)  # files are fetched with the token too

    def test_a_server_that_restarts_in_a_render(self, painter: ember.Painter, painted: ember.Scene) -> None:
        local = painter.render(painted)
        other = painted.paint(1, "left")
        states: list[str] = []
        with ThreadPoolExecutor(1) as pool:
            replica = Replica(painter)
            with serving(replica) as url:
                remote = ember.connect(url)
                remote.on_connection(states.append)
                with painter.model.lock:
                    waiting = pool.submit(remote.render, painted)
                    time.sleep(0.1)  # it is being drawn now
                    break_all(remote)
                    until(lambda: "reconnecting" in states)
                assert same(waiting.result(10), local)
            until(lambda: remote.connection == "reconnecting")
            replica.close()
            waiting = pool.submit(remote.render, painted)
            # Another replica, which never saw the arrays of this scene.
            with running(painter, port=urlsplit(url).port or 0):
                assert same(waiting.result(10), local)
                assert same(remote.render(other), painter.render(other))
                assert states[-1] == "connected"
                remote.close()
        assert states[-1] == "closed"

    def test_cancelling(
        self, painter: ember.Painter, remote: ember.RemotePainter, painted: ember.Scene
    ) -> None:
        stop = threading.Event()
        with painter.model.lock, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(remote.render, painted, cancelled=stop.is_set)
            time.sleep(0.05)
            stop.set()
            with pytest.raises(Cancelled):
                waiting.result(1)
        assert same(remote.render(painted), painter.render(painted))

    def test_what_nobody_refers_to_is_closed(self, painter: ember.Painter) -> None:
        replica = Replica(painter)
        with serving(replica) as url:
            remote = ember.connect(url)
            remote.icons.on_made(lambda features: None)
            thread = remote._connection._thread
            until(lambda: replica.n_sessions == 1)
            del remote
            gc.collect()
            until(lambda: replica.n_sessions == 0 and not thread.is_alive())
        replica.close()


def break_all(remote: ember.RemotePainter) -> None:
    """Cut the client's connection, as a network does."""
    from ember_widgets.serve.client.connection import _cut

    socket = remote._connection._socket
    assert socket is not None
    _cut(socket)
