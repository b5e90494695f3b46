"""The command `plumbline`. Each file in `pipelines/` and `serving/` runs one of its commands."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import typer
from typer.core import TyperGroup

from plumbline.base.errors import PlumblineError
from plumbline.base.exit_status import exit_status
from plumbline.base.json_lines import write_json_lines
from plumbline.base.printable import sentence
from plumbline.base.threads import let_waiting_threads_sleep
from plumbline.commands.accept import accept
from plumbline.commands.arguments import Command, Group
from plumbline.commands.compare import compare
from plumbline.commands.drift import drift
from plumbline.commands.init import init
from plumbline.commands.kernels import kernels
from plumbline.commands.operators import operators
from plumbline.commands.probe import probe
from plumbline.commands.publish import export, publish
from plumbline.commands.score import score
from plumbline.commands.server import server
from plumbline.commands.stages import run, stage_command
from plumbline.commands.status import status
from plumbline.commands.train import train
from plumbline.commands.verify import verify
from plumbline.stages.run_all import STAGES

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    help="Raw click logs to a served click-through-rate model.",
    epilog="Exit status: 0 done, 2 an error in one line, 3 drift --fail-above, 130 Ctrl-C, "
    "1 a bug.",
)
client = typer.Typer(help="The client of a served model.")
app.add_typer(client, name="client", hidden=True)  # for `serving/client.py`
for group in (app, client):
    group.callback()(lambda: None)
OWN_COMMANDS: dict[str, Callable[..., None]] = {"export": export, "train": train}
"""Stages whose command has options of its own."""

GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "From a log to a report": (init, run, status, compare, drift),
    "Serving": (server, score, publish, verify, accept, probe),
    "What there is": (operators, kernels),
}
for panel, members in GROUPS.items():
    for command in members:
        app.command(cls=Command, rich_help_panel=panel)(command)
for name, purpose in STAGES.items():
    stage = OWN_COMMANDS.get(name) or stage_command(name)
    app.command(name, cls=Command, help=purpose, rich_help_panel="Single stages, in order")(stage)
client.command(cls=Command)(score)


def main(name: str | None = None) -> None:
    """Run the command in `sys.argv`; with `name`, that command on all the arguments.

    An error that a user can act on is one line and exit status 2: see `exit_status`.
    """
    logging.basicConfig(level=logging.WARNING)
    write_json_lines(False)
    let_waiting_threads_sleep()
    chosen = typer.main.get_command(app)
    if name is not None and isinstance(chosen, TyperGroup):
        chosen = chosen.commands[name]
    program = Path(sys.argv[0]).name if name is not None else "plumbline"
    with exit_status():
        try:
            with chosen.make_context(program, sys.argv[1:]) as context:
                chosen.invoke(context)
        except typer.Exit as end:
            sys.exit(end.exit_code)
        except typer.TyperException as error:
            failed = getattr(error, "ctx", None)
            path = failed.command_path if failed is not None else program
            message = error.format_message().replace(": Value error, ", ": ")
            raise PlumblineError(f"{sentence(message)} See {path} --help.") from None
