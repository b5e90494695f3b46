"""QuantileTransform, an operator of our own: the normal score of a number's rank.

It is used in a graph as NVTabular's operators are:

    numbers = ["price", "age"] >> QuantileTransform() >> ops.FillMissing(0.0)
"""

from __future__ import annotations

import numpy as np

from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import Tags
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.quantiles import OfQuantiles, learned_quantiles


def quantile_transform(at: OperatorCall) -> Source:
    knots = at.count("knots", at.operator.step.knots, 2)
    return learned_quantiles(at, FitQuantileTransform(knots))


class QuantileTransform(OfQuantiles):
    """Numbers become the normal scores of their ranks, of about mean 0 and deviation 1.

    Whatever their scale is, however far apart, and for however many rows they are the same. Between
    `knots` of the training split's numbers the score is a straight line. A missing number stays
    missing; 0 is the score of the median.
    """

    def __init__(self, knots: int = 64) -> None:
        super().__init__(FitQuantileTransform(knots))

    @property
    def output_tags(self) -> list[Tags]:
        return [Tags.CONTINUOUS]

    @property
    def output_dtype(self) -> type[np.generic]:
        return np.float64


OPERATORS = (CompiledOperator(QuantileTransform, quantile_transform),)
