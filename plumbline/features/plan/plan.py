"""The feature plan: the raw columns and fitted steps of every output column.

A plan is a folder: `plan.json`, and the look-up files that its steps name
(`plumbline.features.lookup.tables`): `vocabulary/<column>.parquet` for ids,
`keyed_value/<column>.parquet` for values by key, `column_similarity/<output> left.parquet` and
`… right.parquet` for matrices of features.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import plumbline.features.operators  # noqa: F401 - registers the steps
from plumbline.base.errors import PlanError
from plumbline.base.files import json_sha256, require_sha256, write_json
from plumbline.columns.kinds import PLAN_KINDS, FeatureKind
from plumbline.features.lookup.tables import Tables
from plumbline.features.lookup.vocabulary import Vocabulary
from plumbline.features.steps.chains import Chain, Source, type_of
from plumbline.features.steps.step import IdStep, step_from_json, step_to_json

FORMAT_VERSION = 2
PLAN_FILE = "plan.json"

Dtype = Literal["int64", "float32", "list<int64>"]
_DTYPES = ("int64", "float32", "list<int64>")


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A raw column: float32 if continuous, UTF-8 if string, otherwise int64, or lists of these."""

    name: str
    kind: FeatureKind


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """An encoded column: int64 ids, lists of int64 ids, or float32 numbers."""

    name: str
    chain: Chain
    dtype: Dtype

    @property
    def is_categorical(self) -> bool:
        return self.dtype != "float32"

    @property
    def is_list(self) -> bool:
        return self.dtype == "list<int64>"

    @property
    def cardinality(self) -> int:
        """The number of ids, which start at 0; categorical columns only."""
        return self.id_step.ids

    @property
    def id_step(self) -> IdStep:
        """The step that computes the ids; categorical columns only."""
        for step in reversed(self.chain.steps):
            if isinstance(step, IdStep):
                return step
        raise TypeError(f"Column {self.name!r}: wanted a column of ids, got one of numbers.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The raw columns it is computed from."""
        return self.chain.columns


@dataclass(frozen=True, slots=True)
class Plan:
    """A fitted plan on disk. Files, wire tensors and models use its column order."""

    folder: Path
    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]
    content_hash: str
    conditions: tuple[Chain, ...] = ()
    """The training rows were those for which each gives 1; a server answers every row."""

    @property
    def categorical(self) -> tuple[OutputColumn, ...]:
        """The outputs that are ids or lists of ids."""
        return tuple(column for column in self.outputs if column.is_categorical)

    @property
    def continuous(self) -> tuple[OutputColumn, ...]:
        return tuple(column for column in self.outputs if not column.is_categorical)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of ids of each categorical output, in order."""
        return tuple(column.cardinality for column in self.categorical)

    @property
    def kinds(self) -> dict[str, FeatureKind]:
        """The kind of each raw column, in order."""
        return {column.name: column.kind for column in self.inputs}

    @property
    def files(self) -> dict[str, str]:
        """The look-up files of the steps, relative to the folder, with their SHA-256."""
        steps = (step for column in self.outputs for step in column.chain.every_step())
        return {file: sha256 for step in steps for file, sha256 in step.files().items()}

    def tables(self) -> Tables:
        """The plan's look-up files, after checking all of them.

        Raises
        ------
        PlanError
            A file is missing or was changed.
        """
        tables = Tables(self.folder)
        tables.check(self.files)
        return tables

    def vocabulary(self, column: OutputColumn) -> Vocabulary:
        """Check and read the vocabulary of a column of ids."""
        file = column.id_step.vocabulary_file if column.is_categorical else None
        if file is None:
            raise PlanError(f"Column {column.name!r} has no vocabulary: its ids are computed.")
        require_sha256(self.folder / file, column.id_step.files()[file], PlanError)
        return Vocabulary.read(self.folder / file)


def output_column(name: str, chain: Chain, inputs: tuple[InputColumn, ...]) -> OutputColumn:
    """The output column of a fitted chain.

    Raises
    ------
    PlanError
        A step does not accept the type of its input, or the result is neither ids nor a number.
    """
    result = type_of(chain, {column.name: column.kind for column in inputs}, name)
    if result.element == "ids":
        return OutputColumn(name, chain, "list<int64>" if result.is_list else "int64")
    if result.element != "number" or result.is_list:
        raise PlanError(f"Column {name!r}: wanted ids or numbers, got {result}.")
    return OutputColumn(name, chain, "float32")


def write_plan(
    folder: Path,
    inputs: tuple[InputColumn, ...],
    outputs: tuple[OutputColumn, ...],
    conditions: tuple[Chain, ...] = (),
) -> Plan:
    """Write `plan.json`, the last file of a plan folder, which makes it complete."""
    content = {
        "format_version": FORMAT_VERSION,
        "inputs": [{"name": column.name, "kind": column.kind} for column in inputs],
        "outputs": [
            {"name": column.name, "dtype": column.dtype, **_to_json(column.chain)}
            for column in outputs
        ],
    }
    if conditions:
        content["training_rows"] = [_to_json(condition) for condition in conditions]
    content_hash = json_sha256(content)
    write_json(folder / PLAN_FILE, {**content, "content_hash": content_hash})
    return Plan(folder, inputs, outputs, content_hash, conditions)


def read_plan(folder: Path) -> Plan:
    """Read a plan folder. Its look-up files are only checked on use (or by `verify`).

    Raises
    ------
    PlanError
        The file is missing, was changed, has another format version, or has an unknown step.
    """
    file = folder / PLAN_FILE
    if not file.is_file():
        raise PlanError.missing(str(file))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version, wanted = int(content["format_version"]), str(content.pop("content_hash"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError.unreadable(str(file), f"{type(error).__name__} {error}") from None
    if version > FORMAT_VERSION:
        raise PlanError.newer_format(str(file), version, FORMAT_VERSION)
    got = json_sha256(content)
    if got != wanted:
        raise PlanError.damaged(str(file), wanted, got)
    if version < FORMAT_VERSION:
        raise PlanError.unreadable(str(file), f"format version {version} of an older Plumbline")
    try:
        return Plan(
            folder,
            tuple(InputColumn(c["name"], _kind(c["kind"])) for c in content["inputs"]),
            tuple(
                OutputColumn(c["name"], _from_json(c), _dtype(c["dtype"]))
                for c in content["outputs"]
            ),
            wanted,
            tuple(_from_json(condition) for condition in content.get("training_rows", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError.unreadable(str(file), f"{type(error).__name__} {error}") from None


def _to_json(chain: Chain) -> dict[str, Any]:
    return {
        "sources": [s if isinstance(s, str) else _to_json(s) for s in chain.sources],
        "steps": [step_to_json(step) for step in chain.fitted],
    }


def _from_json(content: dict[str, Any]) -> Chain:
    sources: tuple[Source, ...] = tuple(
        s if isinstance(s, str) else _from_json(s) for s in content["sources"]
    )
    return Chain(sources, tuple(step_from_json(step) for step in content["steps"]))


def _kind(kind: str) -> FeatureKind:
    if kind not in PLAN_KINDS:
        raise ValueError(f"column kind {kind!r}, known: {', '.join(PLAN_KINDS)}")
    return cast(FeatureKind, kind)


def _dtype(dtype: str) -> Dtype:
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {dtype!r}, known: {', '.join(_DTYPES)}")
    return cast(Dtype, dtype)
