"""Raw logs in an object store, a real server of S3's protocol on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.base.errors import DataError
from plumbline.base.stores import StoreError
from plumbline.rawlogs.remote import RemoteLog, split_data
from plumbline.settings import Config
from tests.conftest import Command
from tests.object_store import BUCKET, SECRET, Objects, environment, needs_store, running_store

pytestmark = [pytest.mark.timeout(600), needs_store]

LOG = f"s3://{BUCKET}/logs"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def store(address: str, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """The objects of an empty bucket."""
    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)
    found = Objects(address)
    found.clear()
    return found


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "name": "remote",
        "log": {"columns": {"y": "label", "x": "continuous", "c": "string"}},
        "split": {"by": "rows", "valid": 0.2, "test": 0.2},
        "workflow": {"graph": "standard"},
        **changes,
    }


def lines(seed: int, rows: int = 60) -> str:
    rng = np.random.default_rng(seed)
    text = "".join(
        f"{rng.integers(0, 2)},{rng.normal():.3f},v{rng.integers(0, 5)}\n" for _ in range(rows)
    )
    return f"y,x,c\n{text}"


def names(config: dict[str, Any], *urls: str) -> list[str]:
    found = RemoteLog.of(Config.model_validate(config), urls)
    return [one.key for one in found.logs]


def test_a_folder_and_a_pattern_are_read_in_natural_order(store: Objects) -> None:
    for name in ("day_10.csv", "day_2.csv", "_SUCCESS", ".day_1.csv", "x/day_1.csv", "a.crc"):
        store.put(f"logs/{name}", lines(1).encode())
    store.put("other/day_3.csv", b"1")
    in_folder = ["logs/day_2.csv", "logs/day_10.csv", "logs/x/day_1.csv"]
    assert names(settings(), LOG) == names(settings(), f"{LOG}/") == in_folder
    assert names(settings(), f"{LOG}/day_*.csv") == in_folder[:2]
    assert names(settings(), f"{LOG}/x/day_1.csv", f"{LOG}/day_2.csv") == [
        "logs/x/day_1.csv",
        "logs/day_2.csv",
    ]
    listed = settings(log={**settings()["log"], "files": ["x/day_1.csv"]})
    assert names(listed, LOG) == ["logs/x/day_1.csv"]


def test_what_is_not_there_is_named(store: Objects) -> None:
    config = Config.model_validate(settings())
    store.put("logs/empty.csv", b"")
    for url, error, message in (
        (f"s3://{BUCKET}/none", StoreError, "there is no such object, and no folder with any"),
        ("s3://no-such-bucket/logs", StoreError, "there is no such bucket"),
        (f"{LOG}/*.parquet", DataError, "none matches it"),
        (LOG, DataError, "found nothing but empty files"),
    ):
        with pytest.raises(error, match=f"{re.escape(url)}: .*{message}"):
            RemoteLog.of(config, [url])


def test_a_copy_has_the_content_and_the_folders(store: Objects, tmp_path: Path) -> None:
    content = {f"logs/day={day}/part.csv": lines(day).encode() for day in (1, 2)}
    for name, text in content.items():
        store.put(name, text)
    log = RemoteLog.of(Config.model_validate(settings()), [LOG])
    copied: list[int] = []
    paths = log.copy(tmp_path, copied.append)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == list(content)
    assert [path.read_bytes() for path in paths] == list(content.values())
    assert sum(copied) == sum(map(len, content.values()))


def test_an_object_that_changes_meanwhile_is_refused(store: Objects, tmp_path: Path) -> None:
    store.put("logs/a.csv", lines(1).encode())
    log = RemoteLog.of(Config.model_validate(settings()), [LOG])
    store.put("logs/a.csv", lines(2).encode())
    with pytest.raises(DataError, match=r"s3://bucket/logs/a\.csv: the object has changed while"):
        log.copy(tmp_path, lambda size: None)


def test_paths_and_urls_are_not_mixed(tmp_path: Path) -> None:
    assert split_data(["a", "file:///b"]) == ((Path("a"), Path("/b")), ())
    assert split_data([LOG]) == ((), (LOG,))
    with pytest.raises(DataError, match="wanted files of this machine or URLs of a store"):
        split_data(["a", LOG])


SIDE = {
    "tables": {
        "cities": {
            "file": "cities.csv",
            "columns": {"c": "key", "size": "continuous"},
        }
    }
}


@pytest.mark.parametrize("format_", ["csv", "parquet"])
@pytest.mark.parametrize("typed_copy", [False, True])
def test_a_run_is_that_of_a_local_log(
    format_: str, typed_copy: bool, store: Objects, command: Command, tmp_path: Path
) -> None:
    """Also with a side table beside the log; the secret is in no file of the run."""
    config = settings(**SIDE)
    config["log"] = {**config["log"], "format": format_, "typed_copy": typed_copy}
    folder = tmp_path / "local"
    folder.mkdir()
    for number in (1, 2):
        text = lines(number)
        if format_ == "parquet":
            rows = [line.split(",") for line in text.splitlines()[1:]]
            table = pa.table(
                {
                    "y": [int(row[0]) for row in rows],
                    "x": [float(row[1]) for row in rows],
                    "c": [row[2] for row in rows],
                }
            )
            pq.write_table(table, folder / f"part_{number}.parquet")
        else:
            (folder / f"part_{number}.csv").write_text(text)
    (folder / "cities.csv").write_text("c,size\n" + "".join(f"v{n},{n}\n" for n in range(4)))
    config["log"]["files"] = [f"part_{number}.{format_}" for number in (1, 2)]
    for file in folder.iterdir():
        store.put(f"logs/{file.name}", file.read_bytes())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    ends = {
        name: command(
            *("pipelines/run_all.py", "--config", tmp_path / "config.yaml", "--to", "etl"),
            *("--data", data, "--out", tmp_path / name, "--device", "cpu"),
        )
        for name, data in (("of files", folder), ("of objects", LOG))
    }
    assert {name: end.returncode for name, end in ends.items()} == dict.fromkeys(ends, 0), ends
    hashes = [
        json.loads((tmp_path / name / "etl/manifest.json").read_text())["facts"]["plan_hash"]
        for name in ends
    ]
    assert hashes[0] == hashes[1]
    assert (tmp_path / "of objects/ingest/log").exists() != typed_copy
    again = command(
        *("pipelines/run_all.py", "--config", tmp_path / "config.yaml", "--to", "etl"),
        *("--data", LOG, "--out", tmp_path / "of objects", "--device", "cpu", "--verify"),
    )
    assert again.returncode == 0 and "etl: complete, skipped" in again.stderr
    for file in (tmp_path / "of objects").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()
    store.put(f"logs/part_2.{format_}", b"other")
    changed = command(
        *("pipelines/run_all.py", "--config", tmp_path / "config.yaml", "--to", "etl"),
        *("--data", LOG, "--out", tmp_path / "of objects", "--device", "cpu"),
    )
    assert changed.returncode == 2 and "settings or inputs have changed" in changed.stderr


@pytest.mark.parametrize(
    ("changes", "url", "message"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, LOG, f"error: {LOG}: "),
        ({}, f"s3://{BUCKET}/none", "there is no such object, and no folder with any."),
        ({}, "s3://me:hush@bucket/logs", "wanted a URL without a user and a password"),
    ],
)
def test_a_store_that_cannot_be_read_is_one_line(
    changes: dict[str, str],
    url: str,
    message: str,
    store: Objects,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings(), sort_keys=False))
    ended = command(
        *("pipelines/ingest.py", "--config", tmp_path / "config.yaml", "--data", url),
        *("--device", "cpu"),
    )
    assert ended.returncode == 2
    assert message in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr and "hush" not in ended.stderr


def test_denied_access_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings(), sort_keys=False))
    with running_store(tmp_path, checks_credentials=True) as address:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        ended = command(
            *("pipelines/ingest.py", "--config", tmp_path / "config.yaml", "--data", LOG),
            *("--device", "cpu"),
        )
    assert ended.returncode == 2
    assert f"error: {LOG}: access is denied (" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr and SECRET not in ended.stderr
