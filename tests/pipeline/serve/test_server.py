"""A real server with real connections: who comes in, what is refused, who is let go."""

from __future__ import annotations

import contextlib
import logging
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

import ember_widgets as ember
from ember_widgets.features import icons
from ember_widgets.features.statistics import Statistics
from ember_widgets.serve.server.limits import Limits
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.server.tokens import Tokens
from ember_widgets.serve.wire import scenes
from ember_widgets.serve.wire.calls import CLOSE_FULL, CLOSE_PROTOCOL, CLOSE_TOKEN, Welcome
from ember_widgets.serve.wire.frames import MAX_FRAME_BYTES, PROTOCOL, pack
from tests.pipeline.serve.wire_client import WireClient, connected
from tests.serving import running, serving

TOKENS = Tokens({"s3cret": "Ada", "other": "Bob"})


@pytest.fixture(scope="module")
def replica(painter: ember.Painter) -> Iterator[Replica]:
    replica = Replica(painter, limits=Limits(requests_per_s=1000))
    yield replica
    replica.close()


@pytest.fixture(scope="module")
def url(replica: Replica) -> Iterator[str]:
    with serving(replica) as url:
        yield url


@pytest.fixture(scope="module")
def closed(painter: ember.Painter) -> Iterator[str]:
    """A server with tokens."""
    with running(painter, tokens=TOKENS, limits=Limits(sessions_per_token=2)) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[WireClient]:
    with connected(url) as client:
        yield client


@pytest.fixture(scope="module")
def scene(painter: ember.Painter) -> ember.Scene:
    return painter.analyze("a castle on a hill", seed=3)


def closed_with(client: WireClient) -> int:
    with pytest.raises(ConnectionClosed):
        client.receive()
    assert client.socket.close_code is not None
    return client.socket.close_code


class TestWhoComesIn:
    def test_a_person_with_a_token(self, closed: str) -> None:
        with connected(closed, "s3cret", hello=False) as client:
            assert Welcome.unpacked(client.hello().head).person == "Ada"

    @pytest.mark.parametrize("token", [None, "guess"])
    def test_nobody_without(self, closed: str, token: str | None) -> None:
        with connected(closed, token, hello=False) as client:
            head = client.receive().head
            assert (head["error"], head["id"]) == ("PermissionError", None)
            assert "token" in head["message"]
            assert closed_with(client) == CLOSE_TOKEN
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        for path in ("/v1/models", "/v1/files/labels.json"):
            answer = httpx.get(closed + path, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "PermissionError")

    def test_not_more_than_fit(self, closed: str) -> None:
        with connected(closed, "s3cret"), connected(closed, "s3cret"), connected(closed, "other"):
            with connected(closed, "s3cret", hello=False) as third:
                head = third.receive().head
                assert (head["error"], "2 of your sessions" in head["message"]) == ("Busy", True)
                assert closed_with(third) == CLOSE_FULL
            with connected(closed, " s3cret", hello=False) as third:  # the same token, written otherwise
                assert third.receive().head["error"] == "Busy"
            assert httpx.get(closed + "/healthz").json()["sessions"] == 3

    def test_no_page_of_another_site(self, url: str) -> None:
        answer = httpx.get(url + "/v1/models", headers={"Origin": "https://evil.example"})
        assert answer.status_code == 401
        assert "own computer" in answer.json()["message"]

    def test_no_other_protocol(self, url: str) -> None:
        with connected(url, hello=False) as client:
            client.send({"type": "hello", "protocol": 99, "version": "9.9"})
            message = client.receive().head["message"]
            assert all(part in message for part in ("99", "9.9", str(PROTOCOL), ember.__version__))
            assert closed_with(client) == CLOSE_PROTOCOL

    def test_hello_comes_first(self, url: str) -> None:
        with connected(url, hello=False) as client:
            client.send({"type": "ping"})
            assert "hello" in client.receive().head["message"]
            assert client.hello().type == "welcome"


