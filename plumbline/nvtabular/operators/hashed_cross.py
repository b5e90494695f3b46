"""HashedCross: the combined hash of several columns' values, modulo a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from plumbline.columns.value_hash import modulo
from plumbline.features.operators.hashed_cross import HashedCross as HashedCrossStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, value_hashes


def hashed_cross(at: OperatorCall) -> Source:
    """NVTabular crosses all selected columns, whatever their groups."""
    num_buckets: Any = at.operator.num_buckets
    if isinstance(num_buckets, dict):
        num_buckets = num_buckets.get(at.inputs)
    step = HashedCrossStep(at.count("num_buckets", num_buckets))
    parts = [at.key(name) for name in at.inputs]
    return at.step(step, *parts)


class HashedCross(ops.HashedCross):
    """Hashes the values alone, without the row's number."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        names = tuple(col_selector.names)
        count = self.num_buckets[names] if isinstance(self.num_buckets, dict) else self.num_buckets
        combined = np.bitwise_xor.reduce([value_hashes(df[name]) for name in names])
        return frame_of(df, {"_X_".join(names): modulo(combined, count)})


OPERATORS = (CompiledOperator(ops.HashedCross, hashed_cross, HashedCross),)
