"""Compile a workflow to a feature plan, fitted or unfitted as the workflow is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.columns import CLICK, FeatureKind
from features.errors import PlanError, UnsupportedOperator
from features.plan import InputColumn, OutputColumn
from features.steps.categorify import FIRST_VOCABULARY_ID
from features.unfitted import UnfittedColumn, UnfittedPlan
from features.vocabulary import Vocabulary
from workflows.chains import Chain, chains
from workflows.frames import merlin_input_schema
from workflows.library import Workflow, ops
from workflows.operators import SUPPORTED, compile_operator, compile_unfitted_operator

Compiled = tuple[tuple[InputColumn, ...], tuple[OutputColumn, ...], dict[str, Vocabulary]]


def compile_fitted(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> Compiled:
    """What `features.plan.write_plan` takes: inputs, outputs, and output column to vocabulary.

    Inputs are the columns of `kinds` that the workflow uses, in that order; outputs are the
    workflow's, in its order, without the click.

    Raises
    ------
    UnsupportedOperator
        An operator, a parameter, or an order of operators that has no compiled form.
    PlanError
        The workflow is not fitted, or uses a column that is not a feature.
    DataError
        Statistics that are not finite.
    """
    outputs: list[OutputColumn] = []
    vocabularies: dict[str, Vocabulary] = {}
    for chain in _feature_chains(workflow):
        made = tuple(
            compile_operator(applied.operator, applied.column) for applied in chain.applied
        )
        _check(chain, kinds)
        column = OutputColumn(chain.output, chain.source, made)
        outputs.append(column)
        if column.is_categorical:
            applied = chain.applied[0]
            vocabularies[column.name] = read_vocabulary(
                Path(applied.operator.categories[applied.column]),
                applied.column,
                kinds[column.source],
            )
    return _inputs(outputs, kinds), tuple(outputs), vocabularies


def compile_unfitted(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> UnfittedPlan:
    """The plan that an engine can fit; inputs and outputs are those of `compile_fitted`.

    Raises
    ------
    UnsupportedOperator
        An operator, a parameter, or an order of operators that has no compiled form.
    PlanError
        The workflow uses a column that is not a feature.
    """
    known = workflow if workflow.output_schema else workflow.fit_schema(merlin_input_schema(kinds))
    outputs = []
    for chain in _feature_chains(known):
        made = tuple(compile_unfitted_operator(a.operator, a.column) for a in chain.applied)
        _check(chain, kinds)
        outputs.append(UnfittedColumn(chain.output, chain.source, made))
    return UnfittedPlan(_inputs(outputs, kinds), tuple(outputs))


def read_vocabulary(path: Path, column: str, kind: FeatureKind) -> Vocabulary:
    """A fitted Categorify's `unique.<column>.parquet`, or the folder of parts it may be.

    The id of a value is its row's index in the file, which counts from 3; parts go on counting.

    Raises
    ------
    PlanError
        The ids are not 3, 4, …, or the values are not of the column's kind.
    """
    size = f"{column}_size"
    parts = sorted(path.glob("part.*.parquet"), key=_part_number) if path.is_dir() else [path]
    ids = np.concatenate([pd.read_parquet(part, columns=[size]).index for part in parts])
    if not np.array_equal(ids, np.arange(len(ids)) + FIRST_VOCABULARY_ID):
        raise PlanError(
            f"{path}: wanted ids from {FIRST_VOCABULARY_ID} on without a gap, found others. "
            "Was the vocabulary made by another version of NVTabular? Fit the workflow again."
        )
    table = pa.concat_tables([pq.read_table(part, columns=[column, size]) for part in parts])
    return Vocabulary(
        _values(table[column], column, kind),
        pa.array(ids, pa.int64()),
        table[size].cast(pa.int64()).combine_chunks(),
    )


def _values(values: pa.ChunkedArray, column: str, kind: FeatureKind) -> pa.Array:
    wanted = pa.string() if kind == "string" else pa.int64()
    if not len(values):  # pandas writes a column without any string as one of nulls
        return pa.array([], wanted)
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if is_text != (kind == "string") or not (is_text or pa.types.is_integer(values.type)):
        raise PlanError.wrong_type(column, f"a vocabulary of {wanted}", str(values.type))
    return values.cast(wanted).combine_chunks()


def _part_number(part: Path) -> int:
    return int(part.name.split(".")[1])


def _inputs(
    outputs: Sequence[OutputColumn | UnfittedColumn], kinds: Mapping[str, FeatureKind]
) -> tuple[InputColumn, ...]:
    used = {column.source for column in outputs}
    return tuple(InputColumn(name, kind) for name, kind in kinds.items() if name in used)


def _feature_chains(workflow: Workflow) -> list[Chain]:
    """The chains of all outputs but the click."""
    return [chain for chain in chains(workflow) if chain != Chain(CLICK, CLICK, ())]


def _check(chain: Chain, kinds: Mapping[str, FeatureKind]) -> None:
    """Its source is a feature column, and it is an id or a chain of float steps."""
    if chain.source not in kinds or chain.output == CLICK:
        raise PlanError(
            f"Column {chain.output!r} is made of {chain.source!r}: wanted a feature column, "
            f"one of {', '.join(kinds)}. The click itself has to pass through unchanged."
        )
    kind = kinds[chain.source]
    names = [type(applied.operator).__name__ for applied in chain.applied]
    categorical = [isinstance(applied.operator, ops.Categorify) for applied in chain.applied]
    if kind == "continuous" and any(categorical):
        raise _unsupported(chain, "Categorify on a continuous column")
    if kind != "continuous" and not any(categorical):
        by = f" by {', '.join(names)}" if names else ""
        raise _unsupported(chain, f"a column of kind {kind} as a number{by}")
    if any(categorical) and len(categorical) > 1:
        raise _unsupported(chain, f"Categorify together with others ({', '.join(names)})")


def _unsupported(chain: Chain, what: str) -> UnsupportedOperator:
    return UnsupportedOperator.in_workflow(what, [chain.output], SUPPORTED)
