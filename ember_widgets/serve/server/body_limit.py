"""Refuses requests that are too large, before their bodies are read into memory."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """An ASGI app around another one.

    Args:
        app: The other one.
        max_bytes: Of a request's body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if lengths and lengths[0].isdigit() and int(lengths[0]) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        n_bytes, is_answered, is_refused = 0, False, False

        async def counted() -> Message:
            nonlocal n_bytes, is_refused
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._max_bytes:
                is_refused = True
                return {"type": "http.disconnect"}
            return message

        async def sent(message: Message) -> None:
            nonlocal is_answered
            if is_refused and not is_answered:
                return
            is_answered = True
            await send(message)

        try:
            await self._app(scope, counted, sent)
        except Exception:
            if not is_refused:
                raise
        if is_refused and not is_answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the request has more than {self._max_bytes:,} bytes, which is the most"
        await JSONResponse({"error": "ValueError", "message": message}, 413)(scope, receive, send)
