"""Raw logs to served scores: every stage in order, then the report.

A complete stage is skipped; a killed run goes on where it stopped.
"""

from __future__ import annotations

import argparse

from plumbline.base.console import say
from plumbline.base.errors import StageError
from plumbline.stages import etl, evaluate, export, generate, ingest, serve, train
from plumbline.stages.command import guarded, run_config, run_folder, run_parser
from plumbline.stages.report import write_report
from plumbline.stages.stage import RunConfig, Stage

STAGES = (
    generate.STAGE,
    ingest.STAGE,
    etl.STAGE,
    train.STAGE,
    evaluate.STAGE,
    export.STAGE,
    serve.STAGE,
)
NAMES = [stage.name for stage in STAGES]


def run_all(options: argparse.Namespace) -> None:
    run = run_config(options)
    folder = run_folder(options, run)
    stages = _chosen(run, options.to)
    names = [stage.name for stage in stages]
    if options.start is not None and options.start not in names:
        raise StageError(f"--from {options.start}: this run has the stages {', '.join(names)}.")
    forced_from = (
        0 if options.force else names.index(options.start) if options.start else len(names)
    )
    for stage in stages:
        stage.check(run)
    for position, stage in enumerate(stages):
        stage.ensure(run, folder, force=position >= forced_from)
    if stages[-1] is serve.STAGE:
        report = write_report(run, folder, names)
        say(f": {report}", label="report")


def _chosen(run: RunConfig, last: str) -> list[Stage]:
    """The stages of this configuration up to the one named `last`."""
    drawn = run.config.click_model is not None
    upto = STAGES[: NAMES.index(last) + 1]
    return [stage for stage in upto if drawn or stage is not generate.STAGE]


def main() -> None:
    parser = run_parser(__doc__ or "")
    parser.add_argument("--from", dest="start", choices=NAMES, help="run again from this stage on")
    parser.add_argument("--to", choices=NAMES, default=NAMES[-1], help="stop after this stage")
    options = parser.parse_args()
    guarded(lambda: run_all(options))
