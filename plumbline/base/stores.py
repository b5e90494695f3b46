"""Objects of object stores, by URLs: `s3://bucket/key`, `gs://bucket/key`.

Credentials come from the environment, as the store's own programs have them, such as
`AWS_ACCESS_KEY_ID` or a role of the machine, and from nowhere else. A URL with one in it is
refused, before anything can print it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from plumbline.base.errors import PlumblineError
from plumbline.base.printable import one_line

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_SCHEMES = ("s3", "gs")
_RETRY_SECONDS = 30
"""How long a store may fail to answer before it counts as not reachable."""
_BLOCK_BYTES = 8 << 20


class StoreError(PlumblineError):
    """An object store cannot be reached, lacks an object, or denies access."""


def is_url(text: str) -> bool:
    """Whether it is a URL and not a path: a scheme, then `://`.

    >>> is_url("s3://bucket/logs"), is_url("logs/day=1"), is_url("file:///logs")
    (True, False, True)
    """
    return _URL.fullmatch(text) is not None


def local_path(text: str) -> Path | None:
    """The path of a `file://` URL or of a path; None for the URL of an object store.

    Raises
    ------
    StoreError
        The URL is of a kind that Plumbline does not read, or has a user, a password or a query.
    """
    if not is_url(text):
        return Path(text)
    parts = _checked(text)
    if parts.scheme != "file":
        return None
    if parts.netloc:
        raise StoreError(f"{text}: wanted file:///PATH, got a host in it. Leave the host out.")
    return Path(unquote(parts.path))


def _checked(url: str) -> Any:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://…"
    if "@" in parts.netloc:
        raise StoreError(
            f"{shown}: wanted a URL without a user and a password. Give them in the environment, "
            "such as in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    # A pattern may have a question mark; a query has an equals sign.
    if "=" in parts.query:
        raise StoreError(
            f"{shown}: wanted a URL without a query, which may hold a secret. Leave out what "
            "follows the question mark."
        )
    if parts.scheme not in ("file", *_SCHEMES):
        known = ", ".join(f"{scheme}://" for scheme in ("file", *_SCHEMES))
        raise StoreError(f"{one_line(url)}: wanted a path, or a URL of {known}.")
    return parts


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object: its key, its size in bytes, and its version, which is its ETag."""

    key: str
    bytes: int
    version: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a store. Every method raises StoreError if it is not there or denies access."""

    url: str
    objects: Any
    """An `obstore.store.ObjectStore`."""

    @classmethod
    def of(cls, url: str) -> tuple[Bucket, str]:
        """The bucket of a URL, and the key in it, without slashes at its ends.

        Raises
        ------
        StoreError
            It is no URL of an object store, or has credentials or no bucket.
        """
        parts = _checked(url)
        bucket, _, key = _URL.fullmatch(url)["rest"].partition("/")  # type: ignore[index]
        if parts.scheme == "file" or not bucket:
            raise StoreError(f"{one_line(url)}: wanted the URL of a bucket and what is in it.")
        # Imported here because most runs have no store.
        from obstore.store import from_url

        root = f"{parts.scheme}://{bucket}"
        with store_errors(root):
            objects = from_url(
                root,
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
            )
        return cls(root, objects), key.strip("/")

    def url_of(self, key: str) -> str:
        return f"{self.url}/{key}"

    def find(self, folder: str) -> list[StoredObject]:
        """All objects below a folder, in the order of their keys; `""` is the bucket."""
        with store_errors(self.url_of(folder)):
            listed = [entry for chunk in self.objects.list(folder or None) for entry in chunk]
        return sorted(map(_stored, listed), key=lambda found: found.key)

    def head(self, key: str) -> StoredObject | None:
        """The object with this key; None if there is none."""
        with store_errors(self.url_of(key)), suppress(FileNotFoundError):
            return _stored(self.objects.head(key))
        return None

    def read(self, key: str) -> bytes | None:
        """The content of an object; None if there is none."""
        with store_errors(self.url_of(key)), suppress(FileNotFoundError):
            return bytes(self.objects.get(key).bytes())
        return None

    def copy(self, key: str, file: Path) -> StoredObject:
        """Copy an object to a file; returns what was copied."""
        with store_errors(self.url_of(key)):
            found = self.objects.get(key)
            with file.open("wb") as sink:
                for block in found.stream(min_chunk_size=_BLOCK_BYTES):
                    sink.write(block)
        return _stored(found.meta)

    def write(self, key: str, content: bytes | Path) -> None:
        """Write an object: bytes, or a file. A reader sees the old object or the new one."""
        with store_errors(self.url_of(key)):
            self.objects.put(key, content)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one; of two writers, one succeeds."""
        from obstore.exceptions import AlreadyExistsError

        with store_errors(self.url_of(key)), suppress(AlreadyExistsError):
            self.objects.put(key, content, mode="create")
            return True
        return False

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are not missed."""
        for key in keys:
            with store_errors(self.url_of(key)), suppress(FileNotFoundError):
                self.objects.delete(key)


def _stored(entry: Any) -> StoredObject:
    return StoredObject(entry["path"], entry["size"], str(entry["e_tag"] or "").strip('"'))


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Raises StoreError for the errors of a store and of the way to it."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{one_line(url)}: there is no such bucket or object.") from None
    except (
        PermissionError,
        exceptions.PermissionDeniedError,
        exceptions.UnauthenticatedError,
    ) as error:
        raise StoreError(
            f"{one_line(url)}: access is denied ({_reason(error)}). Check the credentials in the "
            "environment, and their rights."
        ) from None
    except exceptions.BaseError as error:
        if "NoSuchBucket" in str(error):
            raise StoreError(f"{one_line(url)}: there is no such bucket.") from None
        raise StoreError(f"{one_line(url)}: {_reason(error)}.") from None


def _reason(error: BaseException) -> str:
    """What is wrong, in a line, without queries of URLs."""
    first = str(error).split("\n\nDebug source:")[0]
    return re.sub(r"\?[^\s)]*", "", one_line(first, 300)).removesuffix(".")


def relative_parts(key: str) -> PurePosixPath:
    """A key as a relative path of a local folder.

    Raises
    ------
    StoreError
        A part of it is empty or leads out of the folder.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise StoreError(f"{one_line(key)}: wanted names between the slashes. Rename the object.")
    return PurePosixPath(*parts)
