"""NVTabular's workflow for Criteo's columns, fitted on drawn rows, and the plan compiled from it.

Needs NVTabular; only the vocabularies are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.criteo_rows import KINDS, write_parquet
from plumbline.columns.kinds import CLICK
from plumbline.features.plan.plan import Plan, write_plan
from plumbline.nvtabular.compile import compile_fitted
from plumbline.nvtabular.frames import FrameReader
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import Serial, Workflow
from plumbline.nvtabular.patched import set_folder
from plumbline.nvtabular.quiet import quiet
from plumbline.settings import WorkflowSettings


@dataclass(frozen=True, slots=True)
class Fitted:
    """`whole_rows` have no missing value: NVTabular fails on a single row with a missing value, and
    a Triton tensor cannot mark one as missing."""

    workflow: Any
    plan: Plan
    reader: FrameReader
    whole_rows: pa.Table


def criteo_workflow(folder: Path, frequency_threshold: int = 0) -> Workflow:
    """NVTabular's own operators, which write their statistics to `folder`; includes the click."""
    options = {"frequency_threshold": frequency_threshold}
    graph = build(WorkflowSettings(graph="criteo", options=options), KINDS, training_rows=0)
    workflow = Workflow(graph.workflow.output_node + CLICK)
    set_folder(workflow, folder)
    return workflow


def fit_criteo(folder: Path, rows: int) -> Fitted:
    write_parquet(folder / "train", rows)
    files = sorted((folder / "train").iterdir())
    reader = FrameReader(KINDS, "cpu")
    with quiet(), Serial():
        workflow = criteo_workflow(folder / "vocabulary").fit(reader.dataset(files))
        columns = compile_fitted(workflow, KINDS, folder / "plan")
        plan = write_plan(folder / "plan", *columns)
    whole_rows = pq.read_table(files[0]).drop_null()
    return Fitted(workflow, plan, reader, whole_rows)
