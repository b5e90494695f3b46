"""The work of `plumbline score`: score the rows of a file with a server."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from plumbline.base.console import Told, console, say, warn
from plumbline.base.errors import DataError
from plumbline.base.json_lines import writes_json_lines
from plumbline.columns.kinds import expand_range
from plumbline.serving.client.async_client import AsyncClient
from plumbline.serving.client.connection import (
    SECRET_HEADER,
    Protocol,
    Tls,
    read_secret,
    secret_header,
)
from plumbline.serving.client.retries import Retries
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.row_files import RowFile
from plumbline.serving.score.score_file import Scored, score_rows
from plumbline.serving.score.score_output import CsvOutput, check_output, output_file

_LOCAL: dict[Protocol, str] = {"http": "127.0.0.1:8000", "grpc": "127.0.0.1:8001"}

_PATIENT = Retries(attempts=6)  # about eight seconds


@dataclass(frozen=True, slots=True)
class Scorer:
    """The served model that scores, and the connection to its server."""

    url: str | None
    protocol: Protocol
    model: str
    version: str
    in_flight: int
    timeout_seconds: float
    tls: Tls | None
    secret_file: Path | None

    def connect(self) -> AsyncClient:
        secret = read_secret(self.secret_file)
        return AsyncClient(
            self.url or _LOCAL[self.protocol],
            self.protocol,
            self.model,
            self.timeout_seconds,
            version=self.version,
            headers=secret_header(self.protocol, SECRET_HEADER, secret) if secret else None,
            tls=self.tls,
            retries=_PATIENT,
            concurrency=self.in_flight,
        )


@dataclass(frozen=True, slots=True)
class RowsToScore:
    """The file of rows, and the options for reading it."""

    file: Path
    tables: Path | None
    keep: Sequence[str]
    """Column names; an element may have several, separated by commas."""
    columns: str | None
    options: ReadOptions
    batch_rows: int | None

    def read_for(self, client: AsyncClient, model: str) -> RowFile:
        return RowFile(
            self.file,
            client.kinds,
            LogRules.of_parameters(model, client.parameters),
            replace(self.options, columns=_names("--columns", self.columns)),
            min(self.batch_rows or client.max_batch_size, client.max_batch_size),
            keep=_kept(self.keep),
            tables=self.tables,
        )


def score_from_file(rows: RowsToScore, scorer: Scorer, out: Path | None, *, force: bool) -> None:
    """Score every row of the file, in order. Without `out`, write to the standard output.

    Raises
    ------
    PlumblineError
        A row or file cannot be read, `out` exists already, or the server does not answer.
    """

    async def run() -> None:
        async with scorer.connect() as client:
            await _score(client, rows.read_for(client, scorer.model), out, scorer.in_flight)

    if out is not None:
        check_output(out, force, rows.file)
    asyncio.run(run())


async def _score(client: AsyncClient, file: RowFile, out: Path | None, in_flight: int) -> None:
    start = time.perf_counter()
    for warning in file.warnings:
        warn(warning)
    kept = file.kept_schema
    writing = (
        nullcontext(CsvOutput(sys.stdout.buffer, kept)) if out is None else output_file(out, kept)
    )
    with _progress(file) as show, writing as output:
        scored = await score_rows(client, file, output, in_flight, show)
    if out is None:
        sys.stdout.buffer.flush()
    seconds = time.perf_counter() - start
    say(
        f"{scored.rows:,} rows in {seconds:.1f} s ({scored.rows / seconds:,.0f} rows/s), mean "
        f"probability {scored.mean_probability:.4f}" + (f" → {out}" if out is not None else "")
    )


@contextmanager
def _progress(file: RowFile) -> Iterator[Callable[[Scored], None]]:
    """Shows the rows scored, and the time left by the share of the file that is read."""
    if writes_json_lines():
        told = Told("score", None, "rows")

        def tell(scored: Scored) -> None:
            told.total = round(scored.rows / file.fraction_read) if file.fraction_read else None
            told.advance(scored.rows - told.done)

        yield tell
        told.end()
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} rows/s"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("score", total=1.0, rows=0, rate=0.0)
        begun = time.perf_counter()

        def show(scored: Scored) -> None:
            rate = scored.rows / max(time.perf_counter() - begun, 1e-9)
            progress.update(task, completed=file.fraction_read, rows=scored.rows, rate=rate)

        yield show


def _names(option: str, columns: str | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    try:
        return tuple(name for part in columns.split(",") for name in expand_range(part.strip()))
    except ValueError as error:
        raise DataError(f"{option}: {error}.") from None


def _kept(options: Sequence[str]) -> tuple[str, ...]:
    names = [name for columns in options for name in _names("--keep", columns) or ()]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"--keep: {twice[0]!r} is given twice.")
    if CLICK_PROBABILITY in names:
        raise DataError(f"--keep: {CLICK_PROBABILITY!r} is the name of the scores' own column.")
    return tuple(names)
