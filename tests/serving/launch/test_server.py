"""Starting and stopping a server, with small programs in place of Triton."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.paths import ROOT
from plumbline.serving.client.client import Client
from plumbline.serving.contract.versions import write_integrity
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.binary import SETTING, ServerBinary
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_log import cause_of_failure
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan

LOG = r"""
W1123 19:40:46.919863 7388 pinned_memory_manager.cc:273] "Unable to allocate pinned memory"
E1123 19:40:46.920061 7388 server.cc:241] "CudaDriverHelper has not been initialized."
{error}
I1123 19:40:48.894417 7388 server.cc:336] "All models are stopped, unloading models"
error: creating server: Internal - failed to load all models
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Without models."""
    write_integrity(tmp_path / "repository", {})
    return tmp_path / "repository"


def program(folder: Path, body: str) -> ServerBinary:
    file = folder / "program"
    file.write_text(f"#!{sys.executable}\n{body}\n")
    file.chmod(0o755)
    return ServerBinary(file)


def is_running(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(file: Path) -> str:
    give_up = time.monotonic() + 20
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < give_up, f"no {file}"
        time.sleep(0.02)
    return file.read_text()


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            "E1123 19:40:48.891545 7388 model_lifecycle.cc:642] \"failed to load 'm' version 1: "
            r'Internal: PlanError: /x/a.parquet: \"wanted\" this,\n that\n\nAt:\n  step.py(5)\n"',
            "model 'm': PlanError: /x/a.parquet: \"wanted\" this, that",
        ),
        (
            'E1123 19:42:14.530409 7824 main.cc:245] "failed to start GRPC service: Unavailable"',
            "failed to start GRPC service: Unavailable",
        ),
        (
            "E1123 19:40:48.891545 7388 model_lifecycle.cc:642] \"failed to load 'm' version 1: "
            "Invalid argument: failed to run warmup sample 'b': "
            + 999 * "It is busy. Wait.; "
            + '"',
            "model 'm': Invalid argument: failed to run warmup sample 'b': It is busy. Wait.",
        ),
        (
            f'E1123 19:42:14.530409 7824 main.cc:245] "{" ".join(map(str, range(999)))}"',
            f"{' '.join(map(str, range(999)))[:1000]}…",
        ),
        ("", "error: creating server: Internal - failed to load all models"),
    ],
)
def test_the_cause_is_read_from_the_log(tmp_path: Path, error: str, cause: str) -> None:
    log = tmp_path / "triton.log"
    log.write_text(LOG.format(error=error))
    assert cause_of_failure(log) == cause


def test_a_server_that_exits_is_reported_with_its_status_and_the_cause(
    repository: Path, tmp_path: Path
) -> None:
    binary = program(tmp_path, "print('error: no luck')\nraise SystemExit(3)")
    with (
        pytest.raises(ServerError, match=r"ended with status 3 .*error: no luck \(log: .*\.log\)"),
        TritonServer(repository, tmp_path / "work", binary=binary),
    ):
        pytest.fail("it ended at once")


def test_a_server_that_is_not_ready_in_time_is_stopped(repository: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    with (
        pytest.raises(ServerError, match="was not ready within 1 s"),
        TritonServer(
            repository, tmp_path / "work", binary=program(tmp_path, body), ready_seconds=1.0
        ),
    ):
        pytest.fail("it never listens")
    assert not is_running(int(pid_file.read_text()))


def test_a_server_ends_when_its_parent_is_killed(repository: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    starts = (
        "from pathlib import Path\n"
        "from plumbline.serving.launch.binary import ServerBinary\n"
        "from plumbline.serving.launch.server import TritonServer\n"
        f"binary = ServerBinary(Path({str(program(tmp_path, body).executable)!r}))\n"
        f"TritonServer(Path({str(repository)!r}), Path({str(tmp_path / 'work')!r}), binary=binary)"
        ".__enter__()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", starts], cwd=ROOT)
    server = int(wait_for(pid_file))
    assert is_running(server)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    give_up = time.monotonic() + 10
    while is_running(server) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not is_running(server)


def test_a_missing_repository_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerError, match="absent: wanted a model repository"),
        TritonServer(tmp_path / "absent", tmp_path / "work"),
    ):
        pytest.fail("there is nothing to serve")


def test_free_ports_differ_and_taken_ones_are_refused() -> None:
    found = Ports.free().resolved("127.0.0.1")
    assert len({found.http, found.grpc, found.metrics}) == 3
    assert 0 not in (found.http, found.grpc, found.metrics)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} for metrics on 127.0.0.1 cannot be"):
            Ports(0, 0, port).resolved("127.0.0.1")
    with pytest.raises(ServerError, match=f"Port {found.http} for grpc"):
        Ports(found.http, found.http, 0).resolved("127.0.0.1")
    with pytest.raises(ServerError, match="Port 70000 for http"):
        Ports(http=70000).resolved("127.0.0.1")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_client_without_a_server_says_so(protocol: str) -> None:
    port = Ports.free().resolved("127.0.0.1").http
    with pytest.raises(ServerError, match=f"Triton at 127.0.0.1:{port}"):
        Client(f"127.0.0.1:{port}", protocol)


def command(
    repository: Path, *options: str, binary: ServerBinary | None = None, **streams: int
) -> Any:
    setting = {} if binary is None else {SETTING: str(binary.executable)}
    return subprocess.Popen(
        [sys.executable, "-m", "serving.server", str(repository), *options],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **setting},
        stderr=subprocess.PIPE,
        text=True,
        **streams,
    )


def test_the_command_ends_with_2_and_one_line(tmp_path: Path) -> None:
    running = command(tmp_path / "absent")
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert errors.splitlines() == [
        f"error: {tmp_path / 'absent'}: wanted a model repository, there is no folder."
    ]


def test_the_command_checks_the_files_against_their_hashes(repository: Path) -> None:
    config = repository / "ctr" / "config.pbtxt"
    config.parent.mkdir()
    config.write_text("as exported")
    write_integrity(repository, {"ctr": {}})
    config.write_text("changed")
    running = command(repository)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert re.match(r".*ctr/config\.pbtxt: wanted SHA-256", errors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--allow-model-control",), "--allow-model-control needs a secret"),
        (("--tls-key", "key.pem"), "wanted --tls-certificate and --tls-key"),
        (("--secret-file", "/nowhere"), "/nowhere: wanted a file with the secret"),
    ],
)
def test_the_command_refuses_options_that_contradict(
    repository: Path, options: tuple[str, ...], message: str
) -> None:
    running = command(repository, *options)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert message in errors and len(errors.splitlines()) == 1


READY = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
options = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
HTTPServer((options["--http-address"], int(options["--http-port"])), Ready).serve_forever()
"""
ANY_PORTS = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(
    repository: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    running = command(repository, *ANY_PORTS, binary=program(tmp_path, READY))
    assert re.match(r"HTTP 127\.0\.0\.1:\d+, gRPC 127\.0\.0\.1:\d+\.", running.stderr.readline())
    running.send_signal(sign)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0
    assert errors.endswith("Stopped.\n")


def test_the_command_restarts_a_server_that_crashed(repository: Path, tmp_path: Path) -> None:
    """On the same ports. The log of the crash is kept, and no process of it is left."""
    model_pid, server_pid = tmp_path / "model", tmp_path / "server"
    body = (
        "import os, subprocess, sys\n"
        "print('this is', os.getpid(), flush=True)\n"
        "model = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(model_pid)!r}, 'a').write(f'{{model.pid}}\\n')\n"
        f"open({str(server_pid)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "prefix = next(word for word in sys.argv if 'shm-region' in word).rpartition('=')[2]\n"
        "region = f'/dev/shm/{prefix}{os.getpid()}'\n"
        "open(region, 'w').close()\n"
    )
    running = command(repository, *ANY_PORTS, binary=program(tmp_path, body + READY))
    serves = running.stderr.readline()
    first = int(wait_for(server_pid))
    os.kill(first, signal.SIGSEGV)
    assert running.stderr.readline() == "The Triton server died (Segmentation fault).\n"
    again = running.stderr.readline()
    log = Path(again.removeprefix("It was restarted. The log of the crash: ").rstrip(".\n"))
    assert log.read_text().splitlines()[0] == f"this is {first}"
    url = re.match(r"HTTP (\S+),", serves)[1]
    connection = http.client.HTTPConnection(url, timeout=20)
    connection.request("GET", "/v2/health/ready")
    assert connection.getresponse().status == http.client.OK
    connection.close()
    models = [int(line) for line in model_pid.read_text().splitlines()]
    assert [is_running(pid) for pid in models] == [False, True]
    assert not list(Path("/dev/shm").glob(f"plumbline_*_{first}"))
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert not is_running(models[1])


def test_json_has_the_addresses_failures_and_the_end(tmp_path: Path) -> None:
    """A server that gives no answers is ready, fails, and is ready again."""
    plan = write_small_plan(tmp_path / "plan", ["Oslo"])
    model = model_of(plan, tmp_path / "model", 1)
    exported = export_repository(plan, model, tmp_path / "out", SETTINGS, ROWS)
    running = command(
        exported,
        *(*ANY_PORTS, "--gateway", "--gateway-port", "0", "--json"),
        binary=program(tmp_path, READY),
        stdout=subprocess.PIPE,
    )
    told: list[dict[str, Any]] = []
    while [event["event"] for event in told].count("ready") < 2:
        told.append(json.loads(running.stdout.readline()))
    running.send_signal(signal.SIGTERM)
    rest, errors = running.communicate(timeout=60)
    assert running.returncode == 0 and errors == ""
    assert json.loads(rest.splitlines()[-1])["event"] == "stopped"
    first, failure, second = (event for event in told if event["event"] != "progress")
    assert failure["event"] == "warning" and "ctr" in failure["text"]
    for ready in (first, second):
        assert ready["models"] == ["ctr", "ctr_dlrm", "ctr_features", "ctr_fused"]
        for name in ("http", "grpc", "metrics", "gateway"):
            assert re.fullmatch(r"127\.0\.0\.1:\d+", ready[name])
    assert first["crash_log"] is None and second["crash_log"].endswith("triton.before.log")
