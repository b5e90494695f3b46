"""Errors of Spark's tasks, told to the driver and raised there in one line.

Spark passes on the text of a task's error, so the text carries the class and the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.base.errors import PlumblineError
from plumbline.base.exit_status import machine_errors
from plumbline.base.printable import one_line

_MARK = "told by a task of Plumbline: "
_TOLD = re.compile(re.escape(_MARK) + r"(\[.*\])")
_NO_PACKAGE = re.compile(r"ModuleNotFoundError: (No module named '[\w.]+')")
_OTHER_PYTHON = re.compile(r"(?:\[PYTHON_VERSION_MISMATCH\]|Python in worker has).*")
_FIRST_CAUSE = re.compile(r"(?:Caused by|Reason|failure|Exception|Error): (.+)")


class SparkError(PlumblineError):
    """Spark could not run the tasks."""


class TaskError(Exception):
    """Ends a task; its text tells the driver a `PlumblineError`."""


@contextmanager
def told(place: Path) -> Iterator[None]:
    """In a task: an error that a user can act on ends it so that `task_errors` raises it.

    An error of the machine names `place` if it names no file.
    """
    try:
        with machine_errors(place):
            yield
    except PlumblineError as error:
        raise TaskError(_MARK + json.dumps([type(error).__name__, str(error)])) from None


@contextmanager
def task_errors() -> Iterator[None]:
    """In the driver: raise the error that a task told, or say in one line what Spark lacks.

    Raises
    ------
    PlumblineError
        Of the class that the task raised, or `SparkError`. An error that is a
        bug in a task keeps its traceback.
    """
    try:
        yield
    except spark_errors() as error:
        text = str(error)
        if found := _TOLD.search(text):
            name, message = json.loads(found[1])
            raise _class_named(name)(message) from None
        if found := _NO_PACKAGE.search(text):
            raise SparkError(
                f"Wanted Spark workers that can import Plumbline, but one raises: {found[1]}. "
                "Install Plumbline with its locks there, in the same folder, or name the workers' "
                "Python in PYSPARK_PYTHON."
            ) from None
        if found := _OTHER_PYTHON.search(text):
            raise SparkError(
                f"Wanted Spark workers with the driver's Python: {one_line(found[0])} Name it in "
                "PYSPARK_PYTHON."
            ) from None
        if "Traceback (most recent call last)" in text:
            raise
        raise SparkError(
            f"Spark gave up: {_reason(text)}. Look into the logs of its executors."
        ) from None


def spark_errors() -> tuple[type[Exception], ...]:
    """The classes of what Spark raises in the driver."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return Py4JError, PySparkException


def _class_named(name: str) -> type[PlumblineError]:
    classes = [PlumblineError]
    for one in classes:
        classes += one.__subclasses__()
    return next((one for one in classes if one.__name__ == name), PlumblineError)


def _reason(text: str) -> str:
    found = _FIRST_CAUSE.search(text)
    return one_line(found[1] if found else text.strip().partition("\n")[0]).rstrip(".")
