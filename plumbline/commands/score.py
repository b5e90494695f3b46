"""`plumbline score`: score the rows of a file with a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.errors import DataError
from plumbline.base.json_lines import write_json_lines
from plumbline.commands.options import AsJson
from plumbline.serving.client.connection import SECRET_VARIABLE, Protocol, Tls
from plumbline.settings.data import FileFormat

AS_THE_LOG = "as in the log that trained the model"


def score(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Text, plain or compressed, or Parquet; or a folder of files.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel="The scores",
            help="A .csv or .parquet file.",
            show_default="standard output",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            rich_help_panel="The server",
            help="The server's address.",
            show_default="this machine's port 8001, or 8000 for http",
        ),
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option(rich_help_panel="The server", help="Protocol of the port.")
    ] = "grpc",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel="The server",
            help="The model that scores.",
            show_default="the fused model",
        ),
    ] = None,
    version: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            rich_help_panel="The server",
            help="Its version.",
            show_default="the newest",
        ),
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMNS",
            rich_help_panel="The scores",
            help="Columns of the file to write beside the scores, unchanged: id,user.",
            show_default="none",
        ),
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel="How FILE is written",
            help="Folder of the side tables.",
            show_default="that of FILE",
        ),
    ] = None,
    file_format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format",
            rich_help_panel="How FILE is written",
            help="Format of FILE.",
            show_default="recognized by its content",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="MARK",
            rich_help_panel="How FILE is written",
            help="Separator of fields; \\t for a tab.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    quote: Annotated[
        str | None,
        typer.Option(
            metavar="MARK",
            rich_help_panel="How FILE is written",
            help="Quote of fields that contain the delimiter; empty for none.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel="How FILE is written",
            help="Encoding of text: utf-8, latin-1, …",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            rich_help_panel="How FILE is written",
            help="Whether the first line names the columns.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMNS",
            rich_help_panel="How FILE is written",
            help="All columns of a file without a header: label,I1..I13,C1..C26.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    trim: Annotated[
        bool | None,
        typer.Option(
            "--trim/--no-trim",
            rich_help_panel="How FILE is written",
            help="Remove blanks around fields.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            rich_help_panel="How FILE is written",
            help="Word for a missing value; may be repeated, empty for none.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(
            metavar="MARK",
            rich_help_panel="How FILE is written",
            help="Decimal mark: . or ,",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    thousands: Annotated[
        str | None,
        typer.Option(
            metavar="MARK",
            rich_help_panel="How FILE is written",
            help="Separator of thousands in numbers; empty for none.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    list_separator: Annotated[
        str | None,
        typer.Option(
            metavar="MARK",
            rich_help_panel="How FILE is written",
            help="Separator of the elements of a list, in text.",
            show_default=AS_THE_LOG,
        ),
    ] = None,
    batch_rows: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS",
            min=1,
            rich_help_panel="Requests",
            help="Rows of a request.",
            show_default="the model's maximum",
        ),
    ] = None,
    in_flight: Annotated[
        int,
        typer.Option(
            metavar="REQUESTS",
            min=1,
            rich_help_panel="Requests",
            help="Requests in flight at once.",
        ),
    ] = 4,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", rich_help_panel="Requests", help="Time limit of one request."
        ),
    ] = 60.0,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            rich_help_panel="The server",
            help="Use TLS, and trust servers whose certificate one of these has signed.",
            show_default="no encryption",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            rich_help_panel="The server",
            help="This client's certificate, for TLS.",
            show_default="none",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            rich_help_panel="The server",
            help="Key of --certificate.",
            show_default="none",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel="The server",
            help="File with the secret of a protected server.",
            show_default=f"the environment variable {SECRET_VARIABLE}",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            rich_help_panel="The scores",
            help="Replace an existing file.",
            show_default="off",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score every row of a file, in its order.

    The file is read with the settings of the log that trained the model; options override them.
    """
    from plumbline.commands.score_rows import RowsToScore, Scorer, score_from_file
    from plumbline.serving.contract.interface import FUSED_MODEL
    from plumbline.serving.score.reading import ReadOptions

    if as_json and out is None:
        raise DataError("--json without --out: both write to standard output. Give --out FILE.")
    write_json_lines(as_json)
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
    tls = Tls(ca, certificate, key) if ca or certificate or key else None
    score_from_file(
        RowsToScore(file, tables, keep or (), columns, options, batch_rows),
        Scorer(url, protocol, model or FUSED_MODEL, version, in_flight, timeout, tls, secret_file),
        out,
        force=force,
    )
