"""A real object store on this machine: moto's server, which speaks the protocol of S3.

`make store` puts it into .venv-store, beside the environment: what it needs does not fit the locks.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / ".venv-store"
BUCKET = "bucket"
SECRET = "a-secret-that-nothing-prints"

needs_store = pytest.mark.skipif(
    not (FOLDER / "moto").is_dir(), reason="there is no server of an object store: `make store`"
)


def environment(address: str) -> dict[str, str]:
    """What a process needs to read the store: the variables of AWS, and nothing else."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


class Objects:
    """The objects of the bucket."""

    def __init__(self, address: str) -> None:
        from obstore.store import S3Store

        self._objects: Any = S3Store(
            BUCKET,
            access_key_id="testing",
            secret_access_key=SECRET,
            endpoint=address,
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def put(self, key: str, content: bytes) -> None:
        self._objects.put(key, content)

    def get(self, key: str) -> bytes:
        return bytes(self._objects.get(key).bytes())

    def delete(self, key: str) -> None:
        self._objects.delete(key)

    def names(self, folder: str = "") -> list[str]:
        chunks = self._objects.list(folder or None)
        return sorted(entry["path"] for chunk in chunks for entry in chunk)

    def clear(self) -> None:
        for key in self.names():
            self.delete(key)


@contextmanager
def running_store(folder: Path, *, checks_credentials: bool = False) -> Iterator[str]:
    """The address of a store with an empty bucket; it knows nobody if it checks credentials."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "store.log").open("wb") as log:
        variables = {**os.environ, "PYTHONPATH": str(FOLDER)}
        if checks_credentials:
            variables["INITIAL_NO_AUTH_ACTION_COUNT"] = "1"  # the bucket is made without any
        process = subprocess.Popen(command, stdout=log, stderr=log, env=variables)
        try:
            _await(address, process, folder / "store.log")
            made = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
            urllib.request.urlopen(made, timeout=60).close()
            yield address
        finally:
            process.terminate()
            process.wait(60)


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=10).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
