"""The graph for any log: every step on the continuous columns is a setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from features.columns import FeatureKind
from features.settings import StandardWorkflow
from workflows.assembly import assemble
from workflows.library import Workflow, ops


def build(
    kinds: Mapping[str, FeatureKind], settings: StandardWorkflow, vocabulary_folder: Path
) -> Workflow:
    """Categories above a frequency threshold; numbers filled, clipped, logged and normalized.

    Fitting writes the vocabularies under `vocabulary_folder`.
    """
    steps: list[Any] = [ops.FillMissing(settings.fill)]
    if settings.clip_min is not None or settings.clip_max is not None:
        steps.append(ops.Clip(min_value=settings.clip_min, max_value=settings.clip_max))
    if settings.log:
        steps.append(ops.LogOp())
    if settings.normalize:
        steps.append(ops.Normalize(out_dtype=np.float32))
    return assemble(kinds, vocabulary_folder, settings.frequency_threshold, steps)
