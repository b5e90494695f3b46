"""Where NVTabular computes: in this process, on a local Dask cluster, or on a remote one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from plumbline.base.device import Device
from plumbline.base.errors import MachineError, PlumblineError
from plumbline.base.library_log import library_log_file
from plumbline.base.merlin_imports import merlin_imports, require_no_query_planner
from plumbline.nvtabular import worker_log
from plumbline.nvtabular.library import (
    Serial,
    clean_worker_cache,
    dask_config,
    distributed,
    set_dask_client,
)

LOCAL = "local"
"""The name of a Dask cluster that is started on this machine and closed again."""

RETRIES = 3
"""How often a task that raised an error is run again, on any worker."""

_PATIENCE = {
    "distributed.comm.timeouts.connect": "120s",
    "distributed.comm.timeouts.tcp": "120s",
    "distributed.deploy.lost-worker-timeout": "1 day",
}
"""A busy machine takes long to start a worker. One that cannot connect in time is not started
again, and a cluster gives up a dead one whose successor is not there in the last of these times."""

_WORKER_SECONDS = 60
"""How long a running cluster may be without a worker when a run begins."""

ALLOWED_FAILURES = 10
"""How many workers of a local cluster may die under one task before it is given up.

Dask's default is 3. A cluster that runs already has its own setting.
"""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Runs delayed tasks; `client` is None in a single process."""

    client: distributed.Client | None

    def run(self, tasks: Sequence[Any], done: Callable[[int], None]) -> int:
        """Compute the tasks. Each returns its number of rows, and `done` is called with it.

        Returns the sum of the numbers. The first task that fails raises its error here.
        """
        rows = 0
        for number in self._results(tasks):
            done(number)
            rows += number
        return rows

    def _results(self, tasks: Sequence[Any]) -> Iterator[int]:
        if self.client is None:
            yield from (task.compute(scheduler="synchronous") for task in tasks)
            return
        futures = self.client.compute(list(tasks))
        for _, number in distributed.as_completed(futures, with_results=True):
            if isinstance(number, distributed.CancelledError):  # returned, not raised
                raise number
            yield number

    def heard(self, done: Callable[[str], None]) -> Callable[[str], None]:
        """A function for tasks to call: `done` is called here with what they tell, in a thread of
        the client's if there is one.
        """
        if self.client is None:
            return done
        topic = uuid4().hex
        self.client.subscribe_topic(topic, lambda event: done(event[1]))
        return partial(_tell, topic)


def _tell(topic: str, text: str) -> None:
    distributed.get_worker().log_event(topic, text)


@contextmanager
def scheduler(device: Device, address: str | None, scratch: Path) -> Iterator[Scheduler]:
    """NVTabular computes on this scheduler inside the block.

    `address` is None for this process, "local" for a Dask cluster on this machine (a worker per
    core, or per GPU on `cuda`), or the address of a running scheduler, "tcp://…", whose workers see
    the same file system. Local workers spill to `scratch`.

    A worker that dies costs time only: its tasks run on another one.

    Raises
    ------
    PlumblineError
        No scheduler answers at the address, it stopped, or its workers cannot import this package
        or do not see `scratch`.
    MachineError
        Too many workers died under one task.
    """
    if address is None:
        with Serial():
            try:
                yield Scheduler(None)
            finally:
                clean_worker_cache()
    elif address == LOCAL:
        with (
            dask_config.set(_PATIENCE),
            _closing(_local_cluster(device, scratch)) as cluster,
            _Client(cluster) as client,
        ):
            yield from _on(client, address)
    else:
        with _connect(address) as client, client.as_current():
            _await_worker(client, address)
            _import_on_cluster(client, address)
            _require_shared(client, address, scratch)
            yield from _on(client, address)


class _Client(distributed.Client):
    """Runs a task again that raised an error: a disk, a network or a driver may have failed."""

    def compute(self, *arguments: Any, **options: Any) -> Any:
        return super().compute(*arguments, **{"retries": RETRIES, **options})

    def get(self, *arguments: Any, **options: Any) -> Any:
        return super().get(*arguments, **{"retries": RETRIES, **options})


