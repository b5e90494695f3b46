"""Writes a proposal as a YAML configuration with comments."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from plumbline.base.printable import one_line
from plumbline.rawlogs.inspect.proposal import EMBEDDING_DIM, Proposal, Table, click_counts
from plumbline.rawlogs.inspect.splits import TEST, VALID

_COMMENT_COLUMN = 40
_MOST_COMMENT = 160


def to_yaml(proposal: Proposal, command: str) -> str:
    """The configuration; `command` is how it is run."""
    lines = [*_head(proposal, command), "", f"name: {scalar(proposal.name)}", "seed: 1", ""]
    lines += ["log:", *_table(proposal.log, 1, _files(proposal), _malformed_limit(proposal)), ""]
    lines += _label(proposal)
    if proposal.tables:
        lines += ["tables:"]
        for name, table in proposal.tables.items():
            start = proposal.files.log[0].parent
            file = os.path.relpath(table.inspected.file, start)
            lines += [
                f"  {scalar(name)}:",
                f"    file: {scalar(file)}",
                *_table(table, 2, (), None),
            ]
        lines += [""]
    lines += [*_split(proposal), "", "workflow:", "  graph: standard", "", *_memory(proposal)]
    return "\n".join(lines) + "\n"


def scalar(value: str) -> str:
    """A string in YAML, in quotes if YAML would read it as another type.

    >>> scalar("price"), scalar("on"), scalar("2020"), scalar("a: b"), scalar("")
    ('price', "'on'", "'2020'", "'a: b'", "''")
    """
    style = '"' if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]", value) else None
    written = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=float("inf"))
    return written.removesuffix("\n").removesuffix("\n...")


def comment(text: str) -> str:
    return one_line(text, _MOST_COMMENT)


def _head(proposal: Proposal, command: str) -> list[str]:
    inspected = proposal.log.inspected
    clicks, rows = click_counts(proposal.label)
    about = "" if rows == proposal.rows else f", about {proposal.rows:,} in all"
    lines = [
        f"# Written by plumbline init, which looked at {rows:,} rows{about}, of "
        f"{len(inspected.columns)} columns;",
        f"# {clicks:,} of them are clicks ({clicks / max(rows, 1):.2%}).",
        f"# Run it: {comment(command)}",
    ]
    if proposal.checks:
        lines += ["#", "# To check:"]
        lines += [f"# - {comment(check)}" for check in proposal.checks]
    return lines


def _files(proposal: Proposal) -> Sequence[str]:
    files = proposal.files
    if files.folder is not None:
        if not files.others:
            return ()
        return [str(file.relative_to(files.folder)) for file in files.log]
    one_folder = len({file.parent for file in files.log}) == 1
    return [file.name for file in files.log] if one_folder else ()


def _malformed_limit(proposal: Proposal) -> int | None:
    inspected = proposal.log.inspected
    expected = inspected.malformed / max(inspected.sampled, 1) * proposal.rows
    return None if expected < 100 else round(expected * 2)


def _table(
    table: Table, depth: int, files: Sequence[str], malformed_limit: int | None
) -> list[str]:
    inspected, indent = table.inspected, "  " * depth
    settings: list[tuple[str, str, str]] = []
    if files:
        settings.append(("files", _flow(files), ""))
    if inspected.dialect is None:
        settings.append(("format", "parquet", ""))
    else:
        dialect = inspected.dialect
        settings.append(("separator", _quoted(dialect.separator), ""))
        settings.append(("header", str(dialect.header).lower(), ""))
        if dialect.quote is not None:
            settings.append(("quote", _quoted(dialect.quote), ""))
        if dialect.encoding != "utf-8":
            settings.append(("encoding", dialect.encoding, ""))
        if inspected.trim:
            settings.append(("trim", "true", "blanks around the fields"))
        if inspected.numbers.decimal != ".":
            settings.append(("decimal", _quoted(inspected.numbers.decimal), ""))
        if inspected.numbers.thousands is not None:
            settings.append(("thousands", _quoted(inspected.numbers.thousands), ""))
    if table.list_mark is not None:
        settings.append(("list_separator", _quoted(table.list_mark), ""))
    if inspected.missing:
        settings.append(("missing", _flow(inspected.missing, always_quote=True), ""))
    if malformed_limit is not None:
        settings.append(("malformed_limit", str(malformed_limit), "twice what is expected"))
    lines = [_commented(f"{indent}{key}: {value}", why) for key, value, why in settings]
    return [*lines, f"{indent}columns:", *_columns(table, indent + "  ")]


def _columns(table: Table, indent: str) -> Iterable[str]:
    for name, guess in table.guesses.items():
        value: str = guess.kind
        if guess.kind == "time" and guess.times is not None and guess.times.format is not None:
            value = f"{{kind: time, format: {_quoted(guess.times.format)}}}"
        comment = f"{guess.why}; see above" if guess.check else guess.why
        yield _commented(f"{indent}{scalar(name)}: {value}", comment)


def _label(proposal: Proposal) -> list[str]:
    label = proposal.label
    about = f"# {comment(f'{label.column}: {label.why}')}"
    if label.at_least is not None:
        return [about, "label:", f"  at_least: {label.at_least:g}", ""]
    if label.click:
        return [about, "label:", f"  click: {_flow(label.click, always_quote=True)}", ""]
    return [f"{about}: 0 and 1, or true and false", ""]


def _split(proposal: Proposal) -> list[str]:
    split = proposal.split
    lines = [f"# {comment(split.why)}", "split:", f"  by: {split.by}"]
    lines += [f"  valid: {VALID}", f"  test: {TEST}"]
    if split.user is not None:
        lines += [
            f"# {comment(split.user)} has several rows a value. To judge by users never seen:",
            f"#   by: group, column: {comment(scalar(split.user))}",
        ]
    if proposal.time is not None and split.by != "time":
        lines += [f"# by: time sorts the rows by {comment(proposal.time)}: the last are the test."]
    return lines


def _memory(proposal: Proposal) -> list[str]:
    rows, size = sum(proposal.embedding_rows.values()), proposal.embedding_bytes
    if not rows:
        return ["# No column has an embedding table."]
    largest = sorted(proposal.embedding_rows.items(), key=lambda item: -item[1])[:3]
    named = ", ".join(f"{comment(name)} {count:,}" for name, count in largest)
    lines = [
        f"# Embedding tables: about {rows:,} rows of {EMBEDDING_DIM} numbers and the optimizer's "
        f"state, {_size(size)}.",
        f"# The largest: {named}.",
    ]
    if size > 1 << 30:
        lines += [
            "# workflow.options.frequency_threshold leaves rare values out; model.embedding_rows:",
            "# bf16 halves what is left.",
        ]
    return lines


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"


def _flow(values: Iterable[str], *, always_quote: bool = False) -> str:
    written = (_quoted(value) if always_quote else scalar(value) for value in values)
    return f"[{', '.join(written)}]"


def _quoted(value: str) -> str:
    written = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))
    return written.removesuffix("\n")


def _commented(line: str, why: str) -> str:
    return f"{line.ljust(_COMMENT_COLUMN)} # {comment(why)}" if why else line


def data_paths(proposal: Proposal) -> Sequence[Path]:
    """The arguments of --data: the folder of the files, or the files themselves."""
    files = proposal.files
    if files.folder is not None:
        return [files.folder]
    one_folder = len({file.parent for file in files.log}) == 1
    return [files.log[0].parent] if one_folder else files.log
