"""A plan with every measure, and rows of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.plan.plan import Plan
from tests.plans import categorify, plan_of
from tests.row_sources import table_of

KINDS = {"price": "continuous", "city": "string", "tags": "string_list"}


def measured_plan(folder: Path) -> Plan:
    return plan_of(
        folder,
        dict(KINDS),
        price=("price", FillMissing(0.0)),
        city=("city", categorify(folder, "city", ["Oslo", "Rome"], num_buckets=2)),
        hashed=("city", HashBucket(4)),
        tags=("tags", categorify(folder, "tags", ["new", "old"])),
        nameless=("city", IsMissing()),
    )


def measured_rows(repeats: int = 1) -> pa.Table:
    """Five different rows, one after the other, so often."""
    return table_of(
        KINDS,  # type: ignore[arg-type]
        [1, 0, 0, 1, 0] * repeats,
        price=[1.0, 2.0, 3.0, 4.0, None] * repeats,
        city=["Oslo", "Oslo", "Rome", "Atlantis", None] * repeats,
        tags=[["new"], [], ["old", "new", "x"], [], ["new"]] * repeats,
    )
