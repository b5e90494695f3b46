"""The work of `plumbline init`: write a configuration for new logs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.errors import ConfigError
from plumbline.base.exit_status import machine_errors
from plumbline.base.files import write_text
from plumbline.rawlogs.inspect.proposal import Proposal, click_counts, propose
from plumbline.rawlogs.inspect.yaml_text import data_paths, to_yaml
from plumbline.settings.configuration import load_config


def describe_logs(
    files: Sequence[Path],
    out: Path,
    *,
    name: str | None,
    label: str | None,
    click: Sequence[str],
    force: bool,
) -> None:
    """Write a configuration for `files`, and say what to check in it.

    Raises
    ------
    ConfigError
        The file exists already.
    DataError
        A file is not usable, or no column can be the label.
    """
    if out.exists() and not force:
        raise ConfigError(f"{out}: the file exists already. Give another --out, or --force.")
    proposal = propose(list(files), name, label, list(click))
    command = _next_command(proposal, out)
    with machine_errors(out):
        write_text(out, to_yaml(proposal, command))
    load_config(out)
    _report(proposal, out, command)


def _report(proposal: Proposal, out: Path, command: str) -> None:
    clicks, rows = click_counts(proposal.label)
    share = f"{clicks / max(rows, 1):.2%} of {rows:,} rows are clicks"
    say(f"{out}: label {proposal.label.column!r}, {share}")
    for check in proposal.checks:
        say(f"  check {check}", style="yellow")
    say(command)


def _next_command(proposal: Proposal, out: Path) -> str:
    paths = map(str, data_paths(proposal))
    return shlex.join(["plumbline", "run", "--config", str(out), "--data", *paths])
