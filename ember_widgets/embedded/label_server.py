"""A server with OpenAI's interface whose model is the oracle: to try out and test labelling offline.

It runs in this process, on the loopback address only. It sees what a request contains: the question's words
and the sheet's pixels. `python -m ember_widgets.embedded.label_server` runs one until Ctrl+C.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ember_widgets.embedded.sheet_reader import NoSheet, SheetReader
from ember_widgets.util import checks

if TYPE_CHECKING:
    from typing_extensions import Self

MODEL = "oracle"
MAX_REQUEST = 2**25
"""Bytes."""
FAULTS = {
    "wrong": "JSON of another form than asked for",
    "empty": "an empty answer",
    "slow": "the right answer, late",
    "refusal": "the model refuses",
    "not-json": "a sentence",
    "cut-off": "the answer ends early, at the limit of its length",
    "dropped": "the connection is closed before the answer is complete",
    "429": "too many requests",
    "500": "an error in the server",
}
"""What can go wrong on demand. Any other status from 400 to 599 may be given too, as text."""
Faults = Sequence[str] | Mapping[int, str] | Callable[[int], str | None]


@dataclass(frozen=True)
class Asked:
    """A request for an answer.

    Args:
        number: From 0, in the order in which they came.
        question: Its Idempotency-Key, by which the client names the call; without one, of words and picture.
        fault: What was served instead of an answer; "" = it was answered.
    """

    number: int
    question: str
    fault: str


class LabelServer:
    """Answers questions about sheets as a server with OpenAI's chat interface would.

    Use it as a context manager, or call `close`:

        with LabelServer() as server:
            client = ember.OpenAIClient(server.model, base_url=server.url)

    Args:
        port: To listen on; 0 = a free one.
        faults: What goes wrong: names of `FAULTS` for the first requests ("" = nothing), or for requests by
            number from 0, or a function of the number. None = nothing.
        slow_s: How late a slow answer is, in seconds.
        reader: Answers; None = a new one with the oracle that ships with the package.

    Attributes:
        url: What clients take as `base_url`.
        model: The name of the only model.
        asked: All requests for answers so far, each as soon as its answer is ready, in this order.
    """

    model = MODEL

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Faults | None = None,
        slow_s: float = 2.0,
        reader: SheetReader | None = None,
    ) -> None:
        if isinstance(faults, str):
            raise TypeError(f"faults={faults!r} is text; give a list of names, such as [{faults!r}]")
        if faults is not None and not callable(faults):
            for name in faults.values() if isinstance(faults, Mapping) else faults:
                _check_fault(name)
        self.faults = faults
        self.slow_s = slow_s
        self.asked: list[Asked] = []
        self._reader = SheetReader() if reader is None else reader
        self._n_asked = 0
        self._lock = threading.Lock()
        self._server = _Listener(
            ("127.0.0.1", checks.integer("port", port, 0, 65535, hint="0 = a free one")), _handler(self)
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="label-server", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, such as "http://127.0.0.1:43210/v1"."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def counts(self) -> Counter[str]:
        """How many requests were answered, and how many got which fault."""
        return Counter(one.fault or "answered" for one in list(self.asked))

    @property
    def answered(self) -> Counter[str]:
        """How many answers each question got, wrong and late ones included.

        An answer that was cut off or dropped does not count.
        """
        return Counter(one.question for one in list(self.asked) if one.fault in ("", "slow"))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def respond(self, body: bytes, name: str = "") -> Response:
        """What is sent for a request for an answer.

        Args:
            body: The request, JSON.
            name: What the client calls the question.
        """
        try:
            text, picture = _question(body)
        except _Invalid as invalid:
            return _error(invalid.status, str(invalid))
        with self._lock:
            number, self._n_asked = self._n_asked, self._n_asked + 1
        question = name or hashlib.sha256(text.encode() + b"\0" + picture).hexdigest()[:16]
        fault = self._fault(number)
        if fault == "slow":
            time.sleep(self.slow_s)
        if fault in ("", "slow", "cut-off", "dropped"):
            try:
                answer = self._reader.answer(text, picture)
            except NoSheet as bad:
                return _error(400, str(bad))
            response = _completion(answer, text, picture)
        else:
            response = _spoilt(fault)
        if fault == "cut-off":
            response = _completion(answer[: len(answer) // 2], text, picture, finish_reason="length")
        response.is_dropped = fault == "dropped"
        response.asked = Asked(number, question, fault)
        return response

    def note(self, asked: Asked) -> None:
        """Keep that a request was dealt with."""
        with self._lock:
            self.asked.append(asked)

    def _fault(self, number: int) -> str:
        faults = self.faults
        if faults is None:
            return ""
        if callable(faults):
            name = faults(number) or ""
        elif isinstance(faults, Mapping):
            name = faults.get(number, "")
        else:
            name = faults[number] if number < len(faults) else ""
        _check_fault(name)
        return name


@dataclass
class Response:
    """What is sent.

    Args:
        status: HTTP.
        content: JSON.
        asked: The request that it answers; None = it was none for an answer.
        is_dropped: Whether the connection is closed halfway.
    """

    status: int
    content: Mapping[str, Any]
    asked: Asked | None = None
    is_dropped: bool = False


def _check_fault(name: str) -> None:
    if name and name not in FAULTS and not (name.isdigit() and 400 <= int(name) < 600):
        raise ValueError(f"fault {name!r} is unknown; choose from {', '.join(FAULTS)}")


class _Invalid(ValueError):
    """A request that cannot be answered."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def _question(body: bytes) -> tuple[str, bytes]:
    """The words and the picture of a request."""
    try:
        request = json.loads(body)
        model, messages = request["model"], request["messages"]
        if request.get("stream"):
            raise _Invalid("streaming is not offered")
        parts: list[Mapping[str, Any]] = []
        for message in messages:
            content = message["content"]
            parts += [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    except _Invalid:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _Invalid("the request is not one for a chat completion") from None
    if model != MODEL:
        raise _Invalid(f"the model {model!r} does not exist; this server has {MODEL!r}", 404)
    if len(urls) != 1 or not isinstance(urls[0], str) or not urls[0].startswith("data:image/"):
        raise _Invalid("give one picture, as a data URL")
    try:
        return text, base64.b64decode(urls[0].partition(";base64,")[2], validate=True)
    except binascii.Error:
        raise _Invalid("the picture is not base64") from None


def _completion(
    answer: str | None, text: str, picture: bytes, *, finish_reason: str = "stop", refusal: str | None = None
) -> Response:
    # A word is about 4 characters; a picture counts as one of 1,024 by 1,024 pixels does at OpenAI.
    tokens_in, tokens_out = len(text) // 4 + 765 * bool(picture), len(answer or "") // 4 + 1
    content = {
        "id": "chatcmpl-" + hashlib.sha256(text.encode() + picture).hexdigest()[:12],
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": answer, "refusal": refusal},
            }
        ],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }
    return Response(200, content)


