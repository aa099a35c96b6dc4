"""A small server with OpenAI's interface, pictures to ask about, and what a run leaves behind."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from ember_widgets.labelling.openai_client import OpenAIClient
from ember_widgets.labelling.run import LabelRun, label_features
from ember_widgets.labelling.sheet import encoded

ANSWERS = {
    "label": {"label": "red lion", "category": "object", "note": ""},
    "detection": {"pictures": [1, 3, 5, 7, 9]},
    "causal": {"pairs": ["A", "B"] * 5},
}
TRUTH = [True, False] * 5
SIDES = ["A", "B"] * 5


def kind_of(text: str) -> str:
    return "causal" if "pairs 1 to 10" in text else "detection" if "In each of" in text else "label"


@dataclass(frozen=True)
class Request:
    """A question as it came in."""

    key: str
    kind: str
    text: str
    url: str
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)


@dataclass
class Sent:
    """What is sent back: a status, a body, and headers."""

    body: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    content_type: str = "application/json"


def completion(text: str | None, *, finish: str = "stop", refusal: str | None = None) -> Sent:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return Sent(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": "eyes",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020},
        }
    )


def right(request: Request) -> Sent:
    return completion(json.dumps(ANSWERS[request.kind]))


def error(status: int, message: str, code: str | None = None, **headers: str) -> Sent:
    return Sent({"error": {"message": message, "code": code}}, status, headers)


Answer = Callable[[Request], Sent]


@dataclass
class Server:
    """Counts the requests and answers them."""

    url: str
    answer: Answer
    requests: list[Request] = field(default_factory=list)
    n_open: int = 0
    most_open: int = 0
    models_status: int = 404
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(request.kind for request in self.requests)

    @property
    def keys(self) -> Counter[str]:
        return Counter(request.key for request in self.requests)

    def client(self, **more: Any) -> OpenAIClient:
        return OpenAIClient(
            "eyes", **{"base_url": self.url, "api_key": "secret-key", "max_retries": 0, **more}
        )


@contextmanager
def serving(answer: Answer = right) -> Iterator[Server]:
    """A server on the loopback address, as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.send(error(server.models_status, "no such page"))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text, picture = body["messages"][0]["content"]
            key, url = self.headers["Idempotency-Key"], picture["image_url"]["url"]
            request = Request(key, kind_of(text["text"]), text["text"], url, body)
            with server.lock:
                server.requests.append(request)
                server.n_open += 1
                server.most_open = max(server.most_open, server.n_open)
            try:
                sent = server.answer(request)
                time.sleep(sent.after_s)
            finally:
                with server.lock:
                    server.n_open -= 1
            self.send(sent)

        def send(self, sent: Sent) -> None:
            data = sent.body.encode() if isinstance(sent.body, str) else json.dumps(sent.body).encode()
            try:
                self.send_response(sent.status)
                self.send_header("Content-Type", sent.content_type)
                self.send_header("Content-Length", str(len(data)))
                for name, value in sent.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client was killed

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        server = Server(f"http://127.0.0.1:{listener.server_address[1]}/v1", answer)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        listener.shutdown()
        thread.join()


@dataclass
class Drawings:
    """A source of small sheets, which counts what it draws."""

    identity: str = "drawings"
    silent: tuple[int, ...] = ()
    draw_s: float = 0.0
    drawn: list[tuple[str, int]] = field(default_factory=list)
    n_open: int = 0

    def sheet(self, kind: str, feature: int) -> bytes:
        assert self.n_open == 0, "two sheets are drawn at once"
        self.n_open += 1
        time.sleep(self.draw_s)
        self.drawn.append((kind, feature))
        self.n_open -= 1
        return encoded(Image.new("RGB", (16, 16), (feature % 256, feature // 256, 0)))

    def label_sheet(self, feature: int) -> bytes | None:
        return None if feature in self.silent else self.sheet("label", feature)

    def detection_sheet(self, feature: int) -> tuple[bytes, list[bool]] | None:
        return self.sheet("detection", feature), TRUTH

    def causal_sheet(self, feature: int) -> tuple[bytes, list[str]] | None:
        return self.sheet("causal", feature), SIDES


def labelled(features: range | list[int], server: Server, folder: Path, **more: Any) -> LabelRun:
    """A quiet run with a client of its own, unless others are given."""
    source, client = more.pop("source", None) or Drawings(), more.pop("client", None) or server.client()
    return label_features(features, source, client, **{"folder": folder, "progress": False, **more})


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text("utf-8").splitlines()]
