"""Connect to a server."""

from __future__ import annotations

import ssl

from ember_widgets.serve.client.address import Address
from ember_widgets.serve.client.connection import Connection
from ember_widgets.serve.client.remote_painter import RemotePainter
from ember_widgets.util import checks


def connect(
    url: str,
    token: str | None = None,
    *,
    timeout_s: float = 60.0,
    ssl_context: ssl.SSLContext | None = None,
) -> RemotePainter:
    """Connect to a server of ``ember-widgets serve``, and paint with its model.

    Args:
        url: "http(s)://host:port", with the prefix of a proxy if there is one; or a link that has the token
            in it, "https://host:8777/#token=...".
        token: What the server knows you by; None = that of the link, if any.
        timeout_s: If the connection breaks, it comes back by itself; a call waits for it this long.
        ssl_context: For https with certificates of your own; None = what this computer trusts.

    Returns:
        A painter with the methods of `Painter`, as far as the server offers them. Close it with ``close()``,
        or use it in a ``with`` statement.

    Raises:
        TypeError, ValueError: The address cannot be read.
        PermissionError: The server does not accept the token.
        ConnectionError: There is no such server, or it speaks another protocol; the message says which.

    Example:
        >>> painter = connect("http://127.0.0.1:8777")                            # doctest: +SKIP
        >>> scene = painter.analyze("a lion in a meadow", seed=3)                 # doctest: +SKIP
    """
    hint = "give seconds, such as 60"
    seconds = checks.number("timeout_s", timeout_s, hint=hint)
    if not 0 < seconds <= 86_400:
        raise ValueError(f"timeout_s={seconds:g} is not between 0 and 86,400; {hint}")
    connection = Connection(Address.of(url, token), timeout_s=seconds, ssl_context=ssl_context)
    return RemotePainter(connection)
