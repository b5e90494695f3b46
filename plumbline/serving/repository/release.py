"""A release: a plan, a model trained on it, and check rows. It becomes a version of each model.

| model | version folder |
|---|---|
| `ctr_features` | `model.py`, `plan/`, `drift.json`, `check.arrow`, `manifest.json` |
| `ctr_dlrm` | `model.py`, `model/`, `check.arrow`, `manifest.json` |
| `ctr_fused` | `model.py`, `plan/`, `model/`, `drift.json`, `check.arrow`, `manifest.json` |
| `ctr` | empty |
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from plumbline.base.errors import PlanError
from plumbline.base.files import flush
from plumbline.base.manifest import differences
from plumbline.base.paths import ROOT
from plumbline.columns.wire import to_tensors
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import CARD_FILE, WEIGHTS_FILE, ModelCard, read_model_card
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision, scoring_precision
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.drift.reference import REFERENCE_FILE, read_reference
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import PLAN_FILE, OutputColumn, Plan, read_plan
from plumbline.serving.contract.check_rows import CHECK_FILE, CHECK_ROWS, CheckRows
from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
    MODELS,
    wire_columns,
)
from plumbline.serving.contract.outputs import scored, to_encoded_tensors
from plumbline.serving.contract.versions import (
    COMPILED,
    ENTRY_FILE,
    MODEL_FOLDER,
    PLAN_FOLDER,
    Rules,
    Version,
    write_manifest,
)
from plumbline.serving.errors import RepositoryError
from plumbline.settings import Serving

_WITH_PLAN = (FEATURES_MODEL, FUSED_MODEL)
_WITH_WEIGHTS = (DLRM_MODEL, FUSED_MODEL)
_WITH_CODE = (FEATURES_MODEL, DLRM_MODEL, FUSED_MODEL)


@dataclass(frozen=True, slots=True)
class Release:
    """The content of a version. `of` checks that its parts fit together."""

    plan: Plan
    model_folder: Path
    card: ModelCard
    precision: ScoringPrecision
    checks: Mapping[str, CheckRows]
    """Model name to its check rows; the ensemble has none."""
    rules: Rules | None = None
    """How training read its log: see `plumbline.serving.contract.log_rules`."""
    drift: Path | None = None
    """The file of the reference of drift, if the etl wrote one; without it no drift is measured."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        model_folder: Path,
        rows: pa.Table,
        settings: Serving,
        rules: Rules | None = None,
        drift: Path | None = None,
    ) -> Release:
        """A release whose check rows are the first raw `rows`, which are encoded and scored here.

        Raises
        ------
        PlanError
            A file of the plan is missing or was changed, or the rows lack a column.
        ModelError
            The model was trained on another plan, a file of it is missing or was changed, or it is
            in int8 and the settings' precision is not, or the other way round.
        DriftReferenceError
            The reference of drift is damaged, or is of another plan.
        RepositoryError
            There is no row.
        """
        got = read_plan(plan.folder).content_hash
        if got != plan.content_hash:
            raise PlanError.damaged(str(plan.folder / PLAN_FILE), plan.content_hash, got)
        card = _card_of(plan, model_folder)
        precision = scoring_precision(settings.precision)
        if precision == "int8" and card.quantized_from is None:
            raise ModelError(
                f"{model_folder / CARD_FILE}: wanted a model in int8, as serving.precision says, "
                "found a trained one. Give the folder that "
                "plumbline.dlrm.score.quantized_model.write_quantized_model writes."
            )
        if drift is not None:
            read_reference(drift, plan)
        checks = _checks(plan, model_folder, rows, precision)
        return cls(plan, model_folder, card, precision, checks, rules, drift)


