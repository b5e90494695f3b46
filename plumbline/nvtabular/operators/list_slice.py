"""ListSlice: the first or last elements of each list, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from plumbline.features.operators.list_slice import LONGEST
from plumbline.features.operators.list_slice import ListSlice as ListSliceStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, is_host, listed

_LARGEST = np.iinfo(np.int64).max
"""NVTabular's end of a slice without an end."""


def list_slice(at: OperatorCall) -> Source:
    source = at.lists(at.output)
    start = at.whole("start", at.operator.start)
    end = None if at.operator.end == _LARGEST else at.whole("end", at.operator.end)
    if not at.operator.pad:
        return at.step(ListSliceStep(start, end, None, None), source)
    width = at.operator.max_elements
    if (end is None and start >= 0) or width < 1:
        raise at.unsupported("ListSlice(pad=True) without a length", "Give a start and an end.")
    if width > LONGEST:
        raise at.unsupported(
            f"ListSlice(pad=True) to {width} elements", f"Fill lists up to {LONGEST} at most."
        )
    return at.step(ListSliceStep(start, end, int(width), _pad(at, source)), source)


def _pad(at: OperatorCall, source: Source) -> int | str:
    element, value = at.type_of(source).element, at.operator.pad_value
    if element == "text":
        return at.text("pad_value", value, "Give text, such as 'none'.")
    if isinstance(value, str) or not float(value).is_integer():
        raise at.unsupported_parameter("pad_value", value, "Give a whole number.")
    if element == "ids" and value != 0:
        raise at.unsupported_parameter("pad_value", value, "Give 0, the id of padding.")
    return int(value)


class ListSlice(ops.ListSlice):
    """Pads on every device; NVTabular pads on cuDF only. A slice may be empty in every row."""

    # Merlin refuses the schema of a slice that ends before it starts.
    def _compute_properties(self, col_schema: Any, input_schema: Any) -> Any:
        if self.max_elements < 0:
            return super(ops.ListSlice, self)._compute_properties(col_schema, input_schema)
        return super()._compute_properties(col_schema, input_schema)

    def _compute_shape(self, col_schema: Any, input_schema: Any) -> Any:
        if self.max_elements < 0:
            return super(ops.ListSlice, self)._compute_shape(col_schema, input_schema)
        return super()._compute_shape(col_schema, input_schema)

    def transform(self, col_selector: Any, df: Any) -> Any:
        if not is_host(df):
            return super().transform(col_selector, df)
        columns = {}
        for name in col_selector.names:
            columns[name] = listed(df[name], [self._sliced(row) for row in df[name]])
        return frame_of(df, columns)

    def _sliced(self, row: Any) -> Any:
        kept = np.asarray(row)[self.start : self.end]
        missing = self.max_elements - len(kept) if self.pad else 0
        if missing <= 0:
            return kept
        return np.concatenate([kept, np.full(missing, self.pad_value, kept.dtype)])


OPERATORS = (CompiledOperator(ops.ListSlice, list_slice, ListSlice),)
