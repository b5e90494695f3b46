"""`plumbline train`: the stage, in one process or several."""

from __future__ import annotations

from plumbline.base.json_lines import write_json_lines
from plumbline.commands.options import (
    AsJson,
    ConfigFile,
    Data,
    DeviceName,
    EngineName,
    Force,
    ModelName,
    Out,
    Scheduler,
    Verify,
    run_of,
)
from plumbline.commands.processes import ProcessCount, in_processes
from plumbline.commands.stages import working_in
from plumbline.stages.run import DEFAULT_CONFIG, Run
from plumbline.stages.run_all import stage_named


def train(
    config: ConfigFile = DEFAULT_CONFIG,
    data: Data = None,
    out: Out = None,
    engine: EngineName = "auto",
    scheduler: Scheduler = None,
    model: ModelName = "fused",
    device: DeviceName = "auto",
    nproc: ProcessCount = None,
    force: Force = False,
    verify: Verify = False,
    as_json: AsJson = False,
) -> None:
    """Train the DLRM. The stages that it needs must be complete."""
    write_json_lines(as_json)
    chosen, folder = run_of(config, data, out, engine, scheduler, model, device)

    def work(run: Run) -> None:
        with working_in(folder):
            stage_named("train").ensure(run, folder, force=force, verify=verify)

    in_processes(nproc, chosen, work)
