"""How far a fit is: the rows of the files that its operators have read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from plumbline.nvtabular.library import StatOperator, Workflow, iter_nodes


def passes_of(workflow: Workflow) -> int:
    """How often a fit of a patched workflow reads the training rows: once for each operator that
    learns.
    """
    return sum(isinstance(node.op, StatOperator) for node in iter_nodes([workflow.output_node]))


class FitProgress:
    """Tells the progress of a fit that reads each file once in each of its passes.

    A file that is read more often is not counted again: a worker may have died after it read it.
    It may be told of files in several threads.

    Parameters
    ----------
    rows
        File to its number of rows.
    progress
        Called with the number of rows of each file that was read.
    """

    def __init__(
        self, rows: Mapping[str, int], passes: int, progress: Callable[[int], None]
    ) -> None:
        self._rows, self._progress = rows, progress
        self._left = dict.fromkeys(rows, passes)
        self._lock = threading.Lock()

    def read(self, file: str) -> None:
        """A file was read."""
        with self._lock:
            if self._left[file]:
                self._left[file] -= 1
                self._progress(self._rows[file])

    def end(self) -> None:
        """The fit has ended: what nobody told of was read too."""
        with self._lock:
            missed = sum(self._rows[file] * left for file, left in self._left.items())
            self._left = dict.fromkeys(self._left, 0)
            if missed:
                self._progress(missed)
