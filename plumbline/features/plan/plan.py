"""The feature plan: the raw columns and fitted steps of every output column.

A plan is a folder: `plan.json`, and the look-up files that its steps name
(`plumbline.features.lookup.tables`): `vocabulary/<column>.parquet` for ids,
`keyed_value/<column>.parquet` for values by key, `column_similarity/<output> left.parquet` and
`… right.parquet` for matrices of features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import plumbline.features.operators  # noqa: F401 - registers the steps
from plumbline.base.errors import PlanError
from plumbline.base.files import json_sha256, write_json
from plumbline.base.json_fields import shown
from plumbline.base.json_text import read_json
from plumbline.columns.kinds import PLAN_KINDS, FeatureKind
from plumbline.features.lookup.tables import Tables
from plumbline.features.lookup.vocabulary import Vocabulary
from plumbline.features.plan.chain_json import (
    chain_from_json,
    chain_to_json,
    list_of,
    name_of,
    require_distinct,
    require_keys,
)
from plumbline.features.steps.chains import Chain, check_keys, type_of
from plumbline.features.steps.step import IdStep

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
            A file is missing or was changed, or does not fit the steps that it belongs to.
        """
        tables = Tables(self.folder)
        tables.check(self.files)
        for column in self.outputs:
            check_keys(column.chain, self.kinds, column.name, tables)
        return tables

    def vocabulary(self, column: OutputColumn) -> Vocabulary:
        """Check and read the vocabulary of a column of ids."""
        file = column.id_step.vocabulary_file if column.is_categorical else None
        if file is None:
            raise PlanError(f"Column {column.name!r} has no vocabulary: its ids are computed.")
        Tables(self.folder).check({file: column.id_step.files()[file]})
        return Vocabulary.read(self.folder / file, column.id_step.known)


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
            {"name": column.name, "dtype": column.dtype, **chain_to_json(column.chain)}
            for column in outputs
        ],
    }
    if conditions:
        content["training_rows"] = [chain_to_json(condition) for condition in conditions]
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
        content = read_json(file)
        version, wanted = int(content["format_version"]), str(content.pop("content_hash"))
        got = json_sha256(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PlanError.unreadable(str(file), f"{type(error).__name__} {error}") from None
    if version > FORMAT_VERSION:
        raise PlanError.newer_format(str(file), version, FORMAT_VERSION)
    if got != wanted:
        raise PlanError.damaged(str(file), wanted, got)
    if version < FORMAT_VERSION:
        raise PlanError.unreadable(str(file), f"format version {version} of an older Plumbline")
    try:
        return _plan(folder, content, wanted)
    except (PlanError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PlanError.unreadable(str(file), f"{type(error).__name__} {error}") from None


def _plan(folder: Path, content: Any, content_hash: str) -> Plan:
    """The plan of a JSON object; raises PlanError, or what Python does for other content."""
    require_keys(content, "format_version", "inputs", "outputs", optional="training_rows")
    inputs = tuple(_input(column) for column in list_of(content["inputs"]))
    require_distinct("inputs", (column.name for column in inputs))
    outputs = tuple(_output(column, inputs) for column in list_of(content["outputs"]))
    require_distinct("outputs", (column.name for column in outputs))
    conditions = tuple(_condition(one) for one in list_of(content.get("training_rows", [])))
    return Plan(folder, inputs, outputs, content_hash, conditions)


def _input(content: Any) -> InputColumn:
    require_keys(content, "name", "kind")
    return InputColumn(name_of(content["name"]), _kind(content["kind"]))


def _output(content: Any, inputs: tuple[InputColumn, ...]) -> OutputColumn:
    require_keys(content, "name", "dtype", "sources", "steps")
    dtype = _dtype(content["dtype"])
    column = output_column(name_of(content["name"]), chain_from_json(content), inputs)
    if column.dtype != dtype:
        raise ValueError(f"column {column.name!r}: its steps give {column.dtype}, not {dtype}")
    return column


def _condition(content: Any) -> Chain:
    require_keys(content, "sources", "steps")
    return chain_from_json(content)


def _kind(kind: Any) -> FeatureKind:
    if kind not in PLAN_KINDS:
        raise ValueError(f"column kind {shown(kind)}, known: {', '.join(PLAN_KINDS)}")
    return cast(FeatureKind, kind)


def _dtype(dtype: Any) -> Dtype:
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {shown(dtype)}, known: {', '.join(_DTYPES)}")
    return cast(Dtype, dtype)
