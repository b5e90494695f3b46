"""Checks of the files that tasks read, by tasks: the driver does not read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from plumbline.base.file_checks import ListedChecks
from plumbline.base.files import FileErrors, require_sha256
from plumbline.spark.errors import SparkError
from plumbline.spark.jobs import Jobs
from plumbline.spark.tasks import Batches, Place, numbers_in, written

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, slots=True)
class CheckFiles:
    """Hashes files; gives the name of each."""

    place: Place
    files: Sequence[tuple[Path, str, FileErrors]]

    def __call__(self, batches: Batches) -> Batches:
        with self.place.work():
            for number in numbers_in(batches):
                file, sha256, errors = self.files[number]
                require_sha256(file, sha256, errors)
                yield written(number, file, 0)


@contextmanager
def checked(session: SparkSession, checks: ListedChecks, out: Path) -> Iterator[None]:
    """Check the listed files at the end of a block that reads them, also if it raises.

    `out` is a folder that the workers see.

    Raises
    ------
    PlumblineError
        What the file's errors say of one that is missing or has changed. It goes before what the
        block raises, since it is the cause.
    """
    try:
        yield
    except SparkError:
        raise
    except Exception:
        _check(session, checks, out)
        raise
    _check(session, checks, out)


def _check(session: SparkSession, checks: ListedChecks, out: Path) -> None:
    files = [(file, sha256, errors) for file, (sha256, errors) in checks.listed.items()]
    if files:
        place = Place(Path.cwd(), out.absolute(), uuid4().hex)
        Jobs(session, place).written(len(files), CheckFiles(place, files).__call__)
