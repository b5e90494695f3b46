"""Loads an artifact, and encodes and scores rows with it, as a server does."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

import numpy as np

from plumbline.base.errors import PlumblineError
from plumbline.columns.list_bytes import pack
from plumbline.columns.values import Lists, Text
from plumbline.columns.wire import Tensors, WireColumns
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.drift.bins import stability_index
from plumbline.features.drift.reference import REFERENCE_FILE, Reference, read_reference
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.interface import check_raw_parameters, read_wire_columns
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.outputs import scored
from plumbline.serving.contract.versions import parameters_of, verified_manifest, verify_repository
from plumbline.serving.repository.configs import parameters_in, read_config
from tests.hostile.artifacts import CITIES, USERS

Precision = Literal["fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
ROWS = (0, 3, 70)
_INTEGERS = [*USERS[:4], 0, 1, 2, -1, 2**63 - 1, -(2**63), -(2**63) + 1, 10**15]
_TEXTS = [b"", *(city.encode() for city in CITIES), b"x", b"\xff\xfe", b"Rome|Oslo" * 40]
_NUMBERS = [0.0, 1.5, -3.0, 1e30, float("nan"), float("inf")]


def use(folder: Path, original: Path, draw: random.Random) -> str:
    """Use a plan, a model or a repository; returns the refusal, or "used".

    `original` is the folder that `write_artifacts` wrote, with what goes with it.
    """
    try:
        if folder.name == "repository":
            _use_repository(folder, draw)
        elif folder.name == "plan":
            _use_plan(folder, original / "int8", draw)
        else:
            _use_model(folder, original / "plan", draw)
    except PlumblineError as error:
        return str(error) or "a refusal without words"
    return "used"


def _use_plan(folder: Path, model: Path, draw: random.Random) -> None:
    plan = read_plan(folder)
    executor = OnlineExecutor(plan)
    for column in plan.categorical:
        if column.id_step.vocabulary_file is not None:
            plan.vocabulary(column)
    scorer = Scorer.load(model, None, precision="int8", threads=1)  # in NumPy too, without torch
    for rows in ROWS:
        encoded = executor.transform(tensors_of(plan, rows, draw))
        if encoded.ids_BF.shape[1] == len(scorer.architecture.single):
            _scored(scorer, encoded)


def _use_model(folder: Path, plan: Path, draw: random.Random) -> None:
    precision = "int8" if folder.name == "int8" else draw.choice(PRECISIONS)
    scorer = Scorer.load(folder, None, precision=precision, threads=1)
    whole = read_plan(plan)
    executor = OnlineExecutor(whole)
    for rows in ROWS:
        _scored(scorer, executor.transform(tensors_of(whole, rows, draw)))


def _scored(scorer: Scorer, encoded: Any) -> None:
    """Scores, or the refusal of rows that have none, which refuses no artifact."""
    scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)


def _use_repository(folder: Path, draw: random.Random) -> None:
    verify_repository(folder, large_files=draw.random() < 0.5)
    config = read_config(folder / "ctr_fused" / "config.pbtxt")
    parameters, version = parameters_of("ctr_fused", parameters_in(config), "1")
    read_wire_columns("ctr_fused", parameters)
    LogRules.of_parameters("ctr_fused", parameters)
    inside = folder / "ctr_fused" / "1"
    manifest = verified_manifest(inside, version)
    plan = read_plan(inside / "plan")
    check_raw_parameters(plan, parameters)
    executor = OnlineExecutor(plan)
    scorer = Scorer.load(
        inside / "model", plan.content_hash, precision=manifest.precision or "fp32", threads=1
    )
    if REFERENCE_FILE in manifest.files:
        reference = read_reference(inside / REFERENCE_FILE, plan)
        for rows in ROWS:
            _count(reference, tensors_of(plan, rows, draw), executor)
    check = CheckRows.read(inside / "check.arrow")
    check.verify(lambda given: scored(scorer, executor.transform(given)), "fp32", "check.arrow")


def _count(reference: Reference, tensors: Tensors, executor: OnlineExecutor) -> None:
    def raw(position: int) -> Any:
        return tensors["continuous"][:, position]

    for column, counts_K in zip(
        reference.columns, reference.count(raw, executor.transform(tensors)), strict=True
    ):
        stability_index(column.counts_K, counts_K)


def tensors_of(plan: Plan, rows: int, draw: random.Random) -> Tensors:
    """Rows for any plan, of values that it knows and of others."""
    tensors: Tensors = {}

    def drawn(values: list[Any], count: int, dtype: Any) -> Any:
        return np.array([draw.choice(values) for _ in range(count)], dtype)

    for name, (columns, _) in WireColumns.of(plan.kinds).tensors.items():
        shape = (rows, len(columns))
        count = rows * len(columns)
        if name == "continuous":
            tensors[name] = drawn(_NUMBERS, count, np.float32).reshape(shape)
        elif name == "categorical_int64":
            tensors[name] = drawn(_INTEGERS, count, np.int64).reshape(shape)
        elif name == "categorical_bytes":
            tensors[name] = drawn(_TEXTS, count, np.object_).reshape(shape)
        else:
            lengths = [draw.randrange(4) for _ in range(count)]
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            values: Any = drawn(_INTEGERS, sum(lengths), np.int64)
            if name == "list_bytes":
                values = Text.from_objects([draw.choice(_TEXTS) for _ in range(sum(lengths))])
            tensors[name] = pack(Lists(values, offsets)).reshape(shape)
    return tensors
