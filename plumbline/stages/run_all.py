"""Raw logs to served scores: every stage in order, then the report.

A complete stage is skipped, so a killed run continues where it stopped.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.errors import StageError
from plumbline.base.exit_status import machine_errors
from plumbline.stages.run import Run
from plumbline.stages.stage import Stage

STAGES = {
    "generate": "Draw raw logs from a click model, if the configuration has one.",
    "ingest": "Check and count the raw logs, and take the probe split.",
    "etl": "Fit the features, encode every split, write the feature plan.",
    "train": "Train the DLRM on the encoded rows; resumes a killed training.",
    "evaluate": "Score the other splits offline: metrics, baselines, a verdict.",
    "export": "Write plan and weights as Triton model repositories.",
    "serve": "Start Triton on the repository; compare and time its scores.",
}
"""The stages in order, and what each does. `plumbline/stages/NAME.py` is imported only when the
stage runs, because some libraries take seconds to import."""

FIRST, LAST = next(iter(STAGES)), list(STAGES)[-1]


def stage_named(name: str) -> Stage:
    stage: Stage = import_module(f"plumbline.stages.{name}").STAGE
    return stage


def stages_to_run(run: Run, *, start: str | None, last: str) -> list[str]:
    """The stages of a run up to `last`; its graph is compiled, before anything is read or made.

    Raises
    ------
    PlumblineError
        This run has no stage `start`, or its graph cannot be compiled.
    """
    names = _stages_of(run, last)
    if start is not None and start not in names:
        raise StageError(f"--from {start}: this run has the stages {', '.join(names)}.")
    if "etl" in names:
        from plumbline.stages.etl import check_graph

        check_graph(run)
    return names


def run_all(
    run: Run, folder: Path, names: list[str], *, start: str | None, force: bool, verify: bool
) -> None:
    """Run these stages, and write the report after the last stage of all.

    Complete stages are skipped, except those from `start` on, or all with `force`.
    With `verify`, the files of skipped stages are checked.

    Raises
    ------
    PlumblineError
        See `Stage.ensure`.
    """
    again = names if force else names[names.index(start) :] if start else []
    for name in names:
        stage_named(name).ensure(run, folder, force=name in again, verify=verify)
    if names[-1] == LAST:
        from plumbline.stages.report.write import write_report

        with machine_errors(folder):
            report = write_report(run, folder, names)
        say(f": {report}", label="report")


def _stages_of(run: Run, last: str) -> list[str]:
    """The stages of this run, up to `last`."""
    names = list(STAGES)
    upto = names[: names.index(last) + 1]
    return upto if run.config.click_model is not None else [n for n in upto if n != FIRST]
