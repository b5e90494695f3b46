"""The asyncio client and the command that scores files, on a real server."""

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from plumbline.serving.client.async_client import AsyncClient
from plumbline.serving.client.client import Client
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server import TritonServer
from tests.conftest import Command
from tests.e2e.test_serving import KINDS, Line, export, make_line

CLIENT = "serving/client.py"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return make_line(tmp_path_factory.mktemp("line"), *KINDS.values())


@pytest.fixture(scope="module")
def repository(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(line, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with TritonServer(repository, tmp_path_factory.mktemp("server")) as running:
        yield running


def url_of(server: TritonServer, protocol: str) -> str:
    return server.http_url if protocol == "http" else server.grpc_url


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("model", ["ctr", "ctr_fused"])
def test_many_calls_at_once_each_get_their_own_answer(
    line: Line, server: TritonServer, protocol: str, model: str
) -> None:
    starts = range(0, 900, 30)

    async def work() -> None:
        async with AsyncClient(url_of(server, protocol), protocol, model, concurrency=3) as client:
            pieces = [line.raw.slice(start, 1500) for start in starts]
            *answers, encoded = await asyncio.gather(
                *(client.score(piece) for piece in pieces), client.encode(line.raw)
            )
        for start, answer in zip(starts, answers, strict=True):
            expected = line.probability_B[start : start + 1500]
            np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(encoded.ids_BF, line.encoded.ids_BF)
        np.testing.assert_array_equal(encoded.dense_BC, line.encoded.dense_BC)
        with pytest.raises(ServerError, match="not connected"):
            await client.score(line.raw)

    asyncio.run(work())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_both_clients_report_the_same_of_a_version(server: TritonServer, protocol: str) -> None:
    url = url_of(server, protocol)

    async def facts(version: str) -> tuple[str, ...]:
        async with AsyncClient(url, protocol, version=version) as client:
            return (client.plan_hash, client.model_hash, *client.kinds)

    with Client(url, protocol, version="1") as client:
        found = (client.plan_hash, client.model_hash, *client.kinds)
    assert found[2:] == tuple(KINDS)
    assert found == asyncio.run(facts("1")) == asyncio.run(facts(""))
    with pytest.raises(ServerError, match=r"unknown model.*version 7"):
        Client(url, protocol, version="7")
    with pytest.raises(ServerError, match=r"unknown model.*version 7"):
        asyncio.run(facts("7"))


def csv_of(raw: pa.Table) -> bytes:
    """Writes hexadecimal text, and lists with `;`. Python's text of a float is exact."""
    columns = dict(raw.to_pydict())
    columns["device"] = [None if v is None else f"{v:08x}" for v in columns["device"]]
    for name in ("tags", "visited"):
        columns[name] = [
            None if row is None else ";".join("" if v is None else str(v) for v in row)
            for row in columns[name]
        ]
    stream = pa.BufferOutputStream()
    pa_csv.write_csv(pa.table({"other": range(len(raw)), **columns}), stream)
    return stream.getvalue().to_pybytes()


@pytest.fixture
def rows(line: Line) -> pa.Table:
    """Lists of one missing element look like missing lists in a text file."""
    raw = line.raw.slice(0, 1500)
    for name in ("tags", "visited"):
        lists = [None if row == [None] else row for row in raw[name].to_pylist()]
        raw = raw.set_column(raw.column_names.index(name), name, pa.array(lists))
    return raw


@pytest.fixture
def expected_B(rows: pa.Table, server: TritonServer) -> np.ndarray:
    with Client(server.http_url) as client:
        return client.score(rows)


FILES = ["rows.csv", "rows.csv.gz", "rows.parquet"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("out", ["scores.csv", "deep/scores.parquet"])
def test_a_file_is_scored_in_order(
    command: Command,
    tmp_path: Path,
    server: TritonServer,
    rows: pa.Table,
    expected_B: np.ndarray,
    file: str,
    out: str,
) -> None:
    content = csv_of(rows)
    if file.endswith(".parquet"):
        pq.write_table(rows, tmp_path / file, row_group_size=400)
    else:
        (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith(".gz") else content)
    options = ["--batch-rows", 100, "--out", out]
    options += [] if file.endswith(".parquet") else ["--list-separator", ";"]
    done = command(CLIENT, "score", file, "--url", server.grpc_url, *options)
    assert done.returncode == 0, done.stderr
    read = pq.read_table if out.endswith(".parquet") else pa_csv.read_csv
    found = read(tmp_path / out)
    assert found.column_names == ["click_probability"]
    found_B = np.asarray(found["click_probability"]).astype(np.float32)
    np.testing.assert_allclose(found_B, expected_B, rtol=0, atol=1e-6)
    assert "1,500 rows in" in done.stderr and out in done.stderr
    assert {path.name for path in (tmp_path / out).parent.iterdir()} <= {file, Path(out).name}


def test_a_process_writes_scores_of_a_headless_file_to_standard_output(
    process: Command, tmp_path: Path, server: TritonServer, rows: pa.Table, expected_B: np.ndarray
) -> None:
    header, *lines = csv_of(rows.slice(0, 3)).decode().splitlines(keepends=True)
    (tmp_path / "rows.tsv").write_text("".join(lines).replace(",", "\t"), encoding="utf-8")
    names = header.replace('"', "").strip()
    options = ["--columns", names, "--list-separator", ";", "--protocol", "http"]
    done = process(CLIENT, "score", "rows.tsv", "--url", server.http_url, *options)
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.splitlines()[1:], np.float32)
    np.testing.assert_allclose(found, expected_B[:3], rtol=0, atol=1e-6)


def test_an_error_in_a_file_leaves_no_output(
    command: Command, tmp_path: Path, server: TritonServer, rows: pa.Table
) -> None:
    def refused(content: bytes, *options: object) -> str:
        (tmp_path / "rows.csv").write_bytes(content)
        url = ["--url", server.grpc_url, "--list-separator", ";"]
        done = command(CLIENT, "score", "rows.csv", *url, *options)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    good = csv_of(rows)
    cut = good.replace(b'"hour"', b'"hours"')
    assert "the file lacks: hour. It has other, shop" in refused(cut, "--out", "a.csv")
    torn = good + b"1,2\n"
    assert "rows.csv:1502: wanted 9 fields, found 2" in refused(torn, "--out", "b.csv")
    many = ["--batch-rows", 1000, "--out", "c.csv"]
    line = next(n for n, line in enumerate(good.splitlines(), 1) if b"0000001a" in line)
    message = refused(good.replace(b"0000001a", b"xyz"), *many)
    assert f"rows.csv:{line}: column 'device': wanted up to 16 hex" in message
    assert "wanted a name that ends in .csv or .parquet" in refused(good, "--out", "d.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    (tmp_path / "e.csv").write_text("mine")
    assert "give --force" in refused(good, "--out", "e.csv")
    assert (tmp_path / "e.csv").read_text() == "mine"
