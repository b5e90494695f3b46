"""The feature plan: for every output column its input column and a chain of fitted steps.

A plan is a folder: `plan.json`, and `vocabulary/<column>.parquet` for each categorical output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from features.columns import FEATURE_KINDS, FeatureKind
from features.errors import PlanError
from features.files import write_json
from features.hashing import file_sha256, json_sha256
from features.steps import Categorify, FloatStep, Step, step_from_json, step_to_json
from features.steps.categorify import FIRST_VOCABULARY_ID
from features.vocabulary import Vocabulary

FORMAT_VERSION = 1
PLAN_FILE = "plan.json"


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A raw column: continuous is float32, integer and hex are int64, string is UTF-8."""

    name: str
    kind: FeatureKind


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """An encoded column: one Categorify step gives int64 ids, a chain of float steps float32."""

    name: str
    source: str
    steps: tuple[Step, ...]

    @property
    def is_categorical(self) -> bool:
        return any(isinstance(step, Categorify) for step in self.steps)

    @property
    def dtype(self) -> Literal["int64", "float32"]:
        return "int64" if self.is_categorical else "float32"

    @property
    def categorify(self) -> Categorify:
        """The column's Categorify step; only for categorical columns."""
        return next(step for step in self.steps if isinstance(step, Categorify))

    @property
    def float_steps(self) -> tuple[FloatStep, ...]:
        return tuple(step for step in self.steps if isinstance(step, FloatStep))


@dataclass(frozen=True, slots=True)
class Plan:
    """A fitted plan on disk; files, wire tensors and models all keep its column order."""

    folder: Path
    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]
    content_hash: str

    @property
    def categorical(self) -> tuple[OutputColumn, ...]:
        return tuple(column for column in self.outputs if column.is_categorical)

    @property
    def continuous(self) -> tuple[OutputColumn, ...]:
        return tuple(column for column in self.outputs if not column.is_categorical)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of ids of each categorical output, in order."""
        return tuple(column.categorify.cardinality for column in self.categorical)

    def inputs_of(self, *kinds: FeatureKind) -> tuple[str, ...]:
        return tuple(column.name for column in self.inputs if column.kind in kinds)

    def kind(self, name: str) -> FeatureKind:
        return next(column.kind for column in self.inputs if column.name == name)

    def vocabulary(self, column: OutputColumn) -> Vocabulary:
        """The column's vocabulary, from its file, which is checked against its hash first."""
        step = column.categorify
        file = self.folder / step.vocabulary
        if not file.is_file():
            raise PlanError.missing(str(file))
        came = file_sha256(file)
        if came != step.sha256:
            raise PlanError.damaged(str(file), step.sha256, came)
        return Vocabulary.read(file)


def write_plan(
    folder: Path,
    inputs: tuple[InputColumn, ...],
    outputs: tuple[OutputColumn, ...],
    vocabularies: Mapping[str, Vocabulary],
) -> Plan:
    """Write a fitted plan; `plan.json` comes last, so a folder that has it is complete.

    The Categorify steps of `outputs` get their file, hash and cardinality from `vocabularies`
    (output column to vocabulary).
    """
    (folder / PLAN_FILE).unlink(missing_ok=True)
    fitted = tuple(_with_vocabulary(folder, column, vocabularies) for column in outputs)
    content = {
        "format_version": FORMAT_VERSION,
        "inputs": [{"name": column.name, "kind": column.kind} for column in inputs],
        "outputs": [
            {
                "name": column.name,
                "source": column.source,
                "dtype": column.dtype,
                "steps": [step_to_json(step) for step in column.steps],
            }
            for column in fitted
        ],
    }
    content_hash = json_sha256(content)
    write_json(folder / PLAN_FILE, {**content, "content_hash": content_hash})
    return Plan(folder, inputs, fitted, content_hash)


def read_plan(folder: Path) -> Plan:
    """Read a plan folder; the vocabularies are read, and checked, when they are asked for.

    Raises
    ------
    PlanError
        Missing file, changed content, a format version newer than this code, an unknown step.
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
    came = json_sha256(content)
    if came != wanted:
        raise PlanError.damaged(str(file), wanted, came)
    try:
        return Plan(
            folder,
            tuple(InputColumn(c["name"], _kind(c["kind"])) for c in content["inputs"]),
            tuple(_output(column) for column in content["outputs"]),
            wanted,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError.unreadable(str(file), f"{type(error).__name__} {error}") from None


def _output(form: dict[str, Any]) -> OutputColumn:
    steps = tuple(step_from_json(step) for step in form["steps"])
    return OutputColumn(form["name"], form["source"], steps)


def _kind(kind: str) -> FeatureKind:
    if kind not in FEATURE_KINDS:
        raise ValueError(f"column kind {kind!r}, known: {', '.join(FEATURE_KINDS)}")
    return cast(FeatureKind, kind)


def _with_vocabulary(
    folder: Path, column: OutputColumn, vocabularies: Mapping[str, Vocabulary]
) -> OutputColumn:
    if not column.is_categorical:
        return column
    vocabulary = vocabularies[column.name]
    relative = f"vocabulary/{column.name}.parquet"
    vocabulary.write(folder / relative)
    step = replace(
        column.categorify,
        vocabulary=relative,
        sha256=file_sha256(folder / relative),
        cardinality=FIRST_VOCABULARY_ID + len(vocabulary),
    )
    return replace(column, steps=(step,))
