"""Icons: what each feature draws on its own, small, in one file, and made in the background where missing.

The file is a zip of WebP pictures, "12.webp" for feature 12: one is read without decoding the others, more
are added without encoding anew, and any tool opens it.
"""

from __future__ import annotations

import base64
import io
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from ember_widgets.util import checks, files

SIDE = 64
FILE = "icons.zip"
QUALITY = 80
MARGIN = 3 / 16
"""Of the picture; the disc that is painted is 8 of 16 patches across, what it draws may be a little more."""
SAVE_EVERY = 64
BLANK = 12
"""Of 255: a picture whose colours differ by less is empty."""

Draw = Callable[[Sequence[int]], list[Image.Image]]


class Icons(Mapping[int, Image.Image]):
    """{feature: picture of 64×64 pixels}, as far as they were made; `make` and `want` make more.

    Args:
        n_features: how many features the SAE has.
        draw: draws several features, (n,) -> n pictures of any size; None = no more can be made.
        key: says which model and SAE the icons are of; a file with another one is not taken.
        file: where icons that are made are kept; None = nowhere.
        shipped: icons that came with the SAE, {feature: WebP}; see `read`.
        batch: how many are drawn at once; meanwhile nothing else is.
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
        self._lock = threading.Condition()
        self._pictures: dict[int, bytes] = {**(shipped or {}), **(read(file, key) if file else {})}
        self._blank: dict[int, bool] = {}
        self._wanted: dict[int, None] = {}
        self._listeners: list[Callable[[list[int]], None]] = []
        self._thread: threading.Thread | None = None
        self._unsaved = 0
        self.last_error: Exception | None = None

    def __getitem__(self, feature: int) -> Image.Image:
        return Image.open(io.BytesIO(self._pictures[feature])).convert("RGB")

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._pictures))

    def __len__(self) -> int:
        return len(self._pictures)

    def __contains__(self, feature: object) -> bool:
        return feature in self._pictures

    def address(self, feature: int) -> str:
        """The icon as a data URL; "" if it was not made yet."""
        picture = self._pictures.get(feature)
        return "" if picture is None else "data:image/webp;base64," + base64.b64encode(picture).decode()

    def is_blank(self, feature: int) -> bool:
        """Whether a feature was found to draw nothing on its own."""
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
        """Make the icons that are missing, now; one that is interrupted keeps what it made.

        Args:
            features: which.
            progress: show a progress bar.

        Raises:
            TypeError, ValueError: no such feature.
            RuntimeError: these icons cannot be drawn here.
        """
        from tqdm.auto import tqdm

        missing = self._missing(features)
        try:
            with tqdm(total=len(missing), desc="icons", disable=not progress, unit="icon") as bar:
                for at in range(0, len(missing), self._batch):
                    bar.update(self._make(missing[at : at + self._batch]))
        finally:
            self.save()

    def want(self, features: Iterable[int]) -> int:
        """Make the icons that are missing, in the background; those wanted last come first.

        Args:
            features: which, the most urgent first.

        Returns:
            How many are to be made now, with those wanted before.
        """
        missing = self._missing(features)
        with self._lock:
            self._wanted = {**dict.fromkeys(missing), **self._wanted}
            if self._wanted and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ember-icons", daemon=True)
                self._thread.start()
            return len(self._wanted)

    def forget_wanted(self) -> None:
        """Make no more than those under way."""
        with self._lock:
            self._wanted.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is wanted any more; False if that took longer than so many seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self._thread is None, timeout)

    def on_made(self, listener: Callable[[list[int]], None]) -> Callable[[], None]:
        """Be told of icons made in the background, in their thread; returns what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def save(self) -> None:
        """Keep what was made; done now and then while icons are made, and at the end."""
        with self._lock:
            if self._file is None or not self._unsaved:
                return
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Another process may have made some meanwhile.
            self._pictures = read(self._file, self._key) | self._pictures
            write(self._file, self._pictures, self._key)
            self._unsaved = 0

    def _missing(self, features: Iterable[int]) -> list[int]:
        checked = [checks.feature_index(feature, self._n_features) for feature in features]
        missing = [feature for feature in dict.fromkeys(checked) if feature not in self._pictures]
        if missing and self._draw is None:
            raise RuntimeError("these icons cannot be made here: there is no painter; use painter.icons")
        return missing

    def _make(self, features: Sequence[int]) -> int:
        assert self._draw is not None  # _missing saw to it
        pictures = self._draw(features)
        encoded = {f: packed(picture) for f, picture in zip(features, pictures, strict=True)}
        with self._lock:
            self._pictures |= encoded
            self._unsaved += len(encoded)
            full = self._unsaved >= SAVE_EVERY
        if full:
            self.save()
        return len(encoded)

    def _work(self) -> None:
        while True:
            with self._lock:
                batch = list(self._wanted)[: self._batch]
                listeners = list(self._listeners)
                if not batch:
                    break
            try:
                self._make(batch)
                for listener in listeners:
                    listener(batch)
            except Exception as fault:  # nobody would see it; what it was is kept
                self.last_error = fault
                with self._lock:
                    self._wanted.clear()
                break
            with self._lock:
                for feature in batch:
                    self._wanted.pop(feature, None)
        try:
            self.save()
        except OSError as fault:  # a full disk: the icons are still there
            self.last_error = fault
        with self._lock:
            self._thread = None
            self._lock.notify_all()


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
    """The icons of a file; none if there is no such file, it is damaged, or it has another key."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.comment.decode("utf-8", "replace") != key:
                return {}
            names = {Path(name).stem: name for name in archive.namelist()}
            return {int(stem): archive.read(name) for stem, name in names.items() if stem.isdecimal()}
    except (OSError, zipfile.BadZipFile):
        return {}
