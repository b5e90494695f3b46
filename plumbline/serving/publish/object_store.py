"""A model repository in an object store, which Triton reads itself.

A version is published as into a folder: its files first, then the configs, the ensemble's last. A
config lists the versions of its model, so a version is invisible until its config is replaced, and
an object is replaced as a whole. If anything fails, the old configs are put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plumbline.base.errors import PlumblineError
from plumbline.base.stores import Bucket
from plumbline.serving.contract.versions import CONFIG_FILE, INTEGRITY_FILE
from plumbline.serving.errors import RepositoryError
from plumbline.serving.publish.live_repository import LiveRepository
from plumbline.serving.publish.publish import LOAD_ORDER, Published, Report, publish
from plumbline.serving.publish.remote_files import RemoteFiles
from plumbline.serving.publish.remote_journal import RemoteJournal
from plumbline.serving.repository.release import Release
from plumbline.settings import Serving

SMALL_FILES = (*(f"{model}/{CONFIG_FILE}" for model in LOAD_ORDER), INTEGRITY_FILE)
"""The files that say which versions are served, in the order in which they are replaced."""

_KEEP = ".keep"
"""An empty object that stands for an empty folder: the ensemble's version has no files."""


def publish_to_store(
    release: Release, url: str, settings: Serving, scratch: Path, report: Report
) -> Published:
    """Add a release to the repository at a URL, or begin one with it.

    Servers load the version when they start, or when they poll the repository. Versions before the
    current one are removed. The version is built in the empty folder `scratch` first.

    Raises
    ------
    StoreError
        The store cannot be reached, lacks the bucket or denies access.
    RepositoryError
        Another publish is running, or the release does not fit the repository. In both cases, and
        if the publish fails, the repository is as it was.
    """
    files = RemoteFiles(*Bucket.of(url))
    local = scratch / "model_repository"
    journal = RemoteJournal.begin(files, SMALL_FILES, report)
    number = None
    try:
        _download(journal.before, local)
        done = publish(
            release, local, settings, None, lambda text: report(text.replace(str(local), url))
        )
        if done.is_new:
            number = done.number
            _upload(files, local, number)
    except BaseException as error:
        journal.roll_back()
        if number is not None:
            _remove_version(files, number)
        if isinstance(error, PlumblineError):
            reason = str(error).replace(str(local), url)
            raise RepositoryError(f"{url}: nothing was published. {reason}") from error
        raise
    journal.close()
    if done.is_new:
        _sweep(files, LiveRepository.read(local))
    return done


def _download(small_files: Mapping[str, bytes], local: Path) -> None:
    missing = [name for name in SMALL_FILES if name not in small_files]
    if small_files and missing:
        raise RepositoryError.missing(missing[0])
    for name, content in small_files.items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(content)


def _upload(files: RemoteFiles, local: Path, number: str) -> None:
    """Write the files of a version of every model, then what makes it visible."""
    _remove_version(files, number)  # left by a publish that was killed
    found: dict[str, Path] = {}
    for model in LOAD_ORDER:
        version = local / model / number
        of_model = [path for path in version.rglob("*") if path.is_file()]
        found |= {path.relative_to(local).as_posix(): path for path in of_model}
        if not of_model:
            files.put(f"{model}/{number}/{_KEEP}", b"")
    files.put_files(found)
    for name in SMALL_FILES:
        files.put(name, (local / name).read_bytes())


def _remove_version(files: RemoteFiles, number: str) -> None:
    for model in LOAD_ORDER:
        files.remove(files.below(f"{model}/{number}"))


def _sweep(files: RemoteFiles, served: LiveRepository) -> None:
    """Remove the versions that no config lists."""
    for model, versions in served.versions.items():
        numbers = {name: name.split("/")[1] for name in files.below(model)}
        files.remove(
            name
            for name, number in numbers.items()
            if number.isdecimal() and number not in versions
        )
