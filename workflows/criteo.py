"""The graph for Criteo's logs, as in NVTabular's and the DLRM article's preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from plumbline.columns.kinds import FeatureKind
from plumbline.nvtabular.assembly import assemble
from plumbline.nvtabular.library import Workflow, ops
from plumbline.settings import CriteoWorkflow


def build(
    kinds: Mapping[str, FeatureKind], settings: CriteoWorkflow, vocabulary_folder: Path
) -> Workflow:
    """Categories above a frequency threshold; counts filled, clipped at 0, logged and normalized.

    Fitting writes the vocabularies under `vocabulary_folder`.
    """
    return assemble(
        kinds,
        vocabulary_folder,
        settings.frequency_threshold,
        (
            ops.FillMissing(0.0),
            ops.Clip(min_value=0.0),
            ops.LogOp(),
            ops.Normalize(out_dtype=np.float32),
        ),
    )
