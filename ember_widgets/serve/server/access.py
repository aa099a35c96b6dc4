"""Who may connect: people with a token; without tokens, only this computer."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ember_widgets.serve.server.tokens import Tokens
from ember_widgets.serve.wire.loopback import is_loopback

WRONG_TOKEN = (
    "the token is missing or not known here; ask whoever runs the server for yours, and give it as token="
)
ONLY_HERE = (
    "this server has no tokens, so it only takes connections of its own computer; "
    "start it with --token-file to let others in"
)


def person_of(tokens: Tokens, headers: Mapping[str, str], address: str | None) -> str:
    """The name of who asks; "" if there is none.

    Args:
        tokens: Those of the server.
        headers: Of the request, with names in lower case.
        address: Where the request comes from; None = not known.

    Raises:
        PermissionError: The token is wrong, or there are no tokens and it does not come from this computer.
    """
    if tokens.required:
        person = tokens.person(_token_in(headers))
        if person is None:
            raise PermissionError(WRONG_TOKEN)
        return person
    # The names too: a web page elsewhere may send a browser's requests to this computer.
    names = [_host_in(f"//{headers['host']}")] if "host" in headers else []
    if "origin" in headers:
        names.append(_host_in(headers["origin"]))
    if not is_loopback(address) or not all(is_loopback(name) for name in names):
        raise PermissionError(ONLY_HERE)
    return ""


def account_of(tokens: Tokens, headers: Mapping[str, str], address: str | None) -> str:
    """Whose sessions and calls are counted together: those with one token; without tokens, of one address.

    Args:
        tokens, headers, address: As for `person_of`, which has let them in.
    """
    # Not the header itself, which may be written in many ways.
    return f"token {_token_in(headers)}" if tokens.required else f"address {address}"


def _token_in(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _host_in(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
