"""A stand-in of the Hugging Face hub on loopback: what its client asks for, no more.

It serves folders as repositories, speaks ranges, counts what was asked, and can cut a file short.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server holds, and what happened.

    Attributes:
        repos: {"owner/name": folder}.
        private: Repositories that need the token "right".
        gated: Repositories whose licence was not accepted.
        cuts: {file name: bytes after which the line breaks}, each once.
        dies: Whether a line that broke stays broken, until `down` is False again.
        down: Whether nobody answers.
        licences: {repo: licence}.
        gets: How often each path was fetched.
        ranges: Range headers, by file name.
    """

    url: str = ""
    repos: dict[str, Path] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    cuts: dict[str, int] = field(default_factory=dict)
    dies: bool = False
    down: bool = False
    licences: dict[str, str] = field(default_factory=dict)
    gets: Counter[str] = field(default_factory=Counter)
    ranges: dict[str, list[str]] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        if self.hub.down:
            self._hang_up()
            return
        url = urlsplit(self.path)
        path = unquote(url.path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/([^/]+))?", path):
            self._info(match[1], match[3] or "main", "blobs" in parse_qs(url.query))
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(/.*)?", path):
            self._tree(match[1], match[2])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(match[1], match[2], match[3], body)
        else:
            self._refuse(404, "", "not served here")

    def _folder(self, repo: str, revision: str) -> Path | None:
        """The repository's folder, or an answer that says why not."""
        hub = self.hub
        if repo not in hub.repos:
            # What the hub does too: it does not tell the uninvited whether a private one exists.
            self._refuse(401, "RepoNotFound", "Repository Not Found")
        elif repo in hub.gated:
            self._refuse(403, "GatedRepo", "Access to model is restricted")
        elif repo in hub.private and self.headers.get("Authorization") != "Bearer right":
            self._refuse(401, "", "Invalid username or password.")
        elif revision not in ("main", "v1", COMMIT):
            self._refuse(404, "RevisionNotFound", f"Revision Not Found: {revision}")
        else:
            return hub.repos[repo]
        return None

    def _info(self, repo: str, revision: str, blobs: bool) -> None:
        if (folder := self._folder(repo, revision)) is None:
            return
        siblings = [
            {"rfilename": name} | ({"size": size} if blobs else {}) for name, size in _sizes(folder).items()
        ]
        card = {"license": self.hub.licences.get(repo, "mit")}
        info = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "cardData": card}
        self._json(info | {"private": False, "tags": [], "downloads": 0, "likes": 0})

    def _tree(self, repo: str, revision: str) -> None:
        if (folder := self._folder(repo, revision)) is not None:
            files = _sizes(folder).items()
            self._json([{"type": "file", "path": n, "size": s, "oid": _etag(folder / n)} for n, s in files])

    def _file(self, repo: str, revision: str, name: str, body: bool) -> None:
        if (folder := self._folder(repo, revision)) is None:
            return
        file = folder / name
        if not file.is_file():
            self._refuse(404, "EntryNotFound", f"{name} not found")
            return
        data, begin = file.read_bytes(), 0
        asked = self.headers.get("Range")
        if body:
            self.hub.gets[f"{repo}/{name}"] += 1
            if asked:
                self.hub.ranges.setdefault(name, []).append(asked)
        if asked and (match := re.fullmatch(r"bytes=(\d+)-(\d*)", asked)):
            begin = int(match[1])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{_etag(file)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if not body:
            return
        if name in self.hub.cuts:
            self.wfile.write(data[begin : self.hub.cuts.pop(name)])
            self.wfile.flush()
            self.hub.down = self.hub.dies
            self._hang_up()
            return
        self.wfile.write(data[begin:])

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _refuse(self, status: int, code: str, message: str) -> None:
        data = json.dumps({"error": message}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


def _sizes(folder: Path) -> dict[str, int]:
    return {
        f.relative_to(folder).as_posix(): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()
    }


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub at `hub.url` for as long as the block runs."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
