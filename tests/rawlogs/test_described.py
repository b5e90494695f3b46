"""What an ingest says about the log: missing values, and clicks along it; in both forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.rawlogs.ingest import Ingested, ingest, ingest_typed
from plumbline.settings import Config

LINES = [
    f"{int(row % 3 == 0)},{'' if row % 4 == 0 else row},{row},{row:x},{'' if row < 5 else 'w'}"
    for row in range(60)
]


@pytest.fixture(params=[ingest, ingest_typed], ids=["survey", "typed"])
def made(
    request: pytest.FixtureRequest, make_config: Callable[..., Config], tmp_path: Path
) -> Ingested:
    file = tmp_path / "log.csv"
    file.write_text("clicked,price,shop,hash,word\n" + "\n".join(LINES) + "\n")
    config = make_config(split={"by": "rows", "valid": 0.2, "test": 0.2})
    return request.param(config, [file], tmp_path / "out", lambda _: None)


def test_missing_values_are_counted(made: Ingested) -> None:
    assert made.missing == {"price": 15, "shop": 0, "hash": 0, "word": 5}


def test_clicks_are_counted_along_the_log(made: Ingested) -> None:
    course = made.course
    assert (course.span, course.rows) == (1, [1] * 60)
    assert course.clicks == [int(row % 3 == 0) for row in range(60)]
    assert course.splits["train"] == [1] * 36 + [0] * 24
    assert course.splits["test"] == [0] * 48 + [1] * 12


def test_clicks_of_a_split_by_time_are_in_the_order_of_time(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested]
) -> None:
    columns = {"clicked": "label", "at": "time", "shop": "integer"}
    config = make_config({"columns": columns}, split={"by": "time", "valid": 0.2, "test": 0.2})
    lines = [f"{int(second % 4 == 0)},{second},1" for second in reversed(range(1000, 1040))]
    made = ingest_text(config, "clicked,at,shop\n" + "\n".join(lines))
    assert made.course.clicks == [int(second % 4 == 0) for second in range(1000, 1040)]


def test_missing_values_of_side_tables_are_counted_after_the_join(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested], tmp_path: Path
) -> None:
    (tmp_path / "shops.txt").write_text("id,town\n0,a\n1,\n")
    table = {"file": "shops.txt", "columns": {"id": "key", "town": "string"}}
    log = {"columns": {"y": "label", "id": "integer"}, "header": False}
    text = "\n".join(f"{row % 2},{row % 3}" for row in range(30))
    made = ingest_text(make_config(log, tables={"shops": table}), text)
    assert made.missing == {"id": 0, "town": 20} and made.unmatched == {"shops": 10}
