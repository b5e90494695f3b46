"""Metrics of rows that several processes have scored, each its share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, fields

import numpy as np
import torch

from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.metrics.metrics import Metrics
from plumbline.dlrm.metrics.pair_counts import COUNTS, Counts
from plumbline.dlrm.processes.group import Group


def merged(own: ClickMetrics, group: Group) -> Metrics:
    """The metrics of all processes' rows, in every process; the AUC is exact.

    The first process gets the others' counts a block at a time, and keeps them in bounded memory.
    `own` must not be used afterwards.

    Raises
    ------
    DataError
        There are no rows, or all or none of them have a click.
    """
    sums = group.gathered(torch.tensor(own.sums(), dtype=torch.float64))
    blocks: Iterator[Counts] = iter(()) if group.leads else own.pairs.blocks()
    if group.leads:
        for other in sums[1:]:
            own.add_sums(other.tolist())
    while True:
        block = next(blocks, np.empty(0, COUNTS))
        received = group.gathered(torch.from_numpy(block.view(np.uint8).copy()))
        if not any(map(len, received)):
            break
        if group.leads:
            for counts in filter(len, received):
                own.pairs.add_counts(counts.numpy().view(COUNTS))
    values = torch.zeros(len(fields(Metrics)), dtype=torch.float64)
    if group.leads:
        values = torch.tensor(astuple(own.result()), dtype=torch.float64)
    rows, *others = group.broadcast_(values).tolist()
    return Metrics(int(rows), *others)
