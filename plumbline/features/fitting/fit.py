"""Fit a plan in passes over the training rows, until every step is fitted.

A pass fits every step whose sources are already fitted, so a plan takes as many passes as its
longest sequence of fitted steps, usually one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import TRAIN, Rows, RowSource
from plumbline.columns.values import Values
from plumbline.features.fitting.appending import Earlier
from plumbline.features.fitting.kept import KeptStatistics, complete
from plumbline.features.fitting.nodes import CHUNK, Learned, Node, nodes, resolved
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn, output_column
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Chain, Runner, Source, type_of
from plumbline.features.steps.fit_step import Accumulator, Before, FitStep, Target
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import ValueType

ORDERED_AT_ONCE = 2
"""Vocabularies that are put in order at the same time: each is copied for it."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The plan's outputs, and for each the chain that encodes training rows.

    The two differ for target encoding, since a training row must not see its own target.
    """

    outputs: tuple[OutputColumn, ...]
    training: tuple[Chain, ...]
    left_out: Mapping[str, int]
    """Output to the number of values that a limit keeps out of its vocabulary, if not 0; of an
    appended day."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a pass learns for one step, or for several that share it: an accumulator of `step`,
    which reads the fitted `chains`.
    """

    step: FitStep[Any]
    types: tuple[ValueType, ...]
    """The types of the step's sources."""
    chains: tuple[Source, ...]

    def accumulator(self) -> Accumulator:
        """A new accumulator, of no rows."""
        new: Accumulator = self.step.accumulator(self.types)
        return new

    def reader(self, tables: Tables) -> Reader:
        """A reader with a new accumulator; `tables` are those of the plan's folder."""
        return Reader(self.accumulator(), [Runner(chain, tables) for chain in self.chains])


class Pass(Protocol):
    """Reads the training rows once."""

    def __call__(
        self,
        source: RowSource,
        readings: Sequence[Reading],
        folder: Path,
        progress: Callable[[int], None],
    ) -> list[Accumulator]:
        """The accumulators of all rows; `folder` is that of the plan's files so far."""


class Reader:
    """An accumulator, and the chains it reads."""

    def __init__(self, accumulator: Accumulator, runners: Sequence[Runner]) -> None:
        self.accumulator = accumulator
        self._runners = runners

    def read(self, chunk: int, columns: Mapping[str, Values]) -> None:
        values = [runner(columns) for runner in self._runners]
        self.accumulator.add(chunk, values)


def read_once(
    source: RowSource,
    readings: Sequence[Reading],
    folder: Path,
    progress: Callable[[int], None],
) -> list[Accumulator]:
    """The pass of one machine: chunks are read ahead, and the readers share the threads."""
    tables = Tables(folder)
    readers = [reading.reader(tables) for reading in readings]
    with ThreadPoolExecutor(THREADS) as pool:
        chunks = read_ahead(pool, source.chunks(TRAIN), THREADS)
        for number, rows in enumerate(chunks):
            columns = training_columns(rows, number)
            tasks = [pool.submit(reader.read, number, columns) for reader in readers]
            for task in tasks:
                task.result()
            progress(len(rows))
    return [reader.accumulator for reader in readers]


def fit(
    plan: UnfittedPlan,
    source: RowSource,
    folder: Path,
    progress: Callable[[int], None],
    statistics: Path | None = None,
    earlier: Earlier | None = None,
    one_pass: Pass = read_once,
) -> Fitted:
    """Fit every step on the training split; its files are written into the plan's `folder`.

    `progress` is called with the number of rows of each chunk, in each pass. `one_pass` reads the
    rows; by default, this machine does.

    The statistics are kept in the folder `statistics`, if it is given. With `earlier`, the fit goes
    on from the statistics of another plan, whose outputs and ids it keeps.

    Raises
    ------
    DataError
        The training split cannot be read, or lacks what a step needs.
    PlanError
        A step does not accept the type of its input.
    """
    kinds = training_kinds(source.kinds)
    targets = targets_of(plan, kinds, folder)
    names = {_reader_of(node): target.output for node, target in reversed(targets.items())}
    before = {} if earlier is None else earlier.steps(plan)
    if earlier is not None:
        plan = replace(plan, outputs=earlier.outputs(plan))
    chains = [column.chain for column in plan.outputs]
    left_out: dict[str, int] = {}
    learned: dict[Node, Step] = {}
    training_steps: dict[Node, Step] = {}
    for ready in _rounds(chains):
        if not ready[0].step.reads_rows:
            learned |= {
                node: node.step.fitted(node.step.accumulator(targets[node].types), targets[node])
                for node in ready
            }
            continue
        readings: dict[Hashable, Reading] = {}
        for node in ready:
            if _reader_of(node) not in readings:
                # As served rows are encoded: values of training rows may hang on drawn folds.
                chains_read = tuple(resolved(read, learned) for read in node.reads)
                readings[_reader_of(node)] = Reading(node.step, targets[node].types, chains_read)
        old = {}
        if earlier is not None:
            old = {key: reading.accumulator() for key, reading in readings.items()}
            KeptStatistics(earlier.statistics, names).restore(old)
        filled = one_pass(source, list(readings.values()), folder, progress)
        accumulators = dict(zip(readings, filled, strict=True))
        for key, accumulator in old.items():
            accumulator.merge(accumulators[key])
        accumulators |= old
        if statistics is not None:
            KeptStatistics(statistics, names).write(accumulators)
        for node, one in _learned(ready, accumulators, targets, before).items():
            learned[node] = one.step
            if one.of_training is not None:
                training_steps[node] = one.of_training
            if one.left_out:
                left_out[targets[node].output] = one.left_out
    if statistics is not None:
        complete(statistics)
    kept = fitted_outputs(plan, learned)
    return Fitted(
        tuple(output for output, _ in kept),
        tuple(_fitted(column.chain, learned, training_steps) for _, column in kept),
        left_out,
    )


