"""The address of a server: what a user gives, and the addresses of what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from ember_widgets.serve.wire.loopback import is_loopback
from ember_widgets.util import checks

GIVE = "give e.g. 'http://127.0.0.1:8777' or 'https://example.org/ember'"
_SECURE = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True)
class Address:
    """A server.

    Args:
        url: "http(s)://host[:port][/prefix]", without a slash at its end.
        token: What identifies the person; "" = none.
    """

    url: str
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, token: str | None = None) -> Address:
        """The address in a text.

        Args:
            url: "http(s)://host[:port][/prefix]"; a link that ends in "#token=..." has the token in it.
            token: The token; None = that of the link.

        Raises:
            TypeError, ValueError: It is not such an address.
        """
        given = checks.text("url", url).strip()
        try:
            parts = urlsplit(given)
            host, port = parts.hostname, parts.port
        except ValueError as fault:
            raise ValueError(f"url={checks.shown(given)} cannot be read ({fault}); {GIVE}") from None
        if parts.scheme not in _SECURE or not host:
            raise ValueError(f"url={checks.shown(given)} is not the address of a server; {GIVE}")
        if parts.username is not None or parts.query:
            raise ValueError(f"url={checks.shown(given)} has a name or a query in it; {GIVE} and token=...")
        linked = parse_qs(parts.fragment).get("token", [""])[0]
        chosen = linked if token is None else checks.text("token", token).strip()
        if not chosen.isascii() or not chosen.isprintable():
            raise ValueError("token has characters that no token has; copy it once more")
        name = f"[{host}]" if ":" in host else host
        scheme = "https" if _SECURE[parts.scheme] else "http"
        place = name if port is None else f"{name}:{port}"
        return cls(f"{scheme}://{place}{parts.path.rstrip('/')}", chosen)

    @property
    def is_secure(self) -> bool:
        """Whether what is sent is encrypted."""
        return self.url.startswith("https:")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this computer."""
        return is_loopback(urlsplit(self.url).hostname)

    @property
    def session(self) -> str:
        """The address of its WebSocket."""
        return f"ws{self.url.removeprefix('http')}/v1/session"

    @property
    def headers(self) -> dict[str, str]:
        """What each request says about who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def file(self, name: str) -> str:
        """The address of one of its files."""
        return f"{self.url}/v1/files/{name}"
