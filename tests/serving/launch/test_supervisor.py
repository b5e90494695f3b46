"""When a server is started again, and when it is not, with stand-ins for server and checks."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from plumbline.serving.errors import ServerError
from plumbline.serving.gateway.settings import LauncherState
from plumbline.serving.launch import supervisor
from plumbline.serving.launch.back_off import BackOff
from plumbline.serving.launch.health import Failure
from plumbline.serving.launch.model_processes import Instance
from plumbline.serving.launch.server import ServerDied
from plumbline.serving.launch.supervisor import Supervisor

FUSED = Instance("ctr_fused", "1", "ctr_fused_0_0")
SILENT = Failure("no_answer", "It does not answer.")
CLOSED = Failure("unreachable", "It cannot be reached.")
WRONG = Failure("wrong_answer", "It answers wrongly.")


class Over(Exception):
    """Ends the supervisor, which would go on for ever."""


class Process:
    """Runs until it is killed, or exits with a status."""

    def __init__(self, status: int | None = None) -> None:
        body = "import time; time.sleep(60)" if status is None else f"raise SystemExit({status})"
        self.popen = subprocess.Popen([sys.executable, "-c", body])
        if status is not None:
            self.popen.wait()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


class Server:
    """Starts as the `starts` say: an error, or a process. The last one is repeated."""

    def __init__(self, *starts: Exception | None) -> None:
        self.starts = deque(starts or [None])
        self.running = self.model = None
        self.killed = self.started = 0

    @property
    def process(self) -> int:
        return self.running.popen.pid

    def start(self) -> None:
        self.started += 1
        error = self.starts.popleft() if len(self.starts) > 1 else self.starts[0]
        if error is not None:
            raise error
        self.running, self.model = Process(), Process()

    def kill(self) -> None:
        self.killed += 1
        for process in (self.running, self.model):
            process.kill()

    def status(self) -> int | None:
        return self.running.popen.poll()

    def instances(self) -> dict[int, Instance]:
        return {} if self.model.popen.poll() is not None else {self.model.popen.pid: FUSED}


class Checks:
    """Answers as the list says, one after the other; at its end the supervisor is ended."""

    def __init__(self, server: Server, *answers: object) -> None:
        self.server, self.answers = server, deque(answers)
        self.lost: list[set[Instance]] = []

    @contextmanager
    def open(self) -> Iterator[Checks]:
        yield self

    def check(self, lost: set[Instance]) -> Failure | None:
        self.lost.append(set(lost))
        if not self.answers:
            raise Over
        answer = self.answers.popleft()
        if callable(answer):
            answer = answer()
        return answer


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_SECONDS_TO_DIE", 0.5)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()


def supervised(
    server: Server, *answers: object, check_seconds: float = 0.01
) -> list[LauncherState]:
    """Run a supervisor until the answers are used up. Returns the states that it told."""
    states: list[LauncherState] = []
    checks = Checks(server, *answers)
    supervises = Supervisor(
        server,
        checks.open,
        check_seconds=check_seconds,
        tell=states.append,
        report=lambda line: None,
        back_off=BackOff(first_seconds=0.01, longest_seconds=0.02),
    )
    supervises.start()
    with pytest.raises(Over):
        supervises.run(lambda: None)
    server.lost = checks.lost
    return states


def test_a_server_that_answers_rightly_is_left_alone(server: Server) -> None:
    states = supervised(server, *[None] * 9)
    assert server.started == 1
    assert [(state.ready, state.restarts) for state in states] == [(True, {})]
    assert states[0].server_up_since > 1e9


@pytest.mark.parametrize("failure", [WRONG, Failure("error_answer", "It fails.")])
def test_a_wrong_answer_restarts_it(server: Server, failure: Failure) -> None:
    states = supervised(server, None, failure, None)
    assert server.started == 2
    assert [(state.ready, dict(state.restarts)) for state in states] == [
        (True, {}),
        (False, {failure.cause: 1}),
        (True, {failure.cause: 1}),
    ]


def test_it_is_ready_only_when_it_answers_rightly(server: Server) -> None:
    states = supervised(server, WRONG, WRONG, None)
    assert [state.ready for state in states] == [False, False, True]
    assert states[-1].restarts == {"wrong_answer": 2}


@pytest.mark.parametrize(
    ("first", "second"), [(SILENT, SILENT), (CLOSED, CLOSED), (CLOSED, SILENT)]
)
def test_only_two_checks_without_an_answer_in_a_row_restart_it(
    server: Server, first: Failure, second: Failure
) -> None:
    states = supervised(server, None, first, None, second, None)
    assert server.started == 1 and [state.ready for state in states] == [True]
    server.kill()
    states = supervised(server, first, second, None)
    assert server.started == 3 and states[-1].restarts == {second.cause: 1}


@pytest.mark.parametrize("sign", ["-9", "3"])
def test_a_server_that_ends_is_started_again(server: Server, sign: str) -> None:
    def ends() -> None:
        server.running.kill()
        server.running = Process(None if sign == "-9" else int(sign))
        if sign == "-9":
            server.running.kill()

    states = supervised(server, None, ends, None)
    assert states[-1] == LauncherState(True, {"died": 1}, states[-1].server_up_since)


def test_a_server_that_ends_between_two_checks_is_noticed_at_once(server: Server) -> None:
    def ends_soon() -> None:
        subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {server.process}"])

    assert supervised(server, ends_soon, check_seconds=60.0)[-1].restarts == {"died": 1}


def test_the_end_of_a_models_process_is_followed_by_a_check_at_once(server: Server) -> None:
    def model_ends_soon() -> None:
        subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {server.model.popen.pid}"])

    supervised(server, model_ends_soon, check_seconds=60.0)
    assert server.lost == [set(), {FUSED}]


def test_a_passed_check_after_it_restarts_nothing(server: Server) -> None:
    """A version may have been unloaded."""
    states = supervised(server, lambda: server.model.kill(), *[None] * 4)
    assert server.started == 1 and states[-1].restarts == {}
    assert {FUSED} in server.lost and server.lost[-1] == set()


def test_a_failed_check_after_it_restarts_it(server: Server) -> None:
    def model_ends() -> None:
        server.model.kill()

    died = Failure("model_process_died", "A process died.")
    states = supervised(server, model_ends, died, None)
    assert server.lost[1] <= {FUSED}
    assert states[-1].restarts == {"model_process_died": 1}


def test_a_check_that_fails_because_a_process_ended_says_so(server: Server) -> None:
    def model_ends() -> Failure:
        server.model.kill()
        return Failure("error_answer", "The model is not healthy.")

    states = supervised(server, model_ends, None)
    assert states[-1].restarts == {"model_process_died": 1}


def test_a_server_that_dies_during_a_check_takes_its_models_along(server: Server) -> None:
    def server_ends_soon() -> Failure:
        server.model.kill()
        subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {server.process}"])
        return CLOSED

    assert supervised(server, server_ends_soon, None)[-1].restarts == {"died": 1}


def test_failed_restarts_are_repeated_and_counted() -> None:
    errors = (ServerError("no"), ServerDied("no"), OSError(28, "full"))
    server = Server(None, *errors, None)
    states = supervised(server, WRONG, None)
    assert server.started == 5
    assert states[-1].restarts == {"wrong_answer": 1, "failed_start": 3}
    server.kill()


def test_a_first_start_is_repeated_only_after_a_signal() -> None:
    server = Server(ServerDied("killed"), None)
    assert supervised(server, None)[-1].restarts == {"failed_start": 1}
    server.kill()
    with pytest.raises(ServerError, match="no model"):
        supervised(Server(ServerError("no model")))
