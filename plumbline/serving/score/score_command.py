"""The command line of the client: `python serving/client.py score FILE`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from plumbline.base.errors import DataError, PlumblineError
from plumbline.base.plain_text import one_line
from plumbline.columns.kinds import expand_range
from plumbline.serving.client.async_client import AsyncClient
from plumbline.serving.client.connection import Protocol, Tls, secret_header
from plumbline.serving.client.retries import Retries
from plumbline.serving.contract.interface import CLICK_PROBABILITY, FUSED_MODEL
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.launch.secret import SECRET_HEADER, SECRET_VARIABLE, read_secret
from plumbline.serving.score.reading import Format, ReadOptions
from plumbline.serving.score.row_files import RowFile
from plumbline.serving.score.score_file import Scored, score_rows
from plumbline.serving.score.score_output import CsvOutput, check_output, output_file

_LOCAL: dict[Protocol, str] = {"http": "127.0.0.1:8000", "grpc": "127.0.0.1:8001"}

_PATIENT = Retries(attempts=6)  # about eight seconds

console = Console(stderr=True)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def client() -> None:
    """The client of a served model."""


@app.command()
def score(
    file: Annotated[
        Path, typer.Argument(help="Text, plain or compressed, or Parquet; or a folder of such.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file; standard output unless given.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="HOST:PORT; this machine's 8001 unless given, or 8000 for http."),
    ] = None,
    protocol: Annotated[Protocol, typer.Option(help="What the port speaks.")] = "grpc",
    model: Annotated[str, typer.Option(help="The model that scores.")] = FUSED_MODEL,
    version: Annotated[str, typer.Option(help="Its version; the newest unless given.")] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Columns to write beside the scores, as they are in the file: id,user."),
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="Folder of the side tables; beside FILE unless given.")
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="Told by the file's content unless given.")
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="Between fields; this and the next: as in the log."),
    ] = None,
    quote: Annotated[
        str | None, typer.Option(help="Around a field that holds the delimiter; empty for none.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text: utf-8, latin-1, …")] = None,
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first line names the columns."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="All columns of a file without a header: label,I1..I13,C1..C26."),
    ] = None,
    trim: Annotated[
        bool | None, typer.Option("--trim/--no-trim", help="Leave out blanks around a field.")
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(help="A word that means missing; may be given again, empty for none."),
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="The decimal mark: . or ,")] = None,
    thousands: Annotated[
        str | None, typer.Option(help="Between the thousands of a number; empty for nothing.")
    ] = None,
    list_separator: Annotated[
        str | None, typer.Option(help="Between the elements of a list, in a text file.")
    ] = None,
    batch_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of a request; the model's most unless given.")
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds for one request.")] = 60.0,
    ca: Annotated[
        Path | None, typer.Option(help="Use TLS, with a server that these certificates vouch for.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="The client's own, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key of --certificate.")] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(help=f"The secret of a protected server; else {SECRET_VARIABLE} has it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Score every row of a file, in its order.

    The file is read as the log was that trained the model; options say what is otherwise in it.
    """
    options = ReadOptions(
        format=file_format,
        separator=delimiter,
        quote=quote,
        encoding=encoding,
        header=header,
        trim=trim,
        missing=None if missing is None else tuple(word for word in missing if word),
        decimal=decimal,
        thousands=thousands,
        list_separator=list_separator,
    )

    async def run() -> None:
        tls = Tls(ca, certificate, key) if ca or certificate or key else None
        secret = read_secret(secret_file)
        async with AsyncClient(
            url or _LOCAL[protocol],
            protocol,
            model,
            timeout,
            version=version,
            headers=secret_header(protocol, SECRET_HEADER, secret) if secret else None,
            tls=tls,
            retries=_PATIENT,
            concurrency=in_flight,
        ) as connected:
            rows = RowFile(
                file,
                connected.kinds,
                LogRules.of_parameters(model, connected.parameters),
                replace(options, columns=_names("--columns", columns)),
                min(batch_rows or connected.max_batch_size, connected.max_batch_size),
                keep=_kept(keep or []),
                tables=tables,
            )
            await _score(connected, rows, out, in_flight)

    try:
        if out is not None:
            check_output(out, force, file)
        asyncio.run(run())
    except PlumblineError as error:
        _fail(f"error: {error}", 2)
    except BrokenPipeError:  # whoever reads the scores has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        _fail("interrupted", 130)


async def _score(client: AsyncClient, file: RowFile, out: Path | None, in_flight: int) -> None:
    start = time.perf_counter()
    for warning in file.warnings:
        _say(f"warning: {warning}")
    kept = file.kept_schema
    writing = (
        nullcontext(CsvOutput(sys.stdout.buffer, kept)) if out is None else output_file(out, kept)
    )
    with _progress(file) as bar, writing as output:
        scored = await score_rows(client, file, output, in_flight, bar.show)
    if out is None:
        sys.stdout.buffer.flush()
    seconds = time.perf_counter() - start
    _say(
        f"{scored.rows:,} rows in {seconds:.1f} s ({scored.rows / seconds:,.0f} rows/s), mean "
        f"probability {scored.mean_probability:.4f}" + (f" → {out}" if out is not None else "")
    )


def _say(line: str) -> None:
    console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, progress: Progress, file: RowFile) -> None:
        self._progress, self._file = progress, file
        self._task = progress.add_task("score", total=1.0, rows=0)

    def show(self, scored: Scored) -> None:
        self._progress.update(self._task, completed=self._file.fraction_read, rows=scored.rows)


@contextmanager
def _progress(file: RowFile) -> Iterator[_Bar]:
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield _Bar(progress, file)


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


def _fail(message: str, status: int) -> None:
    console.print(one_line(message), style="red", markup=False, soft_wrap=True)
    raise typer.Exit(status)
