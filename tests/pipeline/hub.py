"""A stand-in of the Hugging Face hub on loopback: what its client asks for, no more.

It serves folders as repositories, speaks ranges, counts what was asked, and can cut a file short. It takes
uploads: new repositories, files in a commit, and large ones by Git LFS.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server holds, and what happened.

    Attributes:
        repos: {"owner/name": folder}; data sets are named "datasets/owner/name".
        private: Repositories that need the token "right".
        gated: Repositories whose licence was not accepted.
        cuts: {file name: bytes after which the line breaks}, each once.
        dies: Whether a line that broke stays broken, until `down` is False again.
        down: Whether nobody answers.
        licences: {repo: licence}.
        gets: How often each path was fetched.
        ranges: Range headers, by file name.
        place: A folder in which new repositories are made; None = none can be made.
        read_only: Tokens that may not write.
        commits: Repository and message of each commit.
        answers: {part of a path: status} of what is refused.
        large: {hash: content} of the files that came by Git LFS.
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
    place: Path | None = None
    read_only: set[str] = field(default_factory=set)
    commits: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        sent = self._sent()
        path = unquote(urlsplit(self.path).path)
        if self.hub.down:
            self._hang_up()
        elif status := next((s for part, s in self.hub.answers.items() if part in path), None):
            self._refuse(status, "", f"answers {status}")
        elif not self._may_write():
            return
        elif path == "/api/repos/create":
            self._create(json.loads(sent))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(sent)["content"])
        elif match := re.fullmatch(r"/api/(models|datasets)/[^/]+/[^/]+/preupload/main", path):
            self._modes(json.loads(sent))
        elif match := re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._batch(json.loads(sent))
        elif match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/commit/main", path):
            self._commit(_key(match[1], match[2]), [json.loads(line) for line in sent.splitlines()])
        else:
            self._refuse(404, "", "not served here")

    def do_PUT(self) -> None:
        """A large file; its address alone allows it, as the hub's storage does."""
        data = self._sent()
        oid = self.path.rpartition("/")[2]
        if self.hub.down or hashlib.sha256(data).hexdigest() != oid:
            self._hang_up()
            return
        self.hub.large[oid] = data
        self._json({})

    def _sent(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _may_write(self) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == "right":
            return True
        if token in self.hub.read_only:
            self._refuse(403, "", "you must use a write token")
        else:
            self._refuse(401, "", "Invalid username or password.")
        return False

    def _create(self, asked: dict[str, Any]) -> None:
        repo = _key(f"{asked.get('type') or 'model'}s", f"{asked['organization']}/{asked['name']}")
        url = f"{self.hub.url}/{repo}"
        if repo in self.hub.repos:
            self._refuse(409, "", "You already created this model repo", url=url)
            return
        assert self.hub.place is not None
        self.hub.repos[repo] = self.hub.place / repo
        self.hub.repos[repo].mkdir(parents=True)
        if asked.get("visibility") == "private" or asked.get("private"):
            self.hub.private.add(repo)
        self._json({"url": url, "name": repo, "id": repo})

    def _validate(self, card: str) -> None:
        """Like the hub, though it looks only at what it needs to."""
        header = yaml.safe_load(card.split("---")[1])
        fine = isinstance(header, dict) and isinstance(header.get("license"), str)
        errors = [] if fine else [{"message": '"license" must be a string'}]
        self._json({"errors": errors, "warnings": []}, 200 if fine else 400)

    def _modes(self, asked: dict[str, Any]) -> None:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in asked["files"]
        ]
        self._json({"files": modes})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = []
        for one in asked["objects"]:
            upload = {"href": f"{self.hub.url}/storage/{one['oid']}"}
            actions = {} if one["oid"] in self.hub.large else {"actions": {"upload": upload}}
            objects.append({"oid": one["oid"], "size": one["size"], **actions})
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "header":
                self.hub.commits.append((repo, value["summary"]))
                continue
            file = self.hub.repos[repo] / value["path"]
            if key == "deletedFile":
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            content = self.hub.large[value["oid"]] if key == "lfsFile" else b64decode(value["content"])
            file.write_bytes(content)
        self._json(
            {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.hub.url}/{repo}/commit/{COMMIT}"}
        )

    def _answer(self, body: bool) -> None:
        if self.hub.down:
            self._hang_up()
            return
        url = urlsplit(self.path)
        path = unquote(url.path)
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(/revision/([^/]+))?", path):
            self._info(_key(match[1], match[2]), match[4] or "main", "blobs" in parse_qs(url.query))
        elif match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)(/.*)?", path):
            self._tree(_key(match[1], match[2]), match[3])
        elif match := re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
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
        self._json(info | {"private": repo in self.hub.private, "tags": [], "downloads": 0, "likes": 0})

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

    def _json(self, content: Any, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, status: int, code: str, message: str, **more: str) -> None:
        data = json.dumps({"error": message, **more}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _key(kinds: str, repo: str) -> str:
    """By which name the repository is held."""
    return repo if kinds == "models" else f"{kinds}/{repo}"


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
