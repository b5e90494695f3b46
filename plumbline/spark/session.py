"""The Spark session of a stage."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from plumbline.base.printable import one_line
from plumbline.spark.errors import SparkError, spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOPBACK = {"SPARK_LOCAL_IP": "127.0.0.1"}
"""So that Spark on this machine listens to this machine alone."""


@contextmanager
def spark_session(master: str) -> Iterator[SparkSession]:
    """A session on this master, which ends with the block.

    What is not set here comes from Spark's own places: `conf/spark-defaults.conf`, and the options
    in PYSPARK_SUBMIT_ARGS. Workers run the driver's Python, unless PYSPARK_PYTHON names another.

    Raises
    ------
    SparkError
        The master's address is wrong, or no master answers there.
    """
    from pyspark.sql import SparkSession

    is_here = master.startswith("local")
    settings = {"PYSPARK_PYTHON": sys.executable, **(_LOOPBACK if is_here else {})}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    builder = SparkSession.builder.master(master).appName("plumbline")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    if is_here:
        builder = builder.config("spark.ui.enabled", "false")
    try:
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        session.range(1).count()  # Spark tells only a job that no master answers
    except spark_errors() as error:
        raise SparkError(
            f"--master {master}: wanted a Spark master that answers, such as local[*] or "
            f"spark://HOST:7077; Spark says: {_reason(error)}."
        ) from None
    try:
        yield session
    finally:
        session.stop()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = next((line for line in lines if line.startswith(": ")), lines[0] if lines else "")
    return one_line(reason.removeprefix(": ")).rstrip(".")
