"""A session: one scene that is being painted, its history, and the worker that draws it.

The worker takes the newest job, draws it and sends the picture. Replies are sent with the lock held, so that
browsers receive them in the order of what happened. Foreign code (observers of traits) runs without
it, and after the picture was sent.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ember_widgets.painter.protocol import Connection, PainterProtocol, Shares, labels_of, offered
from ember_widgets.scene.grid import Mask
from ember_widgets.scene.scene import Scene
from ember_widgets.util import checks, memory
from ember_widgets.util.cancelled import Cancelled
from ember_widgets.util.checks import FloatArray
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.paint import clipboard, to_python
from ember_widgets.widgets.paint.audience import Audience, Viewer
from ember_widgets.widgets.paint.clipboard import CLIPBOARD
from ember_widgets.widgets.paint.history import History, State, Step
from ember_widgets.widgets.paint.painter_connection import PainterConnection
from ember_widgets.widgets.paint.painter_source import PainterSource
from ember_widgets.widgets.paint.palette_edits import PaletteEdit
from ember_widgets.widgets.paint.queries import Queries, Snapshot
from ember_widgets.widgets.paint.replies import (
    NO_SENDER,
    AckReply,
    ConnectionReply,
    ErrorReply,
    FrameReply,
    NoticeReply,
    PanelsReply,
    Reply,
    Sender,
    StateReply,
    StatusReply,
    ViewsReply,
)
from ember_widgets.widgets.paint.requests import (
    NewScene,
    Variation,
    as_exception,
    check_styles,
    facts,
    last_line,
    previews,
    rendered,
)
from ember_widgets.widgets.paint.run_key import run_key
from ember_widgets.widgets.shared.concept_rows import bank_of
from ember_widgets.widgets.shared.latest_wins import LatestWins
from ember_widgets.widgets.shared.pictures import Kind, Picture
from ember_widgets.widgets.shared.views import Views

PREVIEW_ABOVE_MS = 16.0
"""During a stroke, pictures are previews if full ones take longer than this: one frame of a display."""

CLOSED = "this widget is closed; make a new one: PaintWidget(painter, widget.scene)"

Why = Literal["hello", "edit", "refused", "scene", "kept"]


@dataclass(frozen=True)
class Job:
    """A task of the worker: draw a state, or make another scene first.

    Args:
        after_failure: a new scene could not be made, and this draws what was painted meanwhile. The failure
            stays what Retry repeats.
    """

    sender: Sender
    revision: int
    state: State
    final: bool
    request: NewScene | Variation | None = None
    after_failure: bool = False
    since: float = field(default_factory=time.perf_counter)


class Session:
    """A scene that is being painted, for all widgets that show it. Any thread may call it.

    Args:
        painter: draws.
        scene: what is shown first.
        picture: the picture of ``scene``.
        asked: how many factors the painter was asked for, if it has just analysed ``scene`` (whose names are
            the painter's then); None if the scene comes from elsewhere.
        opens: opens the painter again, if it was released; None = nothing can.
    """

    def __init__(
        self,
        painter: PainterProtocol,
        scene: Scene,
        picture: Picture,
        *,
        asked: int | None = None,
        opens: Callable[[], PainterProtocol] | None = None,
    ) -> None:
        self.painter: PainterProtocol | None = painter
        self._lent = PainterSource(painter, opens)
        self._closed = False
        self.last_error: Exception | None = None
        self._lock = threading.RLock()
        self._state = self._new_state(scene, asked)
        self._revision = 0
        # Edits of older revisions do not fit: they have other factors, or strengths that are gone.
        self._compatible_from = 0
        self._picture = picture
        self._pictured = self._state
        self._shown: Kind = "final"
        self._drawn: Job | None = None
        self._full_ms = picture.ms
        self._task = ""
        self._analysis: Job | None = None
        self._failed: Job | None = None
        self._fault: Exception | None = None
        self._free_since = time.perf_counter()
        self.history = History(self._state)
        self.audience = Audience(self._report_background)
        self.worker: LatestWins[Job] = LatestWins(
            self._work,
            settle=self._settle,
            on_drop=lambda job: self.acknowledge(job.sender),
            on_error=self._report_background,
        )
        self.idle = Worker("ember-idle", on_error=self._report_background, ready=self.worker.wait)
        self.queries = Queries(self._snapshot, self.send, self.idle, lambda: self.worker.busy)
        self._views = Views(lambda: self.send(ViewsReply()), self.rest)
        self._edited_by = NO_SENDER
        self._waiting: deque[Callable[[], None]] = deque()
        self._greeted_at_rest: dict[str, Sender] = {}
        self._connection = PainterConnection(self._connection_changed)
        self._connection.follow(painter)

    # Viewers

    def join(self, viewer: Viewer) -> None:
        """Send everything from now on to a widget."""
        with self._lock:
            self.audience.join(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Send nothing more to a widget; close when no widget is left."""
        with self._lock:
            is_empty = self.audience.leave(viewer)
        if is_empty:
            self.close()

    def send(self, reply: Reply) -> None:
        """Send a reply to all viewers, in order with all others."""
        with self._lock:
            self.audience.send(reply)

    def acknowledge(self, sender: Sender) -> None:
        """Say that a request is done."""
        if sender.client:
            self.send(AckReply(client=sender.client, seq=sender.seq))

    def report(self, fault: BaseException, sender: Sender, *, retry: bool = False) -> None:
        """Keep an error as the last one, and send it; ``retry`` says whether ``retry()`` may help."""
        with self._lock:
            self.last_error = as_exception(fault)
            self.send(ErrorReply.of(fault, sender, retry=retry))
        memory.release(fault)

    def send_status(self) -> None:
        """Send what the worker is doing."""
        with self._lock:
            self.send(StatusReply.of(self._task))

    def greet(self, sender: Sender) -> None:
        """Send everything to a browser page that has opened the widget; at rest, when it wakes."""
        with self._lock:
            self.send_status()
            if self.painter is None:
                # It rests; the page shows its last picture, and says hello only once.
                self._greeted_at_rest[sender.client] = sender
            else:
                self._send_all(sender)

    def _send_all(self, sender: Sender) -> None:
        if self._connection.exists:
            self.send(ConnectionReply(state=self._connection.state))
        self._send_state("hello", sender)
        if self.last_error is not None:
            self.send(ErrorReply.of(self.last_error, retry=self.last_error is self._fault))

    def show(self) -> None:
        """Send the last picture."""
        self._show(self._picture, "final", self._picture.encoded("final"), NO_SENDER)

    # Rest

    def shown(self, n: int, sender: Sender) -> None:
        """Note that a page shows the session in so many views."""
        self._views.count(sender.client, n)
        if not n:
            self.queries.robustness(None, sender.client)
        with self._lock:
            if n and self.rests:
                self.send(StatusReply.of("draw"))
                self.idle.put("wake", self._wake_shown, first=True)

    def rest(self) -> bool:
        """Release the painter, the history and all pictures but the last; ``wake`` takes the painter back.

        Returns:
            False if the session is busy, or if anybody refers to a widget that shows it.
        """
        with self._lock:
            if self.worker.busy or self.idle.busy or self.audience.is_needed():
                return False
            if self.painter is not None and self._lent.can_release:
                self.history.clear()
                self.queries.clear()
                self._picture = self._picture.compressed()
                self._release()
            return True

    def wake(self) -> None:
        """Take the painter back, if the session rests.

        Raises:
            RuntimeError: the painter is gone, and nothing can open it again.
            Exception: what opening it raised.
        """
        self._take_painter()
        with self._lock:
            if not self._closed:
                greeted, self._greeted_at_rest = self._greeted_at_rest, {}
                for sender in greeted.values():
                    self._send_all(sender)

    def need_painter(self) -> PainterProtocol:
        """The painter, taken back if the session rests.

        Raises:
            RuntimeError: the session is closed.
            Exception: see ``wake``.
        """
        self.wake()
        if (painter := self.painter) is None:
            raise RuntimeError(CLOSED)
        return painter

    @property
    def closed(self) -> bool:
        """Whether the painter was released for good."""
        return self._closed

    @property
    def rests(self) -> bool:
        """Whether the painter was released, and ``wake`` may take it back."""
        return self.painter is None and not self._closed

    @property
    def is_waking(self) -> bool:
        """Whether a request has to wait, for the painter or for those that came before it."""
        with self._lock:
            return self.rests or bool(self._waiting)

    def wake_for(self, act: Callable[[], None]) -> None:
        """Do something that wakes the session in the background: to open the painter may take long.

        All such things are done in the order in which they came.

        Args:
            act: calls ``wake``.
        """
        with self._lock:
            self._waiting.append(act)
            if self.rests:
                self.send(StatusReply.of("draw"))
        self.idle.put("waiting", self._do_waiting, first=True)

    def _do_waiting(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                act = self._waiting[0]
            self.audience.call(act)
            with self._lock:
                # It counts as waiting until it is done, so that nothing overtakes it.
                if not self._closed:
                    self._waiting.popleft()

    def _take_painter(self) -> None:
        if self.painter is not None or self._closed:
            return
        try:
            painter = self._lent.get()
        finally:
            self.send_status()  # browsers show that it is being opened
        with self._lock:
            if not self._closed:
                self.painter = painter
                self._connection.follow(painter)

    def _wake_shown(self) -> None:
        self._take_painter()
        with self._lock:
            if self._closed:
                return
            self._greeted_at_rest = {}
            self._send_state("scene", NO_SENDER)
            if self._pictured is not self._state:  # it could not be drawn before
                self._submit(NO_SENDER, final=True)
                return
        self.show()

    # State

    @property
    def state(self) -> State:
        """The scene as painted so far, and the sliders."""
        with self._lock:
            return self._state

    @property
    def picture(self) -> Picture:
        """The last picture."""
        return self._picture

    @property
    def busy(self) -> bool:
        """Whether the picture does not show the scene yet."""
        return self.worker.busy

    @property
    def kept(self) -> dict[str, Scene]:
        """The scenes that were given a name."""
        with self._lock:
            named = [(name, self.history.state(step)) for step, name in self.history.names.items()]
            return {name: state.scene for name, state in named if state is not None}

    @property
    def steps(self) -> list[Step]:
        """The steps of the history, in the order in which they were made."""
        with self._lock:
            return self.history.listed()

    def wait(self, timeout: float | None) -> None:
        """Block until the picture shows the scene; see ``PaintWidget.wait``."""
        if not self.worker.wait(timeout):
            raise TimeoutError(
                f"the picture was not ready after {timeout:g} s; wait longer, or look at widget.busy"
            )
        if (fault := self._fault) is not None:
            raise RuntimeError(f"the picture could not be drawn: {last_line(fault)}") from fault

    def program(self) -> str:
        """See ``PaintWidget.to_python``."""
        with self._lock:
            return to_python.program(self._state, self.history.current)

    def animation(self, form: str, ms: int) -> bytes:
        """See ``PaintWidget.record``."""
        self.need_painter()
        return self.queries.animation(form, ms)

    def page(self) -> list[Reply]:
        """All that a browser needs to show the scene without a kernel."""
        self.need_painter()
        self.wait(None)
        with self._lock:
            state = self._state_reply("hello", NO_SENDER)
        return [state, PanelsReply.of(NO_SENDER), *self.queries.page()]

    def close(self) -> None:
        """Stop the worker; release the painter, all pictures but the last, and errors that refer to them."""
        self.worker.close()
        self.idle.close()
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._lent.close()
            self.queries.clear()
            self._release()

    # Edits

    def painted_at(self, revision: int, sender: Sender) -> Scene | None:
        """The scene to edit; None if the revision is outdated, and then the sender gets the current state.

        A browser paints on while it waits for the answer to an edit of the palette. So revisions that differ
        only in names, colours, weights and the like are not outdated.
        """
        with self._lock:
            if self._compatible_from <= revision <= self._revision:
                return self._state.painted
            # The scene was replaced during an edit (by undo, or a new one); the browser continues from it.
            self._send_state("refused", sender)
            self.acknowledge(sender)
            return None

    def edit(
        self,
        strengths: FloatArray,
        remainder: FloatArray,
        gains: FloatArray,
        *,
        revision: int,
        commit: bool,
        call: object = None,
        sender: Sender = NO_SENDER,
    ) -> None:
        """Apply an edit of the grid.

        Args:
            strengths: (rows, cols, n_factors).
            remainder: (rows, cols).
            gains: (n_factors,), the sliders.
            revision: of the scene that was edited; an outdated edit is refused.
            commit: the edit is complete, and a step of the history.
            call: the scene's verb that would do the same; it is not trusted.
            sender: whose edit it is.

        Raises:
            ValueError: sliders times strengths are too large for float32.
        """
        with self._lock:
            if self.painted_at(revision, sender) is None:
                return
            state = self._state.edited(strengths, remainder, gains)
            if commit:
                before = self.history.current
                lines = to_python.painted(before.painted, state.painted, call)
                state = replace(
                    state, code=to_python.bounded(before.code + lines, state.painted, self.history.oldest)
                )
                self.history.commit(state)
            self._state = state
            if commit:
                self._send_state("edit", sender)
            if self._analysis is None:
                self._edited_by = sender
                self._submit(sender, final=commit)
                if self._connection.state != "connected":
                    # The picture comes when the server is back. The browser must not keep the edit so long:
                    # if its page is reloaded meanwhile, the edit has to be here.
                    self.acknowledge(sender)
            else:
                # A new scene is being made; a picture of this one would come too late.
                self.acknowledge(sender)
        if commit:
            self.audience.scene_changed()

    def change_palette(
        self,
        edit: PaletteEdit,
        *,
        commit: bool = True,
        revision: int | None = None,
        sender: Sender = NO_SENDER,
    ) -> Scene | None:
        """Apply an edit of the palette.

        Args:
            edit: the edit.
            commit: it is complete, and a step of the history.
            revision: of the scene that was edited; an outdated edit is refused. None = any.
            sender: whose edit it is.

        Returns:
            The scene as painted, without sliders; None if the edit was refused.

        Raises:
            TypeError, ValueError: what the scene's verb says.
        """
        self.need_painter()
        with self._lock:
            if revision is not None and self.painted_at(revision, sender) is None:
                return None
            if edit.verb == "restyle" and edit.arguments["style"] and self.painter is not None:
                check_styles(self.painter)
            before, source = self.history.current, self.queries.source
            lender, code = (source.scene, source.code) if source else (None, "")
            bank = bank_of(self.painter) if edit.verb == "add_concept" else None
            state = edit.apply(self._state, lender, bank)
            lines = edit.lines(before, self._state, state, lender, code, bank)
            program = to_python.bounded((*before.code, *lines), state.painted, self.history.oldest)
            self._amend(replace(state, code=program))
            if commit:
                self.history.commit(self._state)
            self._send_state("scene", NO_SENDER)
            self._draw(sender, final=commit)
        self.audience.scene_changed()
        return state.painted

    def copy(self, patches: Sequence[int], sender: Sender = NO_SENDER) -> None:
        """Copy what patches hold, by their numbers; without any, all that was done to the scene.

        Raises:
            ValueError: a patch outside the grid.
        """
        copied = clipboard.copied(self.state.scene, patches)
        if copied is not None:
            CLIPBOARD.copied = copied
            self._notice(sender, f"Copied {copied}. Ready to paste, here or in another widget.")
        else:
            self._notice(sender, "Nothing is painted or selected here, so there is nothing to copy.")

    def paste(self, revision: int | None = None, sender: Sender = NO_SENDER) -> None:
        """Put on the scene what was copied last, and tell the sender what came of it.

        An edit that does not fit is refused in words too: nothing broke that could be tried again.
        """
        self.need_painter()
        with self._lock:
            if revision is not None and self.painted_at(revision, sender) is None:
                return
            copied, history = CLIPBOARD.copied, self.history
            if copied is None:
                self._notice(sender, "Nothing was copied yet: select patches and copy them first.")
                return
            try:
                if copied.edit.style[1] != copied.edit.style[0] and self.painter is not None:
                    check_styles(self.painter)
                pasted = clipboard.pasted(copied, self._state, history.current, history.oldest)
            except (TypeError, ValueError) as refused:
                self._notice(sender, f"Not pasted: {refused}.")
                return
            self._amend(pasted.state)
            history.commit(self._state)
            self._send_state("scene", NO_SENDER)
            self._notice(sender, f"{pasted.words}.", pasted.patches)
            self._draw(NO_SENDER, final=True)
        self.audience.scene_changed()

    def _notice(self, sender: Sender, text: str, patches: Mask | None = None, link: str = "") -> None:
        numbers = None if patches is None else np.flatnonzero(patches).tolist()
        self.send(NoticeReply(client=sender.client, seq=sender.seq, text=text, patches=numbers, link=link))

    def share(self, title: str) -> str:
        """Show the scene in the server's gallery; returns the gallery's address. Waits for the server."""
        shares = offered(self.need_painter(), Shares)
        if shares is None:
            raise TypeError("this painter has no gallery; servers have one that run with --gallery")
        return shares.share(self.state.scene, title)

    def share_for(self, title: str, sender: Sender) -> None:
        """Share the scene in the background, and tell the sender what came of it."""

        def share() -> None:
            try:
                address = self.share(title)
            except Exception as fault:  # nothing broke that could be tried again
                self._notice(sender, f"Not shared: {last_line(fault).rstrip('.')}.")
            else:
                self._notice(sender, "Shared: the picture is in the gallery.", link=address)

        self.idle.put(f"share {sender.client}", share, first=True)

    def add_feature(self, feature: int) -> str:
        """Add a feature to the palette as a factor of its own; returns the factor's name."""
        self.need_painter()
        # A plain number, because it is written into the program.
        feature = checks.feature_index(feature, self.state.painted.n_features)
        label = labels_of(self.painter).get(feature)
        name = label.split(" (")[0] if label else f"feature {feature}"
        edit = PaletteEdit("add_factor", {"features": {feature: 1.0}, "name": name})
        painted = self.change_palette(edit)
        return painted.names[-1] if painted is not None else ""  # only edits of a revision are refused

    def assign(self, scene: Scene, sender: Sender = NO_SENDER) -> None:
        """Continue with another scene."""
        self.need_painter()
        with self._lock:
            state = self._new_state(scene)
            # How many factors were asked for is not known; the number asked for here does not shrink.
            found = facts(scene)["n_factors"]
            before = self._state
            self._adopt(replace(state, asked=max(found, before.asked or found)))
            # Python may have painted on the scene that it found here, which then is not lost.
            is_same_run = run_key(before.painted, "") == run_key(scene, "")
            replaces = sender is not NO_SENDER or not is_same_run or not state.is_edited
            self.history.commit(self._state, replaces=replaces)
            self._send_state("scene", NO_SENDER)
            self._submit(sender, final=True)
        self.audience.scene_changed()

    def analyze(self, new_scene: NewScene, sender: Sender = NO_SENDER) -> None:
        """Make a new scene with the guidance of this one, and continue with it when it is made."""
        self.need_painter()
        with self._lock:
            painter = self.painter
            if painter is not None:
                self._request(new_scene.guided_as(self._state.painted, painter), sender)

    def vary(self, variation: Variation, sender: Sender = NO_SENDER) -> None:
        """Make a variation of the scene, and continue with it when it is made."""
        self.need_painter()
        self._request(variation, sender)

    def retry(self, sender: Sender = NO_SENDER) -> None:
        """Repeat what failed; if nothing did, draw the scene again."""
        self.need_painter()
        with self._lock:
            failed = self._failed
            if self._analysis is not None:
                self.acknowledge(sender)  # a new scene is being made; a picture of this one would push it out
            elif failed is not None and failed.request is not None and failed.revision == self._revision:
                self._request(failed.request, sender)
            else:
                self._submit(sender, final=True)

    # History

    def step(self, by: int, sender: Sender = NO_SENDER) -> bool:
        """Undo (-1) or redo (1); False if there is nothing to undo or redo."""
        self.need_painter()
        with self._lock:
            step: int | None
            if self._state.same(self.history.current):
                step = self.history.beside(by)
            else:  # during a stroke: back to where it began
                step = self.history.step if by < 0 else None
        return self.go(step, sender)

    def go(self, step: int | None, sender: Sender = NO_SENDER) -> bool:
        """Go to a step of the history; False if there is none of that number."""
        self.need_painter()
        with self._lock:
            if step is None or self.history.state(step) is None:
                self.acknowledge(sender)
                return False
            self._adopt(self.history.go(step))
            self._send_state("scene", NO_SENDER)
            self._submit(sender, final=True)
        self.audience.scene_changed()
        return True

    def keep(self, name: str, step: int | None = None) -> None:
        """Give a step (None = the current one) a name, under which it is kept; "" removes the name."""
        self.need_painter()
        with self._lock:
            self.history.keep(self.history.step if step is None else step, name)
            self._send_state("kept", NO_SENDER)

    def forget(self, step: int | None, sender: Sender = NO_SENDER) -> None:
        """Forget a step, or (None) all steps but the current one and those that have a name."""
        self.need_painter()
        with self._lock:
            before = self.history.current
            if step is None:
                self.history.clear()
            else:
                self.history.forget(step)
            is_same = self.history.current is before
            if is_same:
                self._send_state("kept", NO_SENDER)
                self.acknowledge(sender)
            else:
                self._adopt(self.history.current)
                self._send_state("scene", NO_SENDER)
                self._submit(sender, final=True)
        if not is_same:
            self.audience.scene_changed()

    # The worker

    def _work(self, job: Job, cancelled: Callable[[], bool] | None = None) -> None:
        if self._closed:
            return
        waited_s = self._free_since - job.since
        revision = self._revision
        try:
            self.wake()
            painter = self.painter
            if painter is None:
                return  # closed meanwhile
            current = self._with_new_scene(painter, job)
            if current is None:
                self.acknowledge(job.sender)
                return
            # If a full picture takes long, a reduced one that comes early is better during a stroke.
            scene = current.state.scene
            reduced = not current.final and self._full_ms > PREVIEW_ABOVE_MS and previews(painter, scene)
            picture = rendered(painter, scene, reduced=reduced, cancelled=cancelled)
            kind: Kind = "final" if job.final and not self.worker.waiting else "preview"
            data = picture.encoded(kind)
            with self._lock:
                if self.painter is None:
                    return  # closed meanwhile
                self._picture = picture
                if not job.after_failure:
                    self._fault = self._failed = self.last_error = None
                self._drawn = current
                if not picture.reduced:
                    self._full_ms = picture.ms
                    self._pictured = current.state
                    self.queries.settled(current.state, picture)
            self._show(picture, kind, data, job.sender, waited_s)
            if job.after_failure:
                self._repeat_error()
            if kind == "final":
                previews(painter, scene)  # when it is asked, a painter may prepare them for the next stroke
        except Cancelled:
            return  # its preview was sent, and what comes next is newer
        except BaseException as fault:  # SystemExit too: a browser waits for the answer
            self._fail(job, fault)
        finally:
            with self._lock:
                if self._analysis is job:  # it was cancelled
                    self._analysis = None
            if job.request is not None and self._revision != revision:
                self.audience.scene_changed()
            self._free_since = time.perf_counter()

    def _fail(self, job: Job | None, fault: BaseException) -> None:
        sender = job.sender if job is not None else NO_SENDER
        with self._lock:
            if self._closed:
                return
            is_awaited = job is not None and job is self._analysis
            if job is not None and is_awaited:
                self._analysis = None
                job = replace(job, revision=self._revision)  # the palette may have been edited meanwhile
            self._fault = as_exception(fault)
            if job is None or not job.after_failure:
                self._failed = job
            self.report(fault, sender, retry=True)
            self.acknowledge(sender)
            if is_awaited and (self._state is not self._pictured or self._shown != "final"):
                # What was painted before and while the new scene was being made has not been drawn.
                self._put(Job(NO_SENDER, self._revision, self._state, final=True, after_failure=True))

    def _repeat_error(self) -> None:
        """Send an error again: browsers take it away when a picture comes."""
        with self._lock:
            if self._analysis is None and self._fault is not None:
                self.send(ErrorReply.of(self._fault, retry=True))

    def _with_new_scene(self, painter: PainterProtocol, job: Job) -> Job | None:
        """The job to draw, with its new scene adopted if it asks for one; None if it is outdated."""
        if job.request is None:
            return job if job.revision == self._revision else None
        while True:
            before = self.state
            state = self._made(painter, job.request, before)
            with self._lock:
                if self._analysis is not job:
                    return None  # another scene was assigned or requested meanwhile
                # Compared and adopted under one lock: an edit in between would be lost.
                if isinstance(job.request, Variation) and self._state is not before:
                    continue
                self._adopt(state)
                self.history.commit(self._state, replaces=isinstance(job.request, NewScene))
                self._send_state("scene", NO_SENDER)
                self._announce("render")
                return Job(job.sender, self._revision, self._state, final=True)

    def _made(self, painter: PainterProtocol, request: NewScene | Variation, before: State) -> State:
        if isinstance(request, NewScene):
            scene = request.made_by(painter)
            return self._new_state(scene, request.n_factors)
        scene = request.made_by(painter, before.scene)
        code = (*to_python.scaled(before, self.history.current), request.line)
        asked = request.value if request.verb == "refit" else before.asked
        return State.of(scene, to_python.bounded(code, scene, self.history.oldest), asked)

    def _settle(self) -> None:
        last = self._drawn
        if self._picture.reduced and self._fault is None and last is not None:
            self._work(replace(last, sender=NO_SENDER, final=True), lambda: self.worker.waiting)
        with self._lock:
            picture = self._picture
            is_final_missing = self._shown != "final" and self._fault is None and not picture.reduced
        try:
            if is_final_missing:
                self._show(picture, "final", picture.encoded("final"), NO_SENDER)
        except BaseException as fault:  # a preview could be encoded, and this could not
            self._fail(last, fault)
        with self._lock:
            if not self.worker.waiting:
                self._announce("")

    def _show(self, picture: Picture, kind: Kind, data: bytes, sender: Sender, waited_s: float = 0) -> None:
        """Send a picture. Observers of the final one run after that, so that they do not delay it."""
        change = self.queries.change(self._pictured.scene, picture) if kind == "final" else None
        with self._lock:
            self._shown = kind
            self.send(FrameReply.of(picture, kind, data, sender, waited_s=waited_s, change=change))
        if kind == "final":
            self.audience.picture_settled(data)

    def _connection_changed(self, state: Connection) -> None:
        """The connection to the painter's server broke, or is back; called by any thread."""
        with self._lock:
            if self._closed or self.painter is None:
                return
            self.send(ConnectionReply(state=state))
            if state == "connected":
                if isinstance(self._fault, ConnectionError):
                    self.retry(NO_SENDER)
            else:
                self.acknowledge(self._edited_by)  # as in `edit`

    def _release(self) -> None:
        self._connection.follow(None)
        self.painter = self.last_error = self._fault = self._failed = self._analysis = self._drawn = None

    def _report_background(self, fault: BaseException) -> None:
        with self._lock:
            if isinstance(fault, ConnectionError) and self._connection.state != "connected":
                return  # the widget says already that the server is away
            if not self._closed:
                # Without a painter, it could not be opened again; another try may.
                self.report(fault, NO_SENDER, retry=self.painter is None)

    def _snapshot(self) -> Snapshot | None:
        with self._lock:
            if self.painter is None:
                return None
            return Snapshot(
                self.painter, self._state, self.history, self._picture, self._pictured, self._fault
            )

    def _new_state(self, scene: Scene, asked: int | None = None) -> State:
        code = to_python.creation(scene, self.painter, analyzed_here=asked is not None)
        return State.of(scene, code, asked)

    # Called with the lock held

    def _adopt(self, state: State) -> None:
        """Go on from another scene; one that is being made is not awaited any more."""
        self._amend(state)
        self._compatible_from = self._revision
        self._analysis = None

    def _amend(self, state: State) -> None:
        """Change the palette, or paste; a new scene that is being made is still awaited."""
        before, self._state = self._state, state
        self._revision += 1
        if not _is_laid_out_alike(before.painted, state.painted):
            self._compatible_from = self._revision

    def _draw(self, sender: Sender, *, final: bool) -> None:
        """Draw the state, unless a new scene is being made: a picture of this one would come too late."""
        if self._analysis is None:
            self._submit(sender, final=final)
        else:
            self.acknowledge(sender)

    def _request(self, request: NewScene | Variation, sender: Sender) -> None:
        with self._lock:
            job = Job(sender, self._revision, self._state, final=True, request=request)
            self._put(job)
            self._analysis = job

    def _submit(self, sender: Sender, *, final: bool) -> None:
        self._put(Job(sender, self._revision, self._state, final))

    def _put(self, job: Job) -> None:
        self._announce("draw" if job.request else "render")
        self.worker.submit(job)

    def _announce(self, task: str) -> None:
        if task != self._task:
            self._task = task
            self.send_status()

    def _send_state(self, why: Why, sender: Sender) -> None:
        self.send(self._state_reply(why, sender))

    def _state_reply(self, why: Why, sender: Sender) -> StateReply:
        return StateReply.of(why, sender.client, self._revision, self._state, self.history, self.painter)


def _is_laid_out_alike(one: Scene, other: Scene) -> bool:
    """Whether strokes on one scene fit the other: the same factors in the same order, equally strong."""
    return (
        one.factor_ids == other.factor_ids
        and np.array_equal(one.strengths, other.strengths)
        and np.array_equal(one.remainder, other.remainder)
    )
