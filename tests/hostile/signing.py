"""Makes the hashes of changed artifacts fit again, as somebody does who wants them to be loaded.

What is too damaged to be signed stays as it is: it is refused for that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from plumbline.base.files import file_sha256, json_sha256
from plumbline.features.lookup.tables import index_of

_REFUSED = (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError)
_FILES = {"vocabulary": "sha256", "table": "sha256", "left": "left_sha256", "right": "right_sha256"}
"""Key of a step that names a file, and the key of its hash."""


def sign(folder: Path) -> None:
    """Sign a folder of a plan, of a model, or of a repository."""
    with suppress(*_REFUSED):
        if (folder / "plan.json").exists():
            sign_plan(folder)
        elif (folder / "model.json").exists():
            sign_model(folder)
        else:
            sign_repository(folder)


def sign_plan(folder: Path) -> None:
    content = _json(folder / "plan.json")
    for step in _objects(content):
        for key, of_hash in _FILES.items():
            with suppress(*_REFUSED):
                step[of_hash] = _sha256(folder / step[key])
                step["index_sha256"] = _sha256(folder / index_of(step[key]))
    _write(folder / "plan.json", content, "content_hash")


def sign_model(folder: Path) -> None:
    content = _json(folder / "model.json")
    with suppress(*_REFUSED):
        content["weights_sha256"] = _sha256(folder / "model.safetensors")
    with suppress(*_REFUSED):
        plan = _json(folder.parent / "plan" / "plan.json")
        content["plan_hash"] = plan["content_hash"]
    _write(folder / "model.json", content, "model_hash")


def sign_repository(folder: Path) -> None:
    integrity = _json(folder / "integrity.json")
    for name in integrity["files"]:
        with suppress(*_REFUSED):
            if name.endswith("manifest.json"):
                version = (folder / name).parent
                changed = _sign_version(version)
                changed[integrity["files"][name]] = _sha256(folder / name)
                _replace(version.parent / "config.pbtxt", changed)
    for name in integrity["files"]:
        with suppress(*_REFUSED):
            integrity["files"][name] = _sha256(folder / name)
    (folder / "integrity.json").write_text(json.dumps(integrity))


def _sign_version(folder: Path) -> dict[str, str]:
    """Sign the parts and the manifest; returns the old hashes of the parts, with the new ones."""
    for part in ("plan", "model"):
        if (folder / part).is_dir():
            sign(folder / part)
    changed = {}
    manifest = _json(folder / "manifest.json")
    for key, of_file, hash_ in (
        ("plan_hash", "plan/plan.json", "content_hash"),
        ("model_hash", "model/model.json", "model_hash"),
    ):
        with suppress(*_REFUSED):
            new = _json(folder / of_file)[hash_]
            changed[manifest[key]] = new
            manifest[key] = new
    with suppress(*_REFUSED):
        _replace(_plain(folder / "drift.json"), changed)
    for name in manifest["files"]:
        with suppress(*_REFUSED):
            manifest["files"][name] = _sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return changed


def _replace(file: Path, changed: dict[str, str]) -> None:
    text = file.read_bytes()
    for old, new in changed.items():
        text = text.replace(old.encode(), new.encode())
    file.write_bytes(text)


def _write(file: Path, content: Any, key: str) -> None:
    content.pop(key, None)
    file.write_text(json.dumps({**content, key: json_sha256(content)}))


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
        waiting += (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )


def _json(file: Path) -> Any:
    return json.loads(_plain(file).read_bytes())


def _sha256(file: Path) -> str:
    return file_sha256(_plain(file))


def _plain(file: Path) -> Path:
    """Nobody waits for a pipe, or reads a device to its end."""
    if not file.is_file():
        raise FileNotFoundError(file)
    return file
