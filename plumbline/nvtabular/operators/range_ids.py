"""RangeIds: ids of whole numbers from a known range, without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plumbline.features.operators.range_ids import RangeIds as RangeIdsStep
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.constants import plain
from plumbline.nvtabular.expression import Expression, compiled
from plumbline.nvtabular.operator_call import CompiledOperator


class RangeIds(Expression):
    """1 null, 2 outside of the range, 3 … the whole numbers `first` … `last`.

    The ids of null and of other values are those of `Categorify`.
    """

    takes = ("integer",)
    gives = "ids"

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        first, last = plain(first), plain(last)
        if not (isinstance(first, int) and isinstance(last, int) and first <= last):
            raise ValueError(
                f"RangeIds: wanted whole numbers, the first below the last, got {first!r}, {last!r}"
            )
        if last - first >= 2**31 - 4 or first <= -(2**63) or last >= 2**63:
            raise ValueError(f"RangeIds: {first} … {last} are too many ids")
        self.first, self.last = first, last

    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        return RangeIdsStep(self.first, self.last)

    @property
    def output_properties(self) -> dict[str, Any]:
        return {"domain": {"min": 0, "max": RangeIdsStep(self.first, self.last).ids - 1}}


OPERATORS = (CompiledOperator(RangeIds, compiled, domain_excess=0),)