def write_version(release: Release, repository: Path, number: str) -> dict[str, Version]:
    """Add version `number` of all four models to a repository.

    Each version folder is built under a name that Triton ignores, and renamed when it is complete.
    The configs are not changed. Files that two models need are hard links if the file system has
    them.

    Returns
    -------
    Model name to the version's entry for its config.
    """
    built = {model: repository / model / partial_name(number) for model in MODELS}
    for folder in built.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    plan, card = release.plan, release.card
    _copy(plan.folder, [PLAN_FILE, *plan.files], [built[m] / PLAN_FOLDER for m in _WITH_PLAN])
    if release.drift is not None:
        _copy(release.drift.parent, [release.drift.name], [built[m] for m in _WITH_PLAN])
    of_model = [CARD_FILE, WEIGHTS_FILE]
    _copy(release.model_folder, of_model, [built[m] / MODEL_FOLDER for m in _WITH_WEIGHTS])
    versions = {ENSEMBLE_MODEL: Version(plan.content_hash, card.model_hash, None, release.rules)}
    for model in _WITH_CODE:
        shutil.copyfile(_entry(model), built[model] / ENTRY_FILE)
        (built[model] / COMPILED).touch()
        release.checks[model].write(built[model] / CHECK_FILE)
        versions[model] = _with_manifest(release, model, built[model])
    for model, folder in built.items():
        folder.replace(repository / model / number)
    return versions


def partial_name(number: str) -> str:
    """The name of a version folder that is not complete. Triton only loads numbers."""
    return f".{number}.partial"


def flush_version(repository: Path, number: str) -> None:
    """Flush a version's files to disk.

    This must precede the configs, so that after a power cut no config lists missing files.
    """
    for model in MODELS:
        version = repository / model / number
        for entry in (repository / model, version, *version.rglob("*")):
            flush(entry)


def _with_manifest(release: Release, model: str, folder: Path) -> Version:
    files = [ENTRY_FILE, CHECK_FILE]
    if model in _WITH_PLAN:
        files.append(f"{PLAN_FOLDER}/{PLAN_FILE}")
        files += [] if release.drift is None else [REFERENCE_FILE]
    has_model = model in _WITH_WEIGHTS
    if has_model:
        files.append(f"{MODEL_FOLDER}/{CARD_FILE}")
    return write_manifest(
        folder,
        release.plan.content_hash,
        release.card.model_hash if has_model else None,
        release.precision if has_model else None,
        files,
        release.rules if model in _WITH_PLAN else None,
    )


def _checks(
    plan: Plan, model_folder: Path, rows: pa.Table, precision: ScoringPrecision
) -> dict[str, CheckRows]:
    scorer = Scorer.load(model_folder, plan.content_hash, precision=precision)
    if not rows.num_rows:
        raise RepositoryError("Check rows: wanted at least one raw row, got none.")
    raw = to_tensors(rows.slice(0, CHECK_ROWS), wire_columns(plan))
    encoded = OnlineExecutor(plan).transform(raw)
    between, probability = to_encoded_tensors(encoded), scored(scorer, encoded)
    return {
        FEATURES_MODEL: CheckRows(raw, between),
        DLRM_MODEL: CheckRows(between, probability),
        FUSED_MODEL: CheckRows(raw, probability),
    }


def _entry(model: str) -> Path:
    return ROOT / "serving" / "models" / f"{model}.py"


def _copy(source: Path, names: list[str], folders: list[Path]) -> None:
    """Copy the files into the first folder, and link them into the others.

    They are not linked to the source, which a later run of a stage may write to.
    """
    first, *others = folders
    for name in names:
        (first / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, first / name)
        for other in others:
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(first / name, other / name)


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Make a hard link, or a copy if the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _card_of(plan: Plan, folder: Path) -> ModelCard:
    card = read_model_card(folder)
    if card.plan_hash != plan.content_hash:
        architecture = card.architecture
        cardinalities = zip(architecture.categorical, architecture.cardinalities, strict=True)
        of_model = dict.fromkeys(architecture.continuous, "continuous") | dict(cardinalities)
        columns = {column.name: _size(column) for column in plan.outputs}
        changes = differences(of_model, columns) or ["same columns, other steps"]
        wanted, got = plan.content_hash[:12], card.plan_hash[:12]
        raise ModelError(
            f"{folder / CARD_FILE}: wanted a model of feature plan {wanted}…, got one of "
            f"{got}… ({'; '.join(changes)}). Train it again on this plan."
        )
    return card


def _size(column: OutputColumn) -> int | str:
    return column.cardinality if column.is_categorical else "continuous"