@dataclass(frozen=True, slots=True)
class _Learned:
    """A fitted step, what replaces it for training rows, and see `Fitted.left_out`."""

    step: Step
    of_training: Step | None
    left_out: int


def _learned(
    ready: Sequence[Node],
    accumulators: Mapping[Hashable, Accumulator],
    targets: Mapping[Node, Target],
    before: Mapping[Node, Before],
) -> dict[Node, _Learned]:
    """Fit the steps, several at once; those that share an accumulator one after the other."""

    def learn(node: Node, accumulated: Accumulator) -> _Learned:
        target, left_out = targets[node], 0
        if node in before:
            appended = node.step.appended(accumulated, target, before[node])
            step, left_out = appended.step, appended.left_out
        else:
            step = node.step.fitted(accumulated, target)
        of_training = node.step.for_training_rows(accumulated, step, target)
        return _Learned(step, of_training, left_out)

    def learn_all(sharing: Sequence[Node]) -> list[tuple[Node, _Learned]]:
        return [(node, learn(node, accumulators[_reader_of(node)])) for node in sharing]

    groups: dict[Hashable, list[Node]] = {}
    for node in ready:
        groups.setdefault(_reader_of(node), []).append(node)
    with ThreadPoolExecutor(min(THREADS, ORDERED_AT_ONCE)) as pool:
        return dict(pair for found in pool.map(learn_all, groups.values()) for pair in found)


def fitted_outputs(
    plan: UnfittedPlan, learned: Learned
) -> list[tuple[OutputColumn, UnfittedColumn]]:
    """The fitted outputs with their columns, without those that have too few ids."""
    outputs = [
        (output_column(column.name, _fitted(column.chain, learned), plan.inputs), column)
        for column in plan.outputs
    ]
    return [(output, column) for output, column in outputs if not _is_dropped(output, column)]


def passes(plan: UnfittedPlan) -> int:
    """How often a fit of the plan reads the training rows."""
    rounds = _rounds([column.chain for column in plan.outputs])
    return sum(ready[0].step.reads_rows for ready in rounds)


def _rounds(chains: Sequence[Chain]) -> list[list[Node]]:
    """The distinct steps, together with those that are fitted at a time: in a pass, or without rows
    if they read none.
    """
    rounds: list[list[Node]] = []
    fitted: set[Node] = set()
    waiting = list(dict.fromkeys(nodes(chains)))
    while waiting:
        ready = [node for node in waiting if fitted.issuperset(nodes(node.reads))]
        rounds.append([node for node in ready if not node.step.reads_rows] or ready)
        fitted.update(rounds[-1])
        waiting = [node for node in waiting if node not in fitted]
    return rounds


def _reader_of(node: Node) -> Hashable:
    """A key that is equal for steps that share an accumulator."""
    return node.reads, node.step.shared_by


def _fitted(chain: Chain, learned: Learned, training_steps: Learned | None = None) -> Chain:
    return cast(Chain, resolved(chain, learned, training_steps))


def _is_dropped(output: OutputColumn, column: UnfittedColumn) -> bool:
    minimum = column.minimum_cardinality
    return minimum is not None and output.is_categorical and output.cardinality <= minimum


def targets_of(
    plan: UnfittedPlan, kinds: Mapping[str, FeatureKind], folder: Path
) -> dict[Node, Target]:
    """The target of each step. Files are named after the output, those of inner steps after their
    columns.

    `kinds` includes the click and the columns that are only used to fit, which are not inputs of
    the plan.
    """
    targets: dict[Node, Target] = {}
    names: set[str] = set()
    for column in plan.outputs:
        output_nodes = list(nodes([column.chain]))
        for node in output_nodes:
            if node in targets:
                continue
            columns = Chain(node.sources, (node.step,)).columns
            name = column.name if node == output_nodes[-1] else "_".join(columns)
            while name in names:
                name += "_"
            names.add(name)
            types = tuple(type_of(source, kinds, column.name) for source in node.sources)
            targets[node] = Target(name, columns, types, folder)
    return targets


def training_columns(rows: Rows, chunk: int) -> dict[str, Values]:
    """The raw columns of training rows, with the click and the index of the chunk."""
    return {
        **rows.columns,
        CLICK: rows.click.astype(np.int64),
        CHUNK: np.full(len(rows), chunk, np.int64),
    }


def training_kinds(kinds: Mapping[str, FeatureKind]) -> dict[str, FeatureKind]:
    """The kinds of `training_columns`, from those of the raw columns."""
    return {**kinds, CLICK: "integer", CHUNK: "integer"}
