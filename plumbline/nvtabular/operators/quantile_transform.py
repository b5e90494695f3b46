"""QuantileTransform, an operator of our own: the normal score of a number's rank.

A graph uses it like NVTabular's operators:

    numbers = ["price", "age"] >> QuantileTransform() >> ops.FillMissing(0.0)
"""

from __future__ import annotations

import numpy as np

from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import Tags
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.quantiles import QuantileOperator, learned_quantiles


def quantile_transform(at: OperatorCall) -> Source:
    knots = at.count("knots", at.operator.step.knots, 2)
    return learned_quantiles(at, FitQuantileTransform(knots))


class QuantileTransform(QuantileOperator):
    """Normal scores of the ranks, with a mean of about 0 and a deviation of about 1.

    This holds for every scale, for outliers and for ties. Between `knots` numbers of the training
    split the score is interpolated linearly. Missing numbers stay missing; the median's score is 0.
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
