"""The work of `plumbline init`: write a configuration for new logs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from plumbline.base.console import tell
from plumbline.base.errors import ConfigError
from plumbline.base.exit_status import machine_errors
from plumbline.base.files import write_text
from plumbline.rawlogs.inspect.proposal import Proposal, click_counts, propose
from plumbline.rawlogs.inspect.yaml_text import data_paths, to_yaml
from plumbline.settings import Config
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
    _report(proposal, load_config(out), out, command)


def _report(proposal: Proposal, config: Config, out: Path, command: str) -> None:
    """Say what was inferred, as the configuration has it, what to check, and what to do next."""
    clicks, rows = click_counts(proposal.label)
    share = f"{clicks / max(rows, 1):.2%} of {rows:,} rows are clicks"
    tell(
        "inferred",
        f"{out}: label {config.label_column!r}, {share}",
        name=config.name,
        label=config.label_column,
        click=config.label.click,
        at_least=config.label.at_least,
        rows=rows,
        clicks=clicks,
        split=config.split.by,
        columns=config.log.columns,
        tables={name: table.columns for name, table in config.tables.items()},
    )
    for check in proposal.checks:
        tell("warning", f"  check {check}", style="yellow", text=check)
    tell("written", command, file=str(out), next=command)


def _next_command(proposal: Proposal, out: Path) -> str:
    paths = map(str, data_paths(proposal))
    return shlex.join(["plumbline", "run", "--config", str(out), "--data", *paths])
