"""Fit a plan: pass by pass over the training rows, until no step is left to be fitted.

A pass learns every step whose sources are fitted already, so a plan takes as many passes as it has
fitted steps one behind the other: mostly one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import Rows, RowSource
from plumbline.columns.values import Values
from plumbline.features.fitting.accumulator import Accumulator, Target
from plumbline.features.fitting.groups import GroupStatistic, GroupTotals
from plumbline.features.fitting.moments import Extremes, Median, Moments
from plumbline.features.fitting.nodes import CHUNK, Learned, Node, nodes, resolved
from plumbline.features.fitting.quantiles import NumberCounts, QuantileStep
from plumbline.features.fitting.targets import TargetEncoding
from plumbline.features.fitting.vocabularies import CombinationCounts, ValueCounts
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators import Step
from plumbline.features.plan.chains import Chain, Runner, Source
from plumbline.features.plan.plan import OutputColumn, output_column
from plumbline.features.plan.unfitted import (
    FitCategorify,
    FitGroupStatistic,
    FitMedian,
    FitNormalize,
    FitNormalizeMinMax,
    FitQuantileBucketize,
    FitQuantileTransform,
    FitTargetEncoding,
    UnfittedColumn,
    UnfittedPlan,
)
from plumbline.features.plan.value_types import type_of

TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The plan's outputs, and for each the chain that training rows are encoded by.

    The two differ where a target is encoded: a training row must not know its own.
    """

    outputs: tuple[OutputColumn, ...]
    training: tuple[Chain, ...]


def fit(
    plan: UnfittedPlan, source: RowSource, folder: Path, progress: Callable[[int], None]
) -> Fitted:
    """Learn every unfitted step from the training split; their files go into the plan's `folder`.

    `progress` is called with the number of training rows of each chunk of each pass.

    Raises
    ------
    DataError
        The training split does not have what a step needs, or cannot be read.
    PlanError
        A step cannot take what comes to it.
    """
    chains = [column.chain for column in plan.outputs]
    kinds: dict[str, FeatureKind] = {**source.kinds, CLICK: "integer"}
    targets = targets_of(plan, kinds, folder)
    learned: dict[Node, Step] = {}
    for_training: dict[Node, Step] = {}
    while ready := _ready(chains, learned):
        accumulators = _accumulators(ready, kinds)
        tables = Tables(folder)
        readers = [
            _Reader(
                accumulator, [Runner(resolved(s, learned, for_training), tables) for s in reads]
            )
            for accumulator, reads in _distinct(accumulators.values())
        ]
        _one_pass(source, readers, progress)
        for node, accumulator in accumulators.items():
            step = learned[node] = accumulator.finish(targets[node])
            of_training = accumulator.for_training_rows(step, targets[node])
            if of_training is not None:
                for_training[node] = of_training
    kept = fitted_outputs(plan, learned)
    return Fitted(
        tuple(output for output, _ in kept),
        tuple(_fitted(column.chain, learned, for_training) for _, column in kept),
    )


def fitted_outputs(
    plan: UnfittedPlan, learned: Learned
) -> list[tuple[OutputColumn, UnfittedColumn]]:
    """The outputs with all that was learned put in, those left out that have too few ids."""
    outputs = [
        (output_column(column.name, _fitted(column.chain, learned), plan.inputs), column)
        for column in plan.outputs
    ]
    return [(output, column) for output, column in outputs if not _is_dropped(output, column)]


def _ready(chains: Sequence[Chain], learned: Learned) -> list[Node]:
    """The steps that can be fitted now, each once."""
    waiting = [node for node in dict.fromkeys(nodes(chains)) if node not in learned]
    return [node for node in waiting if all(needed in learned for needed in nodes(node.read))]


def _fitted(chain: Chain, learned: Learned, for_training: Learned | None = None) -> Chain:
    return cast(Chain, resolved(chain, learned, for_training))


def _is_dropped(output: OutputColumn, column: UnfittedColumn) -> bool:
    minimum = column.minimum_cardinality
    return minimum is not None and output.is_categorical and output.cardinality <= minimum


