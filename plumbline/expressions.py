"""Named expressions: operators for what graphs of NVTabular write as Python functions.

They stand in any graph, beside NVTabular's operators; docs/operators.md describes them.

    from plumbline.expressions import DatePart, Sine

    hours = ["seen"] >> DatePart("hour") >> Sine(24)
"""

from plumbline.nvtabular.operators.arithmetic import Add, Divide, Multiply, Subtract
from plumbline.nvtabular.operators.cast import Cast
from plumbline.nvtabular.operators.compare import Compare, IsIn
from plumbline.nvtabular.operators.date_part import DatePart
from plumbline.nvtabular.operators.filter import Where
from plumbline.nvtabular.operators.list_length import ListLength
from plumbline.nvtabular.operators.periodic import Cosine, Sine
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.operators.quantile_transform import QuantileTransform
from plumbline.nvtabular.operators.range_ids import RangeIds
from plumbline.nvtabular.operators.seconds import SecondsBetween, SecondsSince
from plumbline.nvtabular.operators.text import (
    CountSubstring,
    Lowercase,
    SplitPart,
    Substring,
    TextLength,
)

__all__ = [
    "Add",
    "Cast",
    "Compare",
    "Cosine",
    "CountSubstring",
    "DatePart",
    "Divide",
    "IsIn",
    "ListLength",
    "Lowercase",
    "Multiply",
    "QuantileBucketize",
    "QuantileTransform",
    "RangeIds",
    "SecondsBetween",
    "SecondsSince",
    "Sine",
    "SplitPart",
    "Substring",
    "Subtract",
    "TextLength",
    "Where",
]
