"""What went wrong with a connection, in words: what happened, why, and what to do."""

from __future__ import annotations

import socket
import ssl

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from ember_widgets._version import __version__
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.wire.frames import PROTOCOL

ASK_TOKEN = "give the token that whoever runs it gave you: token=..., or the link with #token=... in it"


class OtherProtocol(ConnectionError):
    """Server and client speak different protocols. Trying again does not help."""


class Busy(ConnectionError):
    """The server asks to try again later.

    Args:
        message: Why.
        retry_after_s: When.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def other_protocol(address: Address, protocol: object, version: object, said: str = "") -> OtherProtocol:
    """The error that names the versions of both sides."""
    theirs = f"ember_widgets {version}, protocol {protocol}" if version else f"another protocol ({said})"
    return OtherProtocol(
        f"the server at {address.url} speaks {theirs}, and this is ember_widgets {__version__}, protocol "
        f"{PROTOCOL}; install the same version of ember-widgets on both sides"
    )


def explained(address: Address, fault: BaseException) -> Exception:
    """The error to raise for what a library raised while connecting."""
    # An operating system's PermissionError has a number: a firewall, not a token.
    if isinstance(fault, OtherProtocol) or (isinstance(fault, PermissionError) and fault.errno is None):
        return fault
    url = address.url
    if isinstance(fault, InvalidStatus):
        status = fault.response.status_code
        if status in (401, 403):
            given = "does not accept this token" if address.token else "wants a token"
            return PermissionError(f"the server at {url} {given} (HTTP {status}); {ASK_TOKEN}")
        if status in (429, 502, 503, 504):
            return ConnectionError(f"the server at {url} is not ready or full (HTTP {status}); try again")
        return _not_ours(url, f"HTTP {status} instead of a WebSocket")
    if isinstance(fault, ssl.SSLError):
        reason = getattr(fault, "verify_message", "") or fault.reason or fault
        return ConnectionError(
            f"no secure connection to {url} ({reason}); is it https:// there, and is its certificate one "
            "that this computer trusts?"
        )
    if isinstance(fault, socket.gaierror):
        return ConnectionError(f"{url}: no computer of this name is known ({fault.strerror}); check the name")
    if isinstance(fault, ConnectionRefusedError):
        return ConnectionError(
            f"nothing listens at {url}; start the server (ember-widgets serve), or check host and port"
        )
    if isinstance(fault, TimeoutError):
        return ConnectionError(f"{url} does not answer; check host and port, firewall and VPN")
    if isinstance(fault, (InvalidMessage, InvalidHandshake)):
        return _not_ours(url, str(fault))
    if isinstance(fault, ConnectionClosed):
        return ConnectionError(f"the server at {url} closed the connection ({fault}); try again")
    if isinstance(fault, ConnectionError) and fault.errno is None:
        return fault  # it is explained already
    return ConnectionError(f"no connection to {url} ({fault or type(fault).__name__}); check host and port")


def _not_ours(url: str, reason: str) -> ConnectionError:
    return ConnectionError(f"{url} answers, but is no ember server ({reason}); check host, port and path")