class _Imports(distributed.WorkerPlugin):
    """Imports this module on the workers of a running cluster, before a task imports Dask's frames.

    So they have the settings of `merlin_imports`; local workers get them from this process. A
    worker that joins later gets it too.
    """

    name = "plumbline imports"

    def setup(self, worker: object) -> None:
        require_no_query_planner()


class _SchedulerImports(distributed.SchedulerPlugin):
    """Does the same on a scheduler in a process of its own, which reads the graphs of tasks."""

    name = "plumbline imports on the scheduler"

    async def start(self, scheduler: object) -> None:
        require_no_query_planner()


def _await_worker(client: distributed.Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except distributed.TimeoutError:
        raise PlumblineError(
            f"Wanted a worker at the Dask scheduler at {address}, but none joined it within "
            f"{_WORKER_SECONDS} seconds. Start one with `dask worker {address}`."
        ) from None


def _import_on_cluster(client: distributed.Client, address: str) -> None:
    try:
        client.register_plugin(_SchedulerImports())
        client.register_plugin(_Imports())
    except Exception as error:  # noqa: BLE001 (any error of another process, as text)
        raise PlumblineError(
            f"Wanted a Dask scheduler at {address} and workers that can import Plumbline, but one "
            f"raises: {_reason(error)}. Install Plumbline with its locks there, and start "
            "scheduler and workers with DASK_DATAFRAME__QUERY_PLANNING=False in their environment."
        ) from None


def _sees(folder: str) -> bool:
    return Path(folder).is_dir()


def _require_shared(client: distributed.Client, address: str, folder: Path) -> None:
    # A worker that dies now answers nothing; one that joins later fails in its first task.
    seen = client.run(_sees, str(folder), on_error="ignore")
    for worker, is_seen in seen.items():
        if not is_seen:
            raise PlumblineError(
                f"Wanted workers of the Dask scheduler at {address} that see the folder "
                f"{folder}, but the one at {worker} does not. Put the run on a file "
                "system that all of them share, with --out."
            )


def _on(client: distributed.Client, address: str) -> Iterator[Scheduler]:
    set_dask_client(client)
    try:
        yield Scheduler(client)
    except distributed.KilledWorker as error:
        raise MachineError(
            f"{error.allowed_failures + 1} workers of the Dask cluster died under one task, "
            f"{error.task!r}. A worker that takes too much memory is killed: give the workers "
            "more, or start fewer of them on a machine."
        ) from None
    except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
        raise MachineError(
            f"The Dask scheduler at {address} stopped, or dropped the run's tasks "
            f"({_reason(error)}). Start it again, and run again."
        ) from None
    finally:
        set_dask_client("auto")


@contextmanager
def _closing(cluster: Any) -> Iterator[Any]:
    try:
        yield cluster
    finally:
        # Dask raises if a worker that is just being started again does not end at once.
        with suppress(distributed.TimeoutError):
            cluster.close()


def _local_cluster(device: Device, scratch: Path) -> Any:
    options = {
        "dashboard_address": None,
        "local_directory": str(scratch),
        "scheduler_kwargs": {"allowed_failures": ALLOWED_FAILURES},
    }
    if device == "cuda":
        with merlin_imports():  # This has not run on a GPU yet.
            from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(**options, **_logging_options())
    return distributed.LocalCluster(
        threads_per_worker=1,
        host="127.0.0.1",
        **options,
        **_logging_options(),
    )


def _logging_options() -> dict[str, Any]:
    """Has workers log where this process does, if that is a file; else they warn of nothing."""
    file = library_log_file()
    if file is None:
        return {"env": {"PYTHONWARNINGS": "ignore"}}
    return {"preload": [worker_log.__name__], "env": {worker_log.VARIABLE: str(file)}}


def _connect(address: str) -> distributed.Client:
    try:
        # A default client that fails to connect stays the default and hangs later calls.
        return _Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise PlumblineError(
            f"Wanted a Dask scheduler at {address}, but none answers ({_reason(error)}). "
            f"Start one with `dask scheduler`, or use the scheduler {LOCAL!r}."
        ) from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).removesuffix(".")
