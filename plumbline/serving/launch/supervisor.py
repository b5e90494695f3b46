"""Keep a server running and right: check it, watch its processes, and start it again."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import NoReturn, Protocol

from plumbline.base.errors import PlumblineError
from plumbline.serving.gateway.settings import LauncherState
from plumbline.serving.launch.back_off import BackOff
from plumbline.serving.launch.health import Failure
from plumbline.serving.launch.model_processes import Instance, ProcessWatch
from plumbline.serving.launch.server import ServerDied

NO_ANSWERS = 2
"""A server that gave no answer in so many checks in a row is started again."""
_SILENT = ("no_answer", "unreachable")
_SECONDS_TO_DIE = 3.0
"""A server that closes its connections is dying; its exit status follows within this time."""


class Checks(Protocol):
    """`Health`, or a stand-in."""

    def check(self, lost: set[Instance]) -> Failure | None: ...


class Server(Protocol):
    """`TritonServer`, or a stand-in."""

    @property
    def process(self) -> int: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def status(self) -> int | None: ...

    def instances(self) -> Mapping[int, Instance]: ...


class Supervisor:
    """Runs a server until it is interrupted.

    Parameters
    ----------
    server
        Not started yet.
    open_checks
        Opens a connection to the running server for checks.
    check_seconds
        Time between two checks. The end of a model's process is followed by one at once.
    tell
        Is called with each new state.
    report
        Shows a failure to the operator.
    """

    def __init__(
        self,
        server: Server,
        open_checks: Callable[[], AbstractContextManager[Checks]],
        *,
        check_seconds: float,
        tell: Callable[[LauncherState], None],
        report: Callable[[str], None],
        back_off: BackOff | None = None,
    ) -> None:
        self._server, self._open_checks = server, open_checks
        self._check_seconds = check_seconds
        self._tell, self._report = tell, report
        self._back_off = back_off or BackOff()
        self._restarts: Counter[str] = Counter()
        self._up_since = 0.0

    def start(self) -> None:
        """The first start. One that a signal ends is repeated.

        Raises
        ------
        ServerError
            For causes that no other start mends, as `TritonServer.start`.
        """
        while True:
            try:
                return self._server.start()
            except ServerDied as error:
                self._start_failed(error)

    def run(self, restarted: Callable[[], None]) -> NoReturn:
        """Check the server, and start it again as often as it fails.

        `restarted` is called after each start.
        """
        while True:
            started = time.monotonic()
            failure = self._first_failure()
            self._tell_state(ready=False, cause=failure.cause)
            self._report(failure.text)
            self._server.kill()
            time.sleep(self._back_off.delay(time.monotonic() - started))
            while not self._starts():
                pass
            restarted()

    def _starts(self) -> bool:
        try:
            self._server.start()
        except (PlumblineError, OSError) as error:
            self._start_failed(error)
            return False
        return True

    def _start_failed(self, error: Exception) -> None:
        delay = self._back_off.delay(0.0)
        self._report(f"{error} It is started again in {delay:g} s.")
        self._tell_state(ready=False, cause="failed_start")
        time.sleep(delay)

    def _first_failure(self) -> Failure:
        """Wait for it. The server is ready from its first right answers on."""
        no_answers, is_ready = 0, False
        lost: set[Instance] = set()
        server = self._server
        with ProcessWatch(server.process, server.instances) as watch, self._open_checks() as checks:
            while True:
                failure = checks.check(lost)
                is_silent = failure is not None and failure.cause in _SILENT
                is_closed = failure is not None and failure.cause == "unreachable"
                if end := self._end(_SECONDS_TO_DIE if is_closed else 0.0):
                    return end
                if failure is not None and (lost := lost | watch.wait(0.0)):
                    return Failure("model_process_died", failure.text)
                no_answers = no_answers + 1 if is_silent else 0
                if failure is None:
                    lost = set()
                    if not is_ready:
                        self._up_since, is_ready = time.time(), True
                        self._tell_state(ready=True)
                elif not is_silent or no_answers == NO_ANSWERS:
                    return failure
                lost |= watch.wait(self._check_seconds)
                if end := self._end(0.0):
                    return end

    def _end(self, seconds: float) -> Failure | None:
        """The server's end, if it ends within this time."""
        until = time.monotonic() + seconds
        while (status := self._server.status()) is None:
            if time.monotonic() >= until:
                return None
            time.sleep(0.01)
        died = (
            f"died ({signal.strsignal(-status)})" if status < 0 else f"ended with status {status}"
        )
        return Failure("died", f"The Triton server {died}.")

    def _tell_state(self, *, ready: bool, cause: str | None = None) -> None:
        if cause is not None:
            self._restarts[cause] += 1
        self._tell(LauncherState(ready, dict(self._restarts), self._up_since))
