"""Icons: small pictures of what each feature draws on its own, kept in one file, made in the background.

The file is a zip archive of WebP pictures, "12.webp" for feature 12. One picture is read without decoding the
others, more are added without encoding all of them again, and any tool opens it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from ember_widgets.util import checks, files
from ember_widgets.util.worker import Worker

SIDE = 64
FILE = "icons.zip"
QUALITY = 80
MARGIN = 3 / 16
"""Share of the picture that is cut off at each side: what is painted takes the middle half."""
SAVE_EVERY = 64
MAX_ICON_BYTES = 2**16
BLANK = 12
"""Out of 255: a picture whose colours differ by less is empty."""

Draw = Callable[[Sequence[int]], list[Image.Image]]


class Icons(Mapping[int, Image.Image]):
    """{feature: picture of 64×64 pixels} of the icons made so far; `make` and `want` make more.

    Args:
        n_features: How many features the SAE has.
        draw: Draws several features, (n,) -> n pictures of any size; None = no more can be made.
        key: Says which model and SAE the icons belong to; a file with another key is not used.
        file: Where new icons are kept; None = nowhere.
        shipped: Icons that came with the SAE, {feature: WebP}; see `read`.
        batch: How many are drawn at once; the painter does nothing else meanwhile.

    Attributes:
        last_error: The last fault in the background, None if there was none.
    """

    def __init__(
        self,
        n_features: int,
        draw: Draw | None = None,
        *,
        key: str = "",
        file: Path | None = None,
        shipped: Mapping[int, bytes] | None = None,
        batch: int = 4,
    ) -> None:
        self._n_features = n_features
        self._draw = draw
        self._key = key
        self._file = file
        self._batch = batch
        self._lock = threading.RLock()
        self._pictures: dict[int, bytes] = {**(shipped or {}), **(read(file, key) if file else {})}
        self._blank: dict[int, bool] = {}
        self._wanted: dict[int, None] = {}
        self._listeners: list[Callable[[list[int]], None]] = []
        self._worker = Worker("ember-icons", on_error=self._note)
        self._unsaved = 0
        self._save_at = SAVE_EVERY
        self.last_error: BaseException | None = None

    def __getitem__(self, feature: int) -> Image.Image:
        return Image.open(io.BytesIO(self._pictures[feature])).convert("RGB")

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._pictures))

    def __len__(self) -> int:
        return len(self._pictures)

    def __contains__(self, feature: object) -> bool:
        return feature in self._pictures

    def encoded(self, feature: int) -> bytes:
        """The icon as a WebP file.

        Raises:
            KeyError: It was not made yet.
        """
        return self._pictures[feature]

    def address(self, feature: int) -> str:
        """The icon as a data URL; "" if it was not made yet."""
        picture = self._pictures.get(feature)
        return "" if picture is None else "data:image/webp;base64," + base64.b64encode(picture).decode()

    def is_blank(self, feature: int) -> bool:
        """Whether the icon of a feature is empty: on its own, the feature draws nothing."""
        if feature not in self._pictures:
            return False
        if feature not in self._blank:
            ranges = (channel.getextrema() for channel in self[feature].split())
            self._blank[feature] = all(float(high) - float(low) < BLANK for low, high in ranges)  # type: ignore[arg-type]
        return self._blank[feature]

    @property
    def waiting(self) -> int:
        """How many icons are still to be made."""
        with self._lock:
            return len(self._wanted)

    def make(self, features: Iterable[int], *, progress: bool = True) -> None:
        """Make the missing icons of these features now; if interrupted, those made so far are kept.

        Args:
            features: Which features.
            progress: Show a progress bar.

        Raises:
            TypeError, ValueError: An unknown feature.
            RuntimeError: These icons cannot be drawn here.
            OSError: They were made and cannot be saved.
        """
        from tqdm.auto import tqdm

        missing = self._missing(features)
        try:
            with tqdm(total=len(missing), desc="icons", disable=not progress, unit="icon") as bar:
                for at in range(0, len(missing), self._batch):
                    bar.update(self._make(missing[at : at + self._batch]))
                    if self._is_save_due:
                        self._try_to_save()
        finally:
            self.save()

    def want(self, features: Iterable[int]) -> int:
        """Make the missing icons of these features in the background; the latest request comes first.

        Args:
            features: Which features, the most urgent first.

        Returns:
            How many are still to be made, with those wanted before.
        """
        missing = self._missing(features)
        with self._lock:
            self._wanted = {**dict.fromkeys(missing), **self._wanted}
            if self._wanted:
                self._worker.put("make", self._make_wanted)
            return len(self._wanted)

    def forget_wanted(self) -> None:
        """Make no more icons than those that are being drawn."""
        with self._lock:
            self._wanted.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no icon is wanted any more; False if that takes longer than `timeout` seconds."""
        return self._worker.wait(timeout)

    def on_made(self, listener: Callable[[list[int]], None]) -> Callable[[], None]:
        """Call the listener with features whose icons were made in the background, in that thread.

        Returns:
            A function that ends the calls.
        """
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def save(self) -> None:
        """Write the icons to the file; also done now and then while icons are made, and at the end."""
        with self._lock:
            if self._file is None or not self._unsaved:
                return
            # If this fails (a full disk), it is not tried again with every icon.
            self._save_at = self._unsaved + SAVE_EVERY
            with files.locked(self._file):
                # Another process may have made some meanwhile.
                self._pictures = read(self._file, self._key) | self._pictures
                write(self._file, self._pictures, self._key)
            self._unsaved, self._save_at = 0, SAVE_EVERY

    def _missing(self, features: Iterable[int]) -> list[int]:
        given = checks.listed("features", features, hint="give feature indices, such as [3, 7]")
        checked = [checks.feature_index(feature, self._n_features) for feature in given]
        missing = [feature for feature in dict.fromkeys(checked) if feature not in self._pictures]
        if missing and self._draw is None:
            raise RuntimeError("these icons cannot be made here: there is no painter; use painter.icons")
        return missing

    def _make(self, features: Sequence[int]) -> int:
        assert self._draw is not None  # checked in _missing
        pictures = self._draw(features)
        encoded = {f: packed(picture) for f, picture in zip(features, pictures, strict=True)}
        with self._lock:
            self._pictures |= encoded
            self._unsaved += len(encoded)
        return len(encoded)

    @property
    def _is_save_due(self) -> bool:
        return self._unsaved >= self._save_at

    def _try_to_save(self) -> None:
        """Save; if that fails, the icons are still there, and a later save tries again."""
        try:
            self.save()
        except Exception as fault:
            self._note(fault)

    # In the background

    def _note(self, fault: BaseException) -> None:
        self.last_error = fault

    def _make_wanted(self) -> None:
        """Make some of the icons that are wanted; the others, and saving, are tasks of their own."""
        with self._lock:
            batch = list(self._wanted)[: self._batch]
            listeners = list(self._listeners)
        try:
            if batch:
                self._make(batch)
                self._notify(batch, listeners)
        except BaseException:
            self.forget_wanted()  # the others would fail too
            raise
        finally:
            with self._lock:
                for feature in batch:
                    self._wanted.pop(feature, None)
                # Put in this order: the next icons are not made before the save.
                if self._is_save_due or not self._wanted:
                    self._worker.put("save", self.save)
                if self._wanted:
                    self._worker.put("make", self._make_wanted)

    def _notify(self, batch: list[int], listeners: Sequence[Callable[[list[int]], None]]) -> None:
        for listener in listeners:
            try:
                listener(batch)
            except BaseException as fault:  # the icons are made all the same
                self._note(fault)


