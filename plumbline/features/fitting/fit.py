"""Fit a plan: pass by pass over the training rows, until no step is left to be fitted.

A pass learns every step whose sources are fitted already, so a plan takes as many passes as its
longest sequence of fitted steps: mostly one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import TRAIN, Rows, RowSource
from plumbline.columns.values import Values
from plumbline.features.fitting.nodes import CHUNK, Learned, Node, nodes, resolved
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn, output_column
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Chain, Runner, type_of
from plumbline.features.steps.fit_step import Accumulator, Target
from plumbline.features.steps.step import Step


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
        A step cannot take what it is given.
    """
    chains = [column.chain for column in plan.outputs]
    kinds: dict[str, FeatureKind] = {**source.kinds, CLICK: "integer"}
    targets = targets_of(plan, kinds, folder)
    learned: dict[Node, Step] = {}
    for_training: dict[Node, Step] = {}
    while ready := _ready(chains, learned):
        tables = Tables(folder)
        readers: dict[Hashable, _Reader] = {}
        for node in ready:
            if _reader_of(node) not in readers:
                chains_read = [resolved(one, learned, for_training) for one in node.reads]
                readers[_reader_of(node)] = _Reader(
                    node.step.accumulator(targets[node].types),
                    [Runner(chain, tables) for chain in chains_read],
                )
        _one_pass(source, list(readers.values()), progress)
        for node in ready:
            accumulated = readers[_reader_of(node)].accumulator
            step = learned[node] = node.step.fitted(accumulated, targets[node])
            of_training = node.step.for_training_rows(accumulated, step, targets[node])
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
    return [node for node in waiting if all(needed in learned for needed in nodes(node.reads))]


def _reader_of(node: Node) -> Hashable:
    """The same for steps that share an accumulator."""
    return node.reads, node.step.shared_by


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


class _Reader:
    """An accumulator, and the chains that it reads."""

    def __init__(self, accumulator: Accumulator, runners: Sequence[Runner]) -> None:
        self.accumulator = accumulator
        self._runners = runners

    def read(self, chunk: int, columns: Mapping[str, Values]) -> None:
        values = [runner(columns) for runner in self._runners]
        self.accumulator.add(chunk, values)


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
