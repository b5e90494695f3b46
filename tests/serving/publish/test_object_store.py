"""Publishing into an object store, a real server of S3's protocol on this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plumbline.base.errors import PlumblineError
from plumbline.base.stores import StoreError
from plumbline.serving.contract.versions import verify_repository
from plumbline.serving.errors import RepositoryError
from plumbline.serving.publish.live_repository import JOURNAL_FILE
from plumbline.serving.publish.object_store import SMALL_FILES, publish_to_store
from plumbline.serving.publish.publish import Published
from plumbline.serving.publish.remote_files import RemoteFiles
from plumbline.serving.repository.export import write_repository
from plumbline.serving.repository.release import Release
from plumbline.stages import publishing
from tests.object_store import BUCKET, Objects, environment, needs_store, running_store
from tests.serving.releases import ROWS, SETTINGS, model_of, write_small_plan

pytestmark = [pytest.mark.timeout(600), needs_store]

URL = f"s3://{BUCKET}/served/model_repository"
ROOT = "served/model_repository"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[Release]:
    folder = tmp_path_factory.mktemp("releases")
    found = []
    for number in (1, 2, 3):
        plan = write_small_plan(folder / f"plan {number}", ["Oslo", "Rome", "Lima"][:number])
        model = model_of(plan, folder / f"model {number}", number)
        found.append(Release.of(plan, model, ROWS, SETTINGS))
    return found


@pytest.fixture
def store(address: str, monkeypatch: pytest.MonkeyPatch) -> Objects:
    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)
    found = Objects(address)
    found.clear()
    return found


def published(release: Release, scratch: Path) -> Published:
    scratch.mkdir()
    return publish_to_store(release, URL, SETTINGS, scratch, lambda text: None)


def objects(store: Objects) -> dict[str, bytes]:
    """Name to content; without `.keep`, which stands for a folder without files."""
    found = {path.removeprefix(f"{ROOT}/"): store.get(path) for path in store.names(ROOT)}
    return {name: content for name, content in found.items() if not name.endswith("/.keep")}


def fetched(store: Objects, folder: Path) -> Path:
    """The repository, as Triton copies it from the store."""
    for path in store.names(ROOT):
        target = folder / path.removeprefix(f"{ROOT}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.get(path))
    return folder


def test_a_first_version_is_the_exported_repository(
    releases: list[Release], store: Objects, tmp_path: Path
) -> None:
    assert published(releases[0], tmp_path / "scratch") == Published("1", is_new=True)
    write_repository(releases[0], tmp_path / "exported", SETTINGS)
    wanted = {
        path.relative_to(tmp_path / "exported").as_posix(): path.read_bytes()
        for path in (tmp_path / "exported").rglob("*")
        if path.is_file()
    }
    assert objects(store) == wanted
    assert verify_repository(fetched(store, tmp_path / "fetched"), large_files=True) == 4
    # The ensemble's version has no files, but Triton needs its folder.
    assert f"{ROOT}/ctr/1/.keep" in store.names()


def test_versions_follow_and_old_ones_go(
    releases: list[Release], store: Objects, tmp_path: Path
) -> None:
    for number, release in enumerate(releases, 1):
        done = published(release, tmp_path / f"scratch {number}")
        assert done == Published(str(number), is_new=True)
        folder = fetched(store, tmp_path / f"fetched {number}")
        assert verify_repository(folder, large_files=True) == 4
    versions = {name.split("/")[1] for name in objects(store) if name.startswith("ctr_fused/")}
    assert versions == {"2", "3", "config.pbtxt"}
    assert {path.split("/")[-2] for path in store.names(f"{ROOT}/ctr") if ".keep" in path} == {"3"}
    assert published(releases[2], tmp_path / "again") == Published("3", is_new=False)
    assert JOURNAL_FILE not in objects(store)


@pytest.mark.parametrize("fails_at", range(1, 7))
def test_a_publish_that_fails_leaves_all_as_it_was(
    fails_at: int,
    releases: list[Release],
    store: Objects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At each write of what makes the version visible, and before the first."""
    published(releases[0], tmp_path / "first")
    before = objects(store)
    writes = 0
    put = RemoteFiles.put

    def fail(self: RemoteFiles, name: str, content: bytes) -> None:
        nonlocal writes
        writes += name in SMALL_FILES or name.endswith(".keep")
        if writes == fails_at:
            raise StoreError("the store does not answer")
        put(self, name, content)

    monkeypatch.setattr(RemoteFiles, "put", fail)
    with pytest.raises(RepositoryError, match=r"nothing was published\. the store does not answer"):
        published(releases[1], tmp_path / "second")
    monkeypatch.setattr(RemoteFiles, "put", put)
    assert objects(store) == before
    assert published(releases[1], tmp_path / "third") == Published("2", is_new=True)


