"""Replica: a painter and all that its clients share."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from ember_widgets._version import __version__
from ember_widgets.painter import protocol
from ember_widgets.painter.painter import Painter
from ember_widgets.serve.server.limits import Limits
from ember_widgets.serve.server.model_files import ModelFiles
from ember_widgets.serve.server.scheduler import Scheduler
from ember_widgets.serve.server.tokens import Tokens
from ember_widgets.serve.wire.arrays import ArrayStore
from ember_widgets.serve.wire.calls import CALLS, Welcome
from ember_widgets.serve.wire.frames import PROTOCOL, BadFrame

N_ENCODERS = 2
"""Threads that compress pictures, while the device draws the next one."""
MAX_CHANNELS = 32
"""Of a photograph's latents."""
# Capabilities that clients have of the welcome, of files, or by arguments of calls.
WITHOUT_CALL = ("labels", "icons", "statistics", "concepts", "styles", "guidance", "previews")


class Shows(Protocol):
    """Where pictures that people share are shown; see `server.gallery.Gallery`."""

    def add(self, png: bytes, person: str, title: str) -> str:
        """Show a picture; returns its id."""


class Replica:
    """One process's painter with what its clients share. Sessions and HTTP requests are served from it.

    Args:
        painter: The painter; only this replica's scheduler uses its device.
        limits: What each client is allowed.
        tokens: Who may connect.
        gallery: Where shared pictures are shown; None = nothing can be shared.
        array_bytes: How many bytes of arrays that clients named are kept.
        scheduler: Its thread owns the device; None = a new one. Load the painter in this thread too: where
            two threads of a process compute on the CPU, OpenMP lets cores wait much longer for each other.

    Attributes:
        painter, limits, tokens, gallery: As given.
        arrays: Arrays by name.
        scheduler: Its thread owns the device.
        files: What clients may fetch.
        capabilities: What the painter offers to clients.
        encoders: Threads that compress pictures.
        readers: A thread that unpacks arrays.
    """

    def __init__(
        self,
        painter: Painter,
        *,
        limits: Limits = Limits(),  # noqa: B008  (it is immutable)
        tokens: Tokens | None = None,
        gallery: Shows | None = None,
        array_bytes: int = 2**28,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.painter = painter
        self.limits = limits
        self.tokens = Tokens() if tokens is None else tokens
        self.gallery = gallery
        self.arrays = ArrayStore(array_bytes)
        self.scheduler = Scheduler() if scheduler is None else scheduler
        self.files = ModelFiles(painter)
        self.encoders = ThreadPoolExecutor(N_ENCODERS, "ember-encoder")
        self.readers = ThreadPoolExecutor(1, "ember-reader")
        self.capabilities = _served(painter, gallery is not None)
        self._identity = painter.model.identity
        self._numbers = itertools.count(1)
        self._open: Counter[str] = Counter()
        # Now, and not when the first client is welcomed.
        self.scheduler.submit("files", lambda cancelled: self.files.all()).result()

    @property
    def n_sessions(self) -> int:
        """How many connections are open."""
        return self._open.total()

    def enter(self, account: str) -> str:
        """Count a new session.

        Args:
            account: Whose, see `access.account_of`.

        Returns:
            The name of the session, which owns its tasks.

        Raises:
            ConnectionError: There are too many sessions.
        """
        limits = self.limits
        if self.n_sessions >= limits.sessions:
            raise ConnectionError(f"{limits.sessions} sessions are open, which is the most; try again later")
        if self._open[account] >= limits.sessions_per_token:
            raise ConnectionError(
                f"{limits.sessions_per_token} of your sessions are open, which is the most; close one"
            )
        self._open[account] += 1
        return f"session {next(self._numbers)}"

    def leave(self, account: str) -> None:
        """Count a session that ended."""
        self._open[account] -= 1
        if not self._open[account]:
            del self._open[account]

    def welcome(self, person: str) -> Welcome:
        """What a client is told first. The first one takes a while: files are made for it."""
        painter = self.painter
        return Welcome(
            protocol=PROTOCOL,
            version=__version__,
            key=self._identity["key"],
            model=self._identity,
            grid=painter.grid.shape,
            sites=tuple(zip(painter.space.sites, painter.space.sizes, strict=True)),
            guidance=painter.guidance,
            picture_side=painter.backbone.picture_side,
            has_previews=painter.backbone.has_preview_decoder,
            previews_in_one_step=painter.backbone.previews_in_one_step,
            capabilities=self.capabilities,
            known_words=tuple(painter.known_words),
            files={name: file.size for name, file in self.files.all().items()},
            limits=dataclasses.asdict(self.limits),
            person=person,
        )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse an array that no scene of this painter can name.

        Raises:
            BadFrame: Its shape is none of a scene's.
        """
        for largest in self.largest_shapes.values():
            if len(shape) == len(largest) and all(n <= m for n, m in zip(shape, largest, strict=True)):
                return
        raise BadFrame(f"an array of shape {list(shape)} fits no scene of this painter")

    @property
    def largest_shapes(self) -> dict[str, tuple[int, ...]]:
        """{field of a scene: the largest shape of its array} for scenes of this painter."""
        grid, n_features = self.painter.grid.shape, self.painter.n_features
        most = self.limits.n_factors
        # Latents are a fraction of the picture; the painter itself knows which.
        side = self.painter.backbone.picture_side // 2
        return {
            "strengths": (*grid, most),
            "remainder": grid,
            "basis": (most, n_features),
            "base_strengths": (*grid, most),
            "base_basis": (most, n_features),
            "unit": (n_features,),
            "image": (MAX_CHANNELS, side, side),
        }

    def close(self) -> None:
        """Cancel what is being done, end all threads, and remove the files."""
        self.scheduler.close()
        self.encoders.shutdown(cancel_futures=True)
        self.readers.shutdown(cancel_futures=True)
        self.files.close()


def _served(painter: Painter, shares: bool) -> tuple[str, ...]:
    """The capabilities of a painter that calls of the wire serve."""
    by_calls = {call.capability for call in CALLS.values()} | {*WITHOUT_CALL}
    found = [name for name in protocol.capabilities(painter) if name in by_calls]
    return (*found, *(["share"] if shares else []))
