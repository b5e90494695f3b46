"""Progressive validation: a day is scored by the model so far, before anything learns from it.

Blum, Kalai and Langford 1999, "Beating the Hold-Out: Bounds for K-fold and Progressive
Cross-Validation".

Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.console import progress_bar, say
from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.rows import TRAIN, Chunk, RowSource
from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.score.evaluation import BATCH_SIZE
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.encoder import Encoded, Encoder
from plumbline.features.encoding.request import positions_of_columns, request_of_columns
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.rawlogs.splits.split import SPLITS
from plumbline.stages.finished import Finished
from plumbline.stages.run import PARENT, Run
from plumbline.stages.served_model import needs_for_served_model, precision, served_model

EncodedDay: TypeAlias = tuple[Encoded, NDArray[np.int8]]
"""Encoded rows, and click_B."""


def needs(run: Run) -> tuple[str, ...]:
    return ("ingest", f"{PARENT}etl", *(PARENT + name for name in needs_for_served_model(run)))


def score_day(
    run: Run,
    inputs: Mapping[str, Finished],
    source: RowSource,
    out: Path,
) -> dict[str, Any]:
    """The metrics of the parent's model on the day's rows; `out` is for temporary files.

    If the training split has only a share of the rows without a click, it is left out: all metrics
    would be of other clicks than those that are served.
    """
    plan = read_plan(inputs[f"{PARENT}etl"].path("plan"))
    of_parent = {name: inputs[PARENT + name] for name in needs_for_served_model(run)}
    scorer = Scorer.load(served_model(run, of_parent), plan.content_hash, precision=precision(run))
    sampled = inputs["ingest"].manifest.facts["keep_negatives"] < 1.0
    splits = [split for split in SPLITS if not (sampled and split == TRAIN)]
    total = sum(source.splits[split] for split in splits)
    metrics = ClickMetrics(folder=out)
    with progress_bar("scoring", total) as progress:
        for split in splits:
            for click_B, probability_B in scores_of(plan, scorer, source, split):
                metrics.add(click_B, probability_B)
                progress(len(click_B))
    found = metrics.result()
    say(
        f"  before training: AUC {found.auc:.4f}, log loss {found.logloss:.4f}, calibration "
        f"{found.calibration:.3f} on {found.rows:,} rows of the day"
    )
    return asdict(found)


def scores_of(
    plan: Plan, scorer: Scorer, source: RowSource, split: str
) -> Iterator[tuple[NDArray[np.int8], NDArray[np.float32]]]:
    """click_B and probability_B of the rows of a split in order, batch by batch, as served."""
    positions = positions_of_columns(source.kinds)
    chains = [output.chain for output in plan.outputs]
    encoder = Encoder(plan.outputs, chains, plan.tables(), source.kinds, positions)
    with ThreadPoolExecutor(THREADS) as pool:
        jobs = (partial(_encoded, encoder, source, chunk) for chunk in source.chunks(split))
        for encoded, click_B in read_ahead(pool, jobs, THREADS):
            for start in range(0, len(click_B), BATCH_SIZE):
                rows = np.arange(start, min(start + BATCH_SIZE, len(click_B)))
                probability_B = scorer.score(
                    np.ascontiguousarray(encoded.ids_BF[rows]),
                    np.ascontiguousarray(encoded.dense_BC[rows]),
                    [bag.take(rows) for bag in encoded.bags],
                )
                yield click_B[rows], probability_B


def _encoded(encoder: Encoder, source: RowSource, chunk: Chunk) -> EncodedDay:
    rows = chunk()
    request = request_of_columns(rows.columns, source.kinds)
    return encoder.encode(request, rows.columns, len(rows)), rows.click
