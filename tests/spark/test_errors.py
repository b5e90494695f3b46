"""What Spark says, as one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.base.errors import DataError, MachineError, PlumblineError
from plumbline.spark.errors import SparkError, TaskError, task_errors, told

pytestmark = pytest.mark.usefixtures("spark")

IN_A_TASK = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/x/plumbline/spark/tasks.py", line 1, in __call__
{}
"""


def raised_for(text: str) -> PlumblineError:
    from pyspark.errors import PySparkException

    with pytest.raises(PlumblineError) as raised, task_errors():
        raise PySparkException(text)
    return raised.value


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (DataError("log.csv: “é”\n[1] is not it]."), DataError("log.csv: “é”\n[1] is not it].")),
        (
            OSError(28, "No space left on device", "/x"),
            MachineError("/x: No space left on device."),
        ),
        (OSError(28, "No space"), MachineError("/place: No space left on device.")),
    ],
)
def test_an_error_that_a_task_tells(error: Exception, wanted: PlumblineError) -> None:
    with pytest.raises(TaskError) as ended, told(Path("/place")):
        raise error
    line = f"plumbline.spark.errors.TaskError: {ended.value}"
    found = raised_for(IN_A_TASK.format(line))
    assert type(found) is type(wanted) and str(found) == str(wanted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            IN_A_TASK.format("ModuleNotFoundError: No module named 'plumbline'"),
            "Wanted Spark workers that can import Plumbline, but one raises: No module named "
            "'plumbline'. Install Plumbline with its locks there, in the same folder, or name the "
            "workers' Python in PYSPARK_PYTHON.",
        ),
        (
            IN_A_TASK.format(
                "pyspark.errors.exceptions.base.PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] "
                "Python in worker has different version (3, 9) than that in driver 3.11, PySpark "
                "cannot run with different minor versions."
            ),
            "Wanted Spark workers with the driver's Python: [PYTHON_VERSION_MISMATCH] Python in "
            "worker has different version (3, 9) than that in driver 3.11, PySpark cannot run with "
            "different minor versions. Name it in PYSPARK_PYTHON.",
        ),
        (
            "An error occurred while calling o53.collectToPython.\n: org.apache.spark.Spark"
            "Exception: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times.\n"
            "\tat java.base/x",
            "Spark gave up: Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times. "
            "Look into the logs of its executors.",
        ),
        ("lost", "Spark gave up: lost. Look into the logs of its executors."),
    ],
)
def test_what_spark_lacks(text: str, message: str) -> None:
    error = raised_for(text)
    assert type(error) is SparkError
    assert str(error) == message


def test_a_bug_keeps_its_traceback() -> None:
    from pyspark.errors import PySparkException

    with pytest.raises(PySparkException, match="KeyError: 'x'"), task_errors():
        raise PySparkException(IN_A_TASK.format("KeyError: 'x'"))
