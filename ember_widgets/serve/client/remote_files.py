"""Files of a server's model, fetched when they are needed and kept in the cache by the model's key.

What comes from a server is trusted no more than other files: the readers of these files check them. Nothing
here loads torch before an SAE is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ember_widgets.features import icons as icon_files
from ember_widgets.features.concepts import ConceptBank
from ember_widgets.features.icons import Icons
from ember_widgets.features.labels import Labels
from ember_widgets.features.statistics import Statistics
from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.site_sae import sae_at
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.wire.calls import Welcome
from ember_widgets.util import checks, files
from ember_widgets.util.user_folders import cache_folder, data_folder

if TYPE_CHECKING:
    from ember_widgets.dictionary.sae import SAE

LABELS, ICONS, STATISTICS, CONCEPTS = "labels.json", "icons.zip", "statistics.npz", "concepts.npz"
KNOWN = re.compile(r"labels\.json|icons\.zip|statistics\.npz|concepts\.npz|sae-\d{1,3}\.safetensors")
FIXED = re.compile(r"statistics\.npz|sae-\d{1,3}\.safetensors")
"""Files that the model's key identifies; the others may change while the model stays."""
MAX_FILE_BYTES = 2**33
WAIT_S = 30.0

DrawIcons = Callable[[Sequence[int]], list[Image.Image]]


class RemoteFiles:
    """Fetches files of one model. Any thread may use it.

    Args:
        address: The server.
        key: Of the model, see `Welcome`.
        sizes: {name: size in bytes} of its files.
        ssl_context: For https; None = Python's usual one.
    """

    def __init__(
        self,
        address: Address,
        key: str,
        sizes: Mapping[str, int],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        # Never a path of the server's choice.
        safe = key if re.fullmatch(r"[0-9a-f]{8,64}", key) else hashlib.sha256(key.encode()).hexdigest()[:32]
        self.folder = cache_folder() / "servers" / safe
        self._address = address
        self._sizes = {name: size for name, size in sizes.items() if KNOWN.fullmatch(name)}
        self._ssl_context = ssl_context
        self._fetching = threading.Lock()

    def __contains__(self, name: object) -> bool:
        return name in self._sizes

    def fetch(self, name: str) -> Path | None:
        """A file, from the cache if it is there and current; None if the server has none of this name.

        Raises:
            ConnectionError, PermissionError: It cannot be fetched.
            OSError: It cannot be written to the cache.
        """
        if name not in self._sizes:
            return None
        path, size = self.folder / name, self._sizes[name]
        with self._fetching:
            if FIXED.fullmatch(name) and _size(path) == size:
                return path
            files.make_folder(self.folder)
            self._download(name, path, size)
        return path

    def _download(self, name: str, path: Path, size: int) -> None:
        import httpx  # takes longer to import than all the rest

        address, mark = self._address, path.with_name(f"{name}.etag")
        headers = dict(address.headers)
        # What was cut off, as by a power cut, is fetched again.
        if _size(path) == size and mark.exists():
            headers["If-None-Match"] = files.read(mark, 200).decode("ascii", "replace")
        if type(size) is not int or not 0 <= size <= MAX_FILE_BYTES:
            raise ConnectionError(f"{address.url} says that {name} has {size} bytes; it is not fetched")
        context: ssl.SSLContext | bool = False
        if address.is_secure:
            context = self._ssl_context or ssl.create_default_context()
        try:
            with (
                httpx.Client(verify=context, timeout=WAIT_S, trust_env=not address.is_loopback) as client,
                client.stream("GET", address.file(name), headers=headers) as reply,
            ):
                if reply.status_code == 304:
                    return
                if reply.status_code in (401, 403):
                    raise PermissionError(
                        f"the server at {address.url} refuses {name}: the token is not valid"
                    )
                if reply.status_code != 200:
                    raise ConnectionError(
                        f"{address.file(name)} cannot be fetched (HTTP {reply.status_code})"
                    )
                etag = reply.headers.get("etag", "")
                with contextlib.suppress(FileNotFoundError):
                    mark.unlink()
                with files.replacing(path) as temporary, temporary.open("xb") as file:
                    n_bytes = 0
                    for part in reply.iter_bytes():
                        n_bytes += len(part)
                        if n_bytes > size:
                            break
                        file.write(part)
                    if n_bytes != size:
                        raise ConnectionError(
                            f"{address.file(name)} does not have the {size:,} bytes that the server said; "
                            "connect again"
                        )
        except httpx.HTTPError as fault:
            raise ConnectionError(
                f"{address.file(name)} cannot be fetched ({fault or type(fault).__name__}); try again"
            ) from None
        if etag and etag.isascii() and len(etag) <= 200:
            files.write(mark, etag.encode())


class RemoteSAEs(Mapping[str, "SAE"]):
    """{site: SAE} of a server's model. Sites are known; an SAE is fetched, and torch loaded, when it is used.

    Args:
        fetched: Fetches files.
        space: The sites.
        model: Its "sae" says what the SAEs' hashes begin with, see `sae_at`.
    """

    def __init__(self, fetched: RemoteFiles, space: FeatureSpace, model: Mapping[str, str]) -> None:
        self._files = fetched
        self._space = space
        self._model = model
        self._loading = threading.Lock()
        self._loaded: dict[str, SAE] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._space.sites)

    def __len__(self) -> int:
        return len(self._space.sites)

    def __contains__(self, site: object) -> bool:
        return site in self._space.sites

    def __getitem__(self, site: str) -> SAE:
        if site not in self._space.sites:
            raise KeyError(site)
        with self._loading:
            if site not in self._loaded:
                self._loaded[site] = self._load(site)
            return self._loaded[site]

    def _load(self, site: str) -> SAE:
        from ember_widgets.dictionary.load import load_sae  # loads torch

        index = self._space.sites.index(site)
        path = self._files.fetch(f"sae-{index}.safetensors")
        if path is None:
            raise ValueError(f"the server does not give away its SAE of {site_names.short(site)}")
        try:
            sae = load_sae(path, site=site)
            expected = sae_at(site, self._model, self._space)
            if sae.n_features != self._space.size(site) or not sae.sha256.startswith(expected):
                raise ValueError(f"{path} holds another SAE than the server said")
        except ValueError:
            path.unlink(missing_ok=True)  # the next try fetches it again
            raise
        return sae

    def __repr__(self) -> str:
        sites = (f"{site_names.short(site)}: {self._space.size(site):,} features" for site in self)
        return f"RemoteSAEs({', '.join(sites)})"


