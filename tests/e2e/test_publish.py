"""New versions under load: no request fails, and every answer is from one version only."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.base.errors import PlumblineError
from plumbline.base.paths import ROOT
from plumbline.columns.wire import Tensors, to_tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import Plan
from plumbline.serving.client.connection import SECRET_HEADER, Connection, secret_header
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.interface import wire_columns
from plumbline.serving.errors import RepositoryError
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.serving.publish.live_repository import JOURNAL_FILE, LiveRepository
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import Published, publish
from plumbline.serving.repository.release import Release
from plumbline.settings import Model, Serving
from tests.conftest import Command
from tests.plans import categorify, plan_of
from tests.serving.releases import export_repository

SECRET = "secret-of-the-test"
SETTINGS = Serving(max_batch_size=64, precision="fp32")
CITIES = ["Oslo", "Rome", "Lima", "Bonn", "Kyiv", "Riga"]
ROWS = pa.table(
    {
        "price": [float(number % 7) for number in range(24)],
        "city": [[*CITIES, None, "Atlantis"][number % 8] for number in range(24)],
    }
)


@dataclass(frozen=True)
class Candidate:
    """A possible version, with its answers to the rows: ids and scores."""

    plan: Plan
    model_folder: Path
    encoded: Encoded
    score_B: np.ndarray

    @classmethod
    def make(cls, folder: Path, number: int) -> "Candidate":
        """Each has its own ids for the cities, and its own weights."""
        cities = CITIES[number % 6 :] + CITIES[: number % 6]
        plan = plan_of(
            folder / "plan",
            {"price": "continuous", "city": "string"},
            price=("price", FillMissing(0.0)),
            city=("city", categorify(folder / "plan", "city", cities)),
        )
        settings = Model(embedding_dim=8, bottom_mlp=(8,), top_mlp=(8,))
        model = DLRM(Architecture.of(plan, settings), seed=number)
        model.tables.weight.data.mul_(100.0)  # so that ids make a difference to the score
        save_model(folder / "model", model, plan.content_hash)
        encoded = OnlineExecutor(plan).transform(to_tensors(ROWS, wire_columns(plan)))
        return cls(plan, folder / "model", encoded, scores(plan, folder / "model", encoded))

    @property
    def release(self) -> Release:
        return Release.of(self.plan, self.model_folder, ROWS, SETTINGS)


def scores(plan: Plan, model_folder: Path, encoded: Encoded) -> np.ndarray:
    scorer = Scorer.load(model_folder, plan.content_hash)
    return scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)


@dataclass
class Load:
    """Threads that send one request after the other, and identify versions by their answers."""

    server: TritonServer
    raw: Tensors
    known: dict[str, Candidate]
    """Version, or another name, to the candidate with these answers."""
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Model and version to the number of answers."""
    errors: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        self._threads = [
            threading.Thread(target=self._ask, args=(model, protocol))
            for model in ("ctr", "ctr_fused", "ctr_features")
            for protocol in ("http", "grpc")
        ]
        self._threads.append(threading.Thread(target=self._probe))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, model: str, version: str) -> None:
        already, give_up = self.seen[model, version], time.monotonic() + 10
        while self.seen[model, version] == already:
            assert time.monotonic() < give_up, (self.seen, self.errors)
            time.sleep(0.01)

    def _ask(self, model: str, protocol: str) -> None:
        url = self.server.grpc_url if protocol == "grpc" else self.server.http_url
        transport = Transport(Connection(url, protocol, 30.0))
        sent = 0
        while not self.ended.wait(0.01):
            rows = slice(sent % 20, sent % 20 + 1 + sent % 4)
            sent += 1
            try:
                answer = transport.infer(model, {n: t[rows] for n, t in self.raw.items()})
            except PlumblineError as error:
                self.errors.append(f"{model} {protocol}: {error}")
                continue
            self.seen[model, self._version_of(model, answer, rows)] += 1
        transport.close()

    def _probe(self) -> None:
        """As a load balancer does."""
        url = f"http://{self.server.http_url}/v2/health/ready"
        while not self.ended.wait(0.02):
            try:
                urllib.request.urlopen(url).close()
            except urllib.error.HTTPError as error:
                self.errors.append(f"not ready: {error}")

    def _version_of(self, model: str, answer: object, rows: slice) -> str:
        for version, candidate in self.known.items():
            if model == "ctr_features":
                same = np.array_equal(answer.as_numpy("ids"), candidate.encoded.ids_BF[rows])
            else:
                got_B = answer.as_numpy("click_probability")[:, 0]
                same = np.allclose(got_B, candidate.score_B[rows], rtol=0, atol=1e-6)
            if same:
                return version
        return "mixed"


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> list[Candidate]:
    folder = tmp_path_factory.mktemp("candidates")
    made = [Candidate.make(folder / str(number), number) for number in range(1, 5)]
    for index, one in enumerate(made):
        for other in made[:index]:
            mixed_B = scores(other.plan, other.model_folder, one.encoded)
            for score_B in (other.score_B, mixed_B):
                apart_B = np.abs(one.score_B - score_B) > 1e-4
                assert apart_B.all(), "each row distinguishes the versions, and mixtures of them"
    return made