KILLED = """
import os, signal, sys
from pathlib import Path
from plumbline.base.stores import Bucket
from plumbline.serving.publish.object_store import SMALL_FILES
from plumbline.serving.publish.remote_files import RemoteFiles
from plumbline.serving.publish.remote_journal import RemoteJournal

files = RemoteFiles(*Bucket.of(sys.argv[1]))
RemoteJournal.begin(files, SMALL_FILES, print)
files.put("ctr_fused/2/model.py", b"half")
for name in SMALL_FILES[:int(sys.argv[2])]:
    files.put(name, b"new")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("replaced", [0, 2, 5])
def test_a_publish_that_was_killed_is_rolled_back(
    replaced: int, releases: list[Release], store: Objects, tmp_path: Path
) -> None:
    published(releases[0], tmp_path / "first")
    before = objects(store)
    command = [sys.executable, "-c", KILLED, URL, str(replaced)]
    assert subprocess.run(command, timeout=300).returncode == -9
    assert JOURNAL_FILE in objects(store)
    assert published(releases[0], tmp_path / "same") == Published("1", is_new=False)
    left = objects(store)
    del left["ctr_fused/2/model.py"]  # no config lists it
    assert left == before
    assert published(releases[1], tmp_path / "second") == Published("2", is_new=True)
    assert verify_repository(fetched(store, tmp_path / "fetched"), large_files=True) == 4


@pytest.mark.parametrize(
    ("host", "process", "age", "runs"),
    [
        (socket.gethostname(), 1, 10**6, True),
        ("elsewhere", 1, 60, True),
        ("elsewhere", 1, 10**6, False),
    ],
)
def test_two_publishes_at_a_time_are_refused(
    host: str, process: int, age: int, runs: bool, releases: list[Release], store: Objects,
    tmp_path: Path,
) -> None:  # fmt: skip
    journal = {"host": host, "process": process, "started": int(time.time()) - age, "before": None}
    store.put(f"{ROOT}/{JOURNAL_FILE}", json.dumps(journal).encode())
    if not runs:
        assert published(releases[0], tmp_path / "scratch").is_new
        return
    with pytest.raises(RepositoryError, match=f"another publish is running, process 1 on {host}"):
        published(releases[0], tmp_path / "scratch")
    assert list(objects(store)) == [JOURNAL_FILE]


def test_no_bucket(releases: list[Release], store: Objects, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/x/.* there is no such bucket"):
        publish_to_store(releases[0], "s3://no-such-bucket/x", SETTINGS, tmp_path, print)


def test_a_run_is_published_at_a_url(
    releases: list[Release], store: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command does, once stage export is complete; no server can load it from here."""
    stage = SimpleNamespace(name="export", ensure=lambda *_, **__: None)
    exported = SimpleNamespace(STAGE=stage, release_of=lambda *_: releases[0])
    monkeypatch.setattr(publishing, "export", exported)
    run: Any = SimpleNamespace(config=SimpleNamespace(serving=SETTINGS))
    server = publishing.LoadingServer("localhost:8000", "http", None, None, 1.0)
    with pytest.raises(PlumblineError, match="--url localhost:8000: wanted none with a repository"):
        publishing.publish_run(run, tmp_path, URL, server, force=False, verify=False)
    assert not objects(store)
    publishing.publish_run(run, tmp_path, URL, None, force=False, verify=False)
    assert verify_repository(fetched(store, tmp_path / "fetched"), large_files=True) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["fetched"]
