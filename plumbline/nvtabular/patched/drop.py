"""NVTabular's DropLowCardinality as a mark: the compiler drops what it says."""

from __future__ import annotations

from typing import Any

from plumbline.nvtabular.library import ops


class DropLowCardinality(ops.DropLowCardinality):
    """Keeps every column, for the compiled plan to leave out those with too few ids.

    NVTabular's fails on columns without ids, keeps all where it should drop all, and breaks the
    operators behind it.
    """

    def compute_selector(self, input_schema: Any, selector: Any, *_: Any, **__: Any) -> Any:
        return super(ops.DropLowCardinality, self).compute_selector(input_schema, selector)
