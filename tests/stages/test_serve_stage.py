"""Stage serve keeps the log of its server if it fails, and only then."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.serving.check.comparison import Comparison
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server_log import last_lines
from plumbline.stages import serve


class Server:
    """A stand-in for `TritonServer` that writes a log, and fails if `fails` is set."""

    fails = False

    def __init__(self, repository: Path, work: Path) -> None:
        self.log = work / "triton.log"

    def __enter__(self) -> "Server":
        self.log.parent.mkdir(parents=True)
        self.log.write_text("the cause")
        if self.fails:
            raise ServerError(f"not ready (log: {self.log})")
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("fails", [True, False])
def test_the_log_that_a_message_names_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    (tmp_path / "ingest").mkdir()
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "ingest" / "probe")
    inputs: Any = {n: SimpleNamespace(path=(tmp_path / n).joinpath) for n in ("ingest", "export")}
    run: Any = SimpleNamespace(config=SimpleNamespace(serving=SimpleNamespace(latency_requests=1)))
    monkeypatch.setattr(serve, "TritonServer", Server)
    monkeypatch.setattr(Server, "fails", fails)
    monkeypatch.setattr(serve, "_compare", lambda *_: Comparison(1, True, 0.0, 0.0))
    monkeypatch.setattr(serve, "_latency", lambda *_: {"grpc": {}})
    out = tmp_path / "serve"
    if fails:
        with pytest.raises(ServerError, match="log: ") as raised:
            serve.work(run, inputs, out)
        named = Path(str(raised.value).partition("log: ")[2].rstrip(")"))
        assert named.read_text() == "the cause"
        assert out in named.parents
    else:
        serve.work(run, inputs, out)
        assert not list(out.rglob("*")), "wanted no log in the stage's folder"


def test_the_end_of_a_log_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "triton.log"
    log.write_text("first\n" + "\n".join(f"line  {n}" for n in range(5)) + "\n\n" + "x" * 900)
    end = last_lines(log)
    assert end.startswith("line 3 / line 4 / xxx") and len(end) < 300
