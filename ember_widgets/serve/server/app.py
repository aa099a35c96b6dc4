"""The server's addresses, as a FastAPI app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from ember_widgets._version import __version__
from ember_widgets.serve.server import http_api, web_pages
from ember_widgets.serve.server.access import account_of, person_of
from ember_widgets.serve.server.body_limit import BodyLimit
from ember_widgets.serve.server.person import Person
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.server.session import End, Session, last_words
from ember_widgets.serve.wire.calls import CLOSE_FULL, CLOSE_TOKEN
from ember_widgets.serve.wire.frames import MAX_FRAME_BYTES, PROTOCOL

CLOSING_S = 5.0
"""How long a client may take to close its side."""


def create_app(replica: Replica | Callable[[], Replica]) -> FastAPI:
    """The app that serves a replica's painter.

    Args:
        replica: The replica; or what makes one, which is then closed with the app.
    """
    made = replica if isinstance(replica, Replica) else replica()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        if made is not replica:
            await run_in_threadpool(made.close)

    # FastAPI's own page of the calls loads its parts from elsewhere; ours is /docs.
    app = FastAPI(
        title="ember_widgets",
        description="Analyze, render and inspect with a painter on a server.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.replica = made
    app.add_middleware(BodyLimit, max_bytes=MAX_FRAME_BYTES)
    app.include_router(http_api.routes(made))
    app.include_router(web_pages.routes(made))

    @app.exception_handler(PermissionError)
    async def refused(request: Request, fault: PermissionError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"}
        return JSONResponse({"error": "PermissionError", "message": str(fault)}, 401, headers)

    @app.exception_handler(StarletteHTTPException)
    async def failed(request: Request, fault: StarletteHTTPException) -> JSONResponse:
        content = {"error": "HTTPException", "message": str(fault.detail)}
        return JSONResponse(content, fault.status_code, fault.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, fault: RequestValidationError) -> JSONResponse:
        found = fault.errors()[0]
        where = ".".join(str(part) for part in found["loc"][1:]) or "the body"
        return JSONResponse({"error": "ValueError", "message": f"{where}: {found['msg']}"}, 400)

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Whether the server is up; needs no token."""
        return {
            "status": "ok",
            "version": __version__,
            "protocol": PROTOCOL,
            "sessions": made.n_sessions,
        }

    @app.get("/v1/models")
    async def models(person: Person) -> dict[str, Any]:
        """What the server says of itself and its painter."""
        welcome = await run_in_threadpool(made.welcome, person)
        return welcome.packed()

    @app.get("/v1/files/{name}")
    async def file(name: str, request: Request, person: Person) -> Response:
        """A file of the model: labels, icons, statistics, concepts or an SAE."""
        found = (await run_in_threadpool(made.files.all)).get(name)
        if found is None:
            raise HTTPException(404, "there is no such file; GET /v1/models lists them")
        if found.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={"ETag": found.etag})
        return FileResponse(found.path, media_type="application/octet-stream", headers={"ETag": found.etag})

    @app.websocket("/v1/session")
    async def session(socket: WebSocket) -> None:
        await serve(made, socket)

    return app


async def serve(replica: Replica, socket: WebSocket) -> None:
    """Serve one connection until it ends."""
    await socket.accept()
    address = socket.client.host if socket.client else None
    try:
        person = person_of(replica.tokens, socket.headers, address)
    except PermissionError as fault:
        await last_words(socket.send_bytes, "PermissionError", str(fault))
        await _close(socket, End(CLOSE_TOKEN, "wrong token"))
        return
    account = account_of(replica.tokens, socket.headers, address)
    try:
        owner = replica.enter(account)
    except ConnectionError as fault:
        await last_words(socket.send_bytes, "Busy", str(fault))
        await _close(socket, End(CLOSE_FULL, "full"))
        return
    try:
        session = Session(replica, socket.send_bytes, person, owner=owner)
        try:
            await _exchange(socket, session)
        finally:
            await session.close()
    finally:
        replica.leave(account)


async def _exchange(socket: WebSocket, session: Session) -> None:
    """Pass on what arrives, until one side ends the connection."""
    reading = asyncio.create_task(_read(socket, session))
    either: tuple[asyncio.Future[Any], ...] = (reading, session.ended)
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if session.ended.done() and not reading.done():
            await _close(socket, session.ended.result())
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(socket: WebSocket, session: Session) -> None:
    while True:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return
        data = message.get("bytes")
        await session.receive(message.get("text") if data is None else data)


async def _close(socket: WebSocket, end: End) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(socket.close(end.code, end.reason), CLOSING_S)