@pytest.fixture(scope="module")
def server(
    candidates: list[Candidate], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    folder = tmp_path_factory.mktemp("live")
    first = candidates[0]
    exported = export_repository(first.plan, first.model_folder, folder, SETTINGS, ROWS)
    options = ServerOptions(allow_model_control=True, secret=SECRET)
    with TritonServer(exported, folder / "server", options=options) as running:
        yield running


def connection(server: TritonServer, protocol: str) -> Connection:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    return Connection(url, protocol, 60.0, secret_header(protocol, SECRET_HEADER, SECRET))


class WrongAnswers(LiveServer):
    """The ensemble, which is published last, answers differently than at export."""

    def infer(self, model: str, tensors: Tensors, version: str = "") -> object:
        answer = super().infer(model, tensors, version)
        return Wrong(answer) if model == "ctr" else answer


@dataclass(frozen=True)
class Wrong:
    answer: object

    def as_numpy(self, name: str) -> np.ndarray:
        return self.answer.as_numpy(name) * 0.9


def killed_half_way(candidate: Candidate, repository: Path, server: TritonServer) -> None:
    """A publish in its own process, which is killed when it begins with the second model."""
    rows = candidate.model_folder / "rows.parquet"
    pq.write_table(ROWS, rows)
    script = (
        "import sys; from pathlib import Path\n"
        "import pyarrow.parquet as pq\n"
        "from plumbline.features.plan.plan import read_plan\n"
        "from plumbline.settings import Serving\n"
        "from plumbline.serving.client.connection import Connection\n"
        "from plumbline.serving.publish.live_server import LiveServer\n"
        "from plumbline.serving.publish.publish import publish\n"
        "from plumbline.serving.repository.release import Release\n"
        "plan, model, rows, repository, url, header, secret = sys.argv[1:]\n"
        f"settings = Serving.model_validate_json({SETTINGS.model_dump_json()!r})\n"
        "release = Release.of(read_plan(Path(plan)), Path(model), pq.read_table(rows), settings)\n"
        "control = LiveServer(Connection(url, 'http', 60.0, {header: secret}))\n"
        "publish(release, Path(repository), settings, control, print)\n"
    )
    arguments = [candidate.plan.folder, candidate.model_folder, rows, repository]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments, server.http_url, SECRET_HEADER, SECRET],
        cwd=ROOT,
    )
    current = LiveRepository.read(repository).current
    config, give_up = repository / "ctr_dlrm" / "config.pbtxt", time.monotonic() + 30
    while f"versions: [{current}, {int(current) + 1}]" not in config.read_text():
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_publishes_under_load(candidates: list[Candidate], server: TritonServer) -> None:
    repository = server.repository
    raw = to_tensors(ROWS, wire_columns(candidates[0].plan))
    known = {"1": candidates[0], "2": candidates[1], "bad": candidates[2], "3": candidates[3]}
    http, grpc = (LiveServer(connection(server, name)) for name in ("http", "grpc"))
    wrong = WrongAnswers(connection(server, "http"))
    lines: list[str] = []

    def add(candidate: Candidate, control: LiveServer) -> Published:
        return publish(candidate.release, repository, SETTINGS, control, lines.append)

    with Load(server, raw, known) as load:
        load.wait_for("ctr", "1")
        assert add(candidates[1], http) == Published("2", is_new=True)
        for model in ("ctr", "ctr_fused", "ctr_features"):
            load.wait_for(model, "2")

        refused = candidates[2].release
        checks = {**refused.checks, "ctr_features": candidates[3].release.checks["ctr_features"]}
        refused = dataclasses.replace(refused, checks=checks)
        before = {f: f.read_bytes() for f in repository.rglob("*") if f.is_file()}
        with pytest.raises(RepositoryError, match=r"3 was not published.*check.arrow: the model"):
            publish(refused, repository, SETTINGS, http, lines.append)
        with pytest.raises(RepositoryError, match=r"3 was not published.*Model 'ctr', version 3"):
            add(candidates[2], wrong)
        assert {f: f.read_bytes() for f in repository.rglob("*") if f.is_file()} == before
        for model in ("ctr", "ctr_fused", "ctr_features"):
            load.wait_for(model, "2")

        killed_half_way(candidates[2], repository, server)
        assert (repository / JOURNAL_FILE).exists()
        lines.clear()
        assert add(candidates[3], grpc) == Published("3", is_new=True)
        assert lines[0] == "the publish of version 3 was interrupted: rolled back"
        assert add(candidates[3], grpc) == Published("3", is_new=False)
        for model in ("ctr", "ctr_fused", "ctr_features"):
            load.wait_for(model, "3")
        known_before = load.seen.copy()
        time.sleep(0.3)
    assert load.errors == []
    assert {version for _, version in load.seen} <= set(known), load.seen
    late = load.seen - known_before
    assert {version for _, version in late} == {"3"}
    for control in (http, grpc, wrong):
        control.close()
    assert sorted(entry.name for entry in (repository / "ctr_fused").iterdir()) == [
        "2",
        "3",
        "config.pbtxt",
    ]


