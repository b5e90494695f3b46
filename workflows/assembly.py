"""What all graphs share: categories to ids, a chain on the continuous columns, the label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from features.columns import CLICK, FeatureKind
from workflows.library import Tags, Workflow, ops


def assemble(
    kinds: Mapping[str, FeatureKind],
    vocabulary_folder: Path,
    frequency_threshold: int,
    continuous_steps: Iterable[Any],
) -> Workflow:
    """Put a workflow together from the columns' kinds; either sort of column may be absent.

    Its output holds the categorical columns, the continuous ones, and the click, each in the order
    of `kinds`, tagged as Merlin Models wants them.
    """
    continuous = [name for name, kind in kinds.items() if kind == "continuous"]
    categorical = [name for name in kinds if name not in continuous]
    outputs = [CLICK] >> ops.AddTags([Tags.BINARY_CLASSIFICATION, Tags.TARGET])
    if continuous:
        chain: Any = continuous
        for step in continuous_steps:
            chain = chain >> step
        outputs = (chain >> ops.AddTags([Tags.CONTINUOUS])) + outputs
    if categorical:
        ids = categorical >> ops.Categorify(
            freq_threshold=frequency_threshold, out_path=str(vocabulary_folder)
        )
        outputs = (ids >> ops.AddTags([Tags.CATEGORICAL])) + outputs
    return Workflow(outputs)
