"""Compile one workflow that NVTabular has fitted, run it everywhere, and compare the results."""

from __future__ import annotations

import copy
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.nvtabular_tests_compare import differing_rows
from benchmarks.nvtabular_tests_executors import (
    differing_columns,
    kept,
    online,
    read,
    refusals,
    written,
)
from benchmarks.nvtabular_tests_kinds import arrow_table, encoded_outputs, kinds_of, typed_rows
from benchmarks.nvtabular_tests_reasons import Difference, reason_of
from plumbline.base.errors import PlanError, PlumblineError
from plumbline.features.plan.plan import Plan, read_plan, write_plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted
from plumbline.nvtabular.library import Workflow

EQUAL, TIES, DOCUMENTED = "equal", "equal but for ties", "differs as documented"
ALONE, REFUSED = "only NVTabular fails", "refused"
UNDOCUMENTED, RAW = "undocumented difference", "raw exception"
OUTCOMES = (EQUAL, TIES, DOCUMENTED, ALONE, REFUSED, UNDOCUMENTED, RAW)
"""A case has the last of those that its comparisons have."""

FILTERED = "conditions are for training rows"


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    detail: str = ""


@dataclass(slots=True)
class Fit:
    """A workflow that a test has fitted, and its rows."""

    workflow: Workflow
    """As it was before."""
    frame: pd.DataFrame
    fitted: Workflow | None = None
    encoded: pd.DataFrame | None = None
    """The rows as NVTabular encodes them; None if it fails."""
    failure: str = ""


def tried(fit: Fit) -> Outcome:
    """The last of `OUTCOMES` that the workflow has."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcomes = [*_outcomes(fit, Path(folder))]
    except Exception as error:  # noqa: BLE001 - what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "plumbline" in frame.filename]
        at = f"{Path((ours or frames)[-1].filename).name}:{(ours or frames)[-1].lineno}"
        return Outcome(RAW, f"{type(error).__name__}: {error} ({at})")
    return max(outcomes, key=lambda outcome: OUTCOMES.index(outcome.kind))


def _outcomes(fit: Fit, folder: Path) -> Iterator[Outcome]:
    raw = arrow_table(fit.frame)
    try:
        kinds = kinds_of(raw)
        names = encoded_outputs(fit.workflow, kinds)
        workflow = _only(fit.workflow, names)
        unfitted = compile_unfitted(workflow, kinds)
        if not unfitted.outputs:
            raise PlanError("The graph has no output besides the click.")
    except PlumblineError as error:
        yield Outcome(REFUSED, str(error))
        return
    rows = typed_rows(raw, kinds)
    splits = written(rows, folder / "raw")
    messages = [*refusals(workflow, unfitted, kinds, splits, folder)]
    if messages:
        one_only = len(messages) == 1
        yield Outcome(UNDOCUMENTED if one_only else REFUSED, messages[0])
        return
    plan = read_plan(folder / "native" / "plan")
    encoded = read(folder / "native" / "test")
    patched = read(folder / "patched" / "test")
    for other, others in (("the NVTabular engine", patched), ("online", online(plan, rows))):
        for name in differing_columns(encoded, others):
            yield Outcome(UNDOCUMENTED, f"{name}: the native engine and {other} differ")
    if fit.encoded is None:
        yield Outcome(ALONE, fit.failure)
        return
    if unfitted.conditions:
        held = kept(rows, kinds, unfitted.conditions)
        rows, encoded = (table.filter(pa.array(held)) for table in (rows, encoded))
        if not held.all():
            yield Outcome(DOCUMENTED, FILTERED)
    against = partial(_against, unfitted, fit, rows)
    yield from against(plan, encoded, exact=False)
    left = [name for name in names if name in fit.fitted.output_schema.column_names]
    fitted = _only(fit.fitted, left).fit_schema(fit.fitted.input_schema)
    try:
        write_plan(folder / "compiled", *compile_fitted(fitted, kinds, folder / "compiled"))
    except PlumblineError as error:
        yield Outcome(REFUSED, f"Fitted by NVTabular: {error}")
        return
    compiled = read_plan(folder / "compiled")
    yield from against(compiled, online(compiled, rows), exact=True)


def _only(workflow: Workflow, names: Sequence[str]) -> Workflow:
    """The workflow without its other outputs; as it is if all of them are others."""
    return Workflow(copy.deepcopy(workflow).output_node[[*names]]) if names else workflow


def _against(
    unfitted: UnfittedPlan, fit: Fit, rows: pa.Table, plan: Plan, encoded: pa.Table, exact: bool
) -> Iterator[Outcome]:
    """Compare each output of a plan with NVTabular's.

    If `exact`, NVTabular has fitted the plan, so values with equal counts have its order.
    """
    theirs = fit.encoded
    chains = {column.name: column.chain for column in unfitted.outputs}
    others = {column.name for column in plan.outputs} ^ (chains.keys() & {*theirs.columns})
    if others:
        yield Outcome(UNDOCUMENTED, f"only one has the outputs {', '.join(sorted(others))}")
    if len(theirs) != len(encoded):
        yield Outcome(UNDOCUMENTED, f"{len(theirs)} rows in NVTabular, {len(encoded)} here")
        return
    which = "plan of the fitted workflow" if exact else "native engine"
    for column in plan.outputs:
        name = column.name
        if name in others:
            continue
        reference = theirs[name].reset_index(drop=True)
        differing, tied = differing_rows(plan, column, reference, encoded[name], exact)
        if not differing.any():
            yield Outcome(TIES if tied else EQUAL)
            continue
        reason = reason_of(
            Difference(chains[name], column.chain, differing, rows, reference, encoded[name])
        )
        if reason is not None:
            yield Outcome(DOCUMENTED, reason)
            continue
        row = int(np.argmax(differing))
        found = f"{reference[row]} in NVTabular, {encoded[name][row].as_py()} here"
        yield Outcome(UNDOCUMENTED, f"{name}, {which}, {differing.sum()} rows: row {row}: {found}")
