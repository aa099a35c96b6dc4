"""The Hugging Face hub: what is there, how large, under which licence; downloads that can be resumed;
uploads.

All that this package downloads or uploads goes through here, so that every failure becomes one error that
says which argument to change. If the network cannot be reached, files in the cache are used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ember_widgets.util.words import first_line

log = logging.getLogger("ember_widgets")

DOWNLOAD = "ember-widgets download"
_TRUE = {"1", "on", "yes", "true"}


class NotInCache(FileNotFoundError):
    """A repository is not on this machine, and the network was not used or could not be reached."""


@dataclass(frozen=True)
class Listing:
    """What a repository holds.

    Attributes:
        repo: "owner/name".
        sizes: {path: bytes} of its files.
        commit: Hash of the revision.
        licence: As its card says, "" where it says nothing.
        folder: Where its files lie on this machine, if they came from the cache.
    """

    repo: str
    sizes: dict[str, int]
    commit: str
    licence: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class Hub:
    """How to reach the hub.

    Args:
        cache_dir: Where downloads are kept; None = the hub's usual cache (HF_HOME).
        token: For gated or private repositories; None = the one that was logged in with.
        local_files_only: Never use the network.
        kind: Of what all repositories are: "model" or "dataset".
        fetch_hint: What messages advise if something is not in the cache; "" = the usual advice.
    """

    cache_dir: str | Path | None = None
    token: str | None = None
    local_files_only: bool = False
    kind: Literal["model", "dataset"] = "model"
    fetch_hint: str = ""

    @property
    def offline(self) -> bool:
        """Whether the network must not be used."""
        return self.local_files_only or os.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE

    def listing(self, repo: str, revision: str | None = None) -> Listing:
        """What the repository holds; if the network cannot be reached, what the cache holds of it.

        Raises:
            FileNotFoundError: No such repository.
            NotInCache: It is not in the cache and there is no network.
            ValueError: No such revision.
            PermissionError: It is gated or private.
        """
        if self.offline:
            return self._cached(
                repo, revision, "the network was not used (local_files_only or HF_HUB_OFFLINE)"
            )
        try:
            with _one_error(self.named(repo), revision):
                info = self._api().repo_info(
                    repo, revision=revision, repo_type=self.kind, files_metadata=True, timeout=20
                )
        except ConnectionError as error:
            found = self._cached(repo, revision, "the hub cannot be reached")
            log.warning("%s; going on with what is in the cache", error)
            return found
        card = info.card_data
        licence = str(getattr(card, "license_name", None) or getattr(card, "license", None) or "")
        sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
        return Listing(repo, sizes, str(info.sha or revision or ""), licence)

    def fetch(self, listing: Listing, paths: Iterable[str], revision: str | None = None) -> Path:
        """Download files that are not on this machine yet.

        If the connection breaks, the client resumes in the middle of the file, a few times. When it gives up,
        complete files are kept, and a later call fetches the rest.

        Returns:
            The folder that holds them under their paths.

        Raises:
            ConnectionError: The connection broke; calling again fetches what is missing.
        """
        paths = list(paths)
        if listing.folder is not None:
            return listing.folder
        with _one_error(self.named(listing.repo), revision):
            # The revision as it was asked for, so that the cache knows it by that name when offline.
            folder = self._api().snapshot_download(
                listing.repo,
                repo_type=self.kind,
                revision=revision,
                cache_dir=self.cache,
                allow_patterns=[re.sub(r"([*?\[])", r"[\1]", path) for path in paths],
            )
        missing = [path for path in paths if not (Path(folder) / path).exists()]
        if missing:
            raise ConnectionError(f"{self.named(listing.repo)}: {missing[0]} did not arrive; run it again")
        return Path(folder)

    def upload(
        self, repo: str, folder: Path, *, private: bool, message: str, replaced: Iterable[str] = ()
    ) -> str:
        """Put the files of a folder into a repository, in one commit; the repository is made if needed.

        Args:
            repo: "owner/name".
            folder: What is uploaded.
            private: Whether only its owner sees the repository. A public one is not written to then.
            message: Of the commit.
            replaced: Paths of files that are removed there if they are not among the new ones.

        Returns:
            The repository's address.

        Raises:
            PermissionError: There is no token, or it may not write there.
            ValueError: The hub refuses the id or the card, or the repository is public.
            ConnectionError: The network is not used, or the connection broke.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, get_token

        name = self.named(repo)
        if self.offline:
            raise ConnectionError(
                f"cannot upload to {name}: the network is not used (local_files_only or HF_HUB_OFFLINE); "
                "unset it and run it again"
            )
        if not (self.token or get_token()):
            raise PermissionError(
                f"cannot upload to {name}: the hub needs a token with permission to write; give token=, "
                "or run `hf auth login`"
            )
        with _one_upload_error(name):
            api = self._api()
            address = api.create_repo(repo, repo_type=self.kind, private=private, exist_ok=True)
            there = api.repo_info(repo, repo_type=self.kind, timeout=20)
            if private and not there.private:
                raise ValueError(
                    f"{name} is public already; give private=False to upload for all to see, or another repo"
                )
            new = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
            old = {file.rfilename for file in there.siblings or ()} & (set(replaced) - new.keys())
            operations = [
                *(CommitOperationDelete(path_in_repo=name) for name in sorted(old)),
                *(CommitOperationAdd(name, path) for name, path in sorted(new.items())),
            ]
            # Not upload_folder, which may make several commits: between them there is half an SAE.
            api.create_commit(repo, operations, repo_type=self.kind, commit_message=message)
        return str(address)

    def missing(self, listing: Listing, paths: Iterable[str]) -> int:
        """Bytes of these files that are not in the cache yet."""
        folder = self.place(listing.repo) / "snapshots" / listing.commit
        return sum(listing.sizes[path] for path in paths if not (folder / path).is_file())

    def place(self, repo: str) -> Path:
        """Where the cache keeps a repository."""
        return self.cache / f"{self.kind}s--{repo.replace('/', '--')}"

    def named(self, repo: str) -> str:
        """The repository as its address on the hub ends; a model's is its id."""
        return repo if self.kind == "model" else f"datasets/{repo}"

    @property
    def cache(self) -> Path:
        """The folder of all downloads."""
        from huggingface_hub import constants

        return Path(self.cache_dir or os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE)

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=self.token)

    def _cached(self, repo: str, revision: str | None, why: str) -> Listing:
        place = self.place(repo)
        name = revision or "main"
        ref = place / "refs" / name
        commit = ref.read_text("utf-8").strip() if ref.is_file() else name
        folder = place / "snapshots" / commit
        if not folder.is_dir():
            fetch = self.fetch_hint or (f"run `{DOWNLOAD}`" if self.kind == "model" else "load it")
            raise NotInCache(
                f"{self.named(repo)}{_at(revision)} is not in the cache {self.cache}, and {why}; "
                f"{fetch} once where there is a network, or give cache_dir= where it is"
            )
        # A link whose target is missing is a file that never arrived.
        files = [path for path in folder.rglob("*") if path.is_file()]
        sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
        return Listing(repo, sizes, commit, folder=folder)


