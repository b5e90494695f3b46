"""A plan of Criteo's size without a fit, and requests for it.

26 columns of ids over 33.7 million values, 13 of numbers, as `benchmarks/criteo_rows.py` has them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.criteo_rows import (
    CARDINALITIES,
    CATEGORICAL,
    CONTINUOUS,
    KINDS,
    MISSING,
    value_of,
)
from plumbline.columns.wire import CATEGORICAL_INT64, NULL_INT64, Tensors
from plumbline.columns.wire import CONTINUOUS as NUMBERS
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.plan.plan import InputColumn, Plan, output_column, write_plan
from plumbline.features.steps.chains import Chain


def criteo_plan(folder: Path, share: float) -> Plan:
    """A plan with vocabularies of Criteo's cardinalities, or a share of them."""
    inputs = tuple(InputColumn(name, kind) for name, kind in KINDS.items())
    chains = {}
    for name, cardinality in zip(CATEGORICAL, CARDINALITIES, strict=True):
        values = value_of(np.arange(1, 1 + max(1, int(cardinality * share))))
        step = Categorify.written(
            folder, name, [pa.array(values)], np.arange(len(values), 0, -1),
            frequency_threshold=0, limit=None, num_buckets=1, sources=[name],
        )  # fmt: skip
        chains[name] = Chain((name,), (step,))
    numbers = (FillMissing(0.0), Clip(0.0, None), Log(), Normalize(1.5, 1.2))
    chains |= {name: Chain((name,), numbers) for name in CONTINUOUS}
    outputs = tuple(output_column(name, chain, inputs) for name, chain in chains.items())
    return write_plan(folder, inputs, outputs)


def requests_of(rows: int, count: int) -> list[Tensors]:
    """`count` requests of `rows` rows, drawn by Zipf's law over the whole vocabularies."""
    generator = np.random.default_rng(7)
    requests: list[Tensors] = []
    for _ in range(count):
        share = generator.random((rows, len(CATEGORICAL)))
        ids = value_of(np.floor(np.array(CARDINALITIES) ** share).astype(np.int64))
        ids[generator.random(ids.shape) < MISSING] = NULL_INT64
        numbers = np.floor(generator.lognormal(1.5, 2.0, (rows, len(CONTINUOUS))))
        numbers[generator.random(numbers.shape) < MISSING] = np.nan
        requests.append({NUMBERS: numbers.astype(np.float32), CATEGORICAL_INT64: ids})
    return requests
