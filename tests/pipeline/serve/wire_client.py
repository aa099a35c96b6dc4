"""A client that speaks the raw wire, frame by frame."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image
from websockets.sync.client import ClientConnection, connect

from ember_widgets import __version__
from ember_widgets.scene.scene import Scene
from ember_widgets.serve.wire import arrays, scenes, values
from ember_widgets.serve.wire.frames import PROTOCOL, Frame, pack, unpack


class WireClient:
    """A connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._numbers = itertools.count()

    def send(self, head: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        self.socket.send(pack(head, buffers))

    def receive(self, timeout: float = 20.0) -> Frame:
        return unpack(self.socket.recv(timeout))

    def hello(self) -> Frame:
        self.send({"type": "hello", "protocol": PROTOCOL, "version": __version__, "client": "test"})
        return self.receive()

    def ask(self, call: str, slot: str = "", buffers: Sequence[bytes] = (), **args: Any) -> int:
        """Send a call; returns its number."""
        number, buffers = next(self._numbers), list(buffers)
        if isinstance(args.get("scene"), Scene):
            args["scene"] = scenes.packed(args["scene"], buffers)
        self.send({"type": "call", "id": number, "call": call, "args": args, "slot": slot}, buffers)
        return number

    def call(self, call: str, **args: Any) -> Frame:
        """A call and its answer; arrays that the server needs are put."""
        scene = args.get("scene")
        self.ask(call, **args)
        frame = self.receive()
        if frame.type == "need" and isinstance(scene, Scene):
            kept = scenes.kept_arrays(scene)
            self.put([kept[name] for name in frame.head["arrays"]])
            self.ask(call, **args)
            frame = self.receive()
        return frame

    def put(self, some: Sequence[Any]) -> None:
        buffers: list[bytes] = []
        entries = arrays.packed(some, buffers)
        self.send({"type": "put", "arrays": entries}, buffers)

    def scene(self, call: str, **args: Any) -> Scene:
        frame = self.call(call, **args)
        assert frame.type == "answer", frame.head
        sent = args.get("scene")
        known = scenes.kept_arrays(sent) if isinstance(sent, Scene) else {}
        return scenes.unpacked_answer(frame.head["value"], frame.buffers, known)

    def picture(self, call: str, **args: Any) -> Image.Image:
        frame = self.call(call, **args)
        assert frame.type == "answer", frame.head
        return values.decoded(frame.buffers[frame.head["value"]["buffer"]])


@contextlib.contextmanager
def connected(url: str, token: str | None = None, *, hello: bool = True) -> Iterator[WireClient]:
    """Connect, and say hello."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    address = url.replace("http", "ws", 1) + "/v1/session"
    with connect(address, additional_headers=headers, compression=None, max_size=None) as socket:
        client = WireClient(socket)
        if hello:
            assert client.hello().type == "welcome"
        yield client