class RemoteModel:
    """What is known of a server's model: its labels, icons, statistics, concepts and SAEs.

    Args:
        address: The server.
        welcome: What it said.
        draw: Draws icons; None = it draws none.
        ssl_context: For https; None = Python's usual one.

    Attributes:
        key: The model's.
        space: Which features of a scene belong to which site.
        saes: {site: SAE}.
    """

    def __init__(
        self,
        address: Address,
        welcome: Welcome,
        draw: DrawIcons | None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.key = welcome.key
        self.facts = dict(welcome.model)
        self.space = FeatureSpace(
            tuple(site for site, _ in welcome.sites), tuple(size for _, size in welcome.sites)
        )
        self._files = RemoteFiles(address, welcome.key, welcome.files, ssl_context)
        self._draw = draw
        self.saes = RemoteSAEs(self._files, self.space, self.facts)
        self._lock = threading.RLock()
        self._labels: Labels | None = None
        self._icons: Icons | None = None
        self._statistics: tuple[Statistics | None] | None = None
        self._concepts: tuple[ConceptBank | None] | None = None

    @property
    def labels(self) -> Labels:
        """The server's labels, and those that the user set on this computer."""
        with self._lock:
            if self._labels is None:
                path = self._files.fetch(LABELS)
                given = None if path is None else Labels.load(path)
                self._labels = Labels(
                    None if given is None else {feature: given.entry(feature) for feature in given},
                    n_features=self.space.n_features,
                    own_file=self._own_labels(),
                )
            return self._labels

    @property
    def icons(self) -> Icons:
        """The server's icons, and those that were drawn for this computer."""
        with self._lock:
            if self._icons is None:
                path = self._files.fetch(ICONS)
                self._icons = Icons(
                    self.space.n_features,
                    self._draw,
                    key=self.key,
                    file=self._files.folder / "drawn-icons.zip",
                    shipped={} if path is None else icon_files.read(path, self.key),
                )
            return self._icons

    @property
    def statistics(self) -> Statistics | None:
        """How often each feature is active; None if the server does not know."""
        with self._lock:
            if self._statistics is None:
                path = self._files.fetch(STATISTICS)
                self._statistics = (None if path is None else Statistics.load(path, self.key),)
            return self._statistics[0]

    @property
    def concepts(self) -> ConceptBank | None:
        """The server's concepts, or those that were set here."""
        with self._lock:
            if self._concepts is None:
                path = self._files.fetch(CONCEPTS)
                self._concepts = (None if path is None else self.checked_bank(ConceptBank.load(path)),)
            return self._concepts[0]

    @concepts.setter
    def concepts(self, bank: ConceptBank | None) -> None:
        checked = None if bank is None else self.checked_bank(bank)
        with self._lock:
            self._concepts = (checked,)

    def checked_bank(self, bank: object) -> ConceptBank:
        """Concepts of one of the server's SAEs.

        Raises:
            TypeError: It is not a bank.
            ValueError: It is of another site or SAE.
        """
        if not isinstance(bank, ConceptBank):
            raise TypeError(
                f"{checks.shown(bank)} is not a bank of concepts; load one with ember.ConceptBank.load(path)"
            )
        bank.check(self.facts, self.space, "this painter")
        return bank

    def _own_labels(self) -> Path | None:
        """The file of the user's own labels: that of the local painter with the same SAE, if there is one."""
        folder, hashes = data_folder() / "labels", self.facts.get("sae", "").split(",")
        if not all(re.fullmatch(r"[0-9a-f]{8,64}", one) for one in hashes):
            return None  # the SAEs have no hashes: nothing says which feature is which
        if len(hashes) > 1:
            return folder / f"{hashlib.sha256(','.join(hashes).encode()).hexdigest()}.json"
        found = sorted(folder.glob(f"{hashes[0]}*.json"))
        return found[0] if found else folder / f"{hashes[0]}.json"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
