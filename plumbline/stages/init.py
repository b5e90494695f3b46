"""Look at logs that nobody has described, and write a configuration for them.

The first file is the log; further ones of the same columns are parts of it, others are tables to
join to it where they share a key. What is guessed stands in the configuration with the reason.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.errors import ConfigError
from plumbline.base.files import write_text
from plumbline.rawlogs.inspect.proposal import Proposal, click_counts, propose
from plumbline.rawlogs.inspect.yaml_text import data_paths, to_yaml
from plumbline.settings.configuration import load_config
from plumbline.stages.command import guarded


def init(options: argparse.Namespace) -> None:
    """Write the configuration, and tell what to check in it.

    Raises
    ------
    ConfigError
        There is such a file already.
    DataError
        A file is not usable, or no column can be taken for the label.
    """
    out: Path = options.out
    if out.exists() and not options.force:
        raise ConfigError(f"{out}: there is such a file. Give another --out, or --force.")
    proposal = propose(options.files, options.name, options.label, options.click)
    command = _command(proposal, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, to_yaml(proposal, command))
    load_config(out)
    _tell(proposal, out, command)


def _tell(proposal: Proposal, out: Path, command: str) -> None:
    clicks, rows = click_counts(proposal.label)
    share = f"{clicks / max(rows, 1):.2%} of {rows:,} rows are clicks"
    say(f"{out}: label {proposal.label.column!r}, {share}")
    for check in proposal.checks:
        say(f"  check {check}", style="yellow")
    say(command)


def _command(proposal: Proposal, out: Path) -> str:
    paths = " ".join(shlex.quote(str(path)) for path in data_paths(proposal))
    return f"python pipelines/run_all.py --config {shlex.quote(str(out))} --data {paths}"


def init_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="CSV, TSV or Parquet, or a folder of it"
    )
    parser.add_argument("--label", metavar="NAME", help="the label's column")
    parser.add_argument(
        "--click", nargs="+", default=[], metavar="WORD", help="values of the label that are clicks"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("config.yaml"), help="the file (default: %(default)s)"
    )
    parser.add_argument("--name", help="the configuration's name (default: the first file's)")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    return parser


def main() -> None:
    options = init_parser().parse_args()
    guarded(lambda: init(options))