def targets_of(
    plan: UnfittedPlan, kinds: Mapping[str, FeatureKind], folder: Path
) -> dict[Node, Target]:
    """Where each step's files go: named after the output, and after the columns of inner steps.

    `kinds` has the click's, too, and those of columns that are only learned from, which are no
    inputs of the plan.
    """
    found: dict[Node, Target] = {}
    names: set[str] = set()
    for column in plan.outputs:
        of_output = list(nodes([column.chain]))
        for node in of_output:
            if node in found:
                continue
            columns = Chain(node.sources, (node.step,)).columns
            name = column.name if node == of_output[-1] else "_".join(columns)
            while name in names:
                name += "_"
            names.add(name)
            types = tuple(type_of(source, kinds, column.name) for source in node.sources)
            found[node] = Target(name, columns, types, folder)
    return found


def _accumulators(
    ready: Sequence[Node], kinds: Mapping[str, FeatureKind]
) -> dict[Node, Accumulator]:
    made: dict[Node, Accumulator] = {}
    totals: dict[tuple[tuple[Source, ...], Source | None], GroupTotals] = {}
    numbers: dict[tuple[Source, ...], NumberCounts] = {}
    for node in ready:
        step, sources = node.step, node.sources
        if isinstance(step, FitGroupStatistic):
            group = (sources, step.measured)
            of_group = totals.setdefault(group, GroupTotals(*group))
            made[node] = GroupStatistic(step, of_group)
        elif isinstance(step, FitTargetEncoding):
            made[node] = TargetEncoding(step, sources)
        elif isinstance(step, FitCategorify):
            made[node] = _value_counts(node, step, kinds)
        elif isinstance(step, FitNormalize):
            made[node] = Moments(sources)
        elif isinstance(step, FitNormalizeMinMax):
            made[node] = Extremes(sources)
        elif isinstance(step, FitMedian):
            made[node] = Median(sources)
        elif isinstance(step, (FitQuantileBucketize, FitQuantileTransform)):
            counts = numbers.setdefault(sources, NumberCounts(sources))
            made[node] = QuantileStep(step, counts)
        else:
            raise TypeError(f"{type(step).__name__} cannot be fitted")
    return made


def _value_counts(
    node: Node, step: FitCategorify, kinds: Mapping[str, FeatureKind]
) -> ValueCounts | CombinationCounts:
    if len(node.sources) > 1 and step.shared is None:
        return CombinationCounts(step, node.sources)
    is_text = type_of(node.sources[0], kinds, "").element == "text"
    return ValueCounts(step, node.sources, is_text)


class _Reader:
    """Gives an accumulator what it reads of a chunk."""

    def __init__(self, accumulator: Accumulator, runners: Sequence[Runner]) -> None:
        self._accumulator = accumulator
        self._runners = runners

    def read(self, chunk: int, columns: Mapping[str, Values]) -> None:
        values = [runner(columns) for runner in self._runners]
        self._accumulator.add(chunk, values)


def _distinct(
    accumulators: Iterable[Accumulator],
) -> Iterator[tuple[Accumulator, tuple[Source, ...]]]:
    """Those that read rows, each once; statistics of one group read through one."""
    readers = dict.fromkeys(accumulator.reader for accumulator in accumulators)
    return ((accumulator, accumulator.sources) for accumulator in readers)


def _one_pass(
    source: RowSource, readers: Sequence[_Reader], progress: Callable[[int], None]
) -> None:
    """Every training row once: chunks are read ahead, and the readers share the threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        chunks = read_ahead(pool, source.chunks(TRAIN), THREADS)
        for number, rows in enumerate(chunks):
            columns = training_columns(rows, number)
            tasks = [pool.submit(reader.read, number, columns) for reader in readers]
            for task in tasks:
                task.result()
            progress(len(rows))


def training_columns(rows: Rows, chunk: int) -> dict[str, Values]:
    """The raw columns of training rows, the click and the chunk's number among them."""
    return {
        **rows.columns,
        CLICK: rows.click.astype(np.int64),
        CHUNK: np.full(len(rows), chunk, np.int64),
    }