def _spoilt(fault: str) -> Response:
    """What is sent instead of an answer."""
    if fault.isdigit():
        return _error(int(fault), FAULTS.get(fault, "not available"))
    if fault == "refusal":
        return _completion(None, "", b"", refusal="I cannot help with this picture.")
    texts = {"wrong": '{"answer": 42}', "empty": "", "not-json": "It could be many things."}
    return _completion(texts[fault], "", b"")


def _error(status: int, message: str) -> Response:
    kind = (
        "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    )
    return Response(status, {"error": {"message": message, "type": kind, "param": None, "code": None}})


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nothing to report."""


def _handler(server: LabelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60.0

        def do_GET(self) -> None:
            if self.path.rstrip("/") == "/v1/models":
                model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "ember-widgets"}
                self._send(Response(200, {"object": "list", "data": [model]}))
            elif self.path.rstrip("/") == f"/v1/models/{MODEL}":
                model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "ember-widgets"}
                self._send(Response(200, model))
            else:
                self._send(_error(404, "there is nothing here"))

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MAX_REQUEST:
                self.close_connection = True
                self._send(_error(413, f"a request may have up to {MAX_REQUEST} bytes"))
                return
            body = self.rfile.read(int(length))
            if self.path.rstrip("/") != "/v1/chat/completions":
                self._send(_error(404, "there is nothing here"))
                return
            self._send(server.respond(body, self.headers.get("idempotency-key", "")))

        def _send(self, response: Response) -> None:
            if response.asked is not None:
                server.note(response.asked)  # before it is sent: whoever has the answer finds it counted
            data = json.dumps(response.content).encode()
            self.send_response(response.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            if response.status >= 429:
                self.send_header("retry-after-ms", "50")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if response.is_dropped else data)
            self.wfile.flush()
            if response.is_dropped:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are counted, not printed."""

    return Handler


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until Ctrl+C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8001, help="default: %(default)s")
    args = parser.parse_args(argv)
    with LabelServer(port=args.port) as server:
        print(f"model {MODEL!r} at {server.url}; Ctrl+C stops it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
