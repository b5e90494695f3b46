"""Bucketize: the number of boundaries at or below a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from plumbline.features.operators.bucketize import Bucketize as BucketizeStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, host_numbers


def bucketize(at: OperatorCall) -> Source:
    try:
        boundaries = at.operator.boundaries(at.output)
    except LookupError:
        raise at.unsupported_parameter("boundaries", None) from None
    ascending = tuple(at.number("boundaries", boundary) for boundary in boundaries)
    if list(ascending) != sorted(ascending):
        raise at.unsupported_parameter("boundaries", list(ascending))
    return at.step(BucketizeStep(ascending), at.numbers(at.output))


class Bucketize(ops.Bucketize):
    """Missing numbers are in the last bucket on every device."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for name in col_selector.names:
            boundaries = np.asarray(self.boundaries(name), np.float64)
            columns[name] = np.digitize(host_numbers(df[name]), boundaries)
        return frame_of(df, columns)


OPERATORS = (CompiledOperator(ops.Bucketize, bucketize, Bucketize),)
