"""What is checked before a day is appended: the parent, the columns, the graph, and the day itself.

Nothing has been read or made then but the parent's manifests and the hashes of the day's files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline.base.errors import StageError
from plumbline.base.files import file_sha256, json_sha256
from plumbline.base.manifest import MANIFEST_FILE, Manifest, differences
from plumbline.columns.kinds import CLICK
from plumbline.dlrm.model.model_card import CARD_FILE
from plumbline.dlrm.train.optimizer_file import OPTIMIZER_FILE
from plumbline.features.fitting.appending import refuse_what_cannot_be_appended
from plumbline.features.fitting.kept import STATISTICS, STATISTICS_FILE, require_complete
from plumbline.features.plan.plan import read_plan
from plumbline.features.plan.unfitted import unfitted_json
from plumbline.rawlogs.sources import resolve_files
from plumbline.stages import etl, train
from plumbline.stages.day_features import first_training_rows
from plumbline.stages.parent import Link, first_of
from plumbline.stages.run import Run

NEEDED = ("ingest", "etl", "train")
"""The parent's stages that a day needs."""


def check_day(run: Run, parent: Path, folder: Path, *, force: bool) -> Link:
    """Check that the day of `run` can be appended to its parent; returns the new run's link.

    With `force`, a day may be appended that was appended, or trained on, before.

    Raises
    ------
    PlumblineError
        The parent is not complete, or was made by another version, or does not keep what a day
        needs; the configuration has other columns, another graph or another model than the
        parent's; a step cannot go on from earlier rows; or the day is not new.
    """
    if run.remote:
        raise StageError(
            f"--append-to {parent}: a day is read from files of this machine, got {run.remote[0]}. "
            "Copy it here first."
        )
    manifests = {name: Manifest.read(parent / name) for name in NEEDED}
    _require_columns(run, parent, manifests["ingest"])
    _require_model(run, parent, manifests["train"])
    _require_graph(run, parent, manifests)
    _require_kept(run, parent, manifests)
    link, before = Link.read(folder), Link.read(parent)
    if link is not None and (folder / "ingest" / MANIFEST_FILE).is_file():
        return link
    content = _content(run, parent, before, force)
    return Link(
        parent=os.path.relpath(parent, folder),
        day=1 if before is None else before.day + 1,
        content=content,
        earlier=() if before is None else (*before.earlier, *before.content),
    )


def _require_columns(run: Run, parent: Path, ingested: Manifest) -> None:
    was = {c["name"]: c["kind"] for c in ingested.schema if c["name"] != CLICK}
    now = run.config.features
    changes = [f"new {name}" for name in now if name not in was]
    changes += [f"gone {name}" for name in was if name not in now]
    changes += [
        f"{name} was {was[name]}, is {kind}"
        for name, kind in now.items()
        if name in was and was[name] != kind
    ]
    if changes:
        raise StageError(
            f"--append-to {parent}: the feature columns of the configuration are others: "
            f"{', '.join(changes)}. A day has the columns of its run: declare a new column as "
            "unused, or start a new run."
        )


def _require_model(run: Run, parent: Path, trained: Manifest) -> None:
    changed = differences(_of_model(trained.settings), _of_model(train.settings(run)))
    if changed:
        raise StageError(
            f"--append-to {parent}: training goes on from a model with other settings: "
            f"{'; '.join(changed)}. Give those, or start a new run."
        )


def _of_model(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a model and the state of its optimizers depend on."""
    training = settings["training"]
    return {
        "model": settings["model"],
        "trainer": settings["trainer"],
        "training": {key: training[key] for key in ("optimizer", "embedding_optimizer")},
    }


def _require_graph(run: Run, parent: Path, manifests: Mapping[str, Manifest]) -> None:
    was = manifests["etl"].settings
    rows = first_training_rows(manifests["etl"], manifests["ingest"])
    plan = etl.graph_of(run, rows).plan
    now = {**etl.settings(run), "graph_sha256": json_sha256(unfitted_json(plan))}
    keys = ("workflow", "graph_sha256")
    changed = differences({key: was[key] for key in keys}, {key: now[key] for key in keys})
    if changed:
        raise StageError(
            f"--append-to {parent}: {'; '.join(changed)}. A day is encoded as its run is: go "
            "back to that graph, or start a new run."
        )
    if run.config.append.statistics == "merged":
        refuse_what_cannot_be_appended(plan)


def _require_kept(run: Run, parent: Path, manifests: Mapping[str, Manifest]) -> None:
    """Raises for a parent of an older Plumbline, or one that was told to keep less."""
    read_plan(parent / "etl" / "plan")
    if run.config.append.statistics == "merged":
        if f"{STATISTICS}/{STATISTICS_FILE}" not in manifests["etl"].files:
            raise StageError(
                f"{parent}/etl: keeps no statistics of its rows ({_why(manifests['etl'])}), so a "
                "day's cannot be added. Run that stage again with append.keep_statistics on, or "
                "set append.statistics to frozen."
            )
        require_complete(parent / "etl" / STATISTICS)
    for file in (OPTIMIZER_FILE, f"model/{CARD_FILE}"):
        if file not in manifests["train"].files:
            raise StageError(
                f"{parent}/train: keeps no {file}, as runs of an older Plumbline. Run it again "
                "with --from train."
            )


def _why(manifest: Manifest) -> str:
    append = manifest.settings.get("append", {})
    if append.get("statistics") == "frozen":
        return "they were frozen"
    if append.get("keep_statistics") is False:
        return "append.keep_statistics is off"
    engine = manifest.settings["engine"]
    if engine != "native":
        return f"engine {engine} keeps them only if append.keep_statistics says so"
    return "it is of an older Plumbline"


def _content(run: Run, parent: Path, before: Link | None, force: bool) -> tuple[str, ...]:
    """The hashes of the day's files; raises StageError if one was appended or trained on before."""
    files = resolve_files(run.config.log, run.data)
    content = tuple(file_sha256(file) for file in files)
    seen = set() if before is None else {*before.earlier, *before.content}
    seen |= _hashes_of_equal_size(first_of(parent), {file.stat().st_size for file in files})
    for file, sha256 in zip(files, content, strict=True):
        if sha256 in seen and not force:
            raise StageError(
                f"{file}: the run {parent} has been trained on this file's rows already (SHA-256 "
                f"{sha256[:12]}…). Give another day, or --force to train on it again."
            )
    return content


def _hashes_of_equal_size(first: Path, sizes: set[int]) -> set[str]:
    """The hashes of the files that a run of its own has read and that may be the day's.

    Nothing is known of them if the run or its files are gone.
    """
    if not (first / "ingest" / MANIFEST_FILE).is_file():
        return set()
    read = Manifest.read(first / "ingest").facts["read"]
    files = [Path(file) for file in read["files"]]
    return {
        file_sha256(file)
        for file, fingerprint in zip(files, read["fingerprints"], strict=False)
        if fingerprint["bytes"] in sizes and file.is_file()
    }
