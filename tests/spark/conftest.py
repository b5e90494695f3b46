"""One Spark session for all tests of a process: starting one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from plumbline.spark.missing_spark import missing_spark
from plumbline.spark.session import spark_session

LACKING = missing_spark()


@pytest.fixture(scope="session")
def spark() -> Iterator[None]:
    """Skips the test where Spark cannot run."""
    if LACKING is not None:
        pytest.skip(f"{LACKING.what}. {LACKING.remedy}.")
    yield


@pytest.fixture(scope="session")
def session(spark: None) -> Iterator[Any]:
    """Two tasks at a time; a task that fails is tried twice more."""
    with spark_session("local[2,3]") as session:
        session.conf.set("spark.sql.shuffle.partitions", 3)
        yield session