class TestFiles:
    def test_come_as_the_painter_has_them(self, painter: ember.Painter, url: str, tmp_path: Path) -> None:
        welcome = Welcome.unpacked(httpx.get(url + "/v1/models").json())
        assert welcome.key == painter.key
        assert welcome.sites == (("down_blocks.2.attentions.1", painter.n_features),)
        for name, size in welcome.files.items():
            data = httpx.get(f"{url}/v1/files/{name}").content
            assert len(data) == size
            (tmp_path / name).write_bytes(data)
        labels = ember.Labels.load(tmp_path / "labels.json")
        assert dict(labels) == dict(painter.labels)
        pictures = icons.read(tmp_path / "icons.zip", painter.key)
        assert pictures.keys() == set(painter.icons)
        measured, ours = Statistics.load(tmp_path / "statistics.npz", painter.key), painter.statistics
        assert measured is not None
        assert ours is not None
        assert np.array_equal(measured.frequency, ours.frequency)
        (tmp_path / "sae").mkdir()
        (tmp_path / "sae-0.safetensors").rename(tmp_path / "sae" / "sae.safetensors")
        sae, own = ember.load_sae(tmp_path / "sae"), next(iter(painter.saes.values()))
        assert sae.W_dec.equal(own.W_dec)
        assert sae.unit.equal(own.unit)

    def test_are_not_sent_again_when_known(self, url: str) -> None:
        first = httpx.get(url + "/v1/files/labels.json")
        again = httpx.get(url + "/v1/files/labels.json", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize(
        "name", ["pyproject.toml", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "labels.json%00", "sae-0"]
    )
    def test_no_other_path_is_opened(self, url: str, name: str) -> None:
        assert httpx.get(f"{url}/v1/files/{name}").status_code == 404


class TestCalls:
    def test_what_the_painter_raises_comes_over(self, client: WireClient) -> None:
        for args, error, message in (
            ({"prompt": "x", "seed": -1, "n_steps": 1}, "ValueError", "seed=-1"),
            ({"prompt": "x", "seed": 1, "n_steps": 1, "n_factors": 0}, "ValueError", "n_factors=0"),
            ({"prompt": "x", "seed": "1", "n_steps": 1}, "TypeError", "not of type int"),
            ({"prompt": "x", "seed": 1}, "TypeError", "lacks the argument n_steps"),
            ({"prompt": "x", "seed": 1, "n_steps": 1, "nope": 1}, "TypeError", "no argument 'nope'"),
            ({"prompt": "x" * 1001, "seed": 1, "n_steps": 1}, "ValueError", "1,001 characters"),
            ({"prompt": "x", "seed": 1, "n_steps": 5}, "ValueError", "n_steps is 5"),
            ({"prompt": "x", "seed": 1, "n_steps": 1, "n_factors": 257}, "ValueError", "n_factors is 257"),
            ({"prompt": "x", "seed": 1, "n_steps": 1, "photo": 3}, "ValueError", "photo=3"),
        ):
            head = client.call("analyze", **args).head
            assert (head["type"], head["error"]) == ("error", error)
            assert message in head["message"]

    def test_a_fault_of_the_server_stays_in_its_log(
        self, client: WireClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(self: object, *args: object, **options: object) -> None:
            raise RuntimeError("/secret/path")

        monkeypatch.setattr(ember.Painter, "prompt_notes", fail)
        with caplog.at_level(logging.ERROR):
            head = client.call("prompt_notes", prompt="x").head
        assert head["error"] == "RuntimeError"
        assert "secret" not in head["message"]
        assert "/secret/path" in caplog.text
        assert head["message"].split()[-1] in caplog.text
        monkeypatch.undo()
        assert client.call("prompt_notes", prompt="zebra").head["value"]["unknown"] == ["zebra"]

    def test_a_scene_of_another_model_is_refused(self, client: WireClient, scene: ember.Scene) -> None:
        head = client.call("render", scene=scene.replace(model={"sae": "another"})).head
        assert (head["error"], "another" in head["message"]) == ("ValueError", True)

    def test_previews_come_in_the_form_asked_for(self, client: WireClient, scene: ember.Scene) -> None:
        client.picture("render", scene=scene)
        for form in ("webp", "jpeg"):
            value = client.call("render", scene=scene, preview=True, form=form).head["value"]
            assert (value["form"], value["width"]) == (form, 256)
        assert "bmp" in client.call("render", scene=scene, form="bmp").head["message"]

    def test_pings_are_answered(self, client: WireClient) -> None:
        client.send({"type": "ping"})
        assert client.receive().type == "pong"


class TestSlots:
    def test_the_newest_wins(self, replica: Replica, client: WireClient, scene: ember.Scene) -> None:
        client.picture("render", scene=scene)
        with held(replica):
            strokes = [scene.paint(0, "centre", strength / 4) for strength in range(4)]
            numbers = [client.ask("render", "picture", scene=stroke) for stroke in strokes]
            other = client.ask("render", "another", scene=scene)
            cancelled = [client.receive().head for _ in range(3)]
        assert [(head["id"], head["error"]) for head in cancelled] == [(n, "Cancelled") for n in numbers[:3]]
        assert {client.receive().head["id"] for _ in range(2)} == {numbers[3], other}

    def test_cancel(self, replica: Replica, client: WireClient, scene: ember.Scene) -> None:
        client.picture("render", scene=scene)
        with held(replica):
            number = client.ask("render", scene=scene)
            client.send({"type": "cancel", "id": number})
            client.send({"type": "cancel", "id": 10**6})
            head = client.receive().head
        assert (head["id"], head["error"]) == (number, "Cancelled")
        client.picture("render", scene=scene)

    def test_who_leaves_is_dropped(self, replica: Replica, url: str, scene: ember.Scene) -> None:
        with held(replica):
            with connected(url) as leaving:
                leaving.put(list(scenes.kept_arrays(scene).values()))
                for _ in range(5):
                    leaving.ask("render", scene=scene)
                until(lambda: replica.scheduler.n_waiting == 5)
            until(lambda: replica.scheduler.n_waiting == 0)
        until(lambda: replica.n_sessions == 0)


class TestLimits:
    def test_calls_per_second(self, painter: ember.Painter) -> None:
        with (
            running(painter, limits=Limits(requests_per_s=5, waiting=100)) as url,
            connected(url) as client,
        ):
            for _ in range(14):
                client.ask("prompt_notes", prompt="tree")
            heads = [client.receive().head for _ in range(14)]
            busy = [head for head in heads if head["type"] == "error"]
            assert len(busy) == 4
            assert {head["error"] for head in busy} == {"Busy"}
            assert "5 calls per second" in busy[0]["message"]
            time.sleep(max(head["retry_after_s"] for head in busy))
            assert client.call("prompt_notes", prompt="tree").type == "answer"

    def test_calls_that_wait(self, replica: Replica, client: WireClient) -> None:
        with held(replica):
            for _ in range(33):
                client.ask("prompt_notes", prompt="tree")
            head = client.receive().head
        assert (head["id"], head["error"], head["retry_after_s"]) == (32, "Busy", 1.0)
        assert {client.receive().type for _ in range(32)} == {"answer"}

    def test_who_asks_nothing_is_let_go(self, painter: ember.Painter) -> None:
        with running(painter, limits=Limits(idle_minutes=1 / 60)) as url, connected(url) as client:
            # Pings keep a connection open only as long as somebody paints.
            client.send({"type": "ping"})
            assert client.receive().type == "pong"
            assert "nothing was asked" in client.receive().head["message"]
            assert closed_with(client) == 4003


def hostile_frames(scene: ember.Scene, n: int) -> Iterator[Any]:
    """Frames that are damaged or ask for too much, each of which gets one error."""
    chance = random.Random(0)
    buffers: list[bytes] = []
    content = scenes.packed(scene, buffers)
    run = {"prompt": "", "seed": 1, "n_steps": 1}
    # A scene's array, which is on the server, and is not a basis.
    concepts = {"site": "", "sae": "", "names": ["a"], "basis": content["arrays"]["unit"]["name"]}
    wide = {**content["arrays"], "strengths": {"shape": [16, 16, 2**18], "buffer": 0}}

    def call(given: list[bytes] = buffers, **changes: Any) -> bytes:
        head = {"type": "call", "id": 7, "call": "render", "args": {"scene": content}}
        return pack(head | changes, given)

    def put(shape: list[int], data: bytes) -> bytes:
        return pack({"type": "put", "arrays": [{"shape": shape, "buffer": 0}]}, [data])

    kinds: list[Callable[[], Any]] = [
        lambda: "text",
        lambda: chance.randbytes(chance.randrange(60)),
        lambda: struct.pack("<I", 2**31) + b"{}",
        lambda: bytes(MAX_FRAME_BYTES + 1),
        lambda: call(id="x"),
        lambda: call(call="exec"),
        lambda: call(args={"scene": content | {"seed": 10**30}}),
        lambda: call(args={"scene": content | {"arrays": wide}}),
        lambda: call([bytes(2**20), b"x"]),
        lambda: call([], call="analyze", args=run | {"basis": {"basis": "../x"}}),
        lambda: call([], call="analyze", args=run | {"basis": concepts | {"names": ["a"] * 10_000}}),
        lambda: call([], call="analyze", args=run | {"basis": concepts}),
        lambda: put([2**24], b"x"),
        lambda: put([16, 16, 5], bytes(2**20)),
        lambda: pack({"type": "launch"}),
        lambda: struct.pack("<I", 2**18) + b"[" * 2**18,
    ]
    for i in range(n):
        yield kinds[i % len(kinds)]()


def test_hostile_frames_get_one_error_each_while_others_are_served(
    url: str, replica: Replica, scene: ember.Scene
) -> None:
    with connected(url) as hostile, connected(url) as painting:
        hostile.picture("render", scene=scene)
        delays, stop = list[float](), threading.Event()

        def ping() -> None:
            while not stop.wait(0.01):
                began = time.perf_counter()
                painting.send({"type": "ping"})
                painting.receive()
                delays.append(time.perf_counter() - began)

        pinging = threading.Thread(target=ping)
        pinging.start()
        try:
            for data in hostile_frames(scene, 130):
                hostile.socket.send(data)
                head = hostile.receive().head
                assert head["type"] == "error", head
                assert head["error"] in ("ValueError", "TypeError")
                assert 10 < len(head["message"]) < 300
        finally:
            stop.set()
            pinging.join()
        # How long others wait is measured by tests/benchmarks/serve.py.
        assert len(delays) > 20
        hostile.picture("render", scene=scene)


def until(is_so: Any, timeout: float = 5.0) -> None:
    ends = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.005)


@contextlib.contextmanager
def held(replica: Replica) -> Iterator[None]:
    """The device is busy until the block ends."""
    opened, entered = threading.Event(), threading.Event()

    def hold(cancelled: object) -> None:
        entered.set()
        opened.wait(20)

    future = replica.scheduler.submit("someone else", hold)
    assert entered.wait(5)
    try:
        yield
    finally:
        opened.set()
        future.result(5)
