"""Fit NVTabular's workflow, and export it with Merlin Systems and as a plan of ours.

    python -m benchmarks.serve_merlin_export FOLDER ROWS

It runs in its own process, with Merlin Systems on the path. It writes `FOLDER/models`, Merlin
Systems' model repository; `FOLDER/plan`, our plan of the same workflow; and `FOLDER/rows.parquet`,
some of the rows without missing values. Merlin Systems writes pickles; only the benchmark's own
server loads them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.criteo_rows import KINDS
from benchmarks.criteo_workflow import fit_criteo
from plumbline.base.merlin_imports import merlin_imports
from plumbline.columns.kinds import CLICK

with merlin_imports():
    from merlin.systems.dag.ensemble import Ensemble
    from merlin.systems.dag.ops.workflow import TransformWorkflow

WHOLE_ROWS = 1000


def main(folder: Path, rows: int) -> None:
    fitted = fit_criteo(folder, rows)
    step = list(KINDS) >> TransformWorkflow(fitted.workflow, label_columns=[CLICK])
    schema = fitted.workflow.input_schema.select_by_name(list(KINDS))
    Ensemble(step, schema).export(str(folder / "models"))
    whole_rows = fitted.whole_rows.slice(0, WHOLE_ROWS).select(list(KINDS))
    pq.write_table(whole_rows, folder / "rows.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
