"""What all graphs share: categories to ids, a chain on the continuous columns, the label."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.nvtabular.library import Tags, Workflow, ops
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize


def assemble(
    kinds: Mapping[str, FeatureKind],
    vocabulary_folder: Path,
    frequency_threshold: int,
    continuous_steps: Iterable[Any],
    buckets: QuantileBucketize | None = None,
    counted: str | None = None,
) -> Workflow:
    """Put a workflow together from the columns' kinds; either sort of column may be absent.

    Its output holds the categorical columns, the `buckets` of the continuous ones where there are
    to be any, the continuous columns, the frequency of the column `counted` in the training rows
    (0 … 1, in logarithms), and the click, each in the order of `kinds`, tagged as Merlin Models
    wants them.
    """
    continuous = [name for name, kind in kinds.items() if kind == "continuous"]
    categorical = [name for name in kinds if name not in continuous]
    outputs = [CLICK] >> ops.AddTags([Tags.BINARY_CLASSIFICATION, Tags.TARGET])
    if continuous:
        chain: Any = continuous
        for step in continuous_steps:
            chain = chain >> step
        outputs = (chain >> ops.AddTags([Tags.CONTINUOUS])) + outputs
    if counted is not None:
        rows = [counted] >> ops.JoinGroupby(stats=["count"], out_path=str(vocabulary_folder))
        share = rows >> ops.LogOp() >> ops.NormalizeMinMax() >> ops.Clip(min_value=0, max_value=1)
        outputs = (share >> ops.AddTags([Tags.CONTINUOUS])) + outputs
    if continuous and buckets is not None:
        names = bucket_names(continuous, kinds)
        ids = continuous >> buckets >> ops.Rename(f=names.__getitem__)
        outputs = (ids >> ops.AddTags([Tags.CATEGORICAL])) + outputs
    if categorical:
        ids = categorical >> ops.Categorify(
            freq_threshold=frequency_threshold, out_path=str(vocabulary_folder)
        )
        outputs = (ids >> ops.AddTags([Tags.CATEGORICAL])) + outputs
    return Workflow(outputs)


def bucket_names(continuous: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """Column to the name of its buckets: `<column>_bucket`, and a `_` more while that is taken."""
    names: dict[str, str] = {}
    for column in continuous:
        name = f"{column}_bucket"
        while name in taken or name in names.values():
            name += "_"
        names[column] = name
    return names
