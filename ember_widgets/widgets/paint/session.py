"""What browsers ask of a PaintWidget.

Messages are handled in the comm's thread (in several at once where the kernel has subshells): check, copy,
submit, never wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ember_widgets.features.labels import labels_of
from ember_widgets.scene.scene import Scene
from ember_widgets.util.checks import plural
from ember_widgets.widgets.paint import messages, strength_buffers, to_python
from ember_widgets.widgets.paint.editor import Easel
from ember_widgets.widgets.paint.palette_edits import Change
from ember_widgets.widgets.paint.queries import Loan


class Session(Easel):
    """An easel at which browsers paint."""

    def receive(self, content: object, buffers: Sequence[Any]) -> None:
        """Handle a message from a browser; a wrong one changes nothing and is reported to all."""
        client, seq = messages.address(content)
        try:
            self._handle(messages.parse(content, self.state.painted.guidance), buffers)
        except Exception as fault:  # nobody would see what escapes from here
            with self._lock:
                self._report(fault, client, seq)
                self._acknowledge_to(client, seq)

    def _handle(self, message: messages.Message, buffers: Sequence[Any]) -> None:
        if isinstance(message, messages.Edit):
            self._edit(message, buffers)
        elif isinstance(message, messages.Analyze):
            self.analyze(message.scene, message.client, message.seq)
        elif isinstance(message, messages.Step):
            self.step(message.by, message.client, message.seq)
        elif isinstance(message, messages.Retry):
            self._retry(message)
        elif isinstance(message, messages.Palette):
            self._change(message)
        elif isinstance(message, messages.Search):
            self._answers.search(message)
        elif isinstance(message, messages.Thumbnails):
            self._answers.thumbnails(message)
            self._acknowledge_to(message.client, message.seq)
        elif isinstance(message, messages.Original):
            self._answers.original(message)
        elif isinstance(message, messages.Top):
            self._answers.top(message)
        elif isinstance(message, messages.Export):
            self._answers.export(message)
        elif isinstance(message, messages.Vary):
            self.vary(message.variation, message.client, message.seq)
        elif isinstance(message, messages.Lend):
            self._lend(message, buffers)
        elif isinstance(message, messages.Open):
            self._open(message, buffers)
        elif isinstance(message, messages.Go):
            self.go(message.step, message.client, message.seq)
        elif isinstance(message, messages.Keep):
            self.keep(message.name, message.step)
            self._acknowledge_to(message.client, message.seq)
        else:
            with self._lock:
                self._send_status()
                if isinstance(message, messages.Hello):
                    self._send_state("hello", message.client)
                    if self.last_error is not None:
                        self._send_error(self.last_error, "", 0)

    def _edit(self, edit: messages.Edit, buffers: Sequence[Any]) -> None:
        with self._lock:
            if self._refused(edit):
                return
            layers = strength_buffers.layers(edit, buffers, self._state.painted.n_factors)
            state = self._state.edited(*layers)
            if edit.commit:
                before = self._history.current
                lines = to_python.painted(before.painted, state, edit.deed)
                state = replace(state, code=before.code + lines)
                self._history.commit(state)
            self._state = state
            if edit.commit:
                self._send_state("edit", edit.client)
            if self._analysis is None:
                self._submit(edit.client, edit.seq, final=edit.commit)
            else:
                # A new scene is being made; a picture of this one would come too late.
                self._acknowledge_to(edit.client, edit.seq)
        if edit.commit:
            self._on_scene()

    def _refused(self, message: messages.Edit | messages.Palette) -> bool:
        """The scene was exchanged under the hand (undo, a new one); the browser starts again from it."""
        if message.revision == self._revision:
            return False
        self._send_state("refused", message.client)
        self._acknowledge_to(message.client, message.seq)
        return True

    def add_feature(self, feature: int) -> str:
        """Add a feature to the palette as a factor of its own; returns the factor's name."""
        self._refuse_closed()
        label = labels_of(self.painter).get(feature)
        name = label.split(" (")[0] if label else f"feature {feature}"
        change = Change("add_factor", {"features": {feature: 1.0}, "name": name})
        with self._lock:
            self._apply(change, commit=True, client="", seq=0)
            name = self._state.painted.names[-1]
        self._on_scene()
        return name

    def _change(self, message: messages.Palette) -> None:
        with self._lock:
            if self._refused(message):
                return
            self._apply(message.change, message.commit, message.client, message.seq)
        self._on_scene()

    def _apply(self, change: Change, commit: bool, client: str, seq: int) -> None:
        before, loan = self._history.current, self._answers.loan
        lender = (loan.code,) if loan and change.verb == "borrow" else ()
        line = to_python.said(self._state.painted, change.verb, change.arguments, *lender)
        state = change.of(self._state, loan.scene if loan else None)
        self._adopt(replace(state, code=(*before.code, line)))
        if commit:
            self._history.commit(self._state)
        self._send_state("scene", "")
        self._submit(client, seq, final=commit)

    def _open(self, message: messages.Open, buffers: Sequence[Any]) -> None:
        self.assign(_scene_in("open", buffers), message.client, message.seq)

    def _lend(self, message: messages.Lend, buffers: Sequence[Any]) -> None:
        if message.file:
            scene = _scene_in("lend", buffers)
            self._answers.lend(Loan(scene, message.file, to_python.opened(scene)), message)
        elif message.prompt:
            self._answers.fetch(message)
        else:
            self._answers.lend(None, message)

    def _retry(self, message: messages.Retry) -> None:
        with self._lock:
            failed = self._failed
            if failed is not None and failed.wish is not None and failed.revision == self._revision:
                self._wish(failed.wish, message.client, message.seq)
            else:
                self._submit(message.client, message.seq, final=True)


def _scene_in(kind: str, buffers: Sequence[Any]) -> Scene:
    if len(buffers) != 1:
        raise ValueError(f"{kind}: {plural(len(buffers), 'buffer')} came, but 1 is needed: the file")
    try:
        return Scene.from_bytes(bytes(buffers[0]))
    except (TypeError, ValueError) as fault:
        raise ValueError(f"this file cannot be opened: {fault}") from fault