def repo_in(source: str | os.PathLike[str]) -> tuple[str, str] | None:
    """("owner/name", "path/inside") if this is a hub id, with or without a path after it; else None."""
    if not isinstance(source, str) or os.path.exists(source):
        return None
    match = re.fullmatch(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/(.+?))?/?", source)
    return (match[1], match[2] or "") if match else None


@contextlib.contextmanager
def _one_error(repo: str, revision: str | None) -> Iterator[None]:
    """Turn whatever the hub's client raises into one error that says which argument to change."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise PermissionError(
            f"{repo} is gated: accept its licence at https://huggingface.co/{repo}, then give token= "
            "or run `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise ValueError(
            f"revision={revision!r} is not in {repo}; "
            "give a branch, tag or commit of it, or leave revision out"
        ) from None
    except errors.RepositoryNotFoundError as error:
        if getattr(error.response, "status_code", 404) in (401, 403):
            raise _forbidden(repo) from None
        raise FileNotFoundError(
            f"there is no {repo} on the hub, or it is private; check the id, or give token="
        ) from None
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise _cut(repo, error) from None
        raise FileNotFoundError(f"{repo}{_at(revision)} lacks a file it lists: {first_line(error)}") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise _forbidden(repo) from None
        raise ConnectionError(f"the hub answered {status} for {repo}; try again later") from None
    except (errors.HFValidationError, errors.OfflineModeIsEnabled) as error:
        raise ValueError(f"{repo}: {first_line(error)}") from None
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        text = first_line(error)
        if isinstance(error, OSError) and ("No space" in text or getattr(error, "errno", None) == 28):
            raise OSError(f"the disk is full while fetching {repo}; give cache_dir= with more room") from None
        if _is_transport(error):
            raise _cut(repo, error) from None
        raise


@contextlib.contextmanager
def _one_upload_error(repo: str) -> Iterator[None]:
    """Turn whatever the hub's client raises while uploading into one error that says what to do."""
    try:
        yield
    except Exception as error:
        # The client wraps what happens to one file in a RuntimeError.
        first = error.__cause__ if isinstance(error, RuntimeError) else None
        found = _of_upload(repo, first if isinstance(first, Exception) else error)
        if found is None:
            raise
        raise found from None


def _of_upload(repo: str, error: Exception) -> Exception | None:
    """What to raise in place of an error of the client; None = the error itself."""
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        status = getattr(error.response, "status_code", None)
        said = getattr(error, "server_message", None) or first_line(error)
        if status in (401, 403, 404):  # the hub does not tell the uninvited what there is
            return PermissionError(
                f"the hub does not let this token write to {repo} ({status}); give token= with permission to "
                "write there, or run `hf auth login`, or check the id"
            )
        if status is not None and 400 <= status < 500 and status != 429:
            return ValueError(f"the hub refuses the upload to {repo}: {said[:200]}")
        return ConnectionError(f"the hub answered {status} for {repo}; try again later")
    if isinstance(error, errors.HFValidationError):
        return ValueError(f"{repo}: {first_line(error)}")
    if _is_transport(error):
        return ConnectionError(
            f"the connection to the hub broke while uploading to {repo} ({first_line(error)}); run it "
            "again: the repository has not changed, and files that arrived are not sent twice"
        )
    return None


def _is_transport(error: Exception) -> bool:
    """Whether it comes from the network; httpx, requests, urllib3: which depends on the client's version."""
    module = type(error).__module__.split(".")[0]
    return module.startswith(("httpx", "httpcore", "requests", "urllib3")) or isinstance(error, OSError)


def _cut(repo: str, error: Exception) -> ConnectionError:
    return ConnectionError(
        f"the connection to the hub broke while asking for {repo} ({first_line(error)}); "
        "run it again: every file that has arrived is kept; or give local_files_only=True to use the cache"
    )


def _forbidden(repo: str) -> PermissionError:
    return PermissionError(
        f"the hub refuses {repo}: no repository has that name, or it is private; check the id, give token=, "
        "or run `hf auth login`"
    )


def _at(revision: str | None) -> str:
    return f" at revision {revision!r}" if revision else ""