def packed(picture: Image.Image) -> bytes:
    """The middle of a picture, where `painter.icon` paints, as a small WebP."""
    stream = io.BytesIO()
    width, height = picture.size
    box = (width * MARGIN, height * MARGIN, width * (1 - MARGIN), height * (1 - MARGIN))
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, box)
    small.save(stream, "WEBP", quality=QUALITY, method=6)
    return stream.getvalue()


def write(path: Path, pictures: Mapping[int, bytes], key: str) -> None:
    """Write icons, atomically. The same icons give the same file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = key.encode()
        for feature in sorted(pictures):
            archive.writestr(zipfile.ZipInfo(f"{feature}.webp"), pictures[feature])
    files.write(path, stream.getvalue())


def read(path: Path, key: str) -> dict[int, bytes]:
    """The icons in a file; none if the file is missing, is damaged, or has another key."""
    with (
        contextlib.suppress(OSError, ValueError),
        files.damage_named(path, "they are made again"),
        files.opened(path) as stream,
        zipfile.ZipFile(stream) as archive,
    ):
        if archive.comment.decode("utf-8", "replace") != key:
            return {}
        entries = {Path(entry.filename).stem: entry for entry in archive.infolist()}
        found = {
            int(stem): archive.read(entry)
            for stem, entry in entries.items()
            if stem.isdecimal() and entry.file_size <= MAX_ICON_BYTES
        }
        return {feature: data for feature, data in found.items() if _is_webp(data)}
    return {}


def _is_webp(data: bytes) -> bool:
    """Whether it is a WebP picture, and whole."""
    return (
        data[:4] == b"RIFF" and data[8:12] == b"WEBP" and int.from_bytes(data[4:8], "little") + 8 == len(data)
    )