TINY = {
    "name": "tiny",
    "click_model": {"rows": 900, "days": 3, "vocabulary": [40, 5], "continuous": 1},
    "log": {
        "separator": "\t",
        "header": False,
        "columns": {"label": "label", "I1": "continuous", "C1..C2": "hex"},
    },
    "split": {"by": "file", "valid": [1], "test": [2]},
    "workflow": {"graph": "criteo"},
    "model": {"embedding_dim": 4, "bottom_mlp": [4], "top_mlp": [4]},
    "training": {"batch_size": 64},
}


def test_the_command(command: Command, tmp_path: Path) -> None:
    config, run = tmp_path / "tiny.yaml", tmp_path / "runs" / "tiny"
    config.write_text(yaml.safe_dump(TINY, sort_keys=False))
    made = command("pipelines/run_all.py", "--config", config, "--to", "train")
    assert made.returncode == 0, made.stderr

    def export(*options: object) -> tuple[int, str]:
        done = command("pipelines/export.py", "--config", config, *options)
        return done.returncode, " ".join(done.stderr.split())

    status, said = export("--url", "127.0.0.1:1")
    assert status == 2 and "--url: wanted --publish with it" in said
    status, said = export("--publish", run / "export" / "model_repository")
    assert status == 2 and "Publish into a folder of its own" in said
    assert not (run / "export").exists()

    status, said = export("--publish")
    assert status == 0 and "live_repository: created with this plan and model" in said
    assert LiveRepository.read(run / "live_repository").current == "1"
    status, said = export("--publish")
    assert status == 0 and "version 1 already has this plan and model: nothing to do" in said

    retrained = {**TINY, "training": {"batch_size": 32}}
    config.write_text(yaml.safe_dump(retrained, sort_keys=False))
    trained = command("pipelines/train.py", "--config", config, "--force")
    assert trained.returncode == 0, trained.stderr
    before = sorted(run.rglob("*"))
    status, said = export("--force", "--publish", "--url", "127.0.0.1:1", "--protocol", "grpc")
    assert status == 2 and "Triton at 127.0.0.1:1" in said
    assert not [file for file in set(run.rglob("*")) - set(before) if file.name == "2"]
    status, said = export("--publish")
    assert status == 0 and "version 2 is written; the next start of a server loads it" in said
    assert LiveRepository.read(run / "live_repository").current == "2"
