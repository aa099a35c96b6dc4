"""Requests that change nothing: features, thumbnails, the unedited picture, files, scenes to borrow from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ember_widgets.painter.protocol import (
    DrawsIcons,
    NotesPrompts,
    PainterProtocol,
    TriesSeeds,
    labels_of,
    offered,
    version_of,
)
from ember_widgets.painter.robustness import N_SEEDS, SeedTrial
from ember_widgets.scene.difference import edited_patches, pixel_change
from ember_widgets.scene.scene import Scene
from ember_widgets.util import animation, checks
from ember_widgets.util.cancelled import Cancelled
from ember_widgets.util.checks import shown
from ember_widgets.util.worker import Worker
from ember_widgets.widgets.paint import to_python
from ember_widgets.widgets.paint.film import Film
from ember_widgets.widgets.paint.history import History, State
from ember_widgets.widgets.paint.replies import (
    NO_SENDER,
    BorrowSourceReply,
    FileReply,
    FilmReply,
    FoundReply,
    FrameReply,
    IconReply,
    NotesReply,
    NoticeReply,
    OriginalReply,
    Reply,
    RobustnessReply,
    Sender,
    TopReply,
)
from ember_widgets.widgets.paint.requests import (
    NewScene,
    Variation,
    facts,
    last_line,
    needed,
    rendered,
    sentence,
    swept,
)
from ember_widgets.widgets.paint.run_key import is_same_picture, run_key
from ember_widgets.widgets.paint.seed_trials import SeedTrials
from ember_widgets.widgets.paint.thumbnails import (
    Thumbnails,
    alone,
    key_of_step,
    keys_of_factors,
    keys_of_seeds,
)
from ember_widgets.widgets.shared import pictures
from ember_widgets.widgets.shared.concept_rows import bank_of, hint, search_concepts
from ember_widgets.widgets.shared.feature_icons import feature_of, kept_icon
from ember_widgets.widgets.shared.feature_rows import made_of, search_features
from ember_widgets.widgets.shared.pictures import Picture

if TYPE_CHECKING:
    from ember_widgets.features.concepts import Concept

SWEEP = "sweep"
MIME = {
    "png": "image/png",
    "json": "application/json",
    "py": "text/x-python",
    SWEEP: "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
}
"""The forms of files, and their media types."""


@dataclass(frozen=True)
class Snapshot:
    """A session at one moment.

    Args:
        picture: the last picture.
        shown: the state that the last full picture was drawn from; not ``state`` if a newer one waits, or
            could not be drawn.
        fault: why something could not be drawn last: ``state``, or a new scene.
    """

    painter: PainterProtocol
    state: State
    history: History
    picture: Picture
    shown: State
    fault: Exception | None


@dataclass(frozen=True)
class FactorOf:
    """A factor of a scene, which may have another place, or none, in the scene that there is later.

    Raises:
        ValueError: the scene has no such factor.
    """

    scene: Scene
    factor: int

    def __post_init__(self) -> None:
        checks.factor_index(self.factor, self.scene.names)

    def index_in(self, scene: Scene) -> int | None:
        """Its index in a later scene; None if it was removed, or if the scene is of another picture."""
        one, ids = (self.scene.factor_ids or ())[self.factor], scene.factor_ids or ()
        return ids.index(one) if one in ids and is_same_picture(self.scene, scene) else None


@dataclass(frozen=True)
class BorrowSource:
    """A scene whose factors can be borrowed, its title, and the Python expression that makes it."""

    scene: Scene
    name: str
    code: str


class Queries:
    """Answers requests that change nothing; if that needs the painter, when it is idle.

    A request that waits is replaced by a newer one of its kind, but only by one of the same browser page.

    Args:
        snapshot: gives the session as it is now; None once it is closed.
        send: takes a reply, from any thread.
        idle: does tasks when the painter is idle.
        wanted: whether something else wants to draw; thumbnails then give way, and are drawn later.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot | None],
        send: Callable[[Reply], None],
        idle: Worker,
        wanted: Callable[[], bool],
    ) -> None:
        self._snapshot = snapshot
        self._send = send
        self._idle = idle
        self._wanted = wanted
        self._thumbnails = Thumbnails()
        self._original: tuple[str, Picture] | None = None
        self._films: dict[str, Film] = {}
        self._concepts: dict[str, Concept] = {}  # those that the last search found, by their thumbnails
        self._trying: dict[str, Sender] = {}
        self.source: BorrowSource | None = None

    def clear(self) -> None:
        """Forget all pictures, and draw no more of them."""
        # Nothing new is made here: a widget may be closed while Python ends.
        self._thumbnails.clear()
        self._films.clear()
        self._trying.clear()
        self._original = None

    def search(self, text: str, site: str, sender: Sender, *, concepts: bool = False) -> None:
        """Send the features that match a text, and the concepts if they are asked for."""
        if now := self._snapshot():
            scene = now.state.painted
            features = search_features(text, scene.n_features, labels_of(now.painter), scene.sites, site)
            found = self._find_concepts(text, now) if concepts else []
            self._send(FoundReply(client=sender.client, seq=sender.seq, features=features, concepts=found))

    def _find_concepts(self, text: str, now: Snapshot) -> list[dict[str, Any]]:
        labels, painted, rows = labels_of(now.painter), now.state.painted, []
        self._concepts = {}
        for one in search_concepts(text, bank_of(now.painter)):
            try:
                # The key of the factor that it would become, so that it has a thumbnail as soon as it is one.
                key = keys_of_factors(painted.add_factor(one.concept), version_of(now.painter))[-1]
            except ValueError:
                break  # the scene is of another SAE
            self._concepts[key] = one.concept
            row = {
                "concept": one.concept.name,
                "label": hint(one.concept, painted.space, labels),
                "icon": key,
            }
            rows.append({**row, "similar": True} if one.similar else row)
        return rows

    def thumbnails(self, keys: Sequence[str]) -> None:
        """Send these thumbnails, each as soon as it is drawn."""
        for key in keys:
            url = self._thumbnails.get(key)
            if url is not None:
                self._send(IconReply(key=key, url=url))
            else:
                # Icons of features are those of a drawer or a search that was just opened.
                self._put_thumbnail(key, first=feature_of(key) is not None)

    def _put_thumbnail(self, key: str, *, first: bool) -> None:
        self._idle.put(key, lambda: self._send_thumbnail(key), first=first)

    def settled(self, state: State, picture: Picture) -> None:
        """Keep the picture of a state as a thumbnail, if the state is a step of the history."""
        now = self._snapshot()
        if now is not None and state is now.history.current:
            key = key_of_step(now.history.step)
            if self._thumbnails.get(key) is None:
                self._thumbnails.keep(key, picture)

    def original(self, sender: Sender) -> None:
        """Send the unedited picture."""
        self._idle.put(f"original {sender.client}", lambda: self._send_original(sender))

    def top(self, factor: FactorOf, sender: Sender) -> None:
        """Send the picture with only one factor's strongest feature in it."""
        self._idle.put(f"top {sender.client}", lambda: self._send_top(factor, sender))

    def sweep(self, factor: FactorOf, sender: Sender) -> None:
        """Send a sheet of a factor's strengths and seeds."""
        self._idle.put(f"export {SWEEP} {sender.client}", lambda: self._send_sweep(factor, sender))

    def export(self, form: str, sender: Sender) -> None:
        """Send the scene as a file; ``form`` is one of ``MIME``, but no sweep."""
        self._idle.put(f"export {form} {sender.client}", lambda: self._send_file(form, sender))

    def film(self, step: int, form: str, sender: Sender) -> None:
        """Draw the way from a step of the history to the current one, and send it as a file.

        Raises:
            ValueError: the step was forgotten, or is another picture.
            ImportError: an MP4 file, and PyAV is not installed.
        """
        if form == "mp4":
            animation.check_mp4()
        if (now := self._snapshot()) is None:
            return
        if (state := now.history.state(step)) is None:
            raise ValueError(f"step {step} is not in the history any more; choose one that is")
        ends = state, now.history.current
        state.scene.check_same_picture(ends[1].scene)
        known = self._films.get(sender.client)
        is_known = known is not None and all(a is b for a, b in zip(known.ends, ends, strict=True))
        film = known.in_form(form, sender) if known and is_known else Film(ends, form, sender)
        self._films[sender.client] = film
        self._idle.put(f"film {sender.client}", lambda: self._draw_film(sender.client))

    def stop_film(self, sender: Sender) -> None:
        """Draw no more of a film, and forget it."""
        self._films.pop(sender.client, None)

    def robustness(self, sender: Sender | None, client: str) -> None:
        """Send the edit on other seeds, one by one; None = stop what this client asked for."""
        if sender is None:
            self._trying.pop(client, None)
        else:
            self._trying[client] = sender
            self._idle.put(f"robustness {client}", lambda: self._try_seeds(sender))

    def find_source(self, prompt: str, sender: Sender) -> None:
        """Generate a picture of a prompt, so that its factors can be borrowed."""
        self._idle.put(f"borrow_source {sender.client}", lambda: self._find_source(prompt, sender))

    def notes(self, prompt: str, style: str, sender: Sender) -> None:
        """Send what the model does not read of a prompt and a style."""
        self._idle.put(f"notes {sender.client}", lambda: self._send_notes(prompt, style, sender))

    def set_source(self, source: BorrowSource | None, sender: Sender) -> None:
        """Show factors to borrow; None = no longer.

        Raises:
            ValueError: the source has another SAE, so its features mean something else.
        """
        shown = None
        if source is not None and (now := self._snapshot()):
            now.state.painted.check_lender(source.scene)
            scene, labels = source.scene, labels_of(now.painter)
            icons = keys_of_factors(scene, version_of(now.painter))
            factors = [
                {
                    "name": scene.names[f],
                    "color": scene.colors[f],
                    "icon": icons[f],
                    "label": ", ".join(
                        part["label"] for part in made_of(scene, f, labels)[:3] if part["label"]
                    ),
                }
                for f in range(scene.n_factors)
            ]
            shown = {"name": source.name, "factors": factors}
        self.source = source
        self._send(BorrowSourceReply(client=sender.client, seq=sender.seq, source=shown))

    def page(self) -> list[Reply]:
        """The picture, the unedited one and the factors' thumbnails, for a page without a kernel."""
        now = self._snapshot()
        if now is None:
            return []
        painted = now.state.painted
        icons = []
        for key in keys_of_factors(painted, version_of(now.painter)):
            url = self._thumbnails.get(key)
            if url is None and (scene := self._scene_of(key, now)) is not None:
                url = self._thumbnails.keep(key, rendered(now.painter, scene))
            icons.append(IconReply(key=key, url=url or ""))
        original = rendered(now.painter, painted.original()).encoded("final")
        return [
            FrameReply.of(now.picture, "final", now.state.scene.to_bytes(now.picture.image)),
            OriginalReply(client=NO_SENDER.client, seq=NO_SENDER.seq, change=None, buffers=(original,)),
            *icons,
        ]

    def animation(self, form: str, ms: int = 500) -> bytes:
        """All steps of the history, one picture after the other; ``form`` is one of ``animation.FORMS``."""
        now = self._snapshot()
        if now is None:
            raise RuntimeError("this widget is closed")
        states = [state for step in now.history.steps if (state := now.history.state(step)) is not None]
        return animation.encoded([rendered(now.painter, state.scene).image for state in states], form, ms)

    def change(self, scene: Scene, picture: Picture) -> tuple[float, float] | None:
        """How far a scene's picture is from the unedited one, if that was asked for; see ``pixel_change``."""
        now = self._snapshot()
        if (
            now is None
            or self._original is None
            or self._original[0] != run_key(scene, version_of(now.painter))
        ):
            return None
        before, after = (np.asarray(one.image) for one in (self._original[1], picture))
        return pixel_change(before, after, edited_patches(scene)) if before.shape == after.shape else None

    def _find_source(self, prompt: str, sender: Sender) -> None:
        if now := self._snapshot():
            scene = now.state.painted
            n_factors = now.state.asked or facts(scene)["n_factors"]
            new = NewScene(prompt=prompt, seed=scene.seed, n_steps=scene.n_steps, n_factors=n_factors)
            found = new.guided_as(scene, now.painter).made_by(now.painter)
            code = to_python.analyzed(found, n_factors, now.painter)
            self.set_source(BorrowSource(found, prompt, code), sender)

    def _send_thumbnail(self, key: str) -> None:
        now = self._snapshot()
        if now is None:
            return
        url = self._thumbnails.get(key)
        if url is None:
            try:
                url = self._drawn(key, now)
            except Cancelled:
                self._put_thumbnail(key, first=True)
                return
            except Exception:
                return  # the factor keeps its colour; what is wrong shows with the picture itself
        if url is not None:
            self._send(IconReply(key=key, url=url))

    def _drawn(self, key: str, now: Snapshot) -> str | None:
        """A thumbnail's data URL, drawn now; None if there is nothing of this key any more."""
        if (feature := feature_of(key)) is not None:
            if (kept := kept_icon(now.painter, feature)) is not None:
                return kept
            if (draws := offered(now.painter, DrawsIcons)) is not None:
                return self._thumbnails.keep(key, Picture.of(draws.icon(feature), 0))
        scene = self._scene_of(key, now)
        if scene is None:
            return None
        return self._thumbnails.keep(key, rendered(now.painter, scene, cancelled=self._wanted))

    def _scene_of(self, key: str, now: Snapshot) -> Scene | None:
        """The scene that a thumbnail shows."""
        if (feature := feature_of(key)) is not None:
            return alone(now.state.painted.add_factor({feature: 1.0}), -1)
        if (concept := self._concepts.get(key)) is not None:
            return alone(now.state.painted.add_factor(concept), -1)
        version = version_of(now.painter)
        for scene in (now.state.painted, *([self.source.scene] if self.source else [])):
            keys = keys_of_factors(scene, version)
            if key in keys:
                return alone(scene, keys.index(key))
        for step in now.history.steps:
            if key_of_step(step) == key and (state := now.history.state(step)) is not None:
                return state.scene
        for seed, name in keys_of_seeds(now.history):
            if name == key:
                return Variation("reseed", seed).made_by(now.painter, now.history.current.scene)
        return None

    def _send_original(self, sender: Sender) -> None:
        if now := self._snapshot():
            picture = rendered(now.painter, now.state.painted.original())
            self._original = run_key(now.state.painted, version_of(now.painter)), picture
            change = self.change(now.shown.scene, now.picture)
            data = picture.encoded("final")
            self._send(OriginalReply(client=sender.client, seq=sender.seq, change=change, buffers=(data,)))

    def _send_notes(self, prompt: str, style: str, sender: Sender) -> None:
        if now := self._snapshot():
            said, words = ["", ""], list[str]()
            if noting := offered(now.painter, NotesPrompts):
                notes = [noting.prompt_notes(prompt), noting.prompt_notes(prompt, style)]
                said = [str(one) for one in notes]
                words = list(noting.known_words) if any(one.unknown for one in notes) else []
            prompt, style = said
            self._send(
                NotesReply(client=sender.client, seq=sender.seq, prompt=prompt, style=style, words=words)
            )

    def _send_top(self, factor: FactorOf, sender: Sender) -> None:
        if (now := self._snapshot()) and (index := self._index(factor, now, sender)) is not None:
            picture = rendered(now.painter, now.state.scene.keep_top(index))
            data = picture.encoded("final")
            self._send(TopReply(client=sender.client, seq=sender.seq, buffers=(data,)))

    def _send_sweep(self, factor: FactorOf, sender: Sender) -> None:
        if (now := self._snapshot()) and (index := self._index(factor, now, sender)) is not None:
            sheet = pictures.png(swept(now.painter, now.state.scene, index))
            self._send_bytes(sheet, SWEEP, sender, "sweep")

    def _index(self, factor: FactorOf, now: Snapshot, sender: Sender) -> int | None:
        """The index that a factor has now; None, and a notice to the sender, if the scene has it no more."""
        index = factor.index_in(now.state.painted)
        if index is None:
            text = f"{shown(factor.scene.names[factor.factor])} is not in the picture any more."
            self._send(NoticeReply(client=sender.client, seq=sender.seq, text=text, patches=None, link=""))
        return index

    def _draw_film(self, client: str) -> None:
        """Draw one picture of the film that a page wants, or send the file.

        In between, the painter is free for a stroke.
        """
        # Asked for now: another film may have taken the place of the one whose picture was drawn last.
        now, film = self._snapshot(), self._films.get(client)
        if now is None or film is None:
            return
        try:
            if (scene := film.next()) is not None:
                film.images.append(rendered(now.painter, scene).image)
                self._idle.put(f"film {client}", lambda: self._draw_film(client))
            self._send(FilmReply(client=client, seq=film.sender.seq, n_drawn=len(film.images), n=film.n))
            if scene is None:
                self._send_bytes(film.encoded(), film.form, film.sender, "film")
                self._keep_only(film)
        except BaseException:
            if self._films.get(client) is film:
                self.stop_film(film.sender)
            raise

    def _keep_only(self, film: Film) -> None:
        """Keep one film that was sent, for another form of it: a page that is gone does not stop its own."""
        film.is_sent = True
        for client, other in list(self._films.items()):
            if other.is_sent and other is not film:
                self._films.pop(client, None)

    def _try_seeds(self, sender: Sender) -> None:
        now = self._snapshot()
        if now is None or self._trying.get(sender.client) is not sender:
            return

        def cancelled() -> bool:
            later = self._snapshot()
            is_newest = self._trying.get(sender.client) is sender
            return later is None or later.state is not now.state or not is_newest

        def reply(**fields: Any) -> None:
            self._send(RobustnessReply(client=sender.client, seq=sender.seq, n=N_SEEDS, **fields))

        trials = SeedTrials(N_SEEDS)

        def on_seed(trial: SeedTrial) -> None:
            if not cancelled():
                reply(pair=trials.add(trial), map=trials.map_url())

        try:
            painter = needed(now.painter, TriesSeeds, "robustness")
            result = painter.robustness(
                now.state.scene, N_SEEDS, progress=False, on_seed=on_seed, cancelled=cancelled
            )
            reply(text=result.summary)
        except Cancelled:
            reply(outdated=True)
        except ValueError as fault:  # nothing is painted: no fault of the picture
            reply(text=sentence(fault))
        except BaseException:
            reply(outdated=True)
            raise
        finally:
            if self._trying.get(sender.client) is sender:
                self._trying.pop(sender.client, None)

    def _send_file(self, form: str, sender: Sender) -> None:
        now = self._snapshot()
        if now is None:
            return
        scene = now.state.scene
        if form == "py":
            data = to_python.program(now.state, now.history.current).encode()
        elif form == "json":
            data = scene.to_bytes()
        elif form in animation.FORMS:
            data = self.animation(form)
        elif now.shown is now.state and not now.picture.reduced:
            data = scene.to_bytes(now.picture.image)
        elif now.fault is not None:
            raise RuntimeError(
                f"there is no picture to export ({last_line(now.fault)}); "
                "export the scene without it, as .json"
            )
        else:
            self.export(form, sender)  # it was painted on meanwhile
            return
        self._send_bytes(data, form, sender, "")

    def _send_bytes(self, data: bytes, form: str, sender: Sender, kind: str) -> None:
        if (now := self._snapshot()) is None:
            return
        scene = now.state.scene
        words = re.findall(r"\w+", scene.prompt)[:6] or ["scene"]
        parts = ["-".join(words)[:60], str(scene.seed), *([kind] if kind else [])]
        name = f"{'-'.join(parts)}.{'png' if form == SWEEP else form}"
        reply = FileReply(client=sender.client, seq=sender.seq, name=name, mime=MIME[form], buffers=(data,))
        self._send(reply)
