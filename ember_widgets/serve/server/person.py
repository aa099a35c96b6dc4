"""Who sends an HTTP request, as a dependency of FastAPI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from ember_widgets.serve.server.access import person_of

if TYPE_CHECKING:
    from ember_widgets.serve.server.replica import Replica


def person_of_request(request: Request) -> str:
    """The name of who sends a request; for use with `Depends`.

    Raises:
        PermissionError: The token is wrong; the app answers 401.
    """
    replica: Replica = request.app.state.replica
    return person_of(replica.tokens, request.headers, address_of(request))


def address_of(request: Request) -> str | None:
    """Where a request comes from; None = not known."""
    return request.client.host if request.client else None


Person = Annotated[str, Depends(person_of_request)]
"""The argument of an address that only people with a token may use: their name."""
