"""Where NVTabular computes: in this process, on a local Dask cluster, or on a remote one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.base.device import Device
from plumbline.base.errors import PlumblineError
from plumbline.base.merlin_imports import merlin_imports, require_no_query_planner
from plumbline.nvtabular.library import Serial, clean_worker_cache, distributed, set_dask_client

LOCAL = "local"
"""The name of a Dask cluster that is started on this machine and closed again."""


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
            yield number


@contextmanager
def scheduler(device: Device, address: str | None, scratch: Path) -> Iterator[Scheduler]:
    """NVTabular computes on this scheduler inside the block.

    `address` is None for this process, "local" for a Dask cluster on this machine (a worker per
    core, or per GPU on `cuda`), or the address of a running scheduler, "tcp://…", whose workers see
    the same file system. Local workers spill to `scratch`.

    Raises
    ------
    PlumblineError
        No scheduler answers at the address, or its workers cannot import this package.
    """
    if address is None:
        with Serial():
            try:
                yield Scheduler(None)
            finally:
                clean_worker_cache()
    elif address == LOCAL:
        with _local_cluster(device, scratch) as cluster, distributed.Client(cluster) as client:
            yield from _on(client)
    else:
        with _connect(address) as client, client.as_current():
            _import_on_workers(client, address)
            yield from _on(client)


class _Imports(distributed.WorkerPlugin):
    """Imports this module on the workers of a running cluster, before a task imports Dask's frames.

    So they have the settings of `merlin_imports`; local workers get them from this process.
    """

    name = "plumbline imports"

    def setup(self, worker: object) -> None:
        require_no_query_planner()


def _import_on_workers(client: distributed.Client, address: str) -> None:
    try:
        client.register_plugin(_Imports())
    except Exception as error:  # noqa: BLE001 (any error of a worker, as text)
        reason = " ".join(str(error).split())
        raise PlumblineError(
            f"Wanted workers of the Dask scheduler at {address} that can import Plumbline, but one "
            f"raises: {reason}. Install Plumbline with its locks there, and start the workers with "
            "DASK_DATAFRAME__QUERY_PLANNING=False in their environment."
        ) from None


def _on(client: distributed.Client) -> Iterator[Scheduler]:
    set_dask_client(client)
    try:
        yield Scheduler(client)
    finally:
        set_dask_client("auto")


def _local_cluster(device: Device, scratch: Path) -> Any:
    if device == "cuda":
        with merlin_imports():  # This has not run on a GPU yet.
            from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(local_directory=str(scratch), dashboard_address=None)
    return distributed.LocalCluster(
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=str(scratch),
        env={"PYTHONWARNINGS": "ignore"},
    )


def _connect(address: str) -> distributed.Client:
    try:
        # A default client that fails to connect stays the default and hangs later calls.
        return distributed.Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PlumblineError(
            f"Wanted a Dask scheduler at {address}, but none answers ({reason}). "
            f"Start one with `dask scheduler`, or use the scheduler {LOCAL!r}."
        ) from None
