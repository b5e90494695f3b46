"""Raw columns of a request, of any type, in the form that executors and the wire have."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.typed import ARROW_TYPES, values_of
from plumbline.columns.value_rules.plain import plain
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.value_rules.text_values import BLANKS
from plumbline.columns.values import Values


def values_of_raw(
    name: str, column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules, is_typed: bool = False
) -> Values:
    """The values of a column; where it `is_typed` and of its kind's own type, as they are.

    Raises
    ------
    PlanError
        The type does not fit, or a value, the first of which is told.
    """
    if is_typed and column.type == ARROW_TYPES[kind] and column.num_chunks:
        return values_of(column)
    values = plain(column, kind, rules)
    return _with_polars(name, column, kind, rules) if values is None else values


def _with_polars(
    name: str, column: pa.ChunkedArray, kind: FeatureKind, rules: ValueRules
) -> Values:
    import polars as pl  # most requests have no need of it

    from plumbline.columns.value_rules.arrow_types import TypeRefused, simple
    from plumbline.columns.value_rules.take import take
    from plumbline.columns.value_rules.taken import ColumnRefused

    try:
        raw = pl.Series(name, simple(name, column))
        taken = take(raw, kind, rules)
    except (TypeRefused, ColumnRefused) as error:
        raise PlanError(f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    if taken.malformed.any():
        row = int(np.argmax(taken.malformed))
        found = raw[row].strip(BLANKS) if rules.trim and raw.dtype == pl.String else raw[row]
        advice = taken.advice(found)
        reason = taken.reason(found, f" in row {row}") + (f"; {advice}" if advice else "")
        raise PlanError(f"Column {name!r}: {reason}.")
    return values_of(taken.value.to_arrow())
